"""Many searches, some at a time: a lane whose search is done takes the next one.

Searches need different numbers of iterations. Mapped in fixed batches, each batch would wait for
its slowest; here a lane waits for others within an iteration, and beyond it only when no search is
left.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kgml_jax.inversion.solvers.solution import Search, Solution
from kgml_jax.records import Field


class _Queue(NamedTuple):
    rows: Field  # search of each lane; the number of searches or more where the lane idles
    next: Field  # first search that no lane has begun
    states: Any  # of the lanes' searches
    found: Solution  # leaves (search, ...)


def run_queue(count: int, lanes: int, search_of: Callable[[Field], Search]) -> Solution:
    """Runs all searches; what one finds does not depend on the others, nor on the lanes.

    Args:
      count: of the searches.
      lanes: searches that advance together.
      search_of: from the row of a search, int32 (), to the search.

    Returns:
      What each search found, leaves (search, ...).
    """
    lanes = min(lanes, count)
    last = lambda rows: jnp.minimum(rows, count - 1)  # an idle lane repeats the last search
    begin = jax.vmap(lambda row: search_of(row).begin)
    advance = _mapped(lambda row, state: search_of(row).advance(state), lanes)
    outcome = jax.vmap(lambda row, state: search_of(row).outcome(state))

    def turn(queue: _Queue) -> _Queue:
        states = advance(last(queue.rows), queue.states)
        done = ~states.active
        finished = jnp.where(done, queue.rows, count)
        found = jax.tree.map(
            lambda all, new: all.at[finished].set(new, mode="drop"),
            queue.found,
            outcome(last(queue.rows), states),
        )
        rows = jnp.where(done, queue.next + jnp.cumsum(done, dtype=jnp.int32) - 1, queue.rows)
        fresh = begin(last(rows))
        return _Queue(
            rows=rows,
            next=queue.next + jnp.sum(done, dtype=jnp.int32),
            states=jax.tree.map(lambda new, old: _select(done, new, old), fresh, states),
            found=found,
        )

    rows = jnp.arange(lanes, dtype=jnp.int32)
    states = begin(rows)
    one = jax.eval_shape(outcome, rows, states)
    found = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), one)
    first = _Queue(rows, jnp.full((), lanes, jnp.int32), states, found)
    return jax.lax.while_loop(lambda queue: jnp.any(queue.rows < count), turn, first).found


def _mapped(function: Callable[..., Any], lanes: int) -> Callable[..., Any]:
    # A single lane is not vectorised: what a search does only at times would be done always.
    if lanes > 1:
        return jax.vmap(function)

    def alone(*arguments: Any) -> Any:
        only = jax.tree.map(lambda leaf: leaf[0], arguments)
        return jax.tree.map(lambda leaf: leaf[None], function(*only))

    return alone


def _select(lanes: Field, new: Field, old: Field) -> Field:
    return jnp.where(lanes.reshape(lanes.shape + (1,) * (new.ndim - 1)), new, old)
