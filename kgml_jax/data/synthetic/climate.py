"""Climates of three states, statistics of one station in them, and how a site differs.

State values are monthly means of 1981-2010 from a bias-corrected model (NEX-DCP30, state means of
the USGS National Climate Change Viewer). Station values were fitted to the daily record of
Champaign, Illinois, 1950-2009, in which a day is wet from 0.254 mm.
"""

from dataclasses import dataclass

import numpy as np

Months = tuple[float, ...]


@dataclass(frozen=True)
class StateClimate:
    """Centre of a state and its monthly means, January first."""

    latitude: float
    """Degrees north."""
    elevation: float
    """m above sea level."""
    maximum: Months
    """Daily maximum temperature, degC."""
    minimum: Months
    """Daily minimum temperature, degC."""
    precipitation: Months
    """mm d-1."""


STATES = {
    "IL": StateClimate(
        latitude=40.0,
        elevation=200.0,
        maximum=(1.8, 5.1, 10.4, 18.0, 24.1, 29.0, 30.8, 29.8, 26.6, 20.0, 11.4, 4.4),
        minimum=(-7.9, -5.1, -0.6, 5.5, 11.2, 16.4, 18.5, 17.2, 13.1, 6.6, 0.8, -4.7),
        precipitation=(1.62, 1.90, 2.62, 3.19, 3.45, 3.33, 3.11, 2.84, 2.69, 2.13, 2.82, 1.87),
    ),
    "IA": StateClimate(
        latitude=42.0,
        elevation=330.0,
        maximum=(-1.7, 2.0, 7.2, 16.2, 22.6, 27.7, 30.1, 28.7, 24.7, 18.2, 8.5, 1.1),
        minimum=(-12.3, -8.8, -3.7, 3.2, 9.7, 15.1, 17.5, 16.1, 11.3, 4.7, -2.4, -8.7),
        precipitation=(0.65, 1.03, 1.86, 2.60, 3.61, 4.02, 3.04, 3.32, 2.75, 1.68, 1.68, 0.87),
    ),
    "IN": StateClimate(
        latitude=40.0,
        elevation=240.0,
        maximum=(2.2, 5.2, 10.4, 17.5, 23.5, 28.3, 30.0, 29.2, 26.2, 19.5, 11.5, 4.8),
        minimum=(-7.4, -5.2, -0.8, 4.9, 10.6, 15.8, 17.7, 16.4, 12.6, 6.0, 1.0, -4.2),
        precipitation=(2.41, 2.15, 2.94, 3.29, 3.58, 3.39, 3.55, 2.84, 2.66, 2.24, 3.18, 2.25),
    ),
}


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

DAYS_IN_MONTH = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True)
class SiteClimate:
    """Where a site lies, and how its climate differs from that of its state."""

    state: str
    latitude: float
    elevation: float
    temperature_offset: float
    """degC, the same in every season."""
    precipitation_factor: float

    @property
    def mean_annual_temperature(self) -> float:
        """Mean of the monthly means of maximum and minimum, degC."""
        means = STATES[self.state]
        return float(np.mean([means.maximum, means.minimum])) + self.temperature_offset


def draw(random: np.random.Generator, state: str) -> SiteClimate:
    """Draws a site of a state."""
    centre = STATES[state]
    return SiteClimate(
        state=state,
        latitude=centre.latitude + random.uniform(-1.0, 1.0),
        elevation=centre.elevation + random.normal(0.0, 30.0),
        temperature_offset=random.normal(0.0, 0.5),
        precipitation_factor=_factor(random, 0.06),
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


def daily(monthly: Months | np.ndarray, day_of_year: np.ndarray) -> np.ndarray:
    """Interpolates monthly means to days, linearly between the middles of the months."""
    middle = (np.arange(12) + 0.5) * 365.25 / 12
    return np.interp(day_of_year - 0.5, middle, monthly, period=365.25)


def _factor(random: np.random.Generator, sd: float) -> float:
    # Lognormal with mean 1, so that the climate of the state stays that of its sites.
    return float(np.exp(random.normal(-(sd**2) / 2, sd)))
