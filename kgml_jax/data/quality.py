"""From what a file says to what a model may use: masks of targets, forcing without gaps."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import days, estimates, gaps, signs
from kgml_jax.data.schema import (
    ATTRIBUTES,
    FORCING,
    NEUTRAL_FORCING,
    POTENTIAL_RADIATION,
    REQUIRED_FORCING,
    Note,
    ReadOptions,
    expected_units,
    iso,
)
from kgml_jax.errors import DataError, kept, listed, raise_together
from kgml_jax.sites import VARIABLES

SLIGHT_EXCESS = 0.002
"""Share of a variable's range by which a value may pass a bound and still be set to it."""

OUTSIDE_LIMIT = 0.01
"""Share of days outside the physical range above which the units must be wrong."""

_TEMPERATURES = ("air_temperature_max", "air_temperature_min")


@dataclass
class _Record:
    """One site's arrays while they are completed; notes gather as values change."""

    site: str
    file: str
    time: pd.DatetimeIndex
    values: dict[str, np.ndarray]
    notes: list[Note]

    def note(self, variable: str, kind: str, count: int, message: str) -> None:
        if count:
            self.notes.append(Note(self.site, variable, kind, int(count), message))

    def cut(self, part: slice) -> None:
        """Keeps a part of the record."""
        self.values = {name: row[part] if row.ndim else row for name, row in self.values.items()}
        self.time = self.time[part]

    def error(self, problem: str, variable: str, **detail: Any) -> DataError:
        return DataError(problem, file=self.file, site=self.site, variable=variable, **detail)


def finish(dataset: xr.Dataset, options: ReadOptions) -> tuple[xr.Dataset, list[Note]]:
    """Checks and completes one site's data set.

    Args:
      dataset: dimension `time`, canonical names and units, attributes attached; attrs `site` and
        `source`.
      options: thresholds and limits.

    Returns:
      The data set with NaN only in targets, and the notes on every value that was changed.

    Raises:
      DataError: days are absent or stand twice, a forcing is empty, out of its range, or has a gap
        longer than the rules fill, or a flux has the wrong sign; all that is wrong with the values
        in one message.
    """
    record = _trimmed(dataset)
    days.check(record.time, record.file, record.site)
    if options.skip_bad_sites:
        _cut_years(record, options)
    _targets(record, options)
    errors: list[DataError] = []
    for name in [name for name in FORCING if name in record.values]:
        with kept(errors):
            _forcing(record, name, options)
    if not errors:
        _temperatures(record)
        _co2(record)
        _mean_temperature(record)
    record.values.pop(POTENTIAL_RADIATION, None)
    finished = xr.Dataset(
        {
            name: (("time",) * values.ndim, values, {"units": expected_units(name)})
            for name, values in record.values.items()
        },
        coords={"time": ("time", record.time)},
        attrs=dataset.attrs,
    )
    with kept(errors):
        signs.refuse_wrong(finished)
    raise_together(errors)
    return finished, record.notes


def _trimmed(dataset: xr.Dataset) -> _Record:
    """Cuts the days before and after the record, where no required forcing has a value."""
    values = {str(name): array.to_numpy() for name, array in dataset.data_vars.items()}
    time = pd.DatetimeIndex(dataset["time"].to_numpy())
    record = _Record(dataset.attrs["site"], dataset.attrs["source"], time, values, [])
    present = [np.isfinite(values[name]) for name in REQUIRED_FORCING if name in values]
    known = np.flatnonzero(np.any(present, axis=0))
    if not len(known):
        variables = ", ".join(REQUIRED_FORCING[:2]) + " and others"
        raise record.error("no forcing has any value", variables, found="missing throughout")
    record.cut(slice(int(known[0]), int(known[-1]) + 1))
    return record


def _cut_years(record: _Record, options: ReadOptions) -> None:
    """Cuts calendar years off the ends of the record that lack a required forcing.

    A year lacks it where a gap is longer than the rules fill. Years within the record stay, and
    all of them where none would be left: the site is then refused as it is.
    """
    while lacking := _lacking(record, options):
        year = record.time.year.to_numpy()
        complete = [one for one in np.unique(year) if one not in lacking]
        if not complete:
            return
        inside = (year >= complete[0]) & (year <= complete[-1])
        if inside.all():
            return
        for one in np.unique(year[~inside]):
            count, message = int((year == one).sum()), f"{one} left out: a gap in the forcing"
            record.note(lacking[one], "left out", count, message)
        # What is left is looked at again: a gap may have been filled from a year that is gone.
        days_inside = np.flatnonzero(inside)
        record.cut(slice(int(days_inside[0]), int(days_inside[-1]) + 1))


def _lacking(record: _Record, options: ReadOptions) -> dict[int, str]:
    """Returns the years with a gap that the rules do not fill, and in which variables."""
    lacking: dict[int, list[str]] = {}
    for name in [name for name in REQUIRED_FORCING if name in record.values]:
        values = record.values[name].astype(np.float64)
        values = np.where(_outside(name, values)[0], np.nan, values)
        for start, stop in gaps.fill(values, record.time, name, options)[2]:
            for year in np.unique(record.time.year[start:stop]):
                lacking.setdefault(int(year), []).append(name)
    return {year: ", ".join(dict.fromkeys(names)) for year, names in lacking.items()}


