"""The Python loop around the compiled rounds of a descent; it alone decides when to stop."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self

import jax
import numpy as np
from jax.sharding import Mesh

from kgml_jax.adaptation import Weights
from kgml_jax.mapping import (
    map_sites,
    on_all_devices,
    over_sites,
    pad_sites,
    repeated,
    site_mesh,
    spread_out,
)
from kgml_jax.records import record
from kgml_jax.training.fit import Allowance, Descent, Fit
from kgml_jax.training.folds import Folded
from kgml_jax.training.watch import SILENT, Observer
from kgml_jax.training.windows import FitData

UNLIMITED = 2**31 - 1
"""Validations without improvement that end no descent."""


class Descends(Protocol):
    """A hashable descent, such as `fit.Descent`; equal ones are compiled once."""

    @property
    def allowance(self) -> Allowance:
        """Returns what its fits may do."""
        ...

    @property
    def program(self) -> Self:
        """Returns the descent without its allowance."""
        ...

    def init(self, weights: Any, data: Any, key: jax.Array, allowance: Allowance, /) -> Fit:
        """Returns the fit before its first step."""
        ...

    def round(self, weights: Any, fit: Fit, data: Any, /) -> Fit:
        """Takes some steps and validates."""
        ...


@record
class Calibration:
    """Many fits from one start; arrays have a leading axis of fits, such as the site.

    Attributes:
      phi: what each fit moved, at its best validation error.
      start_error: validation error of the starting point.
      best_error: validation error of `phi`.
      best_step: step at which it was reached.
      steps: steps taken.
      healthy: False where a loss or gradient was not finite; the fit stopped there.
      accepted: whether the fit is better on its validation days than where it started.
      last: what each fit had moved when it stopped, its last good state.
    """

    phi: Any
    start_error: Any
    best_error: Any
    best_step: Any
    steps: Any
    healthy: Any
    accepted: Any
    last: Any


def descend(
    descent: Descends,
    weights: Any,
    data: Any,
    key: jax.Array,
    allowance: Allowance | None = None,
    observer: Observer = SILENT,
    rows: int | None = None,
) -> Fit:
    """Lets a descent go on until all of its fits have stopped.

    Args:
      descent: of one fit, or of many (`Together`).
      weights: where it starts.
      data: what it sees.
      key: seeds what it draws.
      allowance: what its fits may do; None takes what the descent says.
      observer: sees every round.
      rows: fits that count, where others only fill up the devices.
    """
    program = descent.program
    begun = begin(program, weights, data, key, allowance or descent.allowance)
    fit = observer.begin(begun, rows)
    while np.any(np.asarray(fit.active)):
        fit = advance(program, weights, fit, data)
        observer.round(fit, rows)
    return fit


# Of any descent, not made for one: an equal descent then needs no new compilation.
@partial(jax.jit, static_argnums=0)
def begin(descent: Descends, weights: Any, data: Any, key: jax.Array, allowance: Allowance) -> Fit:
    """Returns a fit before its first step; `descent` is a program, without its allowance."""
    return descent.init(weights, data, key, allowance)


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def advance(descent: Descends, weights: Any, fit: Fit, data: Any) -> Fit:
    """Returns a fit after a round; the memory of the one given is used again."""
    return descent.round(weights, fit, data)


@dataclass(frozen=True)
class Together:
    """Many fits of one descent, each by itself: none influences another.

    All arrays have a leading axis of fits that the mesh divides, but the key, and the weights where
    all fits start from the same.

    Attributes:
      descent: of one fit.
      mesh: devices, among which the fits are shared out.
      batch: fits one device advances at once; bounds memory; see `mapping.ROUNDING`.
      own_start: whether each fit starts from weights of its own.
    """

    descent: Descent | Folded
    mesh: Mesh
    batch: int = 1
    own_start: bool = False

    @property
    def allowance(self) -> Allowance:
        """Returns what each of its fits may do."""
        return self.descent.allowance

    @property
    def program(self) -> Self:
        """Returns the descent without its allowance: what has to be compiled for it."""
        return type(self)(self.descent.program, self.mesh, self.batch, self.own_start)

    def init(self, weights: Any, data: FitData, key: jax.Array, allowance: Allowance) -> Fit:
        """Returns the fits before their first step."""
        one = lambda key, weights, *own: self.descent.init(weights, own[0], key, own[1])
        shared = 1 if self.own_start else 2
        return map_sites(one, self.mesh, self.batch, shared)(key, weights, data, allowance)

    def round(self, weights: Any, fit: Fit, data: FitData) -> Fit:
        """Takes some steps and validates, where a fit has not stopped."""
        shared = 0 if self.own_start else 1
        return map_sites(self.descent.round, self.mesh, self.batch, shared)(weights, fit, data)


def descend_together(
    descent: Descent | Folded,
    weights: Any,
    data: FitData,
    key: jax.Array,
    *,
    allowance: Allowance | None = None,
    own_start: bool = False,
    batch: int = 1,
    mesh: Mesh | None = None,
    observer: Observer = SILENT,
) -> Fit:
    """Lets many fits descend, each until it stops; leaves (fit, ...).

    Args:
      descent: of one fit.
      weights: where all fits start, or each, leaves (fit, ...).
      data: windows of each fit, leaves (fit, window, time).
      key: seeds batches and dropout; a fit's stream depends on its identity, not its position.
      allowance: what all fits may do, or each, leaves (fit,); None takes what the descent says.
      own_start: whether `weights` have a leading axis of fits.
      batch: fits one device advances at once; bounds memory; see `mapping.ROUNDING`.
      mesh: devices to share the fits out to, by default all local ones.
      observer: sees every round.
    """
    count, mesh = len(data.identity), mesh or site_mesh()
    of_each = lambda leaf: np.broadcast_to(leaf, (count,))
    own = jax.tree.map(of_each, allowance or descent.allowance)
    own = pad_sites(own, mesh.size)
    # Fits that only pad the mesh never start.
    own = own.replace(limit=np.where(np.arange(len(own.limit)) < count, own.limit, 0))
    fit = descend(
        Together(descent, mesh, batch, own_start),
        spread_out(mesh, weights) if own_start else on_all_devices(mesh, weights),
        spread_out(mesh, data),
        on_all_devices(mesh, key),
        spread_out(mesh, own),
        observer,
        rows=count,
    )
    return jax.tree.map(lambda leaf: leaf[:count], fit)


def calibrate(
    descent: Descent | Folded,
    weights: Weights,
    data: FitData,
    key: jax.Array,
    *,
    site_batch: int = 1,
    observer: Observer = SILENT,
) -> Calibration:
    """Fits every site, or group of sites, its own `phi` in one compiled program.

    Each fit has its own optimiser state, learning rate, early stopping and health; none influences
    another. A descent whose start counts keeps the starting point unless it found something better
    on the validation days (the accept-if-better gate).

    Args:
      descent: of one fit; its parameters are an `Adaptation`.
      weights: where all fits start: pretrained, or fresh for training from scratch.
      data: windows of each fit, leaves (fit, window, time).
      key: seeds batches and dropout; a fit's stream depends on its identity, not its position.
      site_batch: fits one device advances at once; bounds memory; see `mapping.ROUNDING`.
      observer: sees every round.
    """
    fit = descend_together(descent, weights, data, key, batch=site_batch, observer=observer)
    better = np.asarray(fit.best_error < fit.start_error)
    return Calibration(
        phi=jax.tree.map(np.asarray, fit.best),
        start_error=np.asarray(fit.start_error),
        best_error=np.asarray(fit.best_error),
        best_step=np.asarray(fit.best_step),
        steps=np.asarray(fit.step),
        healthy=np.asarray(fit.healthy),
        accepted=better & np.isfinite(fit.best_error),
        last=jax.tree.map(np.asarray, fit.parameters),
    )


def unmoved(descent: Descent, weights: Weights, found: Calibration) -> Calibration:
    """Returns a calibration of which every fit is where it started, and knows how far to go."""
    start = repeated(descent.parameters.init(weights), len(found.best_step))
    return found.replace(phi=start)  # type: ignore[attr-defined]


def refit(
    descent: Descent,
    weights: Weights,
    data: FitData,
    key: jax.Array,
    found: Calibration,
    *,
    site_batch: int = 1,
    observer: Observer = SILENT,
) -> Calibration:
    """Fits again from the same start to other days, each as many steps as were best before.

    The last step is kept: no validation stops a fit or halves its rate. A fit that had not moved
    stays where it started, to the bit; one that is not finite now keeps what it had.

    Args:
      descent: as of the calibration.
      weights: where all fits started.
      data: windows of each fit, those it was validated on among those it learns from.
      key: as of the calibration.
      found: the calibration.
      site_batch: fits one device advances at once; bounds memory; see `mapping.ROUNDING`.
      observer: sees every round; its validation errors are of days that are learnt from.

    Returns:
      The calibration with what the second fits moved, the steps these took and their health;
      errors and acceptance stay those of the first.
    """
    unhurried = replace(descent.settings, patience=UNLIMITED, rate_patience=0)
    descent = replace(descent, settings=unhurried)
    allowance = descent.allowance.replace(limit=found.best_step)  # type: ignore[attr-defined]
    how: Any = {"allowance": allowance, "batch": site_batch, "observer": observer}
    fit = descend_together(descent, weights, data, key, **how)
    healthy = np.asarray(fit.healthy)
    choose = lambda new, old: np.where(healthy.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    return found.replace(  # type: ignore[attr-defined]
        phi=jax.tree.map(choose, fit.parameters, found.phi),
        steps=np.asarray(fit.step),
        healthy=found.healthy & healthy,
        last=jax.tree.map(np.asarray, fit.parameters),
    )


def validation_errors(
    descent: Descent | Folded, weights: Weights, data: FitData, phi: Any, site_batch: int = 8
) -> np.ndarray:
    """Returns the prediction error of each fit on its validation days, given what it moved.

    Args:
      descent: of one fit; its objective's term "error" is returned. Its settings do not matter:
        equal ones save a compilation.
      weights: where `phi` starts from.
      data: windows of each fit, leaves (fit, window, time).
      phi: what each fit moved, leaves (fit, ...).
      site_batch: fits a device looks at at once.
    """
    return over_sites(
        type(descent).validation_error,
        (phi, data),
        static=(descent.program,),
        shared=(weights,),
        site_batch=site_batch,
    )
