"""Carbon and nitrogen of the crop: maintenance, uptake, growth, grain filling, senescence.

New assimilate and new nitrogen enter non-structural pools. Maintenance of tissue nitrogen is paid
first, then the acquisition of nitrogen; growth takes a fraction of the carbon that is left, as far
as nitrogen reaches for tissue of the lowest concentration. Where more is at hand tissue is richer,
up to its target. Every loss is a fraction of the pool it leaves, of carbon and nitrogen alike.
"""

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.process.crops import Crop
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import RENEWAL, Phenology, abandonment
from kgml_jax.process.photosynthesis import USUAL_CO2
from kgml_jax.process.smooth import above, donor, frac, sat01, smin, sstep
from kgml_jax.process.temperature import growth_factor, maintenance_factor
from kgml_jax.records import Field, constant, record, var

ROOT_TURNOVER = 0.008  # d-1; at 25 degC
EXUDATION = 0.03  # d-1; of the non-structural carbon
LITTERFALL = 0.02  # d-1; of standing dead matter
ABANDONED = 0.1  # d-1; death of plants left standing after the occupied season
# 1; lowest nitrogen of leaf, stem, root and grain over its target. Grain of unfertilised corn has
# about 1.0 % nitrogen, of well-fed corn 1.5 %; yellow leaves and straw keep about a third.
LOWEST_NITROGEN = np.array([0.30, 0.30, 0.45, 0.65])
REFILLED = np.array([1.0, 1.0, 1.0, 0.0])  # 1; organs that take up nitrogen after their growth
REFILL = 0.2  # d-1; of what an organ lacks
AMBITION = 1.5  # 1; nitrogen looked for over that wanted today, so that a day's need is in stock
AVAILABLE = 0.9  # d-1; labile nitrogen that can be built in
# g C gN-1; a mixture of four parts nitrate and one ammonium: uptake 0.34 and 0.17, reduction 1.70
# of which light pays a third (Cannell and Thornley 2000); EcoSIM takes 0.86 for the uptake alone.
UPTAKE_COST = 1.2
FIXATION_COST = 5.0  # g C gN-1; EcoSIM EN2F 0.20 gN gC-1; Cannell and Thornley (2000) 5 to 12
FIXATION_WARMTH = 0.25  # 1; growth factor (11 degC) at which fixation has halved
# 1; carbon respired per carbon exported from leaves: 0.70 mol CO2 per mol sucrose, range 0.4-1.26
# (Bouma et al. 1995).
EXPORT_COST = 0.058
IS_ROOT = np.array([0.0, 0.0, 1.0, 0.0])
EXPORTED = np.array([0.0, 1.0, 1.0, 1.0])  # 1; organs whose carbon comes through the phloem
RESORBED = 0.5  # 1; nitrogen that dying leaves give back
DARKENED = 0.03  # d-1; death of leaves at twice the critical leaf area (WOFOST)
# 1; soil nitrogen within reach, over the demand, that keeps a legume from fixing: half at 10 times.
INHIBITION = 0.1
# 1; reserve carbon over that of leaves at which it halves photosynthesis. Growing plants hold 0.4
# to 0.9, plants that lack nitrogen or sinks more (EcoSIM: product inhibition of carboxylation).
SURFEIT = 1.5
# 1; of the area of C3 leaves per log CO2: they grow thicker in more carbon dioxide (free-air
# experiments, Ainsworth and Long 2005; 6 % at 567 umol mol-1).
THICKENING = np.log(0.94) / np.log(567.0 / USUAL_CO2)
REGROWTH = 1.0  # 1; leaf area index up to which the roots of a perennial feed regrowth
CRITICAL_LEAF_AREA = 3.2 / 0.6  # 1; WOFOST, extinction of diffuse light 0.6


@record
class Plant:
    """Carbon and nitrogen of the crop on the field, each of shape (2,)."""

    nonstructural: Field = var(units="g m-2", doc="Non-structural carbon, labile nitrogen")
    leaf: Field = var(units="g m-2", doc="Leaves")
    stem: Field = var(units="g m-2", doc="Stems, with cobs or pod walls")
    root: Field = var(units="g m-2", doc="Roots")
    grain: Field = var(units="g m-2", doc="Grain")
    standing_dead: Field = var(units="g m-2", doc="Dead matter still standing")


