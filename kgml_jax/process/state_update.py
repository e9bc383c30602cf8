"""Moving the state from outside: what observations say the pools should be, kept in the books.

An update is written in unbounded numbers, so that any leaves pools positive and soil no wetter than
saturated. What it adds or takes is an increment, a term of the day's budgets: they close with it.
"""

import dataclasses

import jax
import jax.numpy as jnp

from kgml_jax.process import soil_water
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_water import Hydraulics
from kgml_jax.process.state import State
from kgml_jax.records import Field, record, var


@record
class Update:
    """How pools are moved, each of shape `()`; 0 leaves them, to the bit.

    Carbon moves with its nitrogen: the ratio of a pool stays.
    """

    plant: Field = var(units="1", doc="Logarithm of the factor on the living crop", default=0.0)
    litter: Field = var(units="1", doc="Same of metabolic and structural litter", default=0.0)
    particulate: Field = var(units="1", doc="Same of particulate organic matter", default=0.0)
    mineral_associated: Field = var(units="1", doc="Same of mineral-associated matter", default=0.0)
    microbial: Field = var(units="1", doc="Same of microbial and dissolved matter", default=0.0)
    mineral_nitrogen: Field = var(units="1", doc="Same of ammonium and nitrate", default=0.0)
    soil_water: Field = var(
        units="1", doc="Shift of the log odds of the share of saturation", default=0.0
    )
    snow: Field = var(units="1", doc="Logarithm of the factor on the snow pack", default=0.0)


@record
class Increment:
    """What an update added to a site, negative where it took."""

    carbon: Field = var(units="g C m-2", doc="Of plants, residue and soil")
    nitrogen: Field = var(units="g N m-2", doc="Of plants, residue and soil, organic and mineral")
    water: Field = var(units="mm", doc="Of soil and snow")


def update(hydraulic: Hydraulics, state: State, moved: Update) -> tuple[State, Increment]:
    """Moves the pools of a site.

    Args:
      hydraulic: of the site, for the room in its soil.
      state: before the update.
      moved: by how much, `()` leaves.

    Returns:
      The state after the update, and what was added.
    """
    organic = state.organic
    litter, living = jnp.exp(moved.litter), jnp.exp(moved.microbial)
    after = dataclasses.replace(
        state,
        plant=_grown(state.plant, jnp.exp(moved.plant)),
        organic=dataclasses.replace(
            organic,
            metabolic=organic.metabolic * litter,
            structural=organic.structural * litter,
            particulate=organic.particulate * jnp.exp(moved.particulate),
            mineral_associated=organic.mineral_associated * jnp.exp(moved.mineral_associated),
            dissolved=organic.dissolved * living,
            microbial=organic.microbial * living,
        ),
        mineral=jax.tree.map(lambda pool: pool * jnp.exp(moved.mineral_nitrogen), state.mineral),
        water=dataclasses.replace(
            state.water,
            soil=_wetted(hydraulic, state.water.soil, moved.soil_water),
            snow=state.water.snow * jnp.exp(moved.snow),
        ),
    )
    return after, increment(state, after)


def increment(before: State, after: State) -> Increment:
    """Returns what `after` holds more than `before`, pool by pool and then summed."""
    bodies = (before.plant, before.organic), (after.plant, after.organic)
    minerals = _gained(before.mineral, after.mineral)
    return Increment(
        carbon=_gained(*bodies, row=CARBON),
        nitrogen=_gained(*bodies, row=NITROGEN) + minerals,
        water=_gained(before.water, after.water),
    )


def _gained(before: object, after: object, row: int | None = None) -> Field:
    # Pool by pool, then summed: totals of 1e4 g C m-2 would drown a day's fluxes in float32.
    of = lambda leaf: leaf if row is None else leaf[row]
    deltas = jax.tree.map(lambda old, new: jnp.sum(of(new) - of(old)), before, after)
    return jax.tree.reduce(jnp.add, deltas)


def _grown(plant: Plant, factor: Field) -> Plant:
    grown = jax.tree.map(lambda pool: pool * factor, plant)
    return dataclasses.replace(grown, standing_dead=plant.standing_dead)


def _wetted(hydraulic: Hydraulics, soil: Field, shift: Field) -> Field:
    # s / (s + (1 - s) exp(-shift)) is the share s of saturation with its log odds shifted; written
    # as a factor on the water it leaves it alone, to the bit, where the shift is 0.
    share = jnp.minimum(soil_water.content(soil) / hydraulic.saturation, 1.0)
    return soil / (share + (1.0 - share) * jnp.exp(-shift))
