"""The process model by itself: the uncalibrated baseline, and what generates synthetic truth."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from kgml_jax import integrate
from kgml_jax.adaptation import Weights
from kgml_jax.models.control import (
    CONSERVED,
    Controller,
    Day,
    Memory,
    constant,
    constrained,
    offsets_of,
)
from kgml_jax.models.observables import (
    FURTHER_NAMES,
    NAMES,
    YIELD,
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

GRAIN = "grain_carbon"
"""Carbon exported with grain, g C m-2 d-1: beside the variables, what `simulate_sites` returns."""

Arrays = Mapping[str, np.ndarray]


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
        """Returns what sets the parameters: nothing does after the first day."""
        return constant(constrained(offsets_of(weights), {}))

    def observe(self, weights: Weights, controller: Controller, site: Site) -> dict[str, Field]:
        """Returns what is predicted of one site whose parameters a controller sets, (time,)."""
        names = NAMES | {name: FURTHER_NAMES[name] for name in self.observables}
        report = lambda day: {name: getattr(day.fluxes, field) for name, field in names.items()}
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
        hydraulic = soil_water.hydraulics(controller.params, attributes)

        def moved(state: State, move: Update | None) -> tuple[State, Increment | None]:
            return (state, None) if move is None else state_update.update(hydraulic, state, move)

        def step(carry: tuple[State, Memory], day: tuple) -> tuple[tuple[State, Memory], Any]:
            (before, memory), (drivers, inputs, move) = carry, day
            state, added = moved(before, move)
            params, factors, memory = controller.act(memory, state, drivers, inputs)
            after, fluxes = ecosystem.step(params, attributes, state, drivers, self.gpp, factors)
            return (after, memory), report(Day(before, after, drivers, fluxes, added))

        carry = (ecosystem.initial_state(controller.params, attributes), controller.memory)
        if self.spin_up_cycles:
            carry = self._spun_up(step, carry, (forcing, controller.inputs, None), days)
        record = (forcing, controller.inputs, moves)
        return integrate.rollout(step, carry, record, self.segment)[1]

    def _spun_up(self, step: integrate.Step, carry: Any, record: Any, days: Field) -> Any:
        first = jax.tree.map(lambda leaf: leaf[: self.spin_up_days], record)
        counts = jnp.arange(first[0].crop.shape[0]) < days

        def counted(carry: Any, day: tuple) -> tuple[Any, None]:
            after = step(carry, day[0])[0]
            return jax.tree.map(lambda new, old: jnp.where(day[1], new, old), after, carry), None

        passes = (first, counts), self.spin_up_cycles
        return integrate.spin_up(counted, carry, *passes, self.spin_up_differentiated)


FROM_ATTRIBUTES = ProcessModel()
"""Starts at the state that a site's attributes imply."""


@functools.partial(jax.jit, static_argnames=("outputs", "model"))
def simulate(
    params: Params,
    attributes: Attributes,
    forcing: Forcing,
    days: Field,
    outputs: tuple[str, ...],
    model: ProcessModel = FROM_ATTRIBUTES,
) -> dict[str, Field]:
    """Runs the process model at some sites at once, an equal share of them on each device.

    Args:
      params: in physical units, (site,) leaves; the number of devices divides that of the sites.
      attributes: (site,) leaves.
      forcing: (site, time) leaves.
      days: length of each record, (site,).
      outputs: fields of `Fluxes` to return.
      model: spin-up, and where photosynthesis comes from.

    Returns:
      The outputs by name, each of shape (site, time, ...).
    """
    report = lambda day: {name: getattr(day, name) for name in outputs}

    def one(params: Params, attributes: Attributes, forcing: Forcing, days: Field) -> Any:
        return model.run(params, attributes, forcing, report, days)

    mesh = Mesh(np.array(jax.local_devices()), ("site",), axis_types=(AxisType.Auto,))
    by_site = PartitionSpec("site")
    mapped = jax.shard_map(
        jax.vmap(one), mesh=mesh, in_specs=by_site, out_specs=by_site, check_vma=False
    )
    return mapped(params, attributes, forcing, days)


