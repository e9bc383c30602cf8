"""Which solver finds the parameters of a site soonest: in simulations, and in seconds.

`python benchmarks/inversion.py` makes a small twin (synthetic sites with known parameters, noisy
observations with gaps), estimates the default parameters with every solver, and prints for each
what it reached, what it spent, and when it came within a share of the best cost and of the best
held-out error that any solver found. `results/inversion_traces.json` has the way there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from timing import measure, report, write

from kgml_jax.adaptation import Weights
from kgml_jax.backend import use_cpu_cores
from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd, observed
from kgml_jax.inversion.searches import search_sites
from kgml_jax.inversion.solvers.evolution import CovarianceAdaptation, DifferentialEvolution
from kgml_jax.inversion.solvers.gradient import Adam, LimitedMemory
from kgml_jax.inversion.solvers.least_squares import (
    LevenbergMarquardt,
    projected,
    value_and_jacobian,
)
from kgml_jax.inversion.solvers.shuffled import ShuffledComplex
from kgml_jax.inversion.solvers.solution import HostSolver, Solution, half_square
from kgml_jax.mapping import map_sites, over_sites, site_mesh
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.records import Field
from kgml_jax.sites import TEST, TRAIN, Site, Sites
from kgml_jax.split import DividedSites

STREAMS = ("NEE", "ET", "Reco")
MARKS = 40
"""Points of a solver's way at which its held-out error is looked at."""
NEAR_COST, NEAR_ERROR = 1.001, 1.01
"""How near the best cost and held-out error of all solvers counts as reached."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Sizes of the comparison."""

    sites: int = 4
    """Sites of the twin."""
    years: int = 3
    """Years of a record; the last is held out."""
    solvers: tuple[str, ...] = ("lm", "lbfgs", "adam", "cma", "de", "sce")
    """Which to compare; `sce` needs the extra `calib`."""
    evaluations: int = 4000
    """Simulations that a gradient-free search may spend on a site."""
    batches: tuple[int, ...] = (1, 4)
    """Sites that a device advances at once, in the table of costs; empty leaves it out."""
    site_batch: int = 1
    """The same in the comparison."""
    cores: int = 2
    """CPU devices."""
    repeats: int = 3
    """Runs of each function of the table of costs; the median counts."""
    seed: int = 0
    """Of the twin and of the searches."""


def solvers(config: BenchmarkConfig) -> dict[str, Any]:
    """Returns the solvers asked for, by name."""
    known = {
        "lm": LevenbergMarquardt(),
        "lbfgs": LimitedMemory(),
        "adam": Adam(),
        "cma": CovarianceAdaptation(evaluations=config.evaluations),
        "de": DifferentialEvolution(evaluations=config.evaluations),
        "sce": ShuffledComplex(evaluations=config.evaluations),
    }
    return {name: known[name] for name in config.solvers}


def make_twin(count: int, years: int, seed: int) -> DividedSites:
    """Returns synthetic sites whose last year is held out."""
    settings = SyntheticConfig(
        sites=count, years=years, seed=seed, spin_up_years=0, partition=False
    )
    world = generate(settings, simulate_sites)
    sites = assemble(per_site(world))
    index = sites.site.calendar.year_index
    return DividedSites.of_roles(sites, np.where(index == index.max(), TEST, TRAIN))


def make_problem() -> Problem:
    """Returns the default estimation from a tower's fluxes."""
    streams = tuple(Stream(variable) for variable in STREAMS)
    return Problem(ProcessModel(), DEFAULT_SUBSET, default_prior_sd(DEFAULT_SUBSET), streams)


