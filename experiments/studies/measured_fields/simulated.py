"""Measured fields as the process model simulates them at its priors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from kgml_jax.data.assemble import assemble
from kgml_jax.models.observables import NAMES
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import Simulator, priors, simulate_batches
from studies.measured_fields.management import Season
from studies.measured_fields.readers import MeasuredField

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

LONGEST_RECORD = 366 * 100
"""Days; a pass of the spin-up through so many is one through the whole record."""


@dataclass(frozen=True)
class Result:
    """One field and what the process model says of it, by name of the output, dim `time`."""

    field: MeasuredField
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


def spun_up(passes: int = 2) -> ProcessModel:
    """Returns the process model that runs through a field's record before the pass that counts.

    Args:
      passes: times, from the state that the field's attributes imply.
    """
    return ProcessModel(spin_up_cycles=passes, spin_up_days=LONGEST_RECORD)


SPUN_UP = spun_up()


def simulate(fields: Sequence[MeasuredField], model: Simulator = SPUN_UP) -> list[Result]:
    """Simulates fields with the prior parameters, all in one program.

    Args:
      fields: what to simulate.
      model: the process model with its spin-up.
    """
    sites = assemble([field.dataset for field in fields])
    lengths = np.asarray(sites.site.valid).sum(axis=1)
    batches = simulate_batches(
        priors(len(fields)),
        vars(sites.site.attributes),
        vars(sites.site.forcing),
        tuple(OUTPUTS.values()),
        len(fields),
        model,
        lengths,
    )
    [(_, daily)] = batches
    results = []
    for row, (field, days) in enumerate(zip(fields, lengths, strict=True)):
        outputs = {
            name: ("time", daily[flux][row, :days].astype(float)) for name, flux in OUTPUTS.items()
        }
        simulated = xr.Dataset(outputs, coords={"time": field.dataset["time"]})
        results.append(Result(field, simulated))
    return results
