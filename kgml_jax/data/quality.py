"""From what a file says to what a model may use: masks of targets, forcing without gaps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import (
    bounds,
    consistency,
    crop_codes,
    days,
    estimates,
    gaps,
    greenness,
    hemisphere,
    plausible,
    signs,
    targets,
)
from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import (
    ATTRIBUTES,
    FORCING,
    NET_RADIATION,
    NEUTRAL_FORCING,
    POTENTIAL_RADIATION,
    REQUIRED_FORCING,
    Note,
    ReadOptions,
    expected_units,
    iso,
)
from kgml_jax.errors import DataError, kept, listed, raise_together

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
      DataError: days are absent or stand twice; a forcing is empty, out of its range, or has a gap
        longer than the rules fill; a crop is no row of the crop table; quality is on another scale;
        a target is impossible on many days or has the wrong sign; the year or its hemisphere cannot
        be. All that is wrong with the values is in one message.
    """
    draft = _drafted(dataset)
    bounds.strip_codes(draft)
    _trim(draft)
    days.check(draft.time, draft.file, draft.site)
    if options.skip_bad_sites:
        _cut_years(draft, options)
    errors: list[DataError] = []
    greenness.complete(draft)
    targets.complete(draft, options, errors)
    for name in [name for name in FORCING if name in draft.values]:
        with kept(errors):
            _forcing(draft, name, options)
    if not errors:
        with kept(errors):
            hemisphere.refuse_wrong(draft, dataset.attrs)
        crop_codes.warn_of_bare_days(draft)
        _net_radiation(draft)
        _temperatures(draft)
        _co2(draft)
        with kept(errors):
            _mean_temperature(draft)
        potential, _ = _potential(draft)
        with kept(errors):
            plausible.judge(draft, potential)
        consistency.judge(draft, potential)
    for name in (POTENTIAL_RADIATION, NET_RADIATION):
        draft.values.pop(name, None)
    finished = _finished(draft, dataset.attrs)
    with kept(errors):
        signs.refuse_wrong(finished)
    raise_together(errors)
    return finished, draft.notes


def _drafted(dataset: xr.Dataset) -> Draft:
    values = {str(name): array.to_numpy() for name, array in dataset.data_vars.items()}
    time = pd.DatetimeIndex(dataset["time"].to_numpy())
    return Draft(dataset.attrs["site"], dataset.attrs["source"], time, values, [])


def _finished(draft: Draft, attrs: Mapping[str, Any]) -> xr.Dataset:
    return xr.Dataset(
        {
            name: (("time",) * values.ndim, values, {"units": expected_units(name)})
            for name, values in draft.values.items()
        },
        coords={"time": ("time", draft.time)},
        attrs=attrs,
    )


def _trim(draft: Draft) -> None:
    """Cuts the days before and after the record, where no required forcing has a value."""
    values = draft.values
    present = [np.isfinite(values[name]) for name in REQUIRED_FORCING if name in values]
    known = np.flatnonzero(np.any(present, axis=0))
    if not len(known):
        variables = ", ".join(REQUIRED_FORCING[:2]) + " and others"
        raise draft.error("no forcing has any value", variables, found="missing throughout")
    draft.cut(slice(int(known[0]), int(known[-1]) + 1))


def _cut_years(draft: Draft, options: ReadOptions) -> None:
    """Cuts calendar years off the ends of the record that lack a required forcing.

    A year lacks it where a gap is longer than the rules fill. Years within the record stay, and
    all of them where none would be left: the site is then refused as it is.
    """
    while lacking := _lacking(draft, options):
        year = draft.time.year.to_numpy()
        complete = [one for one in np.unique(year) if one not in lacking]
        if not complete:
            return
        inside = (year >= complete[0]) & (year <= complete[-1])
        if inside.all():
            return
        for one in np.unique(year[~inside]):
            count, message = int((year == one).sum()), f"{one} left out: a gap in the forcing"
            draft.note(lacking[one], "left out", count, message)
        # What is left is looked at again: a gap may have been filled from a year that is gone.
        days_inside = np.flatnonzero(inside)
        draft.cut(slice(int(days_inside[0]), int(days_inside[-1]) + 1))


def _lacking(draft: Draft, options: ReadOptions) -> dict[int, str]:
    """Returns the years with a gap that the rules do not fill, and in which variables."""
    lacking: dict[int, list[str]] = {}
    for name in [name for name in REQUIRED_FORCING if name in draft.values]:
        values = draft.values[name].astype(np.float64)
        values = np.where(bounds.outside(name, values)[0], np.nan, values)
        for start, stop in gaps.fill(values, draft.time, name, options)[2]:
            for year in np.unique(draft.time.year[start:stop]):
                lacking.setdefault(int(year), []).append(name)
    return {year: ", ".join(dict.fromkeys(names)) for year, names in lacking.items()}


def _forcing(draft: Draft, name: str, options: ReadOptions) -> None:
    values = draft.values[name].astype(np.float64)
    if name in REQUIRED_FORCING and not np.isfinite(values).any():
        raise draft.error("no value in the whole record", name)
    if name == "crop":
        values = crop_codes.rows(draft, options)
    values = _within_bounds(draft, name, values)
    missing = np.isnan(values)
    if name in NEUTRAL_FORCING and name != "prescribed_gpp":
        neutral = NEUTRAL_FORCING[name]
        draft.note(name, "defaulted", missing.sum(), f"missing: {neutral:g} is used")
        draft.values[name] = np.where(missing, neutral, values)
        return
    # Carbon dioxide rises from year to year: a long gap takes the global mean, not another year.
    limits = replace(options, max_copy=0) if name == "co2" else options
    filled, counts, left = gaps.fill(values, draft.time, name, limits)
    for rule, count in counts.items():
        draft.note(name, "filled", count, rule)
    if left and name != "co2":
        spans = [iso(draft.time[[start, stop - 1]]) for start, stop in left]
        raise draft.error(
            "a gap in the forcing is longer than the rules fill",
            name,
            found=f"no value from {listed([f'{start} to {end}' for start, end in spans], 3)}",
            expected=f"gaps of at most {options.max_gap} days, or at most {options.max_copy} days "
            "where another year has the same days",
        )
    draft.values[name] = filled


