"""The only place that maps over sites: over devices by shards, on each device by batches."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

SITE_AXIS = "site"


def site_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Returns a one-dimensional mesh over `devices`, by default all local ones."""
    devices = devices or jax.local_devices()
    # Automatic axes: explicit ones, the default of make_mesh, break jit(vmap(grad(scan))).
    return Mesh(np.array(devices), (SITE_AXIS,), axis_types=(AxisType.Auto,))


def dividing_mesh(count: int) -> Mesh:
    """Returns the mesh of as many local devices as share `count` evenly."""
    devices = jax.local_devices()
    return site_mesh(devices[: max(n for n in range(1, len(devices) + 1) if count % n == 0)])


def map_sites(
    function: Callable[..., Any], mesh: Mesh, site_batch: int, shared: int = 0
) -> Callable[..., Any]:
    """Maps a function of one site over the leading axis of its arguments, without collectives.

    Args:
      function: `function(*shared_arguments, *site_arguments)` for one site.
      mesh: devices; each takes an equal share of the sites.
      site_batch: sites a device advances at once. 1 runs them one after the other, which is the
        fastest on a CPU; more fill an accelerator and cost memory. Results do not depend on it.
      shared: how many leading arguments are shared by all sites.

    Returns:
      A function of arrays with a leading site axis, whose length the number of devices divides.
    """

    def on_one_device(*arguments: Any) -> Any:
        common, own = arguments[:shared], arguments[shared:]
        one = lambda site_arguments: function(*common, *site_arguments)
        return jax.lax.map(one, own, batch_size=site_batch if site_batch > 1 else None)

    return map_devices(on_one_device, mesh, shared)


def map_devices(function: Callable[..., Any], mesh: Mesh, shared: int = 0) -> Callable[..., Any]:
    """Gives every device an equal share of the sites, without collectives.

    Args:
      function: `function(*shared_arguments, *site_arguments)` of the sites of one device, with a
        leading site axis.
      mesh: devices.
      shared: how many leading arguments are shared by all sites.

    Returns:
      A function of arrays with a leading site axis, whose length the number of devices divides.
    """

    def mapped(*arguments: Any) -> Any:
        specs = (PartitionSpec(),) * shared + (PartitionSpec(SITE_AXIS),) * (
            len(arguments) - shared
        )
        return jax.shard_map(
            function,
            mesh=mesh,
            in_specs=specs,
            out_specs=PartitionSpec(SITE_AXIS),
            check_vma=False,
        )(*arguments)

    return mapped


def pad_sites(tree: Any, multiple: int) -> Any:
    """Repeats the first site until the number of sites is a multiple of `multiple`."""
    count = jax.tree.leaves(tree)[0].shape[0]
    rows = np.concatenate([np.arange(count), np.zeros(-count % multiple, dtype=int)])
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def one_unit(tree: Any, row: int) -> Any:
    """Returns one unit of a tree whose leaves have a leading axis of units."""
    return jax.tree.map(lambda leaf: leaf[row], tree)


def repeated(tree: Any, count: int) -> Any:
    """Returns the same tree for `count` units, leaves (unit, ...)."""
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, axis=0), tree)
