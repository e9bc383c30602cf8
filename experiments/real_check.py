"""Holds the uncalibrated process model against measured fields.

Usage: `python experiments/real_check.py [--data DIR] [--out DIR]`

All parameters are at their priors. No parameter of a field is fitted; the priors were chosen with
means of some of these data in view. Compared are the towers US-Ne3 (years and months), US-CRT,
US-ARM, DE-Kli, IT-BCi (days), the soil respiration at SoyFACE and the yields of Champaign county.
What is known of the management, and what is assumed, is in `real_sites.py` and in the first table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import real_data
import real_tables
import xarray as xr
from command_line import run
from real_data import Field
from real_sites import COUNTY, MEAD, SOYFACE, TOWERS
from real_tables import Result
from reporting import can_draw, say, show, write_dataset

from kgml_jax.data.assemble import assemble
from kgml_jax.evaluation.tables import Grid, markdown
from kgml_jax.models.observables import NAMES
from kgml_jax.process import ecosystem
from kgml_jax.process.ecosystem import Fluxes, Params
from kgml_jax.records import quantities
from kgml_jax.sites import Site

OUTPUTS = {
    **NAMES,
    "LAI": "leaf_area_index",
    "grain_yield": "grain_yield",
    "plant_carbon": "plant_carbon",
    "above_ground_carbon": "above_ground_carbon",
    "soil_organic_carbon": "soil_organic_carbon",
    "soil_water_content": "soil_water_content",
}
"""Daily outputs that are kept, and the fields of `Fluxes` they are."""


@dataclass(frozen=True)
class RealCheckConfig:
    """Holds the uncalibrated process model against measured fields."""

    data: Path = field(default_factory=real_data.default_folder)
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
    monthly, yields = real_data.mead_fluxes(data), real_data.county_yields(data)
    respired = real_data.soil_respiration(data)
    fields = read_fields(data)
    results = {one.field.plan.site: one for one in simulate(fields, config.spin_up_passes)}
    mead, soyface = results[MEAD.site], results[SOYFACE.site]
    towers = [results[plan.site] for plan in TOWERS]
    years = real_tables.annual(mead, monthly)
    months = real_tables.monthly(mead, monthly, years["year"].to_numpy())
    harvests = real_tables.county_pairs([results[plan.site] for plan in COUNTY], yields)
    grids = [
        real_tables.plans(fields),
        real_tables.left_out(fields),
        real_tables.weather(fields),
        real_tables.annual_grid(years, MEAD.site),
        real_tables.contrast_grid(years, MEAD.site),
        real_tables.monthly_grid(months, MEAD.site),
        real_tables.towers_grid(towers),
        real_tables.soil_grid(real_tables.soil_pairs(soyface, respired), SOYFACE.site),
        real_tables.county_grid(harvests),
    ]
    show(grids)
    if config.out is not None:
        _write(config.out, grids, list(results.values()))
        _draw(config.out, months, towers, (soyface, respired), harvests)
        say(f"Tables, daily series and figures are in {config.out}")


def read_fields(data: Path) -> list[Field]:
    """Reads every field of the check.

    Raises:
      DataError: a file is missing or damaged; the message names it.
    """
    towers = [real_data.tower(data, plan) for plan in TOWERS]
    return [real_data.mead(data, MEAD), *towers, *real_data.champaign(data, (*COUNTY, SOYFACE))]


def simulate(fields: Sequence[Field], passes: int = 2) -> list[Result]:
    """Runs the process model with its prior parameters, all fields in one program.

    Args:
      fields: what to simulate.
      passes: times a field's record is run through before the pass that is returned, from the state
        its attributes imply.
    """
    sites = assemble([one.dataset for one in fields])
    daily = jax.tree.map(np.asarray, _simulate(sites.site, passes))
    results = []
    for row, one in enumerate(fields):
        days = one.dataset.sizes["time"]
        own = {name: ("time", values[row, :days].astype(float)) for name, values in daily.items()}
        results.append(Result(one, xr.Dataset(own, coords={"time": one.dataset["time"]})))
    return results


@partial(jax.jit, static_argnames="passes")
def _simulate(site: Site, passes: int) -> dict[str, jax.Array]:
    def one(own: Site) -> dict[str, jax.Array]:
        params = Params()  # type: ignore[call-arg]

        def day(state: ecosystem.State, drivers: tuple) -> tuple[ecosystem.State, dict]:
            forcing, counts = drivers
            after, fluxes = ecosystem.step(params, own.attributes, state, forcing)
            # A day that only pads the record leaves the state alone, so that passes join up.
            after = jax.tree.map(lambda new, old: jnp.where(counts, new, old), after, state)
            return after, {name: getattr(fluxes, source) for name, source in OUTPUTS.items()}

        # One scan through all passes, of which the last counts, compiles the day only once.
        record = jax.tree.map(lambda leaf: jnp.tile(leaf, passes + 1), (own.forcing, own.valid))
        daily = jax.lax.scan(day, ecosystem.initial_state(params, own.attributes), record)[1]
        return {name: values[-own.valid.shape[0] :] for name, values in daily.items()}

    return jax.vmap(one)(site)


def daily_series(results: Sequence[Result]) -> xr.Dataset:
    """Returns what is simulated and observed, dims (site, time), NaN outside a site's record."""
    units = {name: quantities(Fluxes)[source].units for name, source in OUTPUTS.items()}
    parts = []
    for result in results:
        seen = {name: result.field.dataset[name] for name in NAMES if name in result.field.dataset}
        seen = {f"{name}_observed": values.variable for name, values in seen.items()}
        parts.append(result.simulated.assign(seen).assign_coords(site=result.field.plan.site))
    series = xr.concat(parts, dim="site", join="outer", data_vars="all", coords="minimal")
    for name, variable in series.data_vars.items():
        variable.attrs["units"] = units[str(name).removesuffix("_observed")]
    return series.assign_attrs(parameters="priors, not calibrated").astype(np.float32)


def _write(folder: Path, grids: Sequence[Grid], results: Sequence[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "real_check.md").write_text("\n".join(map(markdown, grids)))
    write_dataset(folder / "real_check.nc", daily_series(results))


def _draw(
    folder: Path,
    months: xr.Dataset,
    towers: Sequence[Result],
    soyface: tuple[Result, xr.Dataset],
    harvests: Mapping[int, np.ndarray],
) -> None:
    if not can_draw():
        return
    import real_figures

    real_figures.months(folder / f"months_{MEAD.site}.png", months, MEAD.site)
    for one in towers:
        real_figures.days(folder / f"days_{one.field.plan.site}.png", one)
    real_figures.soil(folder / "soyface.png", *soyface)
    real_figures.county(folder / "county.png", harvests)


if __name__ == "__main__":
    run(main, RealCheckConfig)
