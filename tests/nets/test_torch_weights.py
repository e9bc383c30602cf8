"""Weights trained with PyTorch give, in our network, what PyTorch's equations give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag import PAPER, PUBLIC_CODE, KGMLAg
from kgml_jax.nets.recurrent import gru
from kgml_jax.nets.torch_weights import INPUTS, MODULES, from_torch

DAYS, HIDDEN, FEATURES = 2 * 365, 64, 19
HIDDEN_DAYS = slice(298, 300)  # of each year, counted from 0
TOLERANCE = 1e-5


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def torch_gru_layer(state, name, layer, x, h):
    """PyTorch's documented equations of nn.GRU, one day after the other, weights (out, in)."""
    part = {
        key: state[f"{name}.{key}_l{layer}"]
        for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    states = []
    for day in x:
        input_r, input_z, input_n = np.split(part["weight_ih"] @ day + part["bias_ih"], 3)
        hidden_r, hidden_z, hidden_n = np.split(part["weight_hh"] @ h + part["bias_hh"], 3)
        r, z = sigmoid(input_r + hidden_r), sigmoid(input_z + hidden_z)
        n = np.tanh(input_n + r * hidden_n)
        h = (1.0 - z) * n + z * h
        states.append(h)
    return np.array(states)


def torch_gru(state, name, x):
    layer = 0
    while f"{name}.weight_ih_l{layer}" in state:
        x = torch_gru_layer(state, name, layer, x, np.zeros(HIDDEN))
        layer += 1
    return x


def torch_linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def torch_perceptron(state, name, x):
    for layer in (0, 2, 4):
        x = np.maximum(torch_linear(state, f"{name}.{layer}", x), 0.0)
    return torch_linear(state, f"{name}.6", x)


def torch_network(state, x, residue):
    """The published forward pass without dropout; `residue` (time,) as given."""
    basis = torch_gru(state, "gru_basic", x)
    energy = np.tanh(torch_perceptron(state, "attn", basis))[:, 0]
    harvests = []
    for year in range(len(x) // 365):
        days = slice(365 * year, 365 * (year + 1))
        share = np.exp(energy[days]) / np.exp(energy[days]).sum()
        harvests.append(torch_perceptron(state, "densor_yield", share @ basis[days])[0])
    joined = np.concatenate([basis, x], axis=1)
    ra = torch_linear(state, "densor_Ra", torch_gru(state, "gru_Ra", joined))
    joined = np.concatenate([residue[:, None], joined], axis=1)
    rh = torch_linear(state, "densor_Rh", torch_gru(state, "gru_Rh", joined))
    joined = np.concatenate([ra, rh, x], axis=1)
    nee = torch_linear(state, "densor_NEE", torch_gru(state, "gru_NEE", joined))
    series = {"Ra": ra[:, 0], "Rh": rh[:, 0], "NEE": nee[:, 0]}
    return {"basis": basis, **series, "yield": np.array(harvests)}


def shapes(basis_layers=2):
    """Names and shapes of the published state dictionary."""
    found = {}
    widths = {"gru_basic": 19, "gru_Ra": 83, "gru_Rh": 84, "gru_NEE": 21}
    for name, layers in (("gru_basic", basis_layers), ("gru_Ra", 1), ("gru_Rh", 2), ("gru_NEE", 1)):
        for layer in range(layers):
            width = HIDDEN if layer else widths[name]
            found[f"{name}.weight_ih_l{layer}"] = (3 * HIDDEN, width)
            found[f"{name}.weight_hh_l{layer}"] = (3 * HIDDEN, HIDDEN)
            found[f"{name}.bias_ih_l{layer}"] = (3 * HIDDEN,)
            found[f"{name}.bias_hh_l{layer}"] = (3 * HIDDEN,)
    for name in ("densor_Ra", "densor_Rh", "densor_NEE"):
        found |= {f"{name}.weight": (1, HIDDEN), f"{name}.bias": (1,)}
    steps = (HIDDEN, 64, 64, 32, 1)
    for name in ("attn", "densor_yield"):
        for layer in range(4):
            found[f"{name}.{2 * layer}.weight"] = (steps[layer + 1], steps[layer])
            found[f"{name}.{2 * layer}.bias"] = (steps[layer + 1],)
    return found


def draw(seed=0, **options):
    random = np.random.default_rng(seed)
    return {
        name: random.uniform(-0.15, 0.15, size=shape) for name, shape in shapes(**options).items()
    }


@pytest.fixture(scope="module")
def network():
    return Network.of(KGMLAg, **PUBLIC_CODE)


@pytest.fixture(scope="module")
def template(network):
    return jax.eval_shape(network.init, jax.random.key(0))


@pytest.fixture(scope="module")
def state():
    return draw()


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).normal(size=(DAYS, FEATURES))


@pytest.fixture(scope="module")
def residue():
    column = np.zeros((2, 365))
    column[:, HIDDEN_DAYS] = [[0.7], [-0.3]]
    return column.reshape(-1)


@pytest.fixture(scope="module")
def reference(state, inputs, residue):
    return torch_network(state, inputs, residue)


@pytest.fixture(scope="module")
def predicted(network, template, state, inputs, residue):
    @jax.jit
    def run(weights, x, column):
        year_index = jnp.arange(DAYS) // 365
        return network.apply(weights, x, residue=lambda _: column, year_index=year_index, years=2)

    weights = from_torch(state, template)
    return run(weights, jnp.asarray(inputs, jnp.float32), jnp.asarray(residue, jnp.float32))


def test_every_parameter_has_its_place(network, template, state):
    weights = from_torch(state, template)
    assert jax.tree.structure(weights) == jax.tree.structure(template)
    for mine, expected in zip(jax.tree.leaves(weights), jax.tree.leaves(template), strict=True):
        assert (mine.shape, mine.dtype) == (expected.shape, expected.dtype)
    for name, leaf in weights["calibration"].items():
        np.testing.assert_array_equal(leaf, float(name.endswith("scale")))


def test_the_basis_equals_pytorch(template, state, inputs, reference):
    layers = from_torch(state, template)["gru_basis"]
    states = jnp.asarray(inputs, jnp.float32)
    for layer in ("layer_0", "layer_1"):
        states = jax.jit(gru)(layers[layer], states, jnp.zeros(HIDDEN))
    np.testing.assert_allclose(states, reference["basis"], atol=TOLERANCE)


@pytest.mark.parametrize(("name", "sign"), [("Ra", -1), ("Rh", -1), ("NEE", 1), ("yield", 1)])
def test_outputs_equal_pytorch_but_for_the_sign_of_respiration(predicted, reference, name, sign):
    fluxes, _ = predicted
    assert np.std(reference[name]) > 1e-3 or name == "yield"
    np.testing.assert_allclose(fluxes[name], sign * reference[name], atol=TOLERANCE)


def test_signs_are_left_where_they_are_ours_already(template, state):
    turned, kept = (from_torch(state, template, turn_signs=one) for one in (True, False))
    np.testing.assert_array_equal(turned["to_ra"]["kernel"], -kept["to_ra"]["kernel"])
    np.testing.assert_array_equal(turned["to_rh"]["bias"], -kept["to_rh"]["bias"])
    first, second = (one["gru_nee"]["layer_0"]["w_ih"] for one in (turned, kept))
    np.testing.assert_array_equal(first[:2], -second[:2])
    np.testing.assert_array_equal(first[2:], second[2:])
    np.testing.assert_array_equal(
        turned["gru_rh"]["layer_0"]["w_ih"], kept["gru_rh"]["layer_0"]["w_ih"]
    )


def test_another_order_of_the_inputs_is_brought_to_ours(template, state):
    other = dict(state)
    ra, rh, nee = (other[f"gru_{name}.weight_ih_l0"] for name in ("Ra", "Rh", "NEE"))
    other["gru_Ra.weight_ih_l0"] = np.concatenate([ra[:, 64:], ra[:, :64]], axis=1)
    other["gru_Rh.weight_ih_l0"] = np.concatenate([rh[:, 65:], rh[:, 1:65], rh[:, :1]], axis=1)
    other["gru_NEE.weight_ih_l0"] = np.concatenate([nee[:, 2:], nee[:, 1:2], nee[:, :1]], axis=1)
    order = {
        "gru_ra": ("inputs", "basis"),
        "gru_rh": ("inputs", "basis", "residue"),
        "gru_nee": ("inputs", "Rh", "Ra"),
    }
    found = from_torch(other, template, inputs=order)
    jax.tree.map(np.testing.assert_array_equal, found, from_torch(state, template))
    with pytest.raises(ValueError, match="gru_nee"):
        from_torch(other, template, inputs={"gru_nee": ("inputs", "Ra")})


def test_modules_may_have_other_names_and_be_shared(template, state):
    names = {"gru_ra": "gru_ra", "to_ra": "fc", "to_rh": "fc", "to_nee": "fc"}
    heads = ("densor_Ra", "densor_Rh", "densor_NEE")
    other = {
        name.replace("gru_Ra", "gru_ra"): values
        for name, values in state.items()
        if not name.startswith(heads)
    }
    other |= {"fc.weight": state["densor_Ra.weight"], "fc.bias": state["densor_Ra.bias"]}
    found = from_torch(other, template, modules=names)
    expected = from_torch(state, template)
    np.testing.assert_array_equal(
        found["gru_ra"]["layer_0"]["w_hh"], expected["gru_ra"]["layer_0"]["w_hh"]
    )
    np.testing.assert_array_equal(found["to_rh"]["kernel"], expected["to_ra"]["kernel"])
    np.testing.assert_array_equal(found["to_nee"]["kernel"], -expected["to_ra"]["kernel"])


def test_a_prefix_of_parallel_training_is_passed_over(template, state):
    other = {f"module.{name}": values for name, values in state.items()}
    jax.tree.map(
        np.testing.assert_array_equal, from_torch(other, template), from_torch(state, template)
    )


def test_the_network_of_the_paper_has_one_layer_less(state):
    paper = jax.eval_shape(Network.of(KGMLAg, **PAPER).init, jax.random.key(0))
    assert list(from_torch(draw(basis_layers=1), paper)["gru_basis"]) == ["layer_0"]
    with pytest.raises(ValueError, match=r"unexpected: gru_basic\.weight_ih_l1"):
        from_torch(state, paper)


def test_a_network_without_residue_and_yield_is_filled_too(state):
    options = PUBLIC_CODE | {"residue_channel": False, "yield_head": False}
    template = jax.eval_shape(Network.of(KGMLAg, **options).init, jax.random.key(0))
    other = {name: one for name, one in state.items() if not name.startswith(("attn", "densor_y"))}
    other["gru_Rh.weight_ih_l0"] = other["gru_Rh.weight_ih_l0"][:, 1:]
    found = from_torch(other, template)
    np.testing.assert_allclose(found["gru_rh"]["layer_0"]["w_ih"], other["gru_Rh.weight_ih_l0"].T)


def test_everything_wrong_is_told_at_once(template, state):
    other = dict(state)
    del other["densor_Ra.bias"]
    other["extra.weight"] = np.zeros(3)
    other["gru_NEE.weight_ih_l0"] = np.zeros((192, 22))
    other["attn.0.bias"] = np.full(64, np.nan)
    with pytest.raises(ValueError, match="do not fit") as caught:
        from_torch(other, template)
    message = str(caught.value)
    assert "missing: densor_Ra.bias" in message
    assert "unexpected: extra.weight" in message
    assert "gru_NEE.weight_ih_l0 (192, 22) instead of (192, 21)" in message
    assert "not finite: attn.0.bias" in message


def test_a_network_with_modules_that_theirs_lacks_is_refused(state):
    options = PUBLIC_CODE | {"gpp": "predicted"}
    template = jax.eval_shape(Network.of(KGMLAg, **options).init, jax.random.key(0))
    with pytest.raises(ValueError, match="gru_gpp, to_gpp"):
        from_torch(state, template)


def test_the_names_are_those_of_the_weights(template):
    assert set(MODULES) | {"calibration"} == set(template)
    assert set(INPUTS) <= set(template)
