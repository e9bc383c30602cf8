"""Models that are trained, calibrated, asked and kept."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from kgml_jax.api.given import plain, require_divided
from kgml_jax.api.given import settings as settings_of
from kgml_jax.data import choices
from kgml_jax.display import in_notebook
from kgml_jax.models import kinds
from kgml_jax.models.protocol import Model
from kgml_jax.progress import NotebookProgress, Progress
from kgml_jax.runs import saved
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import Observer, reporting, unwatched
from kgml_jax.workflows import calibration, estimation, fields, pretraining
from kgml_jax.workflows import sites as site_sources
from kgml_jax.workflows.estimated import Estimated


def make_model(name: kinds.Name, data: DividedSites, **options: Any) -> Model:
    """Makes a model, its inputs and targets standardised by the training days.

    Args:
      name: recurrent, emulator, process, gpp-forced, dpl, dpl-dynamic, closure, residual or
        residual-conserving; see `models.kinds.KINDS`.
      data: sites with their split.
      options: further fields of `workflows.pretraining.ModelChoice`, such as `hidden` or `inputs`.

    Raises:
      ValueError: the name or an option is not known, or nothing is observed on a training day.

    Example:
      >>> kgml_jax.make_model("transformer", data)
      Traceback (most recent call last):
      ValueError: no model 'transformer'; there are recurrent, emulator, process, gpp-forced, \
