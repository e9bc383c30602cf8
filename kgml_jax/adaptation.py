"""Adaptations: what a calibrated site owns, as a pytree `phi` that is zero at the pretrained model.

Every published strategy is a choice of weight leaves and of a ridge (see `PRESETS`).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp

from kgml_jax.records import Field

Weights = dict[str, "Weights | Field"]
Phi = dict[str, dict[str, Field]]


@dataclass(frozen=True)
class Frozen:
    """The leaf keeps its pretrained value."""


@dataclass(frozen=True)
class Dense:
    """Every element of the leaf may move; `ridge` times the squared distance is the penalty."""

    ridge: float = 0.0


@dataclass(frozen=True)
class LowRank:
    """The leaf, a matrix, moves by a product of two thin factors (Hu et al. 2021, LoRA)."""

    rank: int = 4
    ridge: float = 0.0


Rule = Frozen | Dense | LowRank


@dataclass(frozen=True)
class Adaptation:
    """An ordered choice of rules by weight path; the first pattern that matches a path decides.

    Attributes:
      rules: pairs of a pattern such as `"calibration/**"` and a rule. `*` and `**` match any text.
    """

    rules: tuple[tuple[str, Rule], ...]

    def rule(self, path: str) -> Rule:
        """Returns the rule of one weight path; paths no pattern matches are frozen."""
        for pattern, rule in self.rules:
            if fnmatchcase(path, pattern):
                return rule
        return Frozen()

    def init(self, weights: Weights) -> Phi:
        """Returns the neutral `phi`: applied to `weights` it changes nothing, to the bit.

        Raises:
          ValueError: a low-rank rule meets a leaf that is no matrix, or a pattern meets no leaf.
        """
        leaves = flatten(weights)
        for pattern, _ in self.rules:
            if not any(fnmatchcase(path, pattern) for path in leaves):
                raise ValueError(f"no weight matches {pattern!r}; there are {', '.join(leaves)}")
        phi = {path: _neutral(self.rule(path), path, leaf) for path, leaf in leaves.items()}
        return {path: owned for path, owned in phi.items() if owned}

    def apply(self, weights: Weights, phi: Phi) -> Weights:
        """Returns the weights a site with adaptation `phi` uses."""
        leaves = flatten(weights)
        return unflatten({path: _moved(leaf, phi.get(path, {})) for path, leaf in leaves.items()})

    def penalty(self, phi: Phi) -> Field:
        """Returns the sum over leaves of ridge times squared distance from the pretrained model.

        These are the terms rho ||phi_s||^2 and mu ||theta_s - theta||^2 of FTBSC-KGML's third
        objective (Zeng et al. 2025, arXiv 2512.16013).
        """
        total = jnp.zeros(())
        for path, owned in phi.items():
            rule = self.rule(path)
            if not isinstance(rule, Frozen) and rule.ridge:
                total = total + rule.ridge * jnp.sum(_distance(owned) ** 2)
        return total


def shifted_parameters(names: Sequence[str], offsets: Any) -> tuple[Adaptation, Phi]:
    """Returns the adaptation that shifts process parameters in unbounded space, and its `phi`.

    Args:
      names: fields of `process.Params` whose weights are `process/NAME`.
      offsets: of each, (..., parameter); leading axes, such as the site, are those of `phi`.
    """
    rules = tuple((f"process/{name}", Dense()) for name in names)
    phi = {f"process/{name}": {"shift": offsets[..., row]} for row, name in enumerate(names)}
    return Adaptation(rules), phi


def trained_share(adaptation: Adaptation, weights: Weights) -> float:
    """Returns the numbers a site owns, as a share of the numbers of the model."""
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    return count(jax.eval_shape(adaptation.init, weights)) / count(weights)


def flatten(weights: Weights, prefix: str = "") -> dict[str, Field]:
    """Returns the leaves by path, such as `gru_basis/layer_0/w_hh`."""
    leaves: dict[str, Field] = {}
    for name, value in weights.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, dict) else {path: value}
    return leaves


def unflatten(leaves: Mapping[str, Field]) -> Weights:
    """Inverse of `flatten`."""
    weights: Weights = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        node = weights
        for folder in folders:
            node = node.setdefault(folder, {})  # type: ignore[assignment]
        node[name] = leaf
    return weights


def _neutral(rule: Rule, path: str, leaf: Field) -> dict[str, Field]:
    match rule:
        case Dense():
            return {"shift": jnp.zeros_like(leaf)}
        case LowRank(rank=rank):
            if leaf.ndim != 2:
                raise ValueError(f"{path} has shape {leaf.shape}; a low-rank rule needs a matrix")
            rows, columns = leaf.shape
            # One factor must not be zero, or no gradient ever reaches either of them.
            key = jax.random.key(zlib.crc32(path.encode()))
            left = jax.random.normal(key, (rows, rank), leaf.dtype) / jnp.sqrt(1.0 * rows)
            return {
                "left": left.astype(leaf.dtype),
                "right": jnp.zeros((rank, columns), leaf.dtype),
            }
        case _:
            return {}


def _moved(leaf: Field, owned: dict[str, Field]) -> Field:
    return leaf + _distance(owned) if owned else leaf


def _distance(owned: dict[str, Field]) -> Field:
    return owned["shift"] if "shift" in owned else owned["left"] @ owned["right"]


PRESETS: dict[str, Adaptation] = {
    "pretrained": Adaptation(rules=(("*", Frozen()),)),
    "bias": Adaptation(rules=(("calibration/output_shift", Dense()),)),
    "affine": Adaptation(rules=(("calibration/*", Dense()),)),
    "head": Adaptation(rules=(("to_*", Dense()),)),
    "low-rank": Adaptation(rules=(("gru_*/w_*", LowRank(rank=4)),)),
    "full": Adaptation(rules=(("*", Dense()),)),
    "full-l2sp": Adaptation(rules=(("*", Dense(ridge=1e-3)),)),
    "ftbsc": Adaptation(rules=(("calibration/*", Dense(ridge=1e-2)), ("*", Dense(ridge=1e-2)))),
    "process": Adaptation(rules=(("process/*", Dense(ridge=1e-2)),)),
}
"""Published strategies by name; `site-only` and `group-only` start from scratch and use `full`."""
