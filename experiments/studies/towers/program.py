"""Calibrates every model at real towers and scores the last two years of each.

Usage: `python experiments/towers.py [--data DIR] [--run DIR]`

Each model is taken as it comes (the process model with its priors, the others pretrained on the
embedded synthetic sites) and as calibrated at each tower, whose last two years no model sees.
Grasslands are a stress test: there is no grass in the crop table, and they are scored apart. A run
that was stopped goes on with the models that it lacks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import xarray as xr

from kgml_jax.cli.console import say, show
from kgml_jax.evaluation.tables import Grid, markdown
from kgml_jax.models import kinds
from kgml_jax.runs import directory, files, saved
from kgml_jax.runs.files import write_dataset, write_text
from kgml_jax.workflows.sites import fingerprints
from studies.measured_fields import readers
from studies.towers import data as towers_data
from studies.towers import figures, uncalibrated
from studies.towers import report as towers_report
from studies.towers.data import Towers
from studies.towers.models import Effort, calibrate

Calibrate = Callable[[kinds.Name, Towers, Effort, Path], xr.Dataset]

UNCALIBRATED = (uncalibrated.error_grid, uncalibrated.respiration_grid)

MODELS: tuple[kinds.Name, ...] = ("process", "recurrent", "dpl", "closure", "residual-conserving")


@dataclass(frozen=True)
class TowersConfig:
    """Calibrate every model at real towers and score the last two years of each."""

    data: Path = field(default_factory=readers.default_folder)
    """Folder of real data; by default `KGML_JAX_DATA`, else `../shared/data`."""
    run: Path = Path("runs/real-towers")
    """Folder for everything this run writes."""
    models: tuple[kinds.Name, ...] = MODELS
    """Models by name."""
    sites: tuple[str, ...] = ()
    """Towers by name; empty: all."""
    years: int = 6
    """Years at the end of a record that are used."""
    model_error: float = 0.5
    """Standard deviation of the error of a model whose process parameters are estimated, as a share
    of that of the training days of the site; 0.5 is an R2 of 0.75."""
    error_days: float = 30.0
    """Days that this error lasts, which count as one."""
    pretrain_steps: int = 1000
    """Most gradient steps of pretraining a network; a hybrid takes a fifth of them."""
    steps: int = 200
    """Most gradient steps of a network at a site."""
    uncalibrated: bool = False
    """Only simulate all towers with the priors of the process model, and print the errors."""
    seed: int = 0
    """Seed of weights and batches."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def main(config: TowersConfig) -> None:
    """Calibrates model by model, then scores, prints and writes."""
    check(config)
    towers = towers_data.read(config.data, config.years, config.sites)
    if config.uncalibrated:
        simulated = uncalibrated.simulate(towers)
        show([report(towers, simulated) for report in UNCALIBRATED])
        return
    run(config, towers)


def run(config: TowersConfig, towers: Towers, calibrate: Calibrate = calibrate) -> None:
    """Calibrates the models that the run lacks at some towers; then as `main`.

    Args:
      config: checked.
      towers: observations with their split.
      calibrate: predicts all towers before and after; see `models.calibrate`.

    Raises:
      ValueError: no record is long enough to hold a year out.
    """
    if not towers.data.test_days.any():
        names = ", ".join(towers.sites.names)
        raise ValueError(f"{names}: no record has two years, the last to hold out")
    with directory.claimed(config.run, config, config.overwrite, "towers", extendable=True) as run:
        calibrate_all(replace(config, run=run.folder), towers, calibrate)


def calibrate_all(config: TowersConfig, towers: Towers, calibrate: Calibrate) -> None:
    """Calibrates every model that is not finished in a claimed folder, then reports."""
    files.record_data(config.run, fingerprints(towers.sites))
    files.write_json(config.run / "split.json", towers.data.split.periods)
    effort = Effort(config.pretrain_steps, config.steps, config.seed)
    weighed = towers_data.with_model_errors(towers, config.model_error, config.error_days)
    predictions, tables = {}, []
    for name in config.models:
        path = config.run / f"{name}.nc"
        if not path.is_file():
            say(f"Calibrating {name} at {len(towers.sites)} towers.")
            title = f"Towers predicted before and after calibrating {name}"
            write_dataset(path, calibrate(name, weighed, effort, config.run), title)
        with xr.open_dataset(path) as stored:
            predictions[name] = stored.load()
        # After every model, so that a run that is stopped has the tables of those it has.
        tables = report(config.run, predictions, towers)
    show(tables)
    place = directory.final_name(config.run)
    say(f"Everything is in {place}: scores.nc, tables.md, a file a model.")


def check(config: TowersConfig) -> None:
    """Refuses what cannot be run.

    Raises:
      ValueError: a model is told GPP, which towers do not measure apart from NEE, or a size has no
        meaning.
    """
    if told := [name for name in config.models if kinds.KINDS[name].gpp_given]:
        raise ValueError(f"--models {', '.join(told)}: needs GPP, which a tower computes from NEE")
    if config.years < 2 or config.model_error < 0 or config.error_days < 1:
        found = f"{config.years}, {config.model_error}, {config.error_days}"
        raise ValueError(
            f"--years, --model-error, --error-days are {found}; expected >= 2, >= 0, >= 1"
        )


def report(folder: Path, predictions: Mapping[str, xr.Dataset], towers: Towers) -> list[Grid]:
    """Scores the models and writes scores, tables and figure; returns the tables."""
    scores = towers_report.score(predictions, towers)
    write_dataset(folder / "scores.nc", scores, "Scores of models at towers")
    tables = [towers_data.split_grid(towers), *towers_report.grids(scores)]
    if "dpl" in predictions:
        learnt = saved.load_pretrained(folder / "pretrain-dpl").scaling
        tables.append(towers_report.distance_grid(towers, learnt))
    write_text(folder / "tables.md", "\n".join(map(markdown, tables)))
    figures.draw(folder / "towers.png", scores)
    return tables
