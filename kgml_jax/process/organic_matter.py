"""Organic matter of residue and soil: hydrolysis, microbial growth and death, carbon and nitrogen.

Each of the six layers (residue first) holds litter, particulate and mineral-associated matter,
dissolved matter and one microbial community; the layers are advanced together as vectors. A pool
moves with its nitrogen. Microbes grow at one C:N: they release nitrogen that they take up in excess
of it, and draw what they lack from the mineral nitrogen of their layer. Where that is scarce,
litter decays more slowly and microbes build in less of what they take up, so that they respire
more of it (Manzoni et al. 2008; Zhang et al. 2018).
"""

import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.parameters import Params
from kgml_jax.process.smooth import frac, sat01, smin, spos
from kgml_jax.process.temperature import decomposition_factor, thawed
from kgml_jax.records import Field, constant, record, var

OXYGEN_HALF_SATURATION = 0.25 * 0.121  # m3 m-3; a quarter of the forest soil of DAMM
UPTAKE_RATE = 1.5  # d-1, of dissolved matter
INCORPORATION_RATE = 0.004  # d-1, of surface residue by soil fauna
MICROBIAL_NITROGEN = 1.0 / 8.0  # gN gC-1; of microbes
STRUCTURAL_NITROGEN = 1.0 / 150.0  # gN gC-1; fresh structural litter (CENTURY)
HUMUS_NITROGEN = 0.05  # gN gC-1; of what becomes particulate (EcoSIM CNRH)
LITTER_CARBON = 0.45  # 1; carbon per dry matter of litter
DEPTH_FACTORS = np.array([1.0, 1.0, 0.9, 0.5, 0.2])  # 1; carbon content over that of 0-15 cm
STARVED = 0.4  # 1; decay of litter without mineral nitrogen over decay with plenty
# Tuned, like STARVED: corn residue in bags lost 20, 33 and 41 % from November to May, and 21, 42
# and 32 % from May to October, on the surface, at 5 and at 20 cm (Burgess et al. 2002).
CONTACT = np.array([0.4] + [1.0] * layers.SOIL)  # 1; activity over that in soil as moist
IS_SOIL = np.array([0.0] + [1.0] * layers.SOIL)
IS_PLOUGHED = np.array([0.0] + [1.0] * layers.PLOUGHED + [0.0] * (layers.SOIL - layers.PLOUGHED))
IS_LITTER = np.array([True, True, False, False])[:, None, None]  # of the stacked solid pools
# 1; share of the tillage effect: litter, then soil matter (CLTEFF of DayCent: 1.1-1.6, 2.6-3.7).
DISTURBANCE = np.array([[0.15], [0.15], [1.0], [1.0]]) * IS_PLOUGHED


@record
class OrganicMatter:
    """Carbon and nitrogen of residue and soil, each of shape (2, 6), residue first."""

    metabolic: Field = var(units="g m-2", doc="Metabolic litter (MET)")
    structural: Field = var(units="g m-2", doc="Structural litter (STR)")
    particulate: Field = var(units="g m-2", doc="Particulate organic matter (POM)")
    mineral_associated: Field = var(units="g m-2", doc="Mineral-associated matter (MAOM)")
    dissolved: Field = var(units="g m-2", doc="Dissolved organic matter (DOC)")
    microbial: Field = var(units="g m-2", doc="Microbial biomass (MIC)")


@record
class Climate:
    """Responses of the microbes to their surroundings, each of shape (6,)."""

    warmth: Field = var(units="1", doc="Temperature response of decomposition and death")
    maintenance: Field = var(units="1", doc="Temperature response of maintenance")
    moisture: Field = var(units="1", doc="Moisture response")
    oxygen: Field = var(units="1", doc="Oxygen response")


@record
class Decomposition:
    """What the microbes of each layer exchanged in a day, each of shape (6,)."""

    respiration: Field = var(units="g C m-2 d-1", doc="Heterotrophic respiration")
    mineralised: Field = var(units="g N m-2 d-1", doc="Nitrogen released as ammonium")
    immobilised: Field = var(units="g N m-2 d-1", doc="Mineral nitrogen taken up by microbes")


def total(matter: OrganicMatter) -> Field:
    """Carbon and nitrogen of each layer, g m-2, shape (2, 6)."""
    litter = matter.metabolic + matter.structural + matter.particulate
    return litter + matter.mineral_associated + matter.dissolved + matter.microbial


def initial(params: Params, attributes: Attributes) -> OrganicMatter:
    """Returns the matter at the start from the site's measured organic carbon."""
    measured = params.initial_carbon_multiplier * attributes.soil_organic_carbon
    density = (
        1000.0 * attributes.bulk_density * constant(layers.THICKNESS) * constant(DEPTH_FACTORS)
    )
    soil = measured * density
    particulate = params.initial_particulate_fraction

    def pool(residue: float, share: Field, carbon_to_nitrogen: float) -> Field:
        carbon = jnp.concatenate([jnp.full_like(soil[:1], residue), share * soil])
        return jnp.stack([carbon, carbon / carbon_to_nitrogen])

    return OrganicMatter(
        metabolic=pool(5.0, 0.003, 20.0),
        structural=pool(60.0, 0.012, 80.0),
        particulate=pool(5.0, particulate, 18.0),
        mineral_associated=pool(0.5, 1.0 - 0.04 - particulate, 10.5),
        dissolved=pool(0.2, 0.001, 12.0),
        microbial=pool(3.0, 0.024, 8.0),
    )