def simulate_batches(
    parameters: Arrays,
    attributes: Arrays,
    forcing: Arrays,
    outputs: Sequence[str],
    site_batch: int = 64,
    model: ProcessModel = FROM_ATTRIBUTES,
    days: np.ndarray | None = None,
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Runs the process model at many sites, some at a time, on all devices.

    All batches have one shape, the last being filled up, so that any number of sites takes one
    compilation for a length of the record. Beside the arguments, memory holds one batch.

    Args:
      parameters: fields of `Params` in physical units, each of shape (site,).
      attributes: fields of `Attributes`, each of shape (site,).
      forcing: all fields of `Forcing`, each of shape (site, time).
      outputs: fields of `Fluxes` to return.
      site_batch: sites simulated at once; rounded up to a multiple of the devices.
      model: spin-up, and where photosynthesis comes from.
      days: length of each record, (site,), where they are padded to a common one.

    Returns:
      An iterator of rows of the sites, and their outputs by name, each of shape (site, time, ...).

    Raises:
      ValueError: an output has no such name.
    """
    if unknown := sorted(set(outputs) - set(quantities(Fluxes))):
        raise ValueError(
            f"no output {', '.join(unknown)}; there are {', '.join(quantities(Fluxes))}"
        )
    size = site_batch + -site_batch % jax.local_device_count()
    length = forcing["crop"].shape[1]
    lengths = np.full(len(forcing["crop"]), length) if days is None else np.asarray(days)
    return _batches((parameters, attributes, forcing), lengths, tuple(outputs), size, model)


def _batches(
    arrays: tuple[Arrays, Arrays, Arrays],
    days: np.ndarray,
    outputs: tuple[str, ...],
    size: int,
    model: ProcessModel,
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    count = len(next(iter(arrays[0].values())))
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        batch = (
            as_record(record, some, rows)
            for record, some in zip((Params, Attributes, Forcing), arrays, strict=True)
        )
        # In NumPy: converted by JAX, the lengths would take a compilation of their own.
        lengths = days[rows].astype(np.dtype(jnp.result_type(int)))
        found = simulate(*batch, lengths, outputs=outputs, model=model)
        kept = slice(start, min(start + size, count))
        length = kept.stop - kept.start
        yield kept, {name: np.asarray(found[name])[:length] for name in outputs}


def simulate_sites(
    parameters: Arrays,
    attributes: Arrays,
    forcing: Arrays,
    site_batch: int = 64,
    outputs: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Runs the process model at many sites, from the state their attributes imply.

    Args:
      parameters: fields of `Params` in physical units, each of shape (site,).
      attributes: fields of `Attributes`, each of shape (site,).
      forcing: all fields of `Forcing`, each of shape (site, time).
      site_batch: sites simulated at once.
      outputs: fields of `Fluxes` to return beside the variables.

    Returns:
      Daily fluxes by the names of `NAMES`, `grain_carbon` (exported with grain), and the outputs,
      each of shape (site, time, ...).
    """
    names = {name: name for name in outputs} | NAMES | {GRAIN: "grain_carbon_harvested"}
    size = min(site_batch, len(next(iter(parameters.values()))))
    asked = tuple(dict.fromkeys(names.values()))
    batches = simulate_batches(parameters, attributes, forcing, asked, size)
    parts = [values for _, values in batches]
    return {name: np.concatenate([part[field] for part in parts]) for name, field in names.items()}


def as_record(cls: Any, arrays: Arrays, rows: np.ndarray) -> Any:
    """Returns the named arrays, at some `rows` of their first axis, as a record of class `cls`."""
    real, whole = np.dtype(jnp.result_type(float)), np.dtype(jnp.result_type(int))
    as_stored = lambda v: v.astype(whole if np.issubdtype(v.dtype, np.integer) else real)
    return cls(**{name: as_stored(np.asarray(arrays[name])[rows]) for name in quantities(cls)})
