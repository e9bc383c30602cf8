import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop
from strategies import random_attributes, random_params

from kgml_jax.process import layers, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def advance():
    return jax.jit(soil_water.step)


@pytest.mark.parametrize("seed", range(20))
def test_hydraulic_contents_keep_their_order_for_any_parameters(seed):
    found = soil_water.hydraulics(random_params(seed), random_attributes(seed))
    assert 0.0 < found.wilting_point < found.field_capacity < found.saturation < 1.0


def test_runoff_follows_the_curve_number_and_stays_below_the_rain():
    rain = jnp.asarray([0.0, 1.0, 20.0, 60.0, 300.0])
    found = soil_water.runoff(80.0, rain)
    retention = 25400.0 / 80.0 - 254.0
    excess = np.maximum(rain - 0.2 * retention, 0.0)
    np.testing.assert_allclose(found, excess**2 / (rain + 0.8 * retention), atol=1e-2)
    assert np.all(found <= rain)
    assert found[0] == 0.0
    assert np.all(soil_water.runoff(90.0, rain) >= found)


def test_snow_keeps_its_mass_and_melts_only_in_warmth():
    for temperature in (-20.0, 0.0, 1.0, 15.0):
        pack, rain, melt = soil_water.snow(Params(), 40.0, 10.0, temperature)
        np.testing.assert_allclose(pack + rain + melt, 50.0, rtol=1e-14)
        assert np.all(np.asarray([pack, rain, melt]) >= 0.0)
    cold = soil_water.snow(Params(), 40.0, 10.0, -20.0)
    np.testing.assert_allclose(cold, [50.0, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_water_budget_closes_under_storms(advance, seed):
    params = random_params(seed)
    hydraulic = soil_water.hydraulics(params, random_attributes(seed))
    before = jnp.asarray(layers.MILLIMETRES) * hydraulic.saturation * (0.3 + 0.1 * seed)
    for arriving in (0.0, 5.0, 400.0):
        soil, runoff, drainage, outflow = advance(params, hydraulic, before, arriving)
        left = soil.sum() + runoff + drainage
        np.testing.assert_allclose(left, before.sum() + arriving, rtol=1e-14)
        assert np.all(soil >= 0.0)
        assert np.all(soil <= 1.05 * hydraulic.saturation * layers.MILLIMETRES)
        assert runoff >= 0.0
        assert outflow[-1] == drainage
        assert np.all(outflow >= 0.0)


def test_outflow_of_the_layers_carries_the_rain_through_the_profile(advance):
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    soil = hydraulic.field_capacity * jnp.asarray(layers.MILLIMETRES)
    for _ in range(150):
        soil, runoff, _, outflow = advance(Params(), hydraulic, soil, 3.0)
    np.testing.assert_allclose(np.delete(outflow, 3) + runoff, 3.0, atol=2e-3)
    # The lowest layer, which drains slowly, is wetter: a part of what it gets rises again.
    assert 3.0 < outflow[3] < 3.5
    dry = 0.7 * hydraulic.field_capacity * jnp.asarray(layers.MILLIMETRES)
    _, runoff, _, outflow = advance(Params(), hydraulic, dry, 40.0)
    assert 0.0 < outflow[0] < 40.0 - runoff
    assert np.all(np.diff(outflow) < 0.0)


def test_steady_rain_below_conductivity_drains_at_the_same_rate(advance):
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    soil = hydraulic.field_capacity * jnp.asarray(layers.MILLIMETRES)
    for _ in range(150):
        soil, runoff, drainage, _ = advance(Params(), hydraulic, soil, 3.0)
    np.testing.assert_allclose(runoff + drainage, 3.0, rtol=1e-3)
    np.testing.assert_allclose(drainage, 3.0, rtol=0.02)


def test_unwatered_soil_does_not_drain_below_field_capacity(advance):
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    soil = hydraulic.field_capacity * jnp.asarray(layers.MILLIMETRES) * 0.9
    _, _, drainage, _ = advance(Params(), hydraulic, soil, 0.0)
    assert drainage < 0.1


def test_gradients_agree_with_finite_differences():
    def stored(params, arriving):
        hydraulic = soil_water.hydraulics(params, Attributes())
        soil = jnp.asarray([16.0, 33.0, 44.0, 95.0, 182.0])
        soil, runoff, drainage, outflow = soil_water.step(params, hydraulic, soil, arriving)
        return runoff + 2.0 * drainage + soil[1] + outflow[2]

    check_grads(jax.jit(stored), (Params(), jnp.asarray(25.0)), order=1, modes=["rev"])


def test_vmapped_step_equals_looped():
    def drained(params, attributes, arriving):
        hydraulic = soil_water.hydraulics(params, attributes)
        soil = hydraulic.saturation * jnp.asarray(layers.MILLIMETRES) * 0.8
        return soil_water.step(params, hydraulic, soil, arriving)

    sites = [(random_params(i), random_attributes(i), jnp.asarray(9.0 * i)) for i in range(3)]
    assert_vmap_equals_loop(drained, sites)
