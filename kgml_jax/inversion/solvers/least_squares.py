"""Levenberg-Marquardt: damped Gauss-Newton steps on the Jacobian of the residuals."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

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
class LevenbergMarquardt(SearchSolver):
    """Levenberg (1944), Marquardt (1963), with the damping rule of Nielsen (1999).

    A step d solves `(A + damping I) d = -g`, where A is J^T J scaled to a diagonal of ones; the
    scaling is Marquardt's and keeps single precision accurate. A trial is simulated together with
    its p tangents, so that an iteration is one pass of p + 1 lanes; a trial that is worse, or not
    finite, is taken back and the damping raised.

    Attributes:
      iterations: most passes.
      damping: of the first step, relative to the diagonal.
      cost_tolerance: relative change of the cost, promised and found, below which it has converged.
      step_tolerance: largest element of a step, in unbounded space, below which it has converged.
      gradient_tolerance: largest cosine between the residuals and a column of the Jacobian, below
        which it has converged.
    """

    iterations: int = 30
    damping: float = 1e-2
    cost_tolerance: float = 3e-5
    step_tolerance: float = 1e-4
    gradient_tolerance: float = 1e-5

    def search(self, residuals: Residuals, start: Field, key: jax.Array | None = None) -> Search:
        """Returns the search from `start`, (p,); `key` is not used."""
        advance = lambda search: self._advance(residuals, search)
        return Search(self._begin(start), advance, self._outcome)

    def _outcome(self, search: "_Search") -> Solution:
        lanes = search.offsets.shape[0] + 1
        return Solution(
            offsets=search.offsets,
            cost=search.cost,
            evaluations=lanes * search.count,
            healthy=jnp.isfinite(search.cost),
            converged=search.converged,
            trace_offsets=repeated_last(search.trace_offsets, search.count),
            trace_cost=repeated_last(search.trace_cost, search.count),
            trace_evaluations=lanes * jnp.minimum(1 + jnp.arange(self.iterations), search.count),
        )

    def _begin(self, start: Field) -> "_Search":
        size = start.shape[0]
        full = lambda value: jnp.full((), value, start.dtype)
        return _Search(
            offsets=start,
            cost=full(jnp.inf),
            matrix=jnp.eye(size, dtype=start.dtype),
            gradient=jnp.zeros_like(start),
            trial=start,
            promised=full(1.0),
            damping=full(self.damping),
            factor=full(2.0),
            count=jnp.zeros((), jnp.int32),
            active=jnp.ones((), bool),
            converged=jnp.zeros((), bool),
            trace_offsets=jnp.zeros((self.iterations, size), start.dtype),
            trace_cost=jnp.zeros(self.iterations, start.dtype),
        )

    def _advance(self, residuals: Residuals, search: "_Search") -> "_Search":
        value, jacobian = value_and_jacobian(residuals, search.trial)
        found = half_square(value)
        usable = jnp.isfinite(found) & jnp.all(jnp.isfinite(jacobian))
        first = search.count == 0
        accept = usable & (found < search.cost)
        choose = lambda new, old: jnp.where(accept, new, old)
        gain = (search.cost - found) / search.promised
        damping, factor = _damping(search, accept & ~first, first, gain)
        matrix = choose(projected(jacobian, jacobian), search.matrix)
        gradient = choose(projected(jacobian, value), search.gradient)
        offsets, cost = choose(search.trial, search.offsets), choose(found, search.cost)
        step, promised, cosine = _step(matrix, gradient, damping, cost)
        change = jnp.maximum(jnp.abs(search.cost - found), search.promised)
        converged = (
            (usable & ~first & (change <= self.cost_tolerance * cost))
            | (jnp.max(jnp.abs(step)) <= self.step_tolerance)
            | (cosine <= self.gradient_tolerance)
        )
        count = search.count + 1
        healthy = jnp.isfinite(cost)
        return _Search(
            offsets=offsets,
            cost=cost,
            matrix=matrix,
            gradient=gradient,
            trial=offsets + step,
            promised=promised,
            damping=damping,
            factor=factor,
            count=count,
            active=healthy & ~converged & (count < self.iterations),
            converged=healthy & converged,
            trace_offsets=search.trace_offsets.at[search.count].set(offsets),
            trace_cost=search.trace_cost.at[search.count].set(cost),
        )


class _Search(NamedTuple):
    offsets: Field
    cost: Field
    matrix: Field  # J^T J at `offsets`
    gradient: Field  # J^T r at `offsets`
    trial: Field
    promised: Field  # decrease of the cost at `trial`, by the linearised residuals
    damping: Field
    factor: Field  # by which the next failure raises the damping
    count: Field
    active: Field
    converged: Field
    trace_offsets: Field
    trace_cost: Field


def value_and_jacobian(residuals: Residuals, offsets: Field) -> tuple[Field, Field]:
    """Returns residuals (m,) and their Jacobian (m, p), from one pass with p tangents."""

    def twice(offsets: Field) -> tuple[Field, Field]:
        value = residuals(offsets)
        return value, value

    jacobian, value = jax.jacfwd(twice, has_aux=True)(offsets)
    return value, jacobian


def projected(jacobian: Field, columns: Field) -> Field:
    """Returns `J^T columns` in full precision, also where accelerators round by default."""
    return jnp.matmul(jacobian.T, columns, precision=jax.lax.Precision.HIGHEST)


def _damping(search: _Search, accept: Field, first: Field, gain: Field) -> tuple[Field, Field]:
    # Nielsen (1999), eq. 2.8: falls by up to 3 after a good step, rises ever faster after bad ones.
    # The gain is infinite at the first pass, which tries no step.
    good = search.damping * jnp.maximum(1 / 3, 1 - (2 * jnp.where(first, 1.0, gain) - 1) ** 3)
    damping = jnp.where(accept, good, search.damping * search.factor)
    factor = jnp.where(accept, 2.0, 2.0 * search.factor)
    unchanged = lambda new, old: jnp.where(first, old, new)
    return unchanged(damping, search.damping), unchanged(factor, search.factor)


def _step(
    matrix: Field, gradient: Field, damping: Field, cost: Field
) -> tuple[Field, Field, Field]:
    # The step, the decrease it promises, and the largest cosine of a column with the residuals.
    diagonal = jnp.diagonal(matrix)
    scale = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    scaled = matrix / jnp.outer(scale, scale)
    slope = gradient / scale
    damped = scaled + damping * jnp.eye(scale.shape[0], dtype=scale.dtype)
    step = -cho_solve(cho_factor(damped), slope)
    promised = 0.5 * jnp.sum(step * (damping * step - slope))
    cosine = jnp.max(jnp.abs(slope)) / jnp.sqrt(2 * jnp.where(cost > 0, cost, 1.0))
    return step / scale, promised, cosine
