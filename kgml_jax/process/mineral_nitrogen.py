"""Mineral nitrogen of the soil: uptake, exchange with microbes, and the ways it is lost.

Nitrification and denitrification follow DayCent (Parton et al. 2001; Del Grosso et al. 2000), whose
concentrations are parts of nitrogen or carbon per million of dry soil. Every loss is a fraction of
the pool it leaves, taken one after the other: nitrification, volatilisation, denitrification,
leaching.
"""

import jax
import jax.numpy as jnp

from kgml_jax.process import layers
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.organic_matter import moisture_response
from kgml_jax.process.parameters import Params
from kgml_jax.process.smooth import above, donor, frac, smin
from kgml_jax.process.soil_water import Hydraulics, content, relative
from kgml_jax.process.temperature import growth_factor, nitrification_factor
from kgml_jax.records import Field, constant, record, var

NITRATE_PREFERENCE = 1.3  # 1; uptake rate of nitrate over that of ammonium
IMMOBILISABLE = (0.5, 0.3)  # d-1, of ammonium and of nitrate
VOLATILISATION_RATE = 0.02  # d-1; at 25 degC, of ammonium at the surface of alkaline soil


@record
class MineralNitrogen:
    """Mineral nitrogen of the soil layers, each of shape (5,)."""

    ammonium: Field = var(units="g N m-2", doc="Ammonium, dissolved and exchangeable")
    nitrate: Field = var(units="g N m-2", doc="Nitrate")


@record
class NitrogenLosses:
    """What mineral nitrogen underwent in a day, over all layers, each of shape `()`."""

    nitrified: Field = var(units="g N m-2 d-1", doc="Ammonium oxidised, with its nitrous oxide")
    n2o: Field = var(units="g N m-2 d-1", doc="Nitrous oxide of nitrification and denitrification")
    n2: Field = var(units="g N m-2 d-1", doc="Dinitrogen of denitrification")
    volatilised: Field = var(units="g N m-2 d-1", doc="Ammonia lost to the air")
    leached: Field = var(units="g N m-2 d-1", doc="Nitrate lost with drainage")


def initial(like: Field) -> MineralNitrogen:
    """Returns the nitrogen of unfertilised soil in winter, in the dtype of `like`."""
    layer = jnp.zeros_like(like) + jnp.ones(layers.SOIL)
    return MineralNitrogen(ammonium=0.15 * layer, nitrate=0.6 * layer)


def deposition(precipitation: Field) -> Field:
    """Nitrogen deposited from the air, g N m-2 d-1 (DayCent for Champaign, Illinois).

    Args:
      precipitation: mm d-1.
    """
    return 0.70 / 365.0 + 0.0007 * precipitation


def uptake_supply(
    params: Params, mineral: MineralNitrogen, shares: Field, available: Field, temperature: Field
) -> Field:
    """Ammonium and nitrate that roots could take today, g N m-2 d-1, shape (2, 5).

    Args:
      params: parameters of the site.
      mineral: nitrogen of the soil.
      shares: of the roots in the layers, summing to 1, (5,).
      available: water of the layers in the available range, 0 to 1, (5,).
      temperature: of the layers, degC, (5,).
    """
    rooted = shares * layers.SOIL * available * growth_factor(temperature)
    rate = params.nitrogen_uptake_rate * rooted
    return jnp.stack(
        [mineral.ammonium * frac(rate), mineral.nitrate * frac(NITRATE_PREFERENCE * rate)]
    )


def _withdraw(mineral: MineralNitrogen, supply: Field, share: Field) -> MineralNitrogen:
    return MineralNitrogen(
        ammonium=mineral.ammonium - share * supply[0], nitrate=mineral.nitrate - share * supply[1]
    )


def _ratio(part: Field, whole: Field) -> Field:
    # 0 where there is nothing; exact elsewhere, so that what is withdrawn adds up to `part`.
    return part / jnp.where(whole > 0.0, whole, 1.0)


def take(mineral: MineralNitrogen, supply: Field, amount: Field) -> MineralNitrogen:
    """Removes an `amount` of nitrogen (at most the sum of `supply`) in proportion to `supply`."""
    return _withdraw(mineral, supply, _ratio(amount, jnp.sum(supply)))


