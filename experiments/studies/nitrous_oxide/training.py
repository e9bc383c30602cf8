"""Trains KGML-ag for N2O: in two phases on simulated plots, then with each chamber left out."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Adaptation, Weights
from kgml_jax.errors import DataError, listed
from kgml_jax.models.features import Scaling
from kgml_jax.models.nitrous_oxide import EMISSION, NitrousOxideModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.joint import pretrain
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import Calibration, calibrate
from kgml_jax.training.strategies import Strategy
from kgml_jax.training.watch import SILENT, Observer
from kgml_jax.training.windows import FitData, cut, make_fit_data, make_joint_data, site_years

NO_WARMUP = 0
"""A window starts on 1 January: on that day the intermediate variables have initial values."""

Show = Callable[[str, int], AbstractContextManager[Observer]]
"""Makes what observes a fit from its label and its number of steps."""


@dataclass(frozen=True)
class Phase:
    """A part of the pretraining: what N2O weighs in it (0: it is not looked at), and how far."""

    name: str
    emission_weight: float
    settings: Settings


def two_phases(settings: Settings, emission_weight: float) -> tuple[Phase, Phase]:
    """Returns the plan: first the intermediate variables alone, then all outputs."""
    return (
        Phase("intermediate variables", 0.0, settings),
        Phase("all with N2O", emission_weight, settings),
    )


def objective(scaling: Scaling, emission_weight: float) -> Total:
    """Returns the standardised error of all targets, N2O's weighed, the others' with weight 1.

    With weight 0 the emission is left out: no gradient reaches its module, which is not even run.
    """
    scales = tuple(
        (scale.name, scale.sd)
        for scale in scaling.targets
        if emission_weight or scale.name != EMISSION
    )
    error = MaskedError(scales=scales, weights=((EMISSION, emission_weight),))
    return Total(terms=(Term("error", error),))


def pretraining_data(data: DividedSites) -> FitData:
    """Returns the years of all plots that train or validate, leaves (window, time).

    Raises:
      ValueError: no day trains, or none validates.
    """
    return make_joint_data(data, [*range(len(data))], NO_WARMUP)


def pretrain_phases(
    model: NitrousOxideModel,
    weights: Weights,
    data: FitData,
    phases: tuple[Phase, ...],
    key: jax.Array,
    show: Show,
) -> tuple[Weights, dict[str, dict[str, float]]]:
    """Trains in phases, each from the best weights of the one before.

    Args:
      model: the network.
      weights: fresh.
      data: windows of all plots.
      phases: in their order.
      key: seeds batches and dropout.
      show: what observes a phase.

    Returns:
      The weights, and by phase its steps, its best step and its validation error there.
    """
    history = {}
    for number, phase in enumerate(phases):
        total = objective(model.scaling, phase.emission_weight)
        phase_key = jax.random.fold_in(key, number)
        with show(phase.name, phase.settings.steps) as observer:
            weights, fit = pretrain(
                model, total, weights, data, phase.settings, phase_key, observer
            )
        history[phase.name] = {
            "steps": int(fit.step),
            "best_step": int(fit.best_step),
            "best_validation_error": float(fit.best_error),
        }
    return weights, history


def leave_one_out(chambers: Sites) -> FitData:
    """Returns the windows of one fit a chamber, none of them its own; leaves (fit, window, time).

    The chamber after the one left out validates, in a circle, and all others train: what is
    accepted is better at a chamber that was not trained on.

    Args:
      chambers: each a field of its own.

    Raises:
      DataError: two chambers share a field, or there are fewer than three.
    """
    count = len(chambers)
    if count < 3:
        expected = "at least 3: one left out, one to validate, one to train"
        raise DataError("too few chambers", found=count, expected=expected)
    if len(set(chambers.groups)) < count:
        raise DataError("two chambers of one field", found=listed(sorted(chambers.groups)))
    fits = []
    for left_out in range(count):
        role = np.full(count, TRAIN)
        role[left_out] = 0
        role[(left_out + 1) % count] = VALIDATION
        roles = np.broadcast_to(role[:, None], np.shape(chambers.site.valid))
        others = [row for row in range(count) if row != left_out]
        fits.append(make_fit_data(DividedSites.of_roles(chambers, roles), [others], NO_WARMUP))
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *fits)
    # The random stream of a fit is that of the chamber it leaves out.
    return joined.replace(identity=np.asarray(chambers.site.identity))


@dataclass(frozen=True)
class Arm:
    """One way of getting a model for a chamber from the other chambers.

    Attributes:
      model: the network.
      weights: where all fits start, pretrained or fresh.
      strategy: what a fit may change, and how it descends.
    """

    model: NitrousOxideModel
    weights: Weights
    strategy: Strategy


def tune(
    arm: Arm,
    data: FitData,
    settings: Settings,
    emission_weight: float,
    key: jax.Array,
    observer: Observer = SILENT,
) -> Calibration:
    """Fits a copy of the weights of its own for each chamber.

    Args:
      arm: what is fitted.
      data: as from `leave_one_out`.
      settings: the descent; the strategy sets its rate and number of steps.
      emission_weight: of N2O beside the other targets.
      key: seeds batches and dropout.
      observer: sees every round.
    """
    strategy = arm.strategy
    descent = Descent(
        arm.model,
        objective(arm.model.scaling, emission_weight),
        strategy.adaptation,
        strategy.settings(settings),
        start_counts=not strategy.scratch,
    )
    return calibrate(descent, arm.weights, data, key, observer=observer)


def predict_years(
    model: NitrousOxideModel,
    weights: Weights,
    plots: Sites,
    adaptation: Adaptation | None = None,
    phi: Any = None,
) -> dict[str, np.ndarray]:
    """Predicts every year of every plot from its own initial values.

    Args:
      model: the network.
      weights: shared by all plots.
      plots: whole records.
      adaptation: how `phi` changes the weights.
      phi: one for each plot, in their order.

    Returns:
      All outputs by name, (plot, time), in physical units; NaN on days without forcing.
    """
    data = DividedSites.undivided(plots)
    where = [window for row in site_years(data, TRAIN) for window in row]
    rows = np.array([row for row, _ in where])
    years = replace(plots.take([int(row) for row in rows]), site=cut(data, TRAIN, where, NO_WARMUP))
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], phi)
    predicted = predict_sites(model, weights, years, adaptation, own)
    return {name: _join(plots, years, rows, values) for name, values in predicted.items()}


def _join(plots: Sites, years: Sites, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    # The windows of a plot, one behind the other; a window is longer than most years.
    year = np.asarray(years.site.calendar.year)
    own = np.asarray(years.site.valid) & (year == year[:, :1])
    first = np.asarray(plots.site.calendar.date)[rows, :1]
    day = np.asarray(years.site.calendar.date) - first
    series = np.full(np.shape(plots.site.valid), np.nan, values.dtype)
    series[np.broadcast_to(rows[:, None], own.shape)[own], day[own]] = values[own]
    return series
