"""The command `evaluate`: predictions of a finished run, scored on days it never saw."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import command, console, drawings, notes, report
from kgml_jax.data.choices import OtherData, data_from_json
from kgml_jax.evaluation.references import require_scikit_learn
from kgml_jax.runs import directory, files, learnt, saved
from kgml_jax.runs.directory import Run
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.runs.resume import open_progress, require_sealed
from kgml_jax.split import DividedSites, Split
from kgml_jax.workflows import evaluation
from kgml_jax.workflows.keep import Arrays
from kgml_jax.workflows.sites import fingerprints, load, require_drivers, require_unchanged


@dataclass(frozen=True)
class EvaluateConfig:
    """Predict every site with a finished run and score it on the days the run never saw."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/calibrate")
    """Finished run of calibrate or pretrain."""
    data: Annotated[OtherData, command.FLAT] = field(default_factory=OtherData)
    """Sites to predict and score. Sites the run does not know get the pretrained model,
    zero-shot."""
    score_learnt_days: bool = False
    """Score sites even if their observations are those that the model has learnt from under another
    name; every output then says so."""
    references: bool = False
    """Add a day-of-year climatology and gradient boosting, fitted on the non-test days."""
    run: Path = Path("runs/evaluate")
    """Folder for everything this run writes."""
    draw: tuple[str, ...] = ()
    """Sites whose days are drawn, by name, or `all`; none: the best, the median and the worst."""
    figures: bool = True
    """Draw figures, with matplotlib; the numbers are written without them too."""
    overwrite: bool = False
    """Replace a finished run in the folder when this one has finished."""
    debug: bool = False
    """Show tracebacks."""


def main(config: EvaluateConfig) -> None:
    """Predicts, scores, and writes datasets, figures and the table."""
    drawings.require(config.draw, config.figures)
    if config.references:
        require_scikit_learn()
    directory.require_finished(config.from_run)
    with directory.claimed(
        config.run, config, config.overwrite, "evaluate", source=config.from_run
    ) as run:
        evaluate(config, run)


def evaluate(config: EvaluateConfig, run: Run) -> None:
    """Predicts, scores and writes in a claimed folder, or goes on with what is there."""
    base = saved.load_pretrained(saved.pretraining_folder(config.from_run))
    require_sealed(config.from_run)
    choice = data_from_json(files.read_json(config.from_run / "data.json"))
    split = Split.from_json(json.dumps(files.read_json(config.from_run / "split.json")))
    require_unchanged(config.from_run, config.data, choice)
    sites = load(config.data.after(choice))
    require_drivers(base.model, sites)
    data = evaluation.divide_as_run(split, base.split, sites)
    drawings.require_sites(config.draw, data)
    fitted = {
        name: saved.load_calibrated(config.from_run, name, base)
        for name in saved.strategies(config.from_run)
    }
    files.record_data(run.folder, fingerprints(sites))
    notes.tell(sites.notes)
    warning = learnt_days(config, base, fitted, data)
    calibrated = [files.fingerprint(one.phi) for one in fitted.values()]
    kept = open_progress(run, config, data, base.fingerprint, calibrated, tell=console.note)

    def keep(name: str, compute: Callable[[], Arrays]) -> Arrays:
        console.note(f"predicting: {name}")
        return kept.piece(name, compute)

    found = evaluation.assess_run(base, fitted, data, config.references, keep, warning)
    report.finish_evaluation(run, found, config.draw, config.figures)


def learnt_days(
    config: EvaluateConfig,
    base: Pretrained,
    fitted: Mapping[str, Calibrated],
    data: DividedSites,
) -> str | None:
    """Returns the warning of observations that the run has learnt from; None if there are none.

    Raises:
      DataError: there are some, and it was not asked to score them.
    """
    marks = frozenset(mark for one in (base, *fitted.values()) for mark in one.learnt or ())
    named = frozenset(base.split.periods).union(*(one.unit_of for one in fitted.values()))
    found = learnt.known_again(marks, data, named)
    if not config.score_learnt_days:
        learnt.refuse(found)
    return learnt.told(found) if found else None
