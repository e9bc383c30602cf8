"""Predicts and scores with a finished run; see `python experiments/evaluate.py --help`."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import command_line
import inputs
import jax
import numpy as np
import pretrained as stored
import reporting
import run_directory
import tyro
import xarray as xr

from kgml_jax.data.splits import Split
from kgml_jax.evaluation import references, scores
from kgml_jax.models.process import ProcessModel
from kgml_jax.sites import TEST, VARIABLES, Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.strategies import STRATEGIES


@dataclass(frozen=True)
class EvaluateConfig:
    """Predict every site with a finished run and score it on the days the run never saw."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/calibrate")
    """Finished run of calibrate.py or pretrain.py."""
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


def pretraining_run(run: Path) -> Path:
    """Returns the pretraining run behind a run of either kind."""
    config = run_directory.read_json(run / "config.json")
    return Path(config["from_run"]) if "from_run" in config else run


def scored_days(run: Path, before: Split, sites: Sites) -> tuple[np.ndarray, Split]:
    """Returns the days to score and the split: test days of known sites, all days of others.

    Args:
      run: run to evaluate; its split comes first.
      before: split of the pretraining, for sites the run's own split does not hold.
      sites: sites to score.
    """
    text = json.dumps(run_directory.read_json(run / "split.json"))
    split = Split.from_json(text)
    known = before.intervals | split.intervals
    dates = np.asarray(sites.site.calendar.date).astype("datetime64[D]").astype(str)
    intervals = {
        name: known.get(name, ((dates[row, 0], dates[row, -1], "test"),))
        for row, name in enumerate(sites.names)
    }
    own = Split(kind=split.kind, intervals=intervals, options=split.options)
    return inputs.test_days(own, sites), own


def calibrated(
    run: Path, base: stored.Pretrained, sites: Sites
) -> dict[str, dict[str, np.ndarray]]:
    """Predicts with every strategy a calibration run holds; unknown sites use the pretrained."""
    zero_shot = predict_sites(base.model, base.weights, sites)
    predictions = {"zero-shot": zero_shot}
    for folder in sorted((run / "checkpoint").glob("*")):
        header = checkpoint.read_header(folder, "calibrated")
        if header["pretrained"] != base.fingerprint:
            source = pretraining_run(run)
            raise ValueError(
                f"{folder} was calibrated from other weights than {source} holds; calibrate again"
            )
        unit_of = {name: unit for unit, names in enumerate(header["units"]) for name in names}
        known = [row for row, name in enumerate(sites.names) if name in unit_of]
        if known:
            units = [unit_of[sites.names[row]] for row in known]
            fluxes = predict_stored(folder, header, base, sites.take(known), units)
            if not STRATEGIES[header["strategy"]].scratch:
                moved = np.array(header["moved"])[units]
                own = {name: values[known] for name, values in zero_shot.items()}
                fluxes = stored.keep_where_unmoved(fluxes, own, moved)
            predictions[header["strategy"]] = {
                name: _placed(zero_shot[name], known, fluxes[name]) for name in zero_shot
            }
    return predictions


def predict_stored(
    folder: Path, header: dict[str, Any], base: stored.Pretrained, sites: Sites, units: list[int]
) -> dict[str, np.ndarray]:
    """Predicts each site with what its unit owns in one strategy's checkpoint."""
    strategy = STRATEGIES[header["strategy"]]
    count = len(header["units"])
    template = jax.eval_shape(strategy.adaptation.init, base.weights)
    stack = lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype)
    expected: dict[str, Any] = {"phi": jax.tree.map(stack, template)}
    if strategy.scratch:
        expected["start"] = base.weights
    saved = checkpoint.restore(folder, expected)
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[units], saved["phi"])
    start = saved["start"] if strategy.scratch else base.weights
    return predict_sites(base.model, start, sites, strategy.adaptation, own)


def _placed(base: np.ndarray, rows: list[int], values: np.ndarray) -> np.ndarray:
    placed = base.copy()
    placed[rows] = values
    return placed


