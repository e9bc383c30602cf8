"""Searches of different lengths, some at a time: each finds what it finds alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.inversion.solvers.queue import run_queue
from kgml_jax.inversion.solvers.solution import Search, Solution

LENGTHS = np.array([3, 1, 7, 2, 2, 9, 1])


class Steps(NamedTuple):
    count: Any
    active: Any


def counting(row):
    """A search that goes on for `LENGTHS[row]` iterations, and finds its row and their number."""
    length = jnp.asarray(LENGTHS)[row]

    def advance(state):
        count = state.count + 1
        return Steps(count, count < length)

    def outcome(state):
        found = row.astype(float)
        trace = jnp.full(2, found)
        return Solution(
            offsets=jnp.full(3, found),
            cost=found,
            evaluations=state.count,
            healthy=row >= 0,
            converged=~state.active,
            trace_offsets=jnp.full((2, 3), found),
            trace_cost=trace,
            trace_evaluations=jnp.full(2, state.count),
        )

    return Search(Steps(jnp.zeros((), jnp.int32), jnp.ones((), bool)), advance, outcome)


@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 20])
def test_every_search_is_run_to_its_own_end_once(lanes):
    found = jax.jit(lambda: run_queue(len(LENGTHS), lanes, counting))()
    np.testing.assert_array_equal(found.evaluations, LENGTHS)
    np.testing.assert_array_equal(found.offsets, np.arange(7.0)[:, None] * np.ones(3))
    np.testing.assert_array_equal(found.trace_cost, np.arange(7.0)[:, None] * np.ones(2))
    assert np.all(found.converged)


def test_no_lane_waits_while_a_search_is_left():
    turns = []

    def watched(row):
        search = counting(row)

        def advance(state):
            jax.debug.callback(lambda row: turns.append(int(row)), row)
            return search.advance(state)

        return search._replace(advance=advance)

    jax.block_until_ready(jax.jit(lambda: run_queue(len(LENGTHS), 2, watched))())
    jax.effects_barrier()
    # In order, each search goes to the lane that is free first: lanes take 3 + 2 + 2 + 9 and
    # 1 + 7 + 1 iterations. In batches of two it would be 3 + 7 + 9 + 1.
    assert len(turns) == 2 * 16
