"""Lowers both training steps for TPU on any machine, and compiles them where libtpu is installed.

Needs no TPU: shapes stand for arrays. `python tpu/compile.py --help`.
"""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgml_jax.adaptation import PRESETS
from kgml_jax.backend import use_cpu_cores
from kgml_jax.mapping import SITE_AXIS, map_sites, site_mesh
from kgml_jax.models.features import DEFAULT_INPUTS, Scale, Scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import MassBalance
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import quantities
from kgml_jax.sites import Calendar, Site
from kgml_jax.training.fit import Descent, Direct, Settings
from kgml_jax.training.windows import FitData

TARGETS = ("GPP", "Ra", "Rh", "Reco", "NEE")
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute")


@dataclasses.dataclass(frozen=True)
class CompileConfig:
    """Lower and, if a topology is named, compile one round of pretraining and of calibration."""

    sites: int = 64
    """Sites calibrated at once."""
    windows: int = 8
    """Site-years of a site."""
    days: int = 426
    """Days of a window, warm-up included."""
    hidden: int = 64
    """Width of the recurrent layers."""
    layers: int = 2
    """Recurrent layers of the basis and of heterotrophic respiration."""
    site_batch: int = 16
    """Sites a device advances at once."""
    topology: str = ""
    """TPU topology to compile for, such as v5e:2x2; needs libtpu (extra `tpu`)."""


def shape(*axes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Returns an array without numbers."""
    return jax.ShapeDtypeStruct(axes, dtype)


def abstract_windows(*axes: int) -> Site:
    """Returns a `Site` of shapes with leading `axes` (..., window) and the days last."""
    daily = lambda dtype=jnp.float32: shape(*axes, dtype=dtype)
    drivers = {name: daily() for name in quantities(Forcing)}
    drivers["crop"] = daily(jnp.int32)
    return Site(
        forcing=Forcing(**drivers),
        attributes=Attributes(**{name: shape(*axes[:-1]) for name in quantities(Attributes)}),
        targets={name: daily() for name in TARGETS},
        mask={name: daily(jnp.bool_) for name in TARGETS},
        uncertainty={name: daily() for name in TARGETS},
        calendar=Calendar(**{name: daily(jnp.int32) for name in quantities(Calendar)}),
        valid=daily(jnp.bool_),
        identity=shape(*axes[:-1], dtype=jnp.uint32),
        group=shape(*axes[:-1], dtype=jnp.int32),
    )


def abstract_data(config: CompileConfig, windows: int, *axes: int) -> FitData:
    """Returns the shapes of what fits see, with leading `axes`."""
    return FitData(
        training=abstract_windows(*axes, windows, config.days),
        training_count=shape(*axes, dtype=jnp.int32),
        validation=abstract_windows(*axes, windows, config.days),
        validation_count=shape(*axes, dtype=jnp.int32),
        identity=shape(*axes, dtype=jnp.uint32),
    )


def make_model(config: CompileConfig) -> tuple[RecurrentModel, Total]:
    """Returns the default network and objective with a neutral standardisation."""
    neutral = lambda names: tuple(Scale(name, 0.0, 1.0) for name in names)
    scaling = Scaling(inputs=neutral(DEFAULT_INPUTS), targets=neutral(TARGETS))
    error = MaskedError(scales=tuple((name, 1.0) for name in TARGETS))
    objective = Total(terms=(Term("error", error), Term("mass_balance", MassBalance())))
    model = RecurrentModel(
        scaling=scaling,
        hidden=config.hidden,
        basis_layers=config.layers,
        rh_layers=config.layers,
    )
    return model, objective


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Returns shapes with their placement on the mesh."""
    place = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    return jax.tree.map(place, tree)


def pretraining_round(config: CompileConfig, mesh: Mesh) -> Any:
    """Traces one round of data-parallel pretraining on a mesh."""
    model, objective = make_model(config)
    weights = jax.eval_shape(model.init, jax.random.key(0))
    everywhere = NamedSharding(mesh, PartitionSpec())
    descent = Descent(
        model,
        objective,
        Direct(),
        Settings(steps=100, batch=4 * mesh.size, learning_rate=1e-3, cosine=True),
        batch_sharding=NamedSharding(mesh, PartitionSpec(SITE_AXIS)),
    )
    data = abstract_data(config, 8 * mesh.size)
    fit = jax.eval_shape(descent.init, weights, data, jax.random.key(0))
    arguments = placed(({}, fit, data), everywhere)
    return jax.jit(descent.round, out_shardings=everywhere).trace(*arguments)


def calibration_round(config: CompileConfig, mesh: Mesh) -> Any:
    """Traces one round of the calibration of all sites on a mesh."""
    model, objective = make_model(config)
    weights = jax.eval_shape(model.init, jax.random.key(0))
    descent = Descent(model, objective, PRESETS["ftbsc"], Settings(steps=100, batch=4))
    data = abstract_data(config, config.windows, config.sites)
    start = lambda own, key: descent.init(jax.tree.map(jnp.zeros_like, weights), own, key)
    fits = jax.eval_shape(jax.vmap(start, in_axes=(0, None)), data, jax.random.key(0))
    everywhere = NamedSharding(mesh, PartitionSpec())
    by_site = NamedSharding(mesh, PartitionSpec(SITE_AXIS))
    arguments = (placed(weights, everywhere), placed(fits, by_site), placed(data, by_site))
    mapped = map_sites(descent.round, mesh, config.site_batch, shared=1)
    return jax.jit(mapped).trace(*arguments)


def collectives(text: str) -> dict[str, int]:
    """Counts the collective operations in HLO or StableHLO text."""
    plain = text.replace("stablehlo.", "").replace("_", "-")
    return {name: plain.count(name) for name in COLLECTIVES if plain.count(name)}


def topology_mesh(name: str) -> Mesh:
    """Returns a mesh over the devices of a named topology, without having one.

    Raises:
      ValueError: libtpu is not installed or does not know the topology.
    """
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "true")
    from jax.experimental import topologies

    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=name)
    except Exception as error:
        raise ValueError(f"no topology {name!r}: {error}; install the extra `tpu`") from error
    return site_mesh(list(np.array(described.devices).ravel()))


def main(config: CompileConfig) -> None:
    """Lowers, counts collectives, compiles where asked, and refuses collectives in calibration."""
    platform, mesh = config.topology, None
    if config.topology:
        mesh = topology_mesh(config.topology)
    else:
        use_cpu_cores(2)
        platform, mesh = "2 CPU devices", site_mesh(jax.devices("cpu")[:2])
    for name, trace in (
        ("pretraining", pretraining_round(config, mesh)),
        ("calibration", calibration_round(config, mesh)),
    ):
        lowered = trace.lower(lowering_platforms=("tpu",))
        print(f"{name}: lowered for tpu")
        # Collectives appear only when the compiler partitions; without libtpu it does so for CPUs.
        compiled = (lowered if config.topology else trace.lower()).compile()
        found = collectives(compiled.as_text())
        memory = compiled.memory_analysis()
        peak = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        print(
            f"{name}: compiled for {platform}, collectives {found or 'none'}, "
            f"{peak / 2**30:.2f} GiB a device"
        )
        if name == "calibration" and found:
            raise SystemExit(f"calibration must hold no collective, found {found}")


if __name__ == "__main__":
    try:
        main(tyro.cli(CompileConfig))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