dpl, dpl-dynamic, closure, residual, residual-conserving
    """
    require_divided(data)
    return pretraining.make_model(
        settings_of(pretraining.ModelChoice, {"model": name, **options}), data
    )


def pretrain(
    model: Model,
    data: DividedSites,
    seed: int = 0,
    start: Pretrained | None = None,
    **settings: Any,
) -> Pretrained:
    """Trains one model on the training days of all sites.

    Args:
      model: see `make_model`.
      data: sites with their split.
      seed: of the weights, batches and dropout.
      start: what the same model learnt from other data, such as synthetic sites: its weights are
        gone on from, in place of drawn ones.
      settings: fields of `workflows.pretraining.PretrainSettings`, such as `steps` or `batch`.

    Raises:
      DataError: a site lacks what the model is driven by: a crop calendar, or GPP; or a test day is
        one that `start` looked at.
      DivergedError: the loss was not finite before validation ever improved.
      ValueError: a setting is not known, there is no day to train or to validate on, or `start` is
        another model.

    Example:
      >>> base.training.sites, base.training.steps
      (3, 2)
    """
    require_divided(data)
    chosen = settings_of(pretraining.PretrainSettings, settings)
    return pretraining.pretrain(model, data, seed, chosen, _watch, start)


def calibrate(
    base: Pretrained, data: DividedSites, strategy: str = "ftbsc", seed: int = 0, **settings: Any
) -> Calibrated:
    """Calibrates every site, or group of sites, at once.

    Args:
      base: the pretrained model.
      data: sites with their split, those of the pretraining or others.
      strategy: what a site owns; see `training.strategies.STRATEGIES`.
      seed: of batches, dropout and fresh weights.
      settings: fields of `workflows.calibration.CalibrateSettings`, such as `steps` or `batch`.

    Raises:
      DataError: a test day is one that the pretraining looked at, or a site lacks a crop calendar.
      ValueError: the strategy or a setting is not known, or a site has no day to learn from.

    Example:
      >>> fitted.fits.names == sites.names, fitted.fits.accepted.dtype
      (True, dtype('bool'))
    """
    require_divided(data)
    site_sources.require_drivers(base.model, data.sites)
    site_sources.assert_unseen(base.split, data)
    chosen = settings_of(calibration.CalibrateSettings, settings)
    return calibration.calibrate(base, data, strategy, seed, chosen, _watch)


def estimate(
    base: Pretrained | None,
    data: DividedSites,
    parameters: Sequence[str] | None = None,
    streams: Sequence[str] = ("NEE", "Reco", "ET"),
    seed: int = 0,
    **settings: Any,
) -> Estimated:
    """Estimates process parameters at every site, with intervals.

    Args:
      base: hybrid whose parameters are the means of the priors; None takes the process model with
        its defaults.
      data: sites with their split and a crop calendar.
      parameters: fields of `process.Params`; None takes `process.parameters.DEFAULT_SUBSET`.
      streams: observed variables that inform.
      seed: of starts and of searches that draw.
      settings: further fields of `workflows.estimation.EstimateSettings`, such as `solver`.

    Returns:
      Estimates; `parameters` of them is a data set with dims (site, parameter).

    Raises:
      DataError: a site has no crop calendar.
      ValueError: a name is not known, or no site observes a stream.

    Example:
      >>> kgml_jax.estimate(None, data, streams=("LAI",))
      Traceback (most recent call last):
      ValueError: no variable 'LAI'; there are GPP, Ra, ...
    """
    require_divided(data)
    asked: dict[str, Any] = {"streams": tuple(streams), **settings}
    if parameters is not None:
        asked["parameters"] = tuple(parameters)
    choices.require_crops(data.sites)
    chosen = settings_of(estimation.EstimateSettings, asked)
    return estimation.estimate(data, base, seed, chosen)


def predict(
    fitted: Pretrained | Calibrated,
    sites: Sites | DividedSites,
    unknown: Literal["pretrained", "nearest", "group"] = "pretrained",
) -> xr.Dataset:
    """Predicts the daily fluxes of every site, of fields without fluxes too.

    Args:
      fitted: a pretrained model, or calibrated sites.
      sites: with weather and, for models with the process model, a crop calendar; of
        `read_sites(path, fluxes=False)` where they have no fluxes.
      unknown: what predicts sites that were not calibrated: the pretrained model, what the nearest
        calibrated site owns, or the mean of what the calibrated sites of their group own.

    Returns:
      Daily fluxes with CF attributes, dims (site, time), NaN outside of a site's record; `outside`
      flags the days, `site_outside` the sites, that lie outside of what the model has seen.

    Raises:
      DataError: a site lacks what the model is driven by, or its place where the nearest is asked.
      ValueError: there is no such choice, or it is not possible with what was fitted.

    Example:
      >>> fluxes["NEE"].dims, fluxes["NEE"].attrs["units"]
      (('site', 'time'), 'g m-2 d-1')
      >>> fluxes["NEE"].resample(time="YE").sum().sizes["time"]
      4
      >>> fluxes["outside"].attrs["flag_meanings"]
      'weather management place crop start_of_record no_record'
    """
    return fields.predict_fields(fitted, plain(sites), unknown).daily


def save(fitted: Pretrained | Calibrated, folder: str | Path) -> None:
    """Writes all that is needed to predict with a fitted model again.

    Args:
      fitted: what `pretrain` or `calibrate` returned.
      folder: is made; of calibrated sites several strategies can lie in one.

    Raises:
      CheckpointError: there is one in the folder already.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     kgml_jax.save(base, folder)
      ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
      ['checkpoint', 'data.json']
    """
    saved.save(fitted, Path(folder))


def load(folder: str | Path, strategy: str | None = None) -> Pretrained | Calibrated:
    """Reads what `save`, or the commands pretrain and calibrate, wrote.

    Args:
      folder: of a run, or of a saved model.
      strategy: which, where sites were calibrated by several.

    Raises:
      CheckpointError: no fitted model there, or one of another schema.
      ValueError: the strategy is needed, or not there.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     kgml_jax.save(fitted, folder)
      ...     again = kgml_jax.load(folder)
      >>> again.strategy
      'bias'
    """
    return saved.load(Path(folder), strategy)


def _watch(name: str, steps: int) -> AbstractContextManager[Observer]:
    # A bar where somebody looks: not in a pipe or a log.
    if in_notebook():
        return reporting(NotebookProgress(name, steps))
    return reporting(Progress(name, steps)) if sys.stderr.isatty() else unwatched(name, steps)
