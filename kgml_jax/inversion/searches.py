"""The searches of all sites: one compiled program, or one after the other on the host."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.inversion.solvers.queue import Queue, advance_queue, begin_queue
from kgml_jax.inversion.solvers.solution import (
    Residuals,
    Search,
    SearchSolver,
    Solution,
    Solver,
)
from kgml_jax.inversion.solvers.starts import starting_points
from kgml_jax.mapping import on_all_devices, on_shares, site_mesh, spread_out
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import SILENT, Observer


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
    observer: Observer = SILENT,
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
      observer: sees the queues of all devices (`Searching`) after some turns each; only of solvers
        that run in one program.

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
        return _solve_together(how, (weights, key), own, site_mesh(devices), observer)
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


class Searching(NamedTuple):
    """The searches of all sites while they go on.

    Attributes:
      points: where they start, (site, start, p), with rows that fill up the last device.
      queue: of every device, leaves (device, ...).
    """

    points: Field
    queue: Queue

    @property
    def active(self) -> bool:
        """Whether a search has not ended."""
        return self.ended < self.searches

    @property
    def searches(self) -> int:
        """How many there are, those that only fill up the last device among them."""
        return int(np.prod(np.shape(self.points)[:2]))

    @property
    def ended(self) -> int:
        """How many have ended."""
        rows, begun = np.asarray(self.queue.rows), np.asarray(self.queue.next)
        going_on = (rows < self.searches // len(rows)).sum(axis=1)
        return int((np.minimum(begun, self.searches // len(rows)) - going_on).sum())


SECONDS_A_CALL = 3.0
"""About how long a compiled call goes on before the host looks at it."""


def _solve_together(
    how: tuple[Problem, SearchSolver, int, int],
    shared: tuple[Weights, jax.Array],
    own: tuple[np.ndarray, Site, np.ndarray],
    mesh: Mesh,
    observer: Observer,
) -> tuple[np.ndarray, Solution]:
    count, shared, own = len(own[0]), on_all_devices(mesh, shared), spread_out(mesh, own)
    state = observer.begin(Searching(*on_shares(_begin_share, how, mesh, shared, own)))
    turns, seconds = 1, float("inf")  # the first call compiles, and tells nothing
    while state.active:
        if seconds < SECONDS_A_CALL / 2:
            turns *= 2
        began = time.perf_counter()
        taken = on_all_devices(mesh, np.asarray(turns, np.int32))
        found = on_shares(_advance_share, how, mesh, (*shared, taken), (*own, state.queue))
        state = Searching(state.points, jax.block_until_ready(found))
        seconds = time.perf_counter() - began
        observer.round(state)
    by_site = lambda leaf: leaf.reshape(-1, how[2], *leaf.shape[2:])[:count]
    solutions = jax.tree.map(lambda leaf: by_site(np.asarray(leaf)), state.queue.found)
    return np.asarray(state.points)[:count], solutions


# The sites of one device, with a leading site axis; its queue, with one of length 1.
def _begin_share(
    problem: Problem,
    solver: SearchSolver,
    starts: int,
    site_batch: int,
    weights: Weights,
    key: jax.Array,
    base: Field,
    sites: Site,
    roles: Field,
) -> tuple[Field, Queue]:
    beginnings = functools.partial(_beginnings, problem, key, starts)
    points = jax.vmap(beginnings)(sites.identity)[0]
    search_of = _search_of(problem, solver, starts, weights, key, base, sites, roles)
    queue = begin_queue(len(base) * starts, site_batch, search_of)
    return points, jax.tree.map(lambda leaf: leaf[None], queue)


def _advance_share(
    problem: Problem,
    solver: SearchSolver,
    starts: int,
    site_batch: int,
    weights: Weights,
    key: jax.Array,
    turns: Field,
    base: Field,
    sites: Site,
    roles: Field,
    queue: Queue,
) -> Queue:
    search_of = _search_of(problem, solver, starts, weights, key, base, sites, roles)
    own = jax.tree.map(lambda leaf: leaf[0], queue)
    return jax.tree.map(lambda leaf: leaf[None], advance_queue(own, search_of, turns))


def _search_of(
    problem: Problem,
    solver: SearchSolver,
    starts: int,
    weights: Weights,
    key: jax.Array,
    base: Field,
    sites: Site,
    roles: Field,
) -> Callable[[Field], Search]:
    points, keys = jax.vmap(functools.partial(_beginnings, problem, key, starts))(sites.identity)

    def search_of(row: Field) -> Search:
        site, start = row // starts, row % starts
        own: Any = jax.tree.map(lambda leaf: leaf[site], (base, sites, roles))
        residuals = _training_residuals(problem, weights, *own)
        return solver.search(residuals, points[site, start], keys[site, start])

    return search_of


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
