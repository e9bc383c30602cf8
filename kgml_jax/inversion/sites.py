"""Estimation of the parameters of all sites in one program, with the gate on validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.inversion.searches import prior_means, search_sites
from kgml_jax.inversion.solvers.solution import Solution, Solver
from kgml_jax.inversion.solvers.starts import best_start
from kgml_jax.mapping import over_sites
from kgml_jax.records import Field, record
from kgml_jax.sites import TRAIN, VALIDATION, Site
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import SILENT, Observer


@record
class Review:
    """How well a candidate of one site predicts.

    Attributes:
      training_error: mean squared misfit of the observed training days, ().
      validation_error: the same of the validation days, (); 0 if there is none.
      validation_count: observations of the validation days, ().
    """

    training_error: Field
    validation_error: Field
    validation_count: Field


@dataclass(frozen=True)
class Estimates:
    """Parameters of all sites, NumPy arrays with a leading site axis.

    All in unbounded space; `diagnosis.diagnose` makes physical values of them.

    Attributes:
      problem: what was estimated.
      sites: names of the sites.
      base: means of the priors in unbounded space, relative to the weights, (site, p).
      offsets: from `base`; 0 where the prior was kept, (site, p).
      accepted: whether the estimate is kept: healthy, and better than the prior on the validation
        days if the site has any, (site,).
      healthy: whether a start of the site was finite, (site,).
      prior: review of the prior, leaves (site, ...).
      estimate: review of `offsets`, leaves (site, ...).
      starts: first offsets of each search, (site, start, p).
      solutions: outcome of each search before the gate, leaves (site, start, ...).
      chosen: which of them has the least cost, (site,).
    """

    problem: Problem
    sites: tuple[str, ...]
    base: np.ndarray
    offsets: np.ndarray
    accepted: np.ndarray
    healthy: np.ndarray
    prior: Review
    estimate: Review
    starts: np.ndarray
    solutions: Solution
    chosen: np.ndarray

    @property
    def evaluations(self) -> np.ndarray:
        """Simulations spent on each site by all its searches, (site,)."""
        return self.solutions.evaluations.sum(axis=1)


def estimate(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    solver: Solver,
    key: jax.Array,
    *,
    base: np.ndarray | None = None,
    starts: int = 1,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
    observer: Observer = SILENT,
) -> Estimates:
    """Estimates the parameters of every site on its training days.

    A site whose estimate is not better than the prior on its validation days keeps the prior (the
    accept-if-better gate), as does one that is not healthy. No site influences another.

    Args:
      problem: what is estimated.
      weights: shared by all sites.
      data: sites with their split, and targets for the streams.
      solver: searches for the least cost of one site.
      key: seeds starts and solver; a site's part of it depends on its identity, not its position.
      base: means of the priors in unbounded space relative to `weights`, (site, p); zeros.
      starts: searches a site; the first begins at the prior mean.
      site_batch: sites a device advances at once.
      devices: to spread the sites over, by default all local ones.
      observer: sees the searches; see `search_sites`.

    Raises:
      ValueError: `base` has another shape.
    """
    how: Any = {"base": base, "site_batch": site_batch, "devices": devices}
    points, solutions = search_sites(
        problem, weights, data, solver, key, starts=starts, observer=observer, **how
    )
    chosen, rows = np.asarray(best_start(solutions)), np.arange(len(data))
    healthy = solutions.healthy[rows, chosen]
    found = np.where(healthy[:, None], solutions.offsets[rows, chosen], 0)
    candidates = np.stack([np.zeros_like(found), found], axis=1)
    reviews = review_sites(problem, weights, data, candidates, **how)
    accepted = healthy & improved(reviews)
    offsets = np.where(accepted[:, None], found, 0)
    return Estimates(
        problem=problem,
        sites=data.sites.names,
        base=prior_means(problem, data, base),
        offsets=offsets,
        accepted=accepted,
        healthy=healthy,
        prior=jax.tree.map(lambda leaf: leaf[:, 0], reviews),
        estimate=jax.tree.map(lambda leaf: leaf[rows, accepted.astype(int)], reviews),
        starts=points,
        solutions=solutions,
        chosen=chosen,
    )


def review_sites(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    candidates: np.ndarray,
    *,
    base: np.ndarray | None = None,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> Review:
    """Looks at candidates of every site, offsets (site, candidate, p); see `estimate`.

    Returns:
      NumPy leaves (site, candidate, ...).
    """
    return over_sites(
        _review_site,
        (candidates, prior_means(problem, data, base), data.sites.site, data.roles),
        static=(problem,),
        shared=(weights,),
        site_batch=site_batch,
        devices=devices,
    )


def _review_site(
    problem: Problem, weights: Weights, candidates: Field, base: Field, site: Site, roles: Field
) -> Review:
    # Leaves (candidate, ...).
    training, validation = (observed(site, roles == role) for role in (TRAIN, VALIDATION))

    def review(offsets: Field) -> Review:
        fluxes = problem.predict(weights, base + offsets, site)
        trained, validated = (
            _mean_square(problem.misfits(fluxes, days), problem.observations(days))
            for days in (training, validation)
        )
        return Review(
            training_error=trained,
            validation_error=validated,
            validation_count=problem.observations(validation),
        )

    return jax.lax.map(review, candidates)


def _mean_square(misfits: Field, count: Field) -> Field:
    return jnp.sum(misfits**2) / jnp.maximum(count, 1)


def improved(reviews: Review) -> np.ndarray:
    """Returns whether the second of two candidates passes the gate, leaves (site, candidate)."""
    before, after = np.moveaxis(reviews.validation_error, 1, 0)
    unseen = reviews.validation_count[:, 0] == 0
    # A prior that is not finite is worse than any estimate that is.
    return np.isfinite(after) & (unseen | ~(after >= before))
