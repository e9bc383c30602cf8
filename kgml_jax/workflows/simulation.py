"""Simulation of fields by the process model, some sites at a time, into a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from kgml_jax.errors import listed
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import Arrays, simulate_batches
from kgml_jax.runs.files import fingerprint
from kgml_jax.sites import Sites
from kgml_jax.workflows.daily_file import TITLE, DailyFile, frame
from kgml_jax.workflows.keep import Keep, compute_now
from kgml_jax.workflows.simulation_outputs import FORCING, OUTPUTS, PLACE, chosen, variables
from kgml_jax.workflows.simulation_sources import PARAMETERS, Batch, Source, measured
from kgml_jax.workflows.simulation_years import NEEDED, Year, of_site


@dataclass(frozen=True)
class Run:
    """What is simulated and what of it is written."""

    source: Source
    model: ProcessModel
    outputs: tuple[str, ...]
    size: int
    """Sites at once."""

    def simulate(self, rows: slice, batch: Batch) -> dict[str, np.ndarray]:
        """Returns what is written and tabulated, each of shape (site, time, ...)."""
        names = {*self.outputs, *NEEDED}
        asked = [name for name in OUTPUTS if name in names and name not in FORCING]
        arrays = (batch.parameters, batch.attributes, batch.forcing)
        days = self.source.days[rows] + self.source.skipped
        [(_, fluxes)] = simulate_batches(*arrays, asked, self.size, self.model, days)
        values = fluxes | {name: batch.forcing[name] for name in FORCING}
        return {name: array[:, self.source.skipped :] for name, array in values.items()}

    def write(
        self, file: DailyFile, rows: slice, batch: Batch, keep: Keep = compute_now
    ) -> "Written":
        """Simulates and writes some sites."""
        # Other weather, attributes or parameters are other sites.
        content = fingerprint(batch.parameters, batch.attributes, batch.forcing)
        name = f"{rows.start} to {rows.stop} {content}"
        values = keep(name, lambda: self.simulate(rows, batch))
        file.write(rows, {**{name: batch.attributes[name] for name in PLACE}, **batch.parameters})
        file.write(rows, {name: self.source.placed(values[name], rows) for name in self.outputs})
        years = []
        for place, row in enumerate(range(rows.start, rows.stop)):
            days = self.source.days[row]
            own = {name: array[place, :days] for name, array in values.items()}
            record = self.source.first[row] + np.arange(days)
            years += of_site(self.source.names[row], record, own)
        return Written(tuple(years), problems(self.source.names[rows], batch.forcing, values))


@dataclass(frozen=True)
class Written:
    """What was written of some sites: their years, and what is wrong with them."""

    years: tuple[Year, ...]
    problems: tuple[str, ...]


def problems(names: Sequence[str], forcing: Arrays, values: Arrays) -> tuple[str, ...]:
    """Says which sites have no crop, and which did not stay finite."""
    bare = (np.asarray(forcing["crop"]) < 0).all(axis=1)
    broken = ~np.isfinite(values["net_ecosystem_exchange"]).all(axis=1)
    kinds = ((bare, "no crop is known: bare ground"), (broken, "not finite"))
    return tuple(
        f"{listed([names[int(row)] for row in np.flatnonzero(rows)])}: {problem}"
        for rows, problem in kinds
        if rows.any()
    )


def simulate(
    sites: Sites,
    parameters: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("fluxes",),
    model: ProcessModel | None = None,
    site_batch: int = 64,
) -> xr.Dataset:
    """Simulates every site with the process model.

    Args:
      sites: with weather and management; without a crop calendar the ground is bare.
      parameters: fields of `process.Params` in physical units, each a number or (site,); those not
        named have their defaults.
      outputs: names in `simulation_outputs.OUTPUTS`, or groups of them.
      model: spin-up, and where photosynthesis comes from.
      site_batch: sites simulated at once; bounds memory.

    Returns:
      Daily values with CF attributes, dims (site, time) or (site, time, layer); NaN outside of a
      site's record.

    Raises:
      ValueError: an output or parameter has no such name.
    """
    source = measured(sites)
    names = chosen(outputs)
    if unknown := sorted(set(parameters or {}) - set(PARAMETERS)):
        raise ValueError(f"no parameter {', '.join(unknown)}; there are {', '.join(PARAMETERS)}")
    run = Run(source, model or ProcessModel(spin_up_cycles=2), names, min(site_batch, len(sites)))
    parts = []
    for rows, batch in source.batches(run.size):
        own = {
            name: np.broadcast_to(np.asarray(values, float), (len(sites),))[rows]
            for name, values in (parameters or {}).items()
        }
        values = run.simulate(rows, replace(batch, parameters=batch.parameters | own))
        parts.append({name: source.placed(values[name], rows) for name in names})
    described = variables(names)
    empty = frame(source.names, source.dates, TITLE, "kgml_jax.simulate", layered=True)
    return empty.assign(
        {
            name: (
                described[name].dims,
                np.concatenate([part[name] for part in parts]),
                dict(described[name].attributes),
            )
            for name in names
        }
    )
