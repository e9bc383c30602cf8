"""The coupled ecosystem of one site: state, daily step, fluxes and budget.

Order of a day: planting, development, soil temperature, potential photosynthesis, snow and
interception, transpiration, soil evaporation, infiltration and drainage, photosynthesis, plant
carbon, litter, harvest, tillage, decomposition. What a day brings in is not decomposed before the
next operator, and each operator conserves on its own. Nitrogen does not limit anything yet.
"""

import dataclasses

import jax
import jax.numpy as jnp

from kgml_jax.process import (
    crops,
    evapotranspiration,
    events,
    layers,
    phenology,
    photosynthesis,
    plant,
    radiation,
    soil_carbon,
    soil_temperature,
    soil_water,
)
from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.evapotranspiration import Uptake
from kgml_jax.process.parameters import Params as Params
from kgml_jax.process.photosynthesis import Canopy
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_carbon import SoilCarbon
from kgml_jax.process.soil_water import Hydraulics, Water
from kgml_jax.process.state import Fluxes as Fluxes
from kgml_jax.process.state import State as State
from kgml_jax.process.state import initial_state as initial_state
from kgml_jax.records import Field, record, var


@record
class Imbalance:
    """What a day's budgets leave unexplained; rounding only."""

    carbon: Field = var(units="g C m-2", doc="Change of carbon less its net input")
    water: Field = var(units="mm", doc="Change of water less its net input")


@record
class WaterDay:
    """Water that moved in a day, mm d-1."""

    interception: Field = var(units="mm d-1", doc="Evaporated from wet leaves")
    soil_evaporation: Field = var(units="mm d-1", doc="Evaporated from the soil")
    runoff: Field = var(units="mm d-1", doc="Left over the surface")
    drainage: Field = var(units="mm d-1", doc="Left below 1.2 m")
    melt: Field = var(units="mm d-1", doc="Snow melt")
    uptake: Uptake


def _heat_day(
    params: Params,
    attributes: Attributes,
    hydraulic: Hydraulics,
    state: State,
    forcing: Forcing,
    leaf_area: Field,
) -> Field:
    wet = soil_water.content(state.water.soil)
    surface = soil_temperature.surface_temperature(
        forcing.air_temperature_mean,
        forcing.air_temperature_max,
        forcing.shortwave_radiation,
        leaf_area,
        soil_carbon.total(state.carbon)[0],
    )
    temperature, _, _ = soil_temperature.diffuse(
        state.soil_temperature,
        surface,
        attributes.mean_annual_temperature,
        soil_temperature.conductivity(
            wet / hydraulic.saturation, params.soil_heat_conductivity_multiplier
        ),
        soil_temperature.heat_capacity(attributes.bulk_density, wet),
        jnp.exp(-0.02 * state.water.snow),
    )
    return temperature


def _water_day(
    params: Params,
    hydraulic: Hydraulics,
    state: State,
    forcing: Forcing,
    demand: evapotranspiration.Demand,
    leaf_area: Field,
) -> tuple[Water, WaterDay]:
    pack, rain, melt = soil_water.snow(
        params, state.water.snow, forcing.precipitation, forcing.air_temperature_mean
    )
    wetted = evapotranspiration.interception(leaf_area, rain, demand.transpiration)
    shares = evapotranspiration.root_shares(state.phenology.root_depth)
    soil, uptake = evapotranspiration.transpire(
        params, hydraulic, state.water.soil, shares, demand.transpiration
    )
    soil, evaporated = evapotranspiration.evaporate(
        params, hydraulic, soil, demand.soil_evaporation
    )
    arriving = (rain - wetted) + melt + forcing.irrigation
    soil, runoff, drainage = soil_water.step(params, hydraulic, soil, arriving)
    return Water(soil=soil, snow=pack), WaterDay(
        interception=wetted,
        soil_evaporation=evaporated,
        runoff=runoff,
        drainage=drainage,
        melt=melt,
        uptake=uptake,
    )