def reference_arms(sites: Sites, split: Split) -> dict[str, dict[str, np.ndarray]]:
    """Returns what a sceptic asks for, fitted on all days but the test days.

    The process model with its prior parameters joins them where crops and seasons are known.
    """
    free = (split.roles(sites) != TEST) & np.asarray(sites.site.valid)
    arms = {
        "climatology": references.day_of_year_climatology(sites, free),
        "boosting-pooled": references.boosting_pooled(sites, free),
        "boosting-per-site": references.boosting_per_site(sites, free),
    }
    if np.asarray(sites.site.forcing.occupied).any(axis=1).all():
        process = ProcessModel(spin_up_cycles=2)
        arms["process-prior"] = predict_sites(process, process.init(jax.random.key(0)), sites)
    return arms


def as_dataset(
    predictions: dict[str, dict[str, np.ndarray]], sites: Sites, days: np.ndarray
) -> xr.Dataset:
    """Returns predictions and observations with dims (strategy, site, day) and units."""
    names = [name for name in VARIABLES if name in next(iter(predictions.values()))]
    dims = ("strategy", "site", "day")
    result = xr.Dataset(coords={"strategy": list(predictions), "site": list(sites.names)})
    valid = np.asarray(sites.site.valid)
    for name in names:
        attributes = {"units": VARIABLES[name].units, "long_name": VARIABLES[name].doc}
        blank = np.full(valid.shape, np.nan, np.float32)
        stacked = np.stack([fluxes.get(name, blank) for fluxes in predictions.values()])
        result[name] = (dims, np.where(valid, stacked, np.nan).astype(np.float32), attributes)
        if name in sites.site.targets:
            seen = np.asarray(sites.site.mask[name]) & valid
            observed = np.where(seen, sites.site.targets[name], np.nan).astype(np.float32)
            result[f"{name}_observed"] = (dims[1:], observed, attributes)
    dates = np.asarray(sites.site.calendar.date, dtype=np.int32)
    result["date"] = (dims[1:], dates, {"units": "days since 1970-01-01", "calendar": "standard"})
    result["scored"] = (dims[1:], days.astype(np.int8), {"units": "1", "long_name": "test day"})
    return result


def main(config: EvaluateConfig) -> None:
    """Predicts, scores, and writes datasets, figures and the table."""
    base = stored.load(pretraining_run(config.from_run))
    choice = inputs.data_from_json(run_directory.read_json(config.from_run / "data.json"))
    described = run_directory.read_json(config.from_run / "config.json")
    if config.data is not None:
        choice = replace(choice, data=config.data, metadata=config.metadata)
    sites = inputs.load(choice).sites
    days, split = scored_days(config.from_run, base.split, sites)
    run_directory.create(config.run, config, config.overwrite, source=config.from_run)
    is_calibration = "from_run" in described
    if is_calibration:
        predictions = calibrated(config.from_run, base, sites)
    else:
        predictions = {"zero-shot": predict_sites(base.model, base.weights, sites)}
    if config.references:
        predictions |= reference_arms(sites, split)
    results = reporting.score_all(predictions, sites, days, base.scaling)
    reporting.write_dataset(config.run / "evaluation.nc", results)
    reporting.write_dataset(config.run / "groups.nc", scores.by_group(predictions, sites, days))
    reporting.write_dataset(config.run / "predictions.nc", as_dataset(predictions, sites, days))
    summary = {
        "sites": len(sites),
        "split": split.kind,
        "days_scored": int(days.sum()),
        "strategies": {
            name: {"variables": reporting.variable_summaries(results, name)} for name in predictions
        },
    }
    run_directory.write_json(config.run / "summary.json", summary)
    (config.run / "tables.md").write_text(reporting.markdown(results))
    reporting.draw(config.run / "figures", sites, split, predictions, results, days)
    reporting.print_medians(results)
    reporting.say(
        f"Scored {len(predictions)} ways of predicting {len(sites)} sites on {days.sum()} days the "
        f"run never saw.\nEverything is in {config.run}: evaluation.nc, predictions.nc, figures/."
    )


if __name__ == "__main__":
    command_line.run(main, EvaluateConfig)
