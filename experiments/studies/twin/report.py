"""Tables and figures of the twin experiment."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw, publish, say
from kgml_jax.evaluation.recovery import misjudged, recovery, recovery_where_identified
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.runs.files import write_dataset

Results = Mapping[tuple[str, str], xr.Dataset]
"""Outcome of every cell by setting and stream."""

EXACT, NOISY = "noise-free", "noisy"
"""Settings: without observation error, and with errors drawn as large as is stated."""

LEAST_R = {EXACT: 0.9, NOISY: 0.7}
"""Correlation with the truth that a parameter declared identified must reach, by setting."""

COVERED = (0.85, 0.95)
"""Share of the truth that 90 % intervals must hold."""

LEAST_SITES = 10
"""Sites that must declare a parameter for a correlation over them alone."""


def write(folder: Path, results: Results) -> None:
    """Writes `twin.nc`, `tables.md` and figures, and prints the tables."""
    joined = join(results)
    write_dataset(folder / "twin.nc", joined, "Parameters of twins, true and estimated")
    grids = [recovery_grid(joined, setting) for setting in joined["setting"].values]
    grids.append(summary_grid(joined))
    publish(folder, grids)
    written = ["twin.nc", "tables.md", "cells/"]
    if can_draw():
        from studies.twin import figures

        figures.draw(folder / "figures", joined)
        written.insert(2, "figures/")
    say(f"Everything is in {folder}: {', '.join(written)}.")


def join(results: Results) -> xr.Dataset:
    """Returns all cells with their recovery, dims (setting, stream, site, parameter)."""
    settings = list(dict.fromkeys(setting for setting, _ in results))
    streams = list(dict.fromkeys(stream for _, stream in results))
    rows = [
        xr.concat([_judged(results[setting, stream], setting) for stream in streams], "stream")
        for setting in settings
    ]
    joined = xr.concat(rows, "setting")
    return joined.assign_coords(setting=settings, stream=streams)


def _judged(cell: xr.Dataset, setting: str) -> xr.Dataset:
    found = recovery(cell["truth"], cell["estimate"], cell["sd"])
    wrong = misjudged(found, cell["identified"], LEAST_R[setting])
    kept = {
        "seconds": cell.attrs["seconds"],
        "spread_of_starts": cell.get("spread_of_starts", np.nan * cell["truth"]),
        "misjudged": wrong,
        "r_identified": recovery_where_identified(
            cell["truth"], cell["estimate"], cell["identified"], LEAST_SITES
        ),
    }
    return xr.merge([cell, found]).assign(kept).drop_attrs()


def recovery_grid(joined: xr.Dataset, setting: str) -> Grid:
    """Tabulates the correlation with the truth, over all sites and over those that identify it."""
    own = joined.sel(setting=setting)
    rows = []
    for name in own["parameter"].values:
        column = own.sel(parameter=name)
        rows.append((str(name), *(_cell(column.sel(stream=s)) for s in own["stream"].values)))
    title = (
        f"Recovery, {setting}: correlation r of estimate with truth over sites; in brackets the "
        "share of sites that declare the parameter identified, and r over these sites alone where "
        f"they are {LEAST_SITES} or more; bold: declared at half of the sites or more, "
        f"!: declared so and r over all sites below {LEAST_R[setting]}"
    )
    return Grid(title, ("parameter", *map(str, own["stream"].values)), tuple(rows), 1)


def _cell(one: xr.Dataset) -> str:
    share = float(one["identified"].mean())
    text = f"{number(float(one['r']))} ({share:.0%}, {number(float(one['r_identified']))})"
    mark = "!" if bool(one["misjudged"]) else ""
    return f"**{text}**{mark}" if share >= 0.5 else text


def summary_grid(joined: xr.Dataset) -> Grid:
    """Tabulates every cell: what was identified, coverage, conditioning, effort."""
    rows = [
        _summary(joined.sel(setting=setting, stream=stream))
        for setting in joined["setting"].values
        for stream in joined["stream"].values
    ]
    title = (
        "Streams: parameters declared identified at half of the sites or more, and of these not "
        f"recovered; coverage of 90 % intervals of all parameters (wanted {COVERED[0]:.0%} to "
        f"{COVERED[1]:.0%}; none where data are noise-free, as the stated errors were never "
        "drawn); medians over sites"
    )
    columns = (
        "setting",
        "stream",
        "identified",
        "not recovered",
        "coverage",
        "degrees of freedom",
        "condition number",
        "sd(Ra - Rh) / sd(Ra + Rh)",
        "of the prior",
        "spread of starts / prior sd",
        "error, prior",
        "error",
        "converged",
        "simulations a site",
        "s",
    )
    return Grid(title, columns, tuple(rows), 2)


def _summary(cell: xr.Dataset) -> tuple[str, ...]:
    declared = cell["identified"].mean("site") >= 0.5
    median = lambda name: number(float(cell[name].median()))
    return (
        str(cell["setting"].item()),
        str(cell["stream"].item()),
        str(int(declared.sum())),
        str(int(cell["misjudged"].sum())),
        f"{float(cell['coverage'].mean()):.0%}" if cell["setting"].item() == NOISY else "-",
        median("degrees_of_freedom"),
        f"{float(cell['condition_number'].median()):.1e}",
        median("respiration_trade_off"),
        median("prior_respiration_trade_off"),
        median("spread_of_starts"),
        median("prior_error"),
        median("error"),
        f"{float(cell['converged'].mean()):.0%}",
        f"{np.mean(cell['evaluations'].values):.0f}",
        f"{float(cell['seconds']):.0f}",
    )