def prices(config: BenchmarkConfig, problem: Problem, sites: Sites) -> list[dict[str, Any]]:
    """Measures a simulation, a Jacobian and a gradient on one device, for some batches of sites."""
    weights, base = problem.model.init(jax.random.key(0)), problem.start()
    residuals = lambda z, site: problem.residuals(weights, base, z, site)

    def cost(z: Field, site: Site) -> Field:
        return half_square(residuals(z, site))

    def curved(z: Field, site: Site) -> tuple[Field, Field]:
        value, jacobian = value_and_jacobian(lambda z: residuals(z, site), z)
        return projected(jacobian, jacobian), projected(jacobian, value)

    functions = {"simulation": cost, "Jacobian": curved, "gradient": jax.value_and_grad(cost)}
    one_device, rows = site_mesh(jax.local_devices()[:1]), []
    for batch in config.batches:
        some = jax.tree.map(
            jnp.asarray, sites.take([row % len(sites) for row in range(batch)]).site
        )
        offsets = jnp.zeros((batch, len(problem.names)))
        single = float("nan")
        for what, function in functions.items():
            mapped = map_sites(function, one_device, batch)
            timing = measure(mapped, offsets, some, repeats=config.repeats)
            milliseconds = 1e3 * timing.median_s / batch
            single = milliseconds if what == "simulation" else single
            rows.append(
                {
                    "what": what,
                    "site batch": batch,
                    "compile s": timing.compile_s,
                    "ms a site": milliseconds,
                    "simulations' worth": milliseconds / single,
                }
            )
    return rows


@dataclass(frozen=True)
class Run:
    """One solver on all sites from the prior mean: NumPy leaves (site, ...)."""

    solution: Solution
    compile_s: float
    run_s: float

    @property
    def simulations(self) -> float:
        """Spent, mean of the sites."""
        return float(self.solution.evaluations.mean())

    def until(self, marks: np.ndarray) -> np.ndarray:
        """Returns the trace's entry when so many simulations were spent, (site, mark)."""
        spent = self.solution.trace_evaluations
        return np.stack([np.searchsorted(row, marks, side="right") - 1 for row in spent])


def run_solver(config: BenchmarkConfig, problem: Problem, solver: Any, data: DividedSites) -> Run:
    """Searches all sites twice and takes the second time: the first also compiles.

    A solver on the host is run once: its cost compiles in a few seconds, and a run takes minutes.
    """
    weights, key = problem.model.init(jax.random.key(0)), jax.random.key(config.seed)
    seconds, found = [], None
    for _ in range(1 if isinstance(solver, HostSolver) else 2):
        begin = time.perf_counter()
        found = search_sites(problem, weights, data, solver, key, site_batch=config.site_batch)[1]
        seconds.append(time.perf_counter() - begin)
    first = jax.tree.map(lambda leaf: leaf[:, 0], found)
    return Run(first, compile_s=seconds[0] - seconds[-1], run_s=seconds[-1])  # type: ignore[arg-type]


