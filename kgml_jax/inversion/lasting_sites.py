"""The lasting errors of every site, from what a model leaves of its training days."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.lasting import LastingErrors, from_residuals
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.mapping import over_sites
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites


def lasting_errors(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    offsets: np.ndarray,
    *,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> LastingErrors:
    """Estimates the lasting errors of all sites at some parameters.

    Args:
      problem: what is estimated, of which streams.
      weights: shared by all sites.
      data: sites with their split.
      offsets: from the weights, (site, p).
      site_batch: sites a device advances at once.
      devices: to spread the sites over, by default all local ones.

    Returns:
      Covariances in the squared units of the streams, leaves (site, stream, stream).
    """
    return over_sites(
        _of_site,
        (offsets, data.sites.site, data.roles),
        static=(problem,),
        shared=(weights,),
        site_batch=site_batch,
        devices=devices,
    )


def with_errors(data: DividedSites, errors: LastingErrors | None) -> DividedSites:
    """Returns the sites with errors that last, or with none, in place of those they have."""
    site = data.sites.site.replace(errors=errors)  # type: ignore[attr-defined]
    return replace(data, sites=replace(data.sites, site=site))


def _of_site(
    problem: Problem, weights: Weights, offsets: Field, site: Site, roles: Field
) -> LastingErrors:
    fluxes = problem.predict(weights, offsets, site)
    left, seen = problem.left_over(fluxes, observed(site, roles == TRAIN))
    # A site that is not finite keeps independent errors: its searches say what is wrong.
    finite = jnp.isfinite(left)
    return from_residuals(jnp.where(finite, left, 0.0), seen & finite)
