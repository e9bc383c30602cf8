"""The command `simulate`: fields day by day, as CF netCDF or Zarr."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import rich.progress

from kgml_jax.cli import command, console, notes
from kgml_jax.data import choices
from kgml_jax.evaluation.tables import terminal
from kgml_jax.models.process import ProcessModel
from kgml_jax.runs import files, provenance
from kgml_jax.runs.resume import file_progress
from kgml_jax.workflows.daily_file import DailyFile, check_path
from kgml_jax.workflows.keep import Keep
from kgml_jax.workflows.simulation import Run
from kgml_jax.workflows.simulation_outputs import chosen, variables
from kgml_jax.workflows.simulation_sources import open_source
from kgml_jax.workflows.simulation_years import Year, grid
from kgml_jax.workflows.sites import input_files


@dataclass(frozen=True)
class SimulateConfig:
    """Simulate fields day by day: carbon, nitrogen, water and heat of soil and crop."""

    out: Path
    """File to write: netCDF (.nc) or Zarr (.zarr)."""
    data: Annotated[choices.DataChoice, command.FLAT] = field(default_factory=choices.DataChoice)
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


def main(config: SimulateConfig) -> None:
    """Simulates and writes batch after batch, then prints the years."""
    check(config)
    prescribed = config.gpp == "prescribed" or config.data.prescribe_gpp
    source = open_source(config.data, config.parameters, prescribed)
    notes.tell(source.notes)
    model = ProcessModel(
        spin_up_cycles=config.spin_up_cycles,
        spin_up_days=config.spin_up_days,
        gpp="prescribed" if prescribed else "simulated",
    )
    size = min(config.site_batch, len(source.names))
    run = Run(source, model, chosen(config.outputs), size)
    described, about = variables(run.outputs), provenance.attributes(made(config))
    started = time.perf_counter()
    with (
        file_progress(config.out, config, console.note) as kept,
        DailyFile(config.out, source.names, source.dates, described, size, about) as file,
    ):
        years = write_all(run, file, kept.piece)
    finish(config.out, years, time.perf_counter() - started)


def write_all(run: Run, file: DailyFile, keep: Keep) -> list[Year]:
    """Simulates and writes all sites, some at a time, and returns their years."""
    names, years = run.source.names, []
    batches = rich.progress.track(
        run.source.batches(run.size),
        "simulating",
        -(-len(names) // run.size),
        console=console.ERR,
        transient=True,
    )
    for rows, batch in batches:
        written = run.write(file, rows, batch, keep)
        years += written.years
        for problem in written.problems:
            console.warn(problem)
    return years


def made(config: SimulateConfig) -> dict[str, Any]:
    """Returns the provenance of the file: there is no run directory that would hold it."""
    found = provenance.gathered(files.plain(config), ("out", "overwrite", "debug"))
    read_from = input_files(config.data)
    read_from += [config.parameters] if isinstance(config.parameters, Path) else []
    return found | {"data": {"files": provenance.of_files(read_from)}}


def check(config: SimulateConfig) -> None:
    """Refuses options that cannot work, before anything is read or simulated.

    Raises:
      ValueError: the message names the option.
    """
    check_path(config.out, config.overwrite)
    chosen(config.outputs)
    given = {config.data.data, config.data.metadata, config.data.management, config.parameters}
    if config.out.resolve() in {path.resolve() for path in given if isinstance(path, Path)}:
        raise ValueError(f"--out {config.out} is what the program reads; choose another")
    if config.site_batch < 1 or config.spin_up_cycles < 0 or config.spin_up_days < 1:
        raise ValueError(
            f"--site-batch {config.site_batch} --spin-up-cycles {config.spin_up_cycles} "
            f"--spin-up-days {config.spin_up_days}; expected at least 1, 0 and 1"
        )


def finish(out: Path, years: Sequence[Year], seconds: float) -> None:
    """Prints the years and says what was done."""
    console.OUT.print(terminal(grid(years)))
    lasted = sum(year.days for year in years) / 365.25
    console.say(
        f"Simulated {len({year.site for year in years})} sites, {lasted:.0f} site-years, in "
        f"{seconds:.0f} s ({lasted / seconds:.0f} a second with drawing, compiling and writing).\n"
        f"The days are in {out}."
    )
