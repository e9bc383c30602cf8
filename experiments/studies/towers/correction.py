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

SIGNS = {"Reco": 1.0, "GPP": -1.0}
"""How NEE changes with them."""

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


@dataclass(frozen=True)
class Correction:
    """What is added to a flux at one tower, (day,).

    Attributes:
      added: by the fit to all learning years.
      tried: on the days of each learning year, by the fit to the others; 0 elsewhere.
    """

    added: np.ndarray
    tried: np.ndarray


def corrected(
    trial: Trial, predicted: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Corrects predictions at every tower by its learning years.

    NEE follows from Reco and GPP where it did before; neither is corrected where NEE would lose by
    it in years that were not fitted to.

    Args:
      trial: a protocol in which towers have years to learn from.
      predicted: by flux, (site, time).

    Returns:
      The predictions after, and which towers had one corrected, bool (site,).
    """
    after = {name: values.copy() for name, values in predicted.items()}
    moved = np.zeros(len(trial.towers.sites), bool)
    balanced = _balanced(trial, predicted)
    names = [name for name in FLUXES if name in predicted and not (balanced and name == "NEE")]
    for row in range(len(moved)):
        found = {name: correction(_record(trial, predicted, name, row)) for name in names}
        found = {name: one for name, one in found.items() if one is not None}
        if balanced:
            found = _gaining(trial, predicted["NEE"][row], found, row)
        for name, one in found.items():
            after[name][row] += one.added
        if balanced:
            changes = {name: one.added for name, one in found.items()}
            after["NEE"][row] += _change_of_nee(trial, changes, row)
        moved[row] = bool(found)
    return after, moved


def _gaining(
    trial: Trial, nee: np.ndarray, found: dict[str, Correction], row: int
) -> dict[str, Correction]:
    """Returns corrections without those of Reco and GPP where NEE of other years loses by them."""
    site = trial.towers.sites.site
    if "NEE" not in site.targets:
        return found
    seen = np.asarray(site.mask["NEE"])[row] & trial.towers.data.learning_days[row]
    seen &= np.isfinite(nee)
    change = _change_of_nee(trial, {name: one.tried for name, one in found.items()}, row)
    residual = (np.asarray(site.targets["NEE"])[row] - nee)[seen]
    if np.sum((residual - change[seen]) ** 2) <= np.sum(residual**2):
        return found
    return {name: one for name, one in found.items() if name not in SIGNS}


def _change_of_nee(trial: Trial, changes: Mapping[str, np.ndarray], row: int) -> np.ndarray:
    """Returns what Reco and GPP change NEE by, as means of the periods of its observations."""
    total = np.zeros(np.shape(trial.towers.sites.site.valid)[1])
    for name, sign in SIGNS.items():
        if name in changes:
            same = trial.towers.period(row, name) == trial.towers.period(row, "NEE")
            own = changes[name]
            total += sign * (own if same else as_observed(trial, row, "NEE", own))
    return total


def _balanced(trial: Trial, predicted: Mapping[str, np.ndarray]) -> bool:
    """Whether NEE is Reco - GPP, in means of the periods of its observations."""
    if not {"NEE", "Reco", "GPP"} <= set(predicted):
        return False
    rows = range(len(trial.towers.sites))
    own = [
        _change_of_nee(trial, {name: predicted[name][row] for name in SIGNS}, row) for row in rows
    ]
    return bool(np.nanmedian(np.abs(np.stack(own) - predicted["NEE"])) < 1e-3)


def _record(trial: Trial, predicted: Mapping[str, np.ndarray], name: str, row: int) -> Record:
    site, data = trial.towers.sites.site, trial.towers.data
    calendar = taken(site.calendar, row)
    angle = 2 * np.pi * np.asarray(calendar.day_of_year) / 365.25
    stands = (np.asarray(site.forcing.occupied)[row] > 0).astype(float)
    seen = np.asarray(site.mask[name])[row] & data.learning_days[row]
    said = np.isfinite(predicted[name][row])
    own, seen = np.where(said, predicted[name][row], 0.0).astype(float), seen & said
    mean, spread = (own[seen].mean(), own[seen].std()) if seen.any() else (0.0, 1.0)
    level = (own - mean) / max(spread, 1e-3)
    known = np.stack([np.ones_like(level), np.sin(angle), np.cos(angle), stands], axis=1)
    known = as_observed(trial, row, name, known)
    columns = np.concatenate([known, level[:, None], level[:, None] * known[:, 1:]], axis=1)
    return Record(
        np.asarray(site.targets[name])[row], own, columns, np.asarray(calendar.year), seen
    )


def correction(record: Record) -> Correction | None:
    """Returns what is to be added on every day; None where no year would gain by it."""
    residual = record.observed - record.predicted
    years = [
        year
        for year in np.unique(record.year[record.learning])
        if (record.learning & (record.year == year)).sum() >= LEAST_DAYS
    ]
    if len(years) < 2:
        return None
    held = np.isin(record.year, years) & record.learning
    tried = {ridge: _of_other_years(record, residual, years, ridge) for ridge in RIDGES}
    errors = {ridge: np.sum((residual - one)[held] ** 2) for ridge, one in tried.items()}
    best = min(errors, key=lambda ridge: errors[ridge])
    if errors[best] > (1 - LEAST_GAIN) * np.sum(residual[held] ** 2):
        return None
    weights = _fitted(record.columns[held], residual[held], best)
    return Correction(record.columns @ weights, tried[best])


def _of_other_years(
    record: Record, residual: np.ndarray, years: list[int], ridge: float
) -> np.ndarray:
    """Returns what fits to the other years add on the days of each year, (day,); 0 elsewhere."""
    added = np.zeros(len(residual))
    for year in years:
        out = record.year == year
        kept = record.learning & np.isin(record.year, years) & ~out
        added[out] = record.columns[out] @ _fitted(record.columns[kept], residual[kept], ridge)
    return added


def _fitted(columns: np.ndarray, values: np.ndarray, ridge: float) -> np.ndarray:
    penalty = ridge * len(values) * np.eye(columns.shape[1])
    return np.linalg.solve(columns.T @ columns + penalty, columns.T @ values)
