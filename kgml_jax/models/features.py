"""Network inputs of one site by name, and their standardisation.

A `Scaling` is fitted once, on training days, and travels with the model; no site ever refits it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.models.season import CROP_TRAITS, PROGRESS
from kgml_jax.process import crops
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.humidity import saturation_pressure
from kgml_jax.records import Field, constant, quantities
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of one named quantity over the training site-days."""

    name: str
    mean: float
    sd: float


@dataclass(frozen=True)
class Scaling:
    """Standardisation of a model's inputs and the scales of its targets, in physical units."""

    inputs: tuple[Scale, ...]
    targets: tuple[Scale, ...]


def _season_angle(site: Site) -> Field:
    # Half a year is added south of the equator, so that an angle means the same season everywhere.
    southern = 182.6 * (site.attributes.latitude < 0)
    return 2 * jnp.pi * (site.forcing.day_of_year + southern) / DAYS_PER_YEAR


def _silt(site: Site) -> Field:
    silt = 1.0 - site.attributes.sand - site.attributes.clay
    return jnp.broadcast_to(silt, site.forcing.day_of_year.shape)


_TYPES = {"corn": 1.0, "soybean": 5.0}
# 1; by row of the crop table, the last of no crop (-1)
CROP_TYPES = np.array([*(_TYPES.get(name, 0.0) for name in crops.NAMES), 0.0])

_DERIVED: dict[str, Callable[[Site], Field]] = {
    "season_sine": lambda site: jnp.sin(_season_angle(site)),
    "season_cosine": lambda site: jnp.cos(_season_angle(site)),
    "corn": lambda site: jnp.where(site.forcing.crop == 0, site.forcing.occupied, 0.0),
    "soybean": lambda site: jnp.where(site.forcing.crop == 1, site.forcing.occupied, 0.0),
    "logarithmic_precipitation": lambda site: jnp.log1p(site.forcing.precipitation),
    "air_temperature_range": lambda site: (
        site.forcing.air_temperature_max - site.forcing.air_temperature_min
    ),
    "vapour_pressure": lambda site: (
        saturation_pressure(site.forcing.air_temperature_mean)
        - site.forcing.vapour_pressure_deficit
    ),
    "crop_type": lambda site: constant(CROP_TYPES)[site.forcing.crop],
    "year": lambda site: site.calendar.year.astype(jnp.result_type(float)),
    "silt": _silt,
    **PROGRESS,
    **CROP_TRAITS,
}

WEATHER = (
    "shortwave_radiation",
    "air_temperature_mean",
    "air_temperature_max",
    "air_temperature_min",
    "vapour_pressure_deficit",
    "logarithmic_precipitation",
    "wind_speed",
)
MANAGEMENT = ("occupied", "planting", "harvest", "tillage", "irrigation", "corn", "soybean")
CROP = (*PROGRESS, *CROP_TRAITS)
"""What follows from the crop and its calendar; 0 on bare ground."""
SOIL = (
    "sand",
    "clay",
    "bulk_density",
    "soil_organic_carbon",
    "ph",
    "cation_exchange_capacity",
    "field_capacity",
    "wilting_point",
    "saturated_conductivity",
)
DYNAMIC_INPUTS = (*WEATHER, "season_sine", "season_cosine", *MANAGEMENT)
"""Weather, season and management: what changes from day to day."""

DEFAULT_INPUTS = (*DYNAMIC_INPUTS, "latitude", "mean_annual_temperature", *SOIL)
"""The dynamic inputs and what is known of the place; nothing computed from a carbon flux."""

LEGACY_INPUTS = (*DEFAULT_INPUTS, "prescribed_gpp")
"""KGML-ag's choice, GPP as an input; tower GPP there leaks NEE + Reco into the inputs."""

CALENDAR_INPUTS = (
    *WEATHER,
    "season_sine",
    "season_cosine",
    "occupied",
    "planting",
    "harvest",
    "cut",
    "tillage",
    "irrigation",
    *CROP,
    "latitude",
    "mean_annual_temperature",
    *SOIL,
)
"""As the default, but what grows is told by the traits of the crop and how far it is, in place of
flags of two crops: another row of the crop table needs no other inputs."""

