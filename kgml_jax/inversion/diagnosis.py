"""What the observations of every site say about its parameters, all sites in one program."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion import posterior
from kgml_jax.inversion.intervals import gaussian_interval
from kgml_jax.inversion.posterior import Estimate, Identification, Partition, Posterior
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.mapping import over_sites
from kgml_jax.records import Field, record
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites


@record
class Diagnosis:
    """Posterior of one site and what follows from it; of many, with a leading site axis.

    Attributes:
      posterior: of the offsets.
      identification: which parameters the data determine.
      parameters: in physical units, with 90 % intervals; amounts of updates as they are.
      prior_partition: how far the prior tells Ra from Rh.
      partition: how far the posterior does.
      factor: L with L L^T the covariance of what is estimated and, before the updates, of what is
        considered, (p + q, p + q); see `diagnose`.
    """

    posterior: Posterior
    identification: Identification
    parameters: Estimate
    prior_partition: Partition
    partition: Partition
    factor: Field


def diagnose(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    base: np.ndarray,
    offsets: np.ndarray,
    *,
    kept: np.ndarray | None = None,
    learnt: np.ndarray | None = None,
    considered: tuple[str, ...] = (),
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> Diagnosis:
    """Linearises the model of every site at its estimate.

    Parameters that are not estimated are not known either: those considered keep the uncertainty
    of their priors in all intervals, by themselves and by what their errors make of the estimates
    (Schmidt 1966; Tapley et al. 2004, chapter 6). What the data identify is told without them.

    Args:
      problem: what was estimated, of which training days.
      weights: shared by all sites.
      data: sites with their split, and targets for the streams.
      base: means of the priors, (site, p).
      offsets: estimates from `base`, (site, p).
      kept: whether the estimate is kept, bool (site,); where it is not, as where the prior did
        better on the validation days, the posterior is the prior. What the training days
        identify does not depend on it. None keeps all.
      learnt: what a network inside the model adds to the parameters, (site, p), as
        `ParameterLearningModel.site_offsets` says; it shows in physical values alone.
      considered: further parameters of the process.
      site_batch: sites a device advances at once.
      devices: to spread the sites over, by default all local ones.

    Returns:
      A diagnosis with leaves (site, ...), NumPy arrays.
    """
    learnt = np.zeros_like(base) if learnt is None else learnt
    kept = np.ones(len(data), bool) if kept is None else kept
    return over_sites(
        _diagnose_site,
        (base, offsets, data.sites.site, data.roles, kept, learnt),
        static=(problem, considered),
        shared=(weights,),
        site_batch=site_batch,
        devices=devices,
    )


def _diagnose_site(
    problem: Problem,
    considered: tuple[str, ...],
    weights: Weights,
    base: Field,
    offsets: Field,
    site: Site,
    roles: Field,
    kept: Field,
    learnt: Field,
) -> Diagnosis:
    training = observed(site, roles == TRAIN)
    days = jnp.maximum(jnp.sum(site.valid), 1)
    mean = lambda daily: jnp.sum(jnp.where(site.valid, daily, 0.0)) / days

    wide, own, other = _places(problem, considered)

    def looked_at(offsets: Field) -> tuple[Field, Field, Field]:
        fluxes = wide.predict(weights, offsets, site)
        return wide.misfits(fluxes, training), mean(fluxes["Ra"]), mean(fluxes["Rh"])

    everything = widen(problem, considered, base + offsets)
    derivatives, ra_gradients, rh_gradients = jax.jacfwd(looked_at)(everything)
    jacobian, ra_gradient, rh_gradient = (
        leaf[..., own] for leaf in (derivatives, ra_gradients, rh_gradients)
    )
    prior_sd = jnp.asarray(problem.prior_sd, offsets.dtype)
    informing = jnp.where(kept, jacobian, 0.0)
    after = posterior.laplace(informing, prior_sd)
    factor = after.factor
    if considered:
        # What an error of the considered parameters makes of the estimates.
        passed_on = -after.covariance @ (informing.T @ derivatives[:, other])
        spread = jnp.asarray(wide.prior_sd, offsets.dtype)[other]
        factor = jnp.zeros((len(wide.names),) * 2, offsets.dtype)
        factor = factor.at[jnp.ix_(own, own)].set(after.factor)
        factor = factor.at[jnp.ix_(own, other)].set(passed_on * spread)
        factor = factor.at[other, other].set(spread)
    sd = jnp.linalg.norm(factor[own], axis=1)
    common = jnp.stack([weights["process"][name] for name in problem.names])  # type: ignore[index]
    unbounded = common + learnt + base + offsets
    count, moved = len(problem.parameters), slice(len(problem.parameters), None)
    bounded = posterior.at_bound(unbounded[:count], problem.parameters)
    physical = posterior.estimate(unbounded[:count], sd[:count], problem.parameters)
    joined = lambda *parts: jnp.concatenate(parts)
    partition = functools.partial(
        posterior.respiration_partition, ra_gradient=ra_gradient, rh_gradient=rh_gradient
    )
    return Diagnosis(
        posterior=after,
        identification=posterior.identify(
            posterior.laplace(jacobian, prior_sd),
            jnp.pad(bounded, (0, unbounded.size - count)),
            offsets / prior_sd,
        ),
        parameters=jax.tree.map(joined, physical, _amounts(unbounded[moved], after.sd[moved])),
        prior_partition=partition(jnp.diag(prior_sd)),
        partition=partition(after.factor),
        factor=factor,
    )


def widen(problem: Problem, considered: tuple[str, ...], offsets: Field) -> Field:
    """Returns offsets of the widened problem, (..., p + q), with 0 for what is considered."""
    count = len(problem.parameters)
    nothing = jnp.zeros((*offsets.shape[:-1], len(considered)), offsets.dtype)
    parts = [offsets[..., :count], nothing, offsets[..., count:]]
    return jnp.concatenate(parts, axis=-1)


def _places(
    problem: Problem, considered: tuple[str, ...]
) -> tuple[Problem, np.ndarray, np.ndarray]:
    # The widened problem, and where in it what is estimated and what is considered stand.
    count, added = len(problem.parameters), len(considered)
    wide = problem.widened(considered)
    places = np.arange(len(wide.names))
    other = places[count : count + added]
    return wide, np.setdiff1d(places, other), other


def _amounts(values: Field, sd: Field) -> Estimate:
    # Updates have no bounds: their amounts are Gaussian as they are.
    ends = gaussian_interval(values, sd)
    return Estimate(value=values, sd=sd, lower=ends.lower, upper=ends.upper)
