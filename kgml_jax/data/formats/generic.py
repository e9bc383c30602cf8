"""Files in the project's own schema: netCDF, Zarr or CSV with dims (site, time) or time alone."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import tables, time_steps
from kgml_jax.data.conventions import stated_units
from kgml_jax.data.days import check as check_days
from kgml_jax.data.schema import (
    DEFAULT_OPTIONS,
    REQUIRED_FORCING,
    SITE_QUANTITIES,
    Note,
    Piece,
    ReadOptions,
    expected_units,
    is_observed,
)
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError, kept, listed, raise_together

SUFFIXES = (".nc", ".nc4", ".zarr", ".csv", ".csv.gz")

_HEADER = re.compile(r"^(?P<name>[^\[]+?)\s*(?:\[(?P<units>[^\]]*)\])?$")
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_BOUNDS = ("bnds", "nv", "bounds")
_TIMES = ("date", "day", "Time", "TIME", "datetime", "t")
_TIME_NAMES = ("time", "date", "TIMESTAMP")


def load(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> list[Piece]:
    """Reads every site of a file in the schema.

    Raises:
      DataError: damaged file, unknown or missing units, or a required variable is missing.
    """
    time_steps.refuse_by_name(path)
    table = path.name.endswith((".csv", ".csv.gz"))
    dataset, notes = _from_table(path) if table else _from_arrays(path)
    _check_names(path, dataset)
    for name in [name for name in SITE_QUANTITIES if name in dataset]:
        if "time" in dataset[name].dims:
            dataset[name] = _constant(path, dataset[name])
    if not options.fluxes:
        dataset = dataset.drop_vars([name for name in map(str, dataset) if is_observed(name)])
    converted, more = _canonical(path, dataset)
    notes += more
    return [
        Piece(site, one, tuple(_addressed(notes, site)))
        for site, one in _by_site(converted, path).items()
    ]


def _addressed(notes: list[Note], site: str) -> list[Note]:
    return [Note(site, note.variable, note.kind, note.count, note.message) for note in notes]


def _from_arrays(path: Path) -> tuple[xr.Dataset, list[Note]]:
    dataset = _opened(path)
    _check_dims(path, [str(name) for name in dataset.dims])
    calendar = str(dataset["time"].attrs.get("calendar", "standard"))
    if calendar not in _CALENDARS:
        raise DataError(
            "the time axis is in another calendar",
            file=path,
            variable="time",
            found=calendar,
            expected="the standard calendar, with leap days",
        )
    try:
        dataset = xr.decode_cf(dataset, decode_coords=False, decode_timedelta=False)
    except ValueError as error:
        raise DataError(f"the time axis cannot be read: {error}", file=path) from error
    if not np.issubdtype(dataset["time"].dtype, np.datetime64):
        expected = "dates, or numbers with units like 'days since 2001-01-01'"
        found = str(dataset["time"].dtype)
        raise DataError("no dates", file=path, variable="time", found=found, expected=expected)
    return _at_start_of_day(dataset, path), []


def _check_dims(path: Path, names: list[str]) -> None:
    strange = [name for name in names if name not in ("site", "time", *_BOUNDS)]
    if not strange and "time" in names:
        return
    place, series = [name for name in strange if name not in _TIMES], "time" in names
    renamed = {name: "time" for name in strange if name in _TIMES and not series}
    steps = []
    if len(place) == 1 and "site" not in names:
        renamed[place[0]] = "site"
    elif len(place) == 2 and "site" not in names:
        # A grid: every cell is a site, which needs one name.
        steps.append(f'stack(site={place}).reset_index("site")')
        steps.append('assign_coords(site=lambda d: [f"cell{n}" for n in range(d.sizes["site"])])')
    if renamed:
        steps.insert(0, f"rename({renamed})")
    opened = f'xarray.{"open_zarr" if path.suffix == ".zarr" else "open_dataset"}("{path.name}")'
    recipe = f'    {".".join([opened, *steps])}.to_netcdf("sites.nc")' if steps else None
    raise DataError(
        "dimensions",
        file=path,
        found=", ".join(names),
        expected="(site, time) or time",
        recipe=recipe,
    )


def _opened(path: Path) -> xr.Dataset:
    try:
        if path.suffix == ".zarr":
            return xr.open_zarr(path, consolidated=False, decode_times=False).load()
        # From memory: a damaged file would otherwise stay open in the backend that failed on it.
        return xr.load_dataset(BytesIO(path.read_bytes()), decode_times=False)
    except ImportError as error:
        message = f"cannot be opened: {error}; install kgml_jax[io]"
        raise DataError(message, file=path) from error
    except Exception as error:
        # Each backend has its own kinds of error for a damaged file, some of them bare Exceptions.
        message = f"is damaged, cut off, or not netCDF or Zarr: {error}"
        raise DataError(message, file=path) from error


def _at_start_of_day(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    bounds = dataset["time"].attrs.get("bounds", dataset["time"].encoding.get("bounds"))
    bounds = bounds or "time_bnds"
    # With bounds, a stamp at the end of its day is moved back to the day it speaks of.
    stamps = dataset[bounds].to_numpy()[:, 0] if bounds in dataset else dataset["time"].to_numpy()
    stamps = pd.DatetimeIndex(stamps)
    time_steps.refuse_by_spacing(stamps, path.name, time_steps.of_arrays(path.name))
    days = stamps.floor("D").as_unit("ns")
    return dataset.drop_vars(bounds, errors="ignore").assign_coords(time=days)


def _from_table(path: Path) -> tuple[xr.Dataset, list[Note]]:
    data = tables.contents(path)
    time_steps.refuse_by_header(tables.header(data), path)
    table = tables.columns(data, path.name)
    names, units = {}, {}
    for column in table:
        match = _HEADER.match(column)
        names[column] = match["name"].strip() if match else column
        units[names[column]] = match["units"] if match else None
    table = {names[column]: values for column, values in table.items()}
    time = next((name for name in _TIME_NAMES if name in table), None)
    if time is None:
        raise DataError(
            "the column is missing", file=path, variable="time", found=listed(list(table))
        )
    hours = time_steps.of_table(path.name, time, by_site="site" in table)
    days = tables.daily(table[time], path.name, None, hours)
    sites = np.full(len(days), _stem(path), dtype=object)
    sites = np.asarray(table["site"].astype(str), dtype=object) if "site" in table else sites
    keep = [name for name in table if name not in (time, "site", "group")]
    values = {name: tables.numbers(table[name], path.name, None, name) for name in keep}
    for site in np.unique(sites):
        check_days(days[sites == site], path.name, str(site))
    rows = pd.MultiIndex.from_arrays([sites, days], names=["site", "time"])
    dataset = pd.DataFrame(values, index=rows).to_xarray()
    for name in keep:
        dataset[name].attrs["units"] = units[name]
    if "group" in table:
        groups = dict(zip(sites, table["group"].astype(str), strict=True))
        dataset["group"] = ("site", [groups[site] for site in dataset["site"].to_numpy()])
    return dataset, []


def _constant(path: Path, values: xr.DataArray) -> xr.DataArray:
    highest = values.max("time")
    if bool((highest > values.min("time")).any()):
        raise DataError(
            "changes with time", file=path, variable=str(values.name), expected="one value a site"
        )
    return highest.assign_attrs(values.attrs)


def _check_names(path: Path, dataset: xr.Dataset) -> None:
    missing = [name for name in REQUIRED_FORCING if name not in dataset]
    if missing:
        raise DataError(
            "required forcing is missing",
            file=path,
            variable=", ".join(missing),
            found=listed([str(name) for name in dataset.data_vars], 12),
            expected="the names in docs/data.md",
        )


def _canonical(path: Path, dataset: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    variables, notes, errors = {}, [], []
    for name in map(str, dataset.data_vars):
        expected = expected_units(name)
        if expected is None and name != "group":
            notes.append(Note("", name, "warning", 1, "is not in the schema and is left out"))
        if expected is None:
            continue
        array = dataset[name]
        found = stated_units(array.attrs)
        values = np.asarray(array.to_numpy(), dtype=np.float64)
        values = np.where(np.isin(values, tables.MISSING), np.nan, values)
        place = {"file": path.name, "variable": name, "is_spread": name.endswith("_uncertainty")}
        with kept(errors):
            values = convert(values, found, expected, **place)
        if str(found).strip() != expected:
            message = f"{found} converted to {expected}"
            notes.append(
                Note("", name, "converted", values.shape[-1] if values.ndim else 1, message)
            )
        variables[name] = (array.dims, values, {"units": expected})
    raise_together(errors)
    coords = {name: dataset[name] for name in ("site", "time") if name in dataset.coords}
    group = {"group": dataset["group"]} if "group" in dataset else {}
    return xr.Dataset(variables | group, coords=coords, attrs=dataset.attrs), notes


def _by_site(dataset: xr.Dataset, path: Path) -> dict[str, xr.Dataset]:
    if "site" not in dataset.dims:
        name = str(dataset["site"].item()) if "site" in dataset.coords else None
        dataset = dataset.drop_vars("site", errors="ignore")
        dataset = dataset.expand_dims(site=[name or dataset.attrs.get("site") or _stem(path)])
    elif "site" not in dataset.coords:
        raise DataError("the sites have no names", file=path, variable="site")
    names = [str(name) for name in dataset["site"].to_numpy()]
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
    empty = [
        str(key)
        for key, array in one.data_vars.items()
        if key not in REQUIRED_FORCING and bool(array.isnull().all())
    ]
    return one.drop_vars(empty).assign_attrs(attrs)


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
