"""Holds the uncalibrated process model against measured fields.

Usage: `python experiments/real_check.py [--data DIR] [--out DIR]`

All parameters are at their priors. No parameter of a field is fitted; the priors were chosen with
means of some of these data in view. Compared are the towers US-Ne3 (years and months), US-CRT,
US-ARM, DE-Kli, IT-BCi (days), the soil respiration at SoyFACE and the yields of Champaign county.
What is known of the management, and what is assumed, is in `measured_fields/catalogue.py` and in
the first table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw, say, show
from kgml_jax.evaluation.tables import Grid, markdown
from kgml_jax.models.observables import NAMES
from kgml_jax.process.ecosystem import Fluxes
from kgml_jax.records import quantities
from kgml_jax.runs.files import write_dataset, write_text
from studies.measured_fields import readers
from studies.measured_fields.catalogue import COUNTY, MEAD, SOYFACE, TOWERS
from studies.measured_fields.readers import MeasuredField
from studies.measured_fields.simulated import OUTPUTS, Result, simulate, spun_up
from studies.real_check import tables


@dataclass(frozen=True)
class RealCheckConfig:
    """Holds the uncalibrated process model against measured fields."""

    data: Path = field(default_factory=readers.default_folder)
    """Folder of real data; by default `KGML_JAX_DATA`, else `../shared/data`."""
    out: Path | None = None
    """Folder for the tables, the daily series (netCDF) and the figures. None: print only."""
    spin_up_passes: int = 2
    """Passes through a site's record before the one that counts."""
    debug: bool = False
    """Show the traceback of an error."""


def main(config: RealCheckConfig) -> None:
    """Reads, simulates, compares, prints, writes."""
    data = config.data
    monthly, yields = readers.mead_fluxes(data), readers.county_yields(data)
    respired = readers.soil_respiration(data)
    fields = read_fields(data)
    results = {
        result.field.history.site: result
        for result in simulate(fields, spun_up(config.spin_up_passes))
    }
    mead, soyface = results[MEAD.site], results[SOYFACE.site]
    towers = [results[history.site] for history in TOWERS]
    years = tables.annual(mead, monthly)
    months = tables.monthly(mead, monthly, years["year"].to_numpy())
    harvests = tables.county_pairs([results[history.site] for history in COUNTY], yields)
    grids = [
        tables.histories(fields),
        tables.left_out(fields),
        tables.weather(fields),
        tables.annual_grid(years, MEAD.site),
        tables.contrast_grid(years, MEAD.site),
        tables.monthly_grid(months, MEAD.site),
        tables.towers_grid(towers),
        tables.soil_grid(tables.soil_pairs(soyface, respired), SOYFACE.site),
        tables.county_grid(harvests),
    ]
    show(grids)
    if config.out is not None:
        _write(config.out, grids, list(results.values()))
        _draw(config.out, months, towers, (soyface, respired), harvests)
        say(f"Tables, daily series and figures are in {config.out}")


def read_fields(data: Path) -> list[MeasuredField]:
    """Reads every field of the check.

    Raises:
      DataError: a file is missing or damaged; the message names it.
    """
    towers = [readers.tower(data, history) for history in TOWERS]
    return [readers.mead(data, MEAD), *towers, *readers.champaign(data, (*COUNTY, SOYFACE))]


def daily_series(results: Sequence[Result]) -> xr.Dataset:
    """Returns what is simulated and observed, dims (site, time), NaN outside a site's record."""
    units = {name: quantities(Fluxes)[source].units for name, source in OUTPUTS.items()}
    parts = []
    for result in results:
        seen = {name: result.field.dataset[name] for name in NAMES if name in result.field.dataset}
        seen = {f"{name}_observed": values.variable for name, values in seen.items()}
        parts.append(result.simulated.assign(seen).assign_coords(site=result.field.history.site))
    series = xr.concat(parts, dim="site", join="outer", data_vars="all", coords="minimal")
    for name, variable in series.data_vars.items():
        variable.attrs["units"] = units[str(name).removesuffix("_observed")]
    return series.assign_attrs(parameters="priors, not calibrated").astype(np.float32)


def _write(folder: Path, grids: Sequence[Grid], results: Sequence[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "real_check.md", "\n".join(map(markdown, grids)))
    title = "Measured fields, simulated at the priors and observed"
    write_dataset(folder / "real_check.nc", daily_series(results), title)


def _draw(
    folder: Path,
    months: xr.Dataset,
    towers: Sequence[Result],
    soyface: tuple[Result, xr.Dataset],
    harvests: Mapping[int, np.ndarray],
) -> None:
    if not can_draw():
        return
    from studies.real_check import figures

    figures.months(folder / f"months_{MEAD.site}.png", months, MEAD.site)
    for tower in towers:
        figures.days(folder / f"days_{tower.field.history.site}.png", tower)
    figures.soil(folder / "soyface.png", *soyface)
    figures.county(folder / "county.png", harvests)
