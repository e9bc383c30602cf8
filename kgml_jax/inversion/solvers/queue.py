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

UNLIMITED = 2**31 - 1
"""Turns that end no queue."""


class Queue(NamedTuple):
    """All searches of one device, and how far they are; everything needed to go on."""

    rows: Field  # search of each lane; the number of searches or more where the lane idles
    next: Field  # first search that no lane has begun
    states: Any  # of the lanes' searches
    found: Solution  # leaves (search, ...)


def begin_queue(count: int, lanes: int, search_of: Callable[[Field], Search]) -> Queue:
    """Returns the queue before its first turn.

    Args:
      count: of the searches.
      lanes: searches that advance together.
      search_of: from the row of a search, int32 (), to the search.
    """
    lanes = min(lanes, count)
    rows = jnp.arange(lanes, dtype=jnp.int32)
    states = jax.vmap(lambda row: search_of(row).begin)(rows)
    one = jax.eval_shape(_outcome(search_of), rows, states)
    found = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), one)
    return Queue(rows, jnp.full((), lanes, jnp.int32), states, found)


def advance_queue(queue: Queue, search_of: Callable[[Field], Search], turns: Field) -> Queue:
    """Takes some turns, fewer where all searches have ended before.

    What a search finds depends neither on the others, nor on the lanes, nor on how the turns are
    divided.

    Args:
      queue: of all searches.
      search_of: as of `begin_queue`.
      turns: most turns, int32 ().
    """
    count = jax.tree.leaves(queue.found)[0].shape[0]
    lanes = queue.rows.shape[0]
    last = lambda rows: jnp.minimum(rows, count - 1)  # an idle lane repeats the last search
    begin = jax.vmap(lambda row: search_of(row).begin)
    advance = _mapped(lambda row, state: search_of(row).advance(state), lanes)
    outcome = _outcome(search_of)

    def turn(queue: Queue) -> Queue:
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
        return Queue(
            rows=rows,
            next=queue.next + jnp.sum(done, dtype=jnp.int32),
            states=jax.tree.map(lambda new, old: _select(done, new, old), fresh, states),
            found=found,
        )

    goes_on = lambda taken: jnp.any(taken[1].rows < count) & (taken[0] < turns)
    take = lambda taken: (taken[0] + 1, turn(taken[1]))
    return jax.lax.while_loop(goes_on, take, (jnp.zeros((), jnp.int32), queue))[1]


def run_queue(count: int, lanes: int, search_of: Callable[[Field], Search]) -> Solution:
    """Runs all searches to their ends; see `begin_queue`.

    Returns:
      What each search found, leaves (search, ...).
    """
    begun = begin_queue(count, lanes, search_of)
    return advance_queue(begun, search_of, jnp.asarray(UNLIMITED, jnp.int32)).found


def _outcome(search_of: Callable[[Field], Search]) -> Callable[[Field, Any], Solution]:
    return jax.vmap(lambda row, state: search_of(row).outcome(state))


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
