"""What came out: strategies and references scored on the days no training looked at."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.evaluation import physics, references, scores, statistics
from kgml_jax.evaluation.headline import headline, remarks
from kgml_jax.evaluation.shares import error_shares
from kgml_jax.models.features import Scaling
from kgml_jax.models.process import ProcessModel
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import TEST, Sites
from kgml_jax.split import DividedSites, Split
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.workflows.calibration import REFERENCE, pretrained_errors
from kgml_jax.workflows.keep import Keep, compute_now
from kgml_jax.workflows.prediction import predict_calibrated, predict_pretrained
from kgml_jax.workflows.scoring import (
    HEADLINE,
    Predictions,
    comparisons,
    score_all,
    variable_summaries,
)
from kgml_jax.workflows.sites import seen_in_pretraining

SHARES = 5
"""Sites of which a summary says what part of the training error they are."""


@dataclass(frozen=True)
class Assessment:
    """How several ways of predicting did at the same sites and days.

    Attributes:
      data: sites with their split; the test days are scored.
      predictions: daily fluxes by strategy and variable, each (site, time).
      results: dims (strategy, site, variable); see `scoring.score_all`.
      groups: the scores of all sites of a group together.
      reference: strategy that the others are compared with.
      pairs: strategies compared over sites.
      summary: all of it in a few numbers, as `summary.json` has them.
      warning: what a reader must know before anything else.
    """

    data: DividedSites
    predictions: Predictions
    results: xr.Dataset
    groups: xr.Dataset
    reference: str = REFERENCE
    pairs: tuple[statistics.Comparison, ...] = ()
    summary: Mapping[str, Any] | None = None
    warning: str | None = None

    @property
    def scored_sites(self) -> list[str]:
        """Names of the sites with enough observed test days of some variable."""
        observed = scores.observed_targets(self.results).any("variable")
        return [str(name) for name in self.results["site"].values[observed.values]]

    @property
    def untested(self) -> list[str]:
        """Names of the other sites: of none of their observed days a score can be made."""
        scored = self.scored_sites
        return [name for name in self.data.sites.names if name not in scored]

    @property
    def scored_days(self) -> int:
        """Test days of all sites on which a variable that is scored is observed."""
        mask = self.data.sites.site.mask
        seen = [np.asarray(mask[str(name)], bool) for name in self.results["variable"].values]
        return int((np.any(seen, axis=0) & self.data.test_days).sum())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the headline could take wrongly."""
        first = () if self.warning is None else (self.warning,)
        return (*first, *remarks(self.results, self.reference))


def assess(
    predictions: Predictions, data: DividedSites, scaling: Scaling, reference: str = REFERENCE
) -> Assessment:
    """Scores predictions on the test days."""
    results = score_all(predictions, data, scaling)
    groups = scores.by_group(predictions, data.sites, data.test_days)
    return Assessment(data, predictions, results, groups, reference)


def _assess_beside(base: Pretrained, predictions: Predictions, data: DividedSites) -> Assessment:
    # With which sites the pretrained model was trained on.
    found = assess(predictions, data, base.scaling)
    seen = seen_in_pretraining(base, data.sites).astype(float)
    text = "the pretrained model was trained on this site"
    known = ("site", seen, {"units": "1", "long_name": text})
    return replace(found, results=found.results.assign(known=known))


def assess_pretraining(base: Pretrained, data: DividedSites) -> Assessment:
    """Scores the pretrained model on its test days."""
    predicted = predict_pretrained(base, data.sites)
    found = _assess_beside(base, {REFERENCE: predicted}, data)
    shares = error_shares(predicted, data, base.scaling)[:SHARES]
    summary = training_summary(base, data) | {
        "sites_untested": found.untested,
        "median_mse": float(found.results["standardised_mse"].median()),
        "balance_residual": float(found.results["balance_residual"].mean()),
        "training_error": [
            {**dataclasses.asdict(share), "drives_the_loss": share.drives} for share in shares
        ],
        "variables": variable_summaries(found.results, REFERENCE),
        "strategies": {REFERENCE: _scores_in_summary(REFERENCE, found.results)},
    }
    return replace(found, summary=summary)


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
            "finite": made.healthy,
            "restarted_at_steps": made.restarted_at,
            "sites_left_out": made.troubles,
        }
    return facts


def assess_calibration(
    base: Pretrained, fitted: Mapping[str, Calibrated], data: DividedSites
) -> Assessment:
    """Scores every strategy on the test days against the pretrained model.

    `results` hold acceptance, health and effort per site, and which sites were harmed.
    """
    predictions = predict_all(base, fitted, data.sites)
    found = _assess_beside(base, predictions, data)
    results = found.results.assign(_fits_by_site(base, fitted, data))
    error = results["standardised_mse"]
    tested = error.notnull().any("strategy")
    results["harmed"] = (error > error.sel(strategy=REFERENCE)).astype(float).where(tested)
    text = "worse than the pretrained model on the test days"
    results["harmed"].attrs = {"units": "1", "long_name": text}
    pairs = tuple(comparisons(results, REFERENCE))
    found = replace(found, results=results, pairs=pairs)
    summary = {
        "sites": len(data),
        "sites_untested": found.untested,
        "split": data.split.kind,
        "headline": HEADLINE,
        "strategies": {name: _summary(name, fitted.get(name), results) for name in predictions},
        "comparisons": pairs,
        "remarks": found.remarks,
    }
    return replace(found, summary=summary)


