"""Verdicts on the claims T1 to T5 of FTBSC-KGML (Zeng et al. 2025, arXiv 2512.16013).

Every claim is a list of requirements. A requirement says in which range a quantity must lie, and is
judged by the 95 % interval of its mean over replicates (seeds) and, where there is one, by the
interval over resampled seeds and sites: it holds if all its intervals lie inside the range, fails
if all lie outside, and is open otherwise. A claim is reproduced if all its requirements hold, and
not reproduced as soon as one fails. As all must hold, none needs a correction for their number to
be reproduced; to be refuted, the more there are, the easier.

Ratios of errors are averaged as logarithms and reported as relative differences. Wherever samples
are (seed,), they may be (seed, draw) as well: resamples as of `resampling.drawn`, of which the
interval is between quantiles of the means over seeds.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

HOLDS, FAILS, OPEN = "holds", "fails", "open"

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"

POOLED = "pooled"
"""Name of the model that is trained on all states, among the states of a table."""

COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """Mean of replicates, with the limits between which it lies at `COVERAGE`."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Requirement:
    """A quantity and the open range in which a claim needs it.

    Attributes:
      text: what is compared.
      interval: of the quantity, over replicates.
      above: it must be greater than this.
      below: it must be less than this.
      relative: whether the quantity is a share, shown in percent.
      resampled: of the quantity, over resampled replicates and sites.
    """

    text: str
    interval: Interval
    above: float = -np.inf
    below: float = np.inf
    relative: bool = True
    resampled: Interval | None = None

    @property
    def verdict(self) -> str:
        """Whether it holds, fails or is open."""
        known = [self.interval] if self.resampled is None else [self.interval, self.resampled]
        if all(one.low > self.above and one.high < self.below for one in known):
            return HOLDS
        outside = all(one.high <= self.above or one.low >= self.below for one in known)
        return FAILS if outside else OPEN


@dataclass(frozen=True)
class Claim:
    """A claim, what it requires, and what it says in words."""

    name: str
    text: str
    requirements: tuple[Requirement, ...]

    @property
    def verdict(self) -> str:
        """Whether the claim is reproduced, not reproduced, or undecided."""
        verdicts = [requirement.verdict for requirement in self.requirements]
        if FAILS in verdicts:
            return NOT_REPRODUCED
        return REPRODUCED if verdicts and set(verdicts) == {HOLDS} else UNDECIDED


def with_sites(claim: Claim, resampled: Claim) -> Claim:
    """Returns a claim over seeds joined with the same claim over resampled seeds and sites.

    A requirement that is not among those of `resampled` keeps its one interval.
    """
    intervals = {requirement.text: requirement.interval for requirement in resampled.requirements}
    joined = [
        replace(requirement, resampled=intervals.get(requirement.text))
        for requirement in claim.requirements
    ]
    return replace(claim, requirements=tuple(joined))


def interval_of(samples: ArrayLike) -> Interval:
    """Returns the interval of the mean over seeds: Student's, or that of resamples.

    Args:
      samples: (seed,) or resamples, (seed, draw); values that are not finite are left out.
    """
    values = np.asarray(samples, dtype=float)
    if values.ndim < 2:
        return t_interval(values)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    means = np.where(known, values, 0.0).sum(axis=0)[count > 0] / count[count > 0]
    if not means.size:
        return Interval(np.nan, -np.inf, np.inf, 0)
    low, high = np.quantile(means, [0.5 - COVERAGE / 2, 0.5 + COVERAGE / 2])
    return Interval(float(means.mean()), float(low), float(high), len(values))


def t_interval(samples: ArrayLike) -> Interval:
    """Returns Student's interval of the mean; values that are not finite are left out.

    With fewer than two values nothing is known: the limits are infinite.
    """
    values = np.asarray(samples, dtype=float).ravel()
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if values.size else np.nan
    if values.size < 2:
        return Interval(mean, -np.inf, np.inf, int(values.size))
    error = float(values.std(ddof=1)) / np.sqrt(values.size)
    reach = float(stats.t.ppf(0.5 + COVERAGE / 2, values.size - 1)) * error
    return Interval(mean, mean - reach, mean + reach, int(values.size))


def relative_difference(of: ArrayLike, over: ArrayLike) -> Interval:
    """Returns the interval of `of / over - 1` from paired positive replicates, by logarithms."""
    logarithms = interval_of(np.log(np.asarray(of, float)) - np.log(np.asarray(over, float)))
    mean, low, high = np.expm1([logarithms.mean, logarithms.low, logarithms.high])
    return Interval(float(mean), float(low), float(high), logarithms.n)


def greater(text: str, of: ArrayLike, over: ArrayLike) -> Requirement:
    """Requires that paired positive replicates `of` exceed `over`, by their relative difference."""
    return Requirement(text, relative_difference(of, over), above=0.0)
