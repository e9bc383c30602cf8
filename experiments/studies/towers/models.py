"""Every model at the towers, before and after its calibration."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.cli.console import logged, say
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.inversion.diagnosis import diagnose
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.models import kinds
from kgml_jax.models.parameter_learning import learnt_offsets
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.runs import saved
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.training import checkpoint
from kgml_jax.workflows import calibration, pretraining, sites
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.estimated import predict_shifted
from kgml_jax.workflows.prediction import (
    Predicted,
    predict_calibrated,
    predict_pretrained,
)
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings
from studies.towers.data import STREAMS, Towers
from studies.towers.network import FLUXES

BEFORE, AFTER = "before", "after"
STRATEGY = "ftbsc"
"""How networks without a process model are calibrated."""

SPUN_UP: Any = {"spin_up_cycles": 1, "spin_up_differentiated": True}
"""A pass through the first two years, so that what was sown before the record stands in it."""

PROCESS = ProcessModel(**SPUN_UP)

HYBRID_RATE = 1e-2
"""Peak learning rate of hybrids in pretraining."""


@dataclass(frozen=True)
class Effort:
    """How much is done for a model.

    Attributes:
      pretrain_steps: most gradient steps of a network on the synthetic sites; a fifth of a hybrid.
      steps: most gradient steps of a network at a site.
      seed: of weights and batches.
      parameters: of the process model that are estimated.
      site_batch: sites a device advances at once.
    """

    pretrain_steps: int
    steps: int
    seed: int = 0
    parameters: tuple[str, ...] = DEFAULT_SUBSET
    site_batch: int = 8


def calibrate(
    name: kinds.Name,
    towers: Towers,
    effort: Effort,
    folder: Path,
    process: Model = PROCESS,
) -> xr.Dataset:
    """Predicts all towers with a model as it comes and as calibrated at each of them.

    The process model comes with its priors, a hybrid or network pretrained on the embedded
    synthetic sites. What has process parameters is calibrated by them, with what its
    network learnt left as it is; a network alone by `STRATEGY`.

    Args:
      name: of the model.
      towers: where, with the uncertainties that weigh the observations of process parameters.
      effort: see `Effort`.
      folder: for the pretraining run, used as it is if finished.
      process: what the name "process" stands for.

    Returns:
      Fluxes, dims (strategy, site, day), `accepted` (site), and of models with process parameters
      `value`, `shrinkage` and `identified`, dims (site, parameter).
    """
    if name == "process":
        return _by_parameters(process, process.init(jax.random.key(0)), towers, effort)
    base = load_or_pretrain(name, effort, folder)
    if not kinds.KINDS[name].has_process:
        return _by_weights(base, towers, effort, folder / f"calibrate-{name}")
    model = replace(base.model, process=replace(base.model.process, **SPUN_UP))
    return _by_parameters(model, base.weights, towers, effort)


def load_or_pretrain(name: kinds.Name, effort: Effort, folder: Path) -> Pretrained:
    """Returns a model pretrained on the embedded synthetic sites, made if not in the folder."""
    run = folder / f"pretrain-{name}"
    if checkpoint.is_complete(run / saved.CHECKPOINT):
        return saved.load_pretrained(run)
    say(f"Pretraining {name} on the embedded synthetic sites.")
    # What a run that was stopped has left here was not taken over.
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    # Place and soil of the Midwest tell a network nothing of Europe; dPL has nothing else.
    told = "default" if name == "dpl" else "dynamic"
    settings = PretrainSettings(steps=effort.pretrain_steps)
    if kinds.KINDS[name].has_process:
        # It starts as the process model, and a step of it costs many of a network alone.
        settings = replace(settings, steps=settings.steps // 5, learning_rate=HYBRID_RATE)
    data = sites.divide(sites.load(DataChoice()), SplitChoice())
    model = pretraining.make_model(ModelChoice(model=name, inputs=told), data)
    base = pretraining.pretrain(model, data, effort.seed, settings, logged(run))
    saved.save(base, run)
    return base


def _by_parameters(model: Model, weights: Weights, towers: Towers, effort: Effort) -> xr.Dataset:
    problem = Problem(
        towers.observed_as(model),
        effort.parameters,
        default_prior_sd(effort.parameters),
        tuple(Stream(name) for name in STREAMS if name in towers.sites.site.targets),
    )
    solver, key = LevenbergMarquardt(), jax.random.key(effort.seed)
    found = estimate(problem, weights, towers.data, solver, key, site_batch=effort.site_batch)
    known = diagnose(
        problem,
        weights,
        towers.data,
        found.base,
        found.offsets,
        kept=found.accepted,
        learnt=learnt_offsets(model, problem.names, weights, towers.sites),
        site_batch=effort.site_batch,
    )
    fluxes = {
        BEFORE: predict_shifted(problem, weights, towers.sites, found.base),
        AFTER: predict_shifted(problem, weights, towers.sites, found.base + found.offsets),
    }
    both = ("site", "parameter")
    return _dataset(fluxes, towers, found.accepted).assign(
        value=(both, np.asarray(known.parameters.value, np.float32)),
        shrinkage=(both, np.asarray(known.posterior.shrinkage, np.float32)),
        identified=(both, np.asarray(known.identification.identified, np.float32)),
        parameter=list(problem.names),
    )


def _by_weights(base: Pretrained, towers: Towers, effort: Effort, run: Path) -> xr.Dataset:
    base = replace(base, model=towers.observed_as(base.model))
    settings = CalibrateSettings(steps=effort.steps, batch=4)
    # What a run that was stopped has left here was not taken over.
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    watch = logged(run, key="strategy")
    fitted = calibration.calibrate(base, towers.data, STRATEGY, effort.seed, settings, watch)
    before = predict_pretrained(base, towers.sites)
    after = predict_calibrated(fitted, towers.sites, before)
    accepted = fitted.fits.accepted if fitted.fits is not None else fitted.moved
    return _dataset({BEFORE: before, AFTER: after}, towers, accepted)


def _dataset(fluxes: dict[str, Predicted], towers: Towers, accepted: np.ndarray) -> xr.Dataset:
    dims = ("strategy", "site", "day")
    predicted = [name for name in FLUXES if name in fluxes[BEFORE]]
    columns = {
        name: (dims, np.stack([fluxes[when][name] for when in (BEFORE, AFTER)]).astype(np.float32))
        for name in predicted
    }
    coordinates = {"strategy": [BEFORE, AFTER], "site": list(towers.sites.names)}
    predictions = xr.Dataset(columns, coords=coordinates)
    return predictions.assign(accepted=("site", np.asarray(accepted, np.float32)))