def assess_run(
    base: Pretrained,
    fitted: Mapping[str, Calibrated],
    data: DividedSites,
    with_references: bool = False,
    keep: Keep = compute_now,
    warning: str | None = None,
) -> Assessment:
    """Scores a finished run on days that it never saw, which may be those of other sites.

    Args:
      base: the pretrained model of the run.
      fitted: what was calibrated from it, by strategy.
      data: sites and days to score; see `divide_as_run`.
      with_references: add what is fitted to the other days without the model.
      keep: gives what was predicted before, or keeps what is predicted now, by name.
      warning: what a reader must know before anything else; it stands in all that is returned.

    Raises:
      ImportError: references need scikit-learn, which is not installed.
    """
    predictions = predict_all(base, fitted, data.sites, keep)
    if with_references:
        predictions |= reference_predictions(data, keep)
    found = replace(_assess_beside(base, predictions, data), warning=warning)
    if warning is not None:
        found = replace(found, results=found.results.assign_attrs(warning=warning))
    summary = {
        "sites": len(data),
        "sites_scored": len(found.scored_sites),
        "sites_untested": found.untested,
        "split": data.split.kind,
        "days_scored": found.scored_days,
        "headline": HEADLINE,
        "strategies": {name: _scores_in_summary(name, found.results) for name in predictions},
        "remarks": found.remarks,
    }
    return replace(found, summary=summary)


def predict_all(
    base: Pretrained,
    fitted: Mapping[str, Calibrated],
    sites: Sites,
    keep: Keep = compute_now,
) -> Predictions:
    """Predicts sites with the pretrained model and with all that was calibrated from it."""
    pretrained = keep(REFERENCE, lambda: predict_pretrained(base, sites))
    return {REFERENCE: pretrained} | {
        name: keep(name, lambda one=one: predict_calibrated(one, sites, pretrained))
        for name, one in fitted.items()
    }


def drift(found: Assessment) -> xr.Dataset:
    """Returns what calibration changed in the physics of the pretrained model."""
    days = found.data.test_days
    return physics.drift(found.predictions, REFERENCE, found.data.sites, days)


def _fits_by_site(
    base: Pretrained, fitted: Mapping[str, Calibrated], data: DividedSites
) -> dict[str, tuple]:
    none = np.zeros(len(data))
    fits = [one.fits for one in fitted.values() if one.fits is not None]
    # What has no gate cannot be accepted by it.
    gated = [STRATEGIES[name].gated for name, one in fitted.items() if one.fits is not None]
    columns = {
        "validation_error": (
            [pretrained_errors(base, data), *(one.validation_error for one in fits)],
            "validation error",
        ),
        "accepted": (
            [
                none * np.nan,
                *(
                    np.where(gate, one.accepted, np.nan)
                    for one, gate in zip(fits, gated, strict=True)
                ),
            ],
            "better than the pretrained model on the validation days; NaN without a gate",
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
    fits = None if fitted is None else fitted.fits
    return {
        **_scores_in_summary(name, results),
        "sites_accepted": int(own["accepted"].sum()) if STRATEGIES[name].gated else None,
        "sites_harmed_on_test": int(own["harmed"].sum()),
        "sites_not_finite": int((own["finite"] == 0).sum()),
        "troubles": {} if fits is None else fits.troubles,
        "trained_share": 0.0 if fitted is None else fitted.trained_share,
        "seconds": 0.0 if fits is None else fits.seconds,
    }


def _scores_in_summary(name: str, results: xr.Dataset) -> dict[str, Any]:
    own = results.sel(strategy=name)
    first, mse = headline(own), own["standardised_mse"]
    return {
        "median_mse": float(first["median_error"]),
        "median_mse_known_sites": float(mse[own["known"] == 1].median()),
        "median_mse_new_sites": float(mse[own["known"] == 0].median()),
        "median_rmse": float((mse**0.5).median()),
        "median_r2": float(first["median_r2"]),
        "pooled_mse": float(first["pooled_error"]),
        "balance_residual": float(own["balance_residual"].mean()),
        "negative_share": float(own["negative_share"].mean()),
        "variables": variable_summaries(results, name),
    }


def divide_as_run(split: Split, before: Split, sites: Sites) -> DividedSites:
    """Returns sites with the test days of known sites, and all days of others, as test days.

    Args:
      split: of the run; it comes first.
      before: split of the pretraining, for sites the run's own split does not hold.
      sites: sites to score.
    """
    known = before.periods | split.periods
    dates = np.asarray(sites.site.calendar.date).astype("datetime64[D]").astype(str)
    periods = {
        name: known.get(name, ((dates[row, 0], dates[row, -1], "test"),))
        for row, name in enumerate(sites.names)
    }
    return Split(kind=split.kind, periods=periods, options=split.options).divide(sites)


def reference_predictions(data: DividedSites, keep: Keep = compute_now) -> Predictions:
    """Returns what a sceptic asks for, fitted on all days but the test days.

    The process model with its prior parameters joins them where crops and seasons are known.
    """
    sites = data.sites
    free = (data.roles != TEST) & np.asarray(sites.site.valid)
    ways = {
        "climatology": lambda: references.day_of_year_climatology(sites, free),
        "boosting-pooled": lambda: references.boosting_pooled(sites, free),
        "boosting-per-site": lambda: references.boosting_per_site(sites, free),
    }
    if np.asarray(sites.site.forcing.occupied).any(axis=1).all():
        process = ProcessModel(spin_up_cycles=2)
        weights = process.init(jax.random.key(0))
        ways["process-prior"] = lambda: predict_sites(process, weights, sites)
    return {name: keep(name, way) for name, way in ways.items()}
