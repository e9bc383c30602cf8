"""What comes out of the N2O experiment: tables, daily predictions and figures of the chambers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.evaluation.canvas import empty_figure, legend_below, save
from kgml_jax.evaluation.metrics import METRICS
from kgml_jax.evaluation.styles import OBSERVED, styles
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.models.nitrous_oxide import EMISSION
from kgml_jax.sites import PREDICTABLE, Sites
from studies.nitrous_oxide.plots import TARGETS

MILLIGRAMS = 1000.0
"""Milligrams in a gram: N2O is reported in mg N m-2 d-1."""

UNITS = "mg N m-2 d-1"

SCORES = ("r2", "pearson_r2", "rmse", "bias")

ByArm = Mapping[str, np.ndarray]
"""N2O by arm, g N m-2 d-1, (chamber, time)."""


def n2o_scores(chambers: Sites, predicted: np.ndarray) -> dict[str, float]:
    """Returns the scores of N2O over all measured days of all chambers, in mg N m-2 d-1."""
    observed = MILLIGRAMS * np.asarray(chambers.site.targets[EMISSION])
    mask = np.asarray(chambers.site.mask[EMISSION])
    return {name: METRICS[name].function(observed, MILLIGRAMS * predicted, mask) for name in SCORES}


def chamber_r2(chambers: Sites, predicted: np.ndarray) -> list[float]:
    """Returns R2 of N2O of each chamber."""
    rows = ([row] for row in range(len(chambers)))
    return [n2o_scores(chambers.take(row), predicted[row])["r2"] for row in rows]


def pretraining_grid(plots: Sites, predicted: ByArm) -> Grid:
    """Tabulates how well the pretrained network foresees simulated plots of unseen fields.

    Args:
      plots: of fields that neither trained nor validated.
      predicted: all outputs by name, in physical units, (plot, time).
    """
    rows = []
    for name in TARGETS:
        series = predicted[name]
        observed, mask = (np.asarray(part[name]) for part in (plots.site.targets, plots.site.mask))
        skill = [number(METRICS[kind].function(observed, series, mask)) for kind in ("r2", "rmse")]
        rows.append((name, *skill, PREDICTABLE[name].units))
    fields = len(set(plots.groups))
    title = f"Simulated plots, fields that were not trained on: {fields}; all days"
    return Grid(title, ("output", "R2", "RMSE", "units"), tuple(rows), text_columns=1)


def chamber_grid(soil: str, chambers: Sites, predicted: ByArm) -> Grid:
    """Tabulates the arms at chambers left out one by one, all measured days together."""
    measured = int(np.asarray(chambers.site.mask[EMISSION]).sum())
    title = (
        f"{len(chambers)} chambers, {soil} soil, each left out in turn: "
        f"{measured} measured days, RMSE and bias in {UNITS}"
    )
    header = ("arm", "R2", "r2 (correlation)", "RMSE", "bias", "R2 of chambers, median (range)")
    rows = []
    for name, series in predicted.items():
        found = n2o_scores(chambers, series)
        of_chambers = chamber_r2(chambers, series)
        low, middle, high = np.quantile(of_chambers, [0.0, 0.5, 1.0])
        spread = f"{number(middle)} ({number(low)} to {number(high)})"
        rows.append((name, *(number(found[kind]) for kind in SCORES), spread))
    return Grid(title, header, tuple(rows), text_columns=1)


def daily(
    soils: Sequence[str], chambers: Sequence[Sites], predicted: Sequence[ByArm]
) -> xr.Dataset:
    """Returns N2O observed and predicted, dims (soil, arm, chamber, time), mg N m-2 d-1.

    Args:
      soils: names of the set-ups.
      chambers: of each set-up, over the same days.
      predicted: of each set-up, all with the same arms.
    """
    seen = [
        np.where(one.site.mask[EMISSION], one.site.targets[EMISSION], np.nan) for one in chambers
    ]
    series = [[values for values in arms.values()] for arms in predicted]
    date = np.asarray(chambers[0].site.calendar.date)[0].astype("datetime64[D]")
    described = lambda what: {"units": UNITS, "long_name": f"nitrous oxide emission, {what}"}
    dims = ("chamber", "time")
    return xr.Dataset(
        {
            "N2O_observed": (
                ("soil", *dims),
                (MILLIGRAMS * np.array(seen)).astype(np.float32),
                described("as measured; missing where it was not"),
            ),
            "N2O_predicted": (
                ("soil", "arm", *dims),
                (MILLIGRAMS * np.array(series)).astype(np.float32),
                described("predicted by a model that did not see the chamber"),
            ),
        },
        coords={
            "soil": list(soils),
            "arm": list(predicted[0]),
            "chamber": list(chambers[0].names),
            "time": date.astype("datetime64[ns]"),
        },
    )


def draw(path: Path, results: xr.Dataset, soil: str, arms: Sequence[str]) -> Path:
    """Draws each chamber of a set-up in a panel: measured days as dots, arms as lines.

    Args:
      path: PNG file to write.
      results: as from `daily`.
      soil: name of the set-up.
      arms: those drawn.
    """
    own = results.sel(soil=soil)
    names = [str(name) for name in own["chamber"].values]
    figure = empty_figure(12.0, 1.8 * len(names) + 1.0)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    time, looks = own["time"].to_numpy(), styles(list(arms))
    for axes, name in zip(panels, names, strict=True):
        one = own.sel(chamber=name)
        for order, arm in enumerate(arms):
            series = one["N2O_predicted"].sel(arm=arm)
            # The first lines are the widest: where a later one is the same, they still show.
            width = 1.0 + 0.9 * (len(arms) - 1 - order)
            axes.plot(time, series, **looks[arm].as_line(width), label=arm)
        axes.plot(time, one["N2O_observed"], **OBSERVED, markersize=3.5, label="measured")
        axes.set_title(name, loc="left", fontsize="medium")
        axes.margins(x=0)
    figure.suptitle(f"Chambers left out in turn, {soil} soil")
    figure.supylabel(r"N$_2$O, mg N m$^{-2}$ d$^{-1}$")
    legend_below(figure, list(panels))
    return save(figure, path)
