"""Stand-ins, from published relations, for what a file does not hold."""

import numpy as np

from kgml_jax.process.humidity import saturation_pressure
from kgml_jax.process.radiation import EMISSIVITY, black_body

SOLAR_CONSTANT = 0.0820
"""MJ m-2 min-1 (Allen et al. 1998, FAO-56, eq. 21)."""

CLEAR_SKY_TRANSMISSIVITY = 0.75
BRISTOW_CAMPBELL_EXPONENT = 2.4
BRISTOW_CAMPBELL_RATE = 0.006
"""degC-2.4; between the site values of Bristow and Campbell (1984) for ranges of 9 to 14 degC."""

INLAND_RANGE_COEFFICIENT = 0.16
"""degC-0.5; share of the radiation at the top of the atmosphere (FAO-56, eq. 50)."""

USUAL_ALBEDO = 0.20
"""Of fields without snow: the prior of the process model."""

SNOWLESS = 2.0
"""degC; mean air temperature of days that are taken to have no snow on the ground."""

LEAST_SKY, MOST_SKY = 0.5, 1.1
"""Of a black body as warm as the air: what skies radiate, from deserts in winter to fog."""

MEAN_WIND = 2.0
"""m s-1; where no wind is measured (FAO-56, p. 63: the mean of over 2000 stations)."""


def extraterrestrial_radiation(latitude: float, day_of_year: np.ndarray) -> np.ndarray:
    """Daily radiation at the top of the atmosphere (Allen et al. 1998, FAO-56, eq. 21 to 25).

    Args:
      latitude: degrees north.
      day_of_year: shape `(time,)`, 1 January = 1.

    Returns:
      MJ m-2 d-1, shape `(time,)`.
    """
    angle = 2 * np.pi * day_of_year / 365
    distance = 1 + 0.033 * np.cos(angle)
    declination = 0.409 * np.sin(angle - 1.39)
    phi = np.deg2rad(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1.0, 1.0))
    height = sunset * np.sin(phi) * np.sin(declination) + (
        np.cos(phi) * np.cos(declination) * np.sin(sunset)
    )
    return 24 * 60 / np.pi * SOLAR_CONSTANT * distance * height


def sky_of_net_radiation(
    net: np.ndarray, shortwave: np.ndarray, temperature: np.ndarray
) -> np.ndarray:
    """Thermal radiation of the sky that, with global radiation, makes a net radiation.

    The ground is as warm as the air, and reflects as one without snow. On days that may have snow,
    and where no sky radiates so little or so much, it is not known.

    Args:
      net: measured, MJ m-2 d-1, shape `(time,)`, NaN where missing.
      shortwave: global radiation, MJ m-2 d-1.
      temperature: of the air, degC.

    Returns:
      MJ m-2 d-1; NaN where it is not known.
    """
    own = np.asarray(black_body(temperature))
    sky = own + (net - (1.0 - USUAL_ALBEDO) * shortwave) / EMISSIVITY
    known = (temperature > SNOWLESS) & (sky > LEAST_SKY * own) & (sky < MOST_SKY * own)
    return np.where(known, sky, np.nan)


def temperature_range(radiation: np.ndarray, potential: np.ndarray) -> np.ndarray:
    """Daily range of air temperature from the clearness of the sky.

    Bristow and Campbell (1984, eq. 5), solved for the range: clearness = A (1 - exp(-B range^C)).

    Args:
      radiation: global radiation, MJ m-2 d-1, shape `(time,)`.
      potential: the same at the top of the atmosphere.

    Returns:
      degC, shape `(time,)`; 4 to 16 degC for clearness 0.1 to 0.7.
    """
    clearness = radiation / np.maximum(potential, 0.1)
    share = np.clip(clearness / CLEAR_SKY_TRANSMISSIVITY, 0.02, 0.97)
    return (-np.log1p(-share) / BRISTOW_CAMPBELL_RATE) ** (1 / BRISTOW_CAMPBELL_EXPONENT)


def radiation_from_range(
    warmest: np.ndarray, coldest: np.ndarray, potential: np.ndarray
) -> np.ndarray:
    """Global radiation from the range of the temperature of a day, inland (FAO-56, eq. 50).

    Args:
      warmest: daily maximum, degC, shape `(time,)`.
      coldest: daily minimum.
      potential: radiation at the top of the atmosphere.

    Returns:
      The units of `potential`; 0 where the minimum is above the maximum.
    """
    return INLAND_RANGE_COEFFICIENT * np.sqrt(np.maximum(warmest - coldest, 0.0)) * potential


def deficit_from_extremes(warmest: np.ndarray, coldest: np.ndarray) -> np.ndarray:
    """Vapour pressure deficit with the daily minimum as dew point (FAO-56, eqs. 12 and 48).

    Args:
      warmest: daily maximum, degC, shape `(time,)`.
      coldest: daily minimum.

    Returns:
      kPa; half of what saturation at the maximum is above saturation at the minimum, missing where
      one of them is.
    """
    known = np.isfinite(warmest) & np.isfinite(coldest)
    warmest, coldest = np.where(known, warmest, np.nan), np.where(known, coldest, np.nan)
    return 0.5 * np.maximum(saturation_pressure(warmest) - saturation_pressure(coldest), 0.0)


def global_co2(year: np.ndarray) -> np.ndarray:
    """Global mean carbon dioxide of a year, a smooth curve through NOAA's annual means.

    `280 + 89 exp((year - 2000) / 51)`, within 2 umol mol-1 of the record from 1980 to 2024.

    Returns:
      umol mol-1, the shape of `year`.
    """
    return 280.0 + 89.0 * np.exp((np.asarray(year, dtype=np.float64) - 2000.0) / 51.0)


def flux_uncertainty(flux: np.ndarray) -> np.ndarray:
    """Standard error of a daily flux whose file states none: it grows with the flux.

    A constant and a tenth of the flux; random errors of towers have a Laplace distribution whose
    scale grows linearly with the flux (Richardson et al. 2006). The two numbers are a convention.

    Returns:
      The units of the flux, g C m-2 d-1 or mm d-1.
    """
    return 0.3 + 0.1 * np.abs(flux)
