"""What a site carries from day to day, how it starts, and what the daily step reports."""

import jax.numpy as jnp

from kgml_jax.process import layers, mineral_nitrogen, organic_matter, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.mineral_nitrogen import MineralNitrogen
from kgml_jax.process.organic_matter import OrganicMatter
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_water import Water
from kgml_jax.records import Field, constant, record, var

WINTER_COOLING = 8.0  # degC; soil on 1 January below the annual mean, above it in the south
TROPICS = 30.0  # degree; latitude up to which the seasons grow


@record
class State:
    """Everything a site carries from one day to the next."""

    plant: Plant
    phenology: Phenology
    organic: OrganicMatter
    mineral: MineralNitrogen
    water: Water
    soil_temperature: Field = var(units="degC", doc="Of the soil layers, shape (5,)")
    tillage_memory: Field = var(units="1", doc="Disturbance left from tillage, 1 just after it")


@record
class Fluxes:
    """What a site exchanges in a day, and its stocks at the day's end; `()`, layers (5,)."""

    gross_primary_productivity: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    autotrophic_respiration: Field = var(units="g C m-2 d-1", doc="Of the crop, the three parts")
    maintenance_respiration: Field = var(units="g C m-2 d-1", doc="To keep tissue alive")
    growth_respiration: Field = var(units="g C m-2 d-1", doc="To build tissue")
    nitrogen_respiration: Field = var(units="g C m-2 d-1", doc="To fix, take up and reduce N")
    heterotrophic_respiration: Field = var(units="g C m-2 d-1", doc="Of the microbes")
    ecosystem_respiration: Field = var(units="g C m-2 d-1", doc="Autotrophic and heterotrophic")
    net_ecosystem_exchange: Field = var(units="g C m-2 d-1", doc="To the atmosphere")
    seed_carbon: Field = var(units="g C m-2 d-1", doc="Brought in at planting")
    harvested_carbon: Field = var(units="g C m-2 d-1", doc="Exported by harvest, cut, grazing")
    cut_carbon: Field = var(units="g C m-2 d-1", doc="Hay or silage mown and exported")
    grazed_carbon: Field = var(units="g C m-2 d-1", doc="Eaten by animals, less their dung")
    grain_carbon_harvested: Field = var(units="g C m-2 d-1", doc="Grain exported at harvest")
    removed_carbon: Field = var(units="g C m-2 d-1", doc="Residue exported at harvest")
    grain_yield: Field = var(units="Mg ha-1", doc="Grain harvested this day, at market moisture")
    residue_carbon: Field = var(units="g C m-2 d-1", doc="Left on and in the soil at harvest")
    litter_carbon: Field = var(units="g C m-2 d-1", doc="Litterfall and root death in season")
    exudation: Field = var(units="g C m-2 d-1", doc="Dissolved carbon from roots")
    seed_nitrogen: Field = var(units="g N m-2 d-1", doc="Brought in at planting")
    harvested_nitrogen: Field = var(units="g N m-2 d-1", doc="Exported by harvest, cut, grazing")
    nitrogen_fertiliser: Field = var(units="g N m-2 d-1", doc="Ammonium and nitrate applied")
    nitrogen_deposition: Field = var(units="g N m-2 d-1", doc="From the atmosphere")
    nitrogen_fixation: Field = var(units="g N m-2 d-1", doc="By legumes")
    nitrogen_uptake: Field = var(units="g N m-2 d-1", doc="Mineral nitrogen taken up by roots")
    net_mineralisation: Field = var(units="g N m-2 d-1", doc="Mineralised less immobilised")
    nitrification: Field = var(units="g N m-2 d-1", doc="Ammonium turned to nitrate")
    nitrous_oxide: Field = var(units="g N m-2 d-1", doc="N2O of both processes")
    dinitrogen: Field = var(units="g N m-2 d-1", doc="N2 of denitrification")
    ammonia_volatilisation: Field = var(units="g N m-2 d-1", doc="Ammonia to the atmosphere")
    nitrate_leaching: Field = var(units="g N m-2 d-1", doc="Nitrate lost with drainage")
    evapotranspiration: Field = var(units="mm d-1", doc="All evaporation")
    transpiration: Field = var(units="mm d-1", doc="Through the plants")
    soil_evaporation: Field = var(units="mm d-1", doc="From the soil")
    interception_evaporation: Field = var(units="mm d-1", doc="From wet leaves")
    snow_sublimation: Field = var(units="mm d-1", doc="From the snow pack")
    runoff: Field = var(units="mm d-1", doc="Over the surface")
    drainage: Field = var(units="mm d-1", doc="Below 1.2 m and to tiles")
    snow_melt: Field = var(units="mm d-1", doc="Melt water reaching the soil")
    ground_heat: Field = var(units="MJ m-2 d-1", doc="Heat into the soil at its surface")
    deep_heat: Field = var(units="MJ m-2 d-1", doc="Heat out of the soil at its bottom")
    leaf_area_index: Field = var(units="1", doc="At the start of the day")
    development_stage: Field = var(units="1", doc="0 emergence, 1 anthesis, 2 maturity")
    water_supply_ratio: Field = var(units="1", doc="Transpiration over demand, 1 without stress")
    leaf_nitrogen_factor: Field = var(units="1", doc="Photosynthetic capacity left by leaf N")
    plant_carbon: Field = var(units="g C m-2", doc="Stock of the crop, with standing dead")
    above_ground_carbon: Field = var(units="g C m-2", doc="Stock of the crop without roots")
    grain_carbon: Field = var(units="g C m-2", doc="Stock of grain")
    plant_nitrogen: Field = var(units="g N m-2", doc="Stock of the crop, with standing dead")
    surface_residue: Field = var(units="g C m-2", doc="Stock on the surface")
    soil_organic_carbon: Field = var(units="g C m-2", doc="Stock in 0-30 cm without residue")
    soil_organic_nitrogen: Field = var(units="g N m-2", doc="Stock in 0-30 cm without residue")
    ecosystem_carbon: Field = var(units="g C m-2", doc="All carbon of plants, residue and soil")
    ecosystem_nitrogen: Field = var(units="g N m-2", doc="All nitrogen, organic and mineral")
    ammonium: Field = var(units="g N m-2", doc="Stock in 0-120 cm")
    nitrate: Field = var(units="g N m-2", doc="Stock in 0-120 cm")
    soil_water: Field = var(units="mm", doc="Stock in 0-120 cm")
    soil_water_content: Field = var(units="m3 m-3", doc="Mean of 0-30 cm")
    snow: Field = var(units="mm", doc="Stock, water equivalent")
    soil_temperature: Field = var(units="degC", doc="Of the layer 5-15 cm")
    layer_water_content: Field = var(units="m3 m-3", doc="Of the soil layers, shape (5,)")
    layer_temperature: Field = var(units="degC", doc="Of the soil layers, shape (5,)")


def initial_state(params: Params, attributes: Attributes) -> State:
    """Returns the state on a 1 January: bare ground, moist soil, measured organic carbon."""
    hydraulic = soil_water.hydraulics(params, attributes)
    zero = jnp.zeros_like(params.vcmax_multiplier)
    nothing = jnp.stack([zero, zero])
    capacity = hydraulic.field_capacity * constant(layers.MILLIMETRES)
    season = jnp.clip(attributes.latitude / TROPICS, -1.0, 1.0)
    cool = attributes.mean_annual_temperature - WINTER_COOLING * season
    return State(
        plant=Plant(
            nonstructural=nothing,
            leaf=nothing,
            stem=nothing,
            root=nothing,
            grain=nothing,
            standing_dead=nothing,
        ),
        phenology=Phenology(
            development_stage=zero, emergence_progress=zero, root_depth=zero, vernalisation=zero
        ),
        organic=organic_matter.initial(params, attributes),
        mineral=mineral_nitrogen.initial(zero),
        water=Water(soil=params.initial_water_fraction * capacity, snow=zero),
        soil_temperature=zero + cool + jnp.zeros(layers.SOIL),
        tillage_memory=zero,
    )
