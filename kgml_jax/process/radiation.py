"""Sun, air and radiation of one day: FAO-56 (Allen et al. 1998) as pure functions.

What happens in leaves within a day is integrated by Gaussian quadrature over the daylight hours:
three instants between sunrise and noon, mirrored in the afternoon.
"""

import jax.numpy as jnp
import numpy as np

from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.humidity import saturation_pressure, saturation_slope
from kgml_jax.process.smooth import Real, spos
from kgml_jax.records import Field, constant, record, var

STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 d-1; FAO-56
EMISSIVITY = 0.97  # 1; of canopy and soil
SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1; FAO-56
LATENT_HEAT = 2.45  # MJ kg-1; of vaporisation, FAO-56
TWILIGHT = -4.0  # degree; elevation of the sun at which plants begin to see the day (WOFOST)
DAY = 86400.0  # s; one day
_HALF = 0.5 + np.sqrt(0.15) * np.array([1.0, 0.0, -1.0])
NODES = np.concatenate([-_HALF, _HALF[::-1]])  # 1; hour angles of the instants over that of sunset
WEIGHTS = np.array([5.0, 8.0, 5.0, 5.0, 8.0, 5.0]) / 36.0  # 1; of the instants in a daytime mean
WARMEST = 2.5 * 2.0 * np.pi / 24.0  # rad; hour angle of the warmest time of day, half past two


@record
class Sun:
    """Course of the sun: sine of its elevation is `offset + amplitude * cos(hour_angle)`."""

    offset: Field = var(units="1", doc="sin(latitude) sin(declination)")
    amplitude: Field = var(units="1", doc="cos(latitude) cos(declination)")
    sunset: Field = var(units="1", doc="Hour angle of sunset, radians")
    inverse_distance: Field = var(units="1", doc="Inverse relative distance to the sun, squared")


@record
class Daylight:
    """The daylight hours at six instants from sunrise to sunset, shape (6,) unless stated."""

    elevation_sine: Field = var(units="1", doc="Sine of the sun's elevation")
    intensity: Field = var(units="1", doc="Global radiation over its daytime mean")
    temperature: Field = var(units="degC", doc="Air temperature")
    vapour_pressure_deficit: Field = var(units="kPa", doc="Deficit of the air")
    length: Field = var(units="d", doc="From sunrise to sunset, ()")


@record
class Atmosphere:
    """What a day's forcing says about sun and air."""

    sun: Sun
    daylight: Daylight
    extraterrestrial_radiation: Field = var(units="MJ m-2 d-1", doc="Radiation above the air (Ra)")
    clear_sky_radiation: Field = var(units="MJ m-2 d-1", doc="Radiation under a clear sky (Rso)")
    vapour_pressure: Field = var(units="kPa", doc="Actual vapour pressure (ea)")
    psychrometric_constant: Field = var(units="kPa", doc="Psychrometric constant, per degC")


def sun(latitude: Field, day_of_year: Field) -> Sun:
    """Returns the sun's course at `latitude` (degrees) on a day (eqs. 23-25).

    In polar day or night the sunset angle stays just inside (0, pi).
    """
    year_angle = 2.0 * jnp.pi * day_of_year / 365.0
    declination = 0.409 * jnp.sin(year_angle - 1.39)
    phi = jnp.deg2rad(latitude)
    offset = jnp.sin(phi) * jnp.sin(declination)
    amplitude = jnp.cos(phi) * jnp.cos(declination)
    return Sun(
        offset=offset,
        amplitude=amplitude,
        sunset=jnp.arccos(jnp.clip(-offset / amplitude, -0.999, 0.999)),
        inverse_distance=1.0 + 0.033 * jnp.cos(year_angle),
    )


def daylight_hours(sun: Sun) -> Field:
    """Hours from sunrise to sunset (eq. 34)."""
    return 24.0 / jnp.pi * sun.sunset


