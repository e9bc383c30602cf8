"""Figures as PNG files: series, scatter, gain per site and learning curves.

Colours are those of Okabe and Ito, told apart by colour-blind readers. Nothing here keeps global
state, so figures can be drawn in threads and without a display.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from kgml_jax.evaluation.metrics import observed_days, r2, rmse
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.evaluation.statistics import improvement
from kgml_jax.evaluation.tables import DIRECTIONS, number
from kgml_jax.sites import PREDICTABLE, TEST, TRAIN, VALIDATION, Sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
IMPROVED, HARMED, UNCHANGED = "#0072B2", "#D55E00", "#7f7f7f"
SHADES = {
    TRAIN: ("training", "#ffffff"),
    VALIDATION: ("validation", "#f6e8c3"),
    TEST: ("test", "#d9e8f2"),
}
MOST_NAMED_SITES = 60
"""Sites beyond this number are drawn without their names."""


def time_series(
    path: Path,
    sites: Sites,
    predictions: Predictions,
    site_name: str,
    variable: str,
    *,
    roles: np.ndarray | None = None,
    period: tuple[str, str] | None = None,
) -> Path:
    """Draws the observed days of one site as dots and every strategy as a line.

    Args:
      path: PNG file to write; its folder is made.
      sites: the sites.
      predictions: `predictions[strategy][variable]`, each `(site, time)`.
      site_name: which site.
      variable: which variable; strategies without it are left out.
      roles: int `(site, time)`, roles of the days in the split; shaded if given.
      period: first and last day drawn, such as `("2004-01-01", "2005-12-31")`; all by default.

    Raises:
      KeyError: no such site.
      ValueError: the site has no day in the period.
    """
    site, row = sites.one(site_name), sites.names.index(site_name)
    dates = np.asarray(site.calendar.date).astype("datetime64[D]")
    shown = np.asarray(site.valid, dtype=bool)
    if period is not None:
        shown = shown & (dates >= np.datetime64(period[0])) & (dates <= np.datetime64(period[1]))
    if not shown.any():
        raise ValueError(f"nothing to draw: {site_name} has no day in {period}")
    figure = _figure(11.0, 4.2)
    axes = figure.add_subplot()
    if roles is not None:
        _shade(axes, dates[shown], np.asarray(roles)[row][shown])
    seen = shown & np.asarray(site.mask[variable], dtype=bool)
    observed = np.asarray(site.targets[variable])[seen]
    axes.plot(dates[seen], observed, ".", color="black", markersize=3, alpha=0.45, label="observed")
    arms = [(name, fluxes) for name, fluxes in predictions.items() if variable in fluxes]
    for index, (name, fluxes) in enumerate(arms):
        series = np.asarray(fluxes[variable])[row][shown]
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(dates[shown], series, color=colour, linewidth=1.3, label=name)
    axes.set(title=site_name, ylabel=_axis(variable, PREDICTABLE[variable].units))
    axes.margins(x=0)
    figure.legend(loc="outside lower center", ncols=6, frameon=False)
    return _save(figure, path)


def scatter(
    path: Path, sites: Sites, predictions: Predictions, variable: str, selection: np.ndarray
) -> Path:
    """Draws predicted against observed, a panel per strategy, days as a density.

    Args:
      path: PNG file to write; its folder is made.
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
    units = PREDICTABLE[variable].units
    figure = _figure(1.6 + 3.1 * len(arms), 3.9, layout="compressed")
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    pairs = [_finite_pairs(observed, predicted, days) for predicted in arms.values()]
    together = np.concatenate(pairs, axis=1)
    low, high = together.min(initial=0.0), together.max(initial=1.0)
    box = (low, high, low, high)
    densities = []
    for axes, (name, predicted), pair in zip(panels, arms.items(), pairs, strict=True):
        axes.axline((0, 0), slope=1, color=HARMED, linewidth=1)
        density = axes.hexbin(*pair, gridsize=50, mincnt=1, bins="log", extent=box, cmap="cividis")
        densities.append(density)
        skill = [number(metric(observed, predicted, days)) for metric in (r2, rmse)]
        axes.set_title(f"{name}\nR² {skill[0]}, RMSE {skill[1]}", fontsize="medium")
        axes.set(xlabel=f"observed {_axis(variable, units)}", aspect="equal")
    counts = [np.asarray(density.get_array()) for density in densities]
    most = np.max(np.concatenate(counts), initial=2)
    for density in densities:
        density.set_clim(1, most)
    figure.colorbar(densities[-1], ax=list(panels), label="days of all sites", shrink=0.8)
    panels[0].set_ylabel(f"predicted {_axis(variable, units)}")
    return _save(figure, path)


def _finite_pairs(observed: np.ndarray, predicted: np.ndarray, days: np.ndarray) -> np.ndarray:
    pair = np.stack(observed_days(observed, predicted, days))
    return pair[:, np.isfinite(pair).all(axis=0)]


