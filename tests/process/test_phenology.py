import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop, random_params

from kgml_jax.process import crops, phenology
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology

pytestmark = pytest.mark.usefixtures("x64")


def at(stage=0.0, progress=0.0, depth=0.0):
    return Phenology(
        development_stage=jnp.asarray(stage),
        emergence_progress=jnp.asarray(progress),
        root_depth=jnp.asarray(depth),
    )


def season(params, temperature, days, row=0):
    crop = crops.lookup(jnp.asarray(row))
    advance = lambda state, _: (phenology.step(params, crop, state, temperature, 1.0),) * 2
    return jax.lax.scan(advance, at(), None, length=days)[1]


def test_thermal_time_is_linear_above_the_base_and_flat_in_heat():
    gain = phenology.thermal_time(jnp.asarray([-20.0, 18.0, 30.0, 50.0]), 8.0)
    np.testing.assert_allclose(gain[:2], [0.0, 10.0], rtol=0.03, atol=1e-6)
    assert gain[2] < gain[3] <= 22.0


def test_warmth_brings_anthesis_after_the_thermal_time_of_the_crop():
    stage = season(Params(), 20.0, 160).development_stage
    emergence, anthesis = 70.0 / 12.0, 820.0 / 12.0
    np.testing.assert_allclose(np.argmax(stage > 1.0), emergence + anthesis, atol=4.0)


def test_development_stops_at_maturity_and_roots_at_their_limit():
    path = season(Params(), 25.0, 400)
    assert 1.98 < path.development_stage[-1] < 2.1
    assert 1.5 <= path.root_depth[-1] < 1.7
    assert np.all(np.diff(path.development_stage) >= 0.0)


def test_nothing_develops_without_a_crop_or_in_the_cold():
    crop = crops.lookup(jnp.asarray(1))
    bare = phenology.step(Params(), crop, at(0.4, 2.0, 0.3), 20.0, 0.0)
    np.testing.assert_array_equal(bare.development_stage, 0.4)
    cold = phenology.step(Params(), crop, at(0.4, 2.0, 0.3), -30.0, 1.0)
    np.testing.assert_allclose(cold.development_stage, 0.4, atol=1e-9)


def test_longer_durations_delay_development():
    slow = Params(vegetative_duration_multiplier=jnp.asarray(1.2))
    assert (
        season(slow, 20.0, 60).development_stage[-1]
        < season(Params(), 20.0, 60).development_stage[-1]
    )


def test_gradients_agree_with_finite_differences():
    crop = crops.lookup(jnp.asarray(0))
    end = lambda params, warmth: phenology.step(params, crop, at(0.97, 1.02, 0.4), warmth, 1.0)
    check_grads(end, (Params(), jnp.asarray(21.0)), order=1, modes=["rev"])


def test_vmapped_step_equals_looped():
    crop = crops.lookup(jnp.asarray(0))
    sites = [(random_params(i), crop, at(0.3 * i, i), 20.0, 1.0) for i in range(3)]
    sites = [(p, c, s, jnp.asarray(t), jnp.asarray(o)) for p, c, s, t, o in sites]
    assert_vmap_equals_loop(phenology.step, sites)