def _reachable(mineral: MineralNitrogen) -> Field:
    # Ammonium and nitrate of the soil layers that microbes may take in a day, (2, 5).
    fast, slow = IMMOBILISABLE
    return jnp.stack([mineral.ammonium * frac(fast), mineral.nitrate * frac(slow)])


def immobilisable(mineral: MineralNitrogen) -> Field:
    """Mineral nitrogen that the microbes of each layer may take today, g N m-2 d-1, (6,).

    Those of the residue reach into the first soil layer, and share what it has to give evenly.
    """
    amount = jnp.sum(_reachable(mineral), 0)
    return jnp.concatenate([0.5 * amount[:1], 0.5 * amount[:1], amount[1:]])


def exchange(mineral: MineralNitrogen, mineralised: Field, immobilised: Field) -> MineralNitrogen:
    """Trades nitrogen with the microbes; those of the residue trade with the first soil layer.

    Args:
      mineral: nitrogen of the soil, as `immobilisable` saw it or more.
      mineralised: released as ammonium in each layer, g N m-2 d-1, (6,).
      immobilised: drawn from ammonium and nitrate as both are within reach, g N m-2 d-1, (6,).
    """
    below = lambda flux: jnp.concatenate([flux[:1] + flux[1:2], flux[2:]])
    supply = _reachable(mineral)
    left = _withdraw(mineral, supply, _ratio(below(immobilised), jnp.sum(supply, 0)))
    return MineralNitrogen(ammonium=left.ammonium + below(mineralised), nitrate=left.nitrate)


def _positive(x: Field, roundness: float) -> Field:
    # Smooth positive part, `roundness` at x = 0; cheaper than that of an exponential.
    return 0.5 * (x + jnp.sqrt(x**2 + 4.0 * roundness**2))


def acidity_factor(ph: Field) -> Field:
    """Response of nitrification to soil pH (DayCent)."""
    return 0.56 + jnp.arctan(jnp.pi * 0.45 * (ph - 5.0)) / jnp.pi


def _nitrification_rate(
    params: Params, ph: Field, hydraulic: Hydraulics, soil_water: Field, temperature: Field
) -> Field:
    # d-1, of the ammonium of the layers (5,): rising with water up to field capacity, and falling
    # from there to none at saturation.
    pores = hydraulic.saturation - hydraulic.field_capacity
    aerated = smin(_positive(hydraulic.saturation - content(soil_water), 1e-4), pores, 0.999)
    water = moisture_response(relative(soil_water, hydraulic)) * aerated / pores
    rate = params.nitrification_rate * acidity_factor(ph)
    return rate * water * nitrification_factor(temperature)


def gas_diffusivity(bulk_density: Field, field_capacity: Field) -> Field:
    """Diffusivity of gas in soil at field capacity, relative to that in air (DayCent, DSSAT)."""
    density, capacity = bulk_density, field_capacity
    return (
        0.906277
        - 0.461712 * density
        + 0.045703 * density**2
        - 1.19827 * capacity
        + 0.225558 * density * capacity
        + 0.292491 * capacity**2
    )


def denitrification(
    nitrate: Field, carbon: Field, filled: Field, diffusivity: Field
) -> tuple[Field, Field]:
    """Potential denitrification and the ratio of its products (Del Grosso et al. 2000).

    Args:
      nitrate: parts of N per million of soil.
      carbon: dioxide respired in a day, parts of C per million of soil.
      filled: share of the pores that is filled with water.
      diffusivity: of gas at field capacity, relative to air.

    Returns:
      The potential, parts of N per million of soil and day, and N2 over N2O.
    """
    by_nitrate = 1.556 + 76.91 / jnp.pi * jnp.arctan(jnp.pi * 0.00222 * (nitrate - 9.23))
    by_carbon = 0.1 * jnp.exp(1.3 * jnp.log(carbon + 1e-6))
    onset = 9.0 - (0.145 - 1.25 * jnp.minimum(0.113, diffusivity)) * carbon
    by_water = 0.45 + jnp.arctan(0.6 * jnp.pi * (10.0 * filled - onset)) / jnp.pi
    potential = smin(_positive(by_nitrate, 1e-2), by_carbon) * _positive(by_water, 1e-4)
    most = 1.5 + _positive(36.9 - 350.0 * diffusivity, 0.5)
    by_donor = 0.16 + _positive(jnp.exp(-0.8 * nitrate / (carbon + 1e-3)) - 0.16, 1e-2)
    return potential, most * by_donor * (0.1 + _positive(1.5 * filled - 0.42, 1e-2))