def moisture_response(relative: Field) -> Field:
    """Response to water `relative` to the available range (DayCent calcdefac)."""
    return 1.0 / (1.0 + 30.0 * jnp.exp(-9.0 * relative))


def oxygen_response(air: Field) -> Field:
    """Response to `air`-filled porosity (m3 m-3) (DAMM, Davidson et al. 2012)."""
    # The floor keeps the power differentiable in saturated soil; by logarithm it costs a sixth.
    oxygen = 1.67 * 0.209 * jnp.exp(4.0 / 3.0 * jnp.log(spos(air, 200.0) + 1e-4))
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
        warmth=decomposition_factor(temperature) * liquid,
        maintenance=decomposition_factor(temperature) * liquid,
        moisture=constant(CONTACT) * moisture_response(relative),
        oxygen=oxygen_response(air),
    )


def metabolic_fraction(lignin_to_nitrogen: Field) -> Field:
    """Share of fresh litter that is metabolic (CENTURY), between 0.15 and 0.85."""
    return 0.15 + 0.70 * sat01((0.70 - 0.013 * lignin_to_nitrogen) / 0.70)


def add_litter(
    matter: OrganicMatter, litter: Field, exudation: Field, lignin: Field
) -> OrganicMatter:
    """Adds litter and root exudates to their pools.

    Args:
      matter: pools at the start.
      litter: carbon and nitrogen of the litter of each layer, g m-2, (2, 6).
      exudation: carbon that roots exude in each layer, g C m-2, (6,).
      lignin: of the litter, g per g dry matter, `()` or (6,).
    """
    carbon, nitrogen = litter[CARBON], litter[NITROGEN]
    per_nitrogen = lignin * carbon / (LITTER_CARBON * nitrogen + 1e-9)
    tough = (1.0 - metabolic_fraction(per_nitrogen)) * carbon
    structural = jnp.stack([tough, smin(tough * STRUCTURAL_NITROGEN, 0.6 * nitrogen)])
    return OrganicMatter(
        metabolic=matter.metabolic + (litter - structural),
        structural=matter.structural + structural,
        particulate=matter.particulate,
        mineral_associated=matter.mineral_associated,
        dissolved=matter.dissolved.at[CARBON].add(exudation),
        microbial=matter.microbial,
    )


def biomass_activity(params: Params, matter: OrganicMatter) -> Field:
    """Activity of the biomass relative to the carbon of its layer, (6,).

    Relative, not absolute, half saturation: absolute values let deep layers starve and bloom.
    """
    half = params.microbial_half_saturation * (total(matter)[CARBON] + 10.0)
    biomass = matter.microbial[CARBON]
    return 1.5 * (biomass + 0.05 * half) / (half + biomass)


def _hydrolysed(params: Params, solid: Field, activity: Field, tillage: Field) -> Field:
    # What becomes soluble today of the stacked solid pools (4, 2, 6) with nitrogen in plenty.
    rates = jnp.stack(
        [
            params.metabolic_decay_rate,
            params.structural_decay_rate,
            params.particulate_decay_rate,
            params.mineral_associated_decay_rate,
        ]
    )
    disturbed = 1.0 + params.tillage_effect * tillage * constant(DISTURBANCE)
    return solid * frac(rates[:, None] * disturbed * activity)[:, None]


def _humified(params: Params, structural: Field) -> Field:
    # What dissolving structural litter (2, 6) leaves behind as particulate matter.
    carbon = params.lignin_humification_fraction * structural[CARBON]
    return jnp.stack([carbon, smin(HUMUS_NITROGEN * carbon, 0.9 * structural[NITROGEN])])


def _leave(dissolved: Field, uptake_rate: Field, sorption_rate: Field) -> tuple[Field, Field]:
    # What leaves dissolved matter (2, 6) in a day by its two competing exits.
    rate = uptake_rate + sorption_rate
    leaving = dissolved * frac(rate)
    uptake = leaving * (uptake_rate / rate)
    return uptake, leaving - uptake


def _nitrogen_balance(params: Params, uptake: Field) -> tuple[Field, Field]:
    # Nitrogen that growth on `uptake` (2, 6) leaves over, and nitrogen that it lacks: the two parts
    # of their difference, rounded off where it changes sign.
    needed = params.carbon_use_efficiency * uptake[CARBON] * MICROBIAL_NITROGEN
    difference = uptake[NITROGEN] - needed
    root = jnp.sqrt(difference**2 + 4e-4 * uptake[NITROGEN] * needed + 1e-24)
    spare = jnp.minimum(0.5 * (root + difference), uptake[NITROGEN])
    return spare, jnp.minimum(0.5 * (root - difference), needed)


