"""What the commands write and print of a run: inputs, tables, figures, closing words."""

import json
from pathlib import Path

import numpy as np
import rich.table
import xarray as xr

from kgml_jax.adaptation import Weights, trained_share
from kgml_jax.cli.console import OUT, can_draw, say, warn
from kgml_jax.evaluation import figures, scores, tables
from kgml_jax.runs import files
from kgml_jax.runs.files import write_dataset
from kgml_jax.split import DividedSites
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.workflows import evaluation
from kgml_jax.workflows.evaluation import Assessment
from kgml_jax.workflows.scoring import HEADLINE, HEADLINE_VARIABLE, metrics_only


def write_inputs(folder: Path, data: DividedSites) -> None:
    """Writes what a run was made from: choice of data, split, notes of the reader, and truth."""
    sites = data.sites
    files.write_json(folder / "data.json", sites.origin)
    files.write_json(folder / "split.json", json.loads(data.split.to_json()))
    files.write_json(folder / "data_notes.json", sites.notes)
    for note in sites.notes:
        if note.kind == "warning":
            warn(f"{note.site} {note.variable}: {note.message}")
    if sites.truth is not None:
        write_dataset(folder / "synthetic_world.nc", sites.truth)


def print_strategies(names: tuple[str, ...], weights: Weights) -> None:
    """Prints what each strategy trains and what share of the model's numbers a site owns."""
    table = rich.table.Table(
        "strategy", "what a site owns", "share", "starts from", title_justify="left"
    )
    for name in names:
        strategy = STRATEGIES[name]
        start = "fresh weights" if strategy.scratch else "the pretrained weights"
        share = f"{trained_share(strategy.adaptation, weights):.2%}"
        table.add_row(name, strategy.doc, share, start)
    OUT.print(table)


def finish_calibration(folder: Path, found: Assessment) -> None:
    """Writes the scores, prints the tables and says in plain words what came out."""
    summary = found.summary or {}
    _write_scores(folder, found, "sites.nc")
    write_dataset(folder / "drift.nc", evaluation.drift(found))
    origin = found.data.sites.origin
    files.write_json(folder / "summary.json", {**summary, "data": files.plain(origin)})
    draw(folder / "figures", found)
    print_medians(found.results)
    kinds = ("mse", "mse, known sites", "mse, new sites", "r2")
    counts = ("accepted", "harmed", "not finite", "balance residual", "s")
    table = rich.table.Table("strategy", *kinds, *counts)
    for name, row in summary["strategies"].items():
        counts = [
            row[key] for key in ("sites_accepted", "sites_harmed_on_test", "sites_not_finite")
        ]
        medians = ("median_mse", "median_mse_known_sites", "median_mse_new_sites", "median_r2")
        cells = [*(f"{row[key]:.3f}" for key in medians), *map(str, counts)]
        table.add_row(name, *cells, f"{row['balance_residual']:.2e}", f"{row['seconds']:.0f}")
    OUT.print(table)
    if found.pairs:
        OUT.print(tables.terminal(tables.comparison_grid(found.pairs)))
    say(
        f"Calibrated {len(found.data)} sites. {HEADLINE}.\n"
        f"Everything is in {folder}. Next, predict and score with it:\n"
        f"  kgml-jax evaluate --from {folder}"
    )


def finish_evaluation(folder: Path, found: Assessment) -> None:
    """Writes scores, predictions and the table, and prints the medians."""
    _write_scores(folder, found, "evaluation.nc")
    predictions = evaluation.as_dataset(found.predictions, found.data)
    write_dataset(folder / "predictions.nc", predictions)
    files.write_json(folder / "summary.json", found.summary)
    (folder / "tables.md").write_text(markdown(found.results))
    draw(folder / "figures", found)
    print_medians(found.results)


def _write_scores(folder: Path, found: Assessment, name: str) -> None:
    write_dataset(folder / name, found.results)
    write_dataset(folder / "groups.nc", found.groups)


def markdown(results: xr.Dataset) -> str:
    """Returns the medians over sites, then R2 of every site, as Markdown tables."""
    medians = tables.markdown(tables.score_grid(scores.summary(metrics_only(results))))
    sites = [str(name) for name in results["site"].values]
    lines = [f"| variable | strategy | {' | '.join(sites)} |", "|---" * (len(sites) + 2) + "|"]
    for variable in results["variable"].values:
        for strategy in results["strategy"].values:
            values = results["r2"].sel(variable=variable, strategy=strategy).values
            rmse = results["rmse"].sel(variable=variable, strategy=strategy).values
            cells = [f"{a:.2f} ({b:.2f})" for a, b in zip(values, rmse, strict=True)]
            lines.append(f"| {variable} | {strategy} | {' | '.join(cells)} |")
    return f"{medians}\n\nR2 (RMSE) by site\n\n" + "\n".join(lines) + "\n"


def print_medians(results: xr.Dataset) -> None:
    """Prints the table of medians over sites."""
    OUT.print(tables.terminal(tables.score_grid(scores.summary(metrics_only(results)))))


def draw(folder: Path, found: Assessment) -> None:
    """Draws time series of telling sites, scatter plots, gains, and learning curves if logged.

    Without matplotlib it only says so: the numbers are written already.
    """
    if not can_draw():
        return
    data, predictions, results = found.data, found.predictions, found.results
    sites, days = data.sites, data.test_days
    for name in telling_sites(results):
        for variable in (HEADLINE_VARIABLE, "Reco"):
            if variable in sites.site.targets:
                path = folder / f"series_{variable}_{name}.png"
                figures.time_series(path, sites, predictions, name, variable, roles=data.roles)
    for variable in (str(name) for name in results["variable"].values):
        figures.scatter(folder / f"scatter_{variable}.png", sites, predictions, variable, days)
    reference, *others = [str(name) for name in results["strategy"].values]
    for strategy in others:
        path = folder / f"gain_{strategy}.png"
        figures.gain_per_site(path, results["standardised_mse"], reference, strategy)
    draw_learning(folder, folder.parent)


def telling_sites(results: xr.Dataset) -> list[str]:
    """Returns the best, the median and the worst site of the last strategy."""
    errors = results["standardised_mse"].isel(strategy=-1)
    ranked = errors.where(np.isfinite(errors), drop=True).sortby(errors)
    names = [str(name) for name in ranked["site"].values]
    return list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])) if names else []


def draw_learning(folder: Path, run: Path) -> None:
    """Draws the learning curves of every strategy in `metrics.jsonl`."""
    rows = files.read_metrics(run)
    for strategy in dict.fromkeys(row.get("strategy", "pretraining") for row in rows):
        own = [row for row in rows if row.get("strategy", "pretraining") == strategy]
        if len(own) > 1:
            figures.learning_curves(folder / f"learning_{strategy}.png", own)


def finish_pretraining(folder: Path, found: Assessment) -> None:
    """Writes the scores, draws, and says what was done."""
    summary = found.summary or {}
    _write_scores(folder, found, "sites.nc")
    files.write_json(folder / "summary.json", summary)
    draw(folder / "figures", found)
    print_medians(found.results)
    say(
        f"Pretrained one model on {summary['sites_trained_on']} of {summary['sites']} sites in "
        f"{summary['steps']} steps ({summary['seconds']:.0f} s); the table scores the days it "
        f"never saw.\nEverything is in {folder}. Next, calibrate every site:\n"
        f"  kgml-jax calibrate --from {folder}"
    )
