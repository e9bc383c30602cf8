"""Planting, harvest, cut, grazing, tillage, fertiliser: pulses that move mass and say where to.

A pulse of 1 is an event on one day. `spread` gives pulses over several days that together are one
event, so that its date has a gradient.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.crops import Crop
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.mineral_nitrogen import MineralNitrogen
from kgml_jax.process.organic_matter import OrganicMatter
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant
from kgml_jax.process.smooth import above
from kgml_jax.records import Field, constant, record, var

INCORPORATED = 0.85  # 1; share of surface residue that a full tillage turns under
MEMORY = float(np.exp(-1.0 / 20.0))  # 1; of tillage, from one day to the next
SHALLOW = 0.3  # 1; share of fertiliser in the uppermost layer, the rest in the second
# 1; of what animals eat, returned: carbon that they do not digest (LPJmL 0.25, 0.25 to 0.40), and
# nitrogen (0.75 to 0.95, Haynes and Williams 1993), of which a share is urine, soon ammonium.
DUNG_CARBON, RETURNED_NITROGEN, URINE = 0.30, 0.80, 0.60
ESTABLISHMENT = 0.05  # d-1; of the seed that a perennial stand lacks
# 1; shares of the ploughed layers in what is turned under
PLOUGH_SHARES = layers.THICKNESS[: layers.PLOUGHED] / layers.THICKNESS[: layers.PLOUGHED].sum()


@record
class Harvest:
    """Where the crop's carbon and nitrogen go on a harvest day, each of shape (2,)."""

    grain: Field = var(units="g m-2 d-1", doc="Grain that leaves the field")
    removed: Field = var(units="g m-2 d-1", doc="Above-ground residue that leaves the field")
    shoot_residue: Field = var(units="g m-2 d-1", doc="Above-ground residue left on the surface")
    root_residue: Field = var(units="g m-2 d-1", doc="Roots left in the soil")


def plant(
    crop: Crop, plant: Plant, phenology: Phenology, pulse: Field
) -> tuple[Plant, Phenology, Field]:
    """Sows the seed and starts development anew, by a `pulse` of 0 to 1.

    Returns:
      The plant with the seed in its non-structural pool, its phenology, and the seed, (2,).
    """
    carbon = pulse * crop.seed_carbon
    seed = jnp.stack([carbon, carbon * crop.grain_nitrogen])
    restart = jax.tree.map(lambda progress: progress * (1.0 - pulse), phenology)
    return dataclasses.replace(plant, nonstructural=plant.nonstructural + seed), restart, seed


def establish(crop: Crop, plant: Plant, occupied: Field) -> tuple[Plant, Field]:
    """Brings a perennial stand that holds less than its seed back, from seed and buds in the soil.

    So it stands in a record, or a part of one, that begins after it was sown, and where all of it
    was lost.

    Returns:
      The plant, and the carbon and nitrogen that came, (2,), counted as seed.
    """
    living = plant.nonstructural + plant.leaf + plant.stem + plant.root
    lacking = above(crop.seed_carbon, living[CARBON] + 1e-9)
    carbon = ESTABLISHMENT * crop.perennial * occupied * lacking
    seed = jnp.stack([carbon, carbon * crop.grain_nitrogen])
    return dataclasses.replace(plant, nonstructural=plant.nonstructural + seed), seed


def harvest(crop: Crop, plant: Plant, pulse: Field, removal: Field) -> tuple[Plant, Harvest]:
    """Takes the grain and leaves the rest as residue, for a `pulse` of the standing crop.

    Of the residue above ground the share `removal` leaves the field as well, of a crop whose shoot
    is harvested all but its stubble.
    """
    taken = jax.tree.map(lambda pool: pulse * pool, plant)
    grain = crop.harvest_efficiency * taken.grain
    shoot = taken.nonstructural + taken.leaf + taken.stem + taken.standing_dead
    shoot = shoot + (taken.grain - grain)
    removed = (1.0 - (1.0 - removal) * (1.0 - crop.shoot_harvested)) * shoot
    left = jax.tree.map(jnp.subtract, plant, taken)
    return left, Harvest(
        grain=grain, removed=removed, shoot_residue=shoot - removed, root_residue=taken.root
    )


@record
class Defoliation:
    """Where the shoot goes that a day's cut and grazing take, each of shape (2,)."""

    mown: Field = var(units="g m-2 d-1", doc="Hay or silage that leaves the field")
    eaten: Field = var(units="g m-2 d-1", doc="Eaten by animals, less what they return")
    litter: Field = var(units="g m-2 d-1", doc="Lost when mown, and dung, on the surface")
    urine: Field = var(units="g N m-2 d-1", doc="Ammonium nitrogen returned")


