"""FLUXNET daily files as distributed: FLUXNET2015 and the later hub products, csv or zip."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import bounds, packed, tables, time_steps
from kgml_jax.data.formats.fluxnet_columns import (
    CORRECTED,
    FORCING_COLUMNS,
    LEAST_NET_QUALITY,
    NEEDED,
    NET_EXCHANGE,
    NET_QUALITY,
    chosen,
    latent_heat,
    partition,
    possible,
    wanted,
)
from kgml_jax.data.schema import (
    NET_RADIATION,
    POTENTIAL_RADIATION,
    Note,
    Piece,
    ReadOptions,
    expected_units,
)
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError, kept, listed, raise_together

DAILY_NAME = re.compile(
    r"^(?P<hub>[A-Za-z0-9]+)_(?P<site>[A-Za-z]{2}-[A-Za-z0-9]+)_FLUXNET(?:2015)?_"
    r"(?:(?:SUBSET|FULLSET|FLUXMET|INTERIM)_)?DD_(?P<years>\d{4}-\d{4})?(?P<version>[^/]*)"
    r"(?i:\.csv(?:\.gz)?)$"
)
"""`FLX_<site>_FLUXNET2015_SUBSET_DD_<years>_<version>.csv` and its later relatives."""

EXAMPLE = "FLX_US-Ne3_FLUXNET2015_SUBSET_DD_2001-2013_1-4.csv"

ARCHIVE_NAME = re.compile(
    r"^[A-Za-z0-9]+_[A-Za-z]{2}-[A-Za-z0-9]+_(?:FLUXNET|ARCHIVE).*(?i:\.zip)$"
)
"""Of FLUXNET and its networks, and ICOS's `ICOSETC_<site>_ARCHIVE_L2.zip`."""

LEAST_LATENT_HEAT = 20.0
"""W m-2; below it a ratio of corrected to measured latent heat says nothing."""

CLOSED = 0.1
"""Share by which a tower's latent heat may miss its energy balance without a word."""

_END_SLACK = np.timedelta64(31, "D")


def is_daily(name: str) -> bool:
    """Whether a file name is that of a FLUXNET daily file or of an archive that may hold one."""
    return bool(DAILY_NAME.match(name) or ARCHIVE_NAME.match(name))


def load(path: Path, options: ReadOptions) -> list[Piece]:
    """Reads the daily files of a csv or zip; members of other time steps are passed over.

    Raises:
      DataError: no daily file, a column missing, or the file is damaged.
    """
    return [_piece(name, data, options) for name, data in _daily_files(path)]


def site_of(name: str) -> str:
    """Returns the site in the name of a FLUXNET file, or the name itself."""
    match = re.match(r"^[A-Za-z0-9]+_([A-Za-z]{2}-[A-Za-z0-9]+)_(?:FLUXNET|ARCHIVE)", name)
    return match[1] if match else name


def _daily_files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix.lower() != ".zip":
        yield path.name, tables.contents(path)
        return
    archive = packed.Archive(path)
    names = [name for name in archive.names if DAILY_NAME.match(Path(name).name)]
    for name in names:
        yield Path(name).name, archive.read(name)
    if not names:
        raise DataError(
            "the archive holds no daily file",
            file=path,
            found=listed(archive.names) or "nothing",
            expected="a member named *_DD_*.csv",
        )


def _piece(name: str, data: bytes, options: ReadOptions) -> Piece:
    site = site_of(name)
    table = tables.columns(data, name, site)
    if "TIMESTAMP" not in table:
        raise DataError("the column is missing", file=name, site=site, variable="TIMESTAMP")
    days = tables.daily(table["TIMESTAMP"], name, site, time_steps.IN_ARCHIVE)
    tables.refuse_unfinished(data, name, site)
    match = DAILY_NAME.match(name)
    if match is not None and match["years"] is not None:
        check_end(name, site, days, match["years"][-4:])
    return from_columns(name, site, days, table, options)


