"""Sun, air and radiation of one day: FAO-56 (Allen et al. 1998) as pure functions."""

import jax.numpy as jnp

from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.smooth import Real, spos
from kgml_jax.records import Field, record, var

STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 d-1
SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1
LATENT_HEAT = 2.45  # MJ kg-1


@record
class Sun:
    """Course of the sun: sine of its elevation is `offset + amplitude * cos(hour_angle)`."""

    offset: Field = var(units="1", doc="sin(latitude) sin(declination)")
    amplitude: Field = var(units="1", doc="cos(latitude) cos(declination)")
    sunset: Field = var(units="1", doc="Hour angle of sunset, radians")
    inverse_distance: Field = var(units="1", doc="Inverse relative distance to the sun, squared")


@record
class Atmosphere:
    """What a day's forcing says about sun and air."""

    sun: Sun
    extraterrestrial_radiation: Field = var(units="MJ m-2 d-1", doc="Radiation above the air (Ra)")
    clear_sky_radiation: Field = var(units="MJ m-2 d-1", doc="Radiation under a clear sky (Rso)")
    vapour_pressure: Field = var(units="kPa", doc="Actual vapour pressure (ea)")
    vapour_slope: Field = var(units="kPa", doc="Slope of saturation pressure, per degC")
    psychrometric_constant: Field = var(units="kPa", doc="Psychrometric constant, per degC")


def sun(latitude: Field, day_of_year: Field) -> Sun:
    """Returns the sun's course at `latitude` (degrees) on a day (eqs. 23-25).

    In polar day or night the sunset angle stays just inside (0, pi).
    """
    year_angle = 2.0 * jnp.pi * day_of_year / 365.0
    declination = 0.409 * jnp.sin(year_angle - 1.39)
    phi = jnp.deg2rad(latitude)
    horizon = -jnp.tan(phi) * jnp.tan(declination)
    return Sun(
        offset=jnp.sin(phi) * jnp.sin(declination),
        amplitude=jnp.cos(phi) * jnp.cos(declination),
        sunset=jnp.arccos(jnp.clip(horizon, -0.999, 0.999)),
        inverse_distance=1.0 + 0.033 * jnp.cos(year_angle),
    )


def daylight_hours(sun: Sun) -> Field:
    """Hours from sunrise to sunset (eq. 34)."""
    return 24.0 / jnp.pi * sun.sunset


def extraterrestrial_radiation(sun: Sun) -> Field:
    """Radiation on a horizontal surface above the atmosphere, MJ m-2 d-1 (eq. 21)."""
    path = sun.sunset * sun.offset + sun.amplitude * jnp.sin(sun.sunset)
    return 24.0 * 60.0 / jnp.pi * SOLAR_CONSTANT * sun.inverse_distance * jnp.maximum(path, 1e-3)


def clear_sky_radiation(extraterrestrial: Field, elevation: Field) -> Field:
    """Radiation under a clear sky at `elevation` (m), MJ m-2 d-1 (eq. 37)."""
    return (0.75 + 2e-5 * elevation) * extraterrestrial


def saturation_pressure(temperature: Field) -> Field:
    """Saturation vapour pressure over water at `temperature` (degC), kPa (eq. 11)."""
    return 0.6108 * jnp.exp(17.27 * temperature / (temperature + 237.3))


def saturation_slope(temperature: Field) -> Field:
    """Slope of the saturation vapour pressure, kPa degC-1 (eq. 13)."""
    return 4098.0 * saturation_pressure(temperature) / (temperature + 237.3) ** 2


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


def net_radiation(forcing: Forcing, atmosphere: Atmosphere, albedo: Real) -> Field:
    """Net radiation of a surface with `albedo`, MJ m-2 d-1 (eq. 40); can be negative."""
    longwave = net_longwave(
        forcing.air_temperature_max,
        forcing.air_temperature_min,
        atmosphere.vapour_pressure,
        forcing.shortwave_radiation / atmosphere.clear_sky_radiation,
    )
    return (1.0 - albedo) * forcing.shortwave_radiation - longwave


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
        extraterrestrial_radiation=extraterrestrial,
        clear_sky_radiation=clear_sky_radiation(extraterrestrial, attributes.elevation),
        vapour_pressure=vapour,
        vapour_slope=saturation_slope(forcing.air_temperature_mean),
        psychrometric_constant=psychrometric_constant(atmospheric_pressure(attributes.elevation)),
    )
