"""Is one strategy better than another over the sites? Paired, ranked, and honest about harm."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class Comparison:
    """A candidate strategy against a reference, paired by site.

    An improvement is positive where the candidate is better, whatever the direction of the metric.

    Attributes:
      candidate: strategy under test.
      reference: strategy it is compared with.
      metric: what is compared, with the variable where there is one.
      n_sites: sites where both are defined.
      median_improvement: median over these sites, in the unit of the metric.
      mean_improvement: mean over the groups of the mean over their sites.
      interval: of that mean, by Student's t over groups.
      p_value: two-sided Wilcoxon signed-rank test of the improvements.
      p_value_holm: the same, corrected for the comparisons made together.
      effect_size: matched-pairs rank-biserial correlation, 1 if the candidate always wins.
      wins: sites improved by more than `tolerance`.
      ties: sites changed by at most `tolerance`.
      losses: sites made worse by more than `tolerance`.
      failed: sites where the reference has a value and the candidate has none.
      tolerance: in the unit of the metric.
    """

    candidate: str
    reference: str
    metric: str
    n_sites: int
    median_improvement: float
    mean_improvement: float
    interval: tuple[float, float]
    p_value: float
    p_value_holm: float
    effect_size: float
    wins: int
    ties: int
    losses: int
    failed: int
    tolerance: float

    @property
    def worse_share(self) -> float:
        """Share of sites made worse by more than the tolerance; a failed site is worse."""
        total = self.n_sites + self.failed
        return (self.losses + self.failed) / total if total else np.nan


def improvement(candidate: ArrayLike, reference: ArrayLike, better: str) -> np.ndarray:
    """Returns by how much the candidate is better at each site, in the unit of the metric.

    Args:
      candidate: `(site,)`.
      reference: `(site,)`.
      better: `"higher"`, `"lower"`, or `"zero"`, which compares absolute values.
    """
    new, old = np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float)
    if better == "higher":
        return new - old
    if better == "lower":
        return old - new
    if better == "zero":
        return np.abs(old) - np.abs(new)
    raise ValueError(f"better is {better!r}, expected 'higher', 'lower' or 'zero'")


def compare(
    values: xr.DataArray,
    reference: str,
    candidates: Sequence[str] | None = None,
    *,
    tolerance: float = 0.0,
    coverage: float = 0.95,
) -> tuple[Comparison, ...]:
    """Compares strategies with a reference site by site, corrected together (Holm).

    Args:
      values: one metric of one variable, dims `(strategy, site)`, with `better` in its attributes
        and, if there is one, the coordinate `group` whose members are no independent draws.
      reference: the strategy to beat.
      candidates: the others; all by default.
      tolerance: change of the metric that counts as none.
      coverage: of the intervals.

    Raises:
      ValueError: a strategy is not in `values`.
    """
    strategies = [str(name) for name in values["strategy"].values]
    if candidates is None:
        candidates = [name for name in strategies if name != reference]
    unknown = [name for name in (reference, *candidates) if name not in strategies]
    if unknown:
        raise ValueError(f"no strategy {', '.join(unknown)}; there are {', '.join(strategies)}")
    pairs = [_compare_pair(values, reference, name, tolerance, coverage) for name in candidates]
    corrected = holm([pair.p_value for pair in pairs])
    return tuple(
        replace(pair, p_value_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)
    )


def _compare_pair(
    values: xr.DataArray, reference: str, candidate: str, tolerance: float, coverage: float
) -> Comparison:
    old = values.sel(strategy=reference).values
    new = values.sel(strategy=candidate).values
    both = np.isfinite(old) & np.isfinite(new)
    gains = improvement(new[both], old[both], values.attrs["better"])
    groups = values["group"].values if "group" in values.coords else np.zeros(len(old))
    p_value = signed_rank_p_value(gains)
    mean, interval = mean_of_groups(gains, groups[both], coverage)
    return Comparison(
        candidate=candidate,
        reference=reference,
        metric=_label(values),
        n_sites=int(both.sum()),
        median_improvement=float(np.median(gains)) if gains.size else np.nan,
        mean_improvement=mean,
        interval=interval,
        p_value=p_value,
        p_value_holm=p_value,
        effect_size=rank_biserial(gains),
        wins=int(np.sum(gains > tolerance)),
        ties=int(np.sum(np.abs(gains) <= tolerance)),
        losses=int(np.sum(gains < -tolerance)),
        failed=int(np.sum(np.isfinite(old) & ~np.isfinite(new))),
        tolerance=tolerance,
    )


def _label(values: xr.DataArray) -> str:
    if "variable" not in values.coords or values["variable"].ndim > 0:
        return str(values.name)
    return f"{values.name} of {values['variable'].item()}"


def signed_rank_p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test; zero differences are left out.

    NaN without any site; 1 where no site differs.
    """
    if differences.size == 0:
        return np.nan
    changed = differences[differences != 0]
    if changed.size == 0:
        return 1.0
    result: Any = stats.wilcoxon(changed)
    return float(result.pvalue)


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation, in [-1, 1] (Kerby 2014).

    The share of the rank sum of |difference| that is in favour minus the share against; zero
    differences are left out. NaN without any site; 0 where no site differs.
    """
    if differences.size == 0:
        return np.nan
    changed = differences[differences != 0]
    if changed.size == 0:
        return 0.0
    ranks = stats.rankdata(np.abs(changed))
    return float(np.sum(np.sign(changed) * ranks) / np.sum(ranks))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusts p-values of a family of tests by the step-down rule of Holm (1979).

    The i-th smallest of m is multiplied by m - i + 1; the result never falls below a smaller one's
    and never exceeds 1. NaN stays NaN and does not count in m.
    """
    raw = np.asarray(p_values, dtype=float)
    adjusted = np.full(raw.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(raw))
    order = tested[np.argsort(raw[tested])]
    steps = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * steps), 1.0)
    return adjusted


def mean_of_groups(
    differences: np.ndarray, groups: np.ndarray, coverage: float = 0.95
) -> tuple[float, tuple[float, float]]:
    """Returns the mean of the groups' means, with Student's interval over groups.

    Sites of one group share weather and management, so they are no independent draws: the groups
    are, with one degree of freedom less than their number. A bootstrap of a handful of groups would
    hold the truth far less often than it says. With fewer than two groups the sites themselves are
    the draws.

    Args:
      differences: of the sites, (site,).
      groups: of the sites, (site,).
      coverage: of the interval.

    Returns:
      The mean, NaN without a site, and the ends of the interval, NaN with fewer than two sites.
    """
    labels, of_site = np.unique(groups, return_inverse=True)
    if len(labels) < 2:
        of_site = np.arange(differences.size)
    counts = np.bincount(of_site)
    means = np.bincount(of_site, differences) / np.maximum(counts, 1)
    if not means.size:
        return np.nan, (np.nan, np.nan)
    mean = float(means.mean())
    if means.size < 2:
        return mean, (np.nan, np.nan)
    quantile = float(stats.t.ppf(0.5 + coverage / 2, means.size - 1))
    half = quantile * float(means.std(ddof=1)) / np.sqrt(means.size)
    return mean, (mean - half, mean + half)