def gain_per_site(
    path: Path, values: xr.DataArray, reference: str, candidate: str, *, tolerance: float = 0.0
) -> Path:
    """Draws a metric of two strategies at every site, sorted by the gain, harmed sites marked.

    Args:
      path: PNG file to write; its folder is made.
      values: one metric of one variable, dims `(strategy, site)`, with `better` and `units`.
      reference: strategy drawn as an open circle.
      candidate: strategy drawn as a filled circle.
      tolerance: change of the metric that counts as none.
    """
    old, new = (values.sel(strategy=name).values for name in (reference, candidate))
    names = values["site"].values.astype(str)
    both = np.isfinite(old) & np.isfinite(new)
    gains = improvement(new[both], old[both], values.attrs["better"])
    order = np.argsort(gains)
    gains, old, new, names = gains[order], old[both][order], new[both][order], names[both][order]
    named = gains.size <= MOST_NAMED_SITES
    figure = _figure(7.0, 2.0 + 0.2 * min(max(gains.size, 5), MOST_NAMED_SITES))
    axes = figure.add_subplot()
    kinds = (
        ("improved", IMPROVED, gains > tolerance),
        ("unchanged", UNCHANGED, np.abs(gains) <= tolerance),
        ("harmed", HARMED, gains < -tolerance),
    )
    for kind, colour, rows in kinds:
        label = f"{kind}: {rows.sum()} of {gains.size} sites"
        _dumbbells(axes, old, new, rows, colour=colour, label=label, size=6.0 if named else 2.5)
    hollow: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": "black"}
    axes.plot([], [], markerfacecolor="white", label=reference, **hollow)
    axes.plot([], [], label=candidate, **hollow)
    axes.set_yticks(np.arange(gains.size) if named else [], names if named else [])
    axes.set(ylim=(-1, gains.size), ylabel="sites, greatest gain on top")
    direction = DIRECTIONS[values.attrs["better"]]
    axes.set_xlabel(f"{_axis(str(values.name), values.attrs['units'])}, {direction}")
    axes.set_title(_left_out(axes, np.stack([old, new]), int(np.sum(~both))), fontsize="medium")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return _save(figure, path)


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


def _dumbbells(
    axes: "Axes",
    old: np.ndarray,
    new: np.ndarray,
    rows: np.ndarray,
    *,
    colour: str,
    label: str,
    size: float,
) -> None:
    places = np.flatnonzero(rows)
    axes.hlines(places, old[rows], new[rows], colors=colour, linewidth=size / 3, label=label)
    dots: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": colour, "markersize": size}
    axes.plot(old[rows], places, markerfacecolor="white", **dots)
    axes.plot(new[rows], places, **dots)


def learning_curves(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Draws training and validation loss by step.

    Args:
      path: PNG file to write; its folder is made.
      records: each with `step`, and `train_loss` or `validation_loss` or both: one number, or one
        per site, drawn as the median over sites with the band between the quartiles.
    """
    figure = _figure(7.0, 4.2)
    axes = figure.add_subplot()
    positive = True
    curves = (("train_loss", "training"), ("validation_loss", "validation"))
    for colour, (key, label) in zip(COLOURS, curves, strict=False):
        known = [record for record in records if record.get(key) is not None]
        if not known:
            continue
        steps = [record["step"] for record in known]
        losses = [_quartiles(record[key]) for record in known]
        low, middle, high = np.transpose(losses)
        axes.plot(steps, middle, color=colour, label=label, marker="." if len(steps) < 30 else "")
        if any(np.size(record[key]) > 1 for record in known):
            band = f"{label}, quartiles of sites"
            axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0, label=band)
        positive = positive and not np.any(low <= 0)
    axes.set(xlabel="step", ylabel="loss (1)", yscale="log" if positive else "linear")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return _save(figure, path)


def _quartiles(losses: Any) -> np.ndarray:
    values = np.atleast_1d(np.asarray(losses, dtype=float))
    finite = values[np.isfinite(values)]
    return np.quantile(finite, [0.25, 0.5, 0.75]) if finite.size else np.full(3, np.nan)


def _shade(axes: "Axes", dates: np.ndarray, roles: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(roles)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(roles)]
    # One day more than there are, so that the last span has an end.
    limits: Any = np.append(dates, dates[-1:] + np.timedelta64(1, "D"))
    named = set()
    for start, end in zip(starts, ends, strict=True):
        label, colour = SHADES.get(int(roles[start]), ("not used", "#e5e5e5"))
        # A leading underscore keeps a second span of the same role out of the legend.
        shown = f"_{label}" if label in named else f"{label} days"
        named.add(label)
        edge: dict[str, Any] = {"facecolor": colour, "edgecolor": "#bdbdbd", "linewidth": 0.5}
        axes.axvspan(limits[start], limits[end], label=shown, zorder=0, **edge)


def _axis(name: str, units: str) -> str:
    raised = re.sub(r"([A-Za-z)])\^?(-?[0-9]+)", r"\1$^{\2}$", units)
    return f"{name} ({raised})"


def _figure(width: float, height: float, layout: Any = "constrained") -> "Figure":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'kgml_jax[plot]'") from error
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
    return path
