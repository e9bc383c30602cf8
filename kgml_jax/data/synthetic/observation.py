"""What an instrument makes of the truth: random errors that grow with the flux, and gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Noise:
    """Standard deviation of a daily value: `constant + slope * |flux|`, in units of the flux."""

    constant: float
    slope: float

    def sd(self, flux: np.ndarray) -> np.ndarray:
        """Returns the standard deviation of values whose truth is `flux`."""
        return self.constant + self.slope * np.abs(flux)


NOISE = {
    "GPP": Noise(0.30, 0.08),
    "Ra": Noise(0.15, 0.08),
    "Rh": Noise(0.15, 0.08),
    "Reco": Noise(0.25, 0.08),
    "NEE": Noise(0.35, 0.08),
    "ET": Noise(0.20, 0.08),
}
"""Errors of daily sums; that of NEE is a tower's, its parts are known no worse."""

GAP_SHARE = (0.30, 0.60)
"""Smallest and largest share of a site's days that are missing."""

LONG_GAP = (15, 60)
"""Days for which a broken instrument is silent; such gaps make half of the missing days."""

SHORT_GAP = 3.0
"""Mean length, in days, of gaps left by calm nights, rain and calibration."""

TOGETHER = ("NEE", "GPP", "Reco", "Ra", "Rh")
"""Come from one instrument, so their gaps are the same."""


def observe(
    random: np.random.Generator, truth: dict[str, np.ndarray], noise: bool, gaps: bool
) -> dict[str, np.ndarray]:
    """Observes the fluxes of one site.

    Args:
      random: the site's stream.
      truth: true daily fluxes by name, each of shape (time,).
      noise: whether to add random errors, and to state them as `<name>_uncertainty`.
      gaps: whether days are missing.

    Returns:
      Observations and their uncertainties, NaN where missing. Values near 0 may have the wrong
      sign, as those of instruments do: cutting them off would bias their mean.
    """
    observed, days = {}, len(next(iter(truth.values())))
    # Drawn for every flux, observed or not, so that one does not depend on the choice of others.
    errors = dict(zip(NOISE, random.normal(size=(len(NOISE), days)), strict=True))
    for name in truth:
        observed[name] = truth[name].copy()
        if noise:
            observed[f"{name}_uncertainty"] = NOISE[name].sd(truth[name])
            observed[name] += errors[name] * observed[f"{name}_uncertainty"]
    if gaps:
        carbon, water = _missing(random, days)
        for name, values in observed.items():
            own = carbon if name.removesuffix("_uncertainty") in TOGETHER else water
            values[own] = np.nan
    return observed


def _missing(random: np.random.Generator, days: int) -> tuple[np.ndarray, np.ndarray]:
    # Long gaps silence the whole tower; short ones strike each instrument by itself.
    share = random.uniform(*GAP_SHARE)
    long = lambda: int(random.integers(*LONG_GAP, endpoint=True))
    short = lambda: int(random.geometric(1.0 / SHORT_GAP))
    silent = _add_gaps(random, np.zeros(days, dtype=bool), long, 0.5 * share)
    carbon, water = (_add_gaps(random, silent, short, share) for _ in range(2))
    return carbon, water


def _add_gaps(
    random: np.random.Generator, missing: np.ndarray, length: Callable[[], int], share: float
) -> np.ndarray:
    missing, wanted = missing.copy(), round(share * len(missing))
    while (left := wanted - int(missing.sum())) > 0:
        start = int(random.integers(len(missing)))
        missing[start : start + min(length(), left)] = True
    return missing
