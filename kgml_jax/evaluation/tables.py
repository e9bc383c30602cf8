"""Scores and comparisons as tables: in the terminal and in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rich.markup
import rich.table
import xarray as xr

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
    """A table of text: what it shows, its columns, and its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def score_grid(summary: xr.Dataset, metrics: Sequence[str] = HEADLINE) -> Grid:
    """Tabulates `scores.summary`: a row per variable and strategy, a column per metric.

    Columns name the unit, unless the variables differ in it, and the direction of better skill.
    """
    columns = [_heading(summary[name]) for name in metrics]
    rows = []
    for variable in summary["variable"].values:
        for strategy in summary["strategy"].values:
            cell = summary.sel(variable=variable, strategy=strategy)
            numbers = [number(cell[name].item()) for name in metrics]
            counts = [f"{cell[name].item():.0f}" for name in ("n_sites", "n_failed")]
            rows.append((_with_units(cell), str(strategy), *numbers, *counts))
    header = ("variable", "strategy", *columns, "sites", "failed sites")
    title = str(summary[metrics[0]].attrs.get("cell_methods", "")).replace("0.5", "0.5 (median)")
    return Grid(title, header, tuple(rows))


def _heading(values: xr.DataArray) -> str:
    units = values.attrs["units"]
    stated = "" if units == "1" or "variable_units" in units else f" [{units}]"
    return f"{values.name}{stated}, {DIRECTIONS[values.attrs['better']]}"


def _with_units(cell: xr.Dataset) -> str:
    return f"{cell['variable'].item()} [{cell['variable_units'].item()}]"


def number(value: float) -> str:
    """Writes a number with three significant digits, and a dash where there is none."""
    return f"{value:#.3g}".rstrip(".") if np.isfinite(value) else "-"


def comparison_grid(comparisons: Sequence[Comparison]) -> Grid:
    """Tabulates `statistics.compare`: a row per comparison."""
    header = (
        "metric",
        "candidate",
        "reference",
        "sites",
        "median improvement",
        "interval",
        "p (Holm)",
        "rank-biserial",
        "win/tie/loss",
        "harmed",
    )
    return Grid("Paired by site; positive is better", header, tuple(map(_row, comparisons)))


def _row(comparison: Comparison) -> tuple[str, ...]:
    low, high = comparison.interval
    harmed = comparison.harmed_share
    return (
        comparison.metric,
        comparison.candidate,
        comparison.reference,
        str(comparison.n_sites),
        number(comparison.median_improvement),
        f"{number(low)} to {number(high)}",
        number(comparison.p_value_holm),
        number(comparison.effect_size),
        f"{comparison.wins}/{comparison.ties}/{comparison.losses}",
        f"{harmed:.0%}" if np.isfinite(harmed) else "-",
    )


def terminal(grid: Grid) -> rich.table.Table:
    """Returns the table for `rich.print`."""
    table = rich.table.Table(title=grid.title)
    for index, column in enumerate(grid.columns):
        # Square brackets would be read as markup, and units have them.
        table.add_column(rich.markup.escape(column), justify="left" if index < 2 else "right")
    for row in grid.rows:
        table.add_row(*(rich.markup.escape(cell) for cell in row))
    return table


def markdown(grid: Grid) -> str:
    """Returns the table as Markdown, with a final line break."""
    rule = [":--" if index < 2 else "--:" for index in range(len(grid.columns))]
    lines = [f"{grid.title}", ""] if grid.title else []
    lines += [f"| {' | '.join(row)} |" for row in (grid.columns, rule, *grid.rows)]
    return "\n".join(lines) + "\n"
