"""Figures of one site and of one descent: days year by year, and learning curves.

Those that compare strategies over sites are in `comparison_figures`. Every function returns the
figure; `canvas.save` writes it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from kgml_jax.evaluation.canvas import axis_label, empty_figure, legend_below, logarithmic
from kgml_jax.evaluation.styles import NOT_USED, OBSERVED, SHADES, Style, styles
from kgml_jax.sites import PREDICTABLE, Sites
from kgml_jax.split import DividedSites

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Predicted = Mapping[str, np.ndarray] | xr.Dataset
"""Daily values by variable, each (site, time), of a data set on its coordinate time. NAME_lower and
NAME_upper, or NAME_sd, are the interval of NAME."""

SMOOTHING = 15
"""Days of the running mean of predicted lines."""

NINETY_PERCENT = 1.645
"""Half-width of a central 90 % interval of a Gaussian, in standard deviations."""

MONTHS = "JFMAMJJASOND"


@dataclass(frozen=True)
class _Line:
    # One predicted series of one site, (time,), NaN where nothing is known.
    name: str
    style: Style
    value: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None


def time_series(
    sites: Sites | DividedSites,
    predictions: Mapping[str, Predicted],
    site_name: str,
    variable: str,
    *,
    period: tuple[str, str] | None = None,
    smoothing: int = SMOOTHING,
) -> "Figure":
    """Draws one site year by year: observed days as dots, every strategy as a line.

    Args:
      sites: the sites; with their split, the roles of the days are shaded.
      predictions: by strategy; those without the variable are left out. Intervals are drawn where
        they are known, see `Predicted`.
      site_name: which site.
      variable: which variable.
      period: first and last day drawn, such as `("2004-01-01", "2005-12-31")`; all by default.
      smoothing: days of the centred running mean of lines and intervals; 1 draws single days.

    Raises:
      KeyError: no such site.
      ValueError: the site has no day in the period.
    """
    every, roles = (sites.sites, sites.roles) if isinstance(sites, DividedSites) else (sites, None)
    site, row = every.one(site_name), every.names.index(site_name)
    dates = np.asarray(site.calendar.date).astype("datetime64[D]")
    shown = np.asarray(site.valid, dtype=bool)
    if period is not None:
        shown = shown & (dates >= np.datetime64(period[0])) & (dates <= np.datetime64(period[1]))
    if not shown.any():
        raise ValueError(f"nothing to draw: {site_name} has no day in {period}")
    lines = _lines(predictions, variable, site_name, row, np.where(shown, dates, dates[shown][0]))
    lines = [_smoothed(line, shown, smoothing) for line in lines]
    seen = shown & np.asarray(site.mask.get(variable, np.zeros_like(shown)), dtype=bool)
    calendar = site.calendar
    years = np.unique(np.asarray(calendar.year)[shown])
    figure, panels = _panels(len(years))
    for axes, year in zip(panels, years, strict=False):
        own = shown & (np.asarray(calendar.year) == year)
        place = np.asarray(calendar.day_of_year)
        if roles is not None:
            _shade(axes, place[own], np.asarray(roles)[row][own])
        for order, line in enumerate(lines, start=1):
            # The first are the widest: where a later one is the same, they still show.
            _draw_line(axes, place[own], line, own, 1.2 + 0.6 * (len(lines) - order))
        dots = own & seen
        axes.plot(
            place[dots],
            np.asarray(site.targets[variable])[dots] if dots.any() else [],
            **OBSERVED,
            markersize=2.5,
            alpha=0.55,
            label="observed days",
            zorder=2,
        )
        _months(axes, str(year), place[own])
    smooth = f"; lines: running means of {smoothing} days" if smoothing > 1 and lines else ""
    figure.suptitle(f"{site_name}, {variable}{smooth}", fontsize="large")
    figure.supylabel(axis_label(variable, PREDICTABLE[variable].units), fontsize="medium")
    legend_below(figure, panels[: len(years)])
    return figure


def _lines(
    predictions: Mapping[str, Predicted], variable: str, site: str, row: int, dates: np.ndarray
) -> list[_Line]:
    def known(fluxes: Predicted, name: str) -> np.ndarray | None:
        if name not in fluxes:
            return None
        if isinstance(fluxes, xr.Dataset):
            own = fluxes[name].sel(site=site)
            own = own.reindex(time=np.unique(dates)).sel(time=dates.astype("datetime64[ns]"))
            return own.values.astype(float)
        return np.asarray(fluxes[name])[row].astype(float)

    drawn = {name: fluxes for name, fluxes in predictions.items() if variable in fluxes}
    looks, lines = styles(list(drawn)), []
    for name, fluxes in drawn.items():
        value = known(fluxes, variable)
        assert value is not None
        lower, upper = (known(fluxes, f"{variable}_{end}") for end in ("lower", "upper"))
        sd = known(fluxes, f"{variable}_sd")
        if lower is None and sd is not None:
            lower, upper = value - NINETY_PERCENT * sd, value + NINETY_PERCENT * sd
        lines.append(_Line(name, looks[name], value, lower, upper))
    return lines


def _smoothed(line: _Line, shown: np.ndarray, days: int) -> _Line:
    mean = lambda values: None if values is None else _running_mean(values, shown, days)
    return replace(line, value=mean(line.value), lower=mean(line.lower), upper=mean(line.upper))


def _running_mean(values: np.ndarray, shown: np.ndarray, days: int) -> np.ndarray:
    # Centred, over the days of the window that are known; NaN on days that are not.
    known = shown & np.isfinite(values)
    weights = np.ones(min(days, values.size))
    total, count = (
        np.convolve(part, weights, mode="same") for part in (np.where(known, values, 0.0), known)
    )
    return np.where(known, total / np.maximum(count, 1), np.nan)


def _panels(years: int) -> tuple["Figure", list["Axes"]]:
    columns = 1 if years == 1 else 2
    rows = math.ceil(years / columns)
    figure = empty_figure(11.0, 4.2 if years == 1 else 1.3 + 1.6 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    panels = list(grid.ravel())
    for axes in panels[years:]:
        axes.set_axis_off()
    return figure, panels


def _draw_line(axes: "Axes", place: np.ndarray, line: _Line, own: np.ndarray, width: float) -> None:
    if line.lower is not None and line.upper is not None:
        band = {"color": line.style.colour, "alpha": 0.2, "linewidth": 0.0, "zorder": 1}
        label = f"{line.name}, 90 % interval of a day"
        axes.fill_between(place, line.lower[own], line.upper[own], label=label, **band)
    axes.plot(place, line.value[own], **line.style.as_line(width), label=line.name, zorder=3)


def _months(axes: "Axes", year: str, place: np.ndarray) -> None:
    starts = np.arange(f"{year}-01", f"{int(year) + 1}-01", dtype="datetime64[M]")
    days = (starts.astype("datetime64[D]") - starts[0].astype("datetime64[D]")).astype(int) + 1
    axes.set_xticks(days, [])
    axes.set_xticks(days + 15, list(MONTHS), minor=True)
    axes.tick_params(axis="x", which="minor", length=0, pad=1)
    whole = place.size > 180
    axes.set_xlim(*((1, 367) if whole else (place.min(), place.max() + 1)))
    axes.axhline(0.0, color="black", linewidth=0.4, zorder=1)
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1.5}
    at: dict[str, Any] = {"ha": "left", "va": "top", "transform": axes.transAxes}
    axes.text(0.01, 0.96, year, fontweight="bold", bbox=box, zorder=4, **at)


def _shade(axes: "Axes", place: np.ndarray, roles: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(roles)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(roles)] - 1
    for start, end in zip(starts, ends, strict=True):
        label, colour = SHADES.get(int(roles[start]), NOT_USED)
        edge: dict[str, Any] = {"facecolor": colour, "edgecolor": "#bdbdbd", "linewidth": 0.5}
        axes.axvspan(int(place[start]), int(place[end]) + 1, label=label, zorder=0, **edge)


def learning_curves(records: Sequence[Mapping[str, Any]], name: str = "pretrained") -> "Figure":
    """Draws training and validation loss by step.

    Args:
      records: each with `step`, and `train_loss` or `validation_loss` or both: one number, or one
        per site, drawn as the median over sites with the band between the quartiles.
      name: of what descends; decides the colour.
    """
    figure = empty_figure(7.0, 4.2)
    axes = figure.add_subplot()
    positive = True
    colour = styles([name])[name].colour
    for key, label, line in (
        ("train_loss", "training", ":"),
        ("validation_loss", "validation", "-"),
    ):
        known = [record for record in records if record.get(key) is not None]
        if not known:
            continue
        steps = [record["step"] for record in known]
        low, middle, high = np.transpose([_quartiles(record[key]) for record in known])
        marker = "." if len(steps) < 30 else ""
        axes.plot(steps, middle, line, color=colour, label=label, marker=marker)
        if any(np.size(record[key]) > 1 for record in known):
            band = f"{label}, quartiles of sites"
            shade = 0.25 if line == "-" else 0.1
            axes.fill_between(steps, low, high, color=colour, alpha=shade, linewidth=0, label=band)
        positive = positive and not np.any(low <= 0)
    axes.set(xlabel="step", ylabel="loss (1)", title=name)
    if positive:
        logarithmic(axes, "y")
    axes.grid(alpha=0.3)
    legend_below(figure, [axes], columns=2)
    return figure


def _quartiles(losses: Any) -> np.ndarray:
    values = np.atleast_1d(np.asarray(losses, dtype=float))
    finite = values[np.isfinite(values)]
    return np.quantile(finite, [0.25, 0.5, 0.75]) if finite.size else np.full(3, np.nan)
