"""Figures of the twin experiment."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kgml_jax.evaluation.canvas import empty_figure, legend_below, save
from kgml_jax.evaluation.styles import COLOURS


def draw(folder: Path, joined: xr.Dataset) -> None:
    """Draws recovery by stream, and estimate against truth with all streams."""
    save(recovered(joined), folder / "recovery.png")
    save(scattered(joined), folder / "truth.png")


def recovered(joined: xr.Dataset) -> Figure:
    """Returns r of every parameter by stream; dots where half of the sites identify it."""
    settings, streams = joined["setting"].values, joined["stream"].values
    names = [str(name).replace("_", " ") for name in joined["parameter"].values]
    figure = empty_figure(4.5 + 2.6 * len(settings), 1.6 + 0.3 * len(names))
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    image = None
    for axes, setting in zip(panels, settings, strict=True):
        own = joined.sel(setting=setting)
        values = own["r"].transpose("parameter", "stream").values
        image = axes.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        share = own["identified"].mean("site").transpose("parameter", "stream").values
        rows, columns = np.nonzero(share >= 0.5)
        axes.plot(columns, rows, "o", color="white", markersize=4)
        axes.set_xticks(range(len(streams)), streams, rotation=40, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_title(setting)
    if image is not None:
        label = "correlation with the truth over sites; dot: identified"
        figure.colorbar(image, ax=list(panels), label=label)
    return figure


def scattered(joined: xr.Dataset) -> Figure:
    """Returns estimate against truth of every parameter, with all streams."""
    last = joined.isel(stream=-1)
    names = last["parameter"].values
    columns = 6
    rows = -(-len(names) // columns)
    figure = empty_figure(2.1 * columns, 2.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        for row, setting in enumerate(last["setting"].values):
            one = last.sel(setting=setting, parameter=name)
            axes.plot(one["truth"], one["estimate"], ".", color=COLOURS[row], label=setting)
        axes.axline((0, 0), slope=1, color="black", linewidth=0.6)
        axes.set_title(str(name).replace("_", " "), fontsize=7)
        axes.tick_params(labelsize=6)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    legend_below(figure, [panels[0]])
    figure.supxlabel("true offset from the prior, unbounded space", fontsize=8)
    figure.supylabel("estimated offset", fontsize=8)
    return figure
