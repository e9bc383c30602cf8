"""Parameters at two levels: what a crop has everywhere, and how far each site departs from it.

The estimates of single sites are taken as Gaussians. A parameter of a site is `z_s = mu + delta_s`
with `mu ~ N(0, S^2)`, what is declared of it, and `delta_s ~ N(0, T^2)`, whose variance the sites
tell themselves (expectation maximisation; Dempster et al. 1977, Gelman et al. 2013, section 5.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 500
"""Most rounds of expectation maximisation."""

TOLERANCE = 1e-5
"""Largest relative change of a variance that ends them."""

PRIOR_SITES = 1.0
"""As that many sites counts what is assumed of the spread among sites before they were seen."""

PRIOR_SHARE = 0.5
"""That assumption: this share of the declared variance."""


@dataclass(frozen=True)
class Levels:
    """What all sites say about the common level of each parameter, and about every single site.

    Attributes:
      mean: of the common level, (p,).
      covariance: of it, (p, p).
      spread: standard deviation of sites about it, (p,).
      site_mean: what the other sites say of each site before its own data, (site, p).
      site_sd: standard deviation of that: of the common level and of the site about it, (site, p).
      informed: sites of which the data inform each parameter, (p,).
    """

    mean: np.ndarray
    covariance: np.ndarray
    spread: np.ndarray
    site_mean: np.ndarray
    site_sd: np.ndarray
    informed: np.ndarray

    @property
    def new_sd(self) -> np.ndarray:
        """Standard deviation of the parameters of a site that was not seen, (p,)."""
        return np.sqrt(np.diagonal(self.covariance) + self.spread**2)


def estimate_levels(
    offsets: np.ndarray,
    covariance: np.ndarray,
    prior_sd: np.ndarray,
    alike: Sequence[int] | None = None,
    concerned: np.ndarray | None = None,
) -> Levels:
    """Estimates the common level of parameters and the spread of sites about it.

    The data of a site are the Gaussian that, with the prior N(0, S^2), gave its estimate; a site
    counts as far as it knows. A site's own data are left out of what is said of it: they enter
    once, when the site is estimated from there. The spread is that of all sites.

    Args:
      offsets: estimates with the prior N(0, S^2), (site, p). A site of which a number is not finite
        counts as one without data.
      covariance: their posterior covariance, (site, p, p).
      prior_sd: diagonal of S, (p,).
      alike: parameters of equal number have one spread in common, as a trait of several crops has
        that few sites grow each, (p,); None gives each its own.
      concerned: whether a site has a parameter at all, as it has the traits of crops that it grows,
        bool (site, p); None: every one.
    """
    offsets, prior = np.asarray(offsets, np.float64), np.asarray(prior_sd, np.float64) ** 2
    covariance = np.asarray(covariance, np.float64)
    count, p = offsets.shape
    kinds = np.arange(p) if alike is None else np.asarray(alike)
    has = np.ones((count, p), bool) if concerned is None else np.asarray(concerned, bool)
    precision, information = _data(offsets, covariance, prior, has)
    has = has & (np.diagonal(precision, axis1=1, axis2=2) > 0)
    variance = PRIOR_SHARE * prior
    for _ in range(ROUNDS):
        before, variance = variance, _spread(precision, information, prior, variance, kinds, has)
        if np.max(np.abs(variance / before - 1)) < TOLERANCE:
            break
    passed, told = _passed(precision, information, variance)
    total, said = np.diag(1 / prior) + passed.sum(axis=0), told.sum(axis=0)
    known = np.linalg.inv(total)
    without = np.linalg.inv(total - passed)
    return Levels(
        mean=known @ said,
        covariance=known,
        spread=np.sqrt(variance),
        site_mean=np.einsum("spq,sq->sp", without, said - told),
        site_sd=np.sqrt(np.diagonal(without, axis1=1, axis2=2) + variance),
        informed=has.sum(axis=0),
    )


def _data(
    offsets: np.ndarray, covariance: np.ndarray, prior: np.ndarray, has: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    # Precision of each site's data, (site, p, p), and that times what they say, (site, p).
    flat = np.concatenate([offsets, covariance.reshape(len(offsets), -1)], axis=1)
    sound = np.logical_and.reduce(np.isfinite(flat), axis=1, keepdims=True)
    curvature = np.linalg.inv(np.where(sound[:, :, None], covariance, np.diag(prior)))
    information = np.einsum("spq,sq->sp", curvature, np.where(sound, offsets, 0.0))
    data = curvature - np.diag(1 / prior)
    both = has[:, :, None] & has[:, None, :]
    # No negative precision in any direction, which single precision may leave.
    values, vectors = np.linalg.eigh(np.where(both, 0.5 * (data + data.swapaxes(1, 2)), 0.0))
    data = (vectors * np.maximum(values, 0.0)[:, None]) @ vectors.swapaxes(1, 2)
    return data, np.where(has, information, 0.0)


def _passed(
    precision: np.ndarray, information: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    # What a site tells of the common level, its own departure integrated out:
    # (precision^-1 + T)^-1 without inverting the data, of which there may be none.
    inner = np.linalg.inv(precision + np.diag(1 / variance))
    kept = np.eye(len(variance)) - precision @ inner
    return kept @ precision, np.einsum("spq,sq->sp", kept, information)


def _spread(
    precision: np.ndarray,
    information: np.ndarray,
    prior: np.ndarray,
    variance: np.ndarray,
    kinds: np.ndarray,
    has: np.ndarray,
) -> np.ndarray:
    # One round: expected squares of the departures, then the variance that they make likely.
    passed, told = _passed(precision, information, variance)
    known = np.linalg.inv(np.diag(1 / prior) + passed.sum(axis=0))
    mean = known @ told.sum(axis=0)
    inner = np.linalg.inv(precision + np.diag(1 / variance))
    departure = np.einsum("spq,sq->sp", inner, information - precision @ mean)
    pulled = inner @ precision
    whole = inner + pulled @ known @ pulled.swapaxes(1, 2)
    square = np.where(has, departure**2 + np.diagonal(whole, axis1=1, axis2=2), 0.0).sum(axis=0)
    summed = lambda values: np.bincount(kinds, values, minlength=kinds.max() + 1)
    assumed = PRIOR_SITES * PRIOR_SHARE * summed(prior) / np.maximum(np.bincount(kinds), 1)
    return ((summed(square) + assumed) / (summed(has.sum(axis=0)) + PRIOR_SITES))[kinds]
