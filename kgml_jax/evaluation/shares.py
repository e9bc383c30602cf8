"""Which site the training error is made of: one absurd record can outweigh all others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kgml_jax.models.features import Scaling
from kgml_jax.sites import TRAIN
from kgml_jax.split import DividedSites

TINY = 1e-300
"""Divides by nothing where nothing is observed."""

HALF = 0.5
HEAVIER = 10.0
"""A site drives the loss if it makes up more than `HALF` of the error, and an observation there
errs, squared, more than `HEAVIER` times as much as one elsewhere."""


@dataclass(frozen=True)
class Share:
    """The part of one site in the training error of all.

    Attributes:
      site: its name.
      of_error: share of the squared standardised error, mean over targets.
      of_days: share of the observed values, mean over targets.
    """

    site: str
    of_error: float
    of_days: float

    @property
    def drives(self) -> bool:
        """Whether the site outweighs all others."""
        odds = lambda share: share / max(1 - share, 1e-12)
        return self.of_error > HALF and odds(self.of_error) > HEAVIER * odds(self.of_days)


def error_shares(
    predicted: Mapping[str, np.ndarray], data: DividedSites, scaling: Scaling
) -> list[Share]:
    """Returns the part of every site in the prediction error of the training days, largest first.

    The error of a target is the mean over all its observed training days, squared, in units of its
    training variance, and the whole their sum, as the loss has it; what is not finite is left out.

    Args:
      predicted: daily values by variable, each (site, time).
      data: sites with their split.
      scaling: holds the standard deviation of each target.
    """
    errors, days = np.zeros(len(data)), np.zeros(len(data))
    site = data.sites.site
    for scale in scaling.targets:
        if scale.name not in predicted or scale.name not in site.targets:
            continue
        seen = np.asarray(site.mask[scale.name]) & (data.roles == TRAIN)
        apart = np.asarray(predicted[scale.name], np.float64) - np.asarray(site.targets[scale.name])
        squares = np.where(seen & np.isfinite(apart), apart / scale.sd, 0.0) ** 2
        errors += squares.sum(axis=1) / max(seen.sum(), 1)
        days += seen.sum(axis=1) / max(seen.sum(), 1)
    parts = (errors / max(errors.sum(), TINY), days / max(days.sum(), TINY))
    shares = [
        Share(name, float(error), float(count))
        for name, error, count in zip(data.sites.names, *parts, strict=True)
    ]
    return sorted(shares, key=lambda share: share.of_error, reverse=True)
