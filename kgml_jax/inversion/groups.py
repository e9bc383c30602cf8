"""What the other sites of a group say about a site: the mean and spread of its prior."""

from collections.abc import Sequence

import numpy as np


def group_priors(
    offsets: np.ndarray,
    covariance: np.ndarray,
    groups: Sequence[int],
    prior_sd: np.ndarray,
    share: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the prior of each site given the estimates of the others in its group.

    Hierarchical normal model `z_s = mu_g + delta_s` whose two parts together have the prior
    variance of z: `mu_g ~ N(0, share S^2)`, `delta_s ~ N(0, (1 - share) S^2)`. The data of a site
    are represented by the Gaussian that, with the prior N(0, S^2), gave its estimate; its `delta_s`
    is integrated out, so that a site counts as far as it knows (Gelman et al. 2013, section 5.4).
    A site's own data are left out: they enter once, when the site is estimated with this prior.

    Args:
      offsets: estimates with the prior N(0, S^2), (site, p). A site of which an offset or an
        element of the covariance is no finite number counts as one without data.
      covariance: their posterior covariance, (site, p, p).
      groups: of each site, from 0.
      prior_sd: diagonal of S, (p,).
      share: of the prior variance that sites of a group have in common, between 0 and 1.

    Returns:
      Mean and standard deviation of each site's offsets before its own data, both (site, p). Alone
      in its group a site has the mean 0 and the deviation S.

    Raises:
      ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"a group shares {share} of the prior variance; expected between 0 and 1")
    variance = np.asarray(prior_sd, np.float64) ** 2
    members = np.asarray(groups)
    knows = [
        _of_one(offset, cov, variance, share)
        for offset, cov in zip(offsets, covariance, strict=True)
    ]
    precision, information = (np.stack(parts) for parts in zip(*knows, strict=True))
    mean, spread = np.zeros(np.shape(offsets)), np.zeros(np.shape(offsets))
    for row, group in enumerate(members):
        others = members == group
        others[row] = False
        known = np.linalg.inv(np.diag(1 / (share * variance)) + precision[others].sum(axis=0))
        mean[row] = known @ information[others].sum(axis=0)
        spread[row] = np.sqrt((1 - share) * variance + np.diagonal(known))
    return mean, spread


def _of_one(
    offset: np.ndarray, covariance: np.ndarray, variance: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    # Precision of mu_g in the data of one site, and that times its mean.
    size = len(variance)
    if not (np.isfinite(offset).all() and np.isfinite(covariance).all()):
        return np.zeros((size, size)), np.zeros(size)
    curvature = np.linalg.inv(np.asarray(covariance, np.float64))
    data = curvature - np.diag(1 / variance)
    # (data^-1 + variance of delta)^-1 without inverting the data, of which there may be none.
    passed = np.eye(size) - data @ np.linalg.inv(data + np.diag(1 / ((1 - share) * variance)))
    return passed @ data, passed @ (curvature @ offset)
