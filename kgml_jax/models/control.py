"""Controllers: what sets the parameters of the process model, once or day by day.

Whatever a network says to a parameter is an offset in the unbounded space of `bijections`: any
value keeps the parameter within its bounds, and with parameters within bounds the daily step
conserves.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from kgml_jax import bijections
from kgml_jax.adaptation import Weights
from kgml_jax.process.crops import NAMES
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.ecosystem import Fluxes, Params, State
from kgml_jax.process.factors import Factors
from kgml_jax.process.parameters import parted
from kgml_jax.process.state_update import Increment
from kgml_jax.records import Field, quantities

CONSERVED = ("carbon", "nitrogen", "water", "heat")
"""Budgets of the process model that close on every day, by the names of `ecosystem.Imbalance`."""

REACH = 1.5
"""Largest daily offset, in unbounded space or of the logarithm of a flux: a factor of 4.5."""

Memory = Any
Act = Callable[[Memory, State, Forcing, Any], tuple[Params, Factors | None, Memory]]
"""`(memory, state, forcing of the day, inputs of the day) -> (params, factors, memory)`."""


class Controller(NamedTuple):
    """Sets parameters, and factors on fluxes, of each day of one site.

    Attributes:
      params: of the state before the first day, physical units.
      act: called at the start of each day, inside the scan.
      memory: what `act` carries from day to day, before the first; any pytree.
      inputs: what `act` is shown of each day; leaves (time, ...).
    """

    params: Params
    act: Act
    memory: Memory = ()
    inputs: Any = ()


class Day(NamedTuple):
    """A day of a simulation, `()` leaves, in the order of `ecosystem.imbalance`.

    Attributes:
      before: state at its start, before an update of the pools.
      after: state at its end.
      forcing: of the day.
      fluxes: of the day.
      added: by an update at its start; None in a simulation that has none.
      moved: state after that update.
    """

    before: State
    after: State
    forcing: Forcing
    fluxes: Fluxes
    added: Increment | None = None
    moved: State | None = None


def constant(params: Params) -> Controller:
    """Returns the controller that leaves `params` as they are."""
    return Controller(params, lambda memory, state, forcing, inputs: (params, None, memory))


def scheduled(params: Params, changes: Mapping[str, Field]) -> Controller:
    """Returns the controller that gives named parameters a known value a day.

    Args:
      params: of the first state, and of all that is not named.
      changes: physical values of each day, (time,).
    """

    def act(memory: Memory, state: State, forcing: Forcing, today: Any) -> tuple:
        return dataclasses.replace(params, **today), None, memory

    return Controller(params, act, inputs=dict(changes))


def by_crop(weights: Weights, crop: Field) -> Controller:
    """Returns the controller that gives every day the traits of its crop.

    Args:
      weights: of a model; beside the offsets of all parameters they may hold further ones of the
        traits of some crops, `weights["process"]["TRAIT:CROP"]`, which add to them.
      crop: row of the crop table of each day, int (time,); -1 where not known, which has no more
        than what all crops have.
    """
    offsets = offsets_of(weights)
    rows: dict[str, Field] = {}
    for name, offset in weights["process"].items():  # type: ignore[union-attr]
        trait, of = parted(name)
        if of:
            before = rows.get(trait, jnp.zeros(len(NAMES) + 1, jnp.result_type(offset)))
            rows[trait] = before.at[NAMES.index(of)].add(offset)
    params = constrained(offsets, {})
    if not rows:
        return constant(params)
    # Unknown crops read the last row, which holds nothing.
    row = jnp.where(crop >= 0, crop, len(NAMES)).astype(int)
    return scheduled(params, {n: v[row] for n, v in constrained_some(offsets, rows).items()})


def offsets_of(weights: Weights) -> dict[str, Field]:
    """Returns the unbounded offsets of all parameters that the weights of a model hold.

    Amounts of scheduled updates and traits of single crops, which the weights may hold beside them,
    are left out.
    """
    declared = quantities(Params)
    held: Mapping[str, Field] = weights["process"]  # type: ignore[assignment]
    return {name: offset for name, offset in held.items() if name in declared}


def constrained(offsets: Mapping[str, Field], changes: Mapping[str, Field]) -> Params:
    """Returns parameters in physical units.

    Args:
      offsets: unbounded offset of every parameter from its prior, `()`.
      changes: what is added to those of some.
    """
    moved = {name: offsets[name] + change for name, change in changes.items()}
    return bijections.constrain_offsets(Params, {**offsets, **moved})


def constrained_some(
    offsets: Mapping[str, Field], changes: Mapping[str, Field]
) -> dict[str, Field]:
    """Returns the changed parameters alone, in physical units, by name; arguments as above."""
    moved = {name: offsets[name] + change for name, change in changes.items()}
    record = bijections.constrain_offsets(Params, moved)
    return {name: getattr(record, name) for name in moved}


def bounded(raw: Field) -> Field:
    """Maps any number into (-`REACH`, `REACH`), 0 to 0, with a slope of `REACH` there."""
    return REACH * jnp.tanh(raw)


def require_parameters(names: Sequence[str]) -> None:
    """Refuses what a network cannot move.

    Raises:
      ValueError: a name is no parameter of the process model, or stands twice.
    """
    declared = quantities(Params)
    if unknown := [name for name in names if name not in declared]:
        raise ValueError(f"no parameter {', '.join(unknown)}; there are {', '.join(declared)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a parameter is named twice in {', '.join(names)}")
