"""Worked examples of FAO-56 (Allen et al. 1998)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import assert_vmap_equals_loop, corn_soy_forcing

from kgml_jax.process import radiation
from kgml_jax.process.drivers import Attributes

pytestmark = pytest.mark.usefixtures("x64")


def day(**values):
    one = jax.tree.map(lambda leaf: leaf[180], corn_soy_forcing(1))
    return dataclasses.replace(one, **{name: jnp.asarray(v) for name, v in values.items()})


def reference_day(latitude, elevation, maximum, minimum, vapour, day_of_year, **values):
    saturation = 0.5 * (
        radiation.saturation_pressure(maximum) + radiation.saturation_pressure(minimum)
    )
    forcing = day(
        air_temperature_max=maximum,
        air_temperature_min=minimum,
        air_temperature_mean=0.5 * (maximum + minimum),
        vapour_pressure_deficit=saturation - vapour,
        day_of_year=day_of_year,
        **values,
    )
    attributes = Attributes(latitude=jnp.asarray(latitude), elevation=jnp.asarray(elevation))
    return forcing, radiation.atmosphere(attributes, forcing)


def test_example_8_extraterrestrial_radiation_at_20_south():
    sun = radiation.sun(-20.0, 246.0)
    np.testing.assert_allclose(sun.sunset, 1.527, atol=1e-3)
    np.testing.assert_allclose(sun.inverse_distance, 0.985, atol=1e-3)
    np.testing.assert_allclose(radiation.extraterrestrial_radiation(sun), 32.2, atol=0.05)
    np.testing.assert_allclose(radiation.daylight_hours(sun), 11.7, atol=0.05)


def test_air_pressure_and_psychrometric_constant_at_1800_m():
    pressure = radiation.atmospheric_pressure(1800.0)
    np.testing.assert_allclose(pressure, 81.8, atol=0.05)
    np.testing.assert_allclose(radiation.psychrometric_constant(pressure), 0.054, atol=5e-4)


def test_saturation_pressure_and_slope_have_their_tabulated_values():
    pressure = radiation.saturation_pressure(jnp.asarray([15.0, 24.5]))
    np.testing.assert_allclose(pressure.mean(), 2.39, atol=5e-3)
    np.testing.assert_allclose(radiation.saturation_slope(30.2), 0.246, atol=5e-4)


def test_example_14_wind_at_two_metres():
    np.testing.assert_allclose(radiation.wind_at_two_metres(3.2, 10.0), 2.4, atol=0.05)


def test_example_17_bangkok_in_april():
    forcing, air = reference_day(
        13 + 44 / 60, 2.0, 34.8, 25.6, 2.8460, 105.0, shortwave_radiation=22.65, wind_speed=2.0
    )
    np.testing.assert_allclose(air.vapour_slope, 0.24580, atol=5e-5)
    np.testing.assert_allclose(air.psychrometric_constant, 0.06732, atol=5e-5)
    np.testing.assert_allclose(air.extraterrestrial_radiation, 38.058, atol=1e-2)
    np.testing.assert_allclose(air.clear_sky_radiation, 28.545, atol=1e-2)
    np.testing.assert_allclose(radiation.net_radiation(forcing, air, 0.23), 14.328, atol=5e-3)
    grass = radiation.reference_evapotranspiration(forcing, air, 0.14)
    np.testing.assert_allclose(grass, 5.718, atol=2e-3)


def test_example_18_uccle_on_6_july():
    forcing, air = reference_day(
        50.8, 100.0, 21.5, 12.3, 1.4086, 187.0, shortwave_radiation=22.07, wind_speed=2.0776
    )
    np.testing.assert_allclose(air.vapour_slope, 0.12211, atol=5e-5)
    np.testing.assert_allclose(air.extraterrestrial_radiation, 41.088, atol=1e-3)
    np.testing.assert_allclose(radiation.daylight_hours(air.sun), 16.10, atol=1e-2)
    np.testing.assert_allclose(air.clear_sky_radiation, 30.898, atol=1e-3)
    ratio = forcing.shortwave_radiation / air.clear_sky_radiation
    longwave = radiation.net_longwave(21.5, 12.3, air.vapour_pressure, ratio)
    np.testing.assert_allclose(longwave, 3.711, atol=1e-3)
    np.testing.assert_allclose(radiation.net_radiation(forcing, air, 0.23), 13.282, atol=1e-3)
    grass = radiation.reference_evapotranspiration(forcing, air, 0.0)
    np.testing.assert_allclose(grass, 3.880, atol=1e-3)


@pytest.mark.parametrize("latitude", [-89.0, 0.0, 89.0])
@pytest.mark.parametrize("day_of_year", [1.0, 172.0, 355.0])
def test_polar_night_and_day_stay_finite(latitude, day_of_year):
    sun = radiation.sun(latitude, day_of_year)
    extraterrestrial = radiation.extraterrestrial_radiation(sun)
    assert 0.0 < extraterrestrial < 50.0
    assert 0.0 < radiation.daylight_hours(sun) < 24.0


def test_vapour_pressure_stays_positive_in_impossibly_dry_air():
    attributes = Attributes()
    vapour = lambda deficit: (
        radiation.atmosphere(attributes, day(vapour_pressure_deficit=deficit)).vapour_pressure
    )
    assert vapour(9.0) > 0.0
    assert np.isfinite(jax.grad(lambda deficit: jnp.sqrt(vapour(deficit)))(9.0))


def test_vmapped_atmosphere_equals_looped():
    days = [(Attributes(), day(day_of_year=d)) for d in (10.0, 100.0, 200.0)]
    assert_vmap_equals_loop(radiation.atmosphere, days)
