import pickle

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


NETWORK = Network.of(KGMLAg, features=4, hidden=8)


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
    assert {"gru_basis/layer_1/w_hh", "to_ra/kernel", "calibration/output_shift"} <= names


def test_lists_keep_their_order_through_the_weights(key):
    ladder = Ladder(3, rngs=nnx.Rngs(key))
    network = Network.of(Ladder, width=3)
    inputs = jnp.arange(3.0)
    np.testing.assert_array_equal(network.apply(network.init(key), inputs), ladder(inputs))


def test_networks_are_values():
    same = Network.of(KGMLAg, hidden=8, features=4)
    assert same == NETWORK
    assert hash(same) == hash(NETWORK)
    assert Network.of(KGMLAg, features=4, hidden=9) != NETWORK
    assert pickle.loads(pickle.dumps(NETWORK)) == NETWORK


def test_the_same_key_draws_the_same_weights(key):
    jax.tree.map(np.testing.assert_array_equal, NETWORK.init(key), jax.jit(NETWORK.init)(key))
    other = NETWORK.init(jax.random.key(1))
    assert np.any(NETWORK.init(key)["to_ra"]["kernel"] != other["to_ra"]["kernel"])


def test_apply_leaves_its_weights_alone_and_repeats_itself(key):
    weights = NETWORK.init(key)
    before = jax.tree.map(np.array, weights)
    inputs = jax.random.normal(key, (30, 4))
    first, second = NETWORK.apply(weights, inputs), NETWORK.apply(weights, inputs)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, before, weights)


def test_apply_is_traced_once_for_a_shape(key):
    apply = jax.jit(lambda network, *args: network.apply(*args), static_argnums=0)
    weights = NETWORK.init(key)
    for days in (30, 30, 40):
        apply(NETWORK, weights, jnp.ones((days, 4)))
    apply(Network.of(KGMLAg, hidden=8, features=4), weights, jnp.zeros((40, 4)))
    assert apply._cache_size() == 2


def test_sites_with_their_own_weights_agree_with_a_loop(key):
    weights = jax.vmap(NETWORK.init)(jax.random.split(key, 3))
    inputs = jax.random.normal(key, (3, 30, 4))
    mapped = jax.jit(jax.vmap(NETWORK.apply))(weights, inputs)
    for site in range(3):
        alone = NETWORK.apply(jax.tree.map(lambda leaf: leaf[site], weights), inputs[site])
        jax.tree.map(
            # float32, a sum of 8 units carried over 30 days
            lambda whole, part: np.testing.assert_allclose(whole[site], part, rtol=1e-5, atol=1e-6),
            mapped,
            alone,
        )


def test_every_weight_has_a_finite_gradient(key):
    weights = NETWORK.init(key)
    inputs = jax.random.normal(key, (30, 4))
    gradient = jax.grad(lambda w: sum(map(jnp.sum, NETWORK.apply(w, inputs).values())))(weights)
    for leaf in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(leaf))
        assert np.any(leaf != 0)


def test_modules_with_hidden_random_state_are_refused(key):
    network = Network.of(Forgetful)
    with pytest.raises(TypeError, match="dropout"):
        network.apply(network.init(key), jnp.ones(3))
