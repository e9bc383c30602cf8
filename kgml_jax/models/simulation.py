"""The process model at many sites, from parameters to daily fluxes: what makes synthetic truth."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from kgml_jax.models.observables import NAMES
from kgml_jax.models.process import FROM_ATTRIBUTES
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes, Params
from kgml_jax.records import Field, quantities

GRAIN = "grain_carbon"
"""Carbon exported with grain, g C m-2 d-1: beside the variables, what `simulate_sites` returns."""

Arrays = Mapping[str, np.ndarray]


class Simulator(Protocol):
    """What simulates one site from its parameters; hashable, such as `ProcessModel`."""

    def run(
        self,
        params: Params,
        attributes: Attributes,
        forcing: Forcing,
        report: Callable[[Fluxes], Any],
        days: Field,
    ) -> Any:
        """Returns what `report` keeps of the fluxes of each day; see `ProcessModel.run`."""
        ...


@functools.partial(jax.jit, static_argnames=("outputs", "model"))
def simulate(
    params: Params,
    attributes: Attributes,
    forcing: Forcing,
    days: Field,
    outputs: tuple[str, ...],
    model: Simulator = FROM_ATTRIBUTES,
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

    def site(params: Params, attributes: Attributes, forcing: Forcing, days: Field) -> Any:
        return model.run(params, attributes, forcing, report, days)

    mesh = Mesh(np.array(jax.local_devices()), ("site",), axis_types=(AxisType.Auto,))
    by_site = PartitionSpec("site")
    mapped = jax.shard_map(
        jax.vmap(site), mesh=mesh, in_specs=by_site, out_specs=by_site, check_vma=False
    )
    return mapped(params, attributes, forcing, days)


def simulate_batches(
    parameters: Arrays,
    attributes: Arrays,
    forcing: Arrays,
    outputs: Sequence[str],
    site_batch: int = 64,
    model: Simulator = FROM_ATTRIBUTES,
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
    model: Simulator,
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
        daily = simulate(*batch, lengths, outputs=outputs, model=model)
        kept = slice(start, min(start + size, count))
        length = kept.stop - kept.start
        yield kept, {name: np.asarray(daily[name])[:length] for name in outputs}


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


def priors(count: int) -> dict[str, np.ndarray]:
    """Returns the prior of every parameter for `count` sites, in physical units."""
    return {name: np.full(count, prior.default) for name, prior in quantities(Params).items()}


def as_record(cls: Any, arrays: Arrays, rows: np.ndarray) -> Any:
    """Returns the named arrays, at some `rows` of their first axis, as a record of class `cls`."""
    real, whole = np.dtype(jnp.result_type(float)), np.dtype(jnp.result_type(int))
    as_stored = lambda v: v.astype(whole if np.issubdtype(v.dtype, np.integer) else real)
    return cls(**{name: as_stored(np.asarray(arrays[name])[rows]) for name in quantities(cls)})
