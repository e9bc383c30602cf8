"""The last step at a tower: what learnt from all towers is corrected by the tower's own years.

A ridge regression of the residual on the prediction, the season and whether a crop stands. How far
it may go is asked of years that it was not fitted to, each of the learning years in turn, and where
none of them gains, nothing is corrected; then it is fitted to all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from studies.towers.inputs import taken
from studies.towers.learners import as_observed
from studies.towers.network import FLUXES
from studies.towers.protocols import Trial

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Tried weights of the penalty, as shares of the days observed."""

LEAST_GAIN = 0.02
"""Share of its squared error that a correction must save in years that it was not fitted to."""

LEAST_DAYS = 20
"""Observations of a year from which it counts as one."""


@dataclass(frozen=True)
class Record:
    """One flux at one tower: what was observed, predicted, and explains the difference.

    Shapes (day,), and (day, column) of the explanations, all means of the periods observed.
    """

    observed: np.ndarray
    predicted: np.ndarray
    columns: np.ndarray
    year: np.ndarray
    learning: np.ndarray


def corrected(
    trial: Trial, predicted: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Corrects predictions at every tower by its learning years.

    NEE follows from Reco and GPP where it did before.

    Args:
      trial: a protocol in which towers have years to learn from.
      predicted: by flux, (site, time).

    Returns:
      The predictions after, and which towers had one corrected, bool (site,).
    """
    after = {name: values.copy() for name, values in predicted.items()}
    moved = np.zeros(len(trial.towers.sites), bool)
    balanced = _balanced(predicted)
    names = [name for name in FLUXES if name in predicted and not (balanced and name == "NEE")]
    for row in range(len(moved)):
        for name in names:
            record = _record(trial, predicted, name, row)
            if (added := correction(record)) is not None:
                after[name][row] = record.predicted + added
                moved[row] = True
    if balanced:
        after["NEE"] = predicted["NEE"] + sum(
            sign * _daily_change(trial, predicted, after, name)
            for name, sign in (("Reco", 1.0), ("GPP", -1.0))
        )
    return after, moved


def _balanced(predicted: Mapping[str, np.ndarray]) -> bool:
    if not {"NEE", "Reco", "GPP"} <= set(predicted):
        return False
    # Where periods differ (GPP by days, NEE by eight), the difference is that of the periods.
    gap = predicted["Reco"] - predicted["GPP"] - predicted["NEE"]
    return bool(np.nanmedian(np.abs(gap)) < 1e-3)


def _daily_change(
    trial: Trial, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], name: str
) -> np.ndarray:
    """Returns what was added to a flux, as means of the periods in which NEE is observed."""
    added = after[name] - before[name]
    rows = []
    for row, one in enumerate(added):
        same = trial.towers.period(row, name) == trial.towers.period(row, "NEE")
        rows.append(one if same else as_observed(trial, row, "NEE", one))
    return np.stack(rows)


def _record(trial: Trial, predicted: Mapping[str, np.ndarray], name: str, row: int) -> Record:
    site, data = trial.towers.sites.site, trial.towers.data
    calendar = taken(site.calendar, row)
    angle = 2 * np.pi * np.asarray(calendar.day_of_year) / 365.25
    stands = (np.asarray(site.forcing.occupied)[row] > 0).astype(float)
    seen = np.asarray(site.mask[name])[row] & data.learning_days[row]
    own = np.where(np.isfinite(predicted[name][row]), predicted[name][row], 0.0).astype(float)
    mean, spread = (own[seen].mean(), own[seen].std()) if seen.any() else (0.0, 1.0)
    level = (own - mean) / max(spread, 1e-3)
    known = np.stack([np.ones_like(level), np.sin(angle), np.cos(angle), stands], axis=1)
    known = as_observed(trial, row, name, known)
    columns = np.concatenate([known, level[:, None], level[:, None] * known[:, 1:]], axis=1)
    return Record(
        np.asarray(site.targets[name])[row], own, columns, np.asarray(calendar.year), seen
    )


def correction(record: Record) -> np.ndarray | None:
    """Returns what is to be added on every day; None where no year would gain by it."""
    residual = record.observed - record.predicted
    years = [
        year
        for year in np.unique(record.year[record.learning])
        if (record.learning & (record.year == year)).sum() >= LEAST_DAYS
    ]
    if len(years) < 2:
        return None
    errors = {ridge: _error_of_other_years(record, residual, years, ridge) for ridge in RIDGES}
    best = min(errors, key=lambda ridge: errors[ridge])
    held = np.isin(record.year, years) & record.learning
    if errors[best] > (1 - LEAST_GAIN) * np.sum(residual[held] ** 2):
        return None
    return record.columns @ _fitted(record.columns[held], residual[held], best)


def _error_of_other_years(
    record: Record, residual: np.ndarray, years: list[int], ridge: float
) -> float:
    total = 0.0
    for year in years:
        out = record.learning & (record.year == year)
        kept = record.learning & np.isin(record.year, years) & ~out
        weights = _fitted(record.columns[kept], residual[kept], ridge)
        total += float(np.sum((residual[out] - record.columns[out] @ weights) ** 2))
    return total


def _fitted(columns: np.ndarray, values: np.ndarray, ridge: float) -> np.ndarray:
    penalty = ridge * len(values) * np.eye(columns.shape[1])
    return np.linalg.solve(columns.T @ columns + penalty, columns.T @ values)
