"""From the parts of a day to its named fluxes, and what the day's budgets leave unexplained."""

import jax
import jax.numpy as jnp

from kgml_jax.process import crops, layers, organic_matter, soil_temperature, soil_water
from kgml_jax.process.budgets import BUDGETS
from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.evapotranspiration import Uptake
from kgml_jax.process.events import Defoliation, Harvest
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.mineral_nitrogen import NitrogenLosses
from kgml_jax.process.organic_matter import Decomposition
from kgml_jax.process.plant import PlantFluxes
from kgml_jax.process.state import Fluxes, State
from kgml_jax.process.state_update import Increment, increment
from kgml_jax.records import Field, constant, record, var

MEGA = 1e-6  # 1; MJ per J


@record
class WaterDay:
    """Water that moved in a day."""

    interception: Field = var(units="mm d-1", doc="Evaporated from wet leaves")
    sublimation: Field = var(units="mm d-1", doc="Evaporated from the snow")
    soil_evaporation: Field = var(units="mm d-1", doc="Evaporated from the soil")
    runoff: Field = var(units="mm d-1", doc="Left over the surface")
    drainage: Field = var(units="mm d-1", doc="Left below 1.2 m")
    melt: Field = var(units="mm d-1", doc="Snow melt")
    outflow: Field = var(units="mm d-1", doc="Downward flow out of each soil layer, shape (5,)")
    uptake: Uptake


@record
class SoilDay:
    """Carbon and nitrogen that moved in the soil in a day."""

    decomposition: Decomposition
    losses: NitrogenLosses
    deposition: Field = var(units="g N m-2 d-1", doc="Nitrogen from the atmosphere")


@record
class Parts:
    """Everything of a day that is reported."""

    photosynthesis: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    seed: Field = var(units="g m-2 d-1", doc="Carbon and nitrogen of the seed, shape (2,)")
    leaf_area: Field = var(units="1", doc="Leaf area index")
    nitrogen_factor: Field = var(units="1", doc="Photosynthetic capacity left by leaf nitrogen")
    heat: Field = var(units="MJ m-2 d-1", doc="Into the soil at the top, out at the bottom, (2,)")
    harvest: Harvest
    defoliation: Defoliation
    plant: PlantFluxes
    water: WaterDay
    soil: SoilDay


@record
class Imbalance:
    """What a day's budgets leave unexplained; rounding only."""

    carbon: Field = var(units="g C m-2", doc="Change of carbon less its net input")
    nitrogen: Field = var(units="g N m-2", doc="Change of nitrogen less its net input")
    water: Field = var(units="mm", doc="Change of water less its net input")
    heat: Field = var(units="MJ m-2 d-1", doc="Change of heat in the soil less its net input")


def fluxes(crop: Crop, forcing: Forcing, after: State, parts: Parts) -> Fluxes:
    """Returns the named fluxes and stocks of a day that ended in the state `after`."""
    return Fluxes(
        **_carbon(crop, parts),
        **_nitrogen(forcing, parts),
        **_water(parts.water),
        **_stocks(after),
        ground_heat=parts.heat[0],
        deep_heat=parts.heat[1],
        leaf_area_index=parts.leaf_area,
        leaf_nitrogen_factor=parts.nitrogen_factor,
        water_supply_ratio=parts.water.uptake.supply_ratio,
    )


def _carbon(crop: Crop, parts: Parts) -> dict[str, Field]:
    grown, harvest = parts.plant, parts.harvest
    costs = grown.growth_respiration + grown.nitrogen_respiration
    autotrophic = grown.maintenance_respiration + costs
    heterotrophic = jnp.sum(parts.soil.decomposition.respiration)
    grain = harvest.grain[CARBON]
    mown, eaten = parts.defoliation.mown[CARBON], parts.defoliation.eaten[CARBON]
    return {
        "gross_primary_productivity": parts.photosynthesis,
        "autotrophic_respiration": autotrophic,
        "maintenance_respiration": grown.maintenance_respiration,
        "growth_respiration": grown.growth_respiration,
        "nitrogen_respiration": grown.nitrogen_respiration,
        "heterotrophic_respiration": heterotrophic,
        "ecosystem_respiration": autotrophic + heterotrophic,
        "net_ecosystem_exchange": autotrophic + heterotrophic - parts.photosynthesis,
        "seed_carbon": parts.seed[CARBON],
        "harvested_carbon": grain + harvest.removed[CARBON] + mown + eaten,
        "cut_carbon": mown,
        "grazed_carbon": eaten,
        "grain_carbon_harvested": grain,
        "removed_carbon": harvest.removed[CARBON],
        "grain_yield": crops.market_yield(crop, grain),
        "residue_carbon": harvest.shoot_residue[CARBON] + harvest.root_residue[CARBON],
        "litter_carbon": grown.litterfall[CARBON] + grown.root_litter[CARBON],
        "exudation": grown.exudation,
    }


