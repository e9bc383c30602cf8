"""Predictions of `estimate.py` with their intervals, and how these met the held-out days."""

import jax
import numpy as np

from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.inversion import intervals
from kgml_jax.inversion.intervals import IntervalScore
from kgml_jax.inversion.prediction import LEAST_DAYS, AnnualSums
from kgml_jax.sites import Sites
from kgml_jax.workflows.estimated import Estimated
from kgml_jax.workflows.estimation_tables import true_world

SCORES = (
    "coverage",
    "10 to 90 % of sites",
    "mean width",
    "interval score",
    "sites",
    "sites without",
)
"""Columns of `_coverage`."""


def coverage_grid(fitted: Estimated) -> Grid:
    """Tabulates how 90 % intervals met the test days, pooled over the sites that have any."""
    rows = []
    for name, predicted in fitted.predictions.items():
        rows.append((name, "gaussian", *_coverage(predicted.gaussian)))
        rows.append((name, "conformal", *_coverage(predicted.conformal)))
    title = (
        "90 % intervals on the test days: share of the observations inside; sites without: too few "
        "validation days, or not finite"
    )
    return Grid(title, ("variable", "interval", *SCORES), tuple(rows), 2)


def annual_grid(fitted: Estimated) -> Grid:
    """Tabulates how 90 % intervals of sums over held-out years met what is known of them."""
    sites, days = fitted.data.sites, fitted.data.test_days
    world = true_world(sites)
    rows = []
    for name, predicted in fitted.predictions.items():
        if predicted.annual is None:
            continue
        rows.append((name, "observed days, observed", *_coverage(predicted.annual.observed)))
        if world is not None:
            daily = world[f"{name}_truth"].to_numpy()
            score = true_sums_score(sites, predicted.annual, daily, days)
            rows.append((name, "all days, true", *_coverage(score)))
    title = (
        "90 % Gaussian intervals of sums over held-out years, per year; observed days: their sum "
        f"against that of the observations, years with {LEAST_DAYS} of them, errors of the days "
        "independent; all days: whole years against the truth of the synthetic sites, which no "
        "tower knows, errors of the parameters alone"
    )
    return Grid(title, ("variable", "sum", *SCORES), tuple(rows), 2)


def true_sums_score(
    sites: Sites, annual: AnnualSums, truth: np.ndarray, days: np.ndarray
) -> IntervalScore:
    """Judges the intervals of whole years against sums of the true flux, (site, time)."""
    index = np.asarray(sites.site.calendar.year_index)
    years = np.arange(np.shape(annual.value)[1])[:, None]
    sums = np.stack(
        [
            ((number == years) & seen) @ daily.astype(float)
            for number, seen, daily in zip(index, days, truth, strict=True)
        ]
    )
    interval = intervals.gaussian_interval(annual.value, annual.sd)
    return jax.vmap(intervals.interval_score)(interval, sums, annual.whole)


def _coverage(score: IntervalScore) -> tuple[str, ...]:
    seen = np.asarray(score.count) > 0
    has = seen & np.isfinite(score.width)
    if not has.any():
        return ("-", "-", "-", "-", "0", str(int(seen.sum())))
    weight = score.count[has] / score.count[has].sum()
    coverage, width, mean_score = (
        float(np.sum(weight * part[has])) for part in (score.coverage, score.width, score.score)
    )
    low, high = np.quantile(score.coverage[has], (0.1, 0.9))
    counts = str(int(has.sum())), str(int((seen & ~has).sum()))
    return f"{coverage:.1%}", f"{low:.0%} to {high:.0%}", number(width), number(mean_score), *counts
