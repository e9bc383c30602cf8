"""What is changed on a field to see how the process model responds, and what comes out."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.bijections import constrain_offsets
from kgml_jax.models.control import constant
from kgml_jax.models.process import FROM_ATTRIBUTES as MODEL
from kgml_jax.models.process import Carried
from kgml_jax.process import ecosystem, layers, organic_matter, soil_water
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Params, State
from kgml_jax.process.humidity import saturation_pressure
from kgml_jax.process.organic_matter import OrganicMatter
from kgml_jax.records import Field
from studies.process_model import fields

OUTPUTS = {
    "GPP": "gross_primary_productivity",
    "Ra": "autotrophic_respiration",
    "Rh": "heterotrophic_respiration",
    "yield": "grain_yield",
    "ET": "evapotranspiration",
    "transpiration": "transpiration",
    "drainage": "drainage",
    "N uptake": "nitrogen_uptake",
    "N fixation": "nitrogen_fixation",
    "N2O": "nitrous_oxide",
    "N leaching": "nitrate_leaching",
    "residue": "surface_residue",
}
"""Fluxes by the names of their annual sums (of the residue: its annual mean)."""

STOCKS = ("residue",)
UNITS = dict.fromkeys(OUTPUTS, "g C m-2") | {
    "yield": "Mg ha-1",
    **dict.fromkeys(("ET", "transpiration", "drainage"), "mm"),
    **dict.fromkeys(("N uptake", "N fixation", "N2O", "N leaching"), "g N m-2"),
}
CROPS = {"corn": fields.CORN, "soybean": fields.SOYBEAN}
ROTATION = "rotation"
SUMMER = (152, 243)
"""First and last day of June, July and August."""

WFPS = np.linspace(0.15, 1.0, 86)
"""Water-filled pore space at which the microbes are measured."""

Change = Callable[[Forcing], Forcing]


@dataclass(frozen=True)
class Experiment:
    """What all scenarios gave."""

    means: dict[str, dict[str, dict[str, float]]]
    """`means[scenario][crop][output]`: mean over the years of a crop, in `UNITS` and a year."""
    microbial_q10: float
    """Respiration of fixed pools at 20 degC over that at 10 degC."""
    moisture: np.ndarray
    """Respiration of fixed pools at the pore spaces `WFPS`, relative to the largest."""
    first: dict[str, dict[str, dict[str, float]]] = dataclasses.field(default_factory=dict)
    """`means` of the first rotation: what a change does before the soil has followed it."""

    def mean(self, scenario: str, crop: str, output: str) -> float:
        """Returns the mean over the years of a crop, or of the rotation if it is `ROTATION`."""
        return _mean_of_crop(self.means[scenario], crop, output)

    def mean_at_once(self, scenario: str, crop: str, output: str) -> float:
        """Returns the mean over the first rotation, like `mean`."""
        return _mean_of_crop(self.first[scenario], crop, output)


def _mean_of_crop(means: Mapping[str, Mapping[str, float]], crop: str, output: str) -> float:
    crops = CROPS if crop == ROTATION else (crop,)
    return float(np.mean([means[name][output] for name in crops]))


def warmer(degrees: float, same_humidity: bool) -> Change:
    """Warms every day; `same_humidity` keeps the relative humidity, else the deficit stays."""

    def change(field: Forcing) -> Forcing:
        names = ("air_temperature_mean", "air_temperature_max", "air_temperature_min")
        warm = {name: getattr(field, name) + degrees for name in names}
        growth = saturation_pressure(warm[names[0]]) / saturation_pressure(
            field.air_temperature_mean
        )
        deficit = field.vapour_pressure_deficit * (growth if same_humidity else 1.0)
        return dataclasses.replace(field, vapour_pressure_deficit=deficit, **warm)

    return change


def times(summer_only: bool = False, **factors: float) -> Change:
    """Multiplies fields of the forcing, on every day or in summer only."""

    def change(field: Forcing) -> Forcing:
        summer = (field.day_of_year >= SUMMER[0]) & (field.day_of_year <= SUMMER[1])
        scaled = {
            name: getattr(field, name) * np.where(summer | (not summer_only), factor, 1.0)
            for name, factor in factors.items()
        }
        return dataclasses.replace(field, **scaled)

    return change


TODAY = "today"
SCENARIOS: Mapping[str, Change] = {
    TODAY: times(),
    "+2 degC": warmer(2.0, same_humidity=False),
    "+2 degC, same RH": warmer(2.0, same_humidity=True),
    "JJA rain x0.5": times(summer_only=True, precipitation=0.5),
    "JJA rain x0": times(summer_only=True, precipitation=0.0),
    "CO2 550": times(co2=550.0 / fields.CO2),
    "N x0": times(fertiliser_ammonium=0.0, fertiliser_nitrate=0.0),
    "N x1.5": times(fertiliser_ammonium=1.5, fertiliser_nitrate=1.5),
    "radiation x0.8": times(shortwave_radiation=0.8),
    "no tillage": times(tillage=0.0),
}
"""What differs from today, from the first day after the spin-up on."""


def perform(years: int, weathers: int) -> Experiment:
    """Runs all scenarios on fields that begin with corn and on fields that begin with soybean.

    Args:
      years: years of a scenario; the spin-up under today's conditions has as many.
      weathers: draws of the weather.
    """
    params = constrain_offsets(Params, {})
    starts = [(first, seed) for seed in range(weathers) for first in CROPS.values()]
    today = [fields.forcing(fields.rotation(years, first), seed) for first, seed in starts]
    changed = [_stacked([change(field) for field in today]) for change in SCENARIOS.values()]
    site = jax.tree.map(jnp.asarray, fields.attributes())
    state, simulated = _simulate(params, site, _stacked(today), _stacked(changed))
    daily = {name: np.asarray(values) for name, values in simulated.items()}
    crops = np.stack([fields.rotation(years, first) for first, _ in starts])
    matter = jax.tree.map(lambda leaf: leaf[0], state.organic)
    rotation = {name: values[:, :, : 2 * fields.DAYS] for name, values in daily.items()}
    means, first = _by_crop(daily, crops), _by_crop(rotation, crops[:, :2])
    return Experiment(means, *_microbes(params, site, matter), first)


def _by_crop(
    daily: dict[str, np.ndarray], crops: np.ndarray
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        scenario: {
            crop: {name: _mean(name, daily[name][number], crops == row) for name in OUTPUTS}
            for crop, row in CROPS.items()
        }
        for number, scenario in enumerate(SCENARIOS)
    }


@jax.jit
def _simulate(
    params: Params, site: Attributes, today: Forcing, changed: Forcing
) -> tuple[State, dict[str, Field]]:
    # The state after the spin-up (field,), from which all scenarios of a field start, and daily
    # outputs (scenario, field, time).
    def place(forcing: Forcing) -> Attributes:
        # The soil below follows the air in the long run.
        deep = jnp.mean(forcing.air_temperature_mean)
        return dataclasses.replace(site, mean_annual_temperature=deep)

    controller = constant(params)

    def spun_up(forcing: Forcing) -> Carried:
        start = ecosystem.initial_state(params, site), controller.memory
        nothing = lambda day: None
        return MODEL.advance(controller, place(forcing), start, forcing, nothing)[0]

    def simulated(start: Carried, forcing: Forcing) -> dict[str, Field]:
        report = lambda day: {name: getattr(day.fluxes, flux) for name, flux in OUTPUTS.items()}
        return MODEL.advance(controller, place(forcing), start, forcing, report)[1]

    start = jax.vmap(spun_up)(today)
    return start[0], jax.vmap(jax.vmap(simulated), in_axes=(None, 0))(start, changed)


def _microbes(params: Params, site: Attributes, matter: OrganicMatter) -> tuple[float, np.ndarray]:
    # Q10 between 10 and 20 degC, and the relative response to WFPS.
    temperature = jnp.asarray([10.0, 20.0, *np.full(WFPS.size, 20.0)])
    wfps = jnp.asarray([0.6, 0.6, *WFPS])
    rates = jax.jit(jax.vmap(_respiration, in_axes=(None, None, None, 0, 0)))
    cool, warm, *moist = np.asarray(rates(params, site, matter, temperature, wfps))
    return float(warm / cool), np.asarray(moist) / max(moist)


def _respiration(
    params: Params, site: Attributes, matter: OrganicMatter, temperature: Field, wfps: Field
) -> Field:
    # Of the soil layers in one day, with mineral nitrogen in plenty.
    hydraulic = soil_water.hydraulics(params, site)
    water = wfps * hydraulic.saturation
    available = hydraulic.field_capacity - hydraulic.wilting_point
    everywhere = lambda value: jnp.full(layers.BIOGEOCHEMICAL, value)
    climate = organic_matter.climate(
        everywhere(temperature),
        everywhere((water - hydraulic.wilting_point) / available),
        everywhere(hydraulic.saturation - water),
    )
    untilled, plenty = jnp.zeros_like(wfps), everywhere(100.0)
    _, moved = organic_matter.step(params, site.clay, untilled, matter, climate, plenty)
    return jnp.sum(moved.respiration[1:])


def _mean(name: str, daily: np.ndarray, grown: np.ndarray) -> float:
    # Over the years in which a crop is grown, of their sums; of stocks, of their means.
    years = daily.reshape(*grown.shape, fields.DAYS)[grown]
    return float(years.mean() if name in STOCKS else years.sum(axis=1).mean())


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *trees)
