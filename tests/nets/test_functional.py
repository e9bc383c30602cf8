import pickle
from functools import partial
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag import KGMLAg


class Ladder(nnx.Module):
    """Eleven linear rungs in a list, so that number 10 sorts before number 2."""

    def __init__(self, width, *, rngs):
        self.rungs = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(11)])

    def __call__(self, inputs):
        for index, rung in enumerate(self.rungs):
            inputs = jnp.tanh(rung(inputs) + index)
        return inputs


class Forgetful(nnx.Module):
    def __init__(self, *, rngs):
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):
        return self.dropout(inputs)


NETWORK = Network.of(KGMLAg, features=4, hidden=8, basis_layers=1, rh_layers=1)
apply = jax.jit(NETWORK.apply)


def leaves_and_keys(tree):
    if isinstance(tree, dict):
        assert type(tree) is dict
        assert all(isinstance(name, str) for name in tree)
        return [leaf for branch in tree.values() for leaf in leaves_and_keys(branch)]
    return [tree]


@pytest.mark.parametrize("network", [NETWORK, Network.of(Ladder, width=3)])
def test_weights_are_nested_dicts_of_arrays_with_string_keys(network, key):
    assert all(isinstance(leaf, jax.Array) for leaf in leaves_and_keys(network.init(key)))


def test_weights_have_the_paths_that_adaptations_name(key):
    paths = jax.tree_util.tree_flatten_with_path(NETWORK.init(key))[0]
    names = {"/".join(part.key for part in path) for path, _ in paths}
    assert {"gru_basis/layer_0/w_hh", "to_ra/kernel", "calibration/output_shift"} <= names


def test_lists_keep_their_order_through_the_weights(key):
    ladder = Ladder(3, rngs=nnx.Rngs(key))
    network = Network.of(Ladder, width=3)
    inputs = jnp.arange(3.0)
    np.testing.assert_array_equal(network.apply(network.init(key), inputs), ladder(inputs))


def test_networks_are_values():
    same = Network.of(KGMLAg, rh_layers=1, hidden=8, features=4, basis_layers=1)
    assert same == NETWORK
    assert hash(same) == hash(NETWORK)
    assert Network.of(KGMLAg, features=4, hidden=9) != NETWORK
    assert pickle.loads(pickle.dumps(NETWORK)) == NETWORK


def test_the_same_key_draws_the_same_weights(key):
    weights, other = NETWORK.init(key), NETWORK.init(jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, weights, NETWORK.init(key))
    assert np.any(weights["to_ra"]["kernel"] != other["to_ra"]["kernel"])


def test_apply_leaves_its_weights_alone_and_repeats_itself(draw_weights):
    weights = draw_weights(NETWORK)
    before = jax.tree.map(np.array, weights)
    inputs = np.sin(np.arange(120.0, dtype=np.float32)).reshape(30, 4)
    first, second = apply(weights, inputs), apply(weights, inputs)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, before, weights)


def test_apply_is_traced_once_for_a_shape(draw_weights):
    traced = jax.jit(lambda network, *args: network.apply(*args), static_argnums=0)
    weights = draw_weights(NETWORK)
    for days in (30, 30, 40):
        traced(NETWORK, weights, jnp.ones((days, 4)))
    traced(Network.of(NETWORK.module, **dict(NETWORK.arguments)), weights, jnp.zeros((40, 4)))
    assert traced._cache_size() == 2


def test_sites_with_their_own_weights_agree_with_a_loop(draw_weights):
    drawn = [draw_weights(NETWORK, seed) for seed in range(3)]
    weights = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
    inputs = np.sin(np.arange(360.0, dtype=np.float32)).reshape(3, 30, 4)
    mapped = jax.jit(jax.vmap(NETWORK.apply))(weights, inputs)
    alone = [apply(jax.tree.map(itemgetter(site), weights), inputs[site]) for site in range(3)]
    jax.tree.map(
        # float32, a sum of 8 units carried over 30 days
        partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        mapped,
        jax.tree.map(lambda *series: np.stack(series), *alone),
    )


def test_every_weight_has_a_finite_gradient(draw_weights):
    weights = draw_weights(NETWORK)
    inputs = np.sin(np.arange(120.0, dtype=np.float32)).reshape(30, 4)
    total = lambda weights: sum(map(jnp.sum, NETWORK.apply(weights, inputs)[0].values()))
    gradient = jax.device_get(jax.jit(jax.grad(total))(weights))
    for leaf in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(leaf))
        assert np.any(leaf != 0)


def test_modules_with_hidden_random_state_are_refused(key):
    network = Network.of(Forgetful)
    with pytest.raises(TypeError, match="dropout"):
        network.apply(network.init(key), jnp.ones(3))
