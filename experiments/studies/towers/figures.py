"""The figure of the tower experiment."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw
from kgml_jax.evaluation.canvas import empty_figure, legend_below, logarithmic, save
from kgml_jax.evaluation.styles import styles
from studies.towers.models import AFTER, BEFORE
from studies.towers.report import kinds_of_sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"crops": "o", "grasslands": "^"}


def draw(path: Path, scores: xr.Dataset) -> None:
    """Draws the RMSE after calibration over that before, a panel a variable.

    Without matplotlib it only says so: the numbers are written already.
    """
    if not can_draw():
        return
    variables = [str(name) for name in scores["variable"].values]
    figure = empty_figure(4.2 * len(variables), 4.6)
    panels = figure.subplots(1, len(variables), squeeze=False)[0]
    for axes, variable in zip(panels, variables, strict=True):
        own = scores["rmse"].sel(variable=variable)
        looks = styles([str(name) for name in scores["model"].values])
        for model, style in looks.items():
            colour = style.colour
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
    legend_below(figure, [panels[0]], columns=5)
    save(figure, path)


def _frame(axes: "Axes", own: xr.DataArray, title: str) -> None:
    finite = own.values[np.isfinite(own.values) & (own.values > 0)]
    if finite.size:
        ends = (0.8 * finite.min(), 1.25 * finite.max())
        axes.plot(ends, ends, color="black", linewidth=0.6)
    logarithmic(axes, "x", "y")
    axes.set(xlabel="RMSE before calibration, held-out years", ylabel="after", title=title)
