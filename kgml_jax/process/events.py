"""Planting, harvest and tillage as pulses that move mass and state where it goes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.crops import Crop
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_carbon import SoilCarbon
from kgml_jax.records import Field, record, var

INCORPORATED = 0.85  # share of surface residue that a full tillage turns under
MEMORY = float(np.exp(-1.0 / 20.0))  # of tillage, from one day to the next
PLOUGH_SHARES = layers.THICKNESS[: layers.PLOUGHED] / layers.THICKNESS[: layers.PLOUGHED].sum()


@record
class Harvest:
    """Where the crop's carbon goes on a harvest day."""

    grain: Field = var(units="g C m-2 d-1", doc="Grain that leaves the field")
    shoot_residue: Field = var(units="g C m-2 d-1", doc="Above-ground residue left on the surface")
    root_residue: Field = var(units="g C m-2 d-1", doc="Roots left in the soil")


def plant(
    crop: Crop, plant: Plant, phenology: Phenology, pulse: Field
) -> tuple[Plant, Phenology, Field]:
    """Sows the seed and starts development anew, by a `pulse` of 0 to 1.

    Returns:
      The plant with the seed in its non-structural pool, its phenology, and the seed's carbon.
    """
    seed = pulse * crop.seed_carbon
    restart = jax.tree.map(lambda progress: progress * (1.0 - pulse), phenology)
    return dataclasses.replace(plant, nonstructural=plant.nonstructural + seed), restart, seed


def harvest(crop: Crop, plant: Plant, pulse: Field) -> tuple[Plant, Harvest]:
    """Takes the grain and leaves the rest as residue, for a `pulse` of the standing crop."""
    taken = jax.tree.map(lambda pool: pulse * pool, plant)
    grain = crop.harvest_efficiency * taken.grain
    shoot = taken.nonstructural + taken.leaf + taken.stem + taken.standing_dead
    left = jax.tree.map(jnp.subtract, plant, taken)
    return left, Harvest(
        grain=grain, shoot_residue=shoot + (taken.grain - grain), root_residue=taken.root
    )


def _mix(pool: Field, pulse: Field) -> Field:
    # Residue goes under by thickness; the ploughed layers move towards one concentration.
    buried = INCORPORATED * pulse * pool[0]
    ploughed = pool[1 : 1 + layers.PLOUGHED]
    even = jnp.sum(ploughed) * PLOUGH_SHARES
    mixed = ploughed + pulse * (even - ploughed) + buried * PLOUGH_SHARES
    return pool.at[0].add(-buried).at[1 : 1 + layers.PLOUGHED].set(mixed)


def till(carbon: SoilCarbon, memory: Field, pulse: Field) -> tuple[SoilCarbon, Field]:
    """Buries residue and mixes the plough layer by a `pulse` of 0 to 1; updates its memory."""
    names = [field.name for field in dataclasses.fields(carbon)]
    mixed = SoilCarbon(**{name: _mix(getattr(carbon, name), pulse) for name in names})
    return mixed, memory * MEMORY + pulse
