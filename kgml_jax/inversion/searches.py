"""The searches of all sites: one compiled program, or one after the other on the host."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.inversion.solvers.queue import run_queue
from kgml_jax.inversion.solvers.solution import (
    Residuals,
    Search,
    SearchSolver,
    Solution,
    Solver,
)
from kgml_jax.inversion.solvers.starts import starting_points
from kgml_jax.mapping import over_shares
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites


def search_sites(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    solver: Solver,
    key: jax.Array,
    *,
    base: np.ndarray | None = None,
    starts: int = 1,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> tuple[np.ndarray, Solution]:
    """Searches every site for the least cost of its training days, from each of its starts.

    Args:
      problem: what is estimated.
      weights: shared by all sites.
      data: sites with their split, and targets for the streams.
      solver: searches one site from one start.
      key: seeds starts and solver; a site's part of it depends on its identity, not its position.
      base: means of the priors in unbounded space relative to `weights`, (site, p); zeros.
      starts: searches a site; the first begins at the prior mean.
      site_batch: searches a device advances at once; one that is done makes room for the next.
      devices: to spread the sites over, by default all local ones.

    Returns:
      Starting points (site, start, p), and solutions with NumPy leaves (site, start, ...).

    Raises:
      ValueError: `base` has another shape, or a number is below 1.
    """
    if min(starts, site_batch) < 1:
        raise ValueError(f"{starts} starts, {site_batch} sites at once; expected 1 or more of each")
    own = (prior_means(problem, data, base), data.sites.site, data.roles)
    if isinstance(solver, SearchSolver):
        how = (problem, solver, starts, site_batch)
        return over_shares(_solve_share, own, static=how, shared=(weights, key), devices=devices)
    return _solve_in_turn(problem, solver, starts, weights, key, own)


def prior_means(problem: Problem, data: DividedSites, base: np.ndarray | None) -> np.ndarray:
    """Returns the means of the priors in unbounded space, (site, p); zeros where `base` is None.

    Raises:
      ValueError: `base` has another shape.
    """
    shape, dtype = (len(data), len(problem.names)), problem.start().dtype
    means = np.zeros(shape, dtype) if base is None else np.asarray(base, dtype)
    if means.shape != shape:
        raise ValueError(f"base has shape {means.shape}; expected {shape}")
    return means


def _solve_share(
    problem: Problem,
    solver: SearchSolver,
    starts: int,
    site_batch: int,
    weights: Weights,
    key: jax.Array,
    base: Field,
    sites: Site,
    roles: Field,
) -> tuple[Field, Solution]:
    # The sites of one device, with a leading site axis.
    beginnings = functools.partial(_beginnings, problem, key, starts)
    points, keys = jax.vmap(beginnings)(sites.identity)

    def search_of(row: Field) -> Search:
        site, start = row // starts, row % starts
        own: Any = jax.tree.map(lambda leaf: leaf[site], (base, sites, roles))
        residuals = _training_residuals(problem, weights, *own)
        return solver.search(residuals, points[site, start], keys[site, start])

    found = run_queue(len(base) * starts, site_batch, search_of)
    by_site = lambda leaf: leaf.reshape(len(base), starts, *leaf.shape[1:])
    return points, jax.tree.map(by_site, found)


def _training_residuals(
    problem: Problem, weights: Weights, base: Field, site: Site, roles: Field
) -> Residuals:
    training = observed(site, roles == TRAIN)
    return lambda offsets: problem.residuals(weights, base, offsets, training)


def _solve_in_turn(
    problem: Problem,
    solver: Solver,
    starts: int,
    weights: Weights,
    key: jax.Array,
    data: tuple[np.ndarray, Site, np.ndarray],
) -> tuple[np.ndarray, Solution]:
    # The same for any solver: one site and one start after the other.
    residuals = jax.jit(problem.residuals)
    points, solutions = [], []
    for row in range(len(data[0])):
        base, site, roles = jax.tree.map(lambda leaf, row=row: jnp.asarray(leaf[row]), data)
        begin, keys = _beginnings(problem, key, starts, site.identity)
        training = observed(site, roles == TRAIN)
        of_site = lambda z, base=base, site=training: residuals(weights, base, z, site)
        found = [solver.solve(of_site, *start) for start in zip(begin, keys, strict=True)]
        points.append(np.asarray(begin))
        solutions.append(jax.tree.map(lambda *leaves: np.stack(leaves), *found))
    return np.stack(points), jax.tree.map(lambda *leaves: np.stack(leaves), *solutions)


def _beginnings(
    problem: Problem, key: jax.Array, starts: int, identity: Field
) -> tuple[Field, jax.Array]:
    # Starting points and keys of the searches of one site.
    start_key, search_key = jax.random.split(jax.random.fold_in(key, identity))
    return starting_points(problem, start_key, starts), jax.random.split(search_key, starts)