KGML_AG_INPUTS = (
    "shortwave_radiation",
    "air_temperature_max",
    "air_temperature_range",
    "vapour_pressure",
    "vapour_pressure_deficit",
    "wind_speed",
    "precipitation",
    "crop_type",
    "prescribed_gpp",
    "year",
    "bulk_density",
    "sand",
    "silt",
    "field_capacity",
    "wilting_point",
    "saturated_conductivity",
    "soil_organic_carbon",
    "ph",
    "cation_exchange_capacity",
)
"""The 19 inputs of KGML-ag-Carbon in its order; its largest daily vapour pressure and the range of
it are represented by the daily mean and the deficit."""

INPUT_SETS = {
    "default": DEFAULT_INPUTS,
    "dynamic": DYNAMIC_INPUTS,
    "calendar": CALENDAR_INPUTS,
    "legacy": LEGACY_INPUTS,
    "kgml-ag": KGML_AG_INPUTS,
}
"""Choices of inputs by name."""


def features(names: Sequence[str], site: Site) -> Field:
    """Returns the named inputs of one site in physical units, shape (time, input).

    Raises:
      ValueError: a name is neither a forcing, an attribute nor a derived input.
    """
    return jnp.stack([_feature(name, site) for name in names], axis=-1)


def standardise(scaling: Scaling, site: Site) -> Field:
    """Returns the inputs of one site as the network sees them, shape (time, input)."""
    raw = features([scale.name for scale in scaling.inputs], site)
    mean = np.array([scale.mean for scale in scaling.inputs])
    sd = np.array([scale.sd for scale in scaling.inputs])
    return (raw - mean.astype(raw.dtype)) / sd.astype(raw.dtype)


def fit_scaling(names: Sequence[str], data: DividedSites) -> Scaling:
    """Fits the standardisation on the training days of all sites.

    Args:
      names: inputs of the model.
      data: all sites, with the role of each day.

    Raises:
      ValueError: no day has the training role, or no target is observed on one.
    """
    site = data.sites.site
    days = (data.roles == TRAIN) & np.asarray(site.valid)
    if not days.any():
        raise ValueError("the split leaves no training day, so nothing can be standardised")
    inputs = tuple(_scale(name, _finite(daily(name, site)[days])) for name in names)
    targets = []
    for name, values in site.targets.items():
        observed = _finite(np.asarray(values)[days & np.asarray(site.mask[name])])
        if observed.size > 1:
            targets.append(_scale(name, observed))
    if not targets:
        raise ValueError("no target is observed on any training day")
    return Scaling(inputs=inputs, targets=tuple(targets))


def _finite(values: np.ndarray) -> np.ndarray:
    # One value that is not must not reach all sites through the scale they share.
    return values[np.isfinite(values)]


def _feature(name: str, site: Site) -> Field:
    if name in _DERIVED:
        return _DERIVED[name](site)
    if name in quantities(Forcing):
        return getattr(site.forcing, name)
    if name in quantities(Attributes):
        return jnp.broadcast_to(getattr(site.attributes, name), site.forcing.day_of_year.shape)
    known = (*_DERIVED, *quantities(Forcing), *quantities(Attributes))
    raise ValueError(f"{name!r} is no input; there are {', '.join(known)}")


def daily(name: str, site: Site) -> np.ndarray:
    """Returns one input of many sites in physical units, shape (site, time).

    Args:
      name: as `features` takes it.
      site: leaves (site, time, ...).

    Raises:
      ValueError: the name is no input.
    """
    if name in quantities(Attributes):
        per_site = np.asarray(getattr(site.attributes, name))
        return np.broadcast_to(per_site[:, None], np.shape(site.valid))
    if name in _DERIVED:
        return np.asarray(jax.vmap(_DERIVED[name])(site))
    return np.asarray(_feature(name, site))


def _scale(name: str, values: np.ndarray) -> Scale:
    sd = float(np.std(values, dtype=np.float64))
    # A quantity that never varied in training carries no information: it is only centred.
    constant = sd <= 1e-6 * max(1.0, abs(float(np.mean(values, dtype=np.float64))))
    return Scale(name, float(np.mean(values, dtype=np.float64)), 1.0 if constant else sd)
