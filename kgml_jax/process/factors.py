"""Factors on fluxes inside the daily step: what scales them there leaves every budget closed."""

import dataclasses

from kgml_jax.process.organic_matter import Climate
from kgml_jax.process.parameters import Params
from kgml_jax.records import Field, record, var


@record
class Factors:
    """Positive factors on what a day would exchange, each of shape `()`; 1 changes nothing."""

    photosynthesis: Field = var(units="1", doc="On gross photosynthesis", default=1.0)
    maintenance: Field = var(units="1", doc="On maintenance respiration of the crop", default=1.0)
    decomposition: Field = var(units="1", doc="On the pace of all microbes do", default=1.0)


def maintained(params: Params, factors: Factors | None) -> Params:
    """Returns parameters of a day in which maintenance is scaled; it stays bound by its donor."""
    if factors is None:
        return params
    rate = params.maintenance_respiration_rate * factors.maintenance
    return dataclasses.replace(params, maintenance_respiration_rate=rate)


def paced(climate: Climate, factors: Factors) -> Climate:
    """Returns microbial responses of a day in which hydrolysis, growth and death are scaled.

    Every rate that grows with warmth grows by the factor; the fractions they make of their pools
    stay below 1.
    """
    return dataclasses.replace(
        climate,
        warmth=climate.warmth * factors.decomposition,
        maintenance=climate.maintenance * factors.decomposition,
    )
