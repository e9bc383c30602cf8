"""Whether a record is of one piece: all years in the same units, no value that stays for weeks.

Nothing here changes a value; the limits lie well beyond what towers of FLUXNET2015 show (Pastorello
et al. 2020), and within what a factor of 10 or a hole in a file makes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgml_jax.data.draft import Draft

LEAST_DAYS = 250
"""Days with a value that a calendar year needs to be compared."""


@dataclass(frozen=True)
class Evenness:
    """By which factor a year of a variable may differ from the median of the others."""

    measure: Literal["mean", "spread"]
    factor: float
    least: float
    """What both may be without their ratio saying anything, in the units of the variable."""


EVENNESS = {
    "precipitation": Evenness("mean", 5.0, 0.27),
    "shortwave_radiation": Evenness("mean", 2.0, 2.0),
    "vapour_pressure_deficit": Evenness("mean", 2.5, 0.05),
    "wind_speed": Evenness("mean", 2.5, 0.3),
    "air_temperature_mean": Evenness("spread", 2.5, 2.0),
    "ET": Evenness("mean", 4.0, 0.1),
    "GPP": Evenness("mean", 5.0, 0.3),
    "Reco": Evenness("mean", 4.0, 0.3),
    "Ra": Evenness("mean", 5.0, 0.3),
    "Rh": Evenness("mean", 5.0, 0.3),
    "NEE": Evenness("spread", 4.0, 0.3),
}
"""By variable. At 11 towers years of radiation differ by 13 %, of deficit and wind by 39 %, of
fluxes up to threefold (a clear-cut, crops that take turns), of rain 5.6-fold once."""

MOST_SAME = 10
"""Days on end with one value, to the last digit, that weather and fluxes have not by themselves:
the towers reach 3."""

LEAST_SUN = 1.0
"""MJ m-2 d-1 at the top of the atmosphere, below which radiation may stay at 0 (polar night)."""

_VARYING = (
    *("shortwave_radiation", "vapour_pressure_deficit", "wind_speed", "NEE", "ET"),
    *("air_temperature_mean", "air_temperature_max", "air_temperature_min"),
)


def judge(draft: Draft, potential: np.ndarray) -> None:
    """Warns of years that differ from the others as units do, and of values that stand still.

    Args:
      draft: of one site, forcing filled, targets masked.
      potential: radiation at the top of the atmosphere, MJ m-2 d-1, shape `(time,)`.
    """
    for name in [name for name in EVENNESS if name in draft.values]:
        _uneven(draft, name, EVENNESS[name])
    for name in [name for name in _VARYING if name in draft.values]:
        _still(draft, name, np.where(_may_rest(draft, name, potential), np.nan, draft.values[name]))


def _may_rest(draft: Draft, name: str, potential: np.ndarray) -> np.ndarray:
    """Returns the days on which a value may be that of the day before: dark ones, frozen ones."""
    if name == "shortwave_radiation":
        return potential <= LEAST_SUN
    frozen = draft.values["air_temperature_mean"] < 0.0
    return (draft.values[name] == 0.0) & frozen & (name == "ET")


def _uneven(draft: Draft, name: str, even: Evenness) -> None:
    values, year = draft.values[name], draft.time.year.to_numpy()
    measure = np.nanmean if even.measure == "mean" else np.nanstd
    found = {
        int(one): float(measure(values[year == one]))
        for one in np.unique(year)
        if np.isfinite(values[year == one]).sum() >= LEAST_DAYS
    }
    for one, value in found.items() if len(found) > 1 else ():
        usual = float(np.median([other for key, other in found.items() if key != one]))
        low, high = sorted((usual, value))
        if high > max(even.least, even.factor * low):
            message = (
                f"a {even.measure} of {value:.3g} in {one}, {usual:.3g} in the other years; are "
                "the units of all years the same?"
            )
            draft.note(name, "warning", int((year == one).sum()), message)


def _still(draft: Draft, name: str, values: np.ndarray) -> None:
    moves = np.flatnonzero(np.diff(values) != 0) + 1  # NaN differs from everything
    edges = np.concatenate([[0], moves, [len(values)]])
    lengths = np.diff(edges)
    longest = int(lengths.argmax())
    days = int(lengths[longest])
    # A value that is the same throughout was never measured; other words are said of it.
    if MOST_SAME <= days < len(values):
        first = int(edges[longest])
        day = f"{draft.time[first]:%Y-%m-%d}"
        message = f"{values[first]:g} on {days} days on end from {day}: not measured?"
        draft.note(name, "warning", days, message)
