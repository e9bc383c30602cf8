"""From data sets to arrays: the door's last step, after which there are only arrays and masks."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data import crop_codes, estimates
from kgml_jax.data.schema import ATTRIBUTES, FORCING, NEUTRAL_FORCING, Reading
from kgml_jax.errors import DataError
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.sites import VARIABLES, Calendar, Place, Site, Sites

LEAST_UNCERTAINTY = 0.1
"""Smallest standard error of a daily flux: a stated 0 would make one day weigh without limit."""

_PULSES = (
    "planting",
    "harvest",
    "cut",
    "grazing",
    "tillage",
    "residue_removal",
    "fertiliser_ammonium",
    "fertiliser_nitrate",
    "manure_carbon",
    "manure_nitrogen",
)


def assemble(
    source: Reading | Sequence[xr.Dataset], targets: Sequence[str] = tuple(VARIABLES)
) -> Sites:
    """Stacks sites into float32 arrays with a leading site axis.

    Records are left-aligned and padded at the end to the longest: the forcing of the last day
    repeats (without management pulses), the calendar goes on, `valid` and every mask are
    False. Optional forcing that a site lacks is neutral. A target is there if any site has it.
    Where a target does not count its value is 0 and its uncertainty 1.

    Args:
      source: a reading, or canonical data sets with the dimension `time`, no NaN in the forcing,
        and the attributes `site` and, if known, `group`, `latitude`, `longitude`, `vegetation`.
      targets: names of `sites.PREDICTABLE` that become targets where a data set has them.

    Raises:
      DataError: there is no site, a name stands twice, or a forcing is missing or has a NaN.
    """
    datasets = source.sites if isinstance(source, Reading) else tuple(source)
    names = tuple(str(dataset.attrs["site"]) for dataset in datasets)
    if not names:
        raise DataError("there is no site to assemble")
    if len(set(names)) < len(names):
        raise DataError("two data sets of one site", found=", ".join(sorted(names)))
    groups = tuple(str(dataset.attrs.get("group") or "all") for dataset in datasets)
    group_names = tuple(sorted(set(groups)))
    length = max(dataset.sizes["time"] for dataset in datasets)
    site = Site(
        forcing=_record(Forcing, [_forcing(dataset, length) for dataset in datasets]),
        attributes=_record(Attributes, [_attributes(dataset) for dataset in datasets]),
        **_observations(datasets, targets, length),
        calendar=_record(Calendar, [_calendar(dataset, length) for dataset in datasets]),
        valid=_stack([np.arange(length) < dataset.sizes["time"] for dataset in datasets]),
        identity=_stack([np.uint32(zlib.crc32(name.encode())) for name in names]),
        group=_stack([np.int32(group_names.index(group)) for group in groups]),
    )
    places = tuple(_place(dataset) for dataset in datasets)
    return Sites(names, group_names, groups, site, places)


def _place(dataset: xr.Dataset) -> Place:
    given = (dataset.attrs.get(name) for name in ("latitude", "longitude"))
    degrees = [
        float(value) if isinstance(value, int | float) and np.isfinite(value) else None
        for value in given
    ]
    return Place(*degrees, vegetation=dataset.attrs.get("vegetation", ""))


def _stack(rows: Sequence[Any]) -> Any:
    return np.stack(rows)


def _record(cls: type, rows: list[dict[str, np.ndarray]]) -> Any:
    return cls(**{name: _stack([row[name] for row in rows]) for name in rows[0]})


def _dates(dataset: xr.Dataset, length: int) -> np.ndarray:
    first = dataset["time"].to_numpy()[0].astype("datetime64[D]")
    return first + np.arange(length)


def _calendar(dataset: xr.Dataset, length: int) -> dict[str, np.ndarray]:
    date = _dates(dataset, length)
    year = date.astype("datetime64[Y]").astype(np.int32) + 1970
    return {
        "date": date.astype(np.int32),
        "year": year.astype(np.int32),
        "day_of_year": _day_of_year(date),
        "year_index": (year - year[0]).astype(np.int32),
    }


def _day_of_year(date: np.ndarray) -> np.ndarray:
    return ((date - date.astype("datetime64[Y]")).astype(np.int32) + 1).astype(np.int32)


def _forcing(dataset: xr.Dataset, length: int) -> dict[str, np.ndarray]:
    date = _dates(dataset, length)
    year = date.astype("datetime64[Y]").astype(np.int64) + 1970
    rows: dict[str, np.ndarray] = {"day_of_year": _day_of_year(date).astype(np.float32)}
    for name in FORCING:
        if name in dataset:
            values = _given(dataset, name, length)
        elif name == "co2":
            values = estimates.global_co2(year)
        elif name in NEUTRAL_FORCING:
            values = np.full(length, NEUTRAL_FORCING[name])
        else:
            raise DataError(
                "required forcing is missing", site=dataset.attrs["site"], variable=name
            )
        if name == "crop":
            crop_codes.require_rows(values, dataset.attrs["site"])
        rows[name] = values.astype(np.int32 if name == "crop" else np.float32)
    return rows


def _given(dataset: xr.Dataset, name: str, length: int) -> np.ndarray:
    values = dataset[name].to_numpy()
    if not np.isfinite(values).all():
        day = str(dataset["time"].to_numpy()[~np.isfinite(values)][0])[:10]
        raise DataError("no value", site=dataset.attrs["site"], variable=name, found=f"on {day}")
    padding = (0, length - len(values))
    return np.pad(values, padding) if name in _PULSES else np.pad(values, padding, mode="edge")


def _attributes(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(
            dataset[name].item() if name in dataset else quantity.default, dtype=np.float32
        )
        for name, quantity in ATTRIBUTES.items()
    }


def _observations(
    datasets: Sequence[xr.Dataset], targets: Sequence[str], length: int
) -> dict[str, Any]:
    names = [name for name in targets if any(name in dataset for dataset in datasets)]
    stacked = {part: {} for part in ("targets", "mask", "uncertainty")}
    for name in names:
        rows = [_observed(dataset, name, length) for dataset in datasets]
        for part, column in zip(stacked, zip(*rows, strict=True), strict=True):
            stacked[part][name] = np.stack(column)
    return stacked


def _observed(
    dataset: xr.Dataset, name: str, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.full(length, np.nan)
    stated = np.full(length, np.nan)
    for target, key in ((values, name), (stated, f"{name}_uncertainty")):
        if key in dataset:
            target[: dataset.sizes["time"]] = dataset[key].to_numpy()
    mask = np.isfinite(values)
    usable = np.isfinite(stated) & (stated > 0)
    spread = np.where(usable, stated, estimates.flux_uncertainty(values))
    spread = np.where(mask, np.maximum(spread, LEAST_UNCERTAINTY), 1.0)
    return np.where(mask, values, 0.0).astype(np.float32), mask, spread.astype(np.float32)
