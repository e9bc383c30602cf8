"""How the outputs of the process model change with its parameters over years, in float64.

A slope is the derivative of a daily output by the logarithm of a parameter; a parameter whose prior
is 0 moves by half the width of its bounds instead. Forward mode: one tangent a parameter, all
mapped in one program, costs a fraction of a reverse pass for every output.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from kgml_jax.models.control import Day, constant
from kgml_jax.models.process import ProcessModel
from kgml_jax.process import organic_matter
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Params, Source
from kgml_jax.process.layers import CARBON
from kgml_jax.records import Field, quantities
from studies.process_model import fields

OUTPUTS = {
    "GPP": "gross_primary_productivity",
    "Ra": "autotrophic_respiration",
    "Rh": "heterotrophic_respiration",
    "NEE": "net_ecosystem_exchange",
    "LAI": "leaf_area_index",
    "yield": "grain_yield",
    "ET": "evapotranspiration",
    "T": "transpiration",
    "run": "runoff",
    "drain": "drainage",
    "water": "soil_water",
    "Tsoil": "soil_temperature",
    "litter": "surface_residue",
    "SOC": "soil_organic_carbon",
    "Nup": "nitrogen_uptake",
    "Nfix": "nitrogen_fixation",
    "Nmin": "net_mineralisation",
    "nitr": "nitrification",
    "N2O": "nitrous_oxide",
    "N2": "dinitrogen",
    "NH3": "ammonia_volatilisation",
    "leach": "nitrate_leaching",
}
"""Fluxes and stocks by the short names of the tables."""

MATTER = "SOM"
"""All organic carbon of residue and soil, g C m-2: what the sensitivity cap is about."""

NAMES = (*OUTPUTS, MATTER)
STOCKS = ("SOC", MATTER)
PARAMETERS = tuple(quantities(Params))
STEP = 1e-5
"""Of the central differences: their error is of second order in it, and the rounding of 18 years
divided by it."""

RESOLVED = 1e-5
"""Slopes below this share of an output's `scale` are lost in the rounding of differences."""

HORIZONS = (1, 2, 5, 10, 18)
FIRST, LAST = slice(None, 2), slice(-2, None)
"""Years of the first and of the last rotation."""


@dataclass(frozen=True)
class Situation:
    """Fields on which the parameters are examined, and which of them cannot matter there."""

    forcing: Forcing
    """Leaves (field, time)."""
    gpp: Source = "simulated"
    idle: tuple[str, ...] = ()
    """Parameters by which every slope is exactly 0."""
    still: tuple[str, ...] = ()
    """Outputs of which every slope is exactly 0."""


PLANT = (
    "vcmax_multiplier",
    "stomatal_slope_multiplier",
    "specific_leaf_area_multiplier",
    "vegetative_duration_multiplier",
    "reproductive_duration_multiplier",
    "growth_rate",
    "maintenance_respiration_rate",
    "water_stress_sensitivity",
    "critical_available_water",
    "rooting_depth_multiplier",
    "root_allocation_multiplier",
    "grain_onset_shift",
    "nitrogen_mobilisation_rate",
    "nitrogen_uptake_rate",
    "nitrogen_fixation_fraction",
    "senescence_multiplier",
)
"""Parameters that act through the crop alone."""


def rotations(years: int) -> Situation:
    """Corn and soybean in turn on two fields, so that every year has both: everything matters."""
    phases = (fields.rotation(years, first) for first in (fields.CORN, fields.SOYBEAN))
    return Situation(_stacked([fields.forcing(crops) for crops in phases]))


def continuous_corn(years: int) -> Situation:
    """Corn every year: nothing is fixed."""
    forcing = _always(fields.CORN, years)
    return Situation(forcing, idle=("nitrogen_fixation_fraction",), still=("Nfix",))


def no_tillage(years: int) -> Situation:
    """The rotation without a tillage whose effect could matter."""
    forcing = rotations(years).forcing
    untilled = dataclasses.replace(forcing, tillage=0.0 * forcing.tillage)
    return Situation(untilled, idle=("tillage_effect",))


def fallow(years: int) -> Situation:
    """Bare, untilled ground: no parameter of the crop matters and nothing grows."""
    still = ("GPP", "Ra", "LAI", "yield", "T", "Nup", "Nfix")
    idle = (*PLANT, "tillage_effect")
    return Situation(_always(fields.FALLOW, years), idle=idle, still=still)


