"""Carbon of the crop: maintenance, growth, allocation, senescence, turnover and exudation.

New assimilate enters a non-structural pool; maintenance is paid first, growth takes a fraction of
the rest with its respiration, and every loss is a fraction of the pool it leaves.
"""

import jax

from kgml_jax.process.crops import Crop
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.smooth import donor, frac, sstep
from kgml_jax.process.temperature import growth_factor, maintenance_factor
from kgml_jax.records import Field, record, var

ROOT_TURNOVER = 0.008  # d-1 at 25 degC
EXUDATION = 0.03  # d-1 of the non-structural pool
LITTERFALL = 0.02  # d-1 of standing dead matter
ABANDONED = 0.1  # d-1, death of plants left standing after the occupied season


@record
class Plant:
    """Carbon of the crop on the field."""

    nonstructural: Field = var(units="g C m-2", doc="Non-structural carbon")
    leaf: Field = var(units="g C m-2", doc="Leaves")
    stem: Field = var(units="g C m-2", doc="Stems, with cobs or pod walls")
    root: Field = var(units="g C m-2", doc="Roots")
    grain: Field = var(units="g C m-2", doc="Grain")
    standing_dead: Field = var(units="g C m-2", doc="Dead matter still standing")


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


@record
class PlantFluxes:
    """What leaves the plant in a day."""

    maintenance_respiration: Field = var(units="g C m-2 d-1", doc="To keep tissue alive")
    growth_respiration: Field = var(units="g C m-2 d-1", doc="To build tissue")
    litterfall: Field = var(units="g C m-2 d-1", doc="Standing dead falling to the surface")
    root_litter: Field = var(units="g C m-2 d-1", doc="Dead roots")
    exudation: Field = var(units="g C m-2 d-1", doc="Dissolved carbon from roots")


@record
class Allocation:
    """Shares of new tissue; they sum to 1."""

    leaf: Field = var(units="1", doc="Leaves")
    stem: Field = var(units="1", doc="Stems")
    root: Field = var(units="1", doc="Roots")
    grain: Field = var(units="1", doc="Grain")


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


def maintenance_demand(params: Params, crop: Crop, plant: Plant, temperature: Field) -> Field:
    """Carbon needed to keep the tissue alive for a day, g C m-2 d-1.

    Proportional to tissue nitrogen, here at the crop's target concentrations.
    """
    nitrogen = (
        plant.leaf * crop.leaf_nitrogen
        + plant.stem * crop.stem_nitrogen
        + plant.root * crop.root_nitrogen
        + 0.3 * plant.grain * crop.grain_nitrogen
    )
    hourly = params.maintenance_respiration_rate * nitrogen * maintenance_factor(temperature)
    return 24.0 * hourly


def senescence_rate(params: Params, crop: Crop, stage: Field, day: Environment) -> Field:
    """Rate at which leaves die, d-1: of age, mutual shading, drought and frost."""
    age = crop.senescence_rate * params.senescence_multiplier
    age = age * sstep(stage - crop.senescence_stage, 0.08) * 2.0 * growth_factor(day.temperature)
    shading = 0.004 * sstep(day.leaf_area - 4.5, 0.5)
    drought = 0.02 * (1.0 - day.supply_ratio)
    frost = 0.6 * sstep(-2.0 - day.lowest_temperature, 0.8)
    return age + shading + drought + frost


def step(
    params: Params, crop: Crop, plant: Plant, phenology: Phenology, day: Environment
) -> tuple[Plant, PlantFluxes]:
    """Advances the plant's carbon by one day."""
    stage, warmth = phenology.development_stage, growth_factor(day.temperature)
    reserve = plant.nonstructural + day.photosynthesis
    demand = maintenance_demand(params, crop, plant, day.temperature)
    maintenance = donor(reserve, demand)
    reserve = reserve - maintenance
    share = allocation(params, crop, stage)
    cost = (1.0 - share.grain) / crop.vegetative_yield + share.grain / crop.grain_yield
    unripe = sstep(1.995 - stage, 0.005)
    used = reserve * frac(params.growth_rate * warmth * day.active) * unripe
    growth = used / cost
    exudation = (reserve - used) * frac(EXUDATION * day.active)
    death = ABANDONED * (1.0 - day.occupied)
    reserve = reserve - used - exudation
    ageing = senescence_rate(params, crop, stage, day)
    leaf_dead = plant.leaf * frac(ageing + death)
    stem_dead, grain_dead = plant.stem * frac(death), plant.grain * frac(death)
    reserve_dead = reserve * frac(death)
    root_dead = plant.root * frac(ROOT_TURNOVER * warmth + death)
    fallen = plant.standing_dead * frac(LITTERFALL)
    dead = leaf_dead + stem_dead + grain_dead + reserve_dead
    after = Plant(
        nonstructural=reserve - reserve_dead,
        leaf=plant.leaf - leaf_dead + growth * share.leaf,
        stem=plant.stem - stem_dead + growth * share.stem,
        root=plant.root - root_dead + growth * share.root,
        grain=plant.grain - grain_dead + growth * share.grain,
        standing_dead=plant.standing_dead - fallen + dead,
    )
    return after, PlantFluxes(
        maintenance_respiration=maintenance,
        growth_respiration=used - growth,
        litterfall=fallen,
        root_litter=root_dead,
        exudation=exudation,
    )
