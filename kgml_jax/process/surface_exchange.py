"""What sun, air and rain do to canopy and soil of one site in a day: light, heat and water."""

import jax.numpy as jnp

from kgml_jax.process import (
    evapotranspiration,
    layers,
    organic_matter,
    photosynthesis,
    plant,
    soil_temperature,
    soil_water,
)
from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Attributes, Forcing, Source
from kgml_jax.process.parameters import Params
from kgml_jax.process.radiation import Atmosphere
from kgml_jax.process.reporting import MEGA, WaterDay
from kgml_jax.process.soil_water import Hydraulics, Water
from kgml_jax.process.state import State
from kgml_jax.records import Field, record, var

RESIDUE_POROSITY = 0.5  # m3 m-3; air among residue: always well aerated


@record
class Surface:
    """Canopy and soil after the physics of a day, before plants grow and soil breathes."""

    hydraulic: Hydraulics
    water: Water
    moved: WaterDay
    climate: organic_matter.Climate
    temperature: Field = var(units="degC", doc="Of the soil layers, shape (5,)")
    heat: Field = var(units="MJ m-2 d-1", doc="Into the soil at the top, out at the bottom, (2,)")
    root_shares: Field = var(units="1", doc="Of the roots in each soil layer, shape (5,)")
    leaf_area: Field = var(units="1", doc="Leaf area index")
    nitrogen_factor: Field = var(units="1", doc="Photosynthetic capacity left by leaf nitrogen")
    potential_photosynthesis: Field = var(units="g C m-2 d-1", doc="Without stress of water")


def step(
    params: Params,
    attributes: Attributes,
    crop: Crop,
    occupied: Field,
    state: State,
    forcing: Forcing,
    air: Atmosphere,
    gpp: Source,
) -> Surface:
    """Returns what a day does to canopy and soil that start it in `state`.

    Args:
      params: parameters of the site.
      attributes: attributes of the site.
      crop: on the field.
      occupied: 1 where it stands, else 0.
      state: at the start of the day, planting and development done.
      forcing: of the day.
      air: of the day.
      gpp: see `ecosystem.step`.
    """
    hydraulic = soil_water.hydraulics(params, attributes)
    leaf_area = occupied * plant.leaf_area(params, crop, state.plant, forcing.co2)
    temperature, heat = _heat_day(params, attributes, hydraulic, state, forcing, leaf_area)
    factor = plant.leaf_nitrogen_factor(crop, state.plant)
    if gpp == "prescribed":
        canopy = photosynthesis.prescribed(params, crop, forcing, air, leaf_area)
    else:
        capacity = factor * plant.storage_factor(state.plant)
        canopy = photosynthesis.step(params, crop, forcing, air, leaf_area, capacity)
    cover = evapotranspiration.Cover(
        leaf_area=leaf_area, residue=_residue(state), snow=state.water.snow
    )
    demand = evapotranspiration.demand(params, forcing, air, canopy, cover)
    shares = evapotranspiration.root_shares(state.phenology.root_depth)
    water, moved = _water_day(params, hydraulic, state, forcing, demand, leaf_area, shares)
    return Surface(
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
    wet, residue = soil_water.content(state.water.soil), _residue(state)
    surface = soil_temperature.surface_temperature(
        forcing.air_temperature_mean,
        forcing.air_temperature_max,
        forcing.shortwave_radiation,
        leaf_area,
        residue,
    )
    conducting = soil_temperature.conductivity(
        wet / hydraulic.saturation, params.soil_heat_conductivity_multiplier
    )
    temperature, into, out = soil_temperature.diffuse(
        state.soil_temperature,
        surface,
        attributes.mean_annual_temperature,
        soil_temperature.soil(attributes, wet),
        conducting,
        soil_temperature.resistance(leaf_area, residue, state.water.snow),
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
