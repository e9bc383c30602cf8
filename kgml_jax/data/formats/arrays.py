"""netCDF and Zarr in the schema: dims (site, time) or time, as days by site in memory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data import time_axis
from kgml_jax.data.formats import netcdf_file, zarr_store
from kgml_jax.data.opening import Absent, decoding, require_size
from kgml_jax.data.schema import (
    NEUTRAL_FORCING,
    SITE_QUANTITIES,
    Note,
    expected_units,
    require_forcing,
)
from kgml_jax.errors import DataError, listed

_TEXT = ("site", "group", "crop")
_BOUNDS = ("bnds", "nv", "bounds")
_TIMES = ("date", "day", "Time", "TIME", "datetime", "t")
_PLACES = {"lat": "latitude", "lon": "longitude", "elev": "elevation", "altitude": "elevation"}
_STANDARD_PLACES = {"surface_altitude": "elevation", "height_above_mean_sea_level": "elevation"}

_WHOLE = """    # if they were left out because all of their values are the fill value:
    xarray.open_zarr("{}").to_zarr("whole.zarr", write_empty_chunks=True)"""

DEFAULT_FILLS: dict[str, float] = {
    "i1": -127,
    "u1": 255,
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
}
"""What the netCDF library writes where nothing was written (NC_FILL_*), by type."""


def load(path: Path) -> tuple[xr.Dataset, list[Note]]:
    """Reads the variables of the schema, with `time` at the start of each day.

    Coordinates that are not dimensions, such as `latitude(site)`, are variables like others.

    Raises:
      DataError: damaged, too large, of another form, without days, or with absent parts.
    """
    is_store = path.suffix.lower() == ".zarr"
    kind = "Zarr" if is_store else "netCDF"
    source = zarr_store if is_store else netcdf_file
    with decoding(path, kind), source.opened(path) as (lazy, absent, stored):
        lazy = lazy.rename_vars(_places(lazy))
        strange = _strange(lazy)
        require_forcing(path, list(map(str, lazy.variables)))
        wanted = lazy.drop_vars(strange)
        require_size(path, stored, wanted.nbytes)
        raw = wanted.load()
    notes = [
        Note("", name, "warning", 1, "is not in the schema and is left out") for name in strange
    ]
    notes += _judged(path, raw, absent)
    _check_dims(path, _dimensions(raw))
    raw, more = _with_default_fills(raw)
    raw, zone = time_axis.prepared(raw, path)
    with decoding(path, kind):
        # Other calendars were refused; dates beyond those of NumPy are damage, and no objects.
        times = xr.coders.CFDatetimeCoder(use_cftime=False)
        dataset = xr.decode_cf(raw, decode_times=times, decode_timedelta=False)
        dataset = _in_words(dataset.reset_coords())
    more += _in_degrees(dataset)
    dataset, at_end = time_axis.at_start_of_day(dataset, path)
    dataset = dataset.set_coords([name for name in ("site", "time") if name in dataset.variables])
    _check_shapes(path, dataset)
    return dataset, [*notes, *more, *zone, *at_end]


def _places(dataset: xr.Dataset) -> dict[str, str]:
    """Returns other names of latitude, longitude and elevation, by what stands for them."""
    found: dict[str, str] = {}
    for name, array in dataset.variables.items():
        standard = str(array.attrs.get("standard_name", ""))
        meant = _STANDARD_PLACES.get(standard, standard)
        meant = meant if meant in _PLACES.values() else _PLACES.get(str(name).lower())
        if meant and meant not in {*dataset.variables, *found.values()} and name not in array.dims:
            found[str(name)] = meant
    return found


def _strange(dataset: xr.Dataset) -> list[str]:
    """Returns the variables that neither the schema nor the dimensions of the schema's need."""
    bounds = time_axis.bounds_of(dataset)
    known = {
        str(name)
        for name, array in dataset.variables.items()
        if expected_units(str(name))
        or name in ("site", "group", "time", bounds)
        or array.attrs.get("cf_role") == "timeseries_id"
    }
    known |= {str(dim) for name in known for dim in dataset[name].dims}
    return [str(name) for name in dataset.variables if name not in known]


