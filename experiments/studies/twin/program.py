"""Can the parameters be found again? Run as `python experiments/twin.py --help`.

Every site is a twin of a field whose true parameters are known: drawn from the prior, simulated,
observed as a tower would, and estimated from one stream of data after the other.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import jax
import numpy as np
import xarray as xr

from kgml_jax.cli.console import say
from kgml_jax.inversion.diagnosis import Diagnosis, diagnose
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.sites import Estimates, estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.runs import directory
from kgml_jax.runs.files import write_dataset
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from studies.twin import report
from studies.twin.world import MODEL, OBSERVED_AS, Twins, make_twins, observe

STREAMS = {
    "NEE": ("NEE",),
    "NEE, ET": ("NEE", "ET"),
    "+ Reco": ("NEE", "ET", "Reco"),
    "+ yield": ("NEE", "ET", "Reco", "yield"),
    "+ soil respiration": ("NEE", "ET", "Reco", "yield", "Rh"),
    "+ soil carbon": ("NEE", "ET", "Reco", "yield", "Rh", "soil_carbon_stock"),
}
"""What informs, one stream more in every row. Soil respiration is that of trenched plots."""


@dataclass(frozen=True)
class TwinConfig:
    """Estimate known parameters of every site, from one stream of observations after the other."""

    run: Path = Path("runs/twin")
    """Folder for everything this run writes; a run that was stopped goes on in it."""
    quick: bool = False
    """Fewer sites, years, streams and starts, for a look; sizes given otherwise are kept."""
    sites: int = 50
    """Number of twins."""
    years: int = 2
    """Years that are observed."""
    unobserved_years: int = 1
    """Years simulated before them, in which litter and soil water find their balance."""
    noise_free_starts: int = 5
    """Searches a site where data are noise-free: what is asked there is what the data tell, not
    where a search stops."""
    starts: int = 10
    """Searches at some sites with all streams, noisy; all other noisy ones begin at the prior."""
    start_sites: int = 10
    """Number of these sites."""
    iterations: int = 20
    """Most passes of a search."""
    parameters: tuple[str, ...] = DEFAULT_SUBSET
    """Parameters whose truth is drawn and which are estimated."""
    seed: int = 0
    """Seed of fields, truth, errors, gaps and starts."""
    site_batch: int = 16
    """Sites a device advances at once; bounds memory. Results with another number, or with other
    devices, are equal within 1e-5 of the largest value (single precision)."""
    overwrite: bool = False
    """Begin anew where `run` holds a run of another configuration."""
    debug: bool = False
    """Show tracebacks."""


QUICK = {
    "sites": 8,
    "years": 2,
    "noise_free_starts": 2,
    "starts": 3,
    "start_sites": 2,
    "iterations": 10,
}
"""What `quick` makes of the options that are left at their defaults."""

QUICK_STREAMS = ("NEE", "+ soil carbon")


def resolved(config: TwinConfig) -> TwinConfig:
    """Returns the configuration with the sizes of `quick` where none other was chosen.

    Raises:
      ValueError: a size is too small.
    """
    if config.quick:
        defaults = {field.name: field.default for field in fields(TwinConfig)}
        left = {name for name in QUICK if getattr(config, name) == defaults[name]}
        config = replace(config, **{name: QUICK[name] for name in left})
    for name in (*QUICK, "site_batch"):
        if getattr(config, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(config, name)}; expected >= 1")
    return config


def cells(config: TwinConfig) -> Iterator[tuple[str, str]]:
    """Yields setting and stream of everything that is estimated."""
    names = QUICK_STREAMS if config.quick else tuple(STREAMS)
    for setting in (report.EXACT, report.NOISY):
        for name in names:
            yield setting, name


def problem_of(config: TwinConfig) -> Problem:
    """Returns what is estimated: of one shape for all streams, which differ in what is masked."""
    return Problem(
        model=MODEL,
        names=config.parameters,
        prior_sd=default_prior_sd(config.parameters),
        streams=tuple(Stream(variable) for variable in OBSERVED_AS),
    )


def informed(sites: Sites, variables: tuple[str, ...]) -> Sites:
    """Returns the sites with nothing observed but `variables`."""
    mask = sites.site.mask
    kept = {name: seen if name in variables else np.zeros_like(seen) for name, seen in mask.items()}
    return replace(sites, site=sites.site.replace(mask=kept))  # type: ignore[attr-defined]


def run_cell(config: TwinConfig, twins: Twins, setting: str, stream: str) -> xr.Dataset:
    """Estimates all sites from one stream and returns what came out, dims site and parameter."""
    problem, weights = problem_of(config), MODEL.init(jax.random.key(0))
    noisy = setting == report.NOISY
    data = DividedSites.undivided(informed(observe(twins, noisy, config.seed), STREAMS[stream]))
    began = time.perf_counter()
    found = search(config, problem, data, 1 if noisy else config.noise_free_starts)
    seconds = time.perf_counter() - began
    known = diagnose(
        problem, weights, data, found.base, found.offsets, site_batch=config.site_batch
    )
    cell = describe(config, twins, found, known).assign_attrs(seconds=seconds)
    searches = found
    if config.starts > 1 and (setting, stream) == tuple(cells(config))[-1]:
        some = data.take(list(range(min(config.start_sites, config.sites))))
        searches = search(config, problem, some, config.starts)
    if searches.starts.shape[1] > 1:
        cell["spread_of_starts"] = spread_of_starts(searches)
    return cell


def search(config: TwinConfig, problem: Problem, data: DividedSites, starts: int) -> Estimates:
    """Estimates sites from the mean of the prior and `starts - 1` draws from it."""
    return estimate(
        problem,
        MODEL.init(jax.random.key(0)),
        data,
        LevenbergMarquardt(iterations=config.iterations),
        jax.random.key(config.seed),
        starts=starts,
        site_batch=config.site_batch,
    )


def spread_of_starts(found: Estimates) -> xr.DataArray:
    """Returns how far searches from different starts end from each other, in prior deviations."""
    spread = found.solutions.offsets.std(axis=1) / np.array(found.problem.prior_sd)
    coordinates = {"site": list(found.sites), "parameter": list(found.problem.names)}
    return xr.DataArray(spread.astype(float), coordinates, ("site", "parameter"))


def describe(config: TwinConfig, twins: Twins, found: Estimates, known: Diagnosis) -> xr.Dataset:
    """Returns truth, estimates and their diagnosis of one cell."""
    both, site = ("site", "parameter"), ("site",)
    after, solutions = known.posterior, found.solutions
    columns = {
        "truth": (both, twins.truth),
        "estimate": (both, found.offsets),
        "sd": (both, after.sd),
        "shrinkage": (both, after.shrinkage),
        "identified": (both, known.identification.identified),
        "at_bound": (both, known.identification.at_bound),
        "trade_off": (both, known.identification.trade_off),
        "partner": (both, known.identification.partner),
        "condition_number": (site, after.condition_number),
        "degrees_of_freedom": (site, after.degrees_of_freedom),
        "respiration_trade_off": (site, known.partition.difference_to_sum),
        "prior_respiration_trade_off": (site, known.prior_partition.difference_to_sum),
        "prior_error": (site, found.prior.training_error),
        "error": (site, found.estimate.training_error),
        "evaluations": (site, found.evaluations),
        "converged": (site, solutions.converged[np.arange(len(found.sites)), found.chosen]),
        "healthy": (site, found.healthy),
    }
    coordinates = {"site": list(found.sites), "parameter": list(config.parameters)}
    plain = {
        name: (dims, np.asarray(values, np.float64)) for name, (dims, values) in columns.items()
    }
    return xr.Dataset(plain, coords=coordinates)


def main(config: TwinConfig) -> None:
    """Runs all cells that are not finished, then writes and prints what came out."""
    config = resolved(config)
    with directory.claimed(config.run, config, config.overwrite, "twin", extendable=True) as run:
        results = run_cells(replace(config, run=run.folder))
    report.write(config.run, results)


def run_cells(config: TwinConfig) -> dict[tuple[str, str], xr.Dataset]:
    """Runs all cells that are not finished in a claimed folder, and returns all."""
    folder = config.run / "cells"
    folder.mkdir(exist_ok=True)
    prior_sd = default_prior_sd(config.parameters)
    twins = None
    results = {}
    for setting, stream in cells(config):
        path = folder / f"{setting} {stream}.nc".replace(" ", "-").replace(",", "")
        if not path.is_file():
            if twins is None:
                say(f"{config.sites} twins of {config.unobserved_years} + {config.years} years")
                twins = make_twins(
                    config.sites,
                    config.years,
                    config.unobserved_years,
                    config.seed,
                    config.parameters,
                    prior_sd,
                )
            cell = run_cell(config, twins, setting, stream)
            write_dataset(path, cell, f"Parameters of twins, {setting}, {stream}")
            say(f"{setting}, {stream}: {cell.attrs['seconds']:.0f} s")
        with xr.open_dataset(path) as cell:
            results[setting, stream] = cell.load()
    return results