def _decayed(
    params: Params,
    matter: OrganicMatter,
    potential: Field,
    uptake_rate: Field,
    sorption_rate: Field,
    available: Field,
) -> tuple[Field, Field, Field, Field]:
    # What the solid pools lose (4, 2, 6), and of it and of dissolved matter what becomes
    # particulate, is taken up and is sorbed, each (2, 6). Where nitrogen is short, litter
    # dissolves and is taken up more slowly; matter of the soil, rich in it, dissolves on.
    metabolic, structural, particulate, mineral_associated = jnp.unstack(potential)
    humified = _humified(params, structural)
    litter = metabolic + structural - humified
    soil = matter.dissolved + particulate + mineral_associated
    wanted, _ = _leave(litter + soil, uptake_rate, sorption_rate)
    spare, lacking = _nitrogen_balance(params, wanted)
    met = smin(1.0, (available + spare) / (lacking + 1e-6), 0.9)
    limit = STARVED + (1.0 - STARVED) * met
    uptake, sorbed = _leave(limit * litter + soil, limit * uptake_rate, sorption_rate)
    return potential * jnp.where(IS_LITTER, limit, 1.0), limit * humified, uptake, sorbed


def _grown(params: Params, uptake: Field, available: Field) -> tuple[Field, Field, Field]:
    # New biomass (2, 6), nitrogen released and nitrogen drawn. Growth is bound by nitrogen: carbon
    # that cannot be built in for want of it overflows into respiration.
    released, lacking = _nitrogen_balance(params, uptake)
    drawn = smin(lacking, available, 0.999)
    nitrogen = uptake[NITROGEN] - released + drawn
    return jnp.stack([nitrogen / MICROBIAL_NITROGEN, nitrogen]), released, drawn


def _turned_over(params: Params, microbial: Field, climate: Climate) -> tuple[Field, Field]:
    # Biomass used up to stay alive, and biomass that dies, each (2, 6).
    idle = params.microbial_maintenance_rate * climate.maintenance * climate.moisture
    used = microbial * frac(idle)
    dying = params.microbial_mortality_rate * climate.warmth * jnp.sqrt(climate.moisture)
    return used, (microbial - used) * frac(dying)


def _bioturbated(pools: Field, warmth: Field) -> Field:
    residue, upper, deeper = jnp.split(pools, [1, 2], axis=-1)
    moved = residue * frac(INCORPORATION_RATE * warmth[0])
    return jnp.concatenate([residue - moved, upper + moved, deeper], axis=-1)


def step(
    params: Params,
    clay: Field,
    tillage: Field,
    matter: OrganicMatter,
    climate: Climate,
    available: Field,
) -> tuple[OrganicMatter, Decomposition]:
    """Decomposes the matter of all layers for one day.

    Args:
      params: parameters of the site.
      clay: clay fraction of the soil.
      tillage: disturbance left from tillage, 1 just after a full one.
      matter: pools at the start.
      climate: microbial responses in the layers.
      available: mineral nitrogen that the microbes could take today, g N m-2, (6,).

    Returns:
      The pools at the end, and what the microbes exchanged: carbon changes by the respiration,
      nitrogen by what is immobilised (at most `available`) less what is mineralised.
    """
    environment = climate.warmth * climate.moisture * climate.oxygen
    activity = biomass_activity(params, matter)
    # The root of the environment, bent to a straight line through 0 where it is near 0.
    softened = environment / jnp.sqrt(environment + 1e-4)
    uptake_rate = 0.5 * UPTAKE_RATE * softened * activity + 1e-9
    sorption_rate = 0.25 * params.sorption_rate * clay * constant(IS_SOIL)
    solid = jnp.stack(
        [matter.metabolic, matter.structural, matter.particulate, matter.mineral_associated]
    )
    potential = _hydrolysed(params, solid, environment * activity, tillage)
    lost, humified, uptake, sorbed = _decayed(
        params, matter, potential, uptake_rate, sorption_rate, available
    )
    growth, released, drawn = _grown(params, uptake, available)
    used, dead = _turned_over(params, matter.microbial, climate)
    stabilised = params.necromass_stabilised_fraction * dead
    metabolic, structural, particulate, mineral_associated = jnp.unstack(solid - lost)
    dissolved = matter.dissolved + (jnp.sum(lost, 0) - humified) - (uptake + sorbed)
    pools = {
        "metabolic": metabolic,
        "structural": structural,
        "particulate": particulate + humified,
        "mineral_associated": mineral_associated + sorbed + stabilised,
        "dissolved": dissolved + (dead - stabilised),
        "microbial": matter.microbial - used - dead + growth,
    }
    moved = _bioturbated(jnp.stack(list(pools.values())), climate.warmth)
    return OrganicMatter(**dict(zip(pools, jnp.unstack(moved), strict=True))), Decomposition(
        respiration=uptake[CARBON] - growth[CARBON] + used[CARBON],
        mineralised=released + used[NITROGEN],
        immobilised=drawn,
    )