@record
class Environment:
    """What a day means to the plant."""

    photosynthesis: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    temperature: Field = var(units="degC", doc="Mean air temperature")
    lowest_temperature: Field = var(units="degC", doc="Lowest air temperature")
    supply_ratio: Field = var(units="1", doc="Water supply over demand")
    leaf_area: Field = var(units="1", doc="Leaf area index")
    active: Field = var(units="1", doc="1 for an emerged crop")
    occupied: Field = var(units="1", doc="1 while a crop is on the field")
    nitrogen_supply: Field = var(units="g N m-2 d-1", doc="Nitrogen the soil could give")


@record
class PlantFluxes:
    """What the plant takes up and loses in a day."""

    maintenance_respiration: Field = var(units="g C m-2 d-1", doc="To keep tissue alive")
    growth_respiration: Field = var(units="g C m-2 d-1", doc="To build tissue and carry its sugar")
    nitrogen_respiration: Field = var(units="g C m-2 d-1", doc="To fix, take up and reduce N")
    litterfall: Field = var(units="g m-2 d-1", doc="Standing dead falling to the surface, (2,)")
    root_litter: Field = var(units="g m-2 d-1", doc="Dead roots, (2,)")
    exudation: Field = var(units="g C m-2 d-1", doc="Dissolved carbon from roots")
    nitrogen_uptake: Field = var(units="g N m-2 d-1", doc="From the soil")
    nitrogen_fixation: Field = var(units="g N m-2 d-1", doc="From the air")


@record
class Allocation:
    """Shares of new tissue; they sum to 1."""

    leaf: Field = var(units="1", doc="Leaves")
    stem: Field = var(units="1", doc="Stems")
    root: Field = var(units="1", doc="Roots")
    grain: Field = var(units="1", doc="Grain")


def _organs(parts: Plant | Allocation) -> Field:
    return jnp.stack([parts.leaf, parts.stem, parts.root, parts.grain])


def _targets(crop: Crop) -> Field:
    parts = [crop.leaf_nitrogen, crop.stem_nitrogen, crop.root_nitrogen, crop.grain_nitrogen]
    return jnp.stack(parts)


def allocation(params: Params, crop: Crop, stage: Field) -> Allocation:
    """Returns the shares of new tissue at a development `stage` (smooth WOFOST tables)."""
    early = lambda halved, width: jax.nn.sigmoid(-(stage - halved) / width)
    root = crop.root_fraction * params.root_allocation_multiplier
    root = root * early(crop.root_decline_stage, 0.12)
    onset = crop.grain_onset_stage + params.grain_onset_shift
    grain = (1.0 - root) * sstep(stage - onset, crop.grain_onset_width)
    vegetative = 1.0 - root - grain
    leaf = vegetative * crop.leaf_fraction * early(crop.leaf_decline_stage, 0.10)
    return Allocation(leaf=leaf, stem=vegetative - leaf, root=root, grain=grain)


def leaf_area(params: Params, crop: Crop, plant: Plant, co2: Field) -> Field:
    """Leaf area index of the plant in air with `co2` (umol mol-1)."""
    thickness = 1.0 + (1.0 - crop.c4) * ((co2 / USUAL_CO2) ** THICKENING - 1.0)
    specific = crop.specific_leaf_area * params.specific_leaf_area_multiplier
    return thickness * specific * plant.leaf[CARBON]


def leaf_nitrogen_factor(crop: Crop, plant: Plant) -> Field:
    """Photosynthetic capacity over that of leaves at their target nitrogen, 0.1 to 1."""
    relative = plant.leaf[NITROGEN] / (crop.leaf_nitrogen * plant.leaf[CARBON] + 1e-9)
    return 0.1 + 0.9 * sat01((relative - 0.25) / 0.75)


