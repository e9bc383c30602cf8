"""Daily weather of one site: a Richardson generator (Richardson 1981; WGEN, 1984).

Wet and dry days follow a first-order Markov chain, depths a gamma distribution; the residuals of
temperature and clearness follow a first-order autoregression about means of wet and of dry days.
"""

import numpy as np

from kgml_jax.data.estimates import extraterrestrial_radiation, global_co2
from kgml_jax.data.synthetic.climate import Anomalies, SiteClimate, balanced, daily
from kgml_jax.process.humidity import saturation_pressure

PERSISTENCE = np.array([[0.566, 0.126, 0.05], [0.37, 0.40, -0.04], [0.0, -0.05, 0.22]])
INNOVATION = np.array([[0.735, 0.0, 0.0], [0.36, 0.60, 0.0], [0.20, -0.36, 0.87]])
"""Of the residuals of maximum, minimum and clearness; mean of fits to Ames and Kellogg."""

CLEARNESS_SD = 0.16
CLEARNESS_LIMITS = (0.06, 0.78)

BURN_IN = 30
"""Days after which the residuals have forgotten that they started at 0."""


def generate(
    random: np.random.Generator, site: SiteClimate, dates: np.ndarray, anomalies: Anomalies
) -> dict[str, np.ndarray]:
    """Generates the weather of one site.

    Args:
      random: the site's stream.
      site: its climate.
      dates: datetime64[D], shape (time,).
      anomalies: of the years of `dates`.

    Returns:
      The weather fields of `Forcing` in canonical units, each of shape (time,).
    """
    year = dates.astype("datetime64[Y]")
    day_of_year = (dates - year).astype(int) + 1
    which = (year - year[0]).astype(int)
    rain = precipitation(random, site, day_of_year)
    rain = rain * anomalies.precipitation_factor[which]
    noise = residuals(random, len(dates))
    highest, lowest = temperatures(site, day_of_year, rain > 0, noise)
    highest, lowest = (row + anomalies.temperature[which] for row in (highest, lowest))
    return {
        "shortwave_radiation": radiation(site, day_of_year, rain > 0, noise[:, 2]),
        "air_temperature_mean": 0.5 * (highest + lowest),
        "air_temperature_max": highest,
        "air_temperature_min": lowest,
        "vapour_pressure_deficit": vapour_pressure_deficit(highest, lowest, rain > 0, day_of_year),
        "precipitation": rain,
        "wind_speed": wind_speed(random, day_of_year),
        "co2": global_co2(year.astype(int) + 1970),
    }


def precipitation(
    random: np.random.Generator, site: SiteClimate, day_of_year: np.ndarray
) -> np.ndarray:
    """Draws precipitation, mm d-1, shape (time,)."""
    threshold = np.stack([daily(site.after_dry, day_of_year), daily(site.after_wet, day_of_year)])
    draw = random.random(len(day_of_year)) < threshold
    wet, today = np.zeros(len(day_of_year), dtype=bool), False
    for day, (after_dry, after_wet) in enumerate(draw.T.tolist()):
        today = after_wet if today else after_dry
        wet[day] = today
    shape = daily(site.depth_shape, day_of_year)
    depth = random.gamma(shape, daily(site.wet_depth, day_of_year) / shape)
    return np.where(wet, depth, 0.0)


def residuals(random: np.random.Generator, days: int) -> np.ndarray:
    """Draws standardised residuals of maximum, minimum and clearness, shape (time, 3)."""
    shocks = random.normal(size=(days + BURN_IN, 3)) @ INNOVATION.T
    series, state = np.empty_like(shocks), np.zeros(3)
    for day, shock in enumerate(shocks):
        state = PERSISTENCE @ state + shock
        series[day] = state
    return series[BURN_IN:]


def temperatures(
    site: SiteClimate, day_of_year: np.ndarray, wet: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the highest and the lowest temperature of the days of a site's climate, degC."""
    on = lambda monthly: daily(monthly, day_of_year)
    # Shifted by the wet share, so that the mean over wet and dry days stays that of the climate.
    highest = on(balanced(site.maximum)) + on(site.wet_shift) * (wet - on(site.wet_share))
    highest = highest + on(site.maximum_sd) * noise[:, 0]
    lowest = on(balanced(site.minimum)) + on(site.minimum_sd) * noise[:, 1]
    return highest, np.minimum(lowest, highest - 1.0)


def radiation(
    site: SiteClimate, day_of_year: np.ndarray, wet: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Returns global radiation from a clearness index, MJ m-2 d-1."""
    on = lambda monthly: daily(monthly, day_of_year)
    clearness = np.where(wet, on(site.clearness_wet), on(site.clearness_dry))
    clearness = np.clip(clearness + CLEARNESS_SD * noise, *CLEARNESS_LIMITS)
    return clearness * extraterrestrial_radiation(site.latitude, day_of_year)


def vapour_pressure_deficit(
    highest: np.ndarray, lowest: np.ndarray, wet: np.ndarray, day_of_year: np.ndarray
) -> np.ndarray:
    """Returns the deficit of air whose dew point lies near the lowest temperature, kPa.

    On dry days the air holds 7 % less than that in winter and 2 % more in midsummer, when crops
    moisten it.
    """
    saturation = 0.5 * (saturation_pressure(highest) + saturation_pressure(lowest))
    dry = 0.975 + 0.045 * _summer(day_of_year)
    held = saturation_pressure(lowest) * np.where(wet, 1.0, dry)
    return np.maximum(saturation - held, 0.0)


def wind_speed(random: np.random.Generator, day_of_year: np.ndarray) -> np.ndarray:
    """Draws wind speed at 2 m, m s-1; winters are windier."""
    mean = 2.8 - 0.4 * _summer(day_of_year)
    return np.maximum(random.normal(mean, 0.9), 0.3)


def _summer(day_of_year: np.ndarray) -> np.ndarray:
    # 1 in midsummer (20 July), -1 in midwinter.
    return np.cos(2 * np.pi * (day_of_year - 201) / 365.25)
