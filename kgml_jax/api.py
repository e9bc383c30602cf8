"""The public functions, thin: from files to calibrated sites, parameters and predictions.

A session from nothing; the examples of the functions go on with its names. On a machine without an
accelerator `kgml_jax.use_cpu_cores()` before it spreads the sites over the cores.

>>> import kgml_jax
>>> sites = kgml_jax.synthetic_sites(sites=3, years=4)
>>> data = kgml_jax.divide(sites)
>>> model = kgml_jax.make_model("recurrent", data, hidden=4, basis_layers=1, rh_layers=1)
>>> base = kgml_jax.pretrain(model, data, steps=2, validate_every=1)
>>> fitted = kgml_jax.calibrate(base, data, "bias", steps=2, validate_every=1)
>>> fluxes = kgml_jax.predict(fitted, sites)
>>> scores = kgml_jax.score({"pretrained": kgml_jax.predict(base, sites), "bias": fluxes}, data)
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import xarray as xr

from kgml_jax.data import choices
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.display import in_notebook
from kgml_jax.models import kinds
from kgml_jax.models.protocol import Model
from kgml_jax.progress import NotebookProgress, Progress
from kgml_jax.runs import saved
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import Observer, reporting, unwatched
from kgml_jax.workflows import calibration, estimation, fields, pretraining, scoring, simulation
from kgml_jax.workflows import observations as site_observations
from kgml_jax.workflows import sites as site_sources
from kgml_jax.workflows.estimated import Estimated

Settings = TypeVar("Settings")


def read_sites(
    path: str | Path, metadata: str | Path | None = None, fluxes: bool = True, **options: Any
) -> Sites:
    """Reads tower or field data, checks them, and fills what may be filled.

    Args:
      path: FLUXNET daily file, zip or folder; NetCDF, Zarr or CSV with dims (site, time).
      metadata: CSV of site metadata (site, lat, lon, elev, igbp); by default `sites.csv` beside it.
      fluxes: whether fluxes are needed. Without, files need to hold none, and those they hold are
        not read: for `predict` and `simulate`.
      options: further fields of `data.choices.DataChoice`, such as `qc_threshold` or `partition`.

    Returns:
      The sites; `notes` say what was done to the data on the way in.

    Raises:
      DataError: naming file, site and variable, what was found and what was expected.
      ValueError: an option is not known.

    Example:
      >>> kgml_jax.read_sites("nowhere")
      Traceback (most recent call last):
      kgml_jax.errors.DataError: no such file or folder (found nowhere; expected a path to data)
    """
    table = None if metadata is None else Path(metadata)
    choice = _settings(DataChoice, {"data": Path(path), "metadata": table, **options})
    return site_sources.load(choice, fluxes=fluxes)


def synthetic_sites(
    sites: int = 30, years: int = 8, seed: int = 0, prescribe_gpp: bool = False
) -> Sites:
    """Makes sites of a synthetic Midwest whose truth the process model gives.

    Args:
      sites: how many, in the ratio IL:IA:IN = 22:41:27.
      years: length of each record.
      seed: of climate, management, true parameters, noise and gaps.
      prescribe_gpp: give the simulated GPP to the model as an input.

    Returns:
      The sites; `truth` holds their true parameters and fluxes.

    Example:
      >>> len(sites), sites.names
      (3, ('IL-01', 'IA-01', 'IN-01'))
    """
    return site_sources.load(
        DataChoice(
            synthetic_sites=sites,
            synthetic_years=years,
            synthetic_seed=seed,
            prescribe_gpp=prescribe_gpp,
        )
    )


def observations(sites: Sites | DividedSites) -> xr.Dataset:
    """Returns what the sites observed, as it is scored.

    Args:
      sites: that were read or made.

    Returns:
      Each target and its `<target>_uncertainty` (one standard error) with CF attributes, dims
      (site, time); NaN on days that are not observed or were masked when the data were read.

    Example:
      >>> observed = kgml_jax.observations(sites)
      >>> observed["NEE"].attrs["units"], bool(observed["NEE"].isnull().any())
      ('g m-2 d-1', True)
    """
    return site_observations.observations(_sites(sites))


def divide(
    sites: Sites,
    how: Literal[
        "last-years", "blocked", "extreme-years", "leave-site-out", "leave-group-out"
    ] = "last-years",
    test: int = 2,
    validation: int = 1,
    leave_out: Sequence[str] = (),
    new_sites: int = 0,
) -> DividedSites:
    """Divides the days of every site into training, validation and test.

    Args:
      sites: to divide.
      how: by the last or most extreme years of each record, blocks of years, or whole sites.
      test: years of each record that are only ever scored.
      validation: last years of the others, which stop training and decide acceptance.
      leave_out: names of sites or groups, for the last two ways.
      new_sites: whole sites that pretraining never sees (last-years).

    Raises:
      DataError: a name to leave out does not exist.
      ValueError: an option has no meaning beside another, or no site is left to train on.

    Example:
      >>> data.split.periods["IL-01"][-1]
      ('2003-01-01', '2004-12-31', 'test')
    """
    choice = SplitChoice(how, test, validation, tuple(leave_out), new_sites)
    return site_sources.divide(sites, choice)


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
    _require_divided(data)
    return pretraining.make_model(
        _settings(pretraining.ModelChoice, {"model": name, **options}), data
    )


def pretrain(model: Model, data: DividedSites, seed: int = 0, **settings: Any) -> Pretrained:
    """Trains one model on the training days of all sites.

    Args:
      model: see `make_model`.
      data: sites with their split.
      seed: of the weights, batches and dropout.
      settings: fields of `workflows.pretraining.PretrainSettings`, such as `steps` or `batch`.

    Raises:
      DataError: a site lacks what the model is driven by: a crop calendar, or GPP.
      DivergedError: the loss was not finite before validation ever improved.
      ValueError: a setting is not known, or there is no day to train or to validate on.

    Example:
      >>> base.training.sites, base.training.steps
      (3, 2)
    """
    _require_divided(data)
    chosen = _settings(pretraining.PretrainSettings, settings)
    return pretraining.pretrain(model, data, seed, chosen, _watch)


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
    _require_divided(data)
    site_sources.require_drivers(base, data.sites)
    site_sources.assert_unseen(base.split, data)
    chosen = _settings(calibration.CalibrateSettings, settings)
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
    _require_divided(data)
    asked: dict[str, Any] = {"streams": tuple(streams), **settings}
    if parameters is not None:
        asked["parameters"] = tuple(parameters)
    choices.require_crops(data.sites)
    chosen = _settings(estimation.EstimateSettings, asked)
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
    return fields.predict_fields(fitted, _sites(sites), unknown).daily


def simulate(
    sites: Sites | DividedSites,
    parameters: Mapping[str, np.ndarray | float] | None = None,
    outputs: Sequence[str] = ("fluxes",),
) -> xr.Dataset:
    """Simulates every site with the process model.

    Args:
      sites: with weather and a crop calendar; without one the ground is bare.
      parameters: fields of `process.Params` in physical units, each a number or (site,); those not
        named have their defaults.
      outputs: names or groups: all, fluxes, carbon, nitrogen, water, heat, crop.

    Returns:
      Daily values with CF attributes, dims (site, time) or (site, time, layer).

    Raises:
      ValueError: an output or parameter has no such name.

    Example:
      >>> fields = kgml_jax.simulate(sites, {"carbon_use_efficiency": 0.4}, ["carbon"])
      >>> fields["heterotrophic_respiration"].attrs["units"]
      'g m-2 d-1'
    """
    given = {name: np.asarray(values) for name, values in (parameters or {}).items()}
    return simulation.simulate(_sites(sites), given, outputs)


def score(
    fluxes: xr.Dataset | Mapping[str, xr.Dataset],
    data: DividedSites,
    days: Literal["test", "validation", "train"] = "test",
) -> xr.Dataset:
    """Scores predictions by site and variable.

    Args:
      fluxes: what `predict` or `simulate` returned, or several of them by name.
      data: sites with their split; holds the observations.
      days: which days are scored.

    Returns:
      r2, rmse, bias and more, dims (strategy, site, variable).

    Raises:
      ValueError: the fluxes are of other sites, or no day is to be scored.

    Example:
      >>> scores["r2"].dims, scores["strategy"].values.tolist()
      (('strategy', 'site', 'variable'), ['pretrained', 'bias'])
    """
    _require_divided(data)
    several = {"predicted": fluxes} if isinstance(fluxes, xr.Dataset) else fluxes
    return scoring.score_datasets(several, data, days)


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


def _settings(cls: type[Settings], given: Mapping[str, Any]) -> Settings:
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"no option {', '.join(unknown)}; there are {', '.join(known)}")
    return cls(**given)


def _sites(given: Sites | DividedSites) -> Sites:
    return given.sites if isinstance(given, DividedSites) else given


def _require_divided(data: DividedSites) -> None:
    if not isinstance(data, DividedSites):
        raise TypeError(
            f"{type(data).__name__} instead of sites with their split: first "
            "data = kgml_jax.divide(sites)"
        )


def _watch(name: str, steps: int) -> AbstractContextManager[Observer]:
    # A bar where somebody looks: not in a pipe or a log.
    if in_notebook():
        return reporting(NotebookProgress(name, steps))
    return reporting(Progress(name, steps)) if sys.stderr.isatty() else unwatched(name, steps)