def from_columns(
    name: str,
    site: str,
    days: pd.DatetimeIndex,
    table: dict[str, pd.Series],
    options: ReadOptions,
) -> Piece:
    """Makes a site of columns in FLUXNET's names and units.

    Args:
      name: of the file.
      site: its name.
      days: of the rows.
      table: columns by name.
      options: of the reader.

    Raises:
      DataError: a column is missing, or a cell is no number.
    """
    variables, notes = _variables(name, site, table, options)
    dataset = xr.Dataset(
        {
            key: ("time", values, {"units": expected_units(key) or "MJ m-2 d-1"})
            for key, values in variables.items()
        },
        coords={"time": ("time", days)},
        attrs={"site": site, "source": name, "network": "FLUXNET"},
    )
    return Piece(site, dataset, tuple(notes))


def _variables(
    name: str, site: str, table: dict[str, pd.Series], options: ReadOptions
) -> tuple[dict[str, np.ndarray], list[Note]]:
    columns, notes, errors = {}, [], []
    for column in [column for column in wanted(options) if column in table]:
        with kept(errors):
            values = tables.numbers(table[column], name, site, column)
            columns[column], codes = bounds.without_codes(values, *possible(column))
            for code, count in codes:
                notes.append(Note(site, column, "warning", count, bounds.code_message(code)))
    raise_together(errors)
    missing = [
        FORCING_COLUMNS[variable][0][0]
        for variable in NEEDED
        if not any(column in columns for column in FORCING_COLUMNS[variable][0])
    ]
    expected = None
    if options.fluxes and not any(column in columns for column in NET_EXCHANGE):
        missing.append(" or ".join(NET_EXCHANGE))
        expected = "fluxes; without them a field is predicted (kgml-jax predict, check --no-fluxes)"
    if missing:
        problem = "the column is missing" if len(missing) == 1 else "the columns are missing"
        variable = ", ".join(missing)
        raise DataError(problem, file=name, site=site, variable=variable, expected=expected)
    forcing, more = _forcing(site, columns)
    notes += more
    if options.fluxes:
        targets, more = _targets(site, columns, forcing["air_temperature_mean"], options)
        notes += more
    else:
        targets = {}
    if options.prescribe_gpp:
        given, more = _prescribed(site, columns, options)
        forcing |= given
        notes += more
    return forcing | targets, notes


def check_end(name: str, site: str, days: pd.DatetimeIndex, year: str) -> None:
    """Refuses a record that ends well before the last year in the name of its file.

    Raises:
      DataError: it is cut off.
    """
    last = days.to_numpy().max()
    end = np.datetime64(f"{year}-12-31")
    if last < end - _END_SLACK:
        raise DataError(
            "is cut off: the record ends before the years in the file's name",
            file=name,
            site=site,
            found=str(last)[:10],
            expected=str(end),
        )


def _forcing(site: str, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[Note]]:
    forcing, notes = {}, []
    for variable, (choices, units) in FORCING_COLUMNS.items():
        column, more = chosen(site, variable, columns, choices)
        notes += more
        if column is not None:
            canonical = expected_units(variable) or "MJ m-2 d-1"
            forcing[variable] = convert(columns[column], units, canonical)
            if units != canonical and variable not in (POTENTIAL_RADIATION, NET_RADIATION):
                message = f"{column}: {units} converted to {canonical}"
                notes.append(Note(site, variable, "converted", len(columns[column]), message))
    if NET_RADIATION in forcing and NET_QUALITY in columns:
        measured = columns[NET_QUALITY] >= LEAST_NET_QUALITY
        forcing[NET_RADIATION] = np.where(measured, forcing[NET_RADIATION], np.nan)
    if ("air_temperature_max" in forcing) != ("air_temperature_min" in forcing):
        forcing.pop("air_temperature_max", None)
        forcing.pop("air_temperature_min", None)
    return forcing, notes


