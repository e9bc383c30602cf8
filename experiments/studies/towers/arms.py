"""The arms of the tower experiment by name, and what each of them predicts at all towers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import xarray as xr

from kgml_jax.cli.console import say
from kgml_jax.data import folds
from kgml_jax.data.years import BLOCK_DAYS, BLOCKS_PER_CYCLE
from kgml_jax.models import kinds
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from studies.towers import correction, hybrids, learners, models, uncalibrated
from studies.towers.hybrids import HybridChoice
from studies.towers.inputs import SIMULATED, TOLD, Simulated
from studies.towers.learners import Predicted, TreeChoice
from studies.towers.models import AFTER, BEFORE, ESTIMATED, FOLDS, HELD_OUT, Effort
from studies.towers.network import FLUXES, Descending, NetworkChoice
from studies.towers.protocols import Protocol, Trial

Arm = Literal[
    "climatology",
    "boosting-weather",
    "boosting-calendar",
    "boosting-process",
    "recurrent-weather",
    "recurrent-calendar",
    "recurrent-process",
    "process",
    "mean",
    "dpl",
    "closure",
    "residual-conserving",
    "recurrent-synthetic",
]

CALIBRATED: dict[Arm, kinds.Name] = {
    "process": "process",
    "recurrent-synthetic": "recurrent",
}
"""Arms whose own calibration is part of them, with their kind of model."""

HYBRIDS: tuple[kinds.Name, ...] = ("dpl", "closure", "residual-conserving")
"""Arms that learn from synthetic sites and then from towers."""

LEARNING: tuple[Arm, ...] = tuple(
    name for name in get_args(Arm) if name not in CALIBRATED and name != "mean"
)
"""Arms that learn from the fluxes of towers."""

TOGETHER: tuple[Arm, ...] = ("boosting-process", "recurrent-process", "process")
"""Arms whose mean, each with the same weight, is the arm `mean`; nothing of it is fitted."""

ARMS: dict[Protocol, tuple[Arm, ...]] = {
    "last-years": (*LEARNING, *CALIBRATED, "mean"),
    "leave-site-out": (*LEARNING, "process", "mean"),
}
"""Arms of each protocol, in the order in which they run."""

SIMULATION = "simulated.nc"


@dataclass(frozen=True)
class Choices:
    """How much is done for the arms.

    Attributes:
      effort: of models that are calibrated tower by tower.
      network: of recurrent networks.
      trees: of boosting.
      hybrid: of hybrids, in their second stage.
      years: at the end of a record that the calibration of process parameters sees; None all.
    """

    effort: Effort
    network: NetworkChoice = field(default_factory=NetworkChoice)
    trees: TreeChoice = field(default_factory=TreeChoice)
    hybrid: Descending = field(default_factory=HybridChoice)
    years: int | None = 6


def predict(name: Arm, trial: Trial, choices: Choices, folder: Path) -> xr.Dataset:
    """Predicts all towers with an arm.

    Args:
      name: of the arm.
      trial: who learns from what.
      choices: how much is done.
      folder: of the run, where the simulation by the process model is kept for other arms.

    Returns:
      Fluxes, dims (strategy, site, day), strategies `BEFORE` and, where towers have years to learn
      from, `AFTER` what was learnt from all was corrected at each, and `HELD_OUT` what is predicted
      of learning days by what has not seen them; `accepted`, dim (site,), whether
      it was; of ensembles `<flux>_member`, dims (member, site, day); of models with process
      parameters further as `models.calibrate`.
    """
    if name in CALIBRATED and trial.calibrates:
        return _calibrated(CALIBRATED[name], trial, choices, folder)
    if name == "mean":
        start, latest, blind = (_mean(folder, one) for one in (BEFORE, ESTIMATED, HELD_OUT))
        return _finished(trial, start, latest, lambda: blind)
    simulate = partial(simulated, trial, folder)
    pretrained = partial(models.load_or_pretrain, effort=choices.effort, folder=folder)
    learn = lambda trial: _learners(trial, choices, simulate, pretrained)[name]()
    found = learn(trial)
    start = _over_members(found)
    if name == "climatology" and trial.calibrates:
        # The season of a tower is its own already.
        return _dataset({BEFORE: start, AFTER: start}, trial)
    predicted = _finished(trial, start, start, lambda: unseen(trial, learn))
    members = {
        f"{key}_member": (("member", "site", "day"), values)
        for key, values in found.items()
        if values.ndim > 2
    }
    return predicted.assign(members)


def _finished(
    trial: Trial, start: Predicted, latest: Predicted, held_out: Callable[[], Predicted]
) -> xr.Dataset:
    """Corrects what was learnt at each tower that has years for it.

    Args:
      trial: who learns from what.
      start: predictions before anything was fitted to single towers, by flux, (site, time).
      latest: with parameters estimated at each tower, if there are any.
      held_out: makes predictions of learning days by what has not seen them.
    """
    if not trial.calibrates:
        return _dataset({BEFORE: start}, trial)
    dealt, blind = deal(trial.towers.data) >= 0, held_out()
    tried = {key: np.where(dealt, blind[key], values) for key, values in latest.items()}
    after, moved = correction.corrected(trial, tried)
    strategies = {BEFORE: start, ESTIMATED: latest, AFTER: after, HELD_OUT: tried}
    if latest is start:
        del strategies[ESTIMATED]
    return _dataset(strategies, trial, moved)


def _over_members(found: Predicted) -> Predicted:
    return {
        key: values.mean(axis=0) if values.ndim > 2 else values for key, values in found.items()
    }


def deal(data: DividedSites) -> np.ndarray:
    """Returns the fold in which each learning day is held out, -1 on others, (site, time)."""
    return folds.deal(data, FOLDS)


def unseen(trial: Trial, learn: Callable[[Trial], Predicted]) -> Predicted:
    """Returns what an arm predicts of learning days that it has not seen; NaN on other days.

    What was fitted to a day says nothing of how the arm errs at the tower: crop-years are held out
    in turn, at all towers together.
    """
    fold, found = deal(trial.towers.data), learners.empty(trial)
    for one in range(FOLDS):
        less = replace(trial.towers, data=hiding(trial.towers.data, fold == one))
        for key, values in _over_members(learn(replace(trial, towers=less))).items():
            found[key] = np.where(fold == one, values, found[key])
    return found


def hiding(data: DividedSites, days: np.ndarray) -> DividedSites:
    """Returns the sites without some learning days, bool (site, time).

    Of what is left of a site that then only trains, or only validates, every third block of 30 days
    validates and the others train.
    """
    roles = np.where(days & data.learning_days, TEST, data.roles)
    for own in roles:
        rest = np.flatnonzero((own == TRAIN) | (own == VALIDATION))
        if np.unique(own[rest]).size == 1:
            block = np.arange(rest.size) // BLOCK_DAYS % BLOCKS_PER_CYCLE
            own[rest] = np.where(block == BLOCKS_PER_CYCLE - 1, VALIDATION, TRAIN)
    return replace(data, roles=roles.astype(data.roles.dtype))


def _learners(
    trial: Trial,
    choices: Choices,
    simulate: Callable[[], Simulated],
    pretrained: Callable[[kinds.Name], Pretrained],
) -> Mapping[str, Callable[[], Predicted]]:
    seed = choices.effort.seed
    nothing: Simulated = {}
    found: dict[str, Callable[[], Predicted]] = {
        "climatology": lambda: learners.climatology(trial),
        "process": lambda: learners.process(trial, simulate()),
    }
    for kind in HYBRIDS:
        found[kind] = lambda kind=kind: hybrids.hybrid(
            trial, pretrained(kind), choices.hybrid, seed
        )
    for told in TOLD:
        given = simulate if told == "process" else lambda: nothing
        found[f"boosting-{told}"] = lambda told=told, given=given: learners.boosting(
            trial, told, given(), choices.trees, seed
        )
        found[f"recurrent-{told}"] = lambda told=told, given=given: learners.recurrent(
            trial, told, given(), choices.network, seed
        )
    return found


def _mean(folder: Path, strategy: str) -> Predicted:
    """Returns the mean of the arms `TOGETHER` by a strategy, of arms without it as they come.

    Raises:
      ValueError: one of them is not in the folder.
    """
    if absent := [name for name in TOGETHER if not (folder / f"{name}.nc").is_file()]:
        needed = ", ".join(TOGETHER)
        raise ValueError(f"the arm mean needs {needed} before it; {', '.join(absent)} is not there")
    parts = []
    for name in TOGETHER:
        with xr.open_dataset(folder / f"{name}.nc") as stored:
            own = strategy if strategy in stored["strategy"].to_numpy() else BEFORE
            parts.append(
                {
                    flux: stored[flux].sel(strategy=own).to_numpy()
                    for flux in FLUXES
                    if flux in stored
                }
            )
    shared = [flux for flux in FLUXES if all(flux in part for part in parts)]
    return {flux: np.mean([part[flux] for part in parts], axis=0) for flux in shared}


def simulated(trial: Trial, folder: Path) -> Simulated:
    """Returns what the process model simulates with its priors, made if not in the folder."""
    path = folder / SIMULATION
    if not path.is_file():
        say(f"Simulating {len(trial.towers.sites)} towers with the process model's priors.")
        daily = uncalibrated.simulate_days(trial.towers)
        columns = {name: (("site", "day"), daily[name].astype(np.float32)) for name in SIMULATED}
        simulation = xr.Dataset(columns, {"site": list(trial.towers.sites.names)})
        simulation.to_netcdf(path)
    with xr.open_dataset(path) as stored:
        return {name: stored[name].to_numpy() for name in SIMULATED}


def _dataset(
    strategies: Mapping[str, Predicted], trial: Trial, accepted: np.ndarray | None = None
) -> xr.Dataset:
    dims = ("strategy", "site", "day")
    names = list(strategies[BEFORE])
    columns = {name: (dims, np.stack([of[name] for of in strategies.values()])) for name in names}
    coordinates = {"strategy": list(strategies), "site": list(trial.towers.sites.names)}
    accepted = np.zeros(len(trial.towers.sites)) if accepted is None else accepted
    found = xr.Dataset(columns, coordinates).astype(np.float32)
    return found.assign(accepted=("site", accepted.astype(np.float32)))


def _corrected(found: xr.Dataset, trial: Trial) -> xr.Dataset:
    """Corrects what was estimated at each tower, as it errs on crop-years that it has not seen."""
    names = [name for name in FLUXES if name in found]
    unseen = {name: found[name].sel(strategy=HELD_OUT).to_numpy() for name in names}
    after, _ = correction.corrected(trial, unseen)
    for name, values in after.items():
        found[name].loc[{"strategy": AFTER}] = values
    return found


def _calibrated(name: kinds.Name, trial: Trial, choices: Choices, folder: Path) -> xr.Dataset:
    """Calibrates tower by tower on the last years of its record, and lays that on the whole."""
    towers = trial.towers if choices.years is None else trial.towers.recent(choices.years)
    found = models.calibrate(name, towers, choices.effort, folder)
    if HELD_OUT in found["strategy"]:
        found = _corrected(found, replace(trial, towers=towers, scored=towers.data.test_days))
    length = np.shape(trial.towers.sites.site.valid)[1]
    whole, kept = trial.towers.lengths, towers.lengths
    columns = {}
    for flux in [str(key) for key, values in found.data_vars.items() if "day" in values.dims]:
        values = found[flux].to_numpy()
        laid = np.full((*values.shape[:2], length), np.nan, np.float32)
        for row, (days, last) in enumerate(zip(whole, kept, strict=True)):
            laid[:, row, days - last : days] = values[:, row, :last]
        columns[flux] = (("strategy", "site", "day"), laid)
    return found.drop_vars(list(columns)).assign(columns)
