"""The Python loop around the compiled rounds of a descent; it alone decides when to stop."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgml_jax.adaptation import Adaptation, Weights
from kgml_jax.mapping import SITE_AXIS, dividing_mesh, map_sites, pad_sites, site_mesh
from kgml_jax.models.protocol import Model
from kgml_jax.objectives.compose import Total
from kgml_jax.records import record
from kgml_jax.training.fit import Descent, Direct, Fit, Settings
from kgml_jax.training.series import Course, Recurrent, Series, SeriesDescent
from kgml_jax.training.windows import Unit

# Of the class, not of one descent: an equal descent then needs no new compilation.
_begin_series = jax.jit(SeriesDescent.init, static_argnums=0)
_next_epoch = jax.jit(SeriesDescent.epoch, static_argnums=0, donate_argnums=2)

OnRound = Callable[[dict[str, np.ndarray]], None]
"""Called after every round with the step, losses, health and activity of each unit."""

Watch = Callable[[str, int], AbstractContextManager[OnRound]]
"""Makes the context of a descent from its name and its most steps; it gives what is called after
every round."""


def unwatched(name: str, steps: int) -> AbstractContextManager[OnRound]:
    """Watches nothing."""
    return nullcontext(lambda report: None)


class DivergedError(RuntimeError):
    """Pretraining met a loss or gradient that is not finite before anything was learnt."""


@record
class Calibration:
    """Outcome of fitting many units at once; arrays have a leading unit axis.

    Attributes:
      phi: what each unit owns, at its best validation error.
      start_error: validation error of the starting point.
      best_error: validation error of `phi`.
      best_step: step at which it was reached.
      steps: steps taken.
      healthy: False where a loss or gradient was not finite; `phi` is then the last good one.
      accepted: whether the unit is better on its validation days than where it started.
    """

    phi: Any
    start_error: Any
    best_error: Any
    best_step: Any
    steps: Any
    healthy: Any
    accepted: Any


def pretrain(
    model: Model,
    objective: Total,
    weights: Weights,
    unit: Unit,
    settings: Settings,
    key: jax.Array,
    on_round: OnRound = lambda report: None,
) -> tuple[Weights, Fit]:
    """Fits one set of weights to all site-years together and returns the best on validation.

    Args:
      model: predicts one site.
      objective: loss of a batch of windows.
      weights: where to start.
      unit: all sites' windows, leaves (window, time).
      settings: the descent.
      key: seeds batches and dropout.
      on_round: progress callback.

    Raises:
      DivergedError: the loss was not finite before validation ever improved.
    """
    held = unit.training.valid.shape[0]
    mesh = dividing_mesh(settings.batch if 0 < settings.batch < held else held)
    descent = Descent(model, objective, Direct(), settings, batch_sharding=_by_site(mesh))
    weights, unit, key = jax.device_put((weights, unit, key), NamedSharding(mesh, PartitionSpec()))
    fit = jax.jit(descent.init)(weights, unit, key)
    advance = jax.jit(descent.round, donate_argnums=1)
    while bool(fit.active):
        # The starting weights are not needed any more: with `Direct` the fit carries its own.
        fit = advance({}, fit, unit)
        on_round(_report(fit))
    _refuse_diverged(fit)
    return fit.best, fit


def descended(
    model: Recurrent,
    course: Course,
    weights: Weights,
    series: Series,
    key: jax.Array,
    on_epoch: OnRound = lambda report: None,
) -> Fit:
    """Trains one set of weights along whole series until it stops.

    Args:
      model: predicts one site and hands on its state.
      course: what moves, how far, and for how long.
      weights: where to start.
      series: years of all sites, leaves (series, year, ...).
      key: seeds the order of the series and dropout.
      on_epoch: progress callback; its step counts epochs.

    Raises:
      DivergedError: the loss was not finite before validation ever improved.
    """
    mesh = dividing_mesh(min(course.batch, series.days.shape[0]))
    descent = SeriesDescent(model, course, batch_sharding=_by_site(mesh))
    everything = (weights, series, key)
    weights, series, key = jax.device_put(everything, NamedSharding(mesh, PartitionSpec()))
    fit = _begin_series(descent, weights, series, key)
    while bool(fit.active):
        fit = _next_epoch(descent, weights, fit, series)
        on_epoch(_report(fit))
    _refuse_diverged(fit)
    return fit


def calibrate(
    model: Model,
    objective: Total,
    weights: Weights,
    units: Unit,
    adaptation: Adaptation,
    settings: Settings,
    key: jax.Array,
    *,
    start_counts: bool = True,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
    on_round: OnRound = lambda report: None,
) -> Calibration:
    """Fits every unit its own `phi` in one compiled program.

    Each unit has its own optimiser state, learning rate, early stopping and health; none influences
    another. With `start_counts` a unit keeps the starting point unless it found something better on
    its validation days (the accept-if-better gate).

    Args:
      model: predicts one site.
      objective: loss of a batch of windows.
      weights: where all units start: pretrained, or fresh for training from scratch.
      units: windows of each unit, leaves (unit, window, time).
      adaptation: what a unit owns.
      settings: the descent.
      key: seeds batches and dropout; a unit's stream depends on its identity, not its position.
      start_counts: whether the starting point may be the outcome.
      site_batch: units one device advances at once; bounds memory, does not change the result.
      devices: devices to spread the units over, by default all local ones.
      on_round: progress callback.
    """
    count = len(units.identity)
    descent = Descent(model, objective, adaptation, settings, start_counts=start_counts)
    mesh = site_mesh(devices)
    mapped = lambda function, shared: jax.jit(map_sites(function, mesh, site_batch, shared))
    padded = pad_sites(units, mesh.size)
    by_site = _by_site(mesh)
    padded = jax.device_put(padded, by_site)
    weights, key = jax.device_put((weights, key), NamedSharding(mesh, PartitionSpec()))
    init = lambda weights, key, unit: descent.init(weights, unit, key)
    fit = mapped(init, 2)(weights, key, padded)
    # Units that only pad the mesh never start.
    real = jnp.arange(len(padded.identity)) < count
    fit = fit.replace(active=fit.active & jax.device_put(real, by_site))  # type: ignore[attr-defined]
    advance = mapped(descent.round, 1)
    while bool(jnp.any(fit.active)):
        fit = advance(weights, fit, padded)
        on_round({name: value[:count] for name, value in _report(fit).items()})
    return _outcome(jax.tree.map(lambda leaf: leaf[:count], fit))


def validation_errors(
    model: Model,
    objective: Total,
    weights: Weights,
    units: Unit,
    adaptation: Adaptation,
    phi: Any,
    site_batch: int = 8,
) -> np.ndarray:
    """Returns the prediction error of each unit on its validation days, given what it owns.

    Args:
      model: predicts one site.
      objective: its term "error" is returned.
      weights: where `phi` starts from.
      units: windows of each unit, leaves (unit, window, time).
      adaptation: how `phi` changes the weights.
      phi: leading unit axis.
      site_batch: units a device looks at at once.
    """
    descent = Descent(model, objective, adaptation, Settings(steps=0))
    mesh = site_mesh()
    padded = pad_sites((phi, units), mesh.size)
    errors = jax.jit(map_sites(descent.validation_error, mesh, site_batch, 1))(weights, *padded)
    return np.asarray(errors)[: len(units.identity)]


def _refuse_diverged(fit: Fit) -> None:
    if not bool(fit.healthy) and int(fit.best_step) == 0:
        raise DivergedError(
            f"the loss was not finite at step {int(fit.step)}; lower the learning rate"
        )


def _by_site(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(SITE_AXIS))


def _outcome(fit: Fit) -> Calibration:
    better = np.asarray(fit.best_error < fit.start_error)
    return Calibration(
        phi=jax.tree.map(np.asarray, fit.best),
        start_error=np.asarray(fit.start_error),
        best_error=np.asarray(fit.best_error),
        best_step=np.asarray(fit.best_step),
        steps=np.asarray(fit.step),
        healthy=np.asarray(fit.healthy),
        accepted=better & np.isfinite(fit.best_error),
    )


def _report(fit: Fit) -> dict[str, np.ndarray]:
    names = (
        "step",
        "training_loss",
        "validation_error",
        "best_error",
        "rate",
        "healthy",
        "active",
    )
    return {name: np.asarray(getattr(fit, name)) for name in names}
