"""How long all sites take to calibrate in one compiled program, and how much memory.

`python benchmarks/many_sites.py` makes synthetic sites, estimates the default parameters of every
one from its NEE, ET and Reco by Levenberg-Marquardt, and prints minutes of the wall clock and of
all cores together, passes, and the peak of the process's memory.
"""

import resource
import time
from dataclasses import dataclass

import jax
import numpy as np
import tyro
from inversion import make_problem, make_twin
from timing import report

from kgml_jax.backend import use_cpu_cores
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.searches import search_sites
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.inversion.solvers.solution import Solution
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites


@dataclass(frozen=True)
class ManySitesConfig:
    """Sizes of the run."""

    sites: int = 1000
    """Sites calibrated."""
    years: int = 5
    """Years of a record, all calibrated on."""
    site_batch: int = 16
    """Sites that a device advances at once."""
    cores: int = 2
    """CPU devices."""
    seed: int = 0
    """Of the sites."""


def calibrate(
    config: ManySitesConfig, problem: Problem, sites: Sites
) -> tuple[Solution, float, float]:
    """Returns the solutions of all sites, leaves (site, 1, ...), and the seconds with compiling.

    The seconds are those of the wall clock, and those that the process computed on all cores.
    """
    weights, key = problem.model.init(jax.random.key(0)), jax.random.key(config.seed)
    began, computed = time.perf_counter(), time.process_time()
    solver = LevenbergMarquardt()
    data = DividedSites.undivided(sites)
    found = search_sites(problem, weights, data, solver, key, site_batch=config.site_batch)[1]
    return found, time.perf_counter() - began, time.process_time() - computed


def main(config: ManySitesConfig) -> None:
    """Makes the sites, calibrates them, and prints and writes what it took."""
    use_cpu_cores(config.cores)
    problem = make_problem()
    began = time.perf_counter()
    sites = make_twin(config.sites, config.years, config.seed).sites
    made = time.perf_counter() - began
    found, seconds, computed = calibrate(config, problem, sites)
    lanes = len(problem.names) + 1
    first, last = found.trace_cost[:, 0, 0], found.cost[:, 0]
    measured = {
        "sites": config.sites,
        "years": config.years,
        "parameters": len(problem.names),
        "site batch": config.site_batch,
        "minutes to make them": made / 60,
        "minutes to calibrate": seconds / 60,
        "minutes of all cores": computed / 60,
        "peak memory, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "passes a site": float(found.evaluations.mean() / lanes),
        "most passes": float(found.evaluations.max() / lanes),
        "share converged": float(found.converged.mean()),
        "share healthy": float(found.healthy.mean()),
        "median cost after / before": float(np.median(last / first)),
    }
    report("many_sites", [{"what": what, "value": value} for what, value in measured.items()])


if __name__ == "__main__":
    main(tyro.cli(ManySitesConfig))