def prescribed_gpp(years: int) -> Situation:
    """Photosynthesis given from outside: what limits it does not matter."""
    forcing = rotations(years).forcing
    season = np.exp(-(((forcing.day_of_year - 200.0) / 35.0) ** 2))
    forcing = dataclasses.replace(forcing, prescribed_gpp=18.0 * forcing.occupied * season)
    idle = ("vcmax_multiplier", "water_stress_sensitivity")
    return Situation(forcing, "prescribed", idle=idle, still=("GPP",))


SITUATIONS = (rotations, continuous_corn, no_tillage, fallow, prescribed_gpp)
"""Situations in which it is known which slopes are exactly 0; no other slope is."""


def slopes(situation: Situation) -> xr.Dataset:
    """Differentiates every day's outputs by every parameter.

    Returns:
      `value` (output, field, year, day) and `slope` (parameter, output, field, year, day).
    """
    with jax.enable_x64(True):
        pair = _differentiate(situation.gpp, *_double(situation.forcing))
        value, slope = (np.asarray(array, dtype=np.float64) for array in pair)
    days = lambda array: array.reshape(*array.shape[:-1], -1, fields.DAYS)
    dims = ("output", "field", "year", "day")
    return xr.Dataset(
        {"value": (dims, days(value)), "slope": (("parameter", *dims), days(slope))},
        coords={"output": list(NAMES), "parameter": list(PARAMETERS)},
    )


def differences(situation: Situation) -> xr.DataArray:
    """Returns central differences of annual means, dims (parameter, output, field, year)."""
    with jax.enable_x64(True):
        slope = np.asarray(_difference(situation.gpp, *_double(situation.forcing)))
    dims = ("parameter", "output", "field", "year")
    coords = {"parameter": list(PARAMETERS), "output": list(NAMES)}
    return xr.DataArray(slope, coords=coords, dims=dims)


def scale(value: xr.DataArray) -> xr.DataArray:
    """What a slope of an output is measured by: its standard deviation, of carbon stocks the mean.

    Carbon stocks hardly vary, so their spread would make every parameter look decisive.
    """
    dims = ("field", "year", "day")
    stocks = [name in STOCKS for name in value["output"].values]
    mean, spread = abs(value).mean(dims), value.std(dims)
    return xr.where(xr.DataArray(stocks, dims="output"), mean, spread)


def normalised(data: xr.Dataset) -> xr.DataArray:
    """Root mean square of the daily slopes over `scale`, dims (parameter, output)."""
    square = (data["slope"] ** 2).mean(("field", "year", "day"))
    return square**0.5 / scale(data["value"])


def zero_share(data: xr.Dataset) -> xr.DataArray:
    """Share of days on which an output flows but does not move with a parameter.

    Not to move is to have a slope below the rounding of the output's `scale`.
    """
    flows = data["value"] != 0.0
    still = abs(data["slope"]) <= np.finfo(float).eps * scale(data["value"])
    dims = ("field", "year", "day")
    return (still & flows).sum(dims) / flows.sum(dims).clip(min=1)


def disagreement(data: xr.Dataset, finite: xr.DataArray) -> xr.DataArray:
    """Largest difference of annual slopes and `finite` ones, relative to the largest slope.

    Slopes below `RESOLVED` count as that.
    """
    annual = data["slope"].mean("day")
    dims = ("field", "year")
    size, floor = abs(annual).max(dims), RESOLVED * scale(data["value"]) + np.finfo(float).tiny
    return abs(annual - finite).max(dims) / xr.where(size > floor, size, floor)


def late_over_early(data: xr.Dataset) -> xr.DataArray:
    """Mean size of the annual slopes in the last rotation over that in the first."""
    size = abs(data["slope"].mean("day")).mean("field")
    early, late = (size.isel(year=years).mean("year") for years in (FIRST, LAST))
    return (late / early.where(early > 0.0)).fillna(np.nan)


def growth(data: xr.Dataset) -> xr.DataArray:
    """Mean size of the annual slopes in the last third of the years over that in the middle third.

    What accumulates evenly, as organic matter does, gives less than 2; NaN below six years.
    """
    third = data.sizes["year"] // 3
    size = abs(data["slope"].mean("day")).mean("field")
    middle, late = (
        size.isel(year=years).mean("year")
        for years in (slice(third, 2 * third), slice(-third, None))
    )
    return (late / middle.where(middle > 0.0)).where(third > 1)


