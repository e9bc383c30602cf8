"""What the weather of a site is drawn from: its monthly statistics, and how its years differ."""

from dataclasses import dataclass

import numpy as np

from kgml_jax.data.synthetic.states import STATES, Months


@dataclass(frozen=True)
class Station:
    """Daily statistics of a station by month, January first."""

    maximum_sd: Months
    """degC."""
    minimum_sd: Months
    """degC."""
    wet_shift: Months
    """Maximum temperature of wet less that of dry days, degC."""
    precipitation: Months
    """mm a month."""
    wet_after_dry: Months
    """Probability of a wet day after a dry one."""
    wet_after_wet: Months
    """Probability of a wet day after a wet one."""
    depth_shape: Months
    """Shape of the gamma distribution of precipitation on wet days."""
    clearness_dry: Months
    """Radiation over that above the air on dry days (mean of Ames, Iowa and Kellogg, Michigan)."""
    clearness_wet: Months
    """The same on wet days."""


STATION = Station(
    maximum_sd=(6.74, 6.68, 7.06, 6.33, 5.32, 4.16, 3.21, 3.34, 4.80, 5.96, 6.61, 6.50),
    minimum_sd=(7.12, 6.40, 5.39, 4.96, 4.56, 3.70, 2.96, 3.21, 4.51, 4.93, 5.39, 6.51),
    wet_shift=(1.59, 0.70, -0.43, -1.17, -2.05, -1.82, -0.88, -0.79, -1.31, -2.06, 0.32, 0.80),
    precipitation=(53.5, 51.8, 78.0, 96.6, 107.1, 102.2, 115.7, 96.3, 78.7, 73.8, 77.9, 66.3),
    wet_after_dry=(0.27, 0.26, 0.30, 0.34, 0.29, 0.28, 0.25, 0.22, 0.22, 0.21, 0.25, 0.27),
    wet_after_wet=(0.40, 0.44, 0.50, 0.49, 0.49, 0.43, 0.42, 0.44, 0.42, 0.46, 0.49, 0.47),
    depth_shape=(0.67, 0.70, 0.73, 0.76, 0.74, 0.65, 0.68, 0.68, 0.63, 0.65, 0.69, 0.69),
    clearness_dry=(0.47, 0.51, 0.52, 0.55, 0.57, 0.58, 0.58, 0.58, 0.57, 0.55, 0.45, 0.43),
    clearness_wet=(0.31, 0.32, 0.27, 0.30, 0.33, 0.39, 0.42, 0.39, 0.36, 0.26, 0.22, 0.27),
)
"""Champaign, Illinois, 1950-2009, where a day is wet from 0.254 mm: how days vary in a state."""

WET_EXPONENTS = (0.35, 0.15)
"""Wetter places have more wet days: how the two probabilities scale with precipitation."""

MOST_PROBABLE = 0.95

CLEARNESS_OFFSET = 0.03
"""Brings the stations' mean radiation nearer to that of the states, 14 to 15 MJ m-2 d-1."""

DAYS_IN_MONTH = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True)
class SiteClimate:
    """Where a site lies, and its monthly statistics, January first, each of shape (12,)."""

    latitude: float
    """Degrees north."""
    elevation: float
    """m above sea level."""
    maximum: np.ndarray
    """Mean of the highest temperature of the days, degC."""
    minimum: np.ndarray
    """Mean of the lowest, degC."""
    maximum_sd: np.ndarray
    minimum_sd: np.ndarray
    wet_shift: np.ndarray
    """Maximum temperature of wet less that of dry days, degC."""
    after_dry: np.ndarray
    """Probability of a wet day after a dry one."""
    after_wet: np.ndarray
    """Probability of a wet day after a wet one."""
    wet_depth: np.ndarray
    """Mean precipitation of a wet day, mm."""
    depth_shape: np.ndarray
    """Shape of the gamma distribution of precipitation on wet days."""
    clearness_dry: np.ndarray
    """Radiation over that above the air on dry days."""
    clearness_wet: np.ndarray

    @property
    def wet_share(self) -> np.ndarray:
        """Share of days that are wet, shape (12,)."""
        return self.after_dry / (1.0 + self.after_dry - self.after_wet)

    @property
    def mean_annual_temperature(self) -> float:
        """Mean of the monthly means of maximum and minimum, degC."""
        return float(np.mean([self.maximum, self.minimum]))