def storage_factor(plant: Plant) -> Field:
    """Photosynthesis over that of a plant whose sinks keep its reserve low, 0 to 1."""
    stored = plant.nonstructural[CARBON] / (plant.leaf[CARBON] + 1.0)
    return 1.0 / (1.0 + (stored / SURFEIT) ** 4)


def maintenance_demand(params: Params, plant: Plant, temperature: Field) -> Field:
    """Carbon needed to keep tissue alive for a day, by its nitrogen, g C m-2 d-1."""
    vegetative = plant.leaf[NITROGEN] + plant.stem[NITROGEN] + plant.root[NITROGEN]
    nitrogen = vegetative + 0.3 * plant.grain[NITROGEN]
    return 24.0 * params.maintenance_respiration_rate * nitrogen * maintenance_factor(temperature)


def tissue_cost(crop: Crop, share: Field) -> Field:
    """Carbon used per carbon of new tissue with the `share` of each organ (4,)."""
    vegetative, grain = crop.vegetative_yield, crop.grain_yield
    yields = jnp.stack([vegetative, vegetative, vegetative, grain])
    return jnp.sum(share * constant(1.0 + EXPORT_COST * EXPORTED) / yields)


def senescence_rate(
    params: Params, crop: Crop, stage: Field, warmth: Field, day: Environment
) -> Field:
    """Rate at which leaves die, d-1: of age, mutual shading, drought and frost.

    `warmth` is the growth factor of the day.
    """
    age = crop.senescence_rate * params.senescence_multiplier
    age = age * sstep(stage - crop.senescence_stage, 0.08) * 2.0 * warmth
    shading = DARKENED * sat01(day.leaf_area / CRITICAL_LEAF_AREA - 1.0, 0.05)
    drought = 0.02 * (1.0 - day.supply_ratio)
    frost = 0.6 * sstep(crop.frost_temperature - day.lowest_temperature, 0.8)
    return age + shading + drought + frost


def _regrown(
    crop: Crop, body: tuple[Field, Field], warmth: Field, day: Environment
) -> tuple[Field, Field]:
    # Free matter (2,) and organs (4, 2) after roots of a perennial gave to a stand of few leaves.
    free, organs = body
    bare = 1.0 - sat01(day.leaf_area / REGROWTH, 0.05)
    given = frac(crop.reserve_mobilisation * bare * warmth * day.active) * organs[2]
    return free + given, organs - constant(IS_ROOT)[:, None] * given


def _mobilised(params: Params, lowest: Field, nitrogen: Field, filling: Field) -> Field:
    # Nitrogen above their lowest that leaves, stem and roots give to the need of `filling` grain.
    surplus = constant(REFILLED) * above(nitrogen, lowest + 1e-9)
    total = jnp.sum(surplus)
    moved = smin(filling, params.nitrogen_mobilisation_rate * total)
    return surplus * (moved / (total + 1e-9))


def _acquired(
    params: Params, crop: Crop, demand: Field, reserve: Field, warmth: Field, day: Environment
) -> tuple[Field, Field, Field]:
    # Nitrogen from the soil and from the air, as far as carbon pays for it, and that carbon.
    able = crop.nitrogen_fixation * day.supply_ratio * warmth / (warmth + FIXATION_WARMTH)
    able = able * demand / (demand + INHIBITION * day.nitrogen_supply + 1e-9)
    fixed = params.nitrogen_fixation_fraction * able * demand
    taken = smin(demand - fixed, day.nitrogen_supply)
    cost = UPTAKE_COST * taken + FIXATION_COST * fixed
    paid = donor(reserve, cost)
    afforded = paid / (cost + 1e-9)
    return afforded * taken, afforded * fixed, paid


def _built(target: Field, potential: Field, refill: Field, labile: Field) -> tuple[Field, Field]:
    # Growth of the organs, and nitrogen that goes into them: first that of the poorest tissue, then
    # what would make it rich and what older tissue lacks.
    lowest, available = constant(LOWEST_NITROGEN) * target, AVAILABLE * labile
    growth = potential * smin(available / (jnp.sum(potential * lowest) + 1e-9), 1.0)
    first = growth * lowest
    wanted = growth * (target - lowest) + refill
    total = jnp.sum(wanted)
    given = smin(available - jnp.sum(first), total)
    return growth, first + wanted * (given / (total + 1e-9))


