"""Climates of weather stations from the monthly parameters of CLIGEN, the USDA weather generator.

A table with one row a station: `station`, `state` (two letters), `lat`, `elev_ft`, and for every
month the columns of `COLUMNS` with `_01` to `_12`. What a generator of Richardson's type has no
use for is left aside: the skew of precipitation (a gamma distribution has one of its own,
near the stations') and `sd_solrad_ly`, which CLIGEN scales by the distance to the clear sky and is
no standard deviation of days.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data import tables
from kgml_jax.data.estimates import extraterrestrial_radiation
from kgml_jax.data.synthetic.climate import STATION, SiteClimate
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError

Range = tuple[float, float]

COLUMNS: dict[str, tuple[str, Range]] = {
    "mean_p_in": ("in d-1", (0.01, 3.0)),
    "sd_p_in": ("in d-1", (0.01, 10.0)),
    "p_ww": ("1", (0.0, 0.99)),
    "p_wd": ("1", (0.01, 0.99)),
    "tmax_F": ("degF", (-40.0, 130.0)),
    "tmin_F": ("degF", (-60.0, 110.0)),
    "sd_tmax_F": ("degF", (0.5, 40.0)),
    "sd_tmin_F": ("degF", (0.5, 40.0)),
    "solrad_ly": ("langley d-1", (10.0, 900.0)),
}
"""Monthly columns, their units and what is accepted: mean and standard deviation of precipitation
on wet days, probability of a wet day after a wet and after a dry one, mean and standard deviation
of daily extremes, mean radiation."""

CANONICAL = {"in d-1": "mm d-1", "degF": "degC", "langley d-1": "MJ m-2 d-1", "1": "1"}

PLACE: dict[str, Range] = {"lat": (-66.0, 66.0), "elev_ft": (-300.0, 15_000.0)}

METRES_PER_FOOT = 0.3048

SHAPES = (0.3, 5.0)
"""Accepted shapes of the gamma distribution: a few stations state a standard deviation of a
multiple of their mean, which one storm has left; half of the stations lie between 0.5 and 0.7."""

MIDDLES = np.array([15, 46, 75, 105, 135, 166, 196, 227, 258, 288, 319, 349])
"""Days of the year in the middle of the months."""


def read(path: Path, states: Collection[str]) -> dict[str, tuple[SiteClimate, ...]]:
    """Reads the climates of the stations of some states.

    Args:
      path: csv, also compressed.
      states: two letters each.

    Raises:
      DataError: the file is no table, a column is missing or holds a value that cannot be, or a
        state has no station.
    """
    data = tables.contents(path)
    table = tables.columns(data, path.name)
    tables.refuse_unfinished(data, path.name)
    monthly = {name: [f"{name}_{month:02d}" for month in range(1, 13)] for name in COLUMNS}
    columns = [name for columns in monthly.values() for name in columns]
    missing = [name for name in ("station", "state", *PLACE, *columns) if name not in table]
    if missing:
        raise DataError("the column is missing", file=path, variable=missing[0])
    twice = pd.DataFrame({name: table[name] for name in ("station", "state")}).duplicated()
    if twice.any():
        found = str(table["station"].iloc[int(np.flatnonzero(twice)[0])])
        raise DataError("the station stands twice", file=path, variable="station", found=found)
    places = {name: _checked(path, table, name, accepted) for name, accepted in PLACE.items()}
    values = {
        name: np.stack([_checked(path, table, one, COLUMNS[name][1]) for one in columns], axis=1)
        for name, columns in monthly.items()
    }
    stations: dict[str, list[SiteClimate]] = {state: [] for state in states}
    for row in np.flatnonzero(table["state"].isin(list(states))):
        latitude, feet = (float(places[name][row]) for name in PLACE)
        one = {name: _canonical(name, months[row]) for name, months in values.items()}
        climate = _climate(latitude, METRES_PER_FOOT * feet, one)
        stations[str(table["state"].iloc[row])].append(climate)
    empty = [state for state, found in stations.items() if not found]
    if empty:
        found = ", ".join(sorted(table["state"].astype(str).unique()))
        raise DataError("no station in the state", file=path, variable=empty[0], found=found)
    return {state: tuple(found) for state, found in stations.items()}


def _checked(path: Path, table: dict[str, pd.Series], name: str, accepted: Range) -> np.ndarray:
    low, high = accepted
    values = tables.numbers(table[name], path.name, None, name)
    wrong = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(wrong):
        raise DataError(
            "a value that cannot be",
            file=path,
            site=str(table["station"].iloc[wrong[0]]),
            variable=name,
            found=f"{values[wrong[0]]:g}",
            expected=f"{low:g} to {high:g}",
        )
    return values


def _canonical(name: str, values: np.ndarray) -> np.ndarray:
    units = COLUMNS[name][0]
    spread = name.startswith("sd_")
    return convert(values, units, CANONICAL[units], variable=name, is_spread=spread)


def _climate(latitude: float, elevation: float, monthly: dict[str, np.ndarray]) -> SiteClimate:
    dry, wet = monthly["p_wd"], monthly["p_ww"]
    share = dry / (1.0 + dry - wet)
    usual_dry, usual_wet = np.asarray(STATION.clearness_dry), np.asarray(STATION.clearness_wet)
    # The table knows the mean over wet and dry days; how they differ is taken from `STATION`.
    clearness = monthly["solrad_ly"] / extraterrestrial_radiation(latitude, MIDDLES)
    scale = clearness / (share * usual_wet + (1.0 - share) * usual_dry)
    return SiteClimate(
        latitude=latitude,
        elevation=elevation,
        maximum=monthly["tmax_F"],
        minimum=monthly["tmin_F"],
        maximum_sd=monthly["sd_tmax_F"],
        minimum_sd=monthly["sd_tmin_F"],
        wet_shift=np.asarray(STATION.wet_shift),
        after_dry=dry,
        after_wet=wet,
        wet_depth=monthly["mean_p_in"],
        depth_shape=np.clip((monthly["mean_p_in"] / monthly["sd_p_in"]) ** 2, *SHAPES),
        clearness_dry=scale * usual_dry,
        clearness_wet=scale * usual_wet,
    )
