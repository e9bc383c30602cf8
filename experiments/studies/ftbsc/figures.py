"""Figures of the FTBSC experiment."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kgml_jax.evaluation.canvas import empty_figure, legend_below, save
from kgml_jax.evaluation.claims import POOLED, interval_of
from kgml_jax.evaluation.styles import COLOURS, STYLES, Style
from kgml_jax.evaluation.tables import number
from studies.ftbsc.results import Results, own_models, pooled_model
from studies.ftbsc.settings import Setting, scratch_of

ERROR = "squared error, standardised (1)"
SHOWN_PROBES = ("air_temperature_max", "precipitation", "prescribed_gpp", "soil_organic_carbon")
"""Inputs whose responses are drawn, if the models read them."""


def draw(folder: Path, results: Results, arm: Setting) -> None:
    """Draws the arms, the cross-state table, the sweeps and the responses."""
    save(arms(results, arm), folder / "arms.png")
    save(cross_state(results), folder / "cross_state.png")
    save(sweeps(results), folder / "sweeps.png")
    save(response_curves(results, arm), folder / "responses.png")


def arms(results: Results, arm: Setting) -> Figure:
    """Returns the errors of the three arms by state: seeds as dots, means with intervals."""
    pairs = results.compared(arm)
    figure = empty_figure(1.5 + 4.5 * len(pairs), 4.2)
    panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for axes, (continued, ours) in zip(panels, pairs, strict=True):
        table = results.errors(continued)
        three = {
            "global": pooled_model(table),
            "independent": own_models(table),
            "calibrated": own_models(results.errors(ours)),
        }
        for row, (name, errors) in enumerate(three.items()):
            _dots(axes, errors, 0.22 * (row - 1), STYLES[name], name)
        axes.set_xticks(range(len(results.states)), results.states)
        axes.set(title=f"counts: {continued.counts}")
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel(ERROR)
    panels[0].set_ylim(bottom=0)
    legend_below(figure, [panels[0]])
    return figure


def _dots(axes: Axes, errors: xr.DataArray, shift: float, style: Style, name: str) -> None:
    for place, state in enumerate(errors["state"].values):
        values = errors.sel(state=state).values
        here = place + shift
        axes.plot(np.full(len(values), here), values, **style.as_marker(3.0), alpha=0.35)
        one, colour = interval_of(values), style.colour
        axes.plot(here, one.mean, "_", color=colour, markersize=16, markeredgewidth=2.5, label=name)
        if np.isfinite(one.high):
            axes.vlines(here, one.low, one.high, color=colour, linewidth=1.2)


def cross_state(results: Results) -> Figure:
    """Returns the train-by-test table of the independent models as colours."""
    table = results.errors(results.design.continued).mean("seed")
    rows = [*results.states, POOLED]
    values = table.sel(train=rows, state=results.states).values
    figure = empty_figure(5.2, 4.2)
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="cividis_r")
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > middle else "black"
        axes.text(column, row, number(value), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(results.states)), results.states)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="tested in", ylabel="trained on", title="independent models, mean over seeds")
    figure.colorbar(image, ax=axes, label=ERROR)
    return figure


def sweeps(results: Results) -> Figure:
    """Returns test and validation errors over mu, rho and lambda."""
    design = results.design
    reference = design.reference
    swept = {
        "mu": [(one.knobs.mu, one) for one in design.sweep if one.knobs.rho == reference.knobs.rho],
        "rho": [(one.knobs.rho, one) for one in design.sweep if one.knobs.mu == reference.knobs.mu],
        "lambda": [(s.knowledge, s) for name, s in design.knowledge.items() if name != "hard"],
    }
    figure = empty_figure(11.0, 3.8)
    panels = figure.subplots(1, len(swept), sharey=True)
    for axes, (name, points) in zip(panels, swept.items(), strict=True):
        _sweep(axes, results, sorted(points, key=lambda point: point[0]))
        axes.set(xlabel=name)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(ERROR)
    legend_below(figure, [panels[0]])
    return figure


def _sweep(axes: Axes, results: Results, points: list[tuple[float, Setting]]) -> None:
    places = range(len(points))
    errors = [own_models(results.errors(one)).mean("state").values for _, one in points]
    spans = [interval_of(values) for values in errors]
    validation = [results.validation(one) for _, one in points]
    axes.plot(places, [one.mean for one in spans], "o-", color=COLOURS[0], label="test years")
    known = [one for one in spans if np.isfinite(one.high)]
    if len(known) == len(spans):
        low, high = [one.low for one in spans], [one.high for one in spans]
        axes.fill_between(places, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(places, validation, "s--", color=COLOURS[1], label="validation year")
    axes.set_xticks(places, [f"{value:g}" for value, _ in points])


def response_curves(results: Results, arm: Setting) -> Figure:
    """Returns responses of Ra and Rh of every state before and after calibration, first seed."""
    start = scratch_of(arm, results.design.scratch)
    before, after = (results.of(one)["response"].isel(seed=0) for one in (start, arm))
    known = [name for name in SHOWN_PROBES if name in before["probe"].values]
    fluxes = before["flux"].values
    figure = empty_figure(1 + 2.7 * len(known), 1 + 2.4 * len(fluxes))
    panels = figure.subplots(len(fluxes), len(known), squeeze=False, sharey="row")
    for (row, column), axes in np.ndenumerate(panels):
        for place, state in enumerate(results.states):
            one = {"state": state, "probe": known[column], "flux": fluxes[row]}
            colour = COLOURS[place]
            axes.plot(before.sel(one), "--", color=colour, label=f"{state}, before")
            axes.plot(after.sel(one), "-", color=colour, label=f"{state}, calibrated")
        axes.set_xticks([])
        axes.grid(alpha=0.3)
        if row == len(fluxes) - 1:
            axes.set_xlabel(f"{known[column].replace('_', ' ')},\nlow to high")
    for row, flux in enumerate(fluxes):
        panels[row, 0].set_ylabel(f"{flux} (g C m$^{{-2}}$ d$^{{-1}}$)")
    legend_below(figure, [panels[0, 0]])
    return figure
