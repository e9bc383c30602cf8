"""Gradient-free references: CMA-ES and differential evolution, a generation simulated at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.inversion.solvers.solution import (
    Residuals,
    Search,
    SearchSolver,
    Solution,
    half_square,
    repeated_last,
)
from kgml_jax.records import Field


@dataclass(frozen=True)
class CovarianceAdaptation(SearchSolver):
    """CMA-ES, the covariance matrix adaptation evolution strategy.

    Hansen (2016), The CMA evolution strategy: a tutorial, arXiv 1604.00772, appendix A, with the
    defaults of its table 1 for positive weights. The start is a member of the first generation.

    Attributes:
      evaluations: simulations it may spend, rounded down to whole generations.
      step: standard deviation of the first generation, in unbounded space.
      population: members of a generation; None takes `4 + floor(3 ln p)`.
      cost_tolerance: relative spread of the costs of a generation at which it has converged.
      step_tolerance: largest standard deviation of a generation at which it has converged.
    """

    evaluations: int = 4000
    step: float = 0.3
    population: int | None = None
    cost_tolerance: float = 1e-6
    step_tolerance: float = 1e-4

    def search(self, residuals: Residuals, start: Field, key: jax.Array) -> Search:
        """Returns the search from `start`, (p,); `key` seeds the generations."""
        size = start.shape[0]
        members = self.population or 4 + int(3 * math.log(size))
        constants = _Constants.of(size, members)

        def propose(shape: _Shape, key: jax.Array) -> Field:
            normal = jax.random.normal(key, (members, size), start.dtype)
            return shape.mean + shape.step * (normal * shape.lengths) @ shape.axes.T

        def learn(shape: _Shape, points: Field, costs: Field) -> tuple[_Shape, Field]:
            after = _adapted(constants, shape, points[jnp.argsort(costs)])
            width = after.step * jnp.sqrt(jnp.max(jnp.diagonal(after.covariance)))
            level = _level(costs, self.cost_tolerance)
            return after, level | (width <= self.step_tolerance)

        begin = _Shape(
            mean=start,
            step=jnp.full((), self.step, start.dtype),
            covariance=jnp.eye(size, dtype=start.dtype),
            axes=jnp.eye(size, dtype=start.dtype),
            lengths=jnp.ones(size, start.dtype),
            step_path=jnp.zeros_like(start),
            covariance_path=jnp.zeros_like(start),
            generation=jnp.zeros((), jnp.int32),
        )
        generations = max(self.evaluations // members, 1)
        return _evolved(residuals, start, key, _Population(begin, propose, learn, generations))


@dataclass(frozen=True)
class DifferentialEvolution(SearchSolver):
    """Differential evolution, rand/1/bin (Storn and Price 1997).

    Attributes:
      evaluations: simulations it may spend, rounded down to whole generations.
      step: standard deviation of the first generation about the start, in unbounded space.
      population: members of a generation, at least 4; None takes 5 a parameter, but 20 or more.
      weight: of the difference of two members, F.
      crossover: probability of taking an element from the mutant, CR.
      cost_tolerance: relative spread of the costs of the members at which it has converged.
    """

    evaluations: int = 4000
    step: float = 0.5
    population: int | None = None
    weight: float = 0.7
    crossover: float = 0.9
    cost_tolerance: float = 1e-6

    def search(self, residuals: Residuals, start: Field, key: jax.Array) -> Search:
        """Returns the search around `start`, (p,); `key` seeds the generations."""
        size = start.shape[0]
        members = self.population or max(5 * size, 20)
        begin_key, key = jax.random.split(key)
        scattered = self.step * jax.random.normal(begin_key, (members, size), start.dtype)

        def propose(herd: _Herd, key: jax.Array) -> Field:
            # The first generation is the herd itself, whose costs are not known yet.
            new = jnp.all(jnp.isinf(herd.costs))
            return jnp.where(new, herd.points, self._trials(herd.points, key))

        def learn(herd: _Herd, points: Field, costs: Field) -> tuple[_Herd, Field]:
            better = (costs <= herd.costs)[:, None]
            costs = jnp.minimum(costs, herd.costs)
            points = jnp.where(better, points, herd.points)
            return _Herd(points, costs), _level(costs, self.cost_tolerance)

        begin = _Herd(start + scattered, jnp.full(members, jnp.inf, start.dtype))
        generations = max(self.evaluations // members, 1)
        return _evolved(residuals, start, key, _Population(begin, propose, learn, generations))

    def _trials(self, points: Field, key: jax.Array) -> Field:
        members, size = points.shape
        shift_key, mask_key, element_key = jax.random.split(key, 3)
        # Three others for each member: those that follow it by different numbers of places.
        shifts = jnp.cumsum(jax.random.randint(shift_key, (3,), 1, (members - 1) // 3 + 1))
        first, second, third = (jnp.roll(points, -shift, axis=0) for shift in shifts)
        mutants = first + self.weight * (second - third)
        taken = jax.random.uniform(mask_key, points.shape) < self.crossover
        certain = jax.random.randint(element_key, (members, 1), 0, size) == jnp.arange(size)
        return jnp.where(taken | certain, mutants, points)


class _Herd(NamedTuple):
    points: Field
    costs: Field


class _Shape(NamedTuple):
    """The normal distribution that generations are drawn from, with its evolution paths."""

    mean: Field
    step: Field  # sigma
    covariance: Field  # C = B D^2 B^T
    axes: Field  # B
    lengths: Field  # D
    step_path: Field  # p_sigma
    covariance_path: Field  # p_c
    generation: Field


class _Constants(NamedTuple):
    weights: np.ndarray  # w_i
    mass: float  # mu_eff
    step_rate: float  # c_sigma
    step_damping: float  # d_sigma
    path_rate: float  # c_c
    rank_one: float  # c_1
    rank_many: float  # c_mu
    norm: float  # E ||N(0, I)||

    @classmethod
    def of(cls, n: int, members: int) -> "_Constants":
        """Returns the defaults of table 1."""
        raw = math.log((members + 1) / 2) - np.log(np.arange(1, members // 2 + 1))
        weights = raw / raw.sum()
        mass = 1 / float((weights**2).sum())
        step_rate = (mass + 2) / (n + mass + 5)
        rank_one = 2 / ((n + 1.3) ** 2 + mass)
        rank_many = 2 * (0.25 + mass + 1 / mass - 2) / ((n + 2) ** 2 + mass)
        return cls(
            weights=weights,
            mass=mass,
            step_rate=step_rate,
            step_damping=1 + 2 * max(0, math.sqrt((mass - 1) / (n + 1)) - 1) + step_rate,
            path_rate=(4 + mass / n) / (n + 4 + 2 * mass / n),
            rank_one=rank_one,
            rank_many=min(1 - rank_one, rank_many),
            norm=math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2)),
        )


def _adapted(constants: _Constants, shape: _Shape, ranked: Field) -> _Shape:
    # One generation of the tutorial's summary; `ranked` points, best first.
    c = constants
    weights = jnp.asarray(c.weights, ranked.dtype)
    moves = (ranked[: weights.shape[0]] - shape.mean) / shape.step
    move = weights @ moves
    whitened = shape.axes @ ((shape.axes.T @ move) / shape.lengths)
    rate = c.step_rate
    step_path = (1 - rate) * shape.step_path + math.sqrt(rate * (2 - rate) * c.mass) * whitened
    length = jnp.linalg.norm(step_path) / c.norm
    # h_sigma: the path of the covariance stalls while the step size is still growing fast.
    grown = jnp.sqrt(1 - (1 - rate) ** (2.0 * (shape.generation + 1)))
    steady = (length / grown < 1.4 + 2 / (shape.mean.shape[0] + 1)).astype(ranked.dtype)
    rate = c.path_rate
    path = (1 - rate) * shape.covariance_path
    path = path + steady * math.sqrt(rate * (2 - rate) * c.mass) * move
    lost = (1 - steady) * rate * (2 - rate)
    covariance = (
        (1 + c.rank_one * lost - c.rank_one - c.rank_many) * shape.covariance
        + c.rank_one * jnp.outer(path, path)
        + c.rank_many * (moves.T * weights) @ moves
    )
    squares, axes = jnp.linalg.eigh(covariance)
    # Rounding must not turn the smallest variances negative.
    least = jnp.finfo(squares.dtype).eps * squares[-1]
    return _Shape(
        mean=shape.mean + shape.step * move,
        step=shape.step * jnp.exp(c.step_rate / c.step_damping * (length - 1)),
        covariance=covariance,
        axes=axes,
        lengths=jnp.sqrt(jnp.maximum(squares, least)),
        step_path=step_path,
        covariance_path=path,
        generation=shape.generation + 1,
    )


def _level(costs: Field, tolerance: float) -> Field:
    # Whether the costs of a population differ by no more than a share of the least.
    return jnp.max(costs) - jnp.min(costs) <= tolerance * jnp.min(costs)


class _State(NamedTuple):
    strategy: Any
    key: jax.Array
    best: Field
    best_cost: Field
    count: Field
    active: Field
    converged: Field
    trace_offsets: Field
    trace_cost: Field


class _Population(NamedTuple):
    """How points move from generation to generation."""

    begin: Any  # what is learnt before the first
    propose: Callable[[Any, jax.Array], Field]  # from that and a key to points, (member, p)
    learn: Callable[[Any, Field, Field], tuple[Any, Field]]  # and costs to it; settled
    generations: int


def _evolved(residuals: Residuals, start: Field, key: jax.Array, population: _Population) -> Search:
    members = jax.eval_shape(population.propose, population.begin, key).shape[0]
    begin = _State(
        strategy=population.begin,
        key=key,
        best=start,
        best_cost=jnp.full((), jnp.inf, start.dtype),
        count=jnp.zeros((), jnp.int32),
        active=jnp.ones((), bool),
        converged=jnp.zeros((), bool),
        trace_offsets=jnp.zeros((population.generations, *start.shape), start.dtype),
        trace_cost=jnp.zeros(population.generations, start.dtype),
    )
    advance = lambda state: _next_generation(residuals, start, population, state)
    return Search(begin, advance, lambda state: _best_of_all(members, state))


def _next_generation(
    residuals: Residuals, start: Field, population: _Population, state: _State
) -> _State:
    # Proposes, simulates and learns; a cost that is not finite ranks last.
    key, draw_key = jax.random.split(state.key)
    points = population.propose(state.strategy, draw_key)
    first = state.count == 0
    points = points.at[0].set(jnp.where(first, start, points[0]))
    costs = jax.vmap(lambda point: half_square(residuals(point)))(points)
    healthy = state.active & (~first | jnp.isfinite(costs[0]))
    costs = jnp.where(jnp.isfinite(costs), costs, jnp.inf)
    row = jnp.argmin(costs)
    better = healthy & (costs[row] < state.best_cost)
    best = jnp.where(better, points[row], state.best)
    best_cost = jnp.where(better, costs[row], state.best_cost)
    strategy, settled = population.learn(state.strategy, points, costs)
    count = state.count + 1
    return _State(
        strategy=strategy,
        key=key,
        best=best,
        best_cost=best_cost,
        count=count,
        active=healthy & ~settled & (count < population.generations),
        converged=healthy & settled,
        trace_offsets=state.trace_offsets.at[state.count].set(best),
        trace_cost=state.trace_cost.at[state.count].set(best_cost),
    )


def _best_of_all(members: int, state: _State) -> Solution:
    generations = 1 + jnp.arange(state.trace_cost.shape[0])
    return Solution(
        offsets=state.best,
        cost=state.best_cost,
        evaluations=members * state.count,
        healthy=jnp.isfinite(state.best_cost),
        converged=state.converged,
        trace_offsets=repeated_last(state.trace_offsets, state.count),
        trace_cost=repeated_last(state.trace_cost, state.count),
        trace_evaluations=members * jnp.minimum(generations, state.count),
    )
