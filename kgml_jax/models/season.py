"""What follows from the crop calendar, and what a crop is like: inputs of networks.

Sequences of one site, shape (time,), 0 on bare ground. Networks that read them know what grows and
how far it is without a flag for any crop: a new row of the crop table needs no new input.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from kgml_jax.process import crops, phenology
from kgml_jax.records import Field
from kgml_jax.sites import Site

TRAITS = (
    "c4",
    "nitrogen_fixation",
    "base_temperature",
    "emergence_time",
    "vegetative_time",
    "reproductive_time",
    "photoperiod_sensitivity",
    "specific_leaf_area",
    "vcmax",
    "rooting_depth",
    "frost_temperature",
    "perennial",
)
"""Fields of the crop table that tell networks what grows, each the input `crop_<field>`."""


def _stands(site: Site) -> Field:
    """Bool: a crop stands, known or not."""
    return site.forcing.occupied > 0


def _known(site: Site) -> Field:
    """Bool: a crop of the table stands."""
    return _stands(site) & (site.forcing.crop >= 0)


def _crop(site: Site) -> crops.Crop:
    return jax.vmap(crops.lookup)(site.forcing.crop)


def _since_sowing(site: Site, gain: Field, before: Field) -> Field:
    """Sums what each day gains since the crop was sown.

    A planting pulse takes away its share of the sum, so that sowing over several days has a
    gradient. A crop that stands on the first day of a record counts from that day on.

    Args:
      site: whose planting and occupation say where seasons begin and end.
      gain: of each day, shape (time,).
      before: what the sum of the day before had not counted yet, shape (time,): its gain.
    """
    keeps = jnp.where(_stands(site), 1.0 - site.forcing.planting, 0.0)

    def joined(first: tuple[Field, Field], second: tuple[Field, Field]) -> tuple[Field, Field]:
        return first[0] * second[0], second[0] * first[1] + second[1]

    gained = keeps * before + jnp.where(_stands(site), gain, 0.0)
    return jax.lax.associative_scan(joined, (keeps, gained))[1]


def days_since_sowing(site: Site) -> Field:
    """Days since the crop was sown, d: 0 on the day of sowing."""
    stood = jnp.concatenate([jnp.zeros(1), _stands(site)[:-1].astype(jnp.result_type(float))])
    return _since_sowing(site, jnp.zeros_like(stood), before=stood)


def _warmth(site: Site) -> Field:
    warmth = phenology.thermal_time(site.forcing.air_temperature_mean, _crop(site).base_temperature)
    return jnp.where(_known(site), warmth, 0.0)


def heat_since_sowing(site: Site) -> Field:
    """Thermal time above the crop's base temperature since it was sown, degC d.

    The day itself counts, as it does in development (`phenology.thermal_time`).
    """
    warmth = _warmth(site)
    return _since_sowing(site, warmth, before=jnp.zeros_like(warmth))


def season_progress(site: Site) -> Field:
    """Share of the crop's thermal time from sowing to maturity that has passed; above 1 after it.

    Day length does not delay it, unlike the development of the process model.
    """
    crop = _crop(site)
    needed = crop.emergence_time + crop.vegetative_time + crop.reproductive_time
    return jnp.where(_known(site), heat_since_sowing(site) / needed, 0.0)


def _trait(name: str, site: Site) -> Field:
    return jnp.where(_known(site), getattr(_crop(site), name), 0.0)


PROGRESS: dict[str, Callable[[Site], Field]] = {
    "days_since_sowing": days_since_sowing,
    "heat_since_sowing": heat_since_sowing,
    "season_progress": season_progress,
}
"""Inputs that need the days since sowing: a window must begin before it."""

CROP_TRAITS: dict[str, Callable[[Site], Field]] = {
    f"crop_{field.name}": partial(_trait, field.name)
    for field in dataclasses.fields(crops.Crop)
    if field.name in TRAITS
}
"""Traits of the crop that stands."""
