"""The figure of the tower experiment."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw
from kgml_jax.evaluation.figures import COLOURS
from studies.towers.models import AFTER, BEFORE
from studies.towers.report import kinds_of_sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 150
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MARKERS = {"crops": "o", "grasslands": "^"}


def draw(path: Path, scores: xr.Dataset) -> None:
    """Draws the RMSE after calibration over that before, a panel a variable.

    Without matplotlib it only says so: the numbers are written already.
    """
    if not can_draw():
        return
    from matplotlib.figure import Figure

    variables = [str(name) for name in scores["variable"].values]
    figure = Figure(figsize=(4.2 * len(variables), 4.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(variables), squeeze=False)[0]
    for axes, variable in zip(panels, variables, strict=True):
        own = scores["rmse"].sel(variable=variable)
        for colour, model in zip(itertools.cycle(COLOURS), scores["model"].values, strict=False):
            for kind, rows in kinds_of_sites(scores).items():
                here = own.sel(model=model).isel(site=rows)
                face = colour if kind == "crops" else "none"
                axes.plot(
                    here.sel(strategy=BEFORE),
                    here.sel(strategy=AFTER),
                    MARKERS[kind],
                    markerfacecolor=face,
                    markeredgecolor=colour,
                    label=f"{model}, {kind}",
                )
        _frame(axes, own, f"{variable}, {scores['variable_units'].sel(variable=variable).item()}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _frame(axes: "Axes", own: xr.DataArray, title: str) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    finite = own.values[np.isfinite(own.values) & (own.values > 0)]
    if finite.size:
        ends = (0.8 * finite.min(), 1.25 * finite.max())
        axes.plot(ends, ends, color="black", linewidth=0.6)
    axes.set(xscale="log", yscale="log", title=title)
    axes.set(xlabel="RMSE before calibration, held-out years", ylabel="after")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(TICKS))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