def _grown(
    params: Params,
    crop: Crop,
    stage: Field,
    body: tuple[Field, Field],
    warmth: Field,
    day: Environment,
) -> tuple[tuple[Field, Field], dict[str, Field]]:
    # The body, free matter (2,) and organs (4, 2), after nitrogen was found and tissue built.
    free, organs = body
    carbon, nitrogen, target = organs[:, CARBON], organs[:, NITROGEN], _targets(crop)
    share = _organs(allocation(params, crop, stage))
    awake = day.active * sstep(1.995 - stage, 0.005)
    cost = tissue_cost(crop, share)
    growing = share * (awake * frac(params.growth_rate * warmth) / cost)
    potential = growing * free[CARBON]
    lowest = constant(LOWEST_NITROGEN) * target * carbon
    moved = _mobilised(params, lowest, nitrogen, potential[3] * target[3])
    nitrogen = nitrogen - moved
    lacking = above(target * carbon, nitrogen + 1e-9)
    refill = REFILL * awake * (1.0 - share[3]) * constant(REFILLED) * lacking
    wanted = AMBITION * jnp.sum(potential * target + refill)
    # Less is looked for while nitrogen is in stock.
    demand = wanted * wanted / (wanted + free[NITROGEN] + 1e-9)
    taken, fixed, paid = _acquired(params, crop, demand, free[CARBON], warmth, day)
    reserve, labile = free[CARBON] - paid, free[NITROGEN] + jnp.sum(moved) + taken + fixed
    growth, built = _built(target, growing * reserve, refill, labile)
    used = cost * jnp.sum(growth)
    exuded = (reserve - used) * frac(EXUDATION * day.active)
    free = jnp.stack([reserve - used - exuded, labile - jnp.sum(built)])
    return (free, jnp.stack([carbon + growth, nitrogen + built], axis=1)), {
        "growth_respiration": used - jnp.sum(growth),
        "nitrogen_respiration": paid,
        "exudation": exuded,
        "nitrogen_uptake": taken,
        "nitrogen_fixation": fixed,
    }


def step(
    params: Params, crop: Crop, plant: Plant, phenology: Phenology, day: Environment
) -> tuple[Plant, PlantFluxes]:
    """Advances the plant's carbon and nitrogen by one day."""
    stage, warmth = (
        phenology.development_stage,
        growth_factor(day.temperature + crop.thermal_adaptation),
    )
    reserve = plant.nonstructural[CARBON] + day.photosynthesis
    maintenance = donor(reserve, maintenance_demand(params, plant, day.temperature))
    free = jnp.stack([reserve - maintenance, plant.nonstructural[NITROGEN]])
    body = _regrown(crop, (free, _organs(plant)), warmth, day)
    body, exchanged = _grown(params, crop, stage, body, warmth, day)
    free, organs = body
    death, none = ABANDONED * abandonment(day.occupied), jnp.zeros_like(warmth)
    leaf_death = senescence_rate(params, crop, stage, warmth, day)
    renewed = RENEWAL * crop.perennial
    rates = jnp.stack([leaf_death + renewed, renewed, ROOT_TURNOVER * warmth, none])
    lost = organs * frac(rates + death)[:, None]
    wasted = free * frac(death)
    resorbed = jnp.stack([none, RESORBED * lost[0, NITROGEN]])
    leaf, stem, root, grain = organs - lost
    fallen = plant.standing_dead * frac(LITTERFALL)
    dead = (lost[0] - resorbed) + lost[1] + lost[3] + wasted
    after = Plant(
        nonstructural=free - wasted + resorbed,
        leaf=leaf,
        stem=stem,
        root=root,
        grain=grain,
        standing_dead=plant.standing_dead - fallen + dead,
    )
    return after, PlantFluxes(
        maintenance_respiration=maintenance, litterfall=fallen, root_litter=lost[2], **exchanged
    )
