"""Weights of the KGML-ag network trained with PyTorch, brought to the form and signs of ours.

PyTorch keeps a linear map as (outputs, inputs), ours is (inputs, outputs); the gates of a recurrent
layer stand in the same order, reset, update, candidate. Theirs predicts Ra and Rh as negative
numbers, ours as positive: where the target of theirs has the mean m and the standard deviation s,
that of ours has -m and s, so the standard score changes its sign and nothing else.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

Weights = Mapping[str, Any]

MODULES = MappingProxyType(
    {
        "gru_basis": "gru_basic",
        "gru_ra": "gru_Ra",
        "gru_rh": "gru_Rh",
        "gru_nee": "gru_NEE",
        "to_ra": "densor_Ra",
        "to_rh": "densor_Rh",
        "to_nee": "densor_NEE",
        "attention": "attn",
        "to_yield": "densor_yield",
    }
)
"""Names of the published modules by the name of ours; two of ours may share one of theirs."""

INPUTS = MappingProxyType(
    {
        "gru_ra": ("basis", "inputs"),
        "gru_rh": ("residue", "basis", "inputs"),
        "gru_nee": ("Ra", "Rh", "inputs"),
    }
)
"""What the recurrent layers of each flux read, in the published order and in ours."""

_GRU = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
_LINEAR = {"kernel": "weight", "bias": "bias"}
_TURNED = ("Ra", "Rh")


def from_torch(
    state: Mapping[str, Any],
    template: Weights,
    *,
    modules: Mapping[str, str] = MODULES,
    inputs: Mapping[str, tuple[str, ...]] = INPUTS,
    turn_signs: bool = True,
) -> dict[str, Any]:
    """Returns weights of `KGMLAg` that predict what the PyTorch network predicts.

    With `link="linear"`, Ra and Rh of ours are the negative of theirs, NEE and yield the same. The
    calibration head is neutral.

    Args:
      state: arrays by name as in the state dictionary, `gru_basic.weight_ih_l0`, ...; a leading
        `module.` (of parallel training) is passed over.
      template: weights of the network to fill, or their shapes: `network.init(key)` or
        `jax.eval_shape(network.init, key)`.
      modules: names of theirs by the name of ours, for networks that name them otherwise.
      inputs: order in which their layers of a flux read `"residue"`, `"basis"`, `"inputs"`,
        `"Ra"`, `"Rh"`.
      turn_signs: whether theirs predicts Ra and Rh as negative numbers.

    Raises:
      ValueError: names that are missing or unexpected, arrays of another shape, or numbers that
        are not finite; all of them in one message.
    """
    arrays = {name.removeprefix("module."): np.asarray(value) for name, value in state.items()}
    names = _names(template, MODULES | modules)
    _check(arrays, names, template)
    weights = {
        module: _filled(branch, names[module], arrays)
        for module, branch in template.items()
        if module in names
    }
    for module, found in (INPUTS | inputs).items():
        if module in weights:
            layer = weights[module]["layer_0"]
            order = _order(module, found, template)
            layer["w_ih"] = layer["w_ih"][order]
    if turn_signs:
        _turn_signs(weights)
    calibration = template["calibration"]
    weights["calibration"] = {
        name: np.full(leaf.shape, float(name.endswith("scale")))
        for name, leaf in calibration.items()
    }
    return _as_arrays(weights, template)


def _names(template: Weights, modules: Mapping[str, str]) -> dict[str, Any]:
    """Returns the tree of the template with the names of theirs at its leaves."""
    unknown = [name for name in template if name not in modules and name != "calibration"]
    if unknown:
        raise ValueError(f"no module of theirs is known for {', '.join(unknown)}; pass `modules`")
    return {
        module: _module_names(branch, modules[module])
        for module, branch in template.items()
        if module != "calibration"
    }


def _module_names(branch: Weights, theirs: str) -> dict[str, Any]:
    if "kernel" in branch:
        return {leaf: f"{theirs}.{_LINEAR[leaf]}" for leaf in branch}
    names = {}
    for layer, leaves in branch.items():
        number = int(layer.removeprefix("layer_"))
        if "kernel" in leaves:
            # Their perceptron has an activation after every linear layer, which is counted too.
            names[layer] = {leaf: f"{theirs}.{2 * number}.{_LINEAR[leaf]}" for leaf in leaves}
        else:
            names[layer] = {leaf: f"{theirs}.{_GRU[leaf]}_l{number}" for leaf in leaves}
    return names


def _check(arrays: Mapping[str, np.ndarray], names: Weights, template: Weights) -> None:
    expected = {name: tuple(leaf.shape[::-1]) for name, leaf in _leaves(names, template)}
    missing = [name for name in expected if name not in arrays]
    unexpected = [name for name in arrays if name not in expected]
    shared = [name for name in expected if name in arrays]
    shapes = [
        f"{name} {arrays[name].shape} instead of {expected[name]}"
        for name in shared
        if arrays[name].shape != expected[name]
    ]
    infinite = [name for name in shared if not np.isfinite(arrays[name]).all()]
    problems = {
        "missing": missing,
        "unexpected": unexpected,
        "of another shape": shapes,
        "not finite": infinite,
    }
    wrong = [f"{what}: {', '.join(found)}" for what, found in problems.items() if found]
    if wrong:
        raise ValueError(f"the weights do not fit the network; {'; '.join(wrong)}")


def _leaves(names: Any, template: Any) -> list[tuple[str, Any]]:
    if isinstance(names, str):
        return [(names, template)]
    return [pair for key, branch in names.items() for pair in _leaves(branch, template[key])]


def _filled(template: Any, names: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(names, str):
        return arrays[names].T.astype(np.float64)
    return {key: _filled(template[key], branch, arrays) for key, branch in names.items()}


def _order(module: str, found: tuple[str, ...], template: Weights) -> np.ndarray:
    """Rows of their input matrix in our order."""
    layer = template["gru_basis"]["layer_0"]
    sizes = {"basis": layer["w_hh"].shape[0], "inputs": layer["w_ih"].shape[0]}
    ours = [part for part in INPUTS[module] if part != "residue"]
    width = template[module]["layer_0"]["w_ih"].shape[0]
    if width == sum(sizes.get(part, 1) for part in ours) + 1:
        ours.insert(0, "residue")
    theirs = [part for part in found if part in ours]
    if sorted(theirs) != sorted(ours):
        raise ValueError(f"inputs of {module}: {', '.join(found)}; expected {', '.join(ours)}")
    starts, start = {}, 0
    for part in theirs:
        starts[part] = start
        start += sizes.get(part, 1)
    return np.concatenate([starts[part] + np.arange(sizes.get(part, 1)) for part in ours])


def _turn_signs(weights: dict[str, Any]) -> None:
    for name in _TURNED:
        head = f"to_{name.lower()}"
        weights[head] = {leaf: -values for leaf, values in weights[head].items()}
    if "gru_nee" in weights:
        layer = weights["gru_nee"]["layer_0"]
        signs = np.ones(len(layer["w_ih"]))
        signs[[INPUTS["gru_nee"].index(name) for name in _TURNED]] = -1.0
        layer["w_ih"] = signs[:, None] * layer["w_ih"]


def _as_arrays(weights: Any, template: Any) -> Any:
    if isinstance(weights, np.ndarray):
        return jnp.asarray(weights, template.dtype)
    return {key: _as_arrays(weights[key], branch) for key, branch in template.items()}
