"""Measured fields as the process model simulates them at its priors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from kgml_jax.data.assemble import assemble
from kgml_jax.models.observables import NAMES
from kgml_jax.process import ecosystem
from kgml_jax.process.ecosystem import Params
from kgml_jax.sites import Site
from studies.measured_fields.management import Season
from studies.measured_fields.readers import Field

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


LEAST_QUALITY = 0.5
"""Mean share of a year's NEE measured or filled well, below which the year is left out."""


@dataclass(frozen=True)
class Result:
    """One field and what the process model says of it, by name of the output, dim `time`."""

    field: Field
    simulated: xr.Dataset

    @property
    def dates(self) -> np.ndarray:
        """The days, datetime64[D]."""
        return self.simulated["time"].to_numpy().astype("datetime64[D]")

    @property
    def years(self) -> np.ndarray:
        """The calendar year of each day."""
        return self.dates.astype("datetime64[Y]").astype(int) + 1970

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns a simulated output, shape (time,)."""
        return self.simulated[name].to_numpy()

    def grain(self, season: Season) -> float:
        """Returns the grain of a season, Mg ha-1 at market moisture."""
        return float(self["grain_yield"][self.dates == np.datetime64(season.harvested)].sum())


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