def _cascade(nitrate: Field, share: Field) -> tuple[Field, Field]:
    # Each layer passes on a share of what it holds and of what comes to it from above.
    flow, held = 0.0, []
    for layer in range(layers.SOIL):
        present = nitrate[layer] + flow
        flow = share[layer] * present
        held.append(present - flow)
    return jnp.stack(held), flow


def leach(
    hydraulic: Hydraulics, nitrate: Field, soil_water: Field, outflow: Field
) -> tuple[Field, Field]:
    """Carries nitrate down with the water that leaves each layer.

    Nitrate is mixed into the water above the wilting point alone: the films below it lie so close
    to the negative surfaces that anions are kept out of them (as in SWAT, Neitsch et al. 2011).

    Args:
      hydraulic: of the site.
      nitrate: of the layers, g N m-2, (5,).
      soil_water: of the layers, mm, (5,).
      outflow: water that left each layer downward today, mm, (5,).

    Returns:
      The nitrate left in the layers (5,), and what left the lowest one, g N m-2.
    """
    mobile = above(soil_water, hydraulic.wilting_point * constant(layers.MILLIMETRES))
    return _cascade(nitrate, frac(outflow / (mobile + 1e-3)))


def step(
    params: Params,
    attributes: Attributes,
    hydraulic: Hydraulics,
    mineral: MineralNitrogen,
    soil_water: Field,
    temperature: Field,
    respiration: Field,
    outflow: Field,
) -> tuple[MineralNitrogen, NitrogenLosses]:
    """Transforms the mineral nitrogen of the soil by one day.

    Args:
      params: parameters of the site.
      attributes: of the site.
      hydraulic: of the site.
      mineral: nitrogen at the start.
      soil_water: of the layers, mm, (5,).
      temperature: of the layers, degC, (5,).
      respiration: of the microbes of the layers today, g C m-2 d-1, (5,).
      outflow: water that left each layer downward today, mm, (5,).

    Returns:
      The nitrogen at the end, and what became of the rest. Ammonium changes by what is nitrified
      and volatilised, nitrate by what is nitrified less its nitrous oxide, and by the losses.
    """
    rate = _nitrification_rate(params, attributes.ph, hydraulic, soil_water, temperature)
    nitrified = mineral.ammonium * frac(rate)
    escaped = params.nitrification_n2o_fraction * nitrified
    ammonium = mineral.ammonium - nitrified
    alkaline = jax.nn.sigmoid((attributes.ph - 7.0) / 0.5)
    rate = VOLATILISATION_RATE * alkaline * growth_factor(temperature[0])
    volatilised = ammonium[0] * frac(rate)
    nitrate = mineral.nitrate + (nitrified - escaped)
    # g m-2 over Mg m-3 times m is parts per million.
    soil = attributes.bulk_density * constant(layers.THICKNESS)
    filled = content(soil_water) / hydraulic.saturation
    diffusivity = gas_diffusivity(attributes.bulk_density, hydraulic.field_capacity)
    potential, ratio = denitrification(nitrate / soil, respiration / soil, filled, diffusivity)
    denitrified = donor(nitrate, params.denitrification_multiplier * potential * soil)
    n2o = denitrified / (1.0 + ratio)
    left, leached = leach(hydraulic, nitrate - denitrified, soil_water, outflow)
    return MineralNitrogen(ammonium=ammonium.at[0].add(-volatilised), nitrate=left), NitrogenLosses(
        nitrified=jnp.sum(nitrified),
        n2o=jnp.sum(escaped + n2o),
        n2=jnp.sum(denitrified - n2o),
        volatilised=volatilised,
        leached=leached,
    )
