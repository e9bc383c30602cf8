"""What the sites of a group share: a common shift of their parameters, from estimates of each."""

from collections.abc import Sequence

import numpy as np


def group_effects(
    offsets: np.ndarray,
    covariance: np.ndarray,
    groups: Sequence[int],
    prior_sd: np.ndarray,
    share: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits offsets into what a group shares and what a site has of its own.

    Hierarchical normal model `z_s = mu_g + delta_s` whose two parts together have the prior
    variance of z: `mu_g ~ N(0, share S^2)`, `delta_s ~ N(0, (1 - share) S^2)`. The data of a site
    are represented by the Gaussian that, with the prior N(0, S^2), gave its estimate; `delta_s` is
    integrated out, so that a site counts as far as it knows (Gelman et al. 2013, section 5.4).

    Args:
      offsets: estimates with the prior N(0, S^2), (site, p).
      covariance: their posterior covariance, (site, p, p).
      groups: of each site, from 0.
      prior_sd: diagonal of S, (p,).
      share: of the prior variance that sites of a group have in common, between 0 and 1.

    Returns:
      Posterior mean of `mu_g` at each site, (site, p), and the prior standard deviation that is
      left to `delta_s`, (p,).

    Raises:
      ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"a group shares {share} of the prior variance; expected between 0 and 1")
    variance = np.asarray(prior_sd, np.float64) ** 2
    own = np.diag(1 / ((1 - share) * variance))
    members = np.asarray(groups)
    effects = np.zeros(np.shape(offsets))
    for group in np.unique(members):
        rows = np.flatnonzero(members == group)
        precision, information = np.diag(1 / (share * variance)), np.zeros(len(variance))
        for row in rows:
            curvature = np.linalg.inv(np.asarray(covariance[row], np.float64))
            data = curvature - np.diag(1 / variance)
            # Precision of mu_g in these data: (data^-1 + delta variance)^-1, without inverting.
            passed = np.eye(len(variance)) - data @ np.linalg.inv(data + own)
            precision = precision + passed @ data
            information = information + passed @ (curvature @ offsets[row])
        effects[rows] = np.linalg.solve(precision, information)
    return effects, np.sqrt(1 - share) * np.asarray(prior_sd)
