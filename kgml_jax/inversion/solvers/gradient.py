"""First-order references: Adam and L-BFGS on half the sum of squares, by reverse mode."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from kgml_jax.inversion.solvers.solution import (
    Residuals,
    Search,
    SearchSolver,
    Solution,
    half_square,
    repeated_last,
)
from kgml_jax.records import Field

GRADIENT_COST = 10
"""Simulations whose time a cost with its reverse-mode gradient takes, for one site of the process
model on a CPU (`benchmarks/inversion.py`)."""


@dataclass(frozen=True)
class Adam(SearchSolver):
    """Adam (Kingma and Ba 2015) with a rate that falls along a cosine.

    Attributes:
      iterations: gradients taken.
      rate: of the first step, in unbounded space.
      patience: it has converged when as many steps together lowered the least cost by less than ...
      cost_tolerance: ... this share of it.
    """

    iterations: int = 200
    rate: float = 0.1
    patience: int = 20
    cost_tolerance: float = 1e-4

    def search(self, residuals: Residuals, start: Field, key: jax.Array | None = None) -> Search:
        """Returns the search from `start`, (p,); `key` is not used."""
        schedule = optax.cosine_decay_schedule(self.rate, self.iterations)
        optimiser = optax.adam(schedule)
        cost = lambda offsets: half_square(residuals(offsets))

        def advance(search: _Search) -> _Search:
            value, gradient = jax.value_and_grad(cost)(search.offsets)
            updates, state = optimiser.update(gradient, search.state)
            search = _visited(search, value, jnp.ones((), jnp.int32))
            before = search.trace_cost[jnp.maximum(search.count - 1 - self.patience, 0)]
            settled = (search.count > self.patience) & (
                before - search.best_cost <= self.cost_tolerance * search.best_cost
            )
            finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
            return search._replace(
                offsets=search.offsets + updates,
                state=state,
                active=finite & ~settled & (search.count < self.iterations),
                converged=finite & settled,
            )

        begin = _begin(start, optimiser.init(start), self.iterations)
        return Search(begin, advance, _outcome)


@dataclass(frozen=True)
class LimitedMemory(SearchSolver):
    """L-BFGS with a search for the strong Wolfe conditions (Nocedal and Wright 2006, 3.5 and 7.2).

    Attributes:
      iterations: most directions searched.
      line_steps: most gradients a line search takes.
      memory: steps whose curvature is remembered.
      cost_tolerance: relative decrease of the cost along a line below which it has converged.
    """

    iterations: int = 60
    line_steps: int = 15
    memory: int = 10
    cost_tolerance: float = 1e-5

    def search(self, residuals: Residuals, start: Field, key: jax.Array | None = None) -> Search:
        """Returns the search from `start`, (p,); `key` is not used."""
        line = optax.scale_by_zoom_linesearch(
            max_linesearch_steps=self.line_steps, initial_guess_strategy="one"
        )
        optimiser = optax.lbfgs(memory_size=self.memory, linesearch=line)
        cost = lambda offsets: half_square(residuals(offsets))
        known = optax.value_and_grad_from_state(cost)

        def advance(search: _Search) -> _Search:
            # The state holds no cost at the first step; later on, the one the line search found.
            value, gradient = known(search.offsets, state=search.state)
            updates, state = optimiser.update(
                gradient, search.state, search.offsets, value=value, grad=gradient, value_fn=cost
            )
            steps = optax.tree.get(state, "info").num_linesearch_steps
            found = optax.tree.get(state, "value")
            first = search.count == 0
            begun = search._replace(
                best_cost=jnp.where(first & jnp.isfinite(value), value, search.best_cost)
            )
            moved = begun._replace(offsets=search.offsets + updates, state=state)
            moved = _visited(moved, found, steps.astype(jnp.int32) + first)
            lowered = value - found > self.cost_tolerance * found
            finite = jnp.isfinite(value) & jnp.isfinite(found)
            return moved._replace(
                active=finite & lowered & (moved.count < self.iterations),
                converged=finite & ~lowered,
            )

        begin = _begin(start, optimiser.init(start), self.iterations)
        return Search(begin, advance, _outcome)


class _Search(NamedTuple):
    offsets: Field
    state: optax.OptState
    best: Field
    best_cost: Field
    gradients: Field
    count: Field
    active: Field
    converged: Field
    trace_offsets: Field
    trace_cost: Field
    trace_gradients: Field


def _begin(start: Field, state: optax.OptState, iterations: int) -> _Search:
    none = jnp.zeros((), jnp.int32)
    return _Search(
        offsets=start,
        state=state,
        best=start,
        best_cost=jnp.full((), jnp.inf, start.dtype),
        gradients=none,
        count=none,
        active=jnp.ones((), bool),
        converged=jnp.zeros((), bool),
        trace_offsets=jnp.zeros((iterations, start.shape[0]), start.dtype),
        trace_cost=jnp.zeros(iterations, start.dtype),
        trace_gradients=jnp.zeros(iterations, jnp.int32),
    )


def _visited(search: _Search, cost: Field, gradients: Field) -> _Search:
    # Keeps where the search is if it is the best so far, and writes one entry of the trace.
    better = jnp.isfinite(cost) & (cost < search.best_cost)
    best = jnp.where(better, search.offsets, search.best)
    best_cost = jnp.where(better, cost, search.best_cost)
    spent = search.gradients + gradients
    return search._replace(
        best=best,
        best_cost=best_cost,
        gradients=spent,
        count=search.count + 1,
        trace_offsets=search.trace_offsets.at[search.count].set(best),
        trace_cost=search.trace_cost.at[search.count].set(best_cost),
        trace_gradients=search.trace_gradients.at[search.count].set(spent),
    )


def _outcome(search: _Search) -> Solution:
    healthy = jnp.isfinite(search.best_cost)
    return Solution(
        offsets=search.best,
        cost=search.best_cost,
        evaluations=GRADIENT_COST * search.gradients,
        healthy=healthy,
        converged=search.converged & healthy,
        trace_offsets=repeated_last(search.trace_offsets, search.count),
        trace_cost=repeated_last(search.trace_cost, search.count),
        trace_evaluations=GRADIENT_COST * repeated_last(search.trace_gradients, search.count),
    )
