"""The command `evaluate`: predictions of a finished run, scored on days it never saw."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import command, drawings, notes, report
from kgml_jax.data.choices import OtherData, data_from_json
from kgml_jax.evaluation.references import require_scikit_learn
from kgml_jax.runs import directory, files, saved
from kgml_jax.split import Split
from kgml_jax.workflows import evaluation
from kgml_jax.workflows.sites import fingerprints, load, require_drivers


@dataclass(frozen=True)
class EvaluateConfig:
    """Predict every site with a finished run and score it on the days the run never saw."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/calibrate")
    """Finished run of calibrate or pretrain."""
    data: Annotated[OtherData, command.FLAT] = field(default_factory=OtherData)
    """Sites to predict and score. Sites the run does not know get the pretrained model,
    zero-shot."""
    references: bool = False
    """Add a day-of-year climatology and gradient boosting, fitted on the non-test days."""
    run: Path = Path("runs/evaluate")
    """Folder for everything this run writes."""
    draw: tuple[str, ...] = ()
    """Sites whose days are drawn, by name, or `all`; none: the best, the median and the worst."""
    figures: bool = True
    """Draw figures, with matplotlib; the numbers are written without them too."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def main(config: EvaluateConfig) -> None:
    """Predicts, scores, and writes datasets, figures and the table."""
    drawings.require(config.draw, config.figures)
    if config.references:
        require_scikit_learn()
    base = saved.load_pretrained(saved.pretraining_folder(config.from_run))
    choice = data_from_json(files.read_json(config.from_run / "data.json"))
    split = Split.from_json(json.dumps(files.read_json(config.from_run / "split.json")))
    sites = load(config.data.after(choice))
    require_drivers(base, sites)
    data = evaluation.divide_as_run(split, base.split, sites)
    drawings.require_sites(config.draw, data)
    fitted = {
        name: saved.load_calibrated(config.from_run, name, base)
        for name in saved.strategies(config.from_run)
    }
    directory.create(config.run, config, config.overwrite, source=config.from_run)
    files.record_data(config.run, fingerprints(sites))
    notes.tell(sites.notes)
    found = evaluation.assess_run(base, fitted, data, config.references)
    report.finish_evaluation(config.run, found, config.draw, config.figures)
