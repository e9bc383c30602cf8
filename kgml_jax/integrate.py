"""Running a daily step through the days of one site."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

State = TypeVar("State")
Step = Callable[[State, Any], tuple[State, Any]]


def rollout(
    step: Step, state: State, forcing: Any, segment: int | None = None
) -> tuple[State, Any]:
    """Advances `state` through every day of `forcing`.

    Args:
      step: `(state, forcing of a day) -> (state, fluxes of the day)`.
      state: state before the first day.
      forcing: pytree with leaves (time, ...).
      segment: how the backward pass saves memory. None recomputes each day from the state before
        it, which stores one state a day. An integer recomputes blocks of that many days as well:
        it stores one state a block and the days of a single block, at the price of one more
        forward pass. The number of days need not be a multiple of it.

    Returns:
      The state after the last day, and the fluxes with leaves (time, ...).
    """
    daily = jax.checkpoint(step)
    if segment is None:
        return jax.lax.scan(daily, state, forcing)
    days = jax.tree.leaves(forcing)[0].shape[0]
    whole = days // segment * segment
    blocks = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, segment, *leaf.shape[1:]), forcing)
    block = jax.checkpoint(lambda carry, some: jax.lax.scan(daily, carry, some))
    state, fluxes = jax.lax.scan(block, state, blocks)
    fluxes = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), fluxes)
    if whole == days:
        return state, fluxes
    rest = jax.tree.map(lambda leaf: leaf[whole:], forcing)
    state, tail = block(state, rest)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), fluxes, tail)


def spin_up(
    step: Step, state: State, forcing: Any, cycles: int, differentiated: bool = False
) -> State:
    """Returns `state` after `cycles` passes through `forcing`.

    Args:
      step: `(state, forcing of a day) -> (state, anything)`.
      state: before the first pass.
      forcing: pytree with leaves (time, ...).
      cycles: number of passes.
      differentiated: whether derivatives know how the result came about; without, it is a constant
        to them, which spares the memory and the backward pass.
    """
    kept = (lambda tree: tree) if differentiated else jax.lax.stop_gradient
    daily = jax.checkpoint(lambda carry, drivers: (step(carry, drivers)[0], None))

    def cycle(carry: State, _: None) -> tuple[State, None]:
        return jax.lax.scan(daily, carry, forcing)

    end, _ = jax.lax.scan(cycle, kept(state), None, length=cycles)
    return kept(end)
