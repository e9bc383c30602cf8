"""Samples of the posterior at a few sites: where the Gaussian of the optimum can be trusted."""

import functools
import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.posterior import Posterior
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.inversion.sampling import Comparison, Draws, NoUTurn, compare
from kgml_jax.inversion.solvers.solution import Residuals, half_square
from kgml_jax.mapping import map_sites, pad_sites, site_mesh
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
        run = functools.partial(_draw_all, self.problem, self.sampler, site_mesh())
        found = run(self.weights, key, *self._data)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(self.data)], found)

    def gradient_seconds(self) -> float:
        """Measures what one gradient of all chains takes, of as many sites as there are devices."""
        mesh = site_mesh()
        first = jax.tree.map(lambda leaf: leaf[: mesh.size], self._data)
        run = functools.partial(_gradients, self.problem, self.sampler, mesh, self.weights)
        jax.block_until_ready(run(*first))
        began = time.perf_counter()
        jax.block_until_ready(run(*first))
        return time.perf_counter() - began

    @property
    def rounds(self) -> int:
        """How many sites a device samples, one after the other."""
        return -(-len(self.data) // site_mesh().size)

    @property
    def _data(self) -> Any:
        site, roles = self.data.sites.site, self.data.roles
        own = (self.base, self.offsets, self.posterior, site, roles)
        return pad_sites(own, site_mesh().size)


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


@functools.partial(jax.jit, static_argnums=range(3))
def _draw_all(
    problem: Problem,
    sampler: NoUTurn,
    mesh: Mesh,
    weights: Weights,
    key: jax.Array,
    *data: Any,
) -> tuple[Draws, Comparison]:
    def one(weights: Weights, key: jax.Array, *own: Any) -> tuple[Draws, Comparison]:
        _, offsets, posterior, site, _ = own
        residuals = _residuals(problem, weights, *own)
        site_key = jax.random.fold_in(key, site.identity)
        draws = sampler.sample(residuals, offsets, posterior, site_key)
        return draws, compare(draws, offsets, posterior)

    return map_sites(one, mesh, 1, shared=2)(weights, key, *data)


@functools.partial(jax.jit, static_argnums=range(3))
def _gradients(
    problem: Problem, sampler: NoUTurn, mesh: Mesh, weights: Weights, *data: Any
) -> Field:
    def one(weights: Weights, *own: Any) -> Field:
        residuals, offsets = _residuals(problem, weights, *own), own[1]
        chains = jnp.broadcast_to(offsets, (sampler.chains, *offsets.shape))
        return jax.vmap(jax.grad(lambda z: half_square(residuals(z))))(chains)

    return map_sites(one, mesh, 1, shared=1)(weights, *data)


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
