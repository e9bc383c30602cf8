"""What the observations of one site say about its parameters: Gaussian posterior at the optimum.

Everything is in the unbounded space of `bijections`, as offsets whose prior is N(0, prior_sd^2),
and is worked out from the singular values of the prior-scaled Jacobian: J^T J, whose condition
number is the square of the Jacobian's and out of reach of single precision, is never formed.
"""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.bijections import constrain, unconstrain
from kgml_jax.process.parameters import parameter
from kgml_jax.records import Field, record, var

CONFLICT = 2.0
"""Standard deviations of the prior beyond which an estimate says that prior and data disagree."""

IDENTIFIED_SHRINKAGE = 0.5
"""Shrinkage from which a parameter counts as identified.

In a linear model the correlation of estimate with truth, over sites whose truth is drawn from the
prior, is r = sqrt(1 - (1 - shrinkage)^2): 0.5 promises r = 0.87. And a combination of parameters
which the data do not see, shared evenly by k of them, leaves each a shrinkage of at most
1 - 1/sqrt(k): 0.29 for a pair, 0.42 for three, so that all of them are flagged."""

BOUND_SHARE = 0.01
"""Share of the (transformed) interval between the bounds that counts as lying at a bound."""

QUADRATURE = 20
"""Nodes of the Gauss-Hermite quadrature of the moments in physical units."""


@record
class Posterior:
    """Laplace posterior of the offsets of one site; p parameters in the order of the problem."""

    sd: Field = var(units="1", doc="Posterior standard deviation, (p,).")
    correlation: Field = var(units="1", doc="Posterior correlation, (p, p).")
    factor: Field = var(units="1", doc="L with L L^T = posterior covariance, (p, p).")
    shrinkage: Field = var(units="1", doc="1 - posterior sd / prior sd, 0 to 1, (p,).")
    expected_recovery: Field = var(
        units="1", doc="Correlation of estimate with truth a linear model would show, (p,)."
    )
    singular_values: Field = var(
        units="1", doc="Singular values of the Jacobian times prior sd, falling, (p,)."
    )
    condition_number: Field = var(
        units="1", doc="Largest over smallest squared singular value; inf where one is 0."
    )
    degrees_of_freedom: Field = var(
        units="1", doc="Degrees of freedom for signal: number of parameters the data inform."
    )

    @property
    def covariance(self) -> Field:
        """Posterior covariance, (p, p); of leaves (site, ...), those of all sites."""
        return self.factor @ self.factor.swapaxes(-1, -2)


@record
class Identification:
    """Which parameters of one site the data determine, and what the others hide behind."""

    identified: Field  # bool (p,): enough shrinkage, and not at a bound.
    conflicting: Field  # bool (p,): farther than `CONFLICT` from the mean of the prior.
    at_bound: Field  # bool (p,)
    trade_off: Field = var(units="1", doc="Posterior correlation of largest size, (p,).")
    partner: Field  # int32 (p,): the parameter it is with; meaningless where `trade_off` is 0.


@record
class Partition:
    """How well the mean autotrophic (Ra) and heterotrophic (Rh) respiration are told apart."""

    ra_sd: Field = var(units="g C m-2 d-1", doc="Standard deviation of mean Ra.")
    rh_sd: Field = var(units="g C m-2 d-1", doc="Standard deviation of mean Rh.")
    correlation: Field = var(units="1", doc="Correlation of mean Ra and Rh; 0 where one is sure.")
    difference_to_sum: Field = var(
        units="1", doc="sd(Ra - Rh) / sd(Ra + Rh): large where only the sum is known; NaN: both 0."
    )


@record
class Estimate:
    """Parameters of one site in their own units, each (p,)."""

    value: Field  # at the optimum, which is also the median
    sd: Field
    lower: Field
    upper: Field


def laplace(jacobian: Field, prior_sd: Field) -> Posterior:
    """Posterior of a model linearised at the optimum, with a Gaussian prior.

    Covariance `(J^T J + S^-2)^-1 = S V (1 + s^2)^-1 V^T S` from the singular value decomposition
    `J S = U s V^T`, with S = diag(prior_sd) (Tarantola 2005, section 3.2). The averaging kernel
    (Rodgers 2000) has the diagonal 1 - (sd / prior sd)^2 and the trace sum(s^2 / (1 + s^2)), the
    degrees of freedom for signal (his eq. 2.80).

    Args:
      jacobian: derivative of the standardised residuals of the observations by the offsets,
        (n, p); rows of days without observation are 0. Without the rows of the prior.
      prior_sd: prior standard deviation of the offsets, (p,).
    """
    spectrum, directions = _decomposed(jacobian * prior_sd)
    narrowing = 1 / (1 + spectrum**2)
    factor = prior_sd[:, None] * directions * jnp.sqrt(narrowing)
    sd = jnp.linalg.norm(factor, axis=1)
    unit = factor / sd[:, None]
    kernel_diagonal = directions**2 @ (spectrum**2 * narrowing)
    return Posterior(
        sd=sd,
        correlation=unit @ unit.T,
        factor=factor,
        shrinkage=kernel_diagonal / (1 + sd / prior_sd),
        expected_recovery=jnp.sqrt(kernel_diagonal),
        singular_values=spectrum,
        condition_number=jnp.where(spectrum[-1] == 0, jnp.inf, (spectrum[0] / spectrum[-1]) ** 2),
        degrees_of_freedom=jnp.sum(spectrum**2 * narrowing),
    )


