"""The time axis of netCDF and Zarr: calendars, zones and stamps, to the start of each day."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import stamps, time_steps
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")


def bounds_of(dataset: xr.Dataset) -> str:
    """Returns the name of the variable that holds the ends of each stamp's period."""
    time = dataset.variables.get("time")
    return "time_bnds" if time is None else str(time.attrs.get("bounds", "time_bnds"))


def prepared(raw: xr.Dataset, path: Path) -> tuple[xr.Dataset, list[Note]]:
    """Returns variables as stored, ready to decode: a known calendar, and no zone in the units.

    A stamp means the day it falls on where it was written, so a zone is not taken off.

    Raises:
      DataError: another calendar.
    """
    time, notes = raw["time"], []
    calendar = str(time.attrs.get("calendar", "standard"))
    if calendar.strip().lower() not in _CALENDARS:
        raise DataError(
            "the time axis is in another calendar",
            file=path,
            variable="time",
            found=calendar,
            expected="the standard calendar, with leap days",
        )
    axes = {}
    for name in [name for name in ("time", bounds_of(raw)) if name in raw.variables]:
        attrs = dict(raw[name].attrs)
        if "calendar" in attrs:
            attrs["calendar"] = calendar.strip().lower()
        local, zone = stamps.without_zone(str(attrs.get("units", "")))
        if zone is not None:
            attrs["units"] = local
            message = f"stamps in the zone {zone}: each day is the one that is stamped"
            notes = [Note("", "time", "converted", raw.sizes["time"], message)]
        axes[name] = (raw[name].dims, raw[name].to_numpy(), attrs)
    if "time" in axes and bounds_of(raw) in axes:
        axes["time"][2]["bounds"] = bounds_of(raw)
    return raw.assign(axes) if axes else raw, notes


def at_start_of_day(dataset: xr.Dataset, path: Path) -> tuple[xr.Dataset, list[Note]]:
    """Moves each stamp to the start of the day it speaks of.

    With bounds, that is the day in which the period begins: a stamp at its end is moved back.

    Raises:
      DataError: stamps that are no dates, or not of a daily series.
    """
    bounds = bounds_of(dataset)
    times = _dates(dataset["time"], path)
    notes = stamps.end_notes(times)
    if bounds in dataset.variables and dataset[bounds].shape == (len(times), 2):
        times, notes = _dates(dataset[bounds][:, 0], path), []
    time_steps.refuse_by_spacing(times, path.name, time_steps.of_arrays(path.name))
    days = times.floor("D").as_unit("ns")
    return dataset.drop_vars(bounds, errors="ignore").assign_coords(time=days), notes


def _dates(time: xr.DataArray, path: Path) -> pd.DatetimeIndex:
    values = time.to_numpy()
    if values.dtype.kind in "SUO":
        words = pd.Series(values.astype("U"), name="time").str.strip()
        days = pd.to_datetime(
            stamps.local(words, path.name, None), format="ISO8601", errors="coerce"
        )
        values = days.to_numpy()
    if values.dtype.kind != "M":
        expected = "dates, or numbers with units like 'days since 2001-01-01'"
        found = f"{values.dtype}, units {time.attrs.get('units', 'none')}"
        raise DataError("no dates", file=path, variable="time", found=found, expected=expected)
    if np.isnat(values).any():
        found = f"no date at place {int(np.flatnonzero(np.isnat(values))[0]) + 1} of {len(values)}"
        raise DataError(
            "a date is missing", file=path, variable="time", found=found, expected="a date a day"
        )
    dates = pd.DatetimeIndex(values)
    stamps.refuse_impossible(dates, path.name)
    return dates
