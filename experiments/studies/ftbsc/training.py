"""FTBSC-KGML's second and third objectives as one compiled program for all arms of a sweep."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights, flatten, unflatten
from kgml_jax.mapping import dividing_mesh, map_sites
from kgml_jax.models.protocol import Model
from kgml_jax.records import Field
from kgml_jax.sites import Site
from kgml_jax.training.fit import Descent
from kgml_jax.training.windows import Unit

HEAD = "calibration/*"
"""Weights that are the calibration head phi_s; all others are the backbone theta_s."""


@dataclass(frozen=True)
class Knobs:
    """What a sweep of the third objective changes.

    Attributes:
      mu: ridge on theta_s - theta.
      rho: ridge on phi_s.
      head: whether phi_s moves.
      backbone: whether theta_s moves.
    """

    mu: float = 0.0
    rho: float = 0.0
    head: bool = True
    backbone: bool = True


@dataclass(frozen=True)
class Held:
    """Distances theta_s - theta and phi_s with the penalty mu |theta_s - theta|^2 + rho |phi_s|^2.

    As `Adaptation` with a `Dense` rule each for head and backbone, but the knobs are numbers given
    beside the weights: one compiled program serves every value. They travel with the parameters,
    where no gradient reaches them.
    """

    head: str = HEAD

    def init(self, weights: dict[str, Any]) -> dict[str, Any]:
        """Returns zero distances; `weights` holds the weights at `start` and the `knobs`."""
        return {
            "shift": jax.tree.map(jnp.zeros_like, flatten(weights["start"])),
            "knobs": weights["knobs"],
        }

    def apply(self, weights: dict[str, Any], phi: dict[str, Any]) -> Weights:
        """Returns the weights of the network; what is not free stays where it started."""
        moved = {
            path: leaf + self._free(path, phi) * phi["shift"][path]
            for path, leaf in flatten(weights["start"]).items()
        }
        return unflatten(moved)

    def penalty(self, phi: dict[str, Any]) -> Field:
        """Returns both ridge terms."""
        total = jnp.zeros(())
        for path, shift in phi["shift"].items():
            ridge = phi["knobs"]["rho" if self._in_head(path) else "mu"]
            total = total + jax.lax.stop_gradient(ridge) * jnp.sum(shift**2)
        return total

    def _in_head(self, path: str) -> bool:
        return fnmatchcase(path, self.head)

    def _free(self, path: str, phi: dict[str, Any]) -> Field:
        knob = phi["knobs"]["head" if self._in_head(path) else "backbone"]
        return jax.lax.stop_gradient(knob)


@dataclass(frozen=True)
class Outcome:
    """What a descent found, leading axis: unit."""

    weights: Weights
    start_error: np.ndarray
    best_error: np.ndarray
    best_step: np.ndarray
    steps: np.ndarray
    healthy: np.ndarray


def descend(
    descent: Descent,
    weights: Weights,
    units: Unit,
    knobs: Knobs,
    rate: float,
    key: jax.Array,
    active: np.ndarray | None = None,
    rounds: int | None = None,
) -> Outcome:
    """Lets every unit descend from its own weights until it stops.

    Args:
      descent: with `Held` parameters.
      weights: where each unit starts, leaves (unit, ...).
      units: windows of each unit, leaves (unit, window, time).
      knobs: ridges and freedoms, the same for all units.
      rate: learning rate.
      key: seeds batches and dropout.
      active: bool (unit,), units that descend; the others keep their weights.
      rounds: most rounds of `descent.settings.validate_every` steps; None until all have stopped.
    """
    count = len(units.identity)
    init, advance, finish = _programs(descent, count)
    given = {name: np.full(count, value, np.float32) for name, value in vars(knobs).items()}
    shared = {"start": weights, "knobs": given}
    fit = init(key, shared, units)
    if active is not None:
        fit = fit.replace(active=fit.active & active)
    fit = fit.replace(rate=jnp.full_like(fit.rate, rate))
    taken = 0
    while bool(np.any(np.asarray(fit.active))) and taken != rounds:
        fit = advance(shared, fit, units)
        taken += 1
    return Outcome(
        weights=jax.tree.map(np.asarray, finish(shared, fit.best)),
        start_error=np.asarray(fit.start_error),
        best_error=np.asarray(fit.best_error),
        best_step=np.asarray(fit.best_step),
        steps=np.asarray(fit.step),
        healthy=np.asarray(fit.healthy),
    )


@lru_cache(maxsize=32)
def _programs(descent: Descent, count: int) -> tuple[Callable[..., Any], ...]:
    # Kept, because a fresh `jax.jit` of the same descent would be compiled anew at every call.
    mesh = dividing_mesh(count)
    mapped = lambda function, shared: jax.jit(map_sites(function, mesh, 1, shared))
    init = lambda key, weights, unit: descent.init(weights, unit, key)
    return mapped(init, 1), mapped(descent.round, 0), mapped(descent.parameters.apply, 0)


@lru_cache(maxsize=8)
def predictor(model: Model) -> Callable[[Weights, Site], dict[str, jax.Array]]:
    """Returns the compiled prediction of a stack of sites or windows with one set of weights."""
    return jax.jit(jax.vmap(lambda weights, site: model.predict(weights, site, None), (None, 0)))
