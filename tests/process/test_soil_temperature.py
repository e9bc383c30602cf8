import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop

from kgml_jax.process import layers, soil_temperature

pytestmark = pytest.mark.usefixtures("x64")

ONES = np.ones(layers.SOIL)


def advance(temperature, surface, deep=10.0, insulation=1.0):
    return soil_temperature.diffuse(
        temperature, surface, deep, 1.0 * ONES, 2.5e6 * ONES, insulation
    )


def test_steady_state_is_a_straight_line_to_the_deep_temperature():
    temperature = jnp.asarray(5.0 * ONES)
    step = lambda t, _: (advance(t, 22.0)[0], None)
    temperature, _ = jax.lax.scan(step, temperature, None, length=3000)
    line = 22.0 - 12.0 * layers.CENTRE / soil_temperature.DEEP
    np.testing.assert_allclose(temperature, line, atol=1e-8)


def test_annual_wave_decays_with_the_damping_depth():
    day = jnp.arange(365 * 6)
    wave = 12.0 * jnp.sin(2.0 * jnp.pi * day / 365.0)
    follow = lambda t, surface: (advance(t, 10.0 + surface)[0],) * 2
    _, path = jax.lax.scan(follow, jnp.asarray(10.0 * ONES), wave)
    amplitude = np.ptp(path[-365:], axis=0)[:3] / 24.0
    damping = np.sqrt(2.0 * 1.0 / (2.5e6 * 2.0 * np.pi / (365.0 * 86400.0)))
    np.testing.assert_allclose(damping, 2.0, atol=0.02)
    # The deep boundary at 2.4 m pins the wave, so it decays a little faster than in half space.
    np.testing.assert_allclose(amplitude, np.exp(-layers.CENTRE[:3] / damping), rtol=0.06)


@pytest.mark.parametrize("surface", [-45.0, 0.0, 60.0])
def test_heat_budget_closes_and_stays_between_its_boundaries(surface):
    before = jnp.asarray([3.0, 5.0, 8.0, 10.0, 11.0])
    after, top, bottom = advance(before, surface)
    stored = jnp.sum(2.5e6 * layers.THICKNESS * (after - before))
    np.testing.assert_allclose(stored, top - bottom, rtol=1e-9)
    assert np.all(after <= max(surface, 11.0))
    assert np.all(after >= min(surface, 3.0))


@pytest.mark.parametrize("seed", range(4))
def test_heat_budget_closes_for_any_soil_and_weather(seed):
    random = np.random.default_rng(seed)
    temperature = jnp.asarray(random.uniform(-20.0, 30.0, layers.SOIL))
    follow = jax.jit(soil_temperature.diffuse)
    for _ in range(50):
        wetness, density = random.uniform(0.0, 1.0, layers.SOIL), random.uniform(0.8, 1.8)
        conductivity = soil_temperature.conductivity(wetness, random.uniform(0.5, 2.0))
        capacity = soil_temperature.heat_capacity(density, 0.5 * wetness)
        surface, deep = random.uniform(-45.0, 60.0), random.uniform(-20.0, 30.0)
        after, into, out = follow(
            temperature, surface, deep, conductivity, capacity, np.exp(-random.exponential(1.0))
        )
        stored = jnp.sum(capacity * layers.THICKNESS * (after - temperature))
        # J m-2 a day; the flows are of the order of 1e7.
        np.testing.assert_allclose(stored, into - out, rtol=1e-9, atol=1e-6)
        temperature = after


def test_snow_insulates_the_soil():
    before = jnp.asarray(2.0 * ONES)
    open_, _, _ = advance(before, -20.0)
    snowy, _, _ = advance(before, -20.0, insulation=0.1)
    assert open_[0] < snowy[0]


def test_sun_warms_bare_soil_more_than_covered_soil():
    bare = soil_temperature.surface_temperature(20.0, 28.0, 25.0, 0.0, 0.0)
    covered = soil_temperature.surface_temperature(20.0, 28.0, 25.0, 5.0, 100.0)
    assert bare > covered > 20.0


def test_gradients_agree_with_finite_differences():
    def first(conductivity, surface):
        new, top, _ = soil_temperature.diffuse(
            jnp.asarray([3.0, 5.0, 8.0, 10.0, 11.0]), surface, 10.0, conductivity, 2e6 * ONES, 1.0
        )
        return new.sum() + 1e-6 * top

    check_grads(jax.jit(first), (jnp.asarray(1.0 * ONES), jnp.asarray(20.0)), 1, modes=["rev"])


def test_vmapped_diffusion_equals_looped():
    sites = [(jnp.asarray(i * ONES), jnp.asarray(3.0 * i)) for i in range(3)]
    assert_vmap_equals_loop(advance, sites)
