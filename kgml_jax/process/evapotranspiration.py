"""Evaporation from canopy, leaves, soil and snow, and how roots share the demand between layers.

Penman-Monteith for the canopy, integrated over the daylight hours; Penman for what is wet (leaves
after rain, soil, snow) with FAO-56 net radiation; two stages of drying soil (Ritchie 1972).
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.humidity import saturation_slope
from kgml_jax.process.parameters import Params
from kgml_jax.process.photosynthesis import Canopy
from kgml_jax.process.radiation import (
    DAY,
    LATENT_HEAT,
    WEIGHTS,
    Atmosphere,
    thermal_loss,
)
from kgml_jax.process.smooth import Real, above, donor, sat01, smin, spos
from kgml_jax.process.soil_water import Hydraulics, relative
from kgml_jax.records import Field, constant, record, var

# Heat capacity of the air over the psychrometric constant, times temperature (FAO-56 eq. 8, box 6).
AIR_HEAT_CAPACITY = 0.622 * LATENT_HEAT / (1.01 * 0.287)  # MJ m-3 K kPa-1
EXTINCTION = 0.5  # 1; of net radiation per leaf area
LEAF_STORAGE = 0.2  # mm; rain held per leaf area
# Logarithmic profiles over crops of 1 to 2.5 m, with a tenth of the roughness for heat and the wind
# of daylight hours a quarter above the daily mean, give 60 to 110 for wind measured 2 to 7 m above
# them and 105 to 140 for wind given at 2 m over grass; the unstable air of a sunny day takes off up
# to a third. A closed canopy hardly feels the difference.
CANOPY_DRAG = 80.0  # 1; wind over aerodynamic conductance of a crop
SOIL_DRAG = 350.0  # 1; the same for bare soil of 3 mm roughness and wind at 2 m
CALM = 0.3  # m s-1; added to the wind, for free convection
SUBLIMATION_HEAT = 2.83  # MJ kg-1; of ice
# Falling with the third power of wetness the supply follows the law of Ritchie (1972) for stage 2,
# the square root of time.
SOIL_SUPPLY = np.array([12.0, 1.0])  # mm d-1; most that the two upper layers bring to the surface
# Roots in moist layers take up more where others are dry (Jarvis 1989). With this share
# transpiration falls at the depletions of FAO-56 Table 22.
COMPENSATION = 0.5  # 1; share of well-supplied roots below which transpiration falls
NEGLIGIBLE_DEMAND = 1e-3  # mm d-1; below it neither demand nor stress means anything


@record
class Cover:
    """What lies between the sun and the soil."""

    leaf_area: Field = var(units="1", doc="Leaf area index")
    residue: Field = var(units="g C m-2", doc="Carbon of the residue")
    snow: Field = var(units="mm", doc="Water in the snow")


@record
class Demand:
    """What the air would take in a day, water permitting."""

    transpiration: Field = var(units="mm d-1", doc="Through the stomata of an unstressed canopy")
    wet_leaves: Field = var(units="mm d-1", doc="From leaves that stay wet all day")
    soil_evaporation: Field = var(units="mm d-1", doc="From wet, bare or shaded soil")
    sublimation: Field = var(units="mm d-1", doc="From the snow that covers the ground")


@record
class Uptake:
    """What the plants took."""

    transpiration: Field = var(units="mm d-1", doc="Water taken up and transpired")
    supply_ratio: Field = var(units="1", doc="Transpiration over its demand, 1 without stress")


def penman(
    energy: Field, deficit: Field, air: Field, temperature: Field, gamma: Field, dryness: Real = 0.0
) -> Field:
    """Evaporation of a surface by Penman and Monteith, mm d-1.

    Args:
      energy: available energy, MJ m-2 d-1.
      deficit: vapour pressure deficit of the air, kPa.
      air: conductance from the surface to that air, m d-1.
      temperature: of the air, degC.
      gamma: psychrometric constant, kPa degC-1.
      dryness: conductance of the air over that of the surface; 0 where it is wet.
    """
    slope = saturation_slope(temperature)
    drying = AIR_HEAT_CAPACITY * gamma / (temperature + 273.0) * deficit * air
    return (slope * energy + drying) / (LATENT_HEAT * (slope + gamma * (1.0 + dryness)))


def demand(
    params: Params,
    forcing: Forcing,
    atmosphere: Atmosphere,
    canopy: Canopy,
    cover: Cover,
) -> Demand:
    """Returns the evaporative demand on canopy, soil and snow.

    Leaves transpire by day: their energy is the net radiation of the daylight hours. Soil and snow
    have that of the whole day.

    Args:
      params: parameters of the site.
      forcing: one day.
      atmosphere: sun and air of that day.
      canopy: conductance of the canopy.
      cover: what lies between sun and soil.
    """
    leaf_area, residue = cover.leaf_area, cover.residue
    snowless = jnp.exp(-0.1 * cover.snow)
    absorbed = (1.0 - params.albedo - 0.4 * (1.0 - snowless)) * forcing.shortwave_radiation
    lost = thermal_loss(forcing, atmosphere)
    day, gamma = atmosphere.daylight, atmosphere.psychrometric_constant
    wind = forcing.wind_speed + CALM
    air = wind / CANOPY_DRAG
    in_leaves = partial(
        penman,
        spos(absorbed * day.intensity - lost * day.length, 5.0),
        day.vapour_pressure_deficit,
        DAY * day.length * air,
        day.temperature,
        gamma,
    )
    shaded = -jnp.expm1(-EXTINCTION * leaf_area)
    below = (1.0 - shaded) * penman(
        spos(absorbed - lost, 5.0),
        forcing.vapour_pressure_deficit,
        DAY * wind / SOIL_DRAG,
        forcing.air_temperature_mean,
        gamma,
    )
    # The conductance is that of all leaves per ground, `air` that of the ground under leaves.
    transpiration = in_leaves(dryness=air * shaded / (canopy.conductance + 1e-9))
    weights = constant(WEIGHTS)
    return Demand(
        transpiration=shaded * jnp.sum(weights * transpiration),
        wet_leaves=shaded * jnp.sum(weights * in_leaves()),
        soil_evaporation=below * snowless * jnp.exp(-0.002 * residue),
        sublimation=below * (1.0 - snowless) * LATENT_HEAT / SUBLIMATION_HEAT,
    )


def interception(leaf_area: Field, rain: Field, demand: Demand) -> tuple[Field, Demand]:
    """Evaporates rain from wet leaves, which do not transpire while they are wet.

    Returns:
      The rain evaporated, mm d-1, never more than the rain; and the demand that is left.
    """
    wetted = smin(smin(LEAF_STORAGE * leaf_area, rain), demand.wet_leaves)
    dry = 1.0 - wetted / (demand.wet_leaves + 1e-9)
    return wetted, dataclasses.replace(demand, transpiration=dry * demand.transpiration)


def sublimate(pack: Field, demand: Field) -> tuple[Field, Field]:
    """Takes the sublimation `demand` (mm) from the snow `pack`; returns what is left and taken."""
    taken = donor(pack, demand)
    return pack - taken, taken


def root_shares(root_depth: Field) -> Field:
    """Share of the roots in each soil layer for a root front at `root_depth` (m); sums to 1."""
    front = root_depth + 0.05
    reach = jax.nn.sigmoid((front - constant(layers.TOP)) / 0.03)
    weight = jnp.exp(constant(-3.0 * layers.CENTRE) / front) * constant(layers.THICKNESS) * reach
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
    supplied = jnp.sum(supply)
    met = smin(supplied / COMPENSATION, 1.0, 0.99)
    wanted = demand * met * supply / (supplied + 1e-9)
    taken = smin(above(soil, hydraulic.wilting_point * constant(layers.MILLIMETRES)), wanted, 0.99)
    total = jnp.sum(taken)
    ratio = (total + NEGLIGIBLE_DEMAND) / (demand + NEGLIGIBLE_DEMAND)
    return soil - taken, Uptake(transpiration=total, supply_ratio=ratio)


def evaporate(
    params: Params, hydraulic: Hydraulics, soil: Field, demand: Field
) -> tuple[Field, Field]:
    """Takes the soil evaporation `demand` (mm) from the two upper layers.

    As long as the surface is supplied the demand sets the rate (stage 1); then the supply, which
    falls as the layers dry (stage 2). The second layer supplies what the first could not.

    Returns:
      The soil water left (5,), and the evaporation in mm.
    """
    upper = constant(layers.MILLIMETRES[:2])
    residual = 0.5 * hydraulic.wilting_point * upper
    usable = hydraulic.field_capacity * upper - residual
    wetness = sat01((soil[:2] - residual) / usable) + 1e-4
    supply = constant(SOIL_SUPPLY) * wetness**params.soil_evaporation_exponent
    first = smin(demand, supply[0])
    wanted = jnp.stack([first, smin(demand - first, supply[1])])
    taken = donor(above(soil[:2], residual), wanted)
    return soil - jnp.pad(taken, (0, layers.SOIL - 2)), jnp.sum(taken)
