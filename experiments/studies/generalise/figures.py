"""Figure of the generalisation experiment."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kgml_jax.evaluation.canvas import empty_figure, legend_below, save
from kgml_jax.evaluation.styles import COLOURS


def draw(folder: Path, results: xr.Dataset) -> None:
    """Draws the errors of all models."""
    save(errors(results), folder / "errors.png")


def errors(results: xr.Dataset) -> Figure:
    """Returns the error of every model and site, by question and what it is compared with."""
    questions, bases = results["question"].values, results["basis"].values
    figure = empty_figure(1.2 + 3.4 * len(questions), 0.8 + 2.8 * len(bases))
    panels = figure.subplots(len(bases), len(questions), sharex=True, sharey="row", squeeze=False)
    for row, basis in enumerate(bases):
        for column, question in enumerate(questions):
            axes = panels[row, column]
            _panel(axes, results["error"].sel(question=question, basis=basis))
            axes.set_title(str(question) if row == 0 else "")
        panels[row, 0].set_ylabel(f"squared error (1),\ncompared with {basis}")
    legend_below(figure, [panels[0, 0]])
    return figure


def _panel(axes: Axes, values: xr.DataArray) -> None:
    names = [str(name) for name in values["model"].values]
    for place, name in enumerate(names):
        for row, seed in enumerate(values["seed"].values):
            own = values.sel(model=name, seed=seed).values
            own = own[np.isfinite(own)]
            shift = 0.22 * (row - (values.sizes["seed"] - 1) / 2)
            where, colour = place + shift, COLOURS[row % len(COLOURS)]
            axes.plot(np.full(len(own), where), own, ".", color=colour, alpha=0.35, markersize=4)
            middle = np.exp(np.mean(np.log(own)))
            label = f"seed {seed}: sites, and their geometric mean" if place == 0 else None
            axes.plot(
                where, middle, "_", color=colour, markersize=9, markeredgewidth=2.2, label=label
            )
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.grid(axis="y", alpha=0.3)
