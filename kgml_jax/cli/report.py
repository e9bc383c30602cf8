"""What the commands write and print of a run: inputs, tables, figures, closing words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rich.table
import xarray as xr

from kgml_jax.adaptation import Weights, trained_share
from kgml_jax.cli import drawings, notes, troubles
from kgml_jax.cli.console import OUT, say
from kgml_jax.cli.untested import tell_untested
from kgml_jax.display import counted
from kgml_jax.evaluation import scores, tables
from kgml_jax.evaluation.tables import Grid
from kgml_jax.runs import files, resume
from kgml_jax.runs.directory import Run
from kgml_jax.runs.files import write_dataset
from kgml_jax.split import DividedSites
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.workflows import evaluation, prediction_file
from kgml_jax.workflows.evaluation import Assessment
from kgml_jax.workflows.scoring import HEADLINE, metrics_only
from kgml_jax.workflows.sites import fingerprints


def write_inputs(folder: Path, data: DividedSites) -> None:
    """Writes what a run was made from: choice of data, split, notes of the reader, and truth."""
    sites = data.sites
    files.record_data(folder, fingerprints(sites))
    files.write_json(folder / "data.json", sites.origin)
    files.write_json(folder / "split.json", json.loads(data.split.to_json()))
    resume.seal(folder, ("data.json", "split.json"))
    files.write_json(folder / "data_notes.json", sites.notes)
    notes.tell(sites.notes)
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


def finish_calibration(
    run: Run, found: Assessment, draw: tuple[str, ...] = (), figures: bool = True
) -> None:
    """Writes the scores, prints the tables and says in plain words what came out."""
    folder, summary = run.folder, found.summary or {}
    _write_scores(folder, found, "sites.nc")
    write_dataset(folder / "drift.nc", evaluation.drift(found), "What calibration changed")
    origin = found.data.sites.origin
    files.write_json(folder / "summary.json", {**summary, "data": files.plain(origin)})
    if figures:
        drawings.draw(folder / "figures", found, draw)
    if found.scored_sites:
        print_medians(found.results)
    OUT.print(tables.terminal(outcome_grid(summary["strategies"], found.reference)))
    if found.pairs:
        OUT.print(tables.terminal(tables.comparison_grid(found.pairs)))
    for name, row in summary["strategies"].items():
        troubles.tell(row["troubles"], of=name)
    say_remarks(found)
    tell_untested(found)
    say(
        f"Calibrated {counted(len(found.data), 'site')}. {HEADLINE}.\n"
        f"Everything is in {run.path}. Next, predict and score with it:\n"
        f"  kgml-jax evaluate --from {run.path} --run {run.path}-evaluated"
    )


def outcome_grid(strategies: Mapping[str, Mapping[str, Any]], reference: str) -> Grid:
    """Tabulates errors, R2 and how the sites fared; what has no meaning for a strategy is a dash.

    Args:
      strategies: by name, as `summary.json` has them.
      reference: the pretrained model, which no site can be accepted or worse than.
    """
    calibrated = all("sites_accepted" in row for row in strategies.values())
    rows = []
    for name, row in strategies.items():
        medians = ("median_mse", "median_mse_known_sites", "median_mse_new_sites", "median_r2")
        cells = [_digits(row[key]) for key in (*medians, "pooled_mse")]
        if calibrated:
            accepted = row["sites_accepted"]
            worse = "-" if name == reference else str(row["sites_harmed_on_test"])
            cells += ["-" if accepted is None else str(accepted), worse]
            cells += [str(row["sites_not_finite"])]
        cells += [f"{row['balance_residual']:.2e}" if _finite(row["balance_residual"]) else "-"]
        rows.append((name, *cells, *([f"{row['seconds']:.0f}"] if calibrated else [])))
    counts = ("accepted", f"worse than {reference}", "not finite") if calibrated else ()
    columns = (
        *("strategy", "mse", "mse, known sites", "mse, new sites", "r2", "mse of all days"),
        *(*counts, "balance residual", *(["s"] if calibrated else [])),
    )
    title = (
        "mse: squared error, mean over variables, each in units of its training variance. mse, r2: "
        "medians over sites; mse of all days: of all sites together. Known sites: the pretrained "
        "model was trained on them; at new ones it predicts zero-shot"
    )
    title += ". Accepted: sites better on validation days, of what has that gate" * calibrated
    return Grid(title, columns, tuple(rows), 1)


def _finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _digits(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and np.isfinite(value) else "-"


def say_remarks(found: Assessment) -> None:
    """Prints what a reader of the tables could take wrongly."""
    for remark in found.remarks:
        say(f"Note: {remark}")


def finish_evaluation(
    run: Run, found: Assessment, draw: tuple[str, ...] = (), figures: bool = True
) -> None:
    """Writes scores, predictions and the tables, prints them and says what was scored."""
    folder, summary = run.folder, found.summary or {}
    _write_scores(folder, found, "evaluation.nc")
    predictions = prediction_file.of_strategies(found.predictions, found.data)
    if found.warning is not None:
        predictions = predictions.assign_attrs(warning=found.warning)
    write_dataset(folder / "predictions.nc", predictions)
    files.write_json(folder / "summary.json", summary)
    outcome = outcome_grid(summary["strategies"], found.reference)
    remarks = "".join(f"\n{remark}\n" for remark in found.remarks)
    text = f"{markdown(found.results)}\n{tables.markdown(outcome)}{remarks}"
    files.write_text(folder / "tables.md", text)
    if figures:
        drawings.draw(folder / "figures", found, draw)
    if found.scored_sites:
        print_medians(found.results)
    OUT.print(tables.terminal(outcome))
    say_remarks(found)
    scored = found.scored_sites
    say(
        f"Scored {counted(len(found.predictions), 'way')} of predicting "
        f"{counted(len(scored), 'site')} on {counted(found.scored_days, 'observed day')} that the "
        "run never saw."
    )
    tell_untested(found)
    drawn = ", figures/" if (folder / "figures").is_dir() else ""
    say(f"Everything is in {run.path}: evaluation.nc, predictions.nc, tables.md{drawn}.")


def _write_scores(folder: Path, found: Assessment, name: str) -> None:
    write_dataset(folder / name, found.results, "Scores of predictions, by site")
    write_dataset(folder / "groups.nc", found.groups, "Scores of predictions, by group of sites")


def markdown(results: xr.Dataset) -> str:
    """Returns the medians over sites, then R2 of every site, as Markdown tables."""
    medians = tables.markdown(tables.score_grid(scores.summary(metrics_only(results))))
    return f"{medians}\n\n{tables.markdown(site_grid(results))}"


def site_grid(results: xr.Dataset) -> Grid:
    """Tabulates R2 and RMSE of every site."""
    rows = []
    for variable in results["variable"].values:
        for strategy in results["strategy"].values:
            own = results.sel(variable=variable, strategy=strategy)
            pairs = zip(own["r2"].values, own["rmse"].values, strict=True)
            cells = [f"{r2:.2f} ({rmse:.2f})" if np.isfinite(rmse) else "-" for r2, rmse in pairs]
            rows.append((str(variable), str(strategy), *cells))
    sites = tuple(str(name) for name in results["site"].values)
    return Grid("R2 (RMSE) by site", ("variable", "strategy", *sites), tuple(rows), 2)


def print_medians(results: xr.Dataset) -> None:
    """Prints the table of medians over sites."""
    OUT.print(tables.terminal(tables.score_grid(scores.summary(metrics_only(results)))))


def finish_pretraining(run: Run, found: Assessment, figures: bool = True) -> None:
    """Writes the scores, draws, and says what was done."""
    folder, summary = run.folder, found.summary or {}
    _write_scores(folder, found, "sites.nc")
    files.write_json(folder / "summary.json", summary)
    if figures:
        drawings.draw(folder / "figures", found)
    if found.scored_sites:
        print_medians(found.results)
    OUT.print(tables.terminal(outcome_grid(summary["strategies"], found.reference)))
    troubles.tell_pretraining(summary)
    say_remarks(found)
    tell_untested(found)
    scored = "; the table scores the days it never saw" if found.scored_sites else ""
    say(
        f"Pretrained one model on {summary['sites_trained_on']} of {summary['sites']} sites in "
        f"{summary['steps']} steps ({summary['seconds']:.0f} s){scored}.\n"
        f"Everything is in {run.path}. Next, calibrate every site:\n"
        f"  kgml-jax calibrate --from {run.path} --run {run.path}-calibrated"
    )
