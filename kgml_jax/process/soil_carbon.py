"""Carbon of residue and soil: hydrolysis, microbial uptake, growth, maintenance and death.

Each of the six layers (residue first) holds litter, particulate and mineral-associated matter,
dissolved carbon and one microbial community; the layers are advanced together as vectors.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params
from kgml_jax.process.smooth import frac, sat01, spos
from kgml_jax.process.temperature import growth_factor, maintenance_factor, thawed
from kgml_jax.records import Field, record, var

OXYGEN_HALF_SATURATION = 0.25 * 0.121  # m3 m-3; a quarter of the forest soil of DAMM
UPTAKE_RATE = 1.5  # d-1, of dissolved carbon
INCORPORATION_RATE = 0.004  # d-1, of surface residue by soil fauna
DEPTH_FACTORS = np.array([1.0, 1.0, 0.9, 0.5, 0.2])
IS_SOIL = np.array([0.0] + [1.0] * layers.SOIL)
IS_PLOUGHED = np.array([0.0] + [1.0] * layers.PLOUGHED + [0.0] * (layers.SOIL - layers.PLOUGHED))


@record
class SoilCarbon:
    """Organic carbon of residue and soil, each of shape (6,), residue first."""

    metabolic: Field = var(units="g C m-2", doc="Metabolic litter (MET)")
    structural: Field = var(units="g C m-2", doc="Structural litter (STR)")
    particulate: Field = var(units="g C m-2", doc="Particulate organic matter (POM)")
    mineral_associated: Field = var(units="g C m-2", doc="Mineral-associated matter (MAOM)")
    dissolved: Field = var(units="g C m-2", doc="Dissolved organic carbon (DOC)")
    microbial: Field = var(units="g C m-2", doc="Microbial biomass (MIC)")


@record
class Climate:
    """Responses of the microbes to their surroundings, each of shape (6,)."""

    warmth: Field = var(units="1", doc="Temperature response of decomposition and death")
    maintenance: Field = var(units="1", doc="Temperature response of maintenance")
    moisture: Field = var(units="1", doc="Moisture response")
    oxygen: Field = var(units="1", doc="Oxygen response")


def total(carbon: SoilCarbon) -> Field:
    """Carbon of each layer, g C m-2, shape (6,)."""
    litter = carbon.metabolic + carbon.structural + carbon.particulate
    return litter + carbon.mineral_associated + carbon.dissolved + carbon.microbial


def topsoil(carbon: SoilCarbon) -> Field:
    """Organic carbon in 0-30 cm, residue not counted, g C m-2."""
    return jnp.sum(total(carbon)[1 : 1 + layers.TOPSOIL])


def initial(params: Params, attributes: Attributes) -> SoilCarbon:
    """Returns the carbon at the start from the site's measured organic carbon."""
    measured = params.initial_carbon_multiplier * attributes.soil_organic_carbon
    density = 1000.0 * attributes.bulk_density * layers.THICKNESS * DEPTH_FACTORS
    soil = measured * density
    particulate = params.initial_particulate_fraction
    pool = lambda residue, share: jnp.concatenate([jnp.full_like(soil[:1], residue), share * soil])
    return SoilCarbon(
        metabolic=pool(5.0, 0.003),
        structural=pool(60.0, 0.012),
        particulate=pool(5.0, particulate),
        mineral_associated=pool(0.5, 1.0 - 0.04 - particulate),
        dissolved=pool(0.2, 0.001),
        microbial=pool(3.0, 0.024),
    )


def moisture_response(relative: Field) -> Field:
    """Response to water `relative` to the available range (DayCent calcdefac)."""
    bounded = 1.8 * sat01((relative + 0.3) / 1.8) - 0.3
    return 1.0 / (1.0 + 30.0 * jnp.exp(-9.0 * bounded))


def oxygen_response(air: Field) -> Field:
    """Response to `air`-filled porosity (m3 m-3) (DAMM, Davidson et al. 2012)."""
    # The floor keeps the power differentiable in saturated soil.
    oxygen = 1.67 * 0.209 * (spos(air, 200.0) + 1e-4) ** (4.0 / 3.0)
    return oxygen / (OXYGEN_HALF_SATURATION + oxygen)


def climate(temperature: Field, relative: Field, air: Field) -> Climate:
    """Returns the microbial responses in the six layers.

    Args:
      temperature: degC, (6,).
      relative: water relative to the available range, (6,).
      air: air-filled porosity, m3 m-3, (6,).
    """
    liquid = thawed(temperature)
    return Climate(
        warmth=growth_factor(temperature) * liquid,
        maintenance=maintenance_factor(temperature) * liquid,
        moisture=moisture_response(relative),
        oxygen=oxygen_response(air),
    )