def photoperiod(sun: Sun) -> Field:
    """Hours with the sun above -4 degrees, by which plants tell the season (WOFOST `DAYLP`)."""
    angle = (np.sin(np.deg2rad(TWILIGHT)) - sun.offset) / sun.amplitude
    return 24.0 / jnp.pi * jnp.arccos(jnp.clip(angle, -0.999, 0.999))


def extraterrestrial_radiation(sun: Sun) -> Field:
    """Radiation on a horizontal surface above the atmosphere, MJ m-2 d-1 (eq. 21)."""
    path = sun.sunset * sun.offset + sun.amplitude * jnp.sin(sun.sunset)
    return 24.0 * 60.0 / jnp.pi * SOLAR_CONSTANT * sun.inverse_distance * jnp.maximum(path, 1e-3)


def clear_sky_radiation(extraterrestrial: Field, elevation: Field) -> Field:
    """Radiation under a clear sky at `elevation` (m), MJ m-2 d-1 (eq. 37)."""
    return (0.75 + 2e-5 * elevation) * extraterrestrial


def atmospheric_pressure(elevation: Field) -> Field:
    """Mean air pressure at `elevation` (m), kPa (eq. 7)."""
    return 101.3 * ((293.0 - 0.0065 * elevation) / 293.0) ** 5.26


def psychrometric_constant(pressure: Field) -> Field:
    """Psychrometric constant at air `pressure` (kPa), kPa degC-1 (eq. 8)."""
    return 0.665e-3 * pressure


def wind_at_two_metres(wind: Field, height: Field) -> Field:
    """Wind speed at 2 m from that measured at `height` (m) over grass (eq. 47)."""
    return wind * 4.87 / jnp.log(67.8 * height - 5.42)


def net_longwave(
    maximum: Field, minimum: Field, vapour_pressure: Field, relative_shortwave: Field
) -> Field:
    """Net outgoing longwave radiation, MJ m-2 d-1 (eq. 39).

    Args:
      maximum: highest air temperature, degC.
      minimum: lowest air temperature, degC.
      vapour_pressure: actual vapour pressure, kPa.
      relative_shortwave: measured over clear-sky radiation; kept within 0.3 to 1.
    """
    emission = 0.5 * STEFAN_BOLTZMANN * ((maximum + 273.16) ** 4 + (minimum + 273.16) ** 4)
    cloud = 1.35 * jnp.clip(relative_shortwave, 0.3, 1.0) - 0.35
    return emission * (0.34 - 0.14 * jnp.sqrt(vapour_pressure)) * cloud


def longwave_loss(forcing: Forcing, atmosphere: Atmosphere) -> Field:
    """Net outgoing longwave radiation of the day, MJ m-2 d-1."""
    return net_longwave(
        forcing.air_temperature_max,
        forcing.air_temperature_min,
        atmosphere.vapour_pressure,
        forcing.shortwave_radiation / atmosphere.clear_sky_radiation,
    )


def net_radiation(forcing: Forcing, atmosphere: Atmosphere, albedo: Real) -> Field:
    """Net radiation of a surface with `albedo`, MJ m-2 d-1 (eq. 40); can be negative."""
    return (1.0 - albedo) * forcing.shortwave_radiation - longwave_loss(forcing, atmosphere)


def clear_sky_emissivity(vapour_pressure: Field, temperature: Field) -> Field:
    """Emissivity of a clear sky (Prata 1996) by vapour pressure, kPa, and temperature, degC."""
    water = 465.0 * vapour_pressure / (temperature + 273.15)  # cm; that could rain from it
    return 1.0 - (1.0 + water) * jnp.exp(-jnp.sqrt(1.2 + 3.0 * water))


def incoming_longwave(forcing: Forcing, atmosphere: Atmosphere) -> Field:
    """Thermal radiation of the sky, MJ m-2 d-1: as measured, else estimated.

    Clouds radiate as black bodies, and cover the sky by the share of the radiation under a clear
    one that does not arrive (Crawford and Duchon 1999).
    """
    clear = jnp.clip(forcing.shortwave_radiation / atmosphere.clear_sky_radiation, 0.0, 1.0)
    temperature = forcing.air_temperature_mean
    emissivity = clear_sky_emissivity(atmosphere.vapour_pressure, temperature)
    estimated = (1.0 - clear * (1.0 - emissivity)) * black_body(temperature)
    given = forcing.longwave_radiation
    return jnp.where(given > 0.0, given, estimated)


