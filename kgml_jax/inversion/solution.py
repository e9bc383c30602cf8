"""What every solver returns for one site, and what a solver is."""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from kgml_jax.records import Field, record

Residuals = Callable[[Field], Field]
"""Residuals (m,) of one site as a function of its offsets (p,)."""


@record
class Solution:
    """Outcome of estimating one site from one start.

    Attributes:
      offsets: best found, (p,); the start where nothing better was.
      cost: half the sum of squared residuals there, ().
      evaluations: simulations of the site's record spent, int32 (). A tangent of forward mode
        counts as one, a gradient of reverse mode as `gradient.GRADIENT_COST`.
      healthy: False where the start itself is not finite, bool ().
      converged: False where the budget ended the search, bool ().
      trace_offsets: best found until each iteration, (k, p); the last repeats to the end.
      trace_cost: half the sum of squared residuals there, (k,).
      trace_evaluations: simulations spent until then, int32 (k,).
    """

    offsets: Field
    cost: Field
    evaluations: Field
    healthy: Field
    converged: Field
    trace_offsets: Field
    trace_cost: Field
    trace_evaluations: Field


class Solver(Protocol):
    """A way of minimising half the sum of squared residuals; implementations are frozen."""

    def solve(self, residuals: Residuals, start: Field, key: jax.Array) -> Solution:
        """Searches from `start`, (p,)."""
        ...


def half_square(residuals: Field) -> Field:
    """Returns the cost: half the sum of squares."""
    return 0.5 * jnp.sum(residuals**2)


def repeated_last(trace: Field, count: Field) -> Field:
    """Returns a trace, (k, ...), of which `count` entries were written, the last repeated."""
    return trace[jnp.minimum(jnp.arange(trace.shape[0]), count - 1)]