def _soil_climate(
    hydraulic: Hydraulics, water: Water, temperature: Field, air_temperature: Field
) -> soil_carbon.Climate:
    relative = soil_water.relative(water.soil, hydraulic)
    air = hydraulic.saturation - soil_water.content(water.soil)
    # Residue lies between air and soil, as moist as the layer below it and well aerated.
    residue = 0.5 * (air_temperature + temperature[0])
    return soil_carbon.climate(
        jnp.concatenate([residue[None], temperature]),
        jnp.concatenate([relative[:1], relative]),
        jnp.concatenate([jnp.full_like(air[:1], 0.5), air]),
    )


def _plant_day(
    params: Params,
    crop: Crop,
    state: State,
    forcing: Forcing,
    canopy: Canopy,
    supply_ratio: Field,
    leaf_area: Field,
    occupied: Field,
) -> tuple[Plant, plant.PlantFluxes, Field]:
    stress = supply_ratio**params.water_stress_sensitivity
    photosynthesised = canopy.potential_photosynthesis * stress
    day = plant.Environment(
        photosynthesis=photosynthesised,
        temperature=forcing.air_temperature_mean,
        lowest_temperature=forcing.air_temperature_min,
        supply_ratio=supply_ratio,
        leaf_area=leaf_area,
        active=phenology.emerged(state.phenology, occupied),
        occupied=occupied,
    )
    after, fluxes = plant.step(params, crop, state.plant, state.phenology, day)
    return after, fluxes, photosynthesised


def _soil_day(
    params: Params,
    attributes: Attributes,
    crop: Crop,
    state: State,
    forcing: Forcing,
    climate: soil_carbon.Climate,
    grown: plant.PlantFluxes,
    harvested: events.Harvest,
) -> tuple[SoilCarbon, Field, Field]:
    shares = evapotranspiration.root_shares(state.phenology.root_depth)
    surface = grown.litterfall + harvested.shoot_residue
    below = shares * (grown.root_litter + harvested.root_residue)
    carbon = soil_carbon.add_litter(
        state.carbon,
        jnp.concatenate([surface[None], below]),
        jnp.concatenate([jnp.zeros_like(surface)[None], shares * grown.exudation]),
        soil_carbon.metabolic_fraction(crop.litter_lignin_to_nitrogen),
    )
    carbon, memory = events.till(carbon, state.tillage_memory, forcing.tillage)
    carbon, respired = soil_carbon.step(params, attributes.clay, memory, carbon, climate)
    return carbon, memory, jnp.sum(respired)


def step(
    params: Params, attributes: Attributes, state: State, forcing: Forcing
) -> tuple[State, Fluxes]:
    """Advances one site by one day.

    Args:
      params: parameters of the site, `()` leaves.
      attributes: attributes of the site, `()` leaves.
      state: state at the start of the day.
      forcing: weather and management of the day, `()` leaves. An unknown crop (-1) is bare ground.

    Returns:
      The state at the end of the day, and the day's fluxes.
    """
    known = (forcing.crop >= 0).astype(state.tillage_memory.dtype)
    occupied, crop = known * forcing.occupied, crops.lookup(forcing.crop)
    sown, started, seed = events.plant(crop, state.plant, state.phenology, known * forcing.planting)
    developed = phenology.step(params, crop, started, forcing.air_temperature_mean, occupied)
    state = dataclasses.replace(state, plant=sown, phenology=developed)
    hydraulic = soil_water.hydraulics(params, attributes)
    specific = crop.specific_leaf_area * params.specific_leaf_area_multiplier
    leaf_area = occupied * specific * state.plant.leaf
    temperature = _heat_day(params, attributes, hydraulic, state, forcing, leaf_area)
    air = radiation.atmosphere(attributes, forcing)
    canopy = photosynthesis.step(params, crop, forcing, air, leaf_area)
    cover = (leaf_area, soil_carbon.total(state.carbon)[0], state.water.snow)
    demand = evapotranspiration.demand(params, forcing, air, canopy, cover)
    water, wet = _water_day(params, hydraulic, state, forcing, demand, leaf_area)
    ratio = wet.uptake.supply_ratio
    standing, grown, photosynthesised = _plant_day(
        params, crop, state, forcing, canopy, ratio, leaf_area, occupied
    )
    standing, harvested = events.harvest(crop, standing, forcing.harvest)
    climate = _soil_climate(hydraulic, water, temperature, forcing.air_temperature_mean)
    carbon, memory, respired = _soil_day(
        params, attributes, crop, state, forcing, climate, grown, harvested
    )
    after = State(
        plant=standing,
        phenology=developed,
        carbon=carbon,
        water=water,
        soil_temperature=temperature,
        tillage_memory=memory,
    )
    exchange = _carbon_fluxes(photosynthesised, grown, respired, seed, harvested)
    return after, Fluxes(
        **exchange,
        **_water_fluxes(wet),
        **_diagnostics(after),
        leaf_area_index=leaf_area,
        water_supply_ratio=ratio,
    )


