import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop

from kgml_jax.process import crops, events, soil_carbon
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant

pytestmark = pytest.mark.usefixtures("x64")
PULSES = [0.0, 0.3, 1.0]


def standing():
    pools = {"nonstructural": 5.0, "leaf": 60.0, "stem": 150.0, "root": 70.0, "grain": 400.0}
    return Plant(**{k: jnp.asarray(v) for k, v in pools.items()}, standing_dead=jnp.asarray(30.0))


def soil():
    return soil_carbon.initial(Params(), Attributes())


def crop():
    return crops.lookup(jnp.asarray(0))


def amount(tree):
    return sum(leaf.sum() for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("pulse", PULSES)
def test_planting_brings_the_seed_and_restarts_development(pulse):
    old = Phenology(development_stage=1.9, emergence_progress=9.0, root_depth=1.4)
    sown, restarted, seed = events.plant(crop(), standing(), old, jnp.asarray(pulse))
    np.testing.assert_allclose(seed, 1.2 * pulse)
    np.testing.assert_allclose(amount(sown) - amount(standing()), seed, atol=1e-12)
    np.testing.assert_allclose(restarted.root_depth, 1.4 * (1.0 - pulse))


@pytest.mark.parametrize("pulse", PULSES)
def test_harvest_moves_every_gram_to_export_or_residue(pulse):
    left, harvested = events.harvest(crop(), standing(), jnp.asarray(pulse))
    np.testing.assert_allclose(amount(left) + amount(harvested), amount(standing()), rtol=1e-14)
    np.testing.assert_allclose(harvested.grain, 0.97 * 400.0 * pulse)
    assert all(pool >= 0.0 for pool in jax.tree.leaves(left))


def test_a_full_harvest_leaves_bare_ground():
    left, _ = events.harvest(crop(), standing(), jnp.asarray(1.0))
    assert amount(left) == 0.0


@pytest.mark.parametrize("pulse", PULSES)
def test_tillage_keeps_the_carbon_of_every_pool(pulse):
    tilled, memory = events.till(soil(), jnp.asarray(0.5), jnp.asarray(pulse))
    for before, after in zip(jax.tree.leaves(soil()), jax.tree.leaves(tilled), strict=True):
        np.testing.assert_allclose(after.sum(), before.sum(), rtol=1e-14)
        np.testing.assert_array_equal(after[3:], before[3:])
        assert np.all(after >= 0.0)
    np.testing.assert_allclose(memory, 0.5 * np.exp(-1 / 20) + pulse)


def test_full_tillage_evens_out_the_plough_layer():
    tilled, _ = events.till(soil(), jnp.asarray(0.0), jnp.asarray(1.0))
    concentration = tilled.structural[1:3] / events.PLOUGH_SHARES
    np.testing.assert_allclose(concentration[0], concentration[1], rtol=1e-12)


def test_gradients_agree_with_finite_differences():
    def moved(pulse):
        tilled, memory = events.till(soil(), jnp.asarray(0.5), pulse)
        left, harvested = events.harvest(crop(), standing(), pulse)
        return tilled.structural[1] + memory + left.stem + harvested.grain

    check_grads(moved, (jnp.asarray(0.4),), order=1, modes=["rev"])


def test_vmapped_tillage_equals_looped():
    days = [(soil(), jnp.asarray(0.2 * i), jnp.asarray(0.3 * i)) for i in range(3)]
    assert_vmap_equals_loop(events.till, days)
