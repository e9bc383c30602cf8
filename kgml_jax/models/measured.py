"""What a tower measures of what a field does: evapotranspiration that the energy balance lacks."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.bijections import constrain, unconstrain
from kgml_jax.models.hybrid import process_of
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.process.parameters import ENERGY_BALANCE_RATIO, parameter
from kgml_jax.records import Field
from kgml_jax.sites import Site

CONCERNED = "ET"
"""What is measured too low where the energy balance does not close."""


@dataclass(frozen=True)
class MeasuredModel:
    """A model whose evapotranspiration is that which a tower measures.

    It is the field's times the energy balance ratio of the tower, a parameter that stands beside
    those of the process. What misses of the sensible heat misses of the latent heat alike, so that
    the Bowen ratio is right (Twine et al. 2000).

    Attributes:
      model: predicts what the field does; it has process parameters.
    """

    model: Model

    @property
    def process(self) -> ProcessModel:
        """The process model in it."""
        return process_of(self.model)

    def init(self, key: jax.Array) -> Weights:
        """Draws the weights of the model, with the ratio at its prior."""
        return with_ratio(self.model.init(key))

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns fluxes of one site as measured, each (time,), in physical units."""
        fluxes: dict[str, Any] = dict(self.model.predict(weights, site, key))
        if CONCERNED in fluxes:
            fluxes[CONCERNED] = fluxes[CONCERNED] * ratio_of(weights)
        return fluxes


def with_ratio(weights: Weights) -> Weights:
    """Returns weights that hold the energy balance ratio too, at its prior."""
    none = jnp.zeros((), jnp.result_type(float))
    return {**weights, "process": {ENERGY_BALANCE_RATIO: none, **weights["process"]}}  # type: ignore[dict-item]


def ratio_of(weights: Weights) -> Field:
    """Returns the energy balance ratio that weights hold, ()."""
    about = parameter(ENERGY_BALANCE_RATIO)
    offset: Any = weights["process"][ENERGY_BALANCE_RATIO]  # type: ignore[index]
    prior = unconstrain(jnp.asarray(about.default, jnp.result_type(offset)), about)
    return constrain(prior + offset, about)
