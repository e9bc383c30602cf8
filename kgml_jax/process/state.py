"""What a site carries from day to day, how it starts, and what the daily step reports."""

import jax.numpy as jnp

from kgml_jax.process import layers, soil_carbon, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_carbon import SoilCarbon
from kgml_jax.process.soil_water import Water
from kgml_jax.records import Field, record, var


@record
class State:
    """Everything a site carries from one day to the next."""

    plant: Plant
    phenology: Phenology
    carbon: SoilCarbon
    water: Water
    soil_temperature: Field = var(units="degC", doc="Of the soil layers, shape (5,)")
    tillage_memory: Field = var(units="1", doc="Disturbance left from tillage, 1 just after it")


@record
class Fluxes:
    """What a site exchanges in a day, and stocks at its end; each of shape `()`."""

    gross_primary_productivity: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    autotrophic_respiration: Field = var(units="g C m-2 d-1", doc="Maintenance and growth")
    maintenance_respiration: Field = var(units="g C m-2 d-1", doc="Part of autotrophic")
    growth_respiration: Field = var(units="g C m-2 d-1", doc="Part of autotrophic")
    heterotrophic_respiration: Field = var(units="g C m-2 d-1", doc="Of the microbes")
    ecosystem_respiration: Field = var(units="g C m-2 d-1", doc="Autotrophic and heterotrophic")
    net_ecosystem_exchange: Field = var(units="g C m-2 d-1", doc="To the atmosphere")
    seed_carbon: Field = var(units="g C m-2 d-1", doc="Brought in at planting")
    harvested_carbon: Field = var(units="g C m-2 d-1", doc="All carbon exported at harvest")
    grain_carbon_harvested: Field = var(units="g C m-2 d-1", doc="Grain exported at harvest")
    residue_carbon: Field = var(units="g C m-2 d-1", doc="Left on and in the soil at harvest")
    litter_carbon: Field = var(units="g C m-2 d-1", doc="Litterfall and root death in season")
    exudation: Field = var(units="g C m-2 d-1", doc="Dissolved carbon from roots")
    evapotranspiration: Field = var(units="mm d-1", doc="All evaporation")
    transpiration: Field = var(units="mm d-1", doc="Through the plants")
    soil_evaporation: Field = var(units="mm d-1", doc="From the soil")
    interception_evaporation: Field = var(units="mm d-1", doc="From wet leaves")
    runoff: Field = var(units="mm d-1", doc="Over the surface")
    drainage: Field = var(units="mm d-1", doc="Below 1.2 m and to tiles")
    snow_melt: Field = var(units="mm d-1", doc="Melt water reaching the soil")
    leaf_area_index: Field = var(units="1", doc="At the start of the day")
    development_stage: Field = var(units="1", doc="0 emergence, 1 anthesis, 2 maturity")
    water_supply_ratio: Field = var(units="1", doc="Transpiration over demand, 1 without stress")
    plant_carbon: Field = var(units="g C m-2", doc="Stock of the crop, with standing dead")
    grain_carbon: Field = var(units="g C m-2", doc="Stock of grain")
    surface_residue: Field = var(units="g C m-2", doc="Stock on the surface")
    soil_organic_carbon: Field = var(units="g C m-2", doc="Stock in 0-30 cm without residue")
    soil_water: Field = var(units="mm", doc="Stock in 0-120 cm")
    soil_water_content: Field = var(units="m3 m-3", doc="Mean of 0-30 cm")
    snow: Field = var(units="mm", doc="Stock, water equivalent")
    soil_temperature: Field = var(units="degC", doc="Of the layer 5-15 cm")


def initial_state(params: Params, attributes: Attributes) -> State:
    """Returns the state on a 1 January: bare ground, moist soil, measured organic carbon."""
    hydraulic = soil_water.hydraulics(params, attributes)
    zero = jnp.zeros_like(params.vcmax_multiplier)
    capacity = hydraulic.field_capacity * layers.MILLIMETRES
    return State(
        plant=Plant(
            nonstructural=zero, leaf=zero, stem=zero, root=zero, grain=zero, standing_dead=zero
        ),
        phenology=Phenology(development_stage=zero, emergence_progress=zero, root_depth=zero),
        carbon=soil_carbon.initial(params, attributes),
        water=Water(soil=params.initial_water_fraction * capacity, snow=zero),
        soil_temperature=zero + attributes.mean_annual_temperature - jnp.full(layers.SOIL, 8.0),
        tillage_memory=zero,
    )
