"""Samples of the posterior at a few sites: where the Gaussian of the optimum can be trusted."""

import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.posterior import Posterior
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.inversion.sampling import Comparison, Draws, NoUTurn, compare
from kgml_jax.inversion.solvers.solution import Residuals, half_square
from kgml_jax.mapping import over_sites, site_mesh
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites


@dataclass(frozen=True)
class Sampling:
    """What is sampled at some sites: the posterior of each about its estimate.

    Attributes:
      problem: what was estimated.
      weights: shared by all sites.
      data: the few sites, cut after the last year with a training day: no later day informs.
      base: means of the priors, (site, p).
      offsets: estimates from `base`, (site, p).
      posterior: Gaussian about them, leaves (site, ...).
      sampler: draws.
    """

    problem: Problem
    weights: Weights
    data: DividedSites
    base: np.ndarray
    offsets: np.ndarray
    posterior: Posterior
    sampler: NoUTurn

    def draw(self, key: jax.Array) -> tuple[Draws, Comparison]:
        """Samples every site and compares; NumPy arrays, leaves (site, ...).

        Args:
          key: a site's part of it depends on its identity.
        """
        how = (self.problem, self.sampler)
        return over_sites(_draw_site, self._own, static=how, shared=(self.weights, key))

    def gradient_seconds(self) -> float:
        """Measures what one gradient of all chains takes, of as many sites as there are devices."""
        first = jax.tree.map(lambda leaf: leaf[: site_mesh().size], self._own)
        how = (self.problem, self.sampler)
        run = lambda: over_sites(_gradients, first, static=how, shared=(self.weights,))
        run()
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    @property
    def rounds(self) -> int:
        """How many sites a device samples, one after the other."""
        return -(-len(self.data) // site_mesh().size)

    @property
    def _own(self) -> tuple[Any, ...]:
        site, roles = self.data.sites.site, self.data.roles
        return self.base, self.offsets, self.posterior, site, roles


def until_last_training_year(data: DividedSites, spin_up_days: int = 0) -> DividedSites:
    """Returns sites without the years after the last training day of any; the split still has them.

    Args:
      data: whole records.
      spin_up_days: at the start of the record that are kept in any case, since a model passes
        through them before it starts.
    """
    site = data.sites.site
    index = np.asarray(site.calendar.year_index)
    last = np.max(index, axis=1, where=data.roles == TRAIN, initial=0)
    trained = int((index <= last[:, None]).sum(axis=1).max())
    length = max(trained, spin_up_days)
    cut = lambda leaf: leaf[:, :length] if leaf.ndim > 1 else leaf
    sites = replace(data.sites, site=jax.tree.map(cut, site))
    return replace(data, sites=sites, roles=data.roles[:, :length])


def _draw_site(
    problem: Problem, sampler: NoUTurn, weights: Weights, key: jax.Array, *own: Any
) -> tuple[Draws, Comparison]:
    _, offsets, posterior, site, _ = own
    residuals = _residuals(problem, weights, *own)
    site_key = jax.random.fold_in(key, site.identity)
    draws = sampler.sample(residuals, offsets, posterior, site_key)
    return draws, compare(draws, offsets, posterior)


def _gradients(problem: Problem, sampler: NoUTurn, weights: Weights, *own: Any) -> Field:
    # One gradient of every chain of a site.
    residuals, offsets = _residuals(problem, weights, *own), own[1]
    chains = jnp.broadcast_to(offsets, (sampler.chains, *offsets.shape))
    return jax.vmap(jax.grad(lambda z: half_square(residuals(z))))(chains)


def _residuals(
    problem: Problem,
    weights: Weights,
    base: Field,
    _offsets: Field,
    _posterior: Posterior,
    site: Site,
    roles: Field,
) -> Residuals:
    training = observed(site, roles == TRAIN)
    return lambda z: problem.residuals(weights, base, z, training)
