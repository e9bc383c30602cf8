"""The coupled ecosystem of one site: one day of carbon, nitrogen, water and heat.

Order of a day: planting, development, soil temperature, potential photosynthesis, snow and
interception, transpiration, soil evaporation, infiltration and drainage, fertiliser, photosynthesis
and growth with nitrogen uptake, grazing, cut, harvest, litter, tillage, decomposition,
nitrification, denitrification and leaching. Each operator conserves on its own.
"""

import dataclasses

import jax.numpy as jnp

from kgml_jax.process import (
    crops,
    events,
    mineral_nitrogen,
    organic_matter,
    phenology,
    plant,
    radiation,
    reporting,
    soil_water,
    surface_exchange,
)
from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.drivers import Source as Source
from kgml_jax.process.factors import Factors as Factors
from kgml_jax.process.factors import maintained, paced
from kgml_jax.process.layers import CARBON
from kgml_jax.process.mineral_nitrogen import MineralNitrogen
from kgml_jax.process.parameters import Params as Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Plant, PlantFluxes
from kgml_jax.process.radiation import Atmosphere
from kgml_jax.process.reporting import Imbalance as Imbalance
from kgml_jax.process.reporting import SoilDay
from kgml_jax.process.reporting import imbalance as imbalance
from kgml_jax.process.smooth import sat01
from kgml_jax.process.state import Fluxes as Fluxes
from kgml_jax.process.state import State as State
from kgml_jax.process.state import initial_state as initial_state
from kgml_jax.process.surface_exchange import Surface
from kgml_jax.records import Field, record, var

MANURE_LIGNIN = 0.25  # 1; per dry matter of manure (CENTURY, farmyard manure)
SNOW_SHELTER = 0.05  # mm-1; of water in snow, plants under it are as cold as the soil surface


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
    start = _begin(params, state, forcing, air)
    crop, state = start.crop, start.state
    day = surface_exchange.step(params, attributes, crop, start.occupied, state, forcing, air, gpp)
    day = _scaled(day, factors)
    growth = _grow(maintained(params, factors), start, forcing, day, gpp)
    taken = _take(crop, growth, state.phenology, day.leaf_area, forcing)
    litter = _litter(crop, day.root_shares, growth.fluxes, taken, forcing)
    mineral = events.fertilise(growth.mineral, taken.defoliation.urine, 0.0)
    after, below = _soil_day(params, attributes, state, forcing, day, mineral, litter)
    after = dataclasses.replace(after, plant=taken.plant, phenology=taken.phenology)
    parts = reporting.Parts(
        photosynthesis=growth.photosynthesis,
        seed=start.seed,
        leaf_area=day.leaf_area,
        nitrogen_factor=day.nitrogen_factor,
        heat=day.heat,
        harvest=taken.harvest,
        defoliation=taken.defoliation,
        plant=growth.fluxes,
        water=day.moved,
        soil=below,
    )
    return after, reporting.fluxes(crop, forcing, after, parts)


@record
class Start:
    """A day after planting and development."""

    crop: Crop
    state: State
    occupied: Field = var(units="1", doc="1 where a known crop stands, else 0")
    seed: Field = var(units="g m-2 d-1", doc="Carbon and nitrogen of the seed, shape (2,)")


@record
class Growth:
    """What photosynthesis and nitrogen uptake made of the plants."""

    plant: Plant
    fluxes: PlantFluxes
    mineral: MineralNitrogen
    photosynthesis: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")


@record
class Taken:
    """What harvest, cut and grazing left, and what they took."""

    plant: Plant
    phenology: Phenology
    harvest: events.Harvest
    defoliation: events.Defoliation


@record
class Litter:
    """Dead matter of the day by layer, residue first: carbon and nitrogen, and what roots exude."""

    matter: Field = var(units="g m-2 d-1", doc="Carbon and nitrogen, shape (2, 6)")
    exuded: Field = var(units="g C m-2 d-1", doc="Carbon, shape (6,)")
    lignin: Field = var(units="1", doc="Per dry matter, shape (6,)")


def _begin(params: Params, state: State, forcing: Forcing, air: Atmosphere) -> Start:
    known = (forcing.crop >= 0).astype(state.tillage_memory.dtype)
    occupied, crop = known * forcing.occupied, crops.lookup(forcing.crop)
    sown, started, seed = events.plant(crop, state.plant, state.phenology, known * forcing.planting)
    sown, more = events.establish(crop, sown, occupied)
    hours = radiation.photoperiod(air.sun)
    developed = phenology.step(params, crop, started, forcing.air_temperature_mean, hours, occupied)
    state = dataclasses.replace(state, plant=sown, phenology=developed)
    return Start(crop=crop, occupied=occupied, state=state, seed=seed + more)


def _scaled(day: Surface, factors: Factors | None) -> Surface:
    if factors is None:
        return day
    return dataclasses.replace(
        day,
        potential_photosynthesis=day.potential_photosynthesis * factors.photosynthesis,
        climate=paced(day.climate, factors),
    )


def _grow(params: Params, start: Start, forcing: Forcing, surface: Surface, gpp: Source) -> Growth:
    crop, occupied, state = start.crop, start.occupied, start.state
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
    return Growth(plant=after, fluxes=grown, mineral=mineral, photosynthesis=photosynthesised)


def _take(
    crop: Crop, growth: Growth, stage: Phenology, leaf_area: Field, forcing: Forcing
) -> Taken:
    # A harvest of a perennial is one more cut.
    mown = 1.0 - (1.0 - forcing.cut) * (1.0 - crop.perennial * forcing.harvest)
    plants, stage, defoliation = events.defoliate(
        crop, growth.plant, stage, leaf_area, mown, forcing.grazing
    )
    pulse = (1.0 - crop.perennial) * forcing.harvest
    plants, harvested = events.harvest(crop, plants, pulse, forcing.residue_removal)
    return Taken(plant=plants, phenology=stage, harvest=harvested, defoliation=defoliation)


def _litter(
    crop: Crop, shares: Field, grown: PlantFluxes, taken: Taken, forcing: Forcing
) -> Litter:
    manure = jnp.stack([forcing.manure_carbon, forcing.manure_nitrogen])
    above = grown.litterfall + taken.harvest.shoot_residue + taken.defoliation.litter
    above = above + manure
    of_manure = manure[CARBON] / (above[CARBON] + 1e-9)
    lignin = crop.litter_lignin + (MANURE_LIGNIN - crop.litter_lignin) * of_manure
    below = shares * (grown.root_litter + taken.harvest.root_residue)[:, None]
    return Litter(
        matter=jnp.concatenate([above[:, None], below], axis=1),
        exuded=jnp.concatenate([jnp.zeros_like(shares[:1]), shares * grown.exudation]),
        lignin=jnp.concatenate([lignin[None], crop.litter_lignin * jnp.ones_like(shares)]),
    )


def _soil_day(
    params: Params,
    attributes: Attributes,
    state: State,
    forcing: Forcing,
    surface: Surface,
    mineral: MineralNitrogen,
    litter: Litter,
) -> tuple[State, SoilDay]:
    organic = organic_matter.add_litter(state.organic, litter.matter, litter.exuded, litter.lignin)
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
