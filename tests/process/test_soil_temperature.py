import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop

from kgml_jax.process import layers, soil_temperature
from kgml_jax.process.soil_temperature import FREEZING_RANGE, FUSION_HEAT, SECONDS, Soil

pytestmark = pytest.mark.usefixtures("x64")

ONES = np.ones(layers.SOIL)
DRY, WET = (Soil(capacity=2.5e6 * ONES, freezable=water * ONES) for water in (0.0, 0.25))


def advance(temperature, surface, deep=10.0, soil=DRY, resistance=0.0):
    return soil_temperature.diffuse(temperature, surface, deep, soil, 1.0 * ONES, resistance)


def stored(soil, before, after):
    gained = soil_temperature.heat(after, soil) - soil_temperature.heat(before, soil)
    return jnp.sum(layers.THICKNESS * gained)


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


@pytest.mark.parametrize("soil", [DRY, WET], ids=["dry", "wet"])
@pytest.mark.parametrize("surface", [-45.0, 0.0, 60.0])
def test_heat_budget_closes_and_stays_between_its_boundaries(surface, soil):
    before = jnp.asarray([3.0, 5.0, 8.0, 10.0, 11.0])
    after, top, bottom = advance(before, surface, soil=soil)
    np.testing.assert_allclose(stored(soil, before, after), top - bottom, rtol=1e-9)
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
        soil = Soil(capacity=capacity, freezable=0.4 * wetness)
        surface, deep = random.uniform(-45.0, 60.0), random.uniform(-20.0, 30.0)
        resistance = random.exponential(0.3)
        after, into, out = follow(temperature, surface, deep, soil, conductivity, resistance)
        # J m-2 a day; the flows are of the order of 1e7.
        np.testing.assert_allclose(
            stored(soil, temperature, after), into - out, rtol=1e-9, atol=1e-6
        )
        temperature = after


def test_heat_and_temperature_are_each_other_s_inverse():
    temperature = np.linspace(-20.0, 20.0, 401)[:, None] * ONES
    for soil in (DRY, WET):
        heat = soil_temperature.heat(temperature, soil)
        assert np.all(np.diff(heat, axis=0) > 0)
        np.testing.assert_allclose(soil_temperature.temperature_of(heat, soil), temperature)


def test_freezing_gives_off_the_heat_of_fusion():
    ends = [soil_temperature.heat(t * ONES, WET) for t in (0.0, -FREEZING_RANGE)]
    sensible = 2.5e6 * FREEZING_RANGE
    np.testing.assert_allclose(ends[0] - ends[1] - sensible, FUSION_HEAT * 0.25)


def test_wet_soil_keeps_near_freezing_while_dry_soil_cools():
    frost = lambda soil: jax.lax.scan(
        lambda t, _: (advance(t, -8.0, deep=6.0, soil=soil, resistance=0.5)[0],) * 2,
        jnp.asarray(2.0 * ONES),
        None,
        length=4,
    )[1][:, 0]
    dry, wet = frost(DRY), frost(WET)
    assert dry[-1] < -1.5
    assert np.all(wet[1:] > dry[1:] + 0.5)
    assert np.all(wet > -FREEZING_RANGE)


def test_a_frozen_day_solves_the_implicit_equation():
    # The flows belong to the temperatures they lead to: backward Euler, whatever freezes.
    for surface in (-20.0, -3.0, -0.5, 1.0, 4.0):
        before = jnp.asarray([-0.5, 0.1, 0.5, 2.0, 5.0])
        after, top, _ = advance(before, surface, soil=WET, resistance=0.1)
        flow = SECONDS * (surface - after[0]) / (0.1 + layers.CENTRE[0])
        # J m-2 a day, of flows of about 1e6: a hundredth of a degree in the uppermost layer.
        np.testing.assert_allclose(top, flow, atol=0.02 * 2.5e6 * 0.05)


def test_all_that_lies_above_the_soil_resists():
    bare = soil_temperature.resistance(0.0, 0.0, 0.0)
    for cover in ((3.0, 0.0, 0.0), (0.0, 200.0, 0.0), (0.0, 0.0, 30.0)):
        assert soil_temperature.resistance(*cover) > 1.5 * bare


def test_snow_insulates_the_soil():
    before = jnp.asarray(2.0 * ONES)
    open_, _, _ = advance(before, -20.0)
    snow = soil_temperature.resistance(0.0, 0.0, 30.0)
    snowy, _, _ = advance(before, -20.0, resistance=snow)
    assert open_[0] < snowy[0]


def test_sun_warms_bare_soil_more_than_covered_soil():
    bare = soil_temperature.surface_temperature(20.0, 28.0, 25.0, 0.0, 0.0)
    covered = soil_temperature.surface_temperature(20.0, 28.0, 25.0, 5.0, 100.0)
    assert bare > covered > 20.0


@pytest.mark.parametrize("start", [3.0, -0.7], ids=["thawed", "freezing"])
def test_gradients_agree_with_finite_differences(start):
    def first(conductivity, surface, resistance, water):
        soil = Soil(capacity=2e6 * ONES, freezable=water)
        before = jnp.asarray([start, 5.0, 8.0, 10.0, 11.0])
        new, top, _ = soil_temperature.diffuse(
            before, surface, 10.0, soil, conductivity, resistance
        )
        return new.sum() + 1e-6 * top

    given = (1.0 * ONES, -1.0, 0.1, 0.2 * ONES)
    check_grads(jax.jit(first), tuple(map(jnp.asarray, given)), 1, modes=["rev"])


def test_vmapped_diffusion_equals_looped():
    sites = [(jnp.asarray(i * ONES), jnp.asarray(3.0 * i)) for i in range(3)]
    assert_vmap_equals_loop(advance, sites)
