import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop, corn_soy_forcing, random_params

from kgml_jax.process import crops, photosynthesis, radiation
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")
INTERCELLULAR = jnp.asarray([100.0, 200.0, 280.0, 400.0, 700.0, 1000.0])


def summer_day(row=0, **values):
    forcing = jax.tree.map(lambda leaf: leaf[190], corn_soy_forcing(1, row))
    return dataclasses.replace(forcing, **{k: jnp.asarray(v) for k, v in values.items()})


def canopy(params, forcing, leaf_area):
    air = radiation.atmosphere(Attributes(), forcing)
    return photosynthesis.step(params, crops.lookup(forcing.crop), forcing, air, leaf_area)


@pytest.fixture(scope="module")
def compiled():
    return jax.jit(canopy)


def test_farquhar_at_25_degrees_has_its_tabulated_values():
    kelvin = 298.15
    compensation = photosynthesis.compensation_point(kelvin)
    michaelis = photosynthesis.michaelis_constant(kelvin)
    np.testing.assert_allclose(michaelis, 710.32, atol=5e-3)
    rubisco = photosynthesis.rubisco_limited(INTERCELLULAR, compensation, michaelis, 100.0)
    np.testing.assert_allclose(rubisco, [7.065, 17.274, 23.957, 32.175, 46.603, 55.969], atol=6e-4)
    light = photosynthesis.light_limited(INTERCELLULAR, compensation, 180.0)
    np.testing.assert_allclose(light, [13.888, 24.785, 29.210, 33.113, 37.653, 39.683], atol=6e-4)


@pytest.mark.parametrize(
    ("celsius", "compensation", "michaelis"), [(15.0, 25.173, 300.34), (35.0, 70.148, 1681.96)]
)
def test_rubisco_kinetics_follow_bernacchi(celsius, compensation, michaelis):
    kelvin = celsius + 273.15
    np.testing.assert_allclose(photosynthesis.compensation_point(kelvin), compensation, atol=6e-4)
    np.testing.assert_allclose(photosynthesis.michaelis_constant(kelvin), michaelis, atol=6e-2)


def test_assimilation_vanishes_at_the_compensation_point_and_rises_with_carbon_dioxide():
    gamma = photosynthesis.compensation_point(298.15)
    assert photosynthesis.rubisco_limited(gamma, gamma, 710.0, 100.0) == 0.0
    assert photosynthesis.light_limited(gamma, gamma, 180.0) == 0.0
    rates = photosynthesis.c3_assimilation(80.0, 1000.0, INTERCELLULAR, 25.0)
    assert np.all(np.diff(rates) > 0.0)


def test_collatz_c4_has_its_tabulated_values():
    light = jnp.asarray([0.0, 100.0, 500.0, 1000.0, 2000.0])
    rates = photosynthesis.c4_assimilation(48.0, light, 150.0, 25.0)
    np.testing.assert_allclose(rates, [0.0, 5.836, 24.591, 35.594, 40.970], atol=1e-3)


def test_daily_course_of_light_sums_to_the_days_radiation():
    sun = radiation.sun(41.0, 190.0)
    angle = jnp.linspace(-sun.sunset, sun.sunset, 20001)
    sine = sun.offset + sun.amplitude * jnp.cos(angle)
    watts = photosynthesis._irradiance(sun, sine, 20.0)
    joules = jnp.trapezoid(watts, angle) * 86400.0 / (2.0 * jnp.pi)
    np.testing.assert_allclose(joules, 20e6, rtol=1e-6)


def test_leaves_absorb_all_light_once_and_never_less_than_none():
    for leaf_area in (0.0, 1e-3, 0.5, 4.0, 12.0):
        for sine in (0.01, 0.3, 1.0):
            light, capacity = photosynthesis._sun_and_shade(leaf_area, 800.0, 300.0, sine, 0.9)
            assert np.all(light >= 0.0)
            assert np.all(capacity >= 0.0)
            assert light.sum() <= 1100.0


def test_no_leaves_no_photosynthesis_with_finite_gradient(compiled):
    for row in (0, 1):
        bare = compiled(Params(), summer_day(row), jnp.asarray(0.0))
        np.testing.assert_allclose(bare.potential_photosynthesis, 0.0, atol=1e-12)
        np.testing.assert_allclose(bare.conductance, 0.0, atol=1e-12)
    slope = jax.grad(lambda leaf: canopy(Params(), summer_day(), leaf).potential_photosynthesis)
    assert np.isfinite(jax.jit(slope)(0.0))


@pytest.mark.parametrize(("row", "low", "high"), [(0, 15.0, 32.0), (1, 10.0, 25.0)])
def test_full_canopies_reach_the_peak_rates_of_mead(compiled, row, low, high):
    rate = compiled(Params(), summer_day(row), jnp.asarray(5.0)).potential_photosynthesis
    assert low < rate < high


def test_carbon_dioxide_helps_soybean_much_more_than_corn(compiled):
    gain = {}
    for row in (0, 1):
        rates = [
            compiled(Params(), summer_day(row, co2=c), jnp.asarray(4.0)).potential_photosynthesis
            for c in (375.0, 550.0)
        ]
        gain[row] = rates[1] / rates[0] - 1.0
    assert 0.0 <= gain[0] < 0.08
    assert 0.10 < gain[1] < 0.45


def test_frost_and_dry_air_reduce_photosynthesis(compiled):
    usual = compiled(Params(), summer_day(1), jnp.asarray(4.0))
    dry = compiled(Params(), summer_day(1, vapour_pressure_deficit=2.5), jnp.asarray(4.0))
    frost = compiled(Params(), summer_day(1, air_temperature_min=-8.0), jnp.asarray(4.0))
    assert dry.potential_photosynthesis < usual.potential_photosynthesis
    assert frost.potential_photosynthesis < 0.2 * usual.potential_photosynthesis


@pytest.mark.parametrize("row", [0, 1])
def test_gradients_agree_with_finite_differences(row):
    forcing = summer_day(row)
    rate = lambda params, leaf: canopy(params, forcing, leaf).potential_photosynthesis
    check_grads(rate, (Params(), jnp.asarray(3.0)), order=1, modes=["rev"], rtol=1e-4)


def test_vmapped_canopy_equals_looped():
    sites = [(random_params(i), summer_day(i % 2), jnp.asarray(1.0 + i)) for i in range(3)]
    assert_vmap_equals_loop(canopy, sites)