def draw(random: np.random.Generator, state: str) -> SiteClimate:
    """Draws a site of a state: its means near those of the state, its days as at `STATION`.

    Args:
      random: the site's stream.
      state: key of `STATES`.
    """
    centre, days = STATES[state], {name: np.asarray(row) for name, row in vars(STATION).items()}
    latitude = centre.latitude + random.uniform(-1.0, 1.0)
    elevation = centre.elevation + random.normal(0.0, 30.0)
    warmer = random.normal(0.0, 0.5)
    monthly = _factor(random, 0.06) * np.asarray(centre.precipitation)
    ratio = monthly * DAYS_IN_MONTH / days["precipitation"]
    dry, wet = (
        np.minimum(days[name] * ratio**exponent, MOST_PROBABLE)
        for name, exponent in zip(("wet_after_dry", "wet_after_wet"), WET_EXPONENTS, strict=True)
    )
    return SiteClimate(
        latitude=latitude,
        elevation=elevation,
        maximum=np.asarray(centre.maximum) + warmer,
        minimum=np.asarray(centre.minimum) + warmer,
        maximum_sd=days["maximum_sd"],
        minimum_sd=days["minimum_sd"],
        wet_shift=days["wet_shift"],
        after_dry=dry,
        after_wet=wet,
        wet_depth=monthly * (1.0 + dry - wet) / dry,
        depth_shape=days["depth_shape"],
        clearness_dry=days["clearness_dry"] + CLEARNESS_OFFSET,
        clearness_wet=days["clearness_wet"] + CLEARNESS_OFFSET,
    )


@dataclass(frozen=True)
class Anomalies:
    """How the years of a site differ from its climate, each of shape (year,)."""

    temperature: np.ndarray
    """degC."""
    precipitation_factor: np.ndarray


def anomalies(regional: np.random.Generator, local: np.random.Generator, years: int) -> Anomalies:
    """Draws the anomalies of years; half of their variance is common to the sites of a state.

    Without them a daily generator varies too little from year to year (Richardson 1981).

    Args:
      regional: a stream that is the same at all sites of the state.
      local: the site's own stream.
      years: number of years.
    """
    common, own = regional.normal(size=(2, years)), local.normal(size=(2, years))
    warm, wet = np.sqrt(0.5) * (common + own)
    sd = 0.13
    return Anomalies(temperature=0.6 * warm, precipitation_factor=np.exp(sd * wet - sd**2 / 2))


def daily(monthly: np.ndarray, day_of_year: np.ndarray) -> np.ndarray:
    """Interpolates values of the middles of the months linearly to days."""
    middle = (np.arange(12) + 0.5) * 365.25 / 12
    return np.interp(day_of_year - 0.5, middle, monthly, period=365.25)


def balanced(monthly: np.ndarray) -> np.ndarray:
    """Returns values for `daily` whose interpolation has the means `monthly`.

    A line through the means themselves cuts off summers and winters, by 0.5 degC in the Midwest.
    """
    # Of a month's mean, linear pieces take 3/4 from its own middle and 1/8 from each neighbour's.
    weights = 0.75 * np.eye(12) + 0.125 * (np.roll(np.eye(12), 1, 0) + np.roll(np.eye(12), -1, 0))
    return np.linalg.solve(weights, monthly)


def _factor(random: np.random.Generator, sd: float) -> float:
    # Lognormal with mean 1, so that the climate of the state stays that of its sites.
    return float(np.exp(random.normal(-(sd**2) / 2, sd)))
