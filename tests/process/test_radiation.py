"""Worked examples of FAO-56 (Allen et al. 1998)."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import Compiled, assert_vmap_equals_loop, compiled
from strategies import corn_soy_forcing

from kgml_jax.process import humidity, radiation
from kgml_jax.process.drivers import Attributes
from kgml_jax.records import constant

pytestmark = pytest.mark.usefixtures("x64")
sky, vapour_of = Compiled(radiation), Compiled(humidity)


with jax.enable_x64(True):
    YEAR = jax.device_get(corn_soy_forcing(1))


def day(**values):
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[180], YEAR)
    return dataclasses.replace(one, **{name: constant(v) for name, v in values.items()})


def reference_day(latitude, elevation, maximum, minimum, vapour, day_of_year, **values):
    saturation = 0.5 * (
        vapour_of.saturation_pressure(maximum) + vapour_of.saturation_pressure(minimum)
    )
    forcing = day(
        air_temperature_max=maximum,
        air_temperature_min=minimum,
        air_temperature_mean=0.5 * (maximum + minimum),
        vapour_pressure_deficit=saturation - vapour,
        day_of_year=day_of_year,
        **values,
    )
    attributes = Attributes(latitude=constant(latitude), elevation=constant(elevation))
    return forcing, sky.atmosphere(attributes, forcing)


def test_example_8_extraterrestrial_radiation_at_20_south():
    sun = sky.sun(-20.0, 246.0)
    np.testing.assert_allclose(sun.sunset, 1.527, atol=1e-3)
    declination = np.arcsin(sun.offset / np.sin(np.deg2rad(-20.0)))
    np.testing.assert_allclose(declination, 0.120, atol=1e-3)
    np.testing.assert_allclose(sun.inverse_distance, 0.985, atol=1e-3)
    np.testing.assert_allclose(sky.extraterrestrial_radiation(sun), 32.2, atol=0.05)
    np.testing.assert_allclose(sky.daylight_hours(sun), 11.7, atol=0.05)


def test_air_pressure_and_psychrometric_constant_at_1800_m():
    pressure = sky.atmospheric_pressure(1800.0)
    np.testing.assert_allclose(pressure, 81.8, atol=0.05)
    np.testing.assert_allclose(sky.psychrometric_constant(pressure), 0.054, atol=5e-4)


def test_example_10_shortwave_from_the_hours_of_sunshine_in_rio_de_janeiro():
    sun = sky.sun(-22.9, 135.0)
    hours = sky.daylight_hours(sun)
    np.testing.assert_allclose(hours, 10.9, atol=0.05)
    shortwave = (0.25 + 0.5 * 7.1 / hours) * sky.extraterrestrial_radiation(sun)
    np.testing.assert_allclose(shortwave, 14.45, atol=0.1)


def test_example_15_shortwave_from_the_range_of_temperature_in_lyon():
    top = sky.extraterrestrial_radiation(sky.sun(45 + 43 / 60, 196.0))
    np.testing.assert_allclose(0.16 * np.sqrt(26.6 - 14.8) * top, 22.3, atol=0.1)


def test_example_11_net_longwave_of_rio_de_janeiro_in_may():
    longwave = sky.net_longwave(25.1, 19.1, 2.1, 14.5 / 18.8)
    np.testing.assert_allclose(longwave, 3.5, atol=0.05)


def test_example_14_wind_at_two_metres():
    np.testing.assert_allclose(sky.wind_at_two_metres(3.2, 10.0), 2.4, atol=0.05)


def test_example_17_bangkok_in_april():
    forcing, air = reference_day(
        13 + 44 / 60, 2.0, 34.8, 25.6, 2.8460, 105.0, shortwave_radiation=22.65, wind_speed=2.0
    )
    slope = vapour_of.saturation_slope(forcing.air_temperature_mean)
    np.testing.assert_allclose(slope, 0.24580, atol=5e-5)
    np.testing.assert_allclose(air.psychrometric_constant, 0.06732, atol=5e-5)
    np.testing.assert_allclose(air.extraterrestrial_radiation, 38.058, atol=1e-2)
    np.testing.assert_allclose(air.clear_sky_radiation, 28.545, atol=1e-2)
    saturation = forcing.vapour_pressure_deficit + air.vapour_pressure
    np.testing.assert_allclose(saturation, 4.4218, atol=5e-5)
    np.testing.assert_allclose(sky.longwave_loss(forcing, air), 3.113, atol=2e-3)
    np.testing.assert_allclose(sky.net_radiation(forcing, air, 0.23), 14.328, atol=5e-3)
    grass = sky.reference_evapotranspiration(forcing, air, 0.14)
    np.testing.assert_allclose(grass, 5.718, atol=2e-3)


def test_example_18_uccle_on_6_july():
    forcing, air = reference_day(
        50.8, 100.0, 21.5, 12.3, 1.4086, 187.0, shortwave_radiation=22.07, wind_speed=2.0776
    )
    slope = vapour_of.saturation_slope(forcing.air_temperature_mean)
    np.testing.assert_allclose(slope, 0.12211, atol=5e-5)
    np.testing.assert_allclose(air.psychrometric_constant, 0.06657, atol=2e-5)
    saturation = forcing.vapour_pressure_deficit + air.vapour_pressure
    np.testing.assert_allclose(saturation, 1.9975, atol=5e-5)
    np.testing.assert_allclose(sky.wind_at_two_metres(10 / 3.6, 10.0), 2.0776, atol=2e-3)
    np.testing.assert_allclose(air.extraterrestrial_radiation, 41.088, atol=1e-3)
    np.testing.assert_allclose(sky.daylight_hours(air.sun), 16.10, atol=1e-2)
    np.testing.assert_allclose(air.clear_sky_radiation, 30.898, atol=1e-3)
    ratio = forcing.shortwave_radiation / air.clear_sky_radiation
    longwave = sky.net_longwave(21.5, 12.3, air.vapour_pressure, ratio)
    np.testing.assert_allclose(longwave, 3.711, atol=1e-3)
    np.testing.assert_allclose(sky.net_radiation(forcing, air, 0.23), 13.282, atol=1e-3)
    grass = sky.reference_evapotranspiration(forcing, air, 0.0)
    np.testing.assert_allclose(grass, 3.880, atol=1e-3)


def daylight_of(latitude, day_of_year, **values):
    forcing = day(day_of_year=day_of_year, **values)
    return forcing, radiation.atmosphere(Attributes(latitude=constant(latitude)), forcing)


def daylight_at(latitude, day_of_year):
    forcing = day(day_of_year=day_of_year)
    return forcing, sky.atmosphere(Attributes(latitude=constant(latitude)), forcing)


@pytest.mark.parametrize(("latitude", "day_of_year"), [(41.0, 190.0), (41.0, 20.0), (-35.0, 80.0)])
def test_light_of_the_instants_is_that_of_the_day_in_goudriaans_form(latitude, day_of_year):
    _, air = daylight_at(latitude, day_of_year)
    np.testing.assert_allclose(radiation.WEIGHTS.sum(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(np.sum(radiation.WEIGHTS * air.daylight.intensity), 1.0, rtol=1e-14)
    angle = np.linspace(-air.sun.sunset, air.sun.sunset, 20001)
    sine = air.sun.offset + air.sun.amplitude * np.cos(angle)
    shape = sine * (1.0 + 0.4 * sine)
    fine = air.daylight.elevation_sine * (1.0 + 0.4 * air.daylight.elevation_sine)
    fine = fine * 2.0 * air.sun.sunset / np.trapezoid(shape, angle)
    np.testing.assert_allclose(air.daylight.intensity, fine, rtol=2e-3)


def test_air_is_warmest_and_driest_in_the_afternoon_within_the_extremes_of_the_day():
    forcing, air = daylight_at(41.0, 190.0)
    light = air.daylight
    assert np.all(light.temperature <= forcing.air_temperature_max)
    assert np.all(light.temperature >= forcing.air_temperature_min)
    np.testing.assert_array_less(light.temperature[:3], light.temperature[:2:-1])
    saturation = vapour_of.saturation_pressure(light.temperature)
    deficit = saturation - air.vapour_pressure
    np.testing.assert_allclose(light.vapour_pressure_deficit, 0.05 + deficit, atol=0.02)
    np.testing.assert_allclose(24.0 * light.length, sky.daylight_hours(air.sun), rtol=1e-14)


@compiled
@partial(jax.grad, argnums=(0, 1))
def slopes(latitude, day_of_year):
    _, air = daylight_of(latitude, day_of_year)
    return sum(leaf.sum() for leaf in jax.tree.leaves(air.daylight))


@pytest.mark.parametrize("latitude", [-89.0, 89.0])
@pytest.mark.parametrize("day_of_year", [1.0, 172.0])
def test_daylight_has_finite_gradients_in_polar_night_and_day(latitude, day_of_year):
    assert np.all(np.isfinite(slopes(latitude, day_of_year)))


def test_gradients_agree_with_finite_differences():
    def energy(latitude, shortwave, deficit):
        values = {"shortwave_radiation": shortwave, "vapour_pressure_deficit": deficit}
        forcing, air = daylight_of(latitude, 150.0, **values)
        light = sum(leaf.sum() for leaf in jax.tree.leaves(air.daylight))
        return light + radiation.reference_evapotranspiration(forcing, air, 0.3)

    check_grads(jax.jit(energy), (41.0, 18.0, 1.1), order=1, modes=["rev"])


@pytest.mark.parametrize("latitude", [-89.0, 0.0, 89.0])
@pytest.mark.parametrize("day_of_year", [1.0, 172.0, 355.0])
def test_polar_night_and_day_stay_finite(latitude, day_of_year):
    sun = sky.sun(latitude, day_of_year)
    extraterrestrial = sky.extraterrestrial_radiation(sun)
    assert 0.0 < extraterrestrial < 50.0
    assert 0.0 < sky.daylight_hours(sun) < 24.0


def test_vapour_pressure_stays_positive_in_impossibly_dry_air():
    attributes = Attributes()
    vapour = lambda deficit: (
        radiation.atmosphere(attributes, day(vapour_pressure_deficit=deficit)).vapour_pressure
    )
    assert jax.jit(vapour)(9.0) > 0.0
    assert np.isfinite(jax.jit(jax.grad(lambda deficit: jnp.sqrt(vapour(deficit))))(9.0))


def test_vmapped_atmosphere_equals_looped():
    days = [(Attributes(), day(day_of_year=d)) for d in (10.0, 100.0, 200.0)]
    assert_vmap_equals_loop(radiation.atmosphere, days)


def test_clear_skies_radiate_as_prata_measured():
    """Prata (1996): 0.667 in very dry, 0.83 in moist warm air."""
    np.testing.assert_allclose(sky.clear_sky_emissivity(0.0, 0.0), 1.0 - np.exp(-(1.2**0.5)))
    # 2 kPa at 20 degC are 3.17 cm of water that could rain.
    water = 465.0 * 2.0 / 293.15
    expected = 1.0 - (1.0 + water) * np.exp(-np.sqrt(1.2 + 3.0 * water))
    np.testing.assert_allclose(sky.clear_sky_emissivity(2.0, 20.0), expected)
    assert 0.83 < expected < 0.86


def test_clouds_radiate_as_black_bodies_and_measured_skies_as_measured():
    day = jax.tree.map(lambda leaf: leaf[180], YEAR)
    dark = dataclasses.replace(day, shortwave_radiation=np.asarray(0.0))
    air = sky.atmosphere(Attributes(), dark)
    own = sky.black_body(dark.air_temperature_mean)
    np.testing.assert_allclose(sky.incoming_longwave(dark, air), own, rtol=1e-6)
    np.testing.assert_allclose(sky.thermal_loss(dark, air), 0.0, atol=1e-5)
    measured = dataclasses.replace(day, longwave_radiation=np.asarray(30.0))
    np.testing.assert_allclose(sky.incoming_longwave(measured, air), 30.0)


def test_the_photoperiod_counts_twilight():
    """At 50.9 degrees north on 15 November: 8.6 h of sun, 9.6 h above -4 degrees."""
    course = sky.sun(50.9, 319.0)
    np.testing.assert_allclose(sky.daylight_hours(course), 8.62, atol=0.02)
    np.testing.assert_allclose(sky.photoperiod(course), 9.58, atol=0.02)
    for latitude in (-89.0, 0.0, 70.0):
        for day in (1.0, 180.0):
            course = sky.sun(latitude, day)
            assert sky.daylight_hours(course) <= sky.photoperiod(course) <= 24.0
