"""Scores and comparisons as tables: in the terminal and in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rich.table
import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.markup import escape

from kgml_jax.evaluation.statistics import Comparison

HEADLINE = ("rmse", "r2", "pearson_r2", "kge_2009", "bias")
"""Metrics a table shows unless told otherwise."""

DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "zero is best",
}


@dataclass(frozen=True)
class Grid:
    """A table of text: what it shows, its columns, its rows, and how many columns are names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int


def score_grid(summary: xr.Dataset, metrics: Sequence[str] = HEADLINE) -> Grid:
    """Tabulates `scores.summary`: a row per variable and strategy, a column per metric.

    The title says what the numbers are and in which units, each column what direction is better.
    """
    columns = [
        f"{name.replace('_', ' ')}, {DIRECTIONS[summary[name].attrs['better']]}" for name in metrics
    ]
    rows = []
    for variable in summary["variable"].values:
        for strategy in summary["strategy"].values:
            cell = summary.sel(variable=variable, strategy=strategy)
            numbers = [number(cell[name].item()) for name in metrics]
            counts = [f"{cell[name].item():.0f}" for name in ("n_sites", "n_failed")]
            rows.append((str(variable), str(strategy), *numbers, *counts))
    header = ("variable", "strategy", *columns, "sites", "failed")
    return Grid(_title(summary, metrics[0]), header, tuple(rows), text_columns=2)


def _title(summary: xr.Dataset, metric: str) -> str:
    method = summary[metric].attrs["cell_methods"].removeprefix("site: ")
    of_unit: dict[str, list[str]] = {}
    for variable in summary["variable"]:
        of_unit.setdefault(variable["variable_units"].item(), []).append(variable.item())
    units = "; ".join(f"{', '.join(names)} in {unit}" for unit, names in of_unit.items())
    return f"Over sites: {method}. {units}"


def number(value: float) -> str:
    """Writes a number with three significant digits, and a dash where there is none."""
    return f"{value:#.3g}".rstrip(".") if np.isfinite(value) else "-"


def share(value: float) -> str:
    """Writes a share as a percentage, and a dash where there is none."""
    return f"{value:.0%}" if np.isfinite(value) else "-"


def comparison_grid(comparisons: Sequence[Comparison]) -> Grid:
    """Tabulates `statistics.compare`: a row per comparison."""
    header = (
        "comparison",
        "sites",
        "median gain",
        "mean gain",
        "interval",
        "p (Holm)",
        "effect size",
        "win, tie, loss",
        "worse",
    )
    title = (
        "Gain over the reference, paired by site; positive is better; mean over groups with its "
        "95 % interval (Student); worse: share of the sites"
    )
    return Grid(title, header, tuple(map(_row, comparisons)), text_columns=1)


def _row(comparison: Comparison) -> tuple[str, ...]:
    low, high = comparison.interval
    return (
        f"{comparison.metric}: {comparison.candidate} against {comparison.reference}",
        str(comparison.n_sites),
        number(comparison.median_improvement),
        number(comparison.mean_improvement),
        f"{number(low)} to {number(high)}",
        number(comparison.p_value_holm),
        number(comparison.effect_size),
        f"{comparison.wins}/{comparison.ties}/{comparison.losses}",
        share(comparison.worse_share),
    )


def terminal(grid: Grid) -> rich.table.Table:
    """Returns the table for `rich.print`; rows of one first column are set off from the others."""
    table = rich.table.Table(title=escape(grid.title), box=SIMPLE_HEAD, padding=0, show_edge=False)
    for index, column in enumerate(grid.columns):
        is_text = index < grid.text_columns
        # One word a line, so that in a narrow terminal only names have to give way.
        heading = column if is_text else "\n".join(column.split())
        justify = "left" if is_text else "right"
        table.add_column(escape(heading), justify=justify, overflow="fold")
    following = [*grid.rows[1:], ("",)]
    grouped = len({row[0] for row in grid.rows}) < len(grid.rows)
    for row, after in zip(grid.rows, following, strict=False):
        table.add_row(*map(escape, row), end_section=grouped and row[0] != after[0])
    return table


def markdown(grid: Grid) -> str:
    """Returns the table as Markdown, with a final line break."""
    rule = [":--" if index < grid.text_columns else "--:" for index in range(len(grid.columns))]
    lines = [f"{grid.title}", ""] if grid.title else []
    lines += [f"| {' | '.join(row)} |" for row in (grid.columns, rule, *grid.rows)]
    return "\n".join(lines) + "\n"
