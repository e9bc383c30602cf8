import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.nets.functional import Network
from kgml_jax.nets.neutral import NeutralGRU, NeutralPerceptron
from kgml_jax.nets.recurrent import cell, gru

pytestmark = pytest.mark.usefixtures("x64")

DAYS, FEATURES, HIDDEN, OUTPUTS = 17, 3, 5, 2
DAILY = Network.of(NeutralGRU, features=FEATURES, hidden=HIDDEN, outputs=OUTPUTS)
STATIC = Network.of(NeutralPerceptron, features=FEATURES, hidden=HIDDEN, outputs=OUTPUTS)
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, products of five terms


@pytest.fixture
def inputs():
    return jnp.asarray(np.random.default_rng(0).normal(size=(DAYS, FEATURES)))


@pytest.mark.parametrize("network", [DAILY, STATIC])
def test_fresh_networks_say_zero(network, inputs, key):
    found = jax.jit(network.apply)(network.init(key), inputs)
    np.testing.assert_array_equal(found, np.zeros((DAYS, OUTPUTS)))


@pytest.mark.parametrize("network", [DAILY, STATIC])
def test_drawn_networks_do_not(network, inputs, draw_weights):
    assert np.abs(jax.jit(network.apply)(draw_weights(network), inputs)).min() > 0


def test_day_by_day_the_recurrent_network_says_what_it_says_of_the_whole(inputs, draw_weights):
    weights = draw_weights(DAILY)

    def day(state, today):
        said, state = DAILY.apply(weights, today, state, method="day")
        return state, said

    start = DAILY.apply(weights, method="start")
    assert start.shape == (1, HIDDEN)
    daily = jax.jit(lambda: jax.lax.scan(day, start, inputs)[1])()
    np.testing.assert_allclose(daily, jax.jit(DAILY.apply)(weights, inputs), **EXACT)


def test_a_cell_is_one_day_of_the_recurrence(inputs, draw_gru):
    weights, state = draw_gru(0, FEATURES, HIDDEN), jnp.full(HIDDEN, 0.3)
    whole = gru(weights, inputs[:1], state)
    np.testing.assert_allclose(cell(weights, inputs[0], state), whole[0], **EXACT)


def test_forward_derivatives_pass_the_recurrent_network(inputs, draw_weights):
    weights = draw_weights(DAILY)
    run = lambda own: jnp.sum(DAILY.apply(own, inputs) ** 2)
    slope = jax.jit(lambda: jax.jvp(run, (weights,), (weights,))[1])()
    gradient = jax.jit(jax.grad(run))(weights)
    dots = jax.tree.map(lambda g, w: jnp.sum(g * w), gradient, weights)
    assert float(slope) == pytest.approx(float(jax.tree.reduce(jnp.add, dots)), rel=1e-10)
