"""Figures of the real check."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from kgml_jax.evaluation import canvas
from kgml_jax.evaluation.canvas import empty_figure
from kgml_jax.evaluation.styles import STYLES
from studies.measured_fields.management import crop_years
from studies.measured_fields.simulated import Result
from studies.real_check.tables import CROPS, FLUXES, root_respiration

CARBON, WATER = "g C m$^{-2}$ d$^{-1}$", "mm d$^{-1}$"
SMOOTHED = 7
"""Days of the running mean of a daily series."""
SIMULATED = STYLES["simulated"]
SOIL_PERIOD = (np.datetime64("2009-04-01"), np.datetime64("2011-12-31"))


def _panels(count: int, size: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    figure = empty_figure(*size)
    panels = list(np.atleast_1d(figure.subplots(count, 1, sharex=True)))
    panels[0].set_title(title)
    return figure, panels


def _label(axes: Axes, name: str) -> None:
    axes.set_ylabel(f"{name}, {WATER if name == 'ET' else CARBON}")
    axes.axhline(0.0, color="black", linewidth=0.4)
    axes.margins(x=0)


def _save(figure: Figure, panels: list[Axes], path: Path) -> Path:
    panels[0].legend(frameon=False, ncols=2)
    return canvas.save(figure, path)


def months(path: Path, pairs: xr.Dataset, site: str) -> Path:
    """Draws monthly means, observed and simulated, a panel for each flux."""
    title = f"{site}: monthly means, parameters at their priors"
    figure, panels = _panels(len(FLUXES), (10, 9), title)
    middles = pairs["month"].to_numpy() + np.timedelta64(14, "D")
    for axes, flux in zip(panels, FLUXES, strict=True):
        seen, modelled = (pairs[f"{flux}_{kind}"] for kind in ("observed", "simulated"))
        axes.plot(middles, seen, "o", color="black", markersize=3.5, label="observed")
        axes.plot(middles, modelled, **SIMULATED.as_line(), label="simulated")
        _label(axes, flux)
    return _save(figure, panels, path)


def days(path: Path, result: Result) -> Path:
    """Draws daily NEE and ET of a tower as running means; crops that are scored are shaded."""
    site, dates = result.field.history.site, result.dates
    title = f"{site}: running means of {SMOOTHED} days, parameters at priors; scored crops shaded"
    figure, panels = _panels(2, (12, 6), title)
    for axes, flux in zip(panels, ("NEE", "ET"), strict=True):
        seen, modelled = _smooth(result.field.dataset[flux]), _smooth(result.simulated[flux])
        axes.plot(dates, seen, color="black", linewidth=1, label="observed")
        axes.plot(dates, modelled, **SIMULATED.as_line(), label="simulated")
        _label(axes, flux)
        for season, _ in crop_years(result.field.history, dates):
            if not season.left_out:
                span = np.array([season.planted, season.harvested], dtype=dates.dtype)
                start, stop = date2num(np.maximum(span, dates[0]))
                axes.axvspan(start, stop, color="#d9e8d2", zorder=-1)
    return _save(figure, panels, path)


def _smooth(series: xr.DataArray) -> np.ndarray:
    return series.rolling(time=SMOOTHED, center=True, min_periods=3).mean().to_numpy()


def soil(path: Path, result: Result, observed: xr.Dataset) -> Path:
    """Draws soil respiration, heterotrophic and of roots, with the standard error of the plots."""
    title = "SoyFACE control plots: soil respiration, parameters at their priors"
    figure, panels = _panels(2, (11, 6), title)
    shown = (result.dates >= SOIL_PERIOD[0]) & (result.dates <= SOIL_PERIOD[1])
    simulated = {"Rh": result["Rh"], "Rroot": root_respiration(result)}
    for axes, (name, values) in zip(panels, simulated.items(), strict=True):
        axes.errorbar(
            observed["time"].to_numpy(),
            observed[name].to_numpy(),
            observed[f"{name}_error"].to_numpy(),
            fmt="o",
            color="black",
            markersize=3.5,
            label="observed",
        )
        axes.plot(result.dates[shown], values[shown], **SIMULATED.as_line(), label="simulated")
        _label(axes, name)
    return _save(figure, panels, path)


def county(path: Path, pairs: Mapping[int, np.ndarray]) -> Path:
    """Draws the county's yields and the simulated ones."""
    title = "Champaign county: yields, parameters at their priors"
    figure, panels = _panels(len(CROPS), (10, 6), title)
    for axes, (crop, name) in zip(panels, CROPS.items(), strict=True):
        years, seen, modelled = pairs[crop].T
        axes.plot(years, seen, "o-", color="black", label="county")
        axes.plot(years, modelled, marker="d", **SIMULATED.as_line(), label="simulated")
        axes.set_ylabel(f"{name}, Mg ha$^{{-1}}$")
        axes.set_ylim(0, 1.25 * np.max(pairs[crop][:, 1:]))
    return _save(figure, panels, path)
