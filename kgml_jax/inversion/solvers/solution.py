"""What every solver returns for one site, and what a solver is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

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


class Search(NamedTuple):
    """A search of one site from one start, one iteration at a time.

    Attributes:
      begin: state before the first iteration, a pytree with a field `active`, bool (): whether to
        go on.
      advance: from a state to the next.
      outcome: from a state to what has been found until then.
    """

    begin: Any
    advance: Callable[[Any], Any]
    outcome: Callable[[Any], Solution]


class Solver(ABC):
    """A way of minimising half the sum of squared residuals; implementations are frozen."""

    @abstractmethod
    def solve(self, residuals: Residuals, start: Field, key: jax.Array) -> Solution:
        """Searches from `start`, (p,), until done; `key` seeds what is drawn, if anything is."""


class HostSolver(Solver):
    """One that is no JAX program: it solves sites one after the other, with compiled residuals."""


class SearchSolver(Solver):
    """One whose searches are JAX programs, so that those of all sites are a single program."""

    @abstractmethod
    def search(self, residuals: Residuals, start: Field, key: jax.Array) -> Search:
        """Returns the search from `start`, (p,); `key` seeds what is drawn, if anything is."""

    def solve(self, residuals: Residuals, start: Field, key: jax.Array) -> Solution:
        """Searches from `start`, (p,), until done."""
        search = self.search(residuals, start, key)
        return search.outcome(
            jax.lax.while_loop(lambda state: state.active, search.advance, search.begin)
        )


def half_square(residuals: Field) -> Field:
    """Returns the cost: half the sum of squares."""
    return 0.5 * jnp.sum(residuals**2)


def repeated_last(trace: Field, count: Field) -> Field:
    """Returns a trace, (k, ...), of which `count` entries were written, the last repeated."""
    return trace[jnp.minimum(jnp.arange(trace.shape[0]), count - 1)]
