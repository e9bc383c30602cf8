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
from kgml_jax.mapping import dividing_mesh, over_sites
from kgml_jax.models.protocol import Model
from kgml_jax.records import Field
from kgml_jax.sites import Site
from kgml_jax.training.fit import Descent
from kgml_jax.training.run import descend_together
from kgml_jax.training.windows import FitData

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
class FitResults:
    """What the fits of a cell came to, leading axis: fit."""

    weights: Weights
    start_error: np.ndarray
    best_error: np.ndarray
    best_step: np.ndarray
    steps: np.ndarray
    healthy: np.ndarray


def descend(
    descent: Descent,
    weights: Weights,
    data: FitData,
    knobs: Knobs,
    key: jax.Array,
    limits: int | np.ndarray | None = None,
) -> FitResults:
    """Lets every fit descend from its own weights until it stops.

    Args:
      descent: with `Held` parameters.
      weights: where each fit starts, leaves (fit, ...).
      data: windows of each fit, leaves (fit, window, time).
      knobs: ridges and freedoms, the same for all fits.
      key: seeds batches and dropout.
      limits: most steps, of all fits or (fit,); those of 0 keep their weights. None takes what the
        descent says.
    """
    count = len(data.identity)
    given = {name: np.full(count, value, np.float32) for name, value in vars(knobs).items()}
    starts = {"start": weights, "knobs": given}
    allowance = descent.allowance
    if limits is not None:
        allowance = allowance.replace(limit=limits)  # type: ignore[attr-defined]
    fit = descend_together(
        descent, starts, data, key, allowance=allowance, own_start=True, mesh=dividing_mesh(count)
    )
    return FitResults(
        weights=over_sites(Held.apply, (starts, fit.best), static=(descent.parameters,)),
        start_error=np.asarray(fit.start_error),
        best_error=np.asarray(fit.best_error),
        best_step=np.asarray(fit.best_step),
        steps=np.asarray(fit.step),
        healthy=np.asarray(fit.healthy),
    )


@lru_cache(maxsize=8)
def predictor(model: Model) -> Callable[[Weights, Site], dict[str, jax.Array]]:
    """Returns the compiled prediction of a stack of sites or windows with one set of weights."""
    return jax.jit(jax.vmap(lambda weights, site: model.predict(weights, site, None), (None, 0)))
