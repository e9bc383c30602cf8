"""What is known of carbon fluxes without observing them: they balance, respiration is a loss."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.objectives.errors import Fluxes
from kgml_jax.records import Field
from kgml_jax.sites import Site


@dataclass(frozen=True)
class MassBalance:
    """Mean carbon-balance residual beyond a tolerance, in g C m-2 d-1.

    `mean ReLU(|GPP - Ra - Rh + NEE| - tolerance |Ra + Rh|)` (Liu et al. 2024, Methods; signs here).
    """

    tolerance: float = 0.01

    def __call__(self, fluxes: Fluxes, site: Site) -> Field:
        """Returns the mean over the valid days of one site or of a stack of its windows."""
        respired = fluxes["Ra"] + fluxes["Rh"]
        residual = jnp.abs(fluxes["GPP"] - respired + fluxes["NEE"])
        excess = jax.nn.relu(residual - self.tolerance * jnp.abs(respired))
        return _mean_over_valid(excess, site)


@dataclass(frozen=True)
class NonNegativity:
    """Mean amount by which fluxes that cannot be negative are, in g C m-2 d-1."""

    names: tuple[str, ...] = ("GPP", "Ra", "Rh")

    def __call__(self, fluxes: Fluxes, site: Site) -> Field:
        """Returns the sum over fluxes of the mean over valid days."""
        shortfalls = [_mean_over_valid(jax.nn.relu(-fluxes[name]), site) for name in self.names]
        return jnp.sum(jnp.stack(shortfalls))


def _mean_over_valid(values: Field, site: Site) -> Field:
    return jnp.sum(jnp.where(site.valid, values, 0.0)) / jnp.maximum(jnp.sum(site.valid), 1)
