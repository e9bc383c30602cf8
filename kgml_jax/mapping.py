"""The only place that maps over sites: over devices by shards, on each device by batches."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

SITE_AXIS = "site"

ROUNDING = 1e-5
"""Largest difference, relative to the largest value, between what the same training ends with by
other numbers of sites at once or of devices: single precision rounds in another order (measured: up
to 3e-6 and 5e-6). With equal numbers of both, results are equal to the bit."""


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
        fastest on a CPU; more fill an accelerator and cost memory. Results depend on it
        by rounding alone; see `ROUNDING`.
      shared: how many leading arguments are shared by all sites.

    Returns:
      A function of arrays with a leading site axis, whose length the number of devices divides.
    """
    on_one_device = partial(_in_batches, function, (), site_batch, shared)
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


def over_sites(
    function: Callable[..., Any],
    own: tuple[Any, ...],
    *,
    static: tuple[Any, ...] = (),
    shared: tuple[Any, ...] = (),
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> Any:
    """Calls a function of one site for all sites at once, on all devices.

    Args:
      function: `function(*static, *shared, *own)` of one site, from a module or a class: an equal
        call, and every other of a function with equal `static` and shapes, is compiled once.
      own: what belongs to a site, arrays with a leading site axis.
      static: hashable, such as a model.
      shared: arrays for all sites, such as weights.
      site_batch: sites a device advances at once; see `map_sites`.
      devices: to spread the sites over, by default all local ones.

    Returns:
      What the function returns, NumPy arrays with a leading site axis.
    """
    how = (function, static, site_batch, len(shared))
    return over_shares(_in_batches, own, static=how, shared=shared, devices=devices)


def over_shares(
    function: Callable[..., Any],
    own: tuple[Any, ...],
    *,
    static: tuple[Any, ...] = (),
    shared: tuple[Any, ...] = (),
    devices: Sequence[Any] | None = None,
) -> Any:
    """Calls a function of the sites of one device for all sites at once; see `over_sites`."""
    mesh, count = site_mesh(devices), jax.tree.leaves(own)[0].shape[0]
    found = on_shares(function, static, mesh, on_all_devices(mesh, shared), spread_out(mesh, own))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], found)


@partial(jax.jit, static_argnums=(0, 1, 2))
def on_shares(
    function: Callable[..., Any], static: tuple[Any, ...], mesh: Mesh, shared: Any, own: Any
) -> Any:
    """Calls a function of the sites of one device; what it returns stays on the devices.

    Args:
      function: as of `over_shares`.
      static: hashable.
      mesh: devices.
      shared: arrays for all sites, on all devices (`on_all_devices`).
      own: arrays with a leading site axis, an equal share on every device (`spread_out`).
    """
    return map_devices(partial(function, *static), mesh, len(shared))(*shared, *own)


def _in_batches(
    function: Callable[..., Any],
    static: tuple[Any, ...],
    site_batch: int,
    shared: int,
    *arguments: Any,
) -> Any:
    # The sites of one device.
    common, own = arguments[:shared], arguments[shared:]
    one = lambda site_arguments: function(*static, *common, *site_arguments)
    return jax.lax.map(one, own, batch_size=site_batch if site_batch > 1 else None)


def pad_sites(tree: Any, multiple: int) -> Any:
    """Repeats the first site until the number of sites is a multiple of `multiple`."""
    count = jax.tree.leaves(tree)[0].shape[0]
    rows = np.concatenate([np.arange(count), np.zeros(-count % multiple, dtype=int)])
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def spread_out(mesh: Mesh, tree: Any) -> Any:
    """Returns arrays with a leading site axis, padded, an equal share on every device."""
    by_site = NamedSharding(mesh, PartitionSpec(SITE_AXIS))
    return jax.device_put(pad_sites(tree, mesh.size), by_site)


def on_all_devices(mesh: Mesh, tree: Any) -> Any:
    """Returns arrays of which every device has a copy."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def one_of(tree: Any, row: int) -> Any:
    """Returns what belongs to one site, or fit, of a tree whose leaves have a leading axis."""
    return jax.tree.map(lambda leaf: leaf[row], tree)


def repeated(tree: Any, count: int) -> Any:
    """Returns the same tree for `count` sites, or fits, leaves (count, ...)."""
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, axis=0), tree)
