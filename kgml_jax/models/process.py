"""The process model by itself: the uncalibrated baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from kgml_jax import integrate
from kgml_jax.adaptation import Weights
from kgml_jax.models.control import (
    CONSERVED,
    Controller,
    Day,
    Memory,
    by_crop,
    constant,
)
from kgml_jax.models.observables import (
    YIELD,
    observed,
    over_the_year,
    require_observables,
)
from kgml_jax.models.updates import ScheduledUpdate, moves_of
from kgml_jax.process import ecosystem, soil_water, state_update
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes, Params, Source, State
from kgml_jax.process.state_update import Increment, Update
from kgml_jax.records import Field, quantities
from kgml_jax.sites import Site

Carried = tuple[State, Memory]
"""State of the site and memory of the controller between two days."""


@dataclass(frozen=True)
class ProcessModel:
    """The process model with parameters that differ from their priors by unbounded offsets.

    Attributes:
      spin_up_cycles: passes through the first days of the record before it starts; 0 starts from
        the site's attributes alone.
      spin_up_days: length of a pass; the default is a whole corn-soybean rotation.
      spin_up_differentiated: whether derivatives see how parameters shape the state that the
        passes lead to; needed where parameters are estimated.
      segment: days that the backward pass recomputes together; see `integrate.rollout`.
      gpp: where photosynthesis comes from: simulated, or prescribed by the forcing.
      observables: what is predicted beside `NAMES`: any of `FURTHER_NAMES`.
      updates: pools moved from outside on given dates, by amounts among the weights.

    Raises:
      ValueError: an observable has no such name.
    """

    spin_up_cycles: int = 0
    spin_up_days: int = 730
    spin_up_differentiated: bool = False
    segment: int | None = None
    gpp: Source = "simulated"
    observables: tuple[str, ...] = ()
    updates: tuple[ScheduledUpdate, ...] = ()

    def __post_init__(self) -> None:
        require_observables(self.observables)

    @property
    def conserves(self) -> tuple[str, ...]:
        """Budgets that close on every day; see `ecosystem.imbalance`."""
        return CONSERVED

    def init(self, key: jax.Array) -> Weights:
        """Returns the priors: zero offsets, and updates that move nothing, whatever the key."""
        zero = jnp.zeros((), jnp.result_type(float))
        amounts = (update.name for update in self.updates)
        return {"process": dict.fromkeys((*quantities(Params), *amounts), zero)}

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns daily fluxes of one site, each of shape (time,), in physical units.

        Args:
          weights: nested dict as from `init`.
          site: one site; read are forcing, attributes and calendar.
          key: not used.
        """
        return self.observe(weights, self.controller(weights, site), site)

    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what sets the parameters: nothing does after the first day but the crop."""
        return by_crop(weights, site.forcing.crop)

    def observe(self, weights: Weights, controller: Controller, site: Site) -> dict[str, Field]:
        """Returns what is predicted of one site whose parameters a controller sets, (time,)."""
        report = lambda day: observed(self.observables, day.fluxes)
        fluxes = self.reported(weights, controller, site, report)
        if YIELD in fluxes:
            fluxes[YIELD] = over_the_year(fluxes[YIELD], site.forcing.day_of_year)
        return fluxes

    def reported(
        self,
        weights: Weights,
        controller: Controller,
        site: Site,
        report: Callable[[Day], Any],
    ) -> Any:
        """Returns what `report` keeps of each day of one site, with its updates, (time, ...)."""
        days, moves = jnp.sum(site.valid), moves_of(self.updates, weights, site)
        return self.controlled(controller, site.attributes, site.forcing, report, days, moves)

    def run(
        self,
        params: Params,
        attributes: Attributes,
        forcing: Forcing,
        report: Callable[[Fluxes], Any],
        days: Field,
    ) -> Any:
        """Simulates one site with parameters that stay as they are.

        Args:
          params: in physical units, `()` leaves.
          attributes: `()` leaves.
          forcing: (time,) leaves.
          report: what to keep of a day's fluxes, a pytree.
          days: length of the record; later days only pad it, and spin-up leaves them out.

        Returns:
          What `report` keeps, with leaves (time, ...).
        """
        of_day = lambda day: report(day.fluxes)
        return self.controlled(constant(params), attributes, forcing, of_day, days)

    def controlled(
        self,
        controller: Controller,
        attributes: Attributes,
        forcing: Forcing,
        report: Callable[[Day], Any],
        days: Field,
        moves: Update | None = None,
    ) -> Any:
        """Simulates one site whose parameters a controller sets at the start of each day.

        Args:
          controller: acts in the spin-up as well; its memory then goes on into the record.
          attributes: `()` leaves.
          forcing: (time,) leaves.
          report: what to keep of a day, a pytree.
          days: length of the record; later days only pad it, and spin-up leaves them out.
          moves: of the pools at the start of each day, before the controller acts, leaves (time,);
            None moves nothing. The spin-up has none.

        Returns:
          What `report` keeps, with leaves (time, ...).
        """
        start = self.start(controller, attributes, forcing, days)
        return self.advance(controller, attributes, start, forcing, report, moves)[1]

    def start(
        self, controller: Controller, attributes: Attributes, forcing: Forcing, days: Field
    ) -> Carried:
        """Returns state and memory at the start of a record: implied by attributes, then spun up.

        Args:
          controller: acts in the spin-up.
          attributes: `()` leaves.
          forcing: (time,) leaves.
          days: length of the record.
        """
        carried = (ecosystem.initial_state(controller.params, attributes), controller.memory)
        if not self.spin_up_cycles:
            return carried
        record = (forcing, controller.inputs, None)
        first = jax.tree.map(lambda leaf: leaf[: self.spin_up_days], record)
        counts = jnp.arange(first[0].crop.shape[0]) < days
        step = self._step(controller, attributes, lambda day: None)

        def counted(carried: Carried, day: tuple) -> tuple[Carried, None]:
            after = step(carried, day[0])[0]
            return jax.tree.map(lambda new, old: jnp.where(day[1], new, old), after, carried), None

        passes = (first, counts), self.spin_up_cycles
        return integrate.spin_up(counted, carried, *passes, self.spin_up_differentiated)

    def advance(
        self,
        controller: Controller,
        attributes: Attributes,
        start: Carried,
        forcing: Forcing,
        report: Callable[[Day], Any],
        moves: Update | None = None,
    ) -> tuple[Carried, Any]:
        """Simulates one site from a given start, without spin-up.

        Args:
          controller: sets the parameters of each day.
          attributes: `()` leaves.
          start: state and memory before the first day, as from `start`.
          forcing: (time,) leaves.
          report: what to keep of a day, a pytree.
          moves: as in `controlled`.

        Returns:
          State and memory after the last day, and what `report` keeps, with leaves (time, ...).
        """
        step = self._step(controller, attributes, report)
        return integrate.rollout(step, start, (forcing, controller.inputs, moves), self.segment)

    def _step(
        self, controller: Controller, attributes: Attributes, report: Callable[[Day], Any]
    ) -> Callable[[Carried, tuple], tuple[Carried, Any]]:
        hydraulic = soil_water.hydraulics(controller.params, attributes)

        def moved(state: State, move: Update | None) -> tuple[State, Increment | None]:
            return (state, None) if move is None else state_update.update(hydraulic, state, move)

        def step(carried: Carried, day: tuple) -> tuple[Carried, Any]:
            (before, memory), (drivers, inputs, move) = carried, day
            state, added = moved(before, move)
            params, factors, memory = controller.act(memory, state, drivers, inputs)
            after, fluxes = ecosystem.step(params, attributes, state, drivers, self.gpp, factors)
            return (after, memory), report(Day(before, after, drivers, fluxes, added, state))

        return step


FROM_ATTRIBUTES = ProcessModel()
"""Starts at the state that a site's attributes imply."""
