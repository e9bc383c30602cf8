"""The command `evaluate`: predictions of a finished run, scored on days it never saw."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import console, report
from kgml_jax.data.choices import data_from_json
from kgml_jax.runs import directory, files, saved
from kgml_jax.split import Split
from kgml_jax.workflows import evaluation
from kgml_jax.workflows.calibration import REFERENCE
from kgml_jax.workflows.prediction import predict_calibrated, predict_pretrained
from kgml_jax.workflows.scoring import Predictions, variable_summaries
from kgml_jax.workflows.sites import load


@dataclass(frozen=True)
class EvaluateConfig:
    """Predict every site with a finished run and score it on the days the run never saw."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/calibrate")
    """Finished run of calibrate or pretrain."""
    data: Path | None = None
    """Sites to predict; default: those of the run. Sites the run does not know are zero-shot."""
    metadata: Path | None = None
    """CSV of site metadata for `--data`."""
    references: bool = False
    """Add a day-of-year climatology and gradient boosting, fitted on the non-test days."""
    run: Path = Path("runs/evaluate")
    """Folder for everything this run writes."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def main(config: EvaluateConfig) -> None:
    """Predicts, scores, and writes datasets, figures and the table."""
    base = saved.load_pretrained(saved.pretraining_folder(config.from_run))
    choice = data_from_json(files.read_json(config.from_run / "data.json"))
    split = Split.from_json(json.dumps(files.read_json(config.from_run / "split.json")))
    if config.data is not None:
        choice = replace(choice, data=config.data, metadata=config.metadata)
    data = evaluation.divide_as_run(split, base.split, load(choice))
    directory.create(config.run, config, config.overwrite, source=config.from_run)
    zero_shot = predict_pretrained(base, data.sites)
    predictions: Predictions = {REFERENCE: zero_shot}
    for name in saved.strategies(config.from_run):
        fitted = saved.load_calibrated(config.from_run, name, base)
        predictions[name] = predict_calibrated(fitted, data.sites, zero_shot)
    if config.references:
        predictions |= evaluation.reference_predictions(data)
    found = evaluation.assess(predictions, data, base.scaling)
    summary = {
        "sites": len(data),
        "split": data.split.kind,
        "days_scored": int(data.test_days.sum()),
        "strategies": {
            name: {"variables": variable_summaries(found.results, name)} for name in predictions
        },
    }
    found = replace(found, summary=summary)
    report.finish_evaluation(config.run, found)
    console.say(
        f"Scored {len(predictions)} ways of predicting {len(data)} sites on "
        f"{data.test_days.sum()} days the run never saw.\n"
        f"Everything is in {config.run}: evaluation.nc, predictions.nc, figures/."
    )