def _nitrogen(forcing: Forcing, parts: Parts) -> dict[str, Field]:
    decomposed, lost = parts.soil.decomposition, parts.soil.losses
    reaped = parts.harvest.grain + parts.harvest.removed
    reaped = reaped + parts.defoliation.mown + parts.defoliation.eaten
    return {
        "seed_nitrogen": parts.seed[NITROGEN],
        "harvested_nitrogen": reaped[NITROGEN],
        "nitrogen_fertiliser": forcing.fertiliser_ammonium + forcing.fertiliser_nitrate,
        "nitrogen_deposition": parts.soil.deposition,
        "nitrogen_fixation": parts.plant.nitrogen_fixation,
        "nitrogen_uptake": parts.plant.nitrogen_uptake,
        "net_mineralisation": jnp.sum(decomposed.mineralised - decomposed.immobilised),
        "nitrification": lost.nitrified,
        "nitrous_oxide": lost.n2o,
        "dinitrogen": lost.n2,
        "ammonia_volatilisation": lost.volatilised,
        "nitrate_leaching": lost.leached,
    }


def _water(day: WaterDay) -> dict[str, Field]:
    transpired, wet = day.uptake.transpiration, day.interception + day.sublimation
    return {
        "evapotranspiration": transpired + day.soil_evaporation + wet,
        "transpiration": transpired,
        "soil_evaporation": day.soil_evaporation,
        "interception_evaporation": day.interception,
        "snow_sublimation": day.sublimation,
        "runoff": day.runoff,
        "drainage": day.drainage,
        "snow_melt": day.melt,
    }


def _stocks(state: State) -> dict[str, Field]:
    plant = jax.tree.reduce(jnp.add, state.plant)
    organic = organic_matter.total(state.organic)
    mineral = jnp.sum(state.mineral.ammonium), jnp.sum(state.mineral.nitrate)
    content = soil_water.content(state.water.soil)
    topsoil = slice(1, 1 + layers.TOPSOIL)
    upper = layers.THICKNESS[: layers.TOPSOIL]
    held = content[: layers.TOPSOIL] * constant(upper)  # m; in the topsoil
    return {
        "development_stage": state.phenology.development_stage,
        "plant_carbon": plant[CARBON],
        "above_ground_carbon": (plant - state.plant.root)[CARBON],
        "grain_carbon": state.plant.grain[CARBON],
        "plant_nitrogen": plant[NITROGEN],
        "surface_residue": organic[CARBON, 0],
        "soil_organic_carbon": jnp.sum(organic[CARBON, topsoil]),
        "soil_organic_nitrogen": jnp.sum(organic[NITROGEN, topsoil]),
        "ecosystem_carbon": jnp.sum(organic[CARBON]) + plant[CARBON],
        "ecosystem_nitrogen": jnp.sum(organic[NITROGEN]) + plant[NITROGEN] + sum(mineral),
        "ammonium": mineral[0],
        "nitrate": mineral[1],
        "soil_water": jnp.sum(state.water.soil),
        "soil_water_content": jnp.sum(held) / upper.sum(),
        "snow": state.water.snow,
        "soil_temperature": state.soil_temperature[1],
        "layer_water_content": content,
        "layer_temperature": state.soil_temperature,
    }


def imbalance(
    attributes: Attributes,
    before: State,
    after: State,
    forcing: Forcing,
    fluxes: Fluxes,
    added: Increment | None = None,
    moved: State | None = None,
) -> Imbalance:
    """Returns what one day's budgets of carbon, nitrogen, water and heat leave unexplained.

    Args:
      attributes: of the site.
      before: state at the start of the day, before an update of it.
      after: state at the end of the day.
      forcing: of the day.
      fluxes: of the day.
      added: what an update of the state added on this day. Water comes as warm, and as frozen, as
        the soil that it meets.
      moved: state that the update left, `before` where there was none.
    """
    gained = increment(before, after)
    added = Increment(carbon=0.0, nitrogen=0.0, water=0.0) if added is None else added
    today = {**vars(forcing), **vars(fluxes)}
    net = {element: budget.net_income(today) for element, budget in BUDGETS.items()}
    wet = soil_water.content((before if moved is None else moved).water.soil)
    soil = soil_temperature.soil(attributes, wet)
    heat = [soil_temperature.heat(state.soil_temperature, soil) for state in (after, before)]
    warmed = jnp.sum(constant(layers.THICKNESS) * (heat[0] - heat[1]))
    return Imbalance(
        carbon=gained.carbon - net["carbon"] - added.carbon,
        nitrogen=gained.nitrogen - net["nitrogen"] - added.nitrogen,
        water=gained.water - net["water"] - added.water,
        heat=MEGA * warmed - (fluxes.ground_heat - fluxes.deep_heat),
    )
