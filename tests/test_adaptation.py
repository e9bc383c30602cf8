import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.adaptation import (
    PRESETS,
    Adaptation,
    Dense,
    Frozen,
    LowRank,
    flatten,
    trained_share,
    unflatten,
)


@pytest.fixture
def weights(key):
    draw = lambda *shape: jax.random.normal(key, shape)
    return {
        "gru_basis": {"layer_0": {"w_ih": draw(5, 12), "w_hh": draw(4, 12), "b_ih": draw(12)}},
        "to_ra": {"kernel": draw(4, 1), "bias": draw(1)},
        "calibration": {"output_scale": jnp.ones(3), "output_shift": jnp.zeros(3)},
    }


def presets():
    return [name for name in PRESETS if name != "process"]


def test_paths_round_trip(weights):
    assert jax.tree.structure(unflatten(flatten(weights))) == jax.tree.structure(weights)


@pytest.mark.parametrize("name", presets())
def test_the_neutral_phi_changes_nothing_to_the_bit(weights, name):
    adaptation = PRESETS[name]
    adapted = adaptation.apply(weights, adaptation.init(weights))
    jax.tree.map(np.testing.assert_array_equal, adapted, weights)
    assert adaptation.penalty(adaptation.init(weights)) == 0


@pytest.mark.parametrize(
    ("name", "moving"),
    [
        ("pretrained", set()),
        ("bias", {"calibration/output_shift"}),
        ("affine", {"calibration/output_shift", "calibration/output_scale"}),
        ("head", {"to_ra/kernel", "to_ra/bias"}),
        ("low-rank", {"gru_basis/layer_0/w_ih", "gru_basis/layer_0/w_hh"}),
    ],
)
def test_a_preset_moves_just_its_leaves(weights, name, moving):
    assert set(PRESETS[name].init(weights)) == moving


def test_the_whole_of_ftbsc_moves_and_is_held(weights):
    adaptation = PRESETS["ftbsc"]
    phi = adaptation.init(weights)
    assert set(phi) == set(flatten(weights))
    moved = jax.tree.map(lambda leaf: leaf + 0.5, phi)
    squares = sum(0.25 * leaf.size for leaf in jax.tree.leaves(weights))
    np.testing.assert_allclose(adaptation.penalty(moved), 1e-2 * squares, rtol=1e-6)  # float32


def test_a_low_rank_phi_moves_a_matrix_by_that_rank_and_has_a_gradient_at_zero(weights):
    adaptation = Adaptation(rules=(("*w_hh", LowRank(rank=2)),))
    phi = adaptation.init(weights)
    target = lambda phi: jnp.sum(adaptation.apply(weights, phi)["gru_basis"]["layer_0"]["w_hh"])
    slope = jax.grad(target)(phi)["gru_basis/layer_0/w_hh"]
    assert jnp.abs(slope["right"]).max() > 0
    owned = phi["gru_basis/layer_0/w_hh"]
    moved = adaptation.apply(
        weights, {"gru_basis/layer_0/w_hh": {**owned, "right": jnp.ones_like(owned["right"])}}
    )
    change = moved["gru_basis"]["layer_0"]["w_hh"] - weights["gru_basis"]["layer_0"]["w_hh"]
    assert np.linalg.matrix_rank(change, tol=1e-5) <= 2


def test_the_first_matching_pattern_decides(weights):
    adaptation = Adaptation(rules=(("to_ra/bias", Frozen()), ("to_*", Dense())))
    assert set(adaptation.init(weights)) == {"to_ra/kernel"}


def test_a_pattern_without_a_leaf_is_refused(weights):
    with pytest.raises(ValueError, match="no weight matches 'process"):
        PRESETS["process"].init(weights)


def test_a_low_rank_rule_needs_a_matrix(weights):
    with pytest.raises(ValueError, match="b_ih has shape"):
        Adaptation(rules=(("*b_ih", LowRank(rank=1)),)).init(weights)


def test_the_trained_share_counts_numbers(weights):
    total = sum(leaf.size for leaf in jax.tree.leaves(weights))
    assert trained_share(PRESETS["bias"], weights) == pytest.approx(3 / total)
    assert trained_share(PRESETS["full"], weights) == 1