def held_out_errors(problem: Problem, data: DividedSites) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function of offsets (site, mark, p): mean squared misfit of the test days."""
    weights = problem.model.init(jax.random.key(0))
    own = (data.sites.site, data.roles)
    return lambda offsets: over_sites(
        _held_out_error, (offsets, *own), static=(problem,), shared=(weights,)
    )


def _held_out_error(
    problem: Problem, weights: Weights, offsets: Field, site: Site, roles: Field
) -> Field:
    tested = observed(site, roles == TEST)

    def error(z: Field) -> Field:
        misfits = problem.misfits(problem.predict(weights, z, site), tested)
        return jnp.sum(misfits**2) / problem.observations(tested)

    return jax.vmap(error)(offsets)


def way(run: Run, marks: np.ndarray, errors: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """Returns means over sites along `marks`, and at the end, (mark + 1,); NaN before the first."""
    entries = run.until(marks)
    last = np.full((len(entries), 1), run.solution.trace_cost.shape[1] - 1)
    rows = np.concatenate([entries, last], axis=1)
    at = np.arange(len(rows))[:, None]
    begun = (rows >= 0).all(axis=0)
    costs = run.solution.trace_cost[at, rows].mean(axis=0)
    found = errors(run.solution.trace_offsets[at, rows]).mean(axis=0)
    spent = run.solution.trace_evaluations[at, rows].mean(axis=0)
    return {
        "simulations": spent,
        "seconds": spent / run.simulations * run.run_s,
        "cost": np.where(begun, costs, np.nan),
        "held-out error": np.where(begun, found, np.nan),
    }


def reached(way: dict[str, np.ndarray], what: str, level: float, spent: str) -> float | None:
    """Returns what was spent when `what` first came down to a level; None if it never did."""
    near = way[what] <= level
    return float(way[spent][np.argmax(near)]) if near.any() else None


def against(ways: dict[str, dict[str, np.ndarray]], reference: str) -> list[str]:
    """Says when each solver came near the cost and error that one ends with, and when that one did.

    The ratio is of simulations until the level was first reached: what the reference spent later,
    without getting any further, does not count.
    """
    lines = []
    for what, near in (("cost", NEAR_COST), ("held-out error", NEAR_ERROR)):
        level = near * ways[reference][what][-1]
        aim = f"{100 * (near - 1):.1f} % of the {what} that {reference} ends with"
        own = reached(ways[reference], what, level, "simulations")
        for name, one in ways.items():
            needed = reached(one, what, level, "simulations")
            if own is None or needed is None:
                lines.append(f"{name} does not come within {aim}")
                continue
            lines.append(
                f"{name} comes within {aim} after {needed:.0f} simulations; {reference} needed "
                f"{own / needed:.1f} times as many"
            )
    return lines


def summary(runs: dict[str, Run], ways: dict[str, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Returns one row a solver: outcome, what it spent, and what until it was near the best of all.

    Costs and held-out errors are means of the sites, simulations those of a site, seconds those of
    all sites together.
    """
    least = {
        what: min(way[what][-1] for way in ways.values()) for what in ("cost", "held-out error")
    }
    cost, error = NEAR_COST * least["cost"], NEAR_ERROR * least["held-out error"]
    return [
        {
            "solver": name,
            "cost": float(ways[name]["cost"][-1]),
            "error": float(ways[name]["held-out error"][-1]),
            "converged": float(run.solution.converged.mean()),
            "sims": run.simulations,
            "s": run.run_s,
            "compile s": run.compile_s,
            "sims to cost": reached(ways[name], "cost", cost, "simulations"),
            "s to cost": reached(ways[name], "cost", cost, "seconds"),
            "sims to error": reached(ways[name], "held-out error", error, "simulations"),
            "s to error": reached(ways[name], "held-out error", error, "seconds"),
        }
        for name, run in runs.items()
    ]


def compare(config: BenchmarkConfig, problem: Problem, data: DividedSites) -> None:
    """Runs all solvers, prints and writes the comparison, and sets each against CMA-ES."""
    runs = {}
    for name, solver in solvers(config).items():
        runs[name] = run_solver(config, problem, solver, data)
        print(f"{name}: {runs[name].simulations:.0f} simulations in {runs[name].run_s:.1f} s")
    most = max(int(run.solution.evaluations.max()) for run in runs.values())
    marks = np.geomspace(len(problem.names) + 1, most, MARKS)
    errors = held_out_errors(problem, data)
    ways = {name: way(run, marks, errors) for name, run in runs.items()}
    traces = [
        {"solver": name, **{what: float(values[row]) for what, values in way.items()}}
        for name, way in ways.items()
        for row in range(MARKS + 1)
        if np.isfinite(way["cost"][row])
    ]
    write("inversion_traces", traces)
    report("inversion", summary(runs, ways))
    if "cma" in ways:
        print("\n".join(against(ways, "cma")))


def main(config: BenchmarkConfig) -> None:
    """Prints and writes the table of costs and the comparison."""
    use_cpu_cores(config.cores)
    problem = make_problem()
    data = make_twin(config.sites, config.years, config.seed)
    if config.batches:
        report("inversion_prices", prices(config, problem, data.sites))
    compare(config, problem, data)


if __name__ == "__main__":
    main(tyro.cli(BenchmarkConfig))
