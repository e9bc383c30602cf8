"""Climatology, trees and networks: what learns from the fluxes of towers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgml_jax.evaluation.references import DAYS_ON_CIRCLE, regressor, seasonal_cycle
from kgml_jax.sites import day_of_season
from studies.towers import inputs as tower_inputs
from studies.towers import network
from studies.towers.inputs import Inputs, Simulated, Told, taken
from studies.towers.network import FLUXES, NetworkChoice
from studies.towers.periods import DAY, DAYS, so_far
from studies.towers.protocols import Trial

Predicted = dict[str, np.ndarray]
"""By flux, means of the periods observed, (site, time) or (seed, site, time); NaN elsewhere."""


@dataclass(frozen=True)
class TreeChoice:
    """How trees are grown; chosen on validation years of training towers."""

    trees: int = 100
    learning_rate: float = 0.08
    leaves: int = 15
    least: int = 40
    columns: float = 0.3
    every: int = 3
    """d between examples of daily observations: neighbouring days tell the same."""
    bins: int = 64
    """Of each input; weighted quantiles of more take longer than the trees."""

    @property
    def options(self) -> dict[str, float]:
        """Arguments of scikit-learn."""
        return {
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.leaves,
            "min_samples_leaf": self.least,
            "max_features": self.columns,
            "max_bins": self.bins,
        }


def empty(trial: Trial, members: int = 0) -> Predicted:
    """Returns predictions of nothing yet."""
    shape = np.shape(trial.towers.sites.site.valid)
    full = (members, *shape) if members else shape
    observed = trial.towers.sites.site.targets
    return {name: np.full(full, np.nan, np.float32) for name in FLUXES if name in observed}


def climatology(trial: Trial) -> Predicted:
    """Predicts the mean of the season: a tower's own, or that of the others of its kind.

    The season is half a year late south of the equator.
    """
    found, site = empty(trial), trial.towers.sites.site
    learning = trial.towers.data.learning_days
    place = np.stack([np.asarray(day_of_season(taken(site, row))) for row in _rows(trial)]) - 1
    place = np.clip(place, 0, DAYS_ON_CIRCLE - 1)
    grass = trial.towers.is_grass
    for name, predicted in found.items():
        seen = np.asarray(site.mask[name]) & learning
        values = np.asarray(site.targets[name])
        for fold in trial.folds:
            for row in fold.scored:
                kin = [one for one in fold.learns if grass[one] == grass[row] and seen[one].any()]
                teachers = [row] if row in fold.learns else kin or list(fold.learns)
                cycles = [
                    seasonal_cycle(values[one][seen[one]], place[one][seen[one]])
                    for one in teachers
                    if seen[one].any()
                ]
                if cycles:
                    predicted[row] = np.mean(cycles, axis=0)[place[row]]
    return found


def _rows(trial: Trial) -> range:
    return range(len(trial.towers.sites))


def boosting(
    trial: Trial, told: Told, simulated: Simulated, choice: TreeChoice, seed: int = 0
) -> Predicted:
    """Predicts with gradient boosting of trees, one for each flux and fold.

    Where a mean of several days is observed, trees see the means of the inputs over those days.
    """
    columns = tower_inputs.of_towers(trial.towers.data, told, simulated).with_means()
    found = empty(trial)
    for name, predicted in found.items():
        examples = [_examples(trial, columns, row, name, choice.every) for row in _rows(trial)]
        for fold in trial.folds:
            taught = [examples[row] for row in fold.learns if examples[row][1].size]
            if not taught:
                continue
            rows, values, weights = (np.concatenate(part) for part in zip(*taught, strict=True))
            trees = regressor(choice.trees, seed, **choice.options)
            trees.fit(rows, values, weights / weights.mean())
            for row in fold.scored:
                predicted[row] = as_observed(trial, row, name, trees.predict(columns.values[row]))
    return found


def _examples(
    trial: Trial, columns: Inputs, row: int, name: str, every: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns inputs, values and weights of a tower's days to learn from.

    A tower weighs as the root of the days that its observations stand for.
    """
    site = trial.towers.sites.site
    days = np.flatnonzero(np.asarray(site.mask[name])[row] & trial.towers.data.learning_days[row])
    lasts = DAYS[trial.towers.period(row, name)]
    weight = np.sqrt(lasts * days.size) / max(days.size, 1)
    days = days[:: every if lasts == 1 else 1]
    seen = as_observed(trial, row, name, columns.values[row])[days]
    weights = np.full(days.size, weight * (every if lasts == 1 else 1))
    return seen, np.asarray(site.targets[name])[row][days], weights


def as_observed(trial: Trial, row: int, name: str, daily: np.ndarray) -> np.ndarray:
    """Returns means of the periods of the observations of a flux, of the shape of `daily`."""
    if (period := trial.towers.period(row, name)) == DAY:
        return daily
    calendar = taken(trial.towers.sites.site.calendar, row)
    columns = daily.reshape(len(daily), -1).T
    means = np.stack([np.asarray(so_far(one, calendar, period)) for one in columns], axis=-1)
    return means.reshape(daily.shape)


def recurrent(
    trial: Trial, told: Told, simulated: Simulated, choice: NetworkChoice, seed: int = 0
) -> Predicted:
    """Predicts with an ensemble of recurrent networks a fold, (seed, site, time)."""
    towers = trial.towers
    told_inputs = tower_inputs.of_towers(towers.data, told, simulated)
    found = empty(trial, choice.seeds)
    longest = most_years(trial)
    for number, fold in enumerate(trial.folds):
        inputs = tower_inputs.standardised(told_inputs, towers.data, [*fold.learns])
        ensemble = network.train(towers, fold.learns, inputs, choice, seed + number, longest)
        members = ensemble.predict(network.driven(towers.data, inputs), fold.scored)
        for name, predicted in found.items():
            predicted[:, list(fold.scored)] = members[name]
    return found


def most_years(trial: Trial) -> tuple[int, ...]:
    """Returns the rows of the fold that learns from most years."""
    year = np.asarray(trial.towers.sites.site.calendar.year)
    learning = trial.towers.data.learning_days

    def years(rows: Sequence[int]) -> int:
        return sum(np.unique(year[row][learning[row]]).size for row in rows)

    return max((fold.learns for fold in trial.folds), key=years)


def process(trial: Trial, simulated: Simulated) -> Predicted:
    """Predicts what the process model simulates with its priors."""
    found = empty(trial)
    for fold in trial.folds:
        for row in fold.scored:
            for name, predicted in found.items():
                predicted[row] = as_observed(trial, row, name, np.asarray(simulated[name])[row])
    return found
