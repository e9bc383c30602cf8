"""Estimates process parameters at every site; run as `python experiments/estimate.py --help`.

Each site gets parameters with units, bounds and intervals, flags where the data do not determine
them, and predictions of the held-out years before and after.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import command_line
import estimate_check
import estimate_report
import inputs
import jax
import numpy as np
import run_directory
import tyro
from estimate_start import make_problem, start
from reporting import say, write_inputs

from kgml_jax.adaptation import Adaptation, Dense, Weights
from kgml_jax.inversion.diagnosis import Diagnosis, diagnose
from kgml_jax.inversion.evolution import CovarianceAdaptation, DifferentialEvolution
from kgml_jax.inversion.gradient import Adam, LimitedMemory
from kgml_jax.inversion.groups import group_priors
from kgml_jax.inversion.increments import Books, books
from kgml_jax.inversion.least_squares import LevenbergMarquardt
from kgml_jax.inversion.prediction import Prediction, predict_with_intervals
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.shuffled import ShuffledComplex, require_spotpy
from kgml_jax.inversion.sites import Estimates, estimate
from kgml_jax.inversion.solution import Solver
from kgml_jax.models.parameter_learning import ParameterLearningModel
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.sites import Sites
from kgml_jax.training.predict import predict_sites

SOLVERS: dict[str, Solver | ShuffledComplex] = {
    "levenberg-marquardt": LevenbergMarquardt(),
    "l-bfgs": LimitedMemory(),
    "adam": Adam(),
    "cma-es": CovarianceAdaptation(),
    "differential-evolution": DifferentialEvolution(),
    "sce-ua": ShuffledComplex(),
}
"""Ways of searching by name; the last needs the extra `calib`."""


@dataclass(frozen=True)
class EstimateConfig:
    """Estimate process parameters at every site in one compiled program."""

    run: Path = Path("runs/estimate")
    """Folder for everything this run writes."""
    data: Annotated[inputs.Data, command_line.FLAT] = field(default_factory=inputs.Data)
    split: Annotated[inputs.SplitChoice, command_line.FLAT] = field(
        default_factory=inputs.SplitChoice
    )
    parameters: tuple[str, ...] = DEFAULT_SUBSET
    """Fields of `process.Params` to estimate; any subset by name."""
    streams: tuple[str, ...] = ("NEE", "Reco", "ET")
    """Observed variables that inform; one that no site has is left out."""
    inflation: float = 1.0
    """Factor on the stated uncertainties, for errors that last longer than a day."""
    updates: tuple[str, ...] = ()
    """Pools to move at the start of a day, POOL@DATE such as soil_carbon@2005-01-01: by how much is
    estimated with the parameters, and what was added is a term of the budgets."""
    base: Literal["defaults", "groups"] = "defaults"
    """Means of the priors: the defaults, or shifts that the sites of a group share."""
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Pretrained hybrid (pretrain.py --model dpl, ...) whose parameters are the means instead."""
    solver: Literal[
        "levenberg-marquardt", "l-bfgs", "adam", "cma-es", "differential-evolution", "sce-ua"
    ] = "levenberg-marquardt"
    """How the best parameters are searched."""
    starts: int = 1
    """Searches a site: from the mean of the prior, and from draws."""
    check_sites: int = 0
    """Sites at which NUTS checks the Gaussian posterior; needs the extra `bayes`. Minutes for a
    short record, an hour for a long one: the program measures it and says before it starts."""
    check_draws: int = 100
    """Draws of each of eight chains that are kept in this check, after as many of warm-up."""
    spin_up_cycles: int = 2
    """Passes through the first two years before the record starts; a hybrid has its own."""
    site_batch: int = 8
    """Sites a device advances at once; bounds memory, does not change results."""
    seed: int = 0
    """Seed of starts and of searches that draw."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


@dataclass(frozen=True)
class Outcome:
    """What was found at all sites."""

    found: Estimates
    known: Diagnosis
    predictions: dict[str, Prediction]
    fluxes: dict[str, dict[str, np.ndarray]]
    """Daily fluxes before and after, by strategy and variable, (site, time)."""
    simulations: np.ndarray
    """Spent on each site by all searches, (site,)."""
    seconds: float
    books: Books | None = None
    """What updates added, leaves (site, ...); None without updates."""


def from_groups(
    config: EstimateConfig, problem: Problem, weights: Weights, sites: Sites, roles: np.ndarray
) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Estimates every site by itself, to centre its prior on what the others of its group share.

    Returns:
      The problem with what is left of the prior's spread, the mean over sites of its variance; the
      mean of each site's prior, (site, p); and the simulations spent on each site, (site,).
    """
    first = search(config, problem, weights, sites, roles, None)
    best = first.solutions.offsets[np.arange(len(sites)), first.chosen]
    usable = np.where(first.healthy[:, None], best, 0.0)
    shared = {"roles": roles, "kept": first.healthy, "site_batch": config.site_batch}
    known = diagnose(problem, weights, sites, first.base, usable, **shared)
    mean, spread = group_priors(
        np.where(first.healthy[:, None], best, np.nan),
        known.posterior.covariance,
        np.asarray(sites.site.group).tolist(),
        np.array(problem.prior_sd),
    )
    left = np.sqrt(np.mean(spread**2, axis=0))
    return (
        replace(problem, prior_sd=tuple(left.tolist())),
        mean.astype(best.dtype),
        first.evaluations,
    )


