from functools import partial
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from gru_equations import gru as reference
from jax.sharding import AxisType, PartitionSpec
from jax.test_util import check_grads

from kgml_jax.nets.functional import Network
from kgml_jax.nets.recurrent import GRU, gru

pytestmark = pytest.mark.usefixtures("x64")

DAYS, FEATURES, HIDDEN = 23, 3, 5
EXACT = {"rtol": 1e-10, "atol": 1e-10}  # float64, sums over at most a few hundred days


@pytest.fixture
def case(draw_gru):
    random = np.random.default_rng(1)
    inputs, initial = random.normal(size=(DAYS, FEATURES)), random.normal(size=HIDDEN)
    return draw_gru(0, FEATURES, HIDDEN), jnp.asarray(inputs), jnp.asarray(initial)


@partial(jax.jit, static_argnums=0)
def objective(backward, weights, inputs, initial):
    # Uneven weights, so that no day's or unit's cotangent is like another's.
    states = gru(weights, inputs, initial, backward=backward)
    return jnp.sum(jnp.sin(jnp.arange(states.size).reshape(states.shape)) * states**2)


@partial(jax.jit, static_argnums=0)
def gradient(backward, *case):
    return jax.grad(partial(objective, backward), argnums=(0, 1, 2))(*case)


def assert_same(found, expected, **tolerance):
    jax.tree.map(partial(np.testing.assert_allclose, **(tolerance or EXACT)), found, expected)


@pytest.mark.parametrize("backward", ["fused", "plain"])
def test_states_follow_the_published_equations(case, backward):
    assert_same(gru(*case, backward=backward), reference(*case))


def test_states_are_the_same_whether_or_not_a_gradient_is_taken(case):
    states, _ = jax.jit(lambda *case: jax.vjp(gru, *case))(*case)
    assert_same(states, gru(*case))


@pytest.mark.parametrize("days", [1, 2, DAYS])
def test_fused_gradient_equals_the_automatic_one(case, days):
    weights, inputs, initial = case
    case = (weights, inputs[:days], initial)
    assert_same(gradient("fused", *case), gradient("plain", *case))


def test_fused_gradient_equals_finite_differences(case):
    check_grads(partial(objective, "fused"), case, order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_windows_with_shared_weights_add_their_gradients(case, key):
    weights, _, initial = case
    windows = jax.random.normal(key, (4, DAYS, FEATURES))
    # A mapped function that is itself compiled: jax then traces the forward pass with and without
    # what the gradient needs, and both must agree on the batch axis.
    total = lambda w: jax.vmap(partial(objective, "fused"), (None, 0, None))(w, windows, initial)
    together = jax.jit(jax.grad(lambda w: total(w).sum()))(weights)
    apart = [gradient("fused", weights, window, initial)[0] for window in windows]
    assert_same(together, jax.tree.map(lambda *leaves: sum(leaves), *apart))


@pytest.mark.parametrize("over_sites", ["vmap", "lax.map", "shard_map"])
def test_sites_with_their_own_weights_do_not_mix(key, draw_gru, over_sites):
    weights = jax.device_get(draw_gru(0, FEATURES, HIDDEN, sites=(4,)))
    inputs = np.asarray(jax.random.normal(key, (4, DAYS, FEATURES)))
    initial = jnp.zeros(HIDDEN)
    site = jax.jit(lambda args: gradient("fused", *args, initial))
    sharded = jax.shard_map(
        partial(jax.lax.map, site),
        mesh=jax.make_mesh((2,), ("site",), axis_types=(AxisType.Auto,)),
        in_specs=PartitionSpec("site"),
        out_specs=PartitionSpec("site"),
        check_vma=False,
    )
    mapped = {"vmap": jax.vmap(site), "lax.map": partial(jax.lax.map, site), "shard_map": sharded}
    found = jax.jit(mapped[over_sites])((weights, inputs))
    looped = [site((jax.tree.map(itemgetter(i), weights), inputs[i])) for i in range(4)]
    assert_same(found, jax.tree.map(lambda *leaves: np.stack(leaves), *looped))


def test_forgotten_days_pass_no_gradient(case):
    weights, inputs, initial = case
    # An update gate that never keeps the state: each day depends on its own input alone.
    weights["b_ih"] = np.array(weights["b_ih"])
    weights["b_ih"][HIDDEN : 2 * HIDDEN] = -60.0
    weights["w_hh"] = np.zeros_like(weights["w_hh"])
    last = lambda inputs: gru(weights, inputs, initial)[-1].sum()
    gradient = jax.device_get(jax.jit(jax.grad(last))(inputs))
    np.testing.assert_allclose(gradient[:-1], 0.0, atol=1e-20)  # sigmoid(-55) < 1e-23
    assert np.all(gradient[-1] != 0)


def test_unknown_backward_pass_is_refused(case):
    with pytest.raises(KeyError):
        gru(*case, backward="approximate")


def test_layers_are_stacked_and_start_from_zero(key):
    network = Network.of(GRU, in_features=FEATURES, hidden=HIDDEN, layers=2)
    weights = network.init(key)
    inputs = jax.random.normal(key, (DAYS, FEATURES))
    states = inputs
    for layer in ("layer_0", "layer_1"):
        states = reference(weights[layer], states, np.zeros(HIDDEN))
    assert_same(network.apply(weights, inputs)[0], states, rtol=1e-6)  # weights drawn in float32


def test_weights_start_uniform_in_the_range_of_pytorch():
    weights = nnx.state(GRU(7, 64, rngs=nnx.Rngs(0)))["layer_0"]
    assert {name: weights[name].shape for name in weights} == {
        "w_ih": (7, 192),
        "w_hh": (64, 192),
        "b_ih": (192,),
        "b_hh": (192,),
    }
    drawn = np.concatenate([np.ravel(leaf[...]) for leaf in weights.values()])
    assert np.abs(drawn).max() <= 1 / 8
    np.testing.assert_allclose(drawn.std(), 1 / 8 / np.sqrt(3), rtol=0.02)  # 14016 draws
