"""Masked prediction error over several targets."""

from dataclasses import dataclass

import jax.numpy as jnp

from kgml_jax.records import Field
from kgml_jax.sites import Site

Predicted = dict[str, Field]
"""Daily values of one site by the names of `sites.PREDICTABLE`, each (time,)."""


@dataclass(frozen=True)
class MaskedError:
    """Sum over targets of the mean squared standardised error of the observed days.

    `sum_v w_v sum(m e^2) / sum(m)`, with e in units of the target's training standard deviation.

    Attributes:
      scales: pairs of target name and its training standard deviation, in the target's units.
      weights: pairs of target name and weight w_v; targets not named here weigh 1.
      inverse_variance: weigh each day by 1/sigma^2 of its observation.
    """

    scales: tuple[tuple[str, float], ...]
    weights: tuple[tuple[str, float], ...] = ()
    inverse_variance: bool = False

    def __call__(self, fluxes: Predicted, site: Site) -> Field:
        """Returns the error of one site, or of a stack of windows of one site; 0 if unobserved."""
        weights = dict(self.weights)
        total = jnp.zeros(())
        for name, sd in self.scales:
            if name in fluxes and name in site.targets:
                error = self._error(fluxes[name], site, name, sd)
                total = total + weights.get(name, 1.0) * error
        return total

    def _error(self, predicted: Field, site: Site, name: str, sd: float) -> Field:
        seen = site.mask[name]
        # Masked before the square: a NaN under the mask must not reach the gradient.
        error = jnp.where(seen, predicted - site.targets[name], 0.0) / sd
        if not self.inverse_variance:
            return jnp.sum(error**2) / jnp.maximum(jnp.sum(seen), 1)
        sigma = jnp.where(seen, site.uncertainty[name], 1.0)
        precision = jnp.where(seen, sigma**-2.0, 0.0)
        some = jnp.any(seen)
        return jnp.sum(precision * error**2) / jnp.where(some, jnp.sum(precision), 1.0)