def search(
    config: EstimateConfig,
    problem: Problem,
    weights: Weights,
    sites: Sites,
    roles: np.ndarray,
    base: np.ndarray | None,
) -> Estimates:
    """Estimates all sites with the solver of the configuration."""
    return estimate(
        problem,
        weights,
        sites,
        SOLVERS[config.solver],
        jax.random.key(config.seed),
        base=base,
        starts=config.starts,
        site_batch=config.site_batch,
        roles=roles,
    )


def calibrated(
    config: EstimateConfig, problem: Problem, weights: Weights, sites: Sites, roles: np.ndarray
) -> Outcome:
    """Estimates, diagnoses and predicts all sites."""
    began, base, spent = time.perf_counter(), None, np.zeros(len(sites), int)
    if config.base == "groups":
        problem, base, spent = from_groups(config, problem, weights, sites, roles)
    found = search(config, problem, weights, sites, roles, base)
    seconds = time.perf_counter() - began
    shared = {"roles": roles, "site_batch": config.site_batch}
    known = diagnose(
        problem,
        weights,
        sites,
        found.base,
        found.offsets,
        learnt=learnt_offsets(problem, weights, sites),
        kept=found.accepted,
        **shared,
    )
    moved = found.base + found.offsets
    return Outcome(
        found=found,
        known=known,
        predictions=predict_with_intervals(
            problem, weights, sites, moved, known.posterior.factor, **shared
        ),
        fluxes={
            estimate_report.BEFORE: predict_sites(problem.model, weights, sites),
            estimate_report.AFTER: predicted(problem, weights, sites, moved),
        },
        simulations=spent + found.evaluations,
        seconds=seconds,
        books=books(problem, weights, sites, moved, site_batch=config.site_batch)
        if config.updates
        else None,
    )


def learnt_offsets(problem: Problem, weights: Weights, sites: Sites) -> np.ndarray | None:
    """Returns what the network of a dPL model adds to the parameters, (site, parameter)."""
    model = problem.model
    if not isinstance(model, ParameterLearningModel):
        return None
    learnt = jax.vmap(model.site_offsets, in_axes=(None, 0))(weights, sites.site)
    none = np.zeros(len(sites), np.float32)
    return np.stack([np.asarray(learnt.get(name, none)) for name in problem.names], axis=1)


def predicted(
    problem: Problem, weights: Weights, sites: Sites, offsets: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns daily fluxes of every site with its own parameters, (site, time)."""
    rules = tuple((f"process/{name}", Dense()) for name in problem.names)
    phi = {f"process/{n}": {"shift": offsets[:, row]} for row, n in enumerate(problem.names)}
    return predict_sites(problem.model, weights, sites, Adaptation(rules), phi)


def main(config: EstimateConfig) -> None:
    """Estimates the parameters, scores the held-out days, and writes the run."""
    if config.solver == "sce-ua":
        require_spotpy()
    estimate_check.require(config)
    begun = start(config)
    sites, roles = begun.loaded.sites, begun.split.roles(begun.loaded.sites)
    problem = make_problem(config, begun.model, sites)
    run_directory.create(config.run, config, config.overwrite, source=config.from_run)
    write_inputs(config.run, begun.source, begun.loaded, begun.split)
    say(
        f"Estimating {len(problem.names)} parameters at {len(sites)} sites from "
        f"{', '.join(stream.variable for stream in problem.streams)} by {config.solver}."
    )
    outcome = calibrated(config, problem, begun.weights, sites, roles)
    estimate_report.write(config.run, begun.loaded, begun.split, outcome)
    if config.check_sites:
        estimate_check.run(config, outcome, begun.weights, sites, roles)


if __name__ == "__main__":
    command_line.run(main, EstimateConfig)