def metabolic_fraction(lignin_to_nitrogen: Field) -> Field:
    """Share of fresh litter that is metabolic (CENTURY), between 0.15 and 0.85."""
    return 0.15 + 0.70 * sat01((0.70 - 0.013 * lignin_to_nitrogen) / 0.70)


def add_litter(carbon: SoilCarbon, litter: Field, exudation: Field, metabolic: Field) -> SoilCarbon:
    """Adds `litter` and root `exudation`, each (6,), to their pools."""
    fast = metabolic * litter
    return dataclasses.replace(
        carbon,
        metabolic=carbon.metabolic + fast,
        structural=carbon.structural + (litter - fast),
        dissolved=carbon.dissolved + exudation,
    )


def biomass_activity(params: Params, carbon: SoilCarbon) -> Field:
    """Activity of the biomass relative to the carbon of its layer, (6,).

    Relative, not absolute, half saturation: absolute values let deep layers starve and bloom.
    """
    half = params.microbial_half_saturation * (total(carbon) + 10.0)
    return 1.5 * (carbon.microbial + 0.05 * half) / (half + carbon.microbial)


def _hydrolysed(
    params: Params, carbon: SoilCarbon, rate: Field
) -> tuple[Field, Field, Field, Field]:
    # Carbon made soluble today from the four solid pools; `rate` is relative to 25 degC.
    return (
        carbon.metabolic * frac(params.metabolic_decay_rate * rate),
        carbon.structural * frac(params.structural_decay_rate * rate),
        carbon.particulate * frac(params.particulate_decay_rate * rate),
        carbon.mineral_associated * frac(params.mineral_associated_decay_rate * rate),
    )


def _bioturbate(pool: Field, warmth: Field) -> Field:
    moved = pool[0] * frac(INCORPORATION_RATE * warmth[0])
    return pool.at[0].add(-moved).at[1].add(moved)


def step(
    params: Params, clay: Field, tillage: Field, carbon: SoilCarbon, climate: Climate
) -> tuple[SoilCarbon, Field]:
    """Decomposes the carbon of all layers for one day.

    Args:
      params: parameters of the site.
      clay: clay fraction of the soil.
      tillage: disturbance left from tillage, 1 just after a full one.
      carbon: pools at the start.
      climate: microbial responses in the layers.

    Returns:
      The pools at the end, and heterotrophic respiration of the layers (6,), g C m-2 d-1.
    """
    environment = climate.warmth * climate.moisture * climate.oxygen
    biomass = biomass_activity(params, carbon)
    disturbed = 1.0 + params.tillage_effect * tillage * IS_PLOUGHED
    lost = _hydrolysed(params, carbon, environment * disturbed * biomass)
    metabolic, structural, particulate, associated = lost
    humified = params.lignin_humification_fraction * structural
    dissolved = carbon.dissolved + metabolic + (structural - humified) + particulate + associated
    # The root of the environment, bent to a straight line through 0 where it is near 0.
    softened = environment / jnp.sqrt(environment + 1e-4)
    uptake_rate = 0.5 * UPTAKE_RATE * softened * biomass + 1e-9
    sorption_rate = 0.25 * params.sorption_rate * clay * IS_SOIL
    leaving = dissolved * frac(uptake_rate + sorption_rate)
    uptake = leaving * uptake_rate / (uptake_rate + sorption_rate)
    growth = params.carbon_use_efficiency * uptake
    idle = params.microbial_maintenance_rate * climate.maintenance * climate.moisture
    maintenance = carbon.microbial * frac(idle)
    dying = params.microbial_mortality_rate * climate.warmth * jnp.sqrt(climate.moisture)
    dead = (carbon.microbial - maintenance) * frac(dying)
    stabilised = params.necromass_stabilised_fraction * dead
    pools = SoilCarbon(
        metabolic=carbon.metabolic - metabolic,
        structural=carbon.structural - structural,
        particulate=carbon.particulate - particulate + humified,
        mineral_associated=carbon.mineral_associated - associated + (leaving - uptake) + stabilised,
        dissolved=dissolved - leaving + (dead - stabilised),
        microbial=carbon.microbial - maintenance - dead + growth,
    )
    moved = {name: _bioturbate(pool, climate.warmth) for name, pool in vars(pools).items()}
    return SoilCarbon(**moved), (uptake - growth) + maintenance