def _targets(record: _Record, options: ReadOptions) -> None:
    for name in [name for name in VARIABLES if name in record.values]:
        values = record.values[name]
        quality = record.values.get(f"{name}_qc")
        if quality is not None:
            poor = np.isfinite(values) & ~(quality >= options.qc_threshold)
            values = np.where(poor, np.nan, values)
            message = f"quality below {options.qc_threshold:g}: not counted"
            record.note(name, "masked", poor.sum(), message)
        record.values[name] = values
        if not np.isfinite(values).any():
            record.note(name, "warning", len(values), "no day counts: not a target")
            for key in (name, f"{name}_qc", f"{name}_uncertainty"):
                record.values.pop(key, None)


def _forcing(record: _Record, name: str, options: ReadOptions) -> None:
    values = record.values[name].astype(np.float64)
    if name in REQUIRED_FORCING and not np.isfinite(values).any():
        raise record.error("no value in the whole record", name)
    values = _within_bounds(record, name, values)
    missing = np.isnan(values)
    if name in NEUTRAL_FORCING and name != "prescribed_gpp":
        neutral = NEUTRAL_FORCING[name]
        record.note(name, "defaulted", missing.sum(), f"missing: {neutral:g} is used")
        record.values[name] = np.where(missing, neutral, values)
        return
    # Carbon dioxide rises from year to year: a long gap takes the global mean, not another year.
    limits = replace(options, max_copy=0) if name == "co2" else options
    filled, counts, left = gaps.fill(values, record.time, name, limits)
    for rule, count in counts.items():
        record.note(name, "filled", count, rule)
    if left and name != "co2":
        spans = [iso(record.time[[start, stop - 1]]) for start, stop in left]
        raise record.error(
            "a gap in the forcing is longer than the rules fill",
            name,
            found=f"no value from {listed([f'{start} to {end}' for start, end in spans], 3)}",
            expected=f"gaps of at most {options.max_gap} days, or at most {options.max_copy} days "
            "where another year has the same days",
        )
    record.values[name] = filled


def _within_bounds(record: _Record, name: str, values: np.ndarray) -> np.ndarray:
    bounds = FORCING[name].bounds
    if bounds is None:
        return values
    low, high = bounds
    outside, near = _outside(name, values)
    count, total = int(outside.sum()), int(np.isfinite(values).sum())
    limits = f"{low:g} to {high:g} {FORCING[name].units}"
    if count > OUTSIDE_LIMIT * total and name != "co2":
        raise record.error(
            f"{count} of {total} days are outside the physical range; are the units right?",
            name,
            found=f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}",
            expected=limits,
        )
    record.note(name, "converted", near.sum(), f"slightly outside {limits}: set to the bound")
    record.note(name, "warning", count, f"outside {limits}: treated as missing")
    return np.where(outside, np.nan, np.clip(values, low, high))


def _outside(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which days lie outside the physical range, and which only slightly."""
    low, high = FORCING[name].bounds or (-np.inf, np.inf)
    slight = SLIGHT_EXCESS * (high - low) if np.isfinite(high - low) else 0.0
    outside = (values < low - slight) | (values > high + slight)
    return outside, ((values < low) | (values > high)) & ~outside


def _temperatures(record: _Record) -> None:
    highest, lowest = _TEMPERATURES
    if highest in record.values and lowest in record.values:
        high, low = record.values[highest], record.values[lowest]
        swapped = int((high < low).sum())
        record.note(highest, "warning", swapped, "maximum below minimum: exchanged")
        record.values[highest], record.values[lowest] = np.maximum(high, low), np.minimum(high, low)
        return
    mean = record.values["air_temperature_mean"]
    radiation = record.values["shortwave_radiation"]
    half = estimates.temperature_range(radiation, _potential(record)) / 2
    record.values[highest], record.values[lowest] = mean + half, mean - half
    message = "not measured: mean +- half the range from sky clearness (Bristow and Campbell 1984)"
    record.note("air_temperature_max, _min", "estimated", len(mean), message)


def _potential(record: _Record) -> np.ndarray:
    potential = record.values.get(POTENTIAL_RADIATION)
    if potential is not None and np.isfinite(potential).all():
        return potential
    # A site whose attributes were refused is looked at further, for all that is wrong with it.
    latitude = float(record.values.get("latitude", np.asarray(ATTRIBUTES["latitude"].default)))
    return estimates.extraterrestrial_radiation(latitude, record.time.day_of_year.to_numpy())


def _co2(record: _Record) -> None:
    usual = estimates.global_co2(record.time.year.to_numpy())
    given = record.values.get("co2", np.full(usual.shape, np.nan))
    missing = np.isnan(given)
    record.values["co2"] = np.where(missing, usual, given)
    message = "missing: the global mean of the year is used"
    record.note("co2", "defaulted", missing.sum(), message)


def _mean_temperature(record: _Record) -> None:
    name = "mean_annual_temperature"
    if name in record.values:
        return
    month = record.time.month.to_numpy() - 1
    days_of_month = np.bincount(month, minlength=12)
    if (days_of_month == 0).any():
        value = float(ATTRIBUTES[name].default or 0.0)
        message = f"the record does not hold all months; {value:g} degC is used"
        record.note(name, "defaulted", 1, message)
    else:
        total = np.bincount(month, record.values["air_temperature_mean"], minlength=12)
        value = float(np.mean(total / days_of_month))
        record.note(name, "estimated", 1, "the mean of the 12 monthly means of the record")
    record.values[name] = np.asarray(value)