def _targets(
    site: str, columns: dict[str, np.ndarray], temperature: np.ndarray, options: ReadOptions
) -> tuple[dict[str, np.ndarray], list[Note]]:
    targets, notes = _net_exchange(site, columns)
    for flux, choices in partition(options).items():
        column, more = chosen(site, flux, columns, choices)
        notes += more
        if column is None:
            notes.append(Note(site, flux, "warning", 1, f"no column {choices[0]}: not a target"))
            continue
        targets[flux] = columns[column]
        if "NEE_qc" in targets:
            targets[f"{flux}_qc"] = targets["NEE_qc"]
    if "LE_F_MDS" in columns:
        found, more = _evapotranspiration(site, columns, temperature, options)
        targets |= found
        notes += more
    return targets, notes


def _prescribed(
    site: str, columns: dict[str, np.ndarray], options: ReadOptions
) -> tuple[dict[str, np.ndarray], list[Note]]:
    column, notes = chosen(site, "prescribed_gpp", columns, partition(options)["GPP"])
    if column is None:
        return {}, []
    gpp = columns[column]
    message = "the tower's GPP is an input; it is derived from the observed NEE"
    notes.append(Note(site, "prescribed_gpp", "warning", len(gpp), message))
    if negative := int(np.sum(gpp < 0)):
        message = "negative tower GPP set to 0 where it is an input"
        notes.append(Note(site, "prescribed_gpp", "converted", negative, message))
    return {"prescribed_gpp": np.maximum(gpp, 0.0)}, notes


def _net_exchange(
    site: str, columns: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[Note]]:
    # One of them is there; a file without is refused.
    found, notes = chosen(site, "NEE", columns, NET_EXCHANGE)
    column = found or NET_EXCHANGE[0]
    targets = {"NEE": columns[column]}
    if f"{column}_QC" in columns:
        targets["NEE_qc"] = columns[f"{column}_QC"]
    else:
        message = f"no column {column}_QC: every value counts"
        notes.append(Note(site, "NEE", "warning", len(columns[column]), message))
    if f"{column}_RANDUNC" in columns:
        targets["NEE_uncertainty"] = columns[f"{column}_RANDUNC"]
    return targets, notes


def _evapotranspiration(
    site: str, columns: dict[str, np.ndarray], temperature: np.ndarray, options: ReadOptions
) -> tuple[dict[str, np.ndarray], list[Note]]:
    impossible, _ = bounds.outside("air_temperature_mean", temperature)
    to_water = 86_400.0 / latent_heat(np.where(impossible, np.nan, temperature))
    heat, factor, notes = _latent_heat(site, columns, options)
    targets = {"ET": heat * to_water}
    if "LE_F_MDS_QC" in columns:
        targets["ET_qc"] = columns["LE_F_MDS_QC"]
    if "LE_RANDUNC" in columns:
        targets["ET_uncertainty"] = factor * columns["LE_RANDUNC"] * to_water
    return targets, notes


def _latent_heat(
    site: str, columns: dict[str, np.ndarray], options: ReadOptions
) -> tuple[np.ndarray, float, list[Note]]:
    # As measured or corrected, W m-2, and the factor by which the measured is corrected.
    measured = columns["LE_F_MDS"]
    note = lambda kind, count, message: Note(site, "ET", kind, count, message)
    converted = note("converted", len(measured), "LE_F_MDS: W m-2 converted to mm d-1")
    corrected = columns.get(CORRECTED, np.full(measured.shape, np.nan))
    both = np.isfinite(corrected) & (measured > LEAST_LATENT_HEAT)
    if not both.any():
        if options.energy_balance == "measured":
            return measured, 1.0, [converted]
        message = f"{CORRECTED} holds no value: the energy balance stays as measured"
        return measured, 1.0, [converted, note("warning", len(measured), message)]
    factor = float(np.median(corrected[both] / measured[both]))
    if options.energy_balance == "measured":
        message = f"as measured; closing the energy balance would multiply it by {factor:.2f} "
        message += "(median; --energy-balance closed)"
        open_ = abs(factor - 1.0) > CLOSED
        return measured, 1.0, [converted, *([note("warning", int(both.sum()), message)] * open_)]
    heat = np.where(np.isfinite(corrected), corrected, factor * measured)
    message = (
        f"{CORRECTED} closes the energy balance; where it has no value LE_F_MDS x {factor:.2f}"
    )
    return heat, factor, [converted, note("converted", int(both.sum()), message)]
