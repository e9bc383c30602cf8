"""Every model at real towers: the last years of each, or towers that no model has seen.

Usage: `python experiments/towers.py [--data DIR] [--management FILE] [--protocol leave-site-out]`

`last-years` learns from the earlier years of all towers, corrects at each by its own years, and
scores its last two. `leave-site-out` scores towers of which nothing was seen: folds of places,
every tower once. The arms differ in what they are told: weather; crop and calendar; what the
process model predicts. A run that was stopped goes on with the arms that it lacks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import xarray as xr

from kgml_jax.cli.console import say, show
from kgml_jax.evaluation.tables import Grid, markdown
from kgml_jax.runs import directory, files, saved
from kgml_jax.runs.files import write_dataset, write_text
from kgml_jax.workflows.sites import fingerprints
from studies.measured_fields import readers
from studies.towers import ablation, figures, parameters, protocols, uncalibrated
from studies.towers import data as towers_data
from studies.towers import report as towers_report
from studies.towers.arms import ARMS, CALIBRATED, Arm, Choices, predict
from studies.towers.data import Towers
from studies.towers.hybrids import HybridChoice
from studies.towers.models import Effort
from studies.towers.network import NetworkChoice
from studies.towers.protocols import Protocol, Trial

Predict = Callable[[Arm, Trial, Choices, Path], xr.Dataset]

UNCALIBRATED = (uncalibrated.error_grid, uncalibrated.respiration_grid)

QUICK = NetworkChoice(hidden=16, steps=120, seeds=2)
"""Of the quick form."""

QUICK_ARMS: dict[Protocol, tuple[Arm, ...]] = {
    "last-years": ("climatology", "boosting-calendar", "recurrent-calendar"),
    "leave-site-out": ("climatology", "boosting-calendar", "recurrent-calendar", "process"),
}


@dataclass(frozen=True)
class TowersConfig:
    """Every model at real towers: the last years of each, or towers that no model has seen."""

    data: Path = field(default_factory=readers.default_folder)
    """The project's real data (`KGML_JAX_DATA`, else `../shared/data`), or towers in any form that
    `kgml-jax check` takes."""
    run: Path = Path("runs/real-towers")
    """Folder for everything this run writes."""
    management: Path | None = None
    """Table of events (docs/management.md); by default that of the real data, or `management.csv`
    beside other data."""
    also_learn_from: Path | None = None
    """Further towers that are learnt from and not scored, such as the project's real data."""
    protocol: Protocol = "last-years"
    """last-years: learn from the earlier years of all towers and score the last two of each.
    leave-site-out: score towers of which nothing was seen."""
    arms: tuple[Arm, ...] = ()
    """Arms by name; empty: all of the protocol."""
    sites: tuple[str, ...] = ()
    """Towers by name; empty: all."""
    folds: int = 6
    """Most parts that the places are dealt to, for leave-site-out."""
    years: int = 6
    """Years at the end of a record that the calibration of process parameters sees."""
    base: parameters.Base = "defaults"
    """Means of the priors of process parameters in calibration; see `kgml-jax estimate --base`."""
    pretrain_steps: int = 1000
    """Most gradient steps of pretraining a network on synthetic sites; a hybrid takes a fifth."""
    steps: int = 200
    """Most gradient steps of a network at a site."""
    seeds: int = 5
    """Members of an ensemble of networks or hybrids."""
    uncalibrated: bool = False
    """Only simulate all towers with the priors of the process model, and print the errors."""
    quick: bool = False
    """A few arms with little effort: minutes in place of hours."""
    skip_bad_sites: bool = False
    """Go on without towers of `--data` that cannot be used, and say so."""
    seed: int = 0
    """Seed of weights and batches."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def main(config: TowersConfig) -> None:
    """Predicts arm by arm, then scores, prints and writes."""
    check(config)
    towers = towers_data.read(
        config.data, None, config.sites, config.management, config.skip_bad_sites
    )
    _tell(towers)
    if config.uncalibrated:
        towers = towers.recent(config.years)
        simulated = uncalibrated.simulate(towers)
        show([report(towers, simulated) for report in UNCALIBRATED])
        return
    run(config, towers)


def _tell(towers: Towers) -> None:
    for note in towers.notes:
        if note.variable == "management" and note.kind in ("warning", "left out"):
            say(f"{note.site or 'towers'}: {note.message}")
    for site, periods in towers.data.split.periods.items():
        roles = [role for _, _, role in periods]
        if "test" not in roles:
            say(f"{site}: a year of observations: it teaches, and last-years does not score it")
        elif len(set(roles)) < 3 or roles.count("train") > 1:
            say(f"{site}: too few years for three roles: blocks of one train and validate")


def run(config: TowersConfig, towers: Towers, predict: Predict = predict) -> None:
    """Predicts with the arms that the run lacks; then as `main`.

    Args:
      config: checked.
      towers: observations with their split by last years.
      predict: an arm at all towers; see `arms.predict`.

    Raises:
      ValueError: no record is long enough to hold a year out.
      DataError: all towers are of one place, so that none can be left out.
    """
    trial = make_trial(config, towers)
    if not trial.scored.any():
        names = ", ".join(towers.sites.names)
        raise ValueError(f"{names}: no record has two years, the last to hold out")
    free = (*directory.FREE, "arms")
    with directory.claimed(
        config.run, config, config.overwrite, "towers", free=free, extendable=True
    ) as run:
        predict_all(replace(config, run=run.folder), trial, predict)


def make_trial(config: TowersConfig, towers: Towers) -> Trial:
    """Returns who learns from what, with further towers to learn from if there are any."""
    if config.also_learn_from is None:
        return protocols.make(config.protocol, towers, config.folds)
    others = towers_data.read(config.also_learn_from)
    return protocols.make_with_others(config.protocol, towers, others, config.folds)


def predict_all(config: TowersConfig, trial: Trial, predict: Predict) -> None:
    """Predicts with every arm that is not finished in a claimed folder, then reports all there."""
    files.record_data(config.run, fingerprints(trial.towers.sites))
    files.write_json(config.run / "split.json", trial.towers.data.split.periods)
    tables = []
    for name in chosen_arms(config):
        path = config.run / f"{name}.nc"
        if not path.is_file():
            say(f"{name}: predicting {len(trial.towers.sites)} towers.")
            found = predict(name, trial, choices(config), config.run)
            write_dataset(path, found, f"Towers predicted by {name}, {config.protocol}")
        # After every arm, so that a run that is stopped has the tables of those it has.
        tables = report(config.run, finished_arms(config), trial)
    show(tables)
    place = directory.final_name(config.run)
    say(f"Everything is in {place}: scores.nc, tables.md, a file an arm.")


def finished_arms(config: TowersConfig) -> dict[Arm, xr.Dataset]:
    """Returns what the arms predict that are in the folder of a run, in the order of all arms."""
    found = {}
    for name in ARMS[config.protocol]:
        if (config.run / f"{name}.nc").is_file():
            with xr.open_dataset(config.run / f"{name}.nc") as stored:
                found[name] = stored.load()
    return found


def chosen_arms(config: TowersConfig) -> Sequence[Arm]:
    """Returns the arms of a run, in the order in which they run."""
    if config.arms:
        return config.arms
    return (QUICK_ARMS if config.quick else ARMS)[config.protocol]


def choices(config: TowersConfig) -> Choices:
    """Returns how much is done for the arms."""
    network = QUICK if config.quick else NetworkChoice(seeds=config.seeds)
    search = parameters.Search(base=config.base, seed=config.seed)
    effort = Effort(config.pretrain_steps, config.steps, config.seed, search)
    hybrid = HybridChoice(seeds=network.seeds)
    return Choices(effort, network, hybrid=hybrid, years=config.years)


def check(config: TowersConfig) -> None:
    """Refuses what cannot be run.

    Raises:
      ValueError: an arm is not of the protocol, or a size has no meaning.
    """
    if strange := [name for name in config.arms if name not in ARMS[config.protocol]]:
        known = ", ".join(ARMS[config.protocol])
        raise ValueError(f"--arms {', '.join(strange)}: {config.protocol} has {known}")
    if config.years < 2:
        raise ValueError(f"--years is {config.years}; expected >= 2")
    if config.folds < 2 or config.seeds < 1:
        raise ValueError(
            f"--folds, --seeds are {config.folds}, {config.seeds}; expected >= 2, >= 1"
        )


def report(folder: Path, arms: Mapping[Arm, xr.Dataset], trial: Trial) -> list[Grid]:
    """Scores the arms and writes scores, tables and figure; returns the tables."""
    scores = ablation.score({str(name): found for name, found in arms.items()}, trial)
    write_dataset(folder / "scores.nc", scores, "Scores of arms at towers")
    tables = [towers_data.split_grid(trial.towers), *ablation.grids(scores, trial)]
    calibrated = {name: found for name, found in arms.items() if name in CALIBRATED}
    if calibrated and trial.calibrates:
        own = towers_report.score(calibrated, trial.towers)
        write_dataset(folder / "calibration.nc", own, "Models before and after calibration")
        tables += towers_report.grids(own)
        figures.draw(folder / "towers.png", own)
    if (folder / "pretrain-dpl").is_dir():
        learnt = saved.load_pretrained(folder / "pretrain-dpl").scaling
        tables.append(towers_report.distance_grid(trial.towers, learnt))
    write_text(folder / "tables.md", "\n".join(map(markdown, tables)))
    return tables
