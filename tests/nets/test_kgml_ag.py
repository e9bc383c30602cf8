from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from programs import compiled
from scipy.special import softmax

from kgml_jax.nets.attention import yearly_attention
from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag import PAPER, PUBLIC_CODE, KGMLAg, drop, output_names

DAYS, FEATURES = 60, 4
SMALL = {"features": FEATURES, "hidden": 8, "basis_layers": 1, "rh_layers": 1}
YEARS = {"year_index": np.arange(DAYS) // 20, "years": 3}
attention = compiled(partial(yearly_attention, years=3))


@partial(jax.jit, static_argnums=0, static_argnames="years")
def apply(network, *args, **options):
    return network.apply(*args, **options)[0]


@partial(jax.jit, static_argnums=0)
def advance(network, *args, **options):
    return network.apply(*args, **options)


@pytest.fixture
def build(draw_weights):
    def build(seed=0, scale=0.3, **options):
        network = Network.of(KGMLAg, **SMALL, **options)
        return network, draw_weights(network, seed, scale)

    return build


@pytest.fixture
def inputs():
    return jnp.asarray(np.random.default_rng(1).normal(size=(DAYS, FEATURES)), jnp.float32)


@pytest.mark.parametrize(("preset", "published"), [(PAPER, 136_453), (PUBLIC_CODE, 161_413)])
def test_presets_have_the_published_number_of_parameters(preset, published):
    weights = jax.eval_shape(Network.of(KGMLAg, **preset).init, jax.random.key(0))
    del weights["calibration"]
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == published


@pytest.mark.parametrize("gpp", ["predicted", "input"])
@pytest.mark.parametrize("balance", ["hard", "soft"])
@pytest.mark.parametrize("yield_head", [False, True])
def test_outputs_are_those_named(gpp, balance, yield_head):
    options = {"gpp": gpp, "balance": balance, "yield_head": yield_head}
    network = Network.of(KGMLAg, **SMALL, **options)
    weights = jax.eval_shape(network.init, jax.random.key(0))
    predict = partial(network.apply, **YEARS)
    outputs, state = jax.eval_shape(predict, weights, jnp.ones((DAYS, FEATURES)))
    names = output_names(**options)
    expected = {name: (3,) if name == "yield" else (DAYS,) for name in names}
    assert {name: series.shape for name, series in outputs.items()} == expected
    assert weights["calibration"]["output_scale"].shape == (len(names),)
    assert ("gru_gpp" in weights) == (gpp == "predicted")
    assert ("gru_nee" in weights) == (balance == "soft")
    assert set(state) == {name for name in weights if name.startswith("gru_")}


def test_calibration_head_starts_neutral():
    weights = Network.of(KGMLAg, **SMALL).init(jax.random.key(0))
    for name, leaf in weights["calibration"].items():
        np.testing.assert_array_equal(leaf, float(name.endswith("scale")))


@pytest.mark.parametrize("moved", ["GPP", "Ra", "Rh", "NEE"])
def test_output_shift_moves_its_own_flux_and_what_reads_it(build, inputs, moved):
    network, weights = build(balance="soft")
    index = output_names(balance="soft").index(moved)
    before = apply(network, weights, inputs)
    shift = np.asarray(weights["calibration"]["output_shift"])
    weights["calibration"]["output_shift"] = shift + 0.5 * (np.arange(shift.size) == index)
    after = apply(network, weights, inputs)
    changed = {name for name in before if np.any(before[name] != after[name])}
    assert changed == {moved, "NEE"}
    assert np.all(after[moved] > before[moved])


def test_input_calibration_is_an_affine_change_of_the_inputs(build, inputs):
    network, weights = build()
    head = weights["calibration"]
    head |= {"input_scale": jnp.ones(FEATURES), "input_shift": jnp.zeros(FEATURES)}
    expected = apply(network, weights, 2.0 * inputs - 1.0)
    head |= {"input_scale": jnp.full(FEATURES, 2.0), "input_shift": jnp.full(FEATURES, -1.0)}
    jax.tree.map(np.testing.assert_array_equal, apply(network, weights, inputs), expected)


@pytest.mark.parametrize("seed", range(3))
def test_fluxes_with_a_sign_are_never_negative(seed, build, inputs):
    # Weights far larger than fresh ones, with every bias and the calibration head moved.
    network, weights = build(seed, scale=3.0, balance="soft", yield_head=True)
    outputs = apply(network, weights, 10 * inputs, **YEARS)
    for name in ("GPP", "Ra", "Rh", "yield"):
        assert np.all(outputs[name] >= 0)
    assert np.all(np.isfinite(outputs["NEE"]))


def test_fresh_fluxes_are_about_one_standard_deviation(key, inputs):
    network = Network.of(KGMLAg, **SMALL)
    weights = network.init(key)
    for series in apply(network, weights, inputs).values():
        assert np.all((series > 0.2) & (series < 2.0))


def test_a_day_does_not_depend_on_later_days(build, inputs):
    network, weights = build(balance="soft")
    before = apply(network, weights, inputs)
    after = apply(network, weights, inputs + (np.arange(DAYS) >= 25)[:, None])
    for name, series in before.items():
        np.testing.assert_array_equal(series[:25], after[name][:25])
        assert np.all(series[25:] != after[name][25:])


def test_residue_reaches_heterotrophic_respiration_only_from_its_day(build, inputs):
    network, weights = build(residue_channel=True)
    fed_on_day_30 = compiled(
        lambda weights, amount: network.apply(weights, inputs, residue=lambda known: amount)[0]
    )
    day_30 = (np.arange(DAYS) == 30).astype(np.float32)
    bare, fed = (fed_on_day_30(weights, np.float32(amount) * day_30) for amount in (0.0, 2.0))
    for name in ("GPP", "Ra"):
        np.testing.assert_array_equal(bare[name], fed[name])
    np.testing.assert_array_equal(bare["Rh"][:30], fed["Rh"][:30])
    assert np.all(bare["Rh"][30:33] != fed["Rh"][30:33])


def test_the_same_dropout_key_gives_the_same_fluxes(build, inputs):
    network, weights = build(dropout=0.5)
    ra = lambda *keys: np.asarray(apply(network, weights, inputs, *keys)["Ra"])
    np.testing.assert_array_equal(ra(jax.random.key(1)), ra(jax.random.key(1)))
    assert np.any(ra(jax.random.key(1)) != ra(jax.random.key(2)))
    np.testing.assert_array_equal(ra(), ra(None))
    assert np.any(ra() != ra(jax.random.key(1)))


def test_dropout_hides_its_share_and_keeps_the_mean(key):
    values = jnp.full((400, 64), 3.0)
    dropped = drop(values, 0.2, key)
    # 25600 draws: one standard error of the share is 0.0025
    np.testing.assert_allclose(np.mean(dropped == 0), 0.2, atol=0.01)
    np.testing.assert_allclose(dropped.mean(), 3.0, rtol=0.0125)
    assert np.any((dropped == 0).any(axis=0) & (dropped != 0).any(axis=0))  # a mask a day
    assert drop(values, 0.0, key) is values


def test_attention_shares_out_each_year_over_its_own_days(key):
    scores = np.tanh(np.asarray(jax.random.normal(key, (50,))))
    years = np.repeat(np.array([-1, 0, 1, 3]), np.array([5, 15, 20, 10]))
    shares = attention(scores, years)
    np.testing.assert_allclose(shares.sum(axis=1), [1.0, 1.0, 0.0], rtol=1e-6)  # no day in year 2
    member = np.asarray(years) == np.arange(3)[:, None]
    np.testing.assert_array_equal(shares[~member], 0.0)
    np.testing.assert_allclose(shares[0][member[0]], softmax(scores[5:20]), rtol=1e-6)


def test_gradient_of_attention_is_finite_for_a_year_without_days():
    total = lambda scores: yearly_attention(scores, np.zeros(4, int), 2)[:, :2].sum()
    assert np.all(np.isfinite(compiled(jax.grad(total))(np.arange(4.0))))


def test_yield_depends_on_the_days_of_its_own_year(key):
    module = KGMLAg(**SMALL, yield_head=True, rngs=nnx.Rngs(key))
    basis = jax.random.normal(key, (DAYS, 8))
    harvest = lambda basis: module._yield(basis, **YEARS)
    influence = jax.jit(jax.jacrev(harvest))(basis)  # (years, time, hidden)
    own = np.asarray(YEARS["year_index"]) == np.arange(3)[:, None]
    assert np.any(influence[own] != 0)
    np.testing.assert_array_equal(influence[~own], 0.0)


def test_a_record_in_two_parts_is_the_record_when_the_state_is_carried(build, inputs):
    network, weights = build(balance="soft")
    whole = apply(network, weights, inputs)
    # The first part looks past its end, as a common year does in a window of 366 days.
    first, state = advance(network, weights, inputs[:26], last=24)
    second, _ = advance(network, weights, inputs[25:], initial=state)
    for name, series in whole.items():
        parts = np.concatenate([first[name][:25], second[name]])
        np.testing.assert_allclose(parts, series, rtol=1e-5, atol=1e-6)
    forgotten = apply(network, weights, inputs[25:])
    assert np.any(np.abs(forgotten["Ra"] - whole["Ra"][25:]) > 1e-3)


def test_linear_outputs_may_have_either_sign(build, inputs):
    network, weights = build(scale=3.0, balance="soft", link="linear")
    outputs = apply(network, weights, 10 * inputs)
    assert all(np.any(series < 0) for series in outputs.values())


@pytest.mark.parametrize("wrong", [{"gpp": "measured"}, {"balance": "firm"}, {"link": "exp"}])
def test_unknown_structure_is_refused(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        KGMLAg(**SMALL, **wrong, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("needs", [{"yield_head": True}, {"residue_channel": True}])
def test_missing_inputs_are_named(needs, inputs):
    network = Network.of(KGMLAg, **SMALL, **needs)
    weights = jax.eval_shape(network.init, jax.random.key(0))
    with pytest.raises(ValueError, match=r"year_index|residue"):
        jax.eval_shape(network.apply, weights, inputs)
