"""Figures that compare strategies over sites: errors, gains, predicted against observed."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from kgml_jax.evaluation.canvas import axis_label, empty_figure, legend_below, logarithmic
from kgml_jax.evaluation.metrics import observed_days, r2, rmse
from kgml_jax.evaluation.statistics import improvement
from kgml_jax.evaluation.styles import Style, styles
from kgml_jax.evaluation.tables import DIRECTIONS, number
from kgml_jax.sites import PREDICTABLE, Sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED_SITES = 60
"""Sites beyond this number are drawn without their names."""

PANELS_A_ROW = 4


def errors_by_strategy(results: xr.Dataset) -> "Figure":
    """Draws the error of every site by strategy: known and new sites in a panel each.

    Args:
      results: with `standardised_mse`, dims (strategy, site); `known` (site,) says at which sites
        the pretrained model was trained, if it is there.
    """
    errors = results["standardised_mse"].transpose("strategy", "site")
    every = np.isfinite(errors.values).any(axis=0)
    kinds = {"sites": every}
    if "known" in results and not (known := results["known"].values == 1)[every].all():
        kinds = {"known sites": every & known, "new sites": every & ~known}
    kinds = {label: rows for label, rows in kinds.items() if rows.any()}
    names = [str(name) for name in errors["strategy"].values]
    width = 1.2 + (0.9 + 0.55 * len(names)) * len(kinds)
    figure = empty_figure(max(width, 4.5), 4.4)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    looks = styles(names)
    for axes, (label, rows) in zip(panels, kinds.items(), strict=True):
        for place, name in enumerate(names):
            _column(axes, place, errors.sel(strategy=name).values[rows], looks[name])
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_title(f"{rows.sum()} {label}", fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    logarithmic(panels[0], "y")
    # Room for the medians above the marks.
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, high * (high / low) ** 0.12)
    panels[0].set_ylabel("squared error on test days, in units\nof the training variance (1)")
    text = "marks: sites; bars, numbers: medians"
    if len(kinds) > 1:
        text += "; known: the pretrained model was trained on them"
    figure.supxlabel(text, fontsize="small")
    return figure


def _column(axes: "Axes", place: int, values: np.ndarray, style: Style) -> None:
    known = np.sort(values[np.isfinite(values)])
    # Neighbours in rank stand side by side, so that equal errors do not hide each other.
    aside = 0.22 * (np.arange(known.size) % 3 - 1)
    axes.plot(place + aside, known, **style.as_marker(4.0), alpha=0.55, zorder=2)
    if known.size:
        middle = float(np.median(known))
        bar: dict[str, Any] = {"colors": "black", "linewidth": 2.0, "zorder": 3}
        axes.hlines(middle, place - 0.38, place + 0.38, **bar)
        at: dict[str, Any] = {"ha": "center", "va": "top", "transform": axes.get_xaxis_transform()}
        axes.text(place, 0.97, number(middle), fontsize="small", **at)


def scatter(
    sites: Sites,
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    variable: str,
    selection: np.ndarray,
) -> "Figure":
    """Draws predicted against observed, a panel per strategy, days as a density.

    Args:
      sites: the sites.
      predictions: `predictions[strategy][variable]`, each `(site, time)`.
      variable: which variable; strategies without it are left out.
      selection: bool `(site, time)`, the days drawn, pooled over sites.

    Raises:
      ValueError: no strategy predicts the variable, or it is observed on none of the days.
    """
    observed = np.asarray(sites.site.targets[variable])
    days = np.asarray(sites.site.mask[variable], dtype=bool) & selection & sites.site.valid
    arms = {name: fluxes[variable] for name, fluxes in predictions.items() if variable in fluxes}
    if not arms or not days.any():
        raise ValueError(f"nothing to draw: {variable} has no prediction or no observed day")
    columns = min(len(arms), PANELS_A_ROW)
    rows = math.ceil(len(arms) / columns)
    figure = empty_figure(1.6 + 3.1 * columns, 0.6 + 3.3 * rows, layout="compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.ravel())
    pairs = [_finite_pairs(observed, predicted, days) for predicted in arms.values()]
    together = np.concatenate(pairs, axis=1)
    low, high = together.min(initial=0.0), together.max(initial=1.0)
    densities = []
    for axes, (name, predicted), pair in zip(panels, arms.items(), pairs, strict=False):
        axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
        box = (low, high, low, high)
        density = axes.hexbin(*pair, gridsize=50, mincnt=1, bins="log", extent=box, cmap="cividis")
        densities.append(density)
        skill = [number(metric(observed, predicted, days)) for metric in (r2, rmse)]
        axes.set_title(f"{name}\nall days: R² {skill[0]}, RMSE {skill[1]}", fontsize="medium")
        axes.set(aspect="equal")
    for axes in panels[len(arms) :]:
        axes.set_axis_off()
    counts = [np.asarray(density.get_array()) for density in densities]
    most = np.max(np.concatenate(counts), initial=2)
    for density in densities:
        density.set_clim(1, most)
    figure.colorbar(densities[-1], ax=panels, label="days of all sites", shrink=0.8)
    label = axis_label(variable, PREDICTABLE[variable].units)
    figure.supxlabel(f"observed {label}", fontsize="medium")
    figure.supylabel(f"predicted {label}", fontsize="medium")
    return figure


def _finite_pairs(observed: np.ndarray, predicted: np.ndarray, days: np.ndarray) -> np.ndarray:
    pair = np.stack(observed_days(observed, predicted, days))
    return pair[:, np.isfinite(pair).all(axis=0)]


def gain_per_site(
    values: xr.DataArray, reference: str, candidate: str, *, tolerance: float = 0.0
) -> "Figure":
    """Draws a metric of two strategies at every site, sorted by the gain, worse sites shaded.

    Args:
      values: one metric of one variable, dims `(strategy, site)`, with `better` and `units`; of a
        coordinate `known` (site,), sites that are not are marked as new.
      reference: strategy drawn as open markers.
      candidate: strategy drawn as filled markers.
      tolerance: change of the metric that counts as none.
    """
    old, new = (values.sel(strategy=name).values for name in (reference, candidate))
    names = _with_new_sites(values)
    both = np.isfinite(old) & np.isfinite(new)
    gains = improvement(new[both], old[both], values.attrs["better"])
    order = np.argsort(gains)
    gains, old, new, names = gains[order], old[both][order], new[both][order], names[both][order]
    named = gains.size <= MOST_NAMED_SITES
    figure = empty_figure(7.0, 2.0 + 0.2 * min(max(gains.size, 5), MOST_NAMED_SITES))
    axes = figure.add_subplot()
    size = 6.0 if named else 2.5
    looks, places = styles([reference, candidate]), np.arange(gains.size)
    axes.hlines(places, old, new, colors=looks[candidate].colour, linewidth=size / 4, zorder=2)
    for name, series in ((reference, old), (candidate, new)):
        marker = looks[name].as_marker(size, filled=name == candidate)
        axes.plot(series, places, **marker, label=name, zorder=3)
    _shade_worse(axes, gains, tolerance)
    axes.set_yticks(places if named else [], names if named else [])
    axes.set(ylim=(-1, gains.size), ylabel="sites, greatest gain on top")
    direction = DIRECTIONS[values.attrs["better"]]
    what = str(values.attrs.get("long_name", values.name))
    axes.set_xlabel(f"{axis_label(what, values.attrs['units'])}, {direction}")
    axes.set_title(_left_out(axes, np.stack([old, new]), int(np.sum(~both))), fontsize="medium")
    axes.grid(axis="x", alpha=0.3)
    legend_below(figure, [axes], columns=3)
    return figure


def _with_new_sites(values: xr.DataArray) -> np.ndarray:
    names = [str(name) for name in values["site"].values]
    known = values["known"].values == 1 if "known" in values.coords else np.ones(len(names), bool)
    if known.any():
        names = [f"{n}{'' if seen else ' (new)'}" for n, seen in zip(names, known, strict=True)]
    return np.array(names)


def _shade_worse(axes: "Axes", gains: np.ndarray, tolerance: float) -> None:
    better, worse = (gains > tolerance).sum(), (gains < -tolerance).sum()
    label = f"worse at {worse}, better at {better} of {gains.size} sites"
    axes.axhspan(-1, worse - 0.5, facecolor="#e5e5e5", edgecolor="none", label=label, zorder=0)


def _left_out(axes: "Axes", pairs: np.ndarray, failed: int) -> str:
    """Keeps a few extreme sites from squeezing the others; says which sites are not seen whole."""
    notes = [f"sites without a value, not drawn: {failed}"] if failed else []
    if pairs.size:
        low, high = np.quantile(pairs, [0.05, 0.95])
        margin = max(high - low, 1e-6)
        left = max(low - margin, pairs.min() - margin / 20)
        right = min(high + margin, pairs.max() + margin / 20)
        axes.set_xlim(left, right)
        beyond = int(np.sum(np.any((pairs < left) | (pairs > right), axis=0)))
        notes += [f"sites beyond the axis: {beyond}"] if beyond else []
    return "; ".join(notes)
