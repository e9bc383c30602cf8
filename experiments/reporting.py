"""What programs show and write: progress, tables, figures, datasets, closing words."""

import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rich.progress
import rich.table
import run_directory
import xarray as xr
from inputs import Data, Loaded, test_days
from rich.console import Console

from kgml_jax.adaptation import Weights, trained_share
from kgml_jax.data.splits import Split
from kgml_jax.evaluation import figures, physics, scores, statistics, tables
from kgml_jax.models.features import Scaling
from kgml_jax.sites import Sites
from kgml_jax.training.strategies import STRATEGIES

Predictions = dict[str, dict[str, np.ndarray]]

# In a file or a pipe rich knows no width, and its guess of 80 columns breaks the tables.
PIPED_WIDTH = None if sys.stdout.isatty() else 130
OUT = Console(width=PIPED_WIDTH, soft_wrap=True)
ERR = Console(stderr=True, soft_wrap=True)
HEADLINE_VARIABLE = "NEE"
HEADLINE = (
    "mse: squared error in units of the training variance, mean over the variables of a site; "
    "median over sites, on the held-out test days"
)


def warn(message: str) -> None:
    """Prints a warning to stderr."""
    ERR.print(f"[yellow]warning:[/] {message}", highlight=False)


def say(message: str) -> None:
    """Prints a line to stdout as it is."""
    OUT.print(message, highlight=False, markup=False)


def can_draw() -> bool:
    """Returns whether figures can be drawn; warns where they cannot."""
    if importlib.util.find_spec("matplotlib") is not None:
        return True
    warn("no figures: matplotlib is not installed (pip install -e '.[plot]')")
    return False


def show(grids: Iterable[tables.Grid]) -> None:
    """Prints tables, an empty line after each."""
    for grid in grids:
        OUT.print(tables.terminal(grid))
        OUT.print()


def publish(folder: Path, grids: Sequence[tables.Grid]) -> None:
    """Writes tables to `tables.md` and prints them."""
    (folder / "tables.md").write_text("\n".join(map(tables.markdown, grids)))
    show(grids)


