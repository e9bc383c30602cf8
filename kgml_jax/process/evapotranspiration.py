"""Evaporation from canopy, leaves and soil, and how roots share the demand between layers.

Penman-Monteith for the canopy, Priestley-Taylor for the soil below it, on FAO-56 net radiation.
"""

import jax
import jax.numpy as jnp

from kgml_jax.process import layers
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.parameters import Params
from kgml_jax.process.photosynthesis import Canopy
from kgml_jax.process.radiation import LATENT_HEAT, Atmosphere, net_radiation
from kgml_jax.process.smooth import above, donor, sat01, smin, spos
from kgml_jax.process.soil_water import Hydraulics, relative
from kgml_jax.records import Field, record, var

AIR_HEAT_CAPACITY = 1.216e-3  # MJ m-3 K-1
SOIL_EVAPORATION_SHARES = (0.8, 0.2)  # of the demand, in the two upper layers
# Relative to demand; below it neither demand nor stress means anything.
NEGLIGIBLE_DEMAND = 1e-3  # mm d-1


@record
class Demand:
    """What the air would take in a day, water permitting."""

    transpiration: Field = var(units="mm d-1", doc="Through the stomata of an unstressed canopy")
    soil_evaporation: Field = var(units="mm d-1", doc="From wet, bare or shaded soil")


@record
class Uptake:
    """What the plants took."""

    transpiration: Field = var(units="mm d-1", doc="Water taken up and transpired")
    supply_ratio: Field = var(units="1", doc="Transpiration over its demand, 1 without stress")


def demand(
    params: Params,
    forcing: Forcing,
    atmosphere: Atmosphere,
    canopy: Canopy,
    cover: tuple[Field, Field, Field],
) -> Demand:
    """Returns the evaporative demand on canopy and soil.

    Args:
      params: parameters of the site.
      forcing: one day.
      atmosphere: sun and air of that day.
      canopy: conductance and deficit of the canopy.
      cover: leaf area index, residue carbon (g C m-2) and snow (mm).
    """
    leaf_area, residue, snow = cover
    albedo = params.albedo + 0.4 * -jnp.expm1(-0.1 * snow)
    energy = spos(net_radiation(forcing, atmosphere, albedo), 5.0)
    shaded = -jnp.expm1(-0.5 * leaf_area)
    slope, gamma = atmosphere.vapour_slope, atmosphere.psychrometric_constant
    air = (forcing.wind_speed + 0.3) / 80.0
    drying = AIR_HEAT_CAPACITY * canopy.vapour_pressure_deficit * air * canopy.day_length
    resistance = slope * canopy.conductance + gamma * (canopy.conductance + air)
    shading = jnp.exp(-0.002 * residue - 0.1 * snow)
    return Demand(
        transpiration=shaded
        * (slope * energy + drying)
        * canopy.conductance
        / (LATENT_HEAT * resistance),
        soil_evaporation=1.26
        * slope
        / (slope + gamma)
        * energy
        * (1.0 - shaded)
        * shading
        / LATENT_HEAT,
    )


def interception(leaf_area: Field, rain: Field, transpiration_demand: Field) -> Field:
    """Rain that evaporates from wet leaves, mm d-1; never more than the rain."""
    return smin(smin(0.2 * leaf_area, rain), 0.7 * transpiration_demand + 0.1)


def root_shares(root_depth: Field) -> Field:
    """Share of the roots in each soil layer for a root front at `root_depth` (m); sums to 1."""
    front = root_depth + 0.05
    reach = jax.nn.sigmoid((front - layers.TOP) / 0.03)
    weight = jnp.exp(-3.0 * layers.CENTRE / front) * layers.THICKNESS * reach
    return weight / jnp.sum(weight)


def transpire(
    params: Params, hydraulic: Hydraulics, soil: Field, shares: Field, demand: Field
) -> tuple[Field, Uptake]:
    """Takes the transpiration `demand` (mm) from the layers as far as they can supply it.

    Returns:
      The soil water left (5,), and the uptake.
    """
    available = sat01(relative(soil, hydraulic))
    supply = shares * smin(available / params.critical_available_water, 1.0, 0.99)
    taken = donor(above(soil, hydraulic.wilting_point * layers.MILLIMETRES), demand * supply)
    total = jnp.sum(taken)
    ratio = (total + NEGLIGIBLE_DEMAND) / (demand + NEGLIGIBLE_DEMAND)
    return soil - taken, Uptake(transpiration=total, supply_ratio=ratio)


def evaporate(
    params: Params, hydraulic: Hydraulics, soil: Field, demand: Field
) -> tuple[Field, Field]:
    """Takes the soil evaporation `demand` (mm) from the two upper layers, less as they dry.

    Returns:
      The soil water left (5,), and the evaporation in mm.
    """
    upper = layers.MILLIMETRES[:2]
    residual = 0.5 * hydraulic.wilting_point * upper
    usable = hydraulic.field_capacity * upper - residual
    wetness = sat01((soil[:2] - residual) / usable) + 1e-4
    wanted = (
        demand * jnp.asarray(SOIL_EVAPORATION_SHARES) * wetness**params.soil_evaporation_exponent
    )
    taken = donor(above(soil[:2], residual), wanted)
    return soil.at[:2].add(-taken), jnp.sum(taken)
