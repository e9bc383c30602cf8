"""The coupled ecosystem of one site: one day of carbon, nitrogen, water and heat.

Order of a day: planting, development, soil temperature, potential photosynthesis, snow and
interception, transpiration, soil evaporation, infiltration and drainage, fertiliser, photosynthesis
and growth with nitrogen uptake, harvest, litter, tillage, decomposition, nitrification,
denitrification and leaching. Each operator conserves on its own.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax.numpy as jnp

from kgml_jax.process import (
    crops,
    evapotranspiration,
    events,
    layers,
    mineral_nitrogen,
    organic_matter,
    phenology,
    photosynthesis,
    plant,
    radiation,
    reporting,
    soil_temperature,
    soil_water,
)
from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.factors import Factors as Factors
from kgml_jax.process.factors import maintained, paced
from kgml_jax.process.mineral_nitrogen import MineralNitrogen
from kgml_jax.process.parameters import Params as Params
from kgml_jax.process.plant import Plant, PlantFluxes
from kgml_jax.process.radiation import Atmosphere
from kgml_jax.process.reporting import MEGA, SoilDay, WaterDay
from kgml_jax.process.reporting import Imbalance as Imbalance
from kgml_jax.process.reporting import imbalance as imbalance
from kgml_jax.process.smooth import sat01
from kgml_jax.process.soil_water import Hydraulics, Water
from kgml_jax.process.state import Fluxes as Fluxes
from kgml_jax.process.state import State as State
from kgml_jax.process.state import initial_state as initial_state
from kgml_jax.records import Field

SNOW_INSULATION = 0.02  # mm-1; of water in snow, decline of heat exchange with the air
SNOW_SHELTER = 0.05  # mm-1; of water in snow, plants under it are as cold as the soil surface
RESIDUE_POROSITY = 0.5  # m3 m-3; air among residue: always well aerated

Source = Literal["simulated", "prescribed"]
"""Where gross photosynthesis comes from: the canopy, or `Forcing.prescribed_gpp`."""


def step(
    params: Params,
    attributes: Attributes,
    state: State,
    forcing: Forcing,
    gpp: Source = "simulated",
    factors: Factors | None = None,
) -> tuple[State, Fluxes]:
    """Advances one site by one day.

    Args:
      params: parameters of the site, `()` leaves.
      attributes: attributes of the site, `()` leaves.
      state: state at the start of the day.
      forcing: weather and management of the day, `()` leaves. An unknown crop (-1) is bare ground.
      gpp: whether the model simulates photosynthesis or takes `forcing.prescribed_gpp`, as
        KGML-ag does: the canopy then opens as far as that uptake needs. Without a crop, and below
        0, what is prescribed counts as nothing.
      factors: on fluxes of the day, `()` leaves; None scales nothing.

    Returns:
      The state at the end of the day, and the day's fluxes.
    """
    air = radiation.atmosphere(attributes, forcing)
    crop, occupied, state, seed = _begin(params, state, forcing, air)
    surface = _surface_day(params, attributes, crop, occupied, state, forcing, air, gpp)
    surface = _scaled(surface, factors)
    plants, grown, mineral, photosynthesised = _plant_day(
        maintained(params, factors), crop, occupied, state, forcing, surface, gpp
    )
    plants, harvested = events.harvest(crop, plants, forcing.harvest, forcing.residue_removal)
    after, below = _soil_day(
        params, attributes, crop, state, forcing, surface, mineral, (grown, harvested)
    )
    after = dataclasses.replace(after, plant=plants)
    parts = reporting.Parts(
        photosynthesis=photosynthesised,
        seed=seed,
        leaf_area=surface.leaf_area,
        nitrogen_factor=surface.nitrogen_factor,
        heat=surface.heat,
        harvest=harvested,
        plant=grown,
        water=surface.moved,
        soil=below,
    )
    return after, reporting.fluxes(crop, forcing, after, parts)


class _Surface(NamedTuple):
    # What sun, air and rain did to canopy and soil.
    hydraulic: Hydraulics
    water: Water
    moved: WaterDay
    temperature: Field
    heat: Field
    root_shares: Field
    leaf_area: Field
    nitrogen_factor: Field
    potential_photosynthesis: Field
    climate: organic_matter.Climate


def _begin(
    params: Params, state: State, forcing: Forcing, air: Atmosphere
) -> tuple[Crop, Field, State, Field]:
    # Planting and development: crop, whether it stands, state with it, and the seed.
    known = (forcing.crop >= 0).astype(state.tillage_memory.dtype)
    occupied, crop = known * forcing.occupied, crops.lookup(forcing.crop)
    sown, started, seed = events.plant(crop, state.plant, state.phenology, known * forcing.planting)
    hours = radiation.daylight_hours(air.sun)
    developed = phenology.step(params, crop, started, forcing.air_temperature_mean, hours, occupied)
    return crop, occupied, dataclasses.replace(state, plant=sown, phenology=developed), seed


def _surface_day(
    params: Params,
    attributes: Attributes,
    crop: Crop,
    occupied: Field,
    state: State,
    forcing: Forcing,
    air: Atmosphere,
    gpp: Source,
) -> _Surface:
    hydraulic = soil_water.hydraulics(params, attributes)
    leaf_area = occupied * plant.leaf_area(params, crop, state.plant, forcing.co2)
    temperature, heat = _heat_day(params, attributes, hydraulic, state, forcing, leaf_area)
    factor = plant.leaf_nitrogen_factor(crop, state.plant)
    if gpp == "prescribed":
        canopy = photosynthesis.prescribed(params, crop, forcing, air, leaf_area)
    else:
        capacity = factor * plant.storage_factor(state.plant)
        canopy = photosynthesis.step(params, crop, forcing, air, leaf_area, capacity)
    cover = (leaf_area, _residue(state), state.water.snow)
    demand = evapotranspiration.demand(params, forcing, air, canopy, cover)
    shares = evapotranspiration.root_shares(state.phenology.root_depth)
    water, moved = _water_day(params, hydraulic, state, forcing, demand, leaf_area, shares)
    return _Surface(
        hydraulic=hydraulic,
        water=water,
        moved=moved,
        temperature=temperature,
        heat=heat,
        root_shares=shares,
        leaf_area=leaf_area,
        nitrogen_factor=factor,
        potential_photosynthesis=canopy.potential_photosynthesis,
        climate=_climate(hydraulic, water, temperature, forcing.air_temperature_mean),
    )


def _scaled(surface: _Surface, factors: Factors | None) -> _Surface:
    if factors is None:
        return surface
    return surface._replace(
        potential_photosynthesis=surface.potential_photosynthesis * factors.photosynthesis,
        climate=paced(surface.climate, factors),
    )


def _residue(state: State) -> Field:
    return organic_matter.total(state.organic)[layers.CARBON, 0]


def _heat_day(
    params: Params,
    attributes: Attributes,
    hydraulic: Hydraulics,
    state: State,
    forcing: Forcing,
    leaf_area: Field,
) -> tuple[Field, Field]:
    # Temperature of the soil layers; heat in at the top and out at the bottom, MJ m-2.
    wet = soil_water.content(state.water.soil)
    surface = soil_temperature.surface_temperature(
        forcing.air_temperature_mean,
        forcing.air_temperature_max,
        forcing.shortwave_radiation,
        leaf_area,
        _residue(state),
    )
    temperature, into, out = soil_temperature.diffuse(
        state.soil_temperature,
        surface,
        attributes.mean_annual_temperature,
        soil_temperature.conductivity(
            wet / hydraulic.saturation, params.soil_heat_conductivity_multiplier
        ),
        soil_temperature.heat_capacity(attributes.bulk_density, wet),
        jnp.exp(-SNOW_INSULATION * state.water.snow),
    )
    return temperature, MEGA * jnp.stack([into, out])


def _water_day(
    params: Params,
    hydraulic: Hydraulics,
    state: State,
    forcing: Forcing,
    demand: evapotranspiration.Demand,
    leaf_area: Field,
    shares: Field,
) -> tuple[Water, WaterDay]:
    pack, rain, melt = soil_water.snow(
        params, state.water.snow, forcing.precipitation, forcing.air_temperature_mean
    )
    pack, sublimated = evapotranspiration.sublimate(pack, demand.sublimation)
    wetted, demand = evapotranspiration.interception(leaf_area, rain, demand)
    soil, uptake = evapotranspiration.transpire(
        params, hydraulic, state.water.soil, shares, demand.transpiration
    )
    soil, evaporated = evapotranspiration.evaporate(
        params, hydraulic, soil, demand.soil_evaporation
    )
    arriving = (rain - wetted) + melt + forcing.irrigation
    soil, runoff, drainage, outflow = soil_water.step(params, hydraulic, soil, arriving)
    return Water(soil=soil, snow=pack), WaterDay(
        interception=wetted,
        sublimation=sublimated,
        soil_evaporation=evaporated,
        runoff=runoff,
        drainage=drainage,
        melt=melt,
        outflow=outflow,
        uptake=uptake,
    )


def _plant_day(
    params: Params,
    crop: Crop,
    occupied: Field,
    state: State,
    forcing: Forcing,
    surface: _Surface,
    gpp: Source,
) -> tuple[Plant, PlantFluxes, MineralNitrogen, Field]:
    mineral = events.fertilise(
        state.mineral, forcing.fertiliser_ammonium, forcing.fertiliser_nitrate
    )
    active = phenology.emerged(state.phenology, occupied)
    moist = sat01(soil_water.relative(surface.water.soil, surface.hydraulic))
    supply = mineral_nitrogen.uptake_supply(
        params, mineral, surface.root_shares, moist, surface.temperature
    )
    ratio = surface.moved.uptake.supply_ratio
    stress = ratio**params.water_stress_sensitivity
    # What is prescribed has felt the drought already; without a crop there is nothing to grow.
    limit = stress if gpp == "simulated" else occupied
    photosynthesised = surface.potential_photosynthesis * limit
    sheltered = 1.0 - jnp.exp(-SNOW_SHELTER * state.water.snow)
    lowest = forcing.air_temperature_min
    day = plant.Environment(
        photosynthesis=photosynthesised,
        temperature=forcing.air_temperature_mean,
        lowest_temperature=lowest + sheltered * (surface.temperature[0] - lowest),
        supply_ratio=ratio,
        leaf_area=surface.leaf_area,
        active=active,
        occupied=occupied,
        nitrogen_supply=active * jnp.sum(supply),
    )
    after, grown = plant.step(params, crop, state.plant, state.phenology, day)
    mineral = mineral_nitrogen.take(mineral, supply, grown.nitrogen_uptake)
    return after, grown, mineral, photosynthesised


def _climate(
    hydraulic: Hydraulics, water: Water, temperature: Field, air_temperature: Field
) -> organic_matter.Climate:
    relative = soil_water.relative(water.soil, hydraulic)
    air = hydraulic.saturation - soil_water.content(water.soil)
    # Residue lies between air and soil, as moist as the layer below it.
    residue = 0.5 * (air_temperature + temperature[0])
    return organic_matter.climate(
        jnp.concatenate([residue[None], temperature]),
        jnp.concatenate([relative[:1], relative]),
        jnp.concatenate([jnp.full_like(air[:1], RESIDUE_POROSITY), air]),
    )


def _soil_day(
    params: Params,
    attributes: Attributes,
    crop: Crop,
    state: State,
    forcing: Forcing,
    surface: _Surface,
    mineral: MineralNitrogen,
    from_plants: tuple[PlantFluxes, events.Harvest],
) -> tuple[State, SoilDay]:
    grown, harvested = from_plants
    shares = surface.root_shares
    above = grown.litterfall + harvested.shoot_residue
    below = shares * (grown.root_litter + harvested.root_residue)[:, None]
    litter = jnp.concatenate([above[:, None], below], axis=1)
    exuded = jnp.concatenate([jnp.zeros_like(shares[:1]), shares * grown.exudation])
    organic = organic_matter.add_litter(state.organic, litter, exuded, crop.litter_lignin)
    organic, memory = events.till(organic, state.tillage_memory, forcing.tillage)
    organic, decomposed = organic_matter.step(
        params,
        attributes.clay,
        memory,
        organic,
        surface.climate,
        mineral_nitrogen.immobilisable(mineral),
    )
    mineral = mineral_nitrogen.exchange(mineral, decomposed.mineralised, decomposed.immobilised)
    deposited = mineral_nitrogen.deposition(forcing.precipitation)
    mineral = dataclasses.replace(mineral, nitrate=mineral.nitrate.at[0].add(deposited))
    mineral, lost = mineral_nitrogen.step(
        params,
        attributes,
        surface.hydraulic,
        mineral,
        surface.water.soil,
        surface.temperature,
        decomposed.respiration[1:],
        surface.moved.outflow,
    )
    after = dataclasses.replace(
        state,
        organic=organic,
        mineral=mineral,
        water=surface.water,
        soil_temperature=surface.temperature,
        tillage_memory=memory,
    )
    return after, SoilDay(decomposition=decomposed, losses=lost, deposition=deposited)
