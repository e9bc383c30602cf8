from functools import partial

import gru_equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag_n2o import KGMLAgN2O

DAYS, FEATURES, HIDDEN = 30, 5, 6
OUTPUTS = (("Rh", 1.0), ("nitrate", 0.8), ("water", 5.0), ("N2O", 0.4))
SMALL = {"features": FEATURES, "outputs": OUTPUTS, "hidden": HIDDEN}
NETWORK = Network.of(KGMLAgN2O, **SMALL)
PLAIN = Network.of(KGMLAgN2O, **{**SMALL, "outputs": OUTPUTS[-1:]})


@partial(jax.jit, static_argnums=0)
def apply(network, *arguments):
    return network.apply(*arguments)


@pytest.fixture
def inputs():
    return jnp.asarray(np.random.default_rng(1).normal(size=(DAYS, FEATURES)), jnp.float32)


@pytest.fixture
def initial():
    return jnp.array([0.5, -1.0, 2.0])


@pytest.fixture
def lively(draw_weights):
    """Weights by which every part moves what reads it, with the calibration head neutral."""
    weights = draw_weights(NETWORK, scale=0.8)
    head = weights["calibration"]
    neutral = {name: jnp.full_like(leaf, name.endswith("scale")) for name, leaf in head.items()}
    return {**weights, "calibration": neutral}


def assert_differ(first, second):
    assert not np.allclose(first, second, rtol=1e-4)


def test_the_network_has_the_published_number_of_parameters():
    published = {name: 1.0 for name in ("Rh", "nitrate", "ammonium", "water", "N2O")}
    network = Network.of(KGMLAgN2O, features=16, outputs=tuple(published.items()))
    weights = jax.eval_shape(network.init, jax.random.key(0))
    del weights["calibration"]
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == 83_269


def stacked(weights, sequence):
    """Both layers of a module and nothing else, from zero states."""
    for layer in ("layer_0", "layer_1"):
        sequence = gru_equations.gru(weights[layer], sequence, np.zeros(HIDDEN))
    return sequence


@pytest.mark.usefixtures("x64")
def test_outputs_follow_the_equations(draw_weights, inputs, initial):
    weights = draw_weights(NETWORK)
    head = weights["calibration"]
    levels = np.array([level for _, level in OUTPUTS])
    link = lambda raw, index: np.log1p(
        np.exp(
            head["output_scale"][index] * raw
            + head["output_shift"][index]
            + np.log(np.expm1(levels[index]))
        )
    )
    dense = lambda name, states: states @ weights[name]["kernel"] + weights[name]["bias"]
    seen = np.asarray(head["input_scale"] * inputs + head["input_shift"])
    known = np.concatenate([seen, np.tile(initial, (DAYS, 1))], axis=1)
    between = link(
        dense("to_intermediate", stacked(weights["gru_intermediate"], known)), np.arange(3)
    )
    known = np.concatenate([seen, between - levels[:3]], axis=1)
    emission = link(dense("to_n2o", stacked(weights["gru_n2o"], known))[:, 0], 3)
    found = apply(NETWORK, weights, inputs, initial)
    for index, name in enumerate(("Rh", "nitrate", "water")):
        np.testing.assert_allclose(found[name], between[:, index], rtol=1e-5)  # float32 weights
    np.testing.assert_allclose(found["N2O"], emission, rtol=1e-5)


def test_a_network_that_says_nothing_is_at_the_means(inputs, initial):
    shapes = jax.eval_shape(NETWORK.init, jax.random.key(0))
    silent = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    for name, series in apply(NETWORK, silent, inputs, initial).items():
        np.testing.assert_allclose(series, dict(OUTPUTS)[name], rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_no_output_is_ever_negative(seed, draw_weights, inputs, initial):
    # Weights far larger than fresh ones, with every bias and the calibration head moved.
    found = apply(NETWORK, draw_weights(NETWORK, seed, scale=3.0), 10 * inputs, 10 * initial)
    for series in found.values():
        assert np.all(series >= 0.0)


@pytest.mark.parametrize("variable", range(3))
def test_every_initial_value_changes_the_forecast_of_all(variable, lively, inputs, initial):
    before = apply(NETWORK, lively, inputs, initial)
    after = apply(NETWORK, lively, inputs, initial.at[variable].add(1.0))
    for name in before:
        assert_differ(before[name], after[name])


def test_the_emission_reads_what_the_first_module_predicts(lively, inputs, initial):
    before = apply(NETWORK, lively, inputs, initial)
    bias = lively["to_intermediate"]["bias"]
    lively["to_intermediate"]["bias"] = bias.at[1].add(0.5)
    after = apply(NETWORK, lively, inputs, initial)
    assert_differ(before["N2O"], after["N2O"])
    np.testing.assert_array_equal(before["Rh"], after["Rh"])


def test_without_intermediate_variables_a_plain_network_is_left(draw_weights, inputs):
    weights = draw_weights(PLAIN)
    assert set(weights) == {"calibration", "gru_n2o", "to_n2o"}
    assert set(apply(PLAIN, weights, inputs, jnp.zeros(0))) == {"N2O"}


def test_a_day_does_not_depend_on_later_days(lively, inputs, initial):
    before = apply(NETWORK, lively, inputs, initial)
    after = apply(NETWORK, lively, inputs.at[20:].add(1.0), initial)
    for name, series in before.items():
        np.testing.assert_array_equal(series[:20], after[name][:20])
        assert_differ(series[20:], after[name][20:])


def test_the_gradient_is_finite_and_reaches_every_weight(draw_weights, inputs, initial):
    total = lambda weights: sum(
        jnp.sum(series) for series in NETWORK.apply(weights, inputs, initial).values()
    )
    for scale in (0.3, 30.0):
        weights = draw_weights(NETWORK, scale=scale)
        for leaf in jax.tree.leaves(jax.jit(jax.grad(total))(weights)):
            assert np.all(np.isfinite(leaf))
            assert scale > 1.0 or np.any(leaf != 0.0)


def test_dropout_needs_a_key_and_repeats_with_it(lively, inputs, initial):
    emission = lambda *key: np.asarray(apply(NETWORK, lively, inputs, initial, *key)["N2O"])
    first, second = jax.random.key(1), jax.random.key(2)
    np.testing.assert_array_equal(emission(first), emission(first))
    assert_differ(emission(first), emission(second))
    np.testing.assert_array_equal(emission(), emission(None))
    assert_differ(emission(), emission(first))


def test_a_network_without_outputs_is_refused():
    with pytest.raises(ValueError, match="without outputs"):
        KGMLAgN2O(FEATURES, (), HIDDEN, rngs=nnx.Rngs(0))


def test_initial_values_of_the_wrong_number_are_refused(inputs):
    weights = jax.eval_shape(NETWORK.init, jax.random.key(0))
    with pytest.raises(ValueError, match=r"shape \(2,\); expected \(3,\)"):
        jax.eval_shape(NETWORK.apply, weights, inputs, jnp.zeros(2))