def _decomposed(scaled: Field) -> tuple[Field, Field]:
    # Singular values (p,) and right singular vectors in the columns of (p, p), of fewer rows too.
    triangle = jnp.linalg.qr(scaled, mode="r")
    _, spectrum, rows = jnp.linalg.svd(triangle, full_matrices=True)
    return jnp.pad(spectrum, (0, scaled.shape[1] - spectrum.size)), rows.T


def at_bound(offsets: Field, names: tuple[str, ...]) -> Field:
    """Says which parameters lie at a bound, bool (p,).

    Args:
      offsets: of `names` from their declared priors in unbounded space, all levels summed, (p,);
        leading axes, such as that of sites, stay.
      names: fields of `Params`, or such of one crop.
    """
    share = jax.nn.sigmoid(_priors(names, offsets) + offsets)
    return jnp.minimum(share, 1 - share) < BOUND_SHARE


def identify(
    posterior: Posterior, bounded: Field, pull: Field, threshold: float = IDENTIFIED_SHRINKAGE
) -> Identification:
    """Flags the identified parameters and names the strongest trade-off of each.

    A parameter is identified where its shrinkage reaches `threshold` and it is not at a bound:
    there the bijection flattens, the Jacobian fades and the Gaussian says nothing of the truth.
    Where the posterior is not finite nothing is identified.

    Args:
      posterior: of p parameters.
      bounded: bool (p,), see `at_bound`.
      pull: estimate from the mean of the prior, in its standard deviations, (p,).
      threshold: least shrinkage.
    """
    others = jnp.where(jnp.eye(bounded.size, dtype=bool), 0.0, posterior.correlation)
    partner = jnp.argmax(jnp.abs(others), axis=1)
    return Identification(
        identified=(posterior.shrinkage >= threshold) & ~bounded,
        conflicting=jnp.abs(pull) > CONFLICT,
        at_bound=bounded,
        trade_off=jnp.take_along_axis(others, partner[:, None], axis=1)[:, 0],
        partner=partner.astype(jnp.int32),
    )


def respiration_partition(factor: Field, ra_gradient: Field, rh_gradient: Field) -> Partition:
    """How far the Gaussian with covariance `factor factor^T` tells mean Ra from mean Rh.

    Args:
      factor: of the posterior, or diag(prior_sd) for the prior to compare with, (p, p).
      ra_gradient: derivative of mean autotrophic respiration by the offsets, g C m-2 d-1, (p,).
      rh_gradient: the same of heterotrophic respiration.
    """
    ra, rh = factor.T @ ra_gradient, factor.T @ rh_gradient
    ra_sd, rh_sd = jnp.linalg.norm(ra), jnp.linalg.norm(rh)
    sure = (ra_sd == 0) | (rh_sd == 0)
    return Partition(
        ra_sd=ra_sd,
        rh_sd=rh_sd,
        correlation=jnp.where(sure, 0.0, ra @ rh / (ra_sd * rh_sd)),
        difference_to_sum=jnp.linalg.norm(ra - rh) / jnp.linalg.norm(ra + rh),
    )


def estimate(
    offsets: Field, sd: Field, names: tuple[str, ...], probability: float = 0.9
) -> Estimate:
    """Parameters in their own units with the central interval of `probability`.

    The bijection is increasing, so that the quantiles of the Gaussian offsets map onto those of
    the parameter exactly; the standard deviation is a Gauss-Hermite quadrature.

    Args:
      offsets: of `names` from their declared priors in unbounded space, all levels summed, (p,).
      sd: their posterior standard deviation, (p,).
      names: fields of `Params`, or such of one crop.
      probability: between the two quantiles: 0.9 gives those of 5 and 95 %.
    """
    tail = NormalDist().inv_cdf(0.5 + probability / 2)
    nodes, shares = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    steps = jnp.asarray([0.0, -tail, tail, *nodes], sd.dtype)
    unbounded = (_priors(names, offsets) + offsets)[:, None] + sd[:, None] * steps
    mapped = jnp.stack([constrain(z, parameter(n)) for n, z in zip(names, unbounded, strict=True)])
    at_nodes, weights = mapped[:, 3:], jnp.asarray(shares / shares.sum(), sd.dtype)
    centred = at_nodes - (at_nodes @ weights)[:, None]
    return Estimate(
        value=mapped[:, 0],
        sd=jnp.sqrt(centred**2 @ weights),
        lower=mapped[:, 1],
        upper=mapped[:, 2],
    )


def _priors(names: tuple[str, ...], like: Field) -> Field:
    # Declared prior values in unbounded space, (p,).
    prior = lambda name: unconstrain(
        jnp.asarray(parameter(name).default, like.dtype), parameter(name)
    )
    return jnp.stack([prior(name) for name in names])