def black_body(temperature: Field) -> Field:
    """Thermal radiation of a black body at `temperature` (degC), MJ m-2 d-1."""
    return STEFAN_BOLTZMANN * (temperature + 273.15) ** 4


def thermal_loss(forcing: Forcing, atmosphere: Atmosphere) -> Field:
    """Thermal radiation that ground and canopy as warm as the air lose on balance, MJ m-2 d-1."""
    own = black_body(forcing.air_temperature_mean)
    return EMISSIVITY * (own - incoming_longwave(forcing, atmosphere))


def reference_evapotranspiration(
    forcing: Forcing, atmosphere: Atmosphere, ground_heat: Field
) -> Field:
    """Evapotranspiration of short watered grass, mm d-1 (eq. 6); wind is taken as that at 2 m.

    Uses the mean of the extremes as the day's temperature, as FAO-56 asks.
    """
    maximum, minimum = forcing.air_temperature_max, forcing.air_temperature_min
    temperature = 0.5 * (maximum + minimum)
    saturation = 0.5 * (saturation_pressure(maximum) + saturation_pressure(minimum))
    deficit = saturation - atmosphere.vapour_pressure
    slope, gamma = saturation_slope(temperature), atmosphere.psychrometric_constant
    energy = 0.408 * slope * (net_radiation(forcing, atmosphere, 0.23) - ground_heat)
    wind = gamma * 900.0 / (temperature + 273.0) * forcing.wind_speed * deficit
    return (energy + wind) / (slope + gamma * (1.0 + 0.34 * forcing.wind_speed))


def daylight(sun: Sun, forcing: Forcing, vapour_pressure: Field) -> Daylight:
    """Returns the course of light and air between sunrise and sunset.

    Radiation follows the sun's elevation in Goudriaan's form, temperature a cosine between the
    day's extremes, and `vapour_pressure` (kPa) stays the same all day.
    """
    angle = sun.sunset * constant(NODES)
    sine = jnp.maximum(sun.offset + sun.amplitude * jnp.cos(angle), 0.01)
    shape = sine * (1.0 + 0.4 * sine)
    half_range = 0.5 * (forcing.air_temperature_max - forcing.air_temperature_min)
    temperature = forcing.air_temperature_mean + half_range * jnp.cos(angle - WARMEST)
    deficit = spos(saturation_pressure(temperature) - vapour_pressure, 20.0)
    return Daylight(
        elevation_sine=sine,
        intensity=shape / jnp.sum(constant(WEIGHTS) * shape),
        temperature=temperature,
        vapour_pressure_deficit=0.05 + deficit,
        length=sun.sunset / jnp.pi,
    )


def atmosphere(attributes: Attributes, forcing: Forcing) -> Atmosphere:
    """Returns the state of sun and air on a day.

    Vapour pressure is the FAO-56 mean saturation pressure less the deficit, kept above 0 smoothly.
    """
    course = sun(attributes.latitude, forcing.day_of_year)
    extraterrestrial = extraterrestrial_radiation(course)
    saturation = 0.5 * (
        saturation_pressure(forcing.air_temperature_max)
        + saturation_pressure(forcing.air_temperature_min)
    )
    floor = 0.01  # kPa; keeps the root of vapour pressure differentiable in very dry air
    vapour = floor + spos(saturation - forcing.vapour_pressure_deficit - floor, 50.0)
    return Atmosphere(
        sun=course,
        daylight=daylight(course, forcing, vapour),
        extraterrestrial_radiation=extraterrestrial,
        clear_sky_radiation=clear_sky_radiation(extraterrestrial, attributes.elevation),
        vapour_pressure=vapour,
        psychrometric_constant=psychrometric_constant(atmospheric_pressure(attributes.elevation)),
    )
