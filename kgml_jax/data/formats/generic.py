"""Files in the project's own schema: netCDF, Zarr or CSV with dims (site, time) or time alone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import crop_codes, names, stamps, tables, time_steps
from kgml_jax.data.conventions import stated_units
from kgml_jax.data.days import check as check_days
from kgml_jax.data.formats import arrays
from kgml_jax.data.schema import (
    DEFAULT_OPTIONS,
    REQUIRED_FORCING,
    SITE_QUANTITIES,
    Note,
    Piece,
    ReadOptions,
    expected_units,
    is_observed,
    require_forcing,
)
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError, kept, listed, raise_together

SUFFIXES = (".nc", ".nc4", ".zarr", ".csv", ".csv.gz")

_HEADER = re.compile(r"^(?P<name>[^\[]+?)\s*(?:\[(?P<units>[^\]]*)\])?$")
_TIME_NAMES = ("time", "date", "TIMESTAMP")


def load(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> list[Piece]:
    """Reads every site of a file in the schema.

    Raises:
      DataError: damaged file, unknown or missing units, or a required variable is missing.
    """
    time_steps.refuse_by_name(path)
    table = path.name.lower().endswith((".csv", ".csv.gz"))
    dataset, notes = _from_table(path) if table else arrays.load(path)
    require_forcing(path, list(map(str, dataset.data_vars)))
    for name in [name for name in SITE_QUANTITIES if name in dataset]:
        if "time" in dataset[name].dims:
            dataset[name] = _constant(path, dataset[name])
    if not options.fluxes:
        dataset = dataset.drop_vars([name for name in map(str, dataset) if is_observed(name)])
    if "crop" in dataset and crop_codes.is_named(dataset["crop"].to_numpy()):
        dataset["crop"], told = crop_codes.from_names(dataset["crop"], path.name, options)
        notes += told
    elif "crop" in dataset:
        crop_codes.require_names(dataset["crop"], path.name, options)
    converted, more = _canonical(path, dataset)
    notes += more
    return [
        Piece(site, one, tuple(_addressed(notes, site)))
        for site, one in _by_site(converted, path).items()
    ]


def _addressed(notes: list[Note], site: str) -> list[Note]:
    return [Note(site, note.variable, note.kind, note.count, note.message) for note in notes]


def _from_table(path: Path) -> tuple[xr.Dataset, list[Note]]:
    data = tables.contents(path)
    time_steps.refuse_by_header(
        tables.header(data, path.name), path, commented=data.startswith(b"#")
    )
    table, units = _named(tables.columns(data, path.name), path)
    time = next((name for name in _TIME_NAMES if name in table), None)
    if time is None:
        raise DataError(
            "the column is missing", file=path, variable="time", found=listed(list(table))
        )
    hours = time_steps.of_table(path.name, time, by_site="site" in table)
    days = tables.daily(table[time], path.name, None, hours)
    sites, notes = np.full(len(days), _stem(path), dtype=object), []
    if "site" in table:
        sites, notes = names.in_column(table["site"], path.name, "site")
    others = [name for name in table if name not in (time, "site", "group")]
    keep = [name for name in others if expected_units(name) is not None]
    values = {name: _cells(table[name], path, name) for name in keep}
    for site in np.unique(sites):
        check_days(days[sites == site], path.name, str(site))
    rows = pd.MultiIndex.from_arrays([sites, days], names=["site", "time"])
    dataset = pd.DataFrame(values, index=rows).to_xarray()
    for name in keep:
        dataset[name].attrs["units"] = units[name]
    if "group" in table:
        groups, more = names.in_column(table["group"], path.name, "group")
        dataset["group"] = ("site", _one_each(path, sites, groups, dataset["site"].to_numpy()))
        notes += more
    notes += [_left_out(name) for name in others if name not in keep]
    return dataset, [*notes, *tables.unfinished(data, path.name), *stamps.end_notes(days)]


def _named(
    columns: dict[str, pd.Series], path: Path
) -> tuple[dict[str, pd.Series], dict[str, str | None]]:
    """Returns columns by their names without units, and the units."""
    named, units = {}, {}
    for column, values in columns.items():
        match = _HEADER.match(column)
        name = match["name"].strip() if match else column
        if name in named:
            expected = "every name once: take out or rename all but one"
            raise DataError(
                "the column stands more than once", file=path, variable=name, expected=expected
            )
        named[name], units[name] = values, match["units"] if match else None
    return named, units


def _left_out(name: str) -> Note:
    return Note("", name, "warning", 1, "is not in the schema and is left out")


def _one_each(path: Path, sites: np.ndarray, groups: np.ndarray, wanted: np.ndarray) -> list[str]:
    pairs = pd.DataFrame({"site": sites, "group": groups}).drop_duplicates()
    twice = pairs.loc[pairs["site"].duplicated(), "site"]
    if len(twice):
        site = str(twice.iloc[0])
        found = listed(list(pairs.loc[pairs["site"] == site, "group"]))
        place = {"file": path, "site": site, "variable": "group"}
        raise DataError("a site in more than one group", found=found, **place)
    by_site = dict(zip(pairs["site"], pairs["group"], strict=True))
    return [by_site[site] for site in wanted]


def _cells(column: pd.Series, path: Path, name: str) -> np.ndarray:
    if name == "crop" and crop_codes.is_named(column):
        return np.asarray(column, dtype=object)
    return tables.numbers(column, path.name, None, name)


def _constant(path: Path, values: xr.DataArray) -> xr.DataArray:
    highest = values.max("time")
    if bool((highest > values.min("time")).any()):
        raise DataError(
            "changes with time", file=path, variable=str(values.name), expected="one value a site"
        )
    return highest.assign_attrs(values.attrs)


def _canonical(path: Path, dataset: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    variables, notes, errors = {}, [], []
    for name in map(str, dataset.data_vars):
        expected = expected_units(name)
        if expected is None and name != "group":
            notes.append(_left_out(name))
        if expected is None:
            continue
        with kept(errors):
            variables[name], more = _quantity(path, name, dataset[name].variable, expected)
            notes += more
    raise_together(errors)
    coords = {name: dataset[name] for name in ("site", "time") if name in dataset.coords}
    group = {"group": dataset["group"]} if "group" in dataset else {}
    return xr.Dataset(variables | group, coords=coords, attrs=dataset.attrs), notes


def _quantity(
    path: Path, name: str, stored: xr.Variable, expected: str
) -> tuple[xr.Variable, list[Note]]:
    """Returns a variable as float64 in canonical units, with NaN where it is missing."""
    kind, found = stored.dtype.kind, stated_units(stored.attrs)
    if kind not in "biuf":
        what = {"m": "times", "M": "dates"}.get(kind, "text" if kind in "SUO" else stored.dtype)
        raise DataError("is no number", file=path, variable=name, found=what, expected="numbers")
    values = stored.to_numpy().astype(np.float64)
    days, notes = values.shape[-1] if values.ndim else 1, []
    infinite = np.isinf(values)
    if infinite.any():
        message = "infinite: treated as missing"
        notes.append(Note("", name, "masked", int(infinite.sum()), message))
    values = np.where(infinite | np.isin(values, tables.MISSING), np.nan, values)
    place = {"file": path.name, "variable": name, "is_spread": name.endswith("_uncertainty")}
    values = convert(values, found, expected, **place)
    if str(found).strip() != expected:
        notes.append(Note("", name, "converted", days, f"{found} converted to {expected}"))
    return xr.Variable(stored.dims, values, {"units": expected}), notes


def _by_site(dataset: xr.Dataset, path: Path) -> dict[str, xr.Dataset]:
    if "site" not in dataset.dims:
        name = str(dataset["site"].item()) if "site" in dataset.coords else None
        dataset = dataset.drop_vars("site", errors="ignore")
        dataset = dataset.expand_dims(site=[name or dataset.attrs.get("site") or _stem(path)])
    elif "site" not in dataset.coords:
        raise DataError("the sites have no names", file=path, variable="site")
    names = [str(name) for name in dataset["site"].to_numpy()]
    if "" in names:
        found = f"no name at place {names.index('') + 1} of {len(names)}"
        raise DataError("a site has no name", file=path, variable="site", found=found)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError("more than one series of a site", file=path, site=twice[0])
    return {name: _one(dataset, row, name, path) for row, name in enumerate(names)}


def _one(dataset: xr.Dataset, row: int, name: str, path: Path) -> xr.Dataset:
    one = dataset.isel(site=row).drop_vars("site")
    attrs = {"site": name, "source": path.name}
    if "group" in one:
        attrs["group"] = str(one["group"].item())
    one = one.drop_vars("group", errors="ignore")
    # A rectangle of sites holds empty variables at sites that never measured them.
    empty = [name for name in map(str, one.data_vars) if _is_empty(one, name)]
    return one.drop_vars(empty).assign_attrs(attrs)


def _is_empty(one: xr.Dataset, name: str) -> bool:
    target = name.removesuffix("_qc")
    if name.endswith("_qc") and target in one and bool(one[target].notnull().any()):
        return False  # the reader says that a target's quality has no value
    return name not in REQUIRED_FORCING and bool(one[name].isnull().all())


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
