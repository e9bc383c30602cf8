"""Response curves: what a model predicts while one of its inputs is changed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from kgml_jax.objectives.compose import Predict
from kgml_jax.records import Field
from kgml_jax.sites import Site

Change = Literal["set", "add", "scale"]
YEAR = "year"


@dataclass(frozen=True)
class Probe:
    """One input and the changes that are made to it.

    Attributes:
      name: a field of `Attributes` or `Forcing`, or `"year"`.
      change: whether the values replace the input, are added to it or multiply it.
      values: one for each point of the curve, rising.
    """

    name: str
    change: Change
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2 or sorted(self.values) != list(self.values):
            raise ValueError(f"{self.name}: {self.values}; expected at least two rising values")


def changed(site: Site, probe: Probe, value: Field) -> Site:
    """Returns the site with one input changed on all days.

    Raises:
      AttributeError: the probe names neither an attribute, nor a forcing, nor the year.
    """
    if probe.name == YEAR:
        years = _changed(site.calendar.year.astype(jnp.result_type(float)), probe.change, value)
        calendar = dataclasses.replace(site.calendar, year=years)
        return dataclasses.replace(site, calendar=calendar)
    part = "attributes" if hasattr(site.attributes, probe.name) else "forcing"
    record = getattr(site, part)
    new = _changed(getattr(record, probe.name), probe.change, value)
    return dataclasses.replace(site, **{part: dataclasses.replace(record, **{probe.name: new})})


def _changed(old: Field, change: Change, value: Field) -> Field:
    match change:
        case "set":
            return jnp.full_like(old, value)
        case "add":
            return old + value
        case "scale":
            return old * value


def curves(predict: Predict, site: Site, probe: Probe, fluxes: Sequence[str]) -> dict[str, Field]:
    """Returns the means of fluxes over the valid days at every value of a probe.

    All values are predicted at once: a recurrence over days costs little more for several of them.

    Args:
      predict: the model.
      site: one site with leaves (time,), or windows with leaves (window, time).
      probe: what is changed.
      fluxes: keys of what `predict` returns.

    Returns:
      By flux shape (values,) or (window, values), in its units.
    """

    def means(value: Field) -> dict[str, Field]:
        predicted = predict(changed(site, probe, value))
        days = jnp.maximum(jnp.sum(site.valid, axis=-1), 1)
        total = lambda flux: jnp.sum(jnp.where(site.valid, flux, 0.0), axis=-1)
        return {name: total(predicted[name]) / days for name in fluxes}

    values = jnp.asarray(probe.values, jnp.result_type(float))
    return jax.vmap(means, out_axes=-1)(values)


def curve(predict: Predict, site: Site, probe: Probe, flux: str) -> Field:
    """Returns the curve of one flux; see `curves`."""
    return curves(predict, site, probe, (flux,))[flux]
