"""Tables and verdicts of the generalisation experiment."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw, publish, say, warn
from kgml_jax.evaluation.claims import FAILS, HOLDS, OPEN, Interval
from kgml_jax.evaluation.statistics import holm
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.runs.files import write_dataset
from studies.generalise.scores import (
    HYBRIDS,
    JUDGED,
    OBSERVED,
    RIVALS,
    SHOWN,
    TRUTH,
    Compared,
    compared,
    judged,
)
from studies.generalise.training import TRANSFER

SAID = {HOLDS: "holds", FAILS: "does not hold", OPEN: "undecided"}

PAIRS = tuple((hybrid, rival) for hybrid in HYBRIDS for rival in (*RIVALS, TRANSFER))
"""Comparisons: each hybrid with process-only, recurrent-only, and the nearest site's parameters."""


def write(folder: Path, results: xr.Dataset) -> None:
    """Writes `generalise.nc`, `tables.md` and a figure, and prints the tables.

    Args:
      folder: the run directory.
      results: as of `generalise_scores.scored`, with dim `seed` before.
    """
    write_dataset(folder / "generalise.nc", results, "Scores of models where they did not learn")
    failed = int(results["n_not_finite"].sum())
    if failed:
        warn(f"{failed} predictions are not finite; a site with one counts as not better")
    grids = [verdicts(results), comparisons(results), errors(results), variables(results)]
    grids.append(descents(results))
    publish(folder, grids)
    drawn = can_draw()
    if drawn:
        from studies.generalise import figures

        figures.draw(folder / "figures", results)
    say(f"Everything is in {folder}: generalise.nc, tables.md, {'figures/, ' * drawn}cells/.")


def verdicts(results: xr.Dataset) -> Grid:
    """Tabulates whether dPL or closure has less error than process-only and recurrent-only."""
    rows = []
    for question, basis, values in _asked(results):
        found = {
            hybrid: [compared(values, hybrid, rival).change.verdict for rival in RIVALS]
            for hybrid in HYBRIDS
        }
        said, by = judged(found)
        rows.append((question, basis, SAID[said], ", ".join(by) or "-"))
    title = (
        "Does dPL or closure have less error than both process-only and recurrent-only? Holds if "
        "one of them is better than both by the 95 % intervals over seeds and over seeds and sites"
    )
    return Grid(title, ("days", "compared with", "verdict", "of"), tuple(rows), 4)


def comparisons(results: xr.Dataset) -> Grid:
    """Tabulates the comparisons of each hybrid with its rivals and with the nearest site."""
    rows = []
    for question, basis, values in _asked(results):
        found = [compared(values, hybrid, rival) for hybrid, rival in PAIRS]
        corrected = holm([one.p_value for one in found])
        for one, p in zip(found, corrected, strict=True):
            rows.append((question, basis, *_compared(one), number(p), one.change.verdict))
    title = (
        f"Relative difference of the squared error (mean over {', '.join(JUDGED)}, each in units "
        "of its training variance; geometric mean over sites), below 0 where the first is better; "
        "p of Wilcoxon's signed-rank test over sites and seeds, after Holm for the six comparisons"
    )
    columns = ("days", "compared with", "comparison", "difference [over seeds]")
    columns += ("[over seeds and sites]", "sites better", "p", "less error?")
    return Grid(title, columns, tuple(rows), 3)


def errors(results: xr.Dataset) -> Grid:
    """Tabulates the errors of every model: medians over seeds and sites."""
    rows = []
    for question in results["question"].values:
        for model in results["model"].values:
            one = results.sel(question=question, model=model)
            rmse = one["rmse"].median(("seed", "site"))
            cells = [
                " / ".join(
                    number(float(rmse.sel(variable=name, basis=b))) for b in (OBSERVED, TRUTH)
                )
                for name in SHOWN
            ]
            r2 = one["r2"].sel(variable="NEE", basis=OBSERVED).median(("seed", "site"))
            total = one["error"].median(("seed", "site"))
            both = " / ".join(number(float(total.sel(basis=b))) for b in (OBSERVED, TRUTH))
            rows.append((str(question), str(model), *cells, number(float(r2)), both))
    units = results["variable_units"]
    named = [f"{name}, {units.sel(variable=name).item()}" for name in SHOWN]
    title = (
        "RMSE against noisy observations / against the truth; medians over seeds and sites. Error: "
        f"squared, mean over {', '.join(JUDGED)}, each in units of its training variance"
    )
    return Grid(title, ("days", "model", *named, "R2 of NEE", "error"), tuple(rows), 2)


def variables(results: xr.Dataset) -> Grid:
    """Tabulates by how much each hybrid changes the RMSE of process-only, by variable."""
    rows = []
    for question in results["question"].values:
        for hybrid in HYBRIDS:
            cells = []
            for name in SHOWN:
                values = results["rmse"].sel(question=question, basis=TRUTH, variable=name)
                found = compared(values, hybrid, RIVALS[0])
                won = f"{found.wins} of {found.sites}"
                cells.append(f"{_percent(found.change.interval)} ({won})")
            rows.append((str(question), f"{hybrid} over {RIVALS[0]}", *cells))
    title = (
        "Relative difference of the RMSE against the truth (geometric mean over sites), mean "
        "[over seeds] (sites better)"
    )
    return Grid(title, ("days", "comparison", *SHOWN), tuple(rows), 2)


def descents(results: xr.Dataset) -> Grid:
    """Tabulates what training came to, mean over seeds."""
    rows = []
    trained = results["model"].values[results["step"].notnull().any(("seed", "split")).values]
    for model in trained:
        for split in results["split"].values:
            one = results.sel(model=model, split=split)
            mean = lambda name, one=one: float(one[name].mean("seed"))
            counts = [f"{mean(name):.0f}" for name in ("best_step", "step", "seconds")]
            found = [number(mean(name)) for name in ("start_error", "best_error")]
            healthy = f"{int(one['healthy'].sum())} of {results.sizes['seed']}"
            rows.append((str(model), str(split), *found, *counts, healthy))
    title = (
        "Training, mean over seeds: error of the validation days (sum over all variables, in units "
        "of their variance) before and at its best; seconds of both splits together"
    )
    columns = ("model", "left out beside extreme years", "at first", "best", "at step", "steps")
    return Grid(title, (*columns, "s", "healthy"), tuple(rows), 2)


def _asked(results: xr.Dataset) -> Iterator[tuple[str, str, xr.DataArray]]:
    # Errors of sites by question and basis, dims (seed, model, site).
    for question in results["question"].values:
        for basis in results["basis"].values:
            yield str(question), str(basis), results["error"].sel(question=question, basis=basis)


def _compared(found: Compared) -> tuple[str, ...]:
    resampled = found.change.resampled or found.change.interval
    won = f"{found.wins} of {found.sites}"
    return found.change.text, _percent(found.change.interval), _limits(resampled), won


def _percent(interval: Interval) -> str:
    return f"{interval.mean:+.1%} {_limits(interval)}"


def _limits(interval: Interval) -> str:
    if not np.isfinite(interval.high):
        return "[-]"
    return f"[{interval.low:+.1%}, {interval.high:+.1%}]"
