"""The command `calibrate`: every site at once, by one or more strategies."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import command, console, drawings, report
from kgml_jax.data.choices import OtherData, SplitChoice
from kgml_jax.runs import directory, saved
from kgml_jax.runs.directory import Run
from kgml_jax.runs.resume import CHECKPOINT_EVERY, open_progress
from kgml_jax.training.strategies import present_name
from kgml_jax.workflows import calibration, evaluation
from kgml_jax.workflows.calibration import REFERENCE, CalibrateSettings
from kgml_jax.workflows.sites import divide_after, require_unchanged


@dataclass(frozen=True)
class CalibrateConfig:
    """Calibrate every site in one compiled program, by one or more strategies."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/pretrain")
    """Finished run of pretrain."""
    run: Path = Path("runs/calibrate")
    """Folder for everything this run writes."""
    data: Annotated[OtherData, command.FLAT] = field(default_factory=OtherData)
    split: Annotated[SplitChoice, command.FLAT] = field(default_factory=SplitChoice)
    """Used with `--data`; without, the split of the pretraining run is kept."""
    strategy: tuple[str, ...] = ("bias", "ftbsc", "site-only")
    """Any of bias, affine, head, low-rank, process, full, full-l2sp, ftbsc, site-only, group-only
    that has weights of the model to move."""
    settings: Annotated[CalibrateSettings, command.FLAT] = field(default_factory=CalibrateSettings)
    seed: int = 0
    """Seed of batches, dropout and fresh weights."""
    draw: tuple[str, ...] = ()
    """Sites whose days are drawn, by name, or `all`; none: the best, the median and the worst."""
    figures: bool = True
    """Draw figures, with matplotlib; the numbers are written without them too."""
    checkpoint_every: float = CHECKPOINT_EVERY
    """Seconds between two checkpoints, from which the same command goes on."""
    overwrite: bool = False
    """Replace a finished run in the folder when this one has finished."""
    debug: bool = False
    """Show tracebacks."""


def main(config: CalibrateConfig) -> None:
    """Calibrates, scores the held-out days against the pretrained model, and writes the run."""
    config = replace(config, from_run=config.from_run.resolve())
    drawings.require(config.draw, config.figures)
    directory.require_finished(config.from_run)
    with directory.claimed(
        config.run, config, config.overwrite, "calibrate", source=config.from_run
    ) as run:
        calibrate(config, run)


def calibrate(config: CalibrateConfig, run: Run) -> None:
    """Calibrates, scores and writes in a claimed folder, or goes on with what is there."""
    base = saved.load_pretrained(config.from_run)
    calibration.require_strategies(config.strategy, base)
    require_unchanged(config.from_run, config.data, base.origin)
    data = divide_after(base, config.data, config.split)
    drawings.require_sites(config.draw, data)
    kept = open_progress(
        *(run, config, data, base.fingerprint),
        seconds=config.checkpoint_every,
        tell=console.note,
    )
    report.write_inputs(run.folder, replace(data, sites=replace(data.sites, truth=None)))
    names = tuple(name for name in map(present_name, config.strategy) if name != REFERENCE)
    report.print_strategies((REFERENCE, *names), base.weights)
    watch = console.logged(run.folder, "strategy", kept)
    fitted = {}
    for name in names:
        if name in saved.strategies(run.folder):
            fitted[name] = saved.load_calibrated(run.folder, name, base)
            continue
        fitted[name] = calibration.calibrate(base, data, name, config.seed, config.settings, watch)
        saved.save(fitted[name], run.folder)
    found = evaluation.assess_calibration(base, fitted, data)
    report.finish_calibration(run, found, config.draw, config.figures)