class Progress:
    """A progress bar over steps that also logs each round to `metrics.jsonl`."""

    def __init__(self, label: str, steps: int, folder: Path, **context: Any) -> None:
        columns = (
            rich.progress.TextColumn("{task.description:<24}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[state]}"),
        )
        self._bar = rich.progress.Progress(*columns, console=ERR)
        self._task = self._bar.add_task(label, total=steps, state="compiling")
        self._folder = folder
        self._context = context

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, report: dict[str, np.ndarray]) -> None:
        """Takes the report of one round; see `kgml_jax.training.run.OnRound`."""
        best = np.atleast_1d(report["best_error"])
        active = int(np.sum(report["active"]))
        state = f"validation {np.nanmedian(best):.3f}"
        state += f", {active} of {best.size} sites active" if best.size > 1 else ""
        self._bar.update(self._task, completed=int(np.max(report["step"])), state=state)
        row = {
            **self._context,
            "step": int(np.max(report["step"])),
            "train_loss": report["training_loss"],
            "validation_loss": report["validation_error"],
            "best_validation_loss": report["best_error"],
            "learning_rate": report["rate"],
            "active": active,
        }
        run_directory.append_metrics(self._folder, row)


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Writes netCDF: version 4 where h5netcdf is installed, else version 3 through scipy.

    It appears in one step: a file of that name is whole, and one that was there stays until then.
    """
    try:
        import h5netcdf  # noqa: F401
    except ImportError:
        engine = "scipy"
    else:
        engine = "h5netcdf"
    partial = path.with_suffix(".partial")
    dataset.to_netcdf(partial, engine=engine)
    partial.replace(path)


def write_inputs(folder: Path, data: Data, loaded: Loaded, split: Split) -> None:
    """Writes what a run was made from: choice of data, split, notes of the reader, and truth."""
    run_directory.write_json(folder / "data.json", data)
    run_directory.write_json(folder / "split.json", json.loads(split.to_json()))
    run_directory.write_json(folder / "data_notes.json", loaded.notes)
    for note in loaded.notes:
        if note.kind == "warning":
            warn(f"{note.site} {note.variable}: {note.message}")
    if loaded.world is not None:
        write_dataset(folder / "synthetic_world.nc", loaded.world)


def score_all(
    predictions: Predictions, sites: Sites, days: np.ndarray, scaling: Scaling
) -> xr.Dataset:
    """Scores strategies per site and variable, with physics and the standardised error."""
    result = scores.score(predictions, sites, days)
    sd = {scale.name: scale.sd for scale in scaling.targets}
    # What the model does not predict, or is given, is not compared.
    learnt = set(next(iter(predictions.values()))) & set(sd)
    result = result.sel(variable=[name for name in result["variable"].values if name in learnt])
    result["standardised_mse"] = scores.standardised_mse(result, sd)
    return result.merge(physics.balance(predictions, sites, days), compat="override")


def variable_summaries(results: xr.Dataset, strategy: str) -> dict[str, dict[str, float]]:
    """Returns the medians over sites of each metric, by variable."""
    medians = scores.summary(_metrics_only(results)).sel(strategy=strategy)
    return {
        str(variable): {
            str(metric): float(medians[metric].sel(variable=variable))
            for metric in medians.data_vars
        }
        for variable in medians["variable"].values
    }


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


def comparisons(results: xr.Dataset, reference: str) -> list[statistics.Comparison]:
    """Compares every strategy with the reference, and FTBSC with training from scratch, by site."""
    values = results["standardised_mse"]
    names = [str(name) for name in values["strategy"].values]
    pairs = list(statistics.compare(values, reference)) if len(names) > 1 else []
    for scratch in ("site-only", "group-only"):
        if scratch in names and "ftbsc" in names:
            pairs += statistics.compare(values, scratch, ["ftbsc"])
    return pairs


def finish_calibration(
    folder: Path,
    summary: dict[str, Any],
    results: xr.Dataset,
    pairs: list[statistics.Comparison],
) -> None:
    """Prints the tables and says in plain words what came out."""
    print_medians(results)
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
    if pairs:
        OUT.print(tables.terminal(tables.comparison_grid(pairs)))
    say(
        f"Calibrated {summary['sites']} sites. {HEADLINE}.\n"
        f"Everything is in {folder}. Next, predict and score with it:\n"
        f"  python experiments/evaluate.py --from {folder}"
    )


def markdown(results: xr.Dataset) -> str:
    """Returns the medians over sites, then R2 of every site, as Markdown tables."""
    medians = tables.markdown(tables.score_grid(scores.summary(_metrics_only(results))))
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
    OUT.print(tables.terminal(tables.score_grid(scores.summary(_metrics_only(results)))))


def _metrics_only(results: xr.Dataset) -> xr.Dataset:
    names = [name for name, values in results.data_vars.items() if "variable" in values.dims]
    return results[names]


def draw(
    folder: Path,
    sites: Sites,
    split: Split,
    predictions: Predictions,
    results: xr.Dataset,
    days: np.ndarray,
) -> None:
    """Draws time series of telling sites, scatter plots, gains, and learning curves if logged.

    Without matplotlib it only says so: the numbers are written already.
    """
    if not can_draw():
        return
    roles = split.roles(sites)
    for name in telling_sites(results):
        for variable in (HEADLINE_VARIABLE, "Reco"):
            if variable in sites.site.targets:
                path = folder / f"series_{variable}_{name}.png"
                figures.time_series(path, sites, predictions, name, variable, roles=roles)
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
    rows = run_directory.read_metrics(run)
    for strategy in dict.fromkeys(row.get("strategy", "pretraining") for row in rows):
        own = [row for row in rows if row.get("strategy", "pretraining") == strategy]
        if len(own) > 1:
            figures.learning_curves(folder / f"learning_{strategy}.png", own)


def finish_pretraining(
    folder: Path,
    sites: Sites,
    split: Split,
    predictions: Predictions,
    scaling: Scaling,
    summary: dict[str, Any],
) -> None:
    """Scores the held-out days, draws, writes `summary.json` and says what was done."""
    days = test_days(split, sites)
    if not days.any():
        warn("the split holds no test day: nothing is scored")
        run_directory.write_json(folder / "summary.json", summary)
        return
    results = score_all(predictions, sites, days, scaling)
    write_dataset(folder / "sites.nc", results)
    write_dataset(folder / "groups.nc", scores.by_group(predictions, sites, days))
    summary["median_mse"] = float(results["standardised_mse"].median())
    summary["balance_residual"] = float(results["balance_residual"].mean())
    summary["variables"] = variable_summaries(results, "pretrained")
    run_directory.write_json(folder / "summary.json", summary)
    draw(folder / "figures", sites, split, predictions, results, days)
    print_medians(results)
    say(
        f"Pretrained one model on {summary['sites_trained_on']} of {summary['sites']} sites in "
        f"{summary['steps']} steps "
        f"({summary['seconds']:.0f} s); the table scores the days it never saw.\n"
        f"Everything is in {folder}. Next, calibrate every site:\n"
        f"  python experiments/calibrate.py --from {folder}"
    )
