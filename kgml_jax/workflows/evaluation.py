"""What came out: strategies and references scored on the days no training looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.evaluation import physics, references, scores, statistics
from kgml_jax.models.features import Scaling
from kgml_jax.models.process import ProcessModel
from kgml_jax.runs.saved import Calibrated, Pretrained
from kgml_jax.sites import TEST, VARIABLES, Sites
from kgml_jax.split import DividedSites, Split
from kgml_jax.training.predict import predict_sites
from kgml_jax.workflows.calibration import REFERENCE, zero_shot_errors
from kgml_jax.workflows.prediction import predict_calibrated, predict_pretrained
from kgml_jax.workflows.scoring import (
    HEADLINE,
    Predictions,
    comparisons,
    score_all,
    variable_summaries,
)
from kgml_jax.workflows.sites import seen_in_pretraining


@dataclass(frozen=True)
class Assessment:
    """How several ways of predicting did at the same sites and days.

    Attributes:
      data: sites with their split; the test days are scored.
      predictions: daily fluxes by strategy and variable, each (site, time).
      results: dims (strategy, site, variable); see `scoring.score_all`.
      groups: the scores of all sites of a group together.
      pairs: strategies compared over sites.
      summary: all of it in a few numbers, as `summary.json` has them.
    """

    data: DividedSites
    predictions: Predictions
    results: xr.Dataset
    groups: xr.Dataset
    pairs: tuple[statistics.Comparison, ...] = ()
    summary: Mapping[str, Any] | None = None


def assess(predictions: Predictions, data: DividedSites, scaling: Scaling) -> Assessment:
    """Scores predictions on the test days."""
    results = score_all(predictions, data, scaling)
    groups = scores.by_group(predictions, data.sites, data.test_days)
    return Assessment(data, predictions, results, groups)


def assess_pretraining(base: Pretrained, data: DividedSites) -> Assessment:
    """Scores the pretrained model on its test days."""
    found = assess({"pretrained": predict_pretrained(base, data.sites)}, data, base.scaling)
    summary = training_summary(base, data) | {
        "median_mse": float(found.results["standardised_mse"].median()),
        "balance_residual": float(found.results["balance_residual"].mean()),
        "variables": variable_summaries(found.results, "pretrained"),
    }
    return Assessment(data, found.predictions, found.results, found.groups, summary=summary)


def training_summary(base: Pretrained, data: DividedSites) -> dict[str, Any]:
    """Returns how pretraining went, as `summary.json` has it."""
    made = base.training
    facts: dict[str, Any] = {"sites": len(data), "split": data.split.kind}
    if made is not None:
        facts |= {
            "sites_trained_on": made.sites,
            "steps": made.steps,
            "best_step": made.best_step,
            "best_validation_error": made.best_error,
            "seconds": made.seconds,
        }
    return facts


def assess_calibration(
    base: Pretrained, fitted: Mapping[str, Calibrated], data: DividedSites
) -> Assessment:
    """Scores every strategy on the test days against the pretrained model.

    `results` hold acceptance, health and effort per site, and which sites were harmed.
    """
    zero_shot = predict_pretrained(base, data.sites)
    predictions = {REFERENCE: zero_shot} | {
        name: predict_calibrated(one, data.sites, zero_shot) for name, one in fitted.items()
    }
    found = assess(predictions, data, base.scaling)
    results = found.results.assign(_fits_by_site(base, fitted, data))
    error = results["standardised_mse"]
    results["harmed"] = (error > error.sel(strategy=REFERENCE)).astype(float)
    text = "worse than the pretrained model on the test days"
    results["harmed"].attrs = {"units": "1", "long_name": text}
    seen = seen_in_pretraining(base, data.sites).astype(float)
    text = "the pretrained model was trained on this site"
    results["known"] = ("site", seen, {"units": "1", "long_name": text})
    pairs = tuple(comparisons(results, REFERENCE))
    summary = {
        "sites": len(data),
        "split": data.split.kind,
        "headline": HEADLINE,
        "strategies": {name: _summary(name, fitted.get(name), results) for name in predictions},
        "comparisons": pairs,
    }
    return Assessment(data, predictions, results, found.groups, pairs, summary)


def drift(found: Assessment) -> xr.Dataset:
    """Returns what calibration changed in the physics of the pretrained model."""
    days = found.data.test_days
    return physics.drift(found.predictions, REFERENCE, found.data.sites, days)


def _fits_by_site(
    base: Pretrained, fitted: Mapping[str, Calibrated], data: DividedSites
) -> dict[str, tuple]:
    none = np.zeros(len(data))
    fits = [one.fits for one in fitted.values() if one.fits is not None]
    columns = {
        "validation_error": (
            [zero_shot_errors(base, data), *(one.validation_error for one in fits)],
            "validation error",
        ),
        "accepted": (
            [none, *(one.accepted for one in fits)],
            "better than the pretrained model on the validation days",
        ),
        "finite": ([none + 1, *(one.healthy for one in fits)], "loss and gradients were finite"),
        "steps": ([none, *(one.steps for one in fits)], "gradient steps taken"),
    }
    return {
        name: (
            ("strategy", "site"),
            np.stack([np.asarray(value, dtype=float) for value in values]),
            {"units": "1", "long_name": text},
        )
        for name, (values, text) in columns.items()
    }


def _summary(name: str, fitted: Calibrated | None, results: xr.Dataset) -> dict[str, Any]:
    own = results.sel(strategy=name)
    mse = own["standardised_mse"]
    fits = None if fitted is None else fitted.fits
    return {
        "median_mse": float(mse.median()),
        "median_mse_known_sites": float(mse[own["known"] == 1].median()),
        "median_mse_new_sites": float(mse[own["known"] == 0].median()),
        "median_rmse": float((mse**0.5).median()),
        "median_r2": float(own["r2"].mean("variable").median()),
        "sites_accepted": int(own["accepted"].sum()),
        "sites_harmed_on_test": int(own["harmed"].sum()),
        "sites_not_finite": int((own["finite"] == 0).sum()),
        "balance_residual": float(own["balance_residual"].mean()),
        "negative_share": float(own["negative_share"].mean()),
        "trained_share": 0.0 if fitted is None else fitted.trained_share,
        "seconds": 0.0 if fits is None else fits.seconds,
        "variables": variable_summaries(results, name),
    }


def divide_as_run(split: Split, before: Split, sites: Sites) -> DividedSites:
    """Returns sites with the test days of known sites, and all days of others, as test days.

    Args:
      split: of the run; it comes first.
      before: split of the pretraining, for sites the run's own split does not hold.
      sites: sites to score.
    """
    known = before.intervals | split.intervals
    dates = np.asarray(sites.site.calendar.date).astype("datetime64[D]").astype(str)
    intervals = {
        name: known.get(name, ((dates[row, 0], dates[row, -1], "test"),))
        for row, name in enumerate(sites.names)
    }
    return Split(kind=split.kind, intervals=intervals, options=split.options).divide(sites)


def reference_predictions(data: DividedSites) -> Predictions:
    """Returns what a sceptic asks for, fitted on all days but the test days.

    The process model with its prior parameters joins them where crops and seasons are known.
    """
    sites = data.sites
    free = (data.roles != TEST) & np.asarray(sites.site.valid)
    found = {
        "climatology": references.day_of_year_climatology(sites, free),
        "boosting-pooled": references.boosting_pooled(sites, free),
        "boosting-per-site": references.boosting_per_site(sites, free),
    }
    if np.asarray(sites.site.forcing.occupied).any(axis=1).all():
        process = ProcessModel(spin_up_cycles=2)
        found["process-prior"] = predict_sites(process, process.init(jax.random.key(0)), sites)
    return found


def as_dataset(predictions: Predictions, data: DividedSites) -> xr.Dataset:
    """Returns predictions and observations with dims (strategy, site, day) and units."""
    sites = data.sites
    names = [name for name in VARIABLES if name in next(iter(predictions.values()))]
    dims = ("strategy", "site", "day")
    result = xr.Dataset(coords={"strategy": list(predictions), "site": list(sites.names)})
    valid = np.asarray(sites.site.valid)
    for name in names:
        attributes = {"units": VARIABLES[name].units, "long_name": VARIABLES[name].doc}
        blank = np.full(valid.shape, np.nan, np.float32)
        stacked = np.stack([fluxes.get(name, blank) for fluxes in predictions.values()])
        result[name] = (dims, np.where(valid, stacked, np.nan).astype(np.float32), attributes)
        if name in sites.site.targets:
            seen = np.asarray(sites.site.mask[name]) & valid
            observed = np.where(seen, sites.site.targets[name], np.nan).astype(np.float32)
            result[f"{name}_observed"] = (dims[1:], observed, attributes)
    dates = np.asarray(sites.site.calendar.date, dtype=np.int32)
    result["date"] = (dims[1:], dates, {"units": "days since 1970-01-01", "calendar": "standard"})
    scored = data.test_days.astype(np.int8)
    result["scored"] = (dims[1:], scored, {"units": "1", "long_name": "test day"})
    return result
