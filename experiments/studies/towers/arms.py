"""The arms of the tower experiment by name, and what each of them predicts at all towers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import xarray as xr

from kgml_jax.cli.console import say
from kgml_jax.models import kinds
from studies.towers import correction, learners, models, uncalibrated
from studies.towers.data import with_model_errors
from studies.towers.inputs import SIMULATED, TOLD, Simulated
from studies.towers.learners import Predicted, TreeChoice
from studies.towers.models import AFTER, BEFORE, Effort
from studies.towers.network import FLUXES, NetworkChoice
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
    "recurrent-synthetic",
    "dpl",
    "closure",
    "residual-conserving",
]
"""The last four learn from synthetic sites and are calibrated tower by tower."""

CALIBRATED: dict[Arm, kinds.Name] = {
    "process": "process",
    "recurrent-synthetic": "recurrent",
    "dpl": "dpl",
    "closure": "closure",
    "residual-conserving": "residual-conserving",
}
"""Arms whose own calibration is part of them, with their kind of model."""

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
      years: at the end of a record that the calibration of process parameters sees; None all.
      model_error: share of the spread of the training days that a model misses.
      error_days: d that such an error lasts.
    """

    effort: Effort
    network: NetworkChoice = field(default_factory=NetworkChoice)
    trees: TreeChoice = field(default_factory=TreeChoice)
    years: int | None = 6
    model_error: float = 0.5
    error_days: float = 30.0


def predict(name: Arm, trial: Trial, choices: Choices, folder: Path) -> xr.Dataset:
    """Predicts all towers with an arm.

    Args:
      name: of the arm.
      trial: who learns from what.
      choices: how much is done.
      folder: of the run, where the simulation by the process model is kept for other arms.

    Returns:
      Fluxes, dims (strategy, site, day), strategies `BEFORE` and, where towers have years to learn
      from, `AFTER` what was learnt from all was corrected at each; `accepted`, dim (site,), whether
      it was; of ensembles `<flux>_member`, dims (member, site, day); of models with process
      parameters further as `models.calibrate`.
    """
    if name in CALIBRATED and trial.calibrates:
        return _calibrated(CALIBRATED[name], trial, choices, folder)
    simulate = partial(simulated, trial, folder)
    found = _mean(folder) if name == "mean" else _learners(trial, choices, simulate)[name]()
    members = {key: values for key, values in found.items() if values.ndim > 2}
    means = {
        key: values.mean(axis=0) if values.ndim > 2 else values for key, values in found.items()
    }
    strategies = {BEFORE: means}
    accepted = np.zeros(len(trial.towers.sites), np.float32)
    if trial.calibrates:
        # The season of a tower is its own already.
        strategies[AFTER] = means
        if name != "climatology":
            strategies[AFTER], moved = correction.corrected(trial, means)
            accepted = moved.astype(np.float32)
    return _dataset(trial, strategies, accepted, members)


def _learners(
    trial: Trial, choices: Choices, simulate: Callable[[], Simulated]
) -> Mapping[str, Callable[[], Predicted]]:
    seed = choices.effort.seed
    nothing: Simulated = {}
    found: dict[str, Callable[[], Predicted]] = {
        "climatology": lambda: learners.climatology(trial),
        "process": lambda: learners.process(trial, simulate()),
    }
    for told in TOLD:
        given = simulate if told == "process" else lambda: nothing
        found[f"boosting-{told}"] = lambda told=told, given=given: learners.boosting(
            trial, told, given(), choices.trees, seed
        )
        found[f"recurrent-{told}"] = lambda told=told, given=given: learners.recurrent(
            trial, told, given(), choices.network, seed
        )
    return found


def _mean(folder: Path) -> Predicted:
    """Returns the mean of the arms `TOGETHER` before any of them was corrected at a tower.

    Raises:
      ValueError: one of them is not in the folder.
    """
    if absent := [name for name in TOGETHER if not (folder / f"{name}.nc").is_file()]:
        needed = ", ".join(TOGETHER)
        raise ValueError(f"the arm mean needs {needed} before it; {', '.join(absent)} is not there")
    parts = []
    for name in TOGETHER:
        with xr.open_dataset(folder / f"{name}.nc") as stored:
            parts.append(
                {
                    flux: stored[flux].sel(strategy=BEFORE).to_numpy()
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
    trial: Trial,
    strategies: Mapping[str, Predicted],
    accepted: np.ndarray,
    members: Mapping[str, np.ndarray],
) -> xr.Dataset:
    names = list(strategies[BEFORE])
    dims = ("strategy", "site", "day")
    columns = {name: (dims, np.stack([of[name] for of in strategies.values()])) for name in names}
    of_members = {
        f"{name}_member": (("member", *dims[1:]), values) for name, values in members.items()
    }
    coordinates = {"strategy": list(strategies), "site": list(trial.towers.sites.names)}
    found = xr.Dataset({**columns, **of_members}, coordinates)
    return found.astype(np.float32).assign(accepted=("site", accepted))


def _calibrated(name: kinds.Name, trial: Trial, choices: Choices, folder: Path) -> xr.Dataset:
    """Calibrates tower by tower on the last years of its record, and lays that on the whole."""
    towers = trial.towers if choices.years is None else trial.towers.recent(choices.years)
    weighed = with_model_errors(towers, choices.model_error, choices.error_days)
    found = models.calibrate(name, weighed, choices.effort, folder)
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
