"""Every model at the towers, before and after its calibration."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.cli.console import logged, say
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.models import kinds
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.runs import directory, saved
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.training import checkpoint
from kgml_jax.workflows import calibration, estimated, pretraining, sites
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.prediction import (
    Predicted,
    predict_calibrated,
    predict_pretrained,
)
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings
from studies.towers import parameters
from studies.towers.data import Towers
from studies.towers.network import FLUXES
from studies.towers.parameters import Search

BEFORE, ESTIMATED, AFTER = "before", "estimated", "after"
HELD_OUT = "held out"
"""What is predicted of learning days by what has not seen them, and of other days by the latest."""

FOLDS = 3
"""Parts of crop-years that are held out in turn, of estimates and of corrections."""
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
      search: of process parameters.
    """

    pretrain_steps: int
    steps: int
    seed: int = 0
    search: Search = field(default_factory=Search)


def calibrate(
    name: kinds.Name,
    towers: Towers,
    effort: Effort,
    folder: Path,
    process: Model = PROCESS,
) -> xr.Dataset:
    """Predicts all towers with a model as it comes and as calibrated at each of them.

    The process model comes with its priors and is calibrated by its parameters, a network comes
    pretrained on the embedded synthetic sites and is calibrated by `STRATEGY`.

    Args:
      name: of the model.
      towers: where.
      effort: see `Effort`.
      folder: for the pretraining run, used as it is if finished, and for searches.
      process: what the name "process" stands for.

    Returns:
      Fluxes, dims (strategy, site, day), `accepted` (site), and of models with process parameters
      what `parameters.described` says.
    """
    searches = folder / directory.PROGRESS / name
    if name == "process":
        weights = process.init(jax.random.key(0))
        return _by_parameters(process, weights, towers, effort.search, searches)
    base = load_or_pretrain(name, effort, folder)
    return _by_weights(base, towers, effort, folder / f"calibrate-{name}")


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
    told = "default" if name == "dpl" else "calendar"
    settings = PretrainSettings(steps=effort.pretrain_steps)
    if kinds.KINDS[name].has_process:
        # It starts as the process model, and a step of it costs many of a network alone.
        settings = replace(settings, steps=settings.steps // 5, learning_rate=HYBRID_RATE)
    data = sites.divide(sites.load(DataChoice()), SplitChoice())
    model = pretraining.make_model(ModelChoice(model=name, inputs=told), data)
    base = pretraining.pretrain(model, data, effort.seed, settings, logged(run))
    saved.save(base, run)
    return base


def _by_parameters(
    model: Model, weights: Weights, towers: Towers, search: Search, folder: Path
) -> xr.Dataset:
    found = parameters.estimate(model, weights, towers, search, folder)
    latest = found.fluxes[estimated.AFTER]
    fluxes = {BEFORE: found.fluxes[estimated.BEFORE], ESTIMATED: latest, AFTER: latest}
    fluxes[HELD_OUT] = parameters.held_out(found)
    predicted = _dataset(fluxes, towers, found.found.accepted)
    return predicted.merge(parameters.described(found).assign_coords(site=predicted["site"]))


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
        name: (dims, np.stack([of[name] for of in fluxes.values()]).astype(np.float32))
        for name in predicted
    }
    coordinates = {"strategy": list(fluxes), "site": list(towers.sites.names)}
    predictions = xr.Dataset(columns, coords=coordinates)
    return predictions.assign(accepted=("site", np.asarray(accepted, np.float32)))