def _judged(path: Path, raw: xr.Dataset, absent: Mapping[str, Absent]) -> list[Note]:
    """Refuses absent parts of variables, unless what stands in their place says "missing"."""
    notes, lost = [], {}
    for name in [name for name in absent if name in raw.variables]:
        fill, parts = absent[name].fill, listed(absent[name].parts, 3)
        neutral = fill is not None and NEUTRAL_FORCING.get(name) == fill
        if neutral or _is_missing(fill, raw[name].variable):
            said = f"{fill:g} is used" if neutral else "its values are missing"
            notes.append(Note("", name, "warning", 1, f"the file does not hold {parts}: {said}"))
        else:
            lost[name] = parts
    if not lost:
        return notes
    raise DataError(
        "parts of it are absent, and are no missing values",
        file=path,
        variable=listed(list(lost), 8),
        found=f"no {listed([f'{parts} of {name}' for name, parts in lost.items()], 4)}",
        expected="all chunks, or NaN as the fill value of the array",
        recipe=_WHOLE.format(path.name) if path.suffix.lower() == ".zarr" else None,
    )


def _is_missing(fill: object, array: xr.Variable) -> bool:
    if not isinstance(fill, int | float | np.number):
        return False
    codes = [array.attrs.get(name) for name in ("_FillValue", "missing_value")]
    codes.append(DEFAULT_FILLS.get(array.dtype.str[1:]))
    return bool(np.isnan(fill)) or any(
        code is not None and bool(np.all(fill == code)) for code in codes
    )


def _dimensions(raw: xr.Dataset) -> list[str]:
    """Returns the dimensions of the values; letters of a text have none."""
    values = [
        array.dims[:-1] if array.dtype.kind == "S" and array.dtype.itemsize == 1 else array.dims
        for array in raw.variables.values()
    ]
    return list(dict.fromkeys(str(dim) for dims in values for dim in dims))


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


def _with_default_fills(raw: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    """Declares the values that netCDF itself writes where nothing was written as missing."""
    notes, changed = [], {}
    for name, array in raw.data_vars.items():
        code = DEFAULT_FILLS.get(array.dtype.str[1:])
        if code is None or {"_FillValue", "missing_value"} & set(array.attrs):
            continue
        value = np.asarray(code).astype(array.dtype)
        count = int((array.to_numpy() == value).sum())
        if count:
            changed[name] = array.assign_attrs(_FillValue=value[()])
            message = f"{value:g}, netCDF's own mark of what was never written: missing"
            notes.append(Note("", str(name), "masked", count, message))
    return raw.assign(changed), notes


def _in_words(dataset: xr.Dataset) -> xr.Dataset:
    """Turns names of sites, groups and crops that are bytes or padded into text."""
    role = [name for name in dataset if dataset[name].attrs.get("cf_role") == "timeseries_id"]
    if role and "site" not in dataset.variables and dataset[role[0]].dims in ((), ("site",)):
        dataset = dataset.rename_vars({role[0]: "site"})
    for name in [name for name in _TEXT if name in dataset.variables]:
        array = dataset[name].variable
        if array.dtype.kind in "SUO" or name == "site":
            words = np.array([_word(one) for one in array.to_numpy().flat], dtype=object)
            dataset = dataset.drop_vars(name).assign(
                {name: (array.dims, words.reshape(array.shape), array.attrs)}
            )
    return dataset.drop_vars([name for name in role if name in dataset], errors="ignore")


def _in_degrees(dataset: xr.Dataset) -> list[Note]:
    """Gives coordinates of a place that state no units the only ones that are in use."""
    notes = []
    for name in ("latitude", "longitude"):
        if name in dataset and not str(dataset[name].attrs.get("units", "")).strip():
            dataset[name].attrs["units"] = SITE_QUANTITIES[name].units
            notes.append(Note("", name, "warning", 1, "no units: taken as degrees"))
    return notes


def _word(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, float | np.floating):
        # Numbers of sites that were kept in a table as 1001.0; NaN is no name.
        value = "" if np.isnan(value) else int(value) if float(value).is_integer() else value
    return "" if value is None else str(value).strip(" \t\0")


def _check_shapes(path: Path, dataset: xr.Dataset) -> None:
    for name, array in dataset.data_vars.items():
        of_site = name in SITE_QUANTITIES or name == "group"
        if not set(array.dims) <= {"site", "time"} or ("time" not in array.dims and not of_site):
            raise DataError(
                "dimensions",
                file=path,
                variable=str(name),
                found=f"({', '.join(map(str, array.dims))})",
                expected="() or (site)" if of_site else "(site, time) or (time)",
            )
