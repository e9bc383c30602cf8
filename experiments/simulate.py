"""Simulates fields day by day and writes them as CF netCDF or Zarr.

Run as `python experiments/simulate.py --out fields.nc`; `--help` lists the options.
"""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import command_line
import inputs
import numpy as np
import reporting
import rich.progress
from simulation_file import DailyFile, check_path
from simulation_inputs import Batch, Source, open_source
from simulation_outputs import FORCING, OUTPUTS, PLACE, chosen, variables
from simulation_years import NEEDED, Year, grid, of_site

from kgml_jax.data.schema import listed
from kgml_jax.evaluation.tables import terminal
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import Arrays, simulate_batches


@dataclass(frozen=True)
class SimulateConfig:
    """Simulate fields day by day: carbon, nitrogen, water and heat of soil and crop."""

    out: Path
    """File to write: netCDF (.nc) or Zarr (.zarr)."""
    data: Annotated[inputs.Data, command_line.FLAT] = field(default_factory=inputs.Data)
    parameters: Literal["prior", "truth"] | Path = "prior"
    """prior; truth (of synthetic sites); or a table, CSV or netCDF: `site` and some parameters."""
    outputs: tuple[str, ...] = ("all",)
    """Names of outputs, or groups: all, fluxes, carbon, nitrogen, water, heat, crop."""
    gpp: Literal["simulated", "prescribed"] = "simulated"
    """prescribed: photosynthesis is the tower's or the synthetic truth's (as --prescribe-gpp)."""
    spin_up_cycles: int = 2
    """Passes through the first days of the record before it starts."""
    spin_up_days: int = 730
    """Length of a pass; the default is a corn-soybean rotation."""
    site_batch: int = 64
    """Sites simulated and written at once; memory grows with it."""
    overwrite: bool = False
    """Replace the file if it exists."""
    debug: bool = False
    """Show tracebacks."""


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

    def write(self, file: DailyFile, rows: slice, batch: Batch) -> list[Year]:
        """Simulates and writes some sites, and returns the years of each."""
        values = self.simulate(rows, batch)
        warn(self.source.names[rows], batch.forcing, values)
        file.write(rows, {**{name: batch.attributes[name] for name in PLACE}, **batch.parameters})
        file.write(rows, {name: self._placed(rows, values[name]) for name in self.outputs})
        years = []
        for place, row in enumerate(range(rows.start, rows.stop)):
            days = self.source.days[row]
            own = {name: array[place, :days] for name, array in values.items()}
            record = self.source.first[row] + np.arange(days)
            years += of_site(self.source.names[row], record, own)
        return years

    def _placed(self, rows: slice, values: np.ndarray) -> np.ndarray:
        # Each record on its days of the common axis; outside of it nothing is known.
        dates, real = self.source.dates, np.issubdtype(values.dtype, np.floating)
        shape = (len(values), len(dates), *values.shape[2:])
        result = np.full(shape, np.nan if real else -1, values.dtype)
        offsets = (self.source.first[rows] - dates[0]).astype(int)
        for row, (start, days) in enumerate(zip(offsets, self.source.days[rows], strict=True)):
            result[row, start : start + days] = values[row, :days]
        return result


def main(config: SimulateConfig) -> None:
    """Simulates and writes batch after batch, then prints the years."""
    check(config)
    prescribed = config.gpp == "prescribed" or config.data.prescribe_gpp
    source = open_source(config.data, config.parameters, prescribed)
    model = ProcessModel(
        spin_up_cycles=config.spin_up_cycles,
        spin_up_days=config.spin_up_days,
        gpp="prescribed" if prescribed else "simulated",
    )
    size = min(config.site_batch, len(source.names))
    run = Run(source, model, chosen(config.outputs), size)
    command, described = shlex.join(["python", *sys.argv]), variables(run.outputs)
    started, years = time.perf_counter(), []
    with DailyFile(config.out, source.names, source.dates, described, size, command) as file:
        steps = -(-len(source.names) // size)
        batches = rich.progress.track(
            source.batches(size), "simulating", steps, console=reporting.ERR, transient=True
        )
        for rows, batch in batches:
            years += run.write(file, rows, batch)
    finish(config.out, years, time.perf_counter() - started)


def check(config: SimulateConfig) -> None:
    """Refuses options that cannot work, before anything is read or simulated.

    Raises:
      ValueError: the message names the option.
    """
    check_path(config.out, config.overwrite)
    chosen(config.outputs)
    given = {config.data.data, config.data.metadata, config.parameters}
    if config.out.resolve() in {path.resolve() for path in given if isinstance(path, Path)}:
        raise ValueError(f"--out {config.out} is what the program reads; choose another")
    if config.site_batch < 1 or config.spin_up_cycles < 0 or config.spin_up_days < 1:
        raise ValueError(
            f"--site-batch {config.site_batch} --spin-up-cycles {config.spin_up_cycles} "
            f"--spin-up-days {config.spin_up_days}; expected at least 1, 0 and 1"
        )


def warn(names: Sequence[str], forcing: Arrays, values: Arrays) -> None:
    """Says which sites have no crop, and which did not stay finite."""
    bare = (np.asarray(forcing["crop"]) < 0).all(axis=1)
    broken = ~np.isfinite(values["net_ecosystem_exchange"]).all(axis=1)
    for rows, problem in ((bare, "no crop is known: bare ground"), (broken, "not finite")):
        if rows.any():
            sites = [names[int(row)] for row in np.flatnonzero(rows)]
            reporting.warn(f"{listed(sites)}: {problem}")


def finish(out: Path, years: Sequence[Year], seconds: float) -> None:
    """Prints the years and says what was done."""
    reporting.OUT.print(terminal(grid(years)))
    lasted = sum(year.days for year in years) / 365.25
    reporting.say(
        f"Simulated {len({year.site for year in years})} sites, {lasted:.0f} site-years, in "
        f"{seconds:.0f} s ({lasted / seconds:.0f} a second with drawing, compiling and writing).\n"
        f"The days are in {out}."
    )


if __name__ == "__main__":
    command_line.run(main, SimulateConfig)