def by_horizon(data: xr.Dataset) -> xr.DataArray:
    """Norm over the parameters of the slopes of a year's mean, dims (output, horizon).

    The horizon is the number of years the parameters have acted.
    """
    known = [years for years in HORIZONS if years <= data.sizes["year"]]
    annual = data["slope"].mean("day").isel(year=[years - 1 for years in known])
    norm = ((annual**2).sum("parameter") ** 0.5).mean("field")
    return norm.rename(year="horizon").assign_coords(horizon=known)


def carbon_cap(data: xr.Dataset) -> xr.DataArray:
    """Largest slope of all organic carbon over it at any time, dims (parameter,).

    Parameters of the start are a choice, not a sensitivity of the dynamics: they are left out.
    """
    carbon = data.sel(output=MATTER)
    worst = abs(carbon["slope"] / carbon["value"]).max(("field", "year", "day"))
    return worst.where(~worst["parameter"].str.startswith("initial"))


def directions(data: xr.Dataset, threshold: float) -> xr.DataArray:
    """Number of combinations of parameters that the days of an output can tell apart.

    Singular values of the normalised slopes above `threshold` as a root mean square over days.
    """
    daily = data["slope"] / scale(data["value"])
    matrix = daily.transpose("output", "field", "year", "day", "parameter").values
    matrix = matrix.reshape(len(matrix), -1, matrix.shape[-1])
    together = np.swapaxes(matrix, 1, 2) @ matrix / matrix.shape[1]
    counts = (np.linalg.eigvalsh(together) > threshold**2).sum(axis=1)
    return xr.DataArray(counts, coords={"output": data["output"]}, dims="output")


@partial(jax.jit, static_argnums=0)
def _differentiate(gpp: Source, site: Attributes, forcing: Forcing) -> tuple[Field, Field]:
    # Outputs (output, field, time), and their slopes with a leading axis of parameters.
    along = lambda tangent: jax.jvp(
        lambda shift: _outputs(gpp, site, forcing, shift), (jnp.zeros_like(tangent),), (tangent,)
    )
    return jax.vmap(along, out_axes=(None, 0))(jnp.eye(len(PARAMETERS)))


@partial(jax.jit, static_argnums=0)
def _difference(gpp: Source, site: Attributes, forcing: Forcing) -> Field:
    # Slopes of annual means (parameter, output, field, year).
    def annual(shift: Field) -> Field:
        daily = _outputs(gpp, site, forcing, shift)
        return daily.reshape(*daily.shape[:-1], -1, fields.DAYS).mean(axis=-1)

    moves = STEP * jnp.eye(len(PARAMETERS))
    high, low = jnp.split(jax.vmap(annual)(jnp.concatenate([moves, -moves])), 2)
    return (high - low) / (2.0 * STEP)


def _outputs(gpp: Source, site: Attributes, forcing: Forcing, shift: Field) -> Field:
    # Daily outputs (output, field, time) with the parameters moved by `shift` (parameter,).
    model, controller = ProcessModel(gpp=gpp), constant(_moved(shift))
    days = forcing.crop.shape[-1]

    def outputs(day: Day) -> Field:
        matter = jnp.sum(organic_matter.total(day.after.organic)[CARBON])
        return jnp.stack([*(getattr(day.fluxes, name) for name in OUTPUTS.values()), matter])

    run = lambda field: model.controlled(controller, site, field, outputs, days)
    return jnp.moveaxis(jax.vmap(run)(forcing), -1, 0)


def _moved(shift: Field) -> Params:
    values = {}
    for (name, parameter), by in zip(quantities(Params).items(), shift, strict=True):
        low, high = parameter.bounds or (0.0, 0.0)
        prior = jnp.asarray(parameter.default, dtype=shift.dtype)
        moved = prior * jnp.exp(by) if parameter.default else prior + 0.5 * (high - low) * by
        values[name] = moved
    return Params(**values)


def _double(forcing: Forcing) -> tuple[Attributes, Forcing]:
    return jax.tree.map(jnp.asarray, (fields.attributes(), forcing))


def _always(crop: int, years: int) -> Forcing:
    return _stacked([fields.forcing(np.full(years, crop), seed) for seed in (0, 1)])


def _stacked(forcing: list[Forcing]) -> Forcing:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *forcing)
