"""What an instrument makes of the truth: random errors that grow with the flux, and gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kgml_jax.records import Quantity

BESIDE: dict[str, Quantity] = {
    "soil_water_content": Quantity("m3 m-3", "Mean of 0-30 cm."),
    "soil_temperature": Quantity("degC", "At 10 cm."),
    "grain_yield": Quantity("Mg ha-1", "At market moisture; has a value on the day of harvest."),
    "soil_carbon_stock": Quantity(
        "g C m-2", "Organic carbon of 0-30 cm, sampled on 1 April of every fifth year."
    ),
}
"""What is observed at a site beside the fluxes that a model is trained on."""


@dataclass(frozen=True)
class Noise:
    """Standard deviation of a daily value: `constant + slope * |truth|`, in units of the truth."""

    constant: float
    slope: float

    def sd(self, truth: np.ndarray) -> np.ndarray:
        """Returns the standard deviation of values whose truth is `truth`."""
        return self.constant + self.slope * np.abs(truth)


NOISE = {
    "GPP": Noise(0.30, 0.08),
    "Ra": Noise(0.15, 0.08),
    "Rh": Noise(0.15, 0.08),
    "Reco": Noise(0.25, 0.08),
    "NEE": Noise(0.35, 0.08),
    "ET": Noise(0.20, 0.08),
    "soil_water_content": Noise(0.02, 0.0),
    "soil_temperature": Noise(0.5, 0.0),
    "grain_yield": Noise(0.0, 0.08),
    "soil_carbon_stock": Noise(0.0, 0.08),
}
"""Errors of values, in the order in which they are drawn; that of NEE is a tower's, its parts are
known no worse."""

INSTRUMENTS = (
    ("NEE", "GPP", "Reco", "Ra", "Rh"),
    ("ET",),
    ("soil_water_content", "soil_temperature"),
)
"""What is measured together has the same gaps."""

SURVEY_INTERVAL = 5
"""Years between samplings of soil carbon."""

GAP_SHARE = (0.30, 0.60)
"""Smallest and largest share of a site's days that are missing."""

LONG_GAP = (15, 60)
"""Days for which a broken tower is silent; such gaps make half of the missing days."""

SHORT_GAP = 3.0
"""Mean length, in days, of gaps left by calm nights, rain and calibration."""


def observe(
    random: np.random.Generator,
    truth: dict[str, np.ndarray],
    occasions: dict[str, np.ndarray],
    noise: bool,
    gaps: bool,
) -> dict[str, np.ndarray]:
    """Observes one site.

    Args:
      random: the site's stream.
      truth: true daily values by name, keys of `NOISE`, each of shape (time,).
      occasions: days on which values of what is not measured daily are taken, bool, (time,).
      noise: whether to add random errors, and to state them as `<name>_uncertainty`.
      gaps: whether instruments miss days.

    Returns:
      Observations and their uncertainties, NaN where missing. Values near 0 may have the wrong
      sign, as those of instruments do: cutting them off would bias their mean.
    """
    days = len(next(iter(truth.values())))
    # Drawn for all, observed or not, so that one does not depend on the choice of others.
    errors = dict(zip(NOISE, random.normal(size=(len(NOISE), days)), strict=True))
    silent = _missing(random, days) if gaps else {}
    observed = {}
    for name, values in truth.items():
        absent = silent.get(name, np.zeros(days, dtype=bool))
        absent = ~occasions[name] if name in occasions else absent
        spread = NOISE[name].sd(values)
        seen = values + spread * errors[name] if noise else values
        observed[name] = np.where(absent, np.nan, seen)
        if noise:
            observed[f"{name}_uncertainty"] = np.where(absent, np.nan, spread)
    return observed


def occasions(dates: np.ndarray, harvest: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the days on which yield and soil carbon are measured, bool, shape (time,).

    Args:
      dates: datetime64[D], shape (time,).
      harvest: pulse of the harvest, shape (time,).
    """
    year = dates.astype("datetime64[Y]")
    first_of_april = dates == year.astype("datetime64[M]") + np.timedelta64(3, "M")
    surveyed = (year - year[0]).astype(int) % SURVEY_INTERVAL == 0
    return {"grain_yield": harvest > 0, "soil_carbon_stock": first_of_april & surveyed}


def _missing(random: np.random.Generator, days: int) -> dict[str, np.ndarray]:
    # Long gaps silence the whole tower; short ones strike each instrument by itself.
    share = random.uniform(*GAP_SHARE)
    long = lambda: int(random.integers(*LONG_GAP, endpoint=True))
    short = lambda: int(random.geometric(1.0 / SHORT_GAP))
    silent = _add_gaps(random, np.zeros(days, dtype=bool), long, 0.5 * share)
    missing = {}
    for names in INSTRUMENTS:
        missing |= dict.fromkeys(names, _add_gaps(random, silent, short, share))
    return missing


def _add_gaps(
    random: np.random.Generator, missing: np.ndarray, length: Callable[[], int], share: float
) -> np.ndarray:
    missing, wanted = missing.copy(), round(share * len(missing))
    while (left := wanted - int(missing.sum())) > 0:
        start = int(random.integers(len(missing)))
        missing[start : start + min(length(), left)] = True
    return missing
