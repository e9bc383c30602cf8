"""From what a file says to what a model may use: masks of targets, forcing without gaps."""

from dataclasses import replace

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
    DataError,
    Note,
    ReadOptions,
    iso,
)
from kgml_jax.sites import VARIABLES

SLIGHT_EXCESS = 0.002
"""Share of a variable's range by which a value may pass a bound and still be set to it."""

OUTSIDE_LIMIT = 0.01
"""Share of days outside the physical range above which the units must be wrong."""

_TEMPERATURES = ("air_temperature_max", "air_temperature_min")


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
        longer than the rules fill, or a flux has the wrong sign.
    """
    dataset = _trim(dataset)
    index = pd.DatetimeIndex(dataset["time"].to_numpy())
    days.check(index, dataset.attrs["source"], dataset.attrs["site"])
    dataset, notes = _targets(dataset, options)
    signs.refuse_wrong(dataset)
    for name in [name for name in FORCING if name in dataset]:
        values, more = _forcing(dataset, name, options)
        dataset[name] = ("time", values, dataset[name].attrs)
        notes += more
    for step in (_temperatures, _co2, _mean_temperature):
        dataset, more = step(dataset)
        notes += more
    return dataset.drop_vars(POTENTIAL_RADIATION, errors="ignore"), notes


def _trim(dataset: xr.Dataset) -> xr.Dataset:
    """Cuts the days before and after the record, where no required forcing has a value."""
    present = [dataset[name].notnull() for name in REQUIRED_FORCING if name in dataset]
    known = np.flatnonzero(np.any([one.to_numpy() for one in present], axis=0))
    if not len(known):
        raise DataError(
            "no forcing has any value",
            file=dataset.attrs["source"],
            site=dataset.attrs["site"],
            variable=", ".join(REQUIRED_FORCING[:2]) + " and others",
            found="missing throughout",
        )
    return dataset.isel(time=slice(int(known[0]), int(known[-1]) + 1))


def _targets(dataset: xr.Dataset, options: ReadOptions) -> tuple[xr.Dataset, list[Note]]:
    site, notes = dataset.attrs["site"], []
    for name in [name for name in VARIABLES if name in dataset]:
        values = dataset[name].to_numpy()
        quality = f"{name}_qc"
        if quality in dataset:
            with np.errstate(invalid="ignore"):
                poor = np.isfinite(values) & ~(dataset[quality].to_numpy() >= options.qc_threshold)
            values = np.where(poor, np.nan, values)
            message = f"quality below {options.qc_threshold:g}: not counted"
            notes += [Note(site, name, "masked", int(poor.sum()), message)] * bool(poor.any())
        dataset[name] = ("time", values, dataset[name].attrs)
        if not np.isfinite(values).any():
            notes.append(Note(site, name, "warning", len(values), "no day counts: not a target"))
            dataset = dataset.drop_vars([name, quality, f"{name}_uncertainty"], errors="ignore")
    return dataset, notes


def _forcing(dataset: xr.Dataset, name: str, options: ReadOptions) -> tuple[np.ndarray, list[Note]]:
    site, file = dataset.attrs["site"], dataset.attrs["source"]
    values = dataset[name].to_numpy().astype(np.float64)
    if name in REQUIRED_FORCING and not np.isfinite(values).any():
        raise DataError("no value in the whole record", file=file, site=site, variable=name)
    values, notes = _within_bounds(values, name, site, file)
    missing = np.isnan(values)
    if name in NEUTRAL_FORCING and name != "prescribed_gpp" and missing.any():
        message = f"missing: {NEUTRAL_FORCING[name]:g} is used"
        notes.append(Note(site, name, "defaulted", int(missing.sum()), message))
        return np.where(missing, NEUTRAL_FORCING[name], values), notes
    time = pd.DatetimeIndex(dataset["time"].to_numpy())
    # Carbon dioxide rises from year to year: a long gap takes the global mean, not another year.
    limits = replace(options, max_copy=0) if name == "co2" else options
    filled, counts, left = gaps.fill(values, time, name, limits)
    notes += [Note(site, name, "filled", count, rule) for rule, count in counts.items()]
    if left is not None and name != "co2":
        start, *_, end = iso(time[left[0] : left[1]])
        raise DataError(
            "a gap in the forcing is longer than the rules fill",
            file=file,
            site=site,
            variable=name,
            found=f"no value from {start} to {end}",
            expected=f"gaps of at most {options.max_gap} days, or at most {options.max_copy} days "
            "where another year has the same days",
        )
    return filled, notes


def _within_bounds(
    values: np.ndarray, name: str, site: str, file: str
) -> tuple[np.ndarray, list[Note]]:
    bounds, notes = FORCING[name].bounds, []
    if bounds is None:
        return values, notes
    low, high = bounds
    slight = SLIGHT_EXCESS * (high - low)
    with np.errstate(invalid="ignore"):
        near = ((values < low) & (values >= low - slight)) | (
            (values > high) & (values <= high + slight)
        )
        outside = (values < low - slight) | (values > high + slight)
    count, total = int(outside.sum()), int(np.isfinite(values).sum())
    limits = f"{low:g} to {high:g} {FORCING[name].units}"
    if count > OUTSIDE_LIMIT * total and name != "co2":
        raise DataError(
            f"{count} of {total} days are outside the physical range; are the units right?",
            file=file,
            site=site,
            variable=name,
            found=f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}",
            expected=limits,
        )
    if near.any():
        message = f"slightly outside {limits}: set to the bound"
        notes.append(Note(site, name, "converted", int(near.sum()), message))
    if count:
        message = f"outside {limits}: treated as missing"
        notes.append(Note(site, name, "warning", count, message))
    return np.where(outside, np.nan, np.clip(values, low, high)), notes


def _temperatures(dataset: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    site = dataset.attrs["site"]
    if all(name in dataset for name in _TEMPERATURES):
        high, low = (dataset[name].to_numpy() for name in _TEMPERATURES)
        swapped = high < low
        if not swapped.any():
            return dataset, []
        dataset[_TEMPERATURES[0]] = ("time", np.maximum(high, low), dataset[_TEMPERATURES[0]].attrs)
        dataset[_TEMPERATURES[1]] = ("time", np.minimum(high, low), dataset[_TEMPERATURES[1]].attrs)
        message = "maximum below minimum: exchanged"
        return dataset, [Note(site, _TEMPERATURES[0], "warning", int(swapped.sum()), message)]
    mean = dataset["air_temperature_mean"].to_numpy()
    half = (
        estimates.temperature_range(dataset["shortwave_radiation"].to_numpy(), _potential(dataset))
        / 2
    )
    for name, values in zip(_TEMPERATURES, (mean + half, mean - half), strict=True):
        dataset[name] = ("time", values, {"units": "degC"})
    message = "not measured: mean +- half the range from sky clearness (Bristow and Campbell 1984)"
    return dataset, [Note(site, "air_temperature_max, _min", "estimated", len(mean), message)]


def _potential(dataset: xr.Dataset) -> np.ndarray:
    if POTENTIAL_RADIATION in dataset and bool(dataset[POTENTIAL_RADIATION].notnull().all()):
        return dataset[POTENTIAL_RADIATION].to_numpy()
    day_of_year = dataset["time"].dt.dayofyear.to_numpy()
    return estimates.extraterrestrial_radiation(dataset["latitude"].item(), day_of_year)


def _co2(dataset: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    year = dataset["time"].dt.year.to_numpy()
    given = dataset["co2"].to_numpy() if "co2" in dataset else np.full(year.shape, np.nan)
    missing = np.isnan(given)
    if not missing.any():
        return dataset, []
    values = np.where(missing, estimates.global_co2(year), given)
    dataset["co2"] = ("time", values, {"units": FORCING["co2"].units})
    message = "missing: the global mean of the year is used"
    return dataset, [Note(dataset.attrs["site"], "co2", "defaulted", int(missing.sum()), message)]


def _mean_temperature(dataset: xr.Dataset) -> tuple[xr.Dataset, list[Note]]:
    name = "mean_annual_temperature"
    if name in dataset:
        return dataset, []
    monthly = dataset["air_temperature_mean"].groupby("time.month").mean()
    complete = monthly.sizes["month"] == 12
    value = float(monthly.mean()) if complete else ATTRIBUTES[name].default
    dataset[name] = ((), value, {"units": ATTRIBUTES[name].units})
    message = (
        "the mean of the 12 monthly means of the record"
        if complete
        else (f"the record does not hold all months; {value:g} degC is used")
    )
    kind = "estimated" if complete else "defaulted"
    return dataset, [Note(dataset.attrs["site"], name, kind, 1, message)]