def defoliate(
    crop: Crop, plant: Plant, phenology: Phenology, leaf_area: Field, cut: Field, grazing: Field
) -> tuple[Plant, Phenology, Defoliation]:
    """Takes shares `grazing`, then `cut`, of the shoot above the stubble; development restarts.

    Stems and the shoot's part of the non-structural matter are taken as leaves are. Roots and
    stubble stay, and the stage falls by the share of the shoot that is gone.
    """
    within = above(leaf_area, crop.stubble_leaf_area) / (leaf_area + 1e-9)
    eaten_share, mown_share = grazing * within, (1.0 - grazing) * cut * within
    share = eaten_share + mown_share
    shoot = plant.leaf + plant.stem
    free = plant.nonstructural * shoot[CARBON] / (shoot[CARBON] + plant.root[CARBON] + 1e-9)
    fed = free + shoot + plant.grain + plant.standing_dead
    left = Plant(
        nonstructural=plant.nonstructural - share * free,
        leaf=(1.0 - share) * plant.leaf,
        stem=(1.0 - share) * plant.stem,
        root=plant.root,
        grain=(1.0 - share) * plant.grain,
        standing_dead=(1.0 - share) * plant.standing_dead,
    )
    mown = crop.harvest_efficiency * mown_share * fed
    eaten = eaten_share * fed
    returned = RETURNED_NITROGEN * eaten[NITROGEN]
    dung = jnp.stack([DUNG_CARBON * eaten[CARBON], (1.0 - URINE) * returned])
    urine = URINE * returned
    restarted = dataclasses.replace(
        phenology, development_stage=(1.0 - share) * phenology.development_stage
    )
    return (
        left,
        restarted,
        Defoliation(
            mown=mown,
            eaten=eaten - dung - jnp.stack([jnp.zeros_like(urine), urine]),
            litter=mown_share * fed - mown + dung,
            urine=urine,
        ),
    )


def _mix(pools: Field, pulse: Field) -> Field:
    # Residue goes under by thickness; the ploughed layers move towards one concentration. (..., 6)
    residue, ploughed, deep = jnp.split(pools, [1, 1 + layers.PLOUGHED], axis=-1)
    buried = INCORPORATED * pulse * residue
    shares = constant(PLOUGH_SHARES)
    even = jnp.sum(ploughed, axis=-1, keepdims=True) * shares
    mixed = ploughed + pulse * (even - ploughed) + buried * shares
    return jnp.concatenate([residue - buried, mixed, deep], axis=-1)


def till(matter: OrganicMatter, memory: Field, pulse: Field) -> tuple[OrganicMatter, Field]:
    """Buries residue and mixes the plough layer by a `pulse` of 0 to 1; updates its memory."""
    pools, structure = jax.tree.flatten(matter)
    mixed = _mix(jnp.stack(pools), pulse)
    return jax.tree.unflatten(structure, jnp.unstack(mixed)), memory * MEMORY + pulse


def fertilise(mineral: MineralNitrogen, ammonium: Field, nitrate: Field) -> MineralNitrogen:
    """Adds fertiliser nitrogen (g N m-2) to the two uppermost soil layers."""

    def placed(pool: Field, amount: Field) -> Field:
        shallow = SHALLOW * amount
        upper = pool[:2] + jnp.stack([shallow, amount - shallow])
        return jnp.concatenate([upper, pool[2:]])

    return MineralNitrogen(
        ammonium=placed(mineral.ammonium, ammonium), nitrate=placed(mineral.nitrate, nitrate)
    )


def spread(day: Field, centre: Field, width: Field | float) -> Field:
    """Pulses over the days `day` (time,) that sum to 1, centred on the day `centre`.

    The bell of `width` days (standard deviation; 1.5 spans about a week) is differentiable in
    `centre`; days and centre count from the same start, without return to 1 in a new year.
    """
    return jax.nn.softmax(-0.5 * ((day - centre) / width) ** 2)


def successive(pulses: Field) -> Field:
    """Fractions of what stands each day that take the shares `pulses` (time,) of the whole.

    Harvest by these fractions takes all of the crop, whereas the shares themselves, each taken of
    what the day before left, would leave a third of it.
    """
    remaining = jnp.cumsum(pulses[::-1])[::-1]
    return pulses / (remaining + 1e-30)


def season(planting: Field, harvest: Field) -> Field:
    """Occupation of the field (time,) from planting and harvest `pulses` that each sum to 1.

    The day of harvest belongs to the season; each harvest needs its planting within the series.
    """
    sown, reaped = jnp.cumsum(planting), jnp.cumsum(harvest)
    return jnp.clip(sown - (reaped - harvest), 0.0, 1.0)
