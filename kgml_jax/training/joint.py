"""One set of weights for all sites together: pretraining, in windows or along whole series."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgml_jax.adaptation import Weights
from kgml_jax.mapping import SITE_AXIS, dividing_mesh, on_all_devices
from kgml_jax.models.protocol import Model
from kgml_jax.objectives.compose import Total
from kgml_jax.training import health
from kgml_jax.training.fit import Descent, Direct, Settings
from kgml_jax.training.recovery import (
    NEVER,
    RESTARTS,
    SLOWER,
    Guarded,
    Recovery,
    WindowedSites,
    guarded,
    identities_of,
)
from kgml_jax.training.run import Descends, advance, begin
from kgml_jax.training.series import Course, Recurrent, Series, SeriesDescent
from kgml_jax.training.watch import SILENT, Observer
from kgml_jax.training.windows import FitData


class DivergedError(RuntimeError):
    """Pretraining met a loss or gradient that is not finite before anything was learnt."""


def pretrain(
    model: Model,
    objective: Total,
    weights: Weights,
    data: FitData,
    settings: Settings,
    key: jax.Array,
    observer: Observer = SILENT,
    *,
    names: Mapping[int, str] | None = None,
) -> tuple[Weights, Guarded]:
    """Fits one set of weights to all site-years together and returns the best on validation.

    A descent that goes astray goes on from its best weights at a lower rate, `RESTARTS` times.

    Args:
      model: predicts one site.
      objective: loss of a batch of windows.
      weights: where to start.
      data: all sites' windows, leaves (window, time).
      settings: the descent.
      key: seeds batches and dropout.
      observer: sees every round.
      names: of the sites by identity, of a caller who tells which were left out: with them a site
        that is not finite at the best weights is, and the others go on; see `left_out`.

    Raises:
      DivergedError: the loss was not finite before validation ever improved, nor at lower rates.
    """
    held = data.training.valid.shape[0]
    mesh = dividing_mesh(settings.batch if 0 < settings.batch < held else held)
    descent = descent_of(model, objective, settings, mesh)
    sites = WindowedSites(descent, data) if names else None
    fit = _descend_alone(descent, mesh, weights, data, key, observer, sites)
    if _nothing_learnt(fit):
        found = health.troubles(descent, fit.best, fit.best, data)
        raise DivergedError(_why(fit, found, names or {}))
    return fit.best, fit


def train_along(
    model: Recurrent,
    course: Course,
    weights: Weights,
    series: Series,
    key: jax.Array,
    observer: Observer = SILENT,
) -> Guarded:
    """Trains one set of weights along whole series until it stops.

    A descent that goes astray goes on from its best weights at a lower rate, `RESTARTS` times.

    Args:
      model: predicts one site and hands on its state.
      course: what moves, how far, and for how long.
      weights: where to start.
      series: years of all sites, leaves (series, year, ...).
      key: seeds the order of the series and dropout.
      observer: sees every round; a step is an epoch.

    Raises:
      DivergedError: the loss was not finite before validation ever improved, nor at lower rates.
    """
    mesh = dividing_mesh(min(course.batch, series.days.shape[0]))
    descent = SeriesDescent(model, course, batch_sharding=_by_site(mesh))
    fit = _descend_alone(descent, mesh, weights, series, key, observer)
    if _nothing_learnt(fit):
        raise DivergedError(_why(fit))
    return fit


def descent_of(
    model: Model, objective: Total, settings: Settings, mesh: Mesh | None = None
) -> Descent:
    """Returns the descent of the weights themselves, with batches shared over a mesh."""
    sharding = None if mesh is None else _by_site(mesh)
    return Descent(model, objective, Direct(), settings, batch_sharding=sharding)


def left_out(fit: Guarded, data: FitData) -> dict[int, int]:
    """Returns the step at which each site was left out, by its identity."""
    steps = np.asarray(fit.left_out).tolist()
    pairs = zip(identities_of(data).tolist(), steps, strict=True)
    return {identity: step for identity, step in pairs if step != NEVER}


def _descend_alone(
    descent: Descends,
    mesh: Mesh,
    weights: Weights,
    data: Any,
    key: jax.Array,
    observer: Observer,
    sites: WindowedSites | None = None,
) -> Guarded:
    # One set of weights on all devices, which share its batches.
    place = partial(on_all_devices, mesh)
    weights, given, key = place(weights), place(data), place(key)
    start = lambda weights, data: begin(descent.program, weights, data, key, descent.allowance)
    recovery = Recovery(sites, start, place)
    begun = guarded(start(weights, given), 0 if sites is None else sites.identities.size)
    fit = observer.begin(begun)
    given = recovery.given(fit, given)
    while True:
        # Of the state alone, so that a run that is killed here does the same when it is resumed.
        fit, given = recovery.mend(fit, given)
        if not bool(fit.active):
            return fit
        fit = advance(descent.program, weights, fit, given)
        observer.round(fit)


def _nothing_learnt(fit: Guarded) -> bool:
    return not bool(fit.healthy) and int(fit.best_step) == 0


def _why(
    fit: Guarded, found: Mapping[int, str] | None = None, names: Mapping[int, str] | None = None
) -> str:
    if found:
        first, text = next(iter(found.items()))
        site = (names or {}).get(first, "a site")
        sites = f"{len(found)} site" + "s" * (len(found) > 1)
        return f"the loss is not finite at {sites} from the start; first at {site}: {text}"
    return (
        f"the loss or its gradient was not finite at step {int(fit.step)}, after {RESTARTS} "
        f"restarts at rates down to {SLOWER**RESTARTS:.2g} of the first; lower the learning rate"
    )


def _by_site(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(SITE_AXIS))