def _carbon_fluxes(
    photosynthesised: Field,
    grown: plant.PlantFluxes,
    heterotrophic: Field,
    seed: Field,
    harvested: events.Harvest,
) -> dict[str, Field]:
    autotrophic = grown.maintenance_respiration + grown.growth_respiration
    return {
        "gross_primary_productivity": photosynthesised,
        "autotrophic_respiration": autotrophic,
        "maintenance_respiration": grown.maintenance_respiration,
        "growth_respiration": grown.growth_respiration,
        "heterotrophic_respiration": heterotrophic,
        "ecosystem_respiration": autotrophic + heterotrophic,
        "net_ecosystem_exchange": autotrophic + heterotrophic - photosynthesised,
        "seed_carbon": seed,
        "harvested_carbon": harvested.grain,
        "grain_carbon_harvested": harvested.grain,
        "residue_carbon": harvested.shoot_residue + harvested.root_residue,
        "litter_carbon": grown.litterfall + grown.root_litter,
        "exudation": grown.exudation,
    }


def _water_fluxes(day: WaterDay) -> dict[str, Field]:
    transpired = day.uptake.transpiration
    return {
        "evapotranspiration": transpired + day.soil_evaporation + day.interception,
        "transpiration": transpired,
        "soil_evaporation": day.soil_evaporation,
        "interception_evaporation": day.interception,
        "runoff": day.runoff,
        "drainage": day.drainage,
        "snow_melt": day.melt,
    }


def _diagnostics(state: State) -> dict[str, Field]:
    depth = layers.MILLIMETRES[: layers.TOPSOIL].sum()
    return {
        "development_stage": state.phenology.development_stage,
        "plant_carbon": jax.tree.reduce(jnp.add, state.plant),
        "grain_carbon": state.plant.grain,
        "surface_residue": soil_carbon.total(state.carbon)[0],
        "soil_organic_carbon": soil_carbon.topsoil(state.carbon),
        "soil_water": jnp.sum(state.water.soil),
        "soil_water_content": jnp.sum(state.water.soil[: layers.TOPSOIL]) / depth,
        "snow": state.water.snow,
        "soil_temperature": state.soil_temperature[1],
    }


def _change(before: object, after: object) -> Field:
    # Pool by pool, then summed: totals of 1e4 g C m-2 would drown a day's fluxes in float32.
    deltas = jax.tree.map(lambda old, new: jnp.sum(new - old), before, after)
    return jax.tree.reduce(jnp.add, deltas)


def imbalance(before: State, after: State, forcing: Forcing, fluxes: Fluxes) -> Imbalance:
    """Returns what one day's carbon and water budgets leave unexplained."""
    carbon = fluxes.seed_carbon - fluxes.net_ecosystem_exchange - fluxes.harvested_carbon
    water = forcing.precipitation + forcing.irrigation
    water = water - fluxes.evapotranspiration - fluxes.runoff - fluxes.drainage
    pools = lambda state: (state.plant, state.carbon)
    return Imbalance(
        carbon=_change(pools(before), pools(after)) - carbon,
        water=_change(before.water, after.water) - water,
    )