def _within_bounds(draft: Draft, name: str, values: np.ndarray) -> np.ndarray:
    low, high = bounds.physical(name)
    outside, near = bounds.outside(name, values)
    count, total = int(outside.sum()), int(np.isfinite(values).sum())
    limits = bounds.in_words(name)
    _refuse_storms(draft, name, values[outside], limits)
    # What people did is few days, none of them an error of a sensor.
    given = name in NEUTRAL_FORCING and name != "prescribed_gpp"
    allowed = 0 if given else bounds.OUTSIDE_LIMIT * total
    if count > allowed and name != "co2":
        raise draft.error(
            f"{count} of {total} days are outside the physical range; are the units right?",
            name,
            found=f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}",
            expected=limits,
        )
    draft.note(name, "converted", near.sum(), f"slightly outside {limits}: set to the bound")
    draft.note(name, "warning", count, f"outside {limits}: treated as missing")
    return np.where(outside, np.nan, np.clip(values, low, high))


def _refuse_storms(draft: Draft, name: str, beyond: np.ndarray, limits: str) -> None:
    # As a missing value a storm would be filled as dry.
    storms = beyond[(beyond > 0) & (beyond <= bounds.STORMS * bounds.physical(name)[1])]
    if name == "precipitation" and len(storms):
        raise draft.error(
            f"{len(storms)} days have more rain than falls in a day; are the units right? Correct "
            "them, or make them missing if they are to be counted as dry",
            name,
            found=f"up to {storms.max():.4g}",
            expected=limits,
        )


def _temperatures(draft: Draft) -> None:
    highest, lowest = _TEMPERATURES
    if highest in draft.values and lowest in draft.values:
        high, low = draft.values[highest], draft.values[lowest]
        swapped = int((high < low).sum())
        draft.note(highest, "warning", swapped, "maximum below minimum: exchanged")
        draft.values[highest], draft.values[lowest] = np.maximum(high, low), np.minimum(high, low)
        return
    mean = draft.values["air_temperature_mean"]
    radiation = draft.values["shortwave_radiation"]
    potential, of_it = _potential(draft)
    half = estimates.temperature_range(radiation, potential) / 2
    draft.values[highest], draft.values[lowest] = mean + half, mean - half
    message = "not measured: mean +- half the range from sky clearness (Bristow and Campbell 1984)"
    message += of_it
    draft.note("air_temperature_max, _min", "estimated", len(mean), message)


def _potential(draft: Draft) -> tuple[np.ndarray, str]:
    """Returns the radiation at the top of the atmosphere, and words for where it is not given."""
    potential = draft.values.get(POTENTIAL_RADIATION)
    if potential is not None and np.isfinite(potential).all():
        return potential, ""
    # A site whose attributes were refused is looked at further, for all that is wrong with it.
    latitude = float(draft.values.get("latitude", np.asarray(ATTRIBUTES["latitude"].default)))
    potential = estimates.extraterrestrial_radiation(latitude, draft.time.day_of_year.to_numpy())
    return potential, f", potential radiation computed at {latitude:.4g} degree_north"


def _net_radiation(draft: Draft) -> None:
    """Tells measured net radiation as the thermal radiation of the sky that it means."""
    net = draft.values.get(NET_RADIATION)
    if net is None or not np.isfinite(net).any():
        return
    temperature = draft.values["air_temperature_mean"]
    sky = estimates.sky_of_net_radiation(net, draft.values["shortwave_radiation"], temperature)
    known = np.isfinite(sky)
    given = draft.values.get("longwave_radiation", np.zeros(len(sky)))
    draft.values["longwave_radiation"] = np.where(known, sky, given)
    message = "of the measured net radiation, with an albedo of 0.2, on days above 2 degC"
    draft.note("longwave_radiation", "estimated", int(known.sum()), message)


def _co2(draft: Draft) -> None:
    usual = estimates.global_co2(draft.time.year.to_numpy())
    given = draft.values.get("co2", np.full(usual.shape, np.nan))
    missing = np.isnan(given)
    draft.values["co2"] = np.where(missing, usual, given)
    message = "missing: the global mean of the year is used"
    draft.note("co2", "defaulted", missing.sum(), message)


def _mean_temperature(draft: Draft) -> None:
    name = "mean_annual_temperature"
    if name in draft.values:
        return
    month = draft.time.month.to_numpy() - 1
    days_of_month = np.bincount(month, minlength=12)
    if (days_of_month == 0).any():
        value = float(ATTRIBUTES[name].default or 0.0)
        message = f"the record does not hold all months; {value:g} degC is used"
        draft.note(name, "defaulted", 1, message)
    else:
        total = np.bincount(month, draft.values["air_temperature_mean"], minlength=12)
        value = float(np.mean(total / days_of_month))
        low, high = ATTRIBUTES[name].bounds or (-np.inf, np.inf)
        if not low <= value <= high:
            limits = f"{low:g} to {high:g} degC"
            problem = "is of no place with fields; are the units right?"
            raise draft.error(problem, "air_temperature_mean", found=value, expected=limits)
        draft.note(name, "estimated", 1, "the mean of the 12 monthly means of the record")
    draft.values[name] = np.asarray(value)
