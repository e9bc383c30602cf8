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

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import stats

HOLDS, FAILS, OPEN = "holds", "fails", "open"
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"

POOLED = "pooled"
"""Name of the model that is trained on all states, among the states of a table."""

SENSITIVITY = 0.06
"""Relative change of the calibrated error that batch size and learning rate may cause (T4)."""

NEAR_ZERO = 0.1
"""Mean balance residual that counts as near zero (T5), g C m-2 d-1; 3 % of the sd of NEE."""

NEGATIVE_MARGIN = 0.01
"""Rise of the share of days with a negative flux that calibration may cause."""

SKILL_MARGIN = 0.05
"""Relative rise of the error up to which a knowledge term costs no skill (T5)."""

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


def _greater(text: str, of: ArrayLike, over: ArrayLike) -> Requirement:
    return Requirement(text, relative_difference(of, over), above=0.0)


def orderings(calibrated: xr.DataArray, independent: xr.DataArray, pooled: xr.DataArray) -> Claim:
    """T1: in every state error(calibrated) < error(independent) < error(global).

    Args:
      calibrated: errors, dims (seed, state); likewise the others.
      independent: of models trained in the state alone.
      pooled: of one model trained on all states.
    """
    requirements = []
    for state in calibrated["state"].values:
        ours, alone, common = (
            errors.sel(state=state).values for errors in (calibrated, independent, pooled)
        )
        requirements.append(_greater(f"{state}: independent over calibrated", alone, ours))
        requirements.append(_greater(f"{state}: global over independent", common, alone))
    text = "in every state MSE(calibrated) < MSE(independent) < MSE(global)"
    return Claim("T1", text, tuple(requirements))


def least_gain(
    calibrated: xr.DataArray, independent: xr.DataArray, data: Mapping[str, float]
) -> Claim:
    """T2: the relative gain over independent training is smallest where there are most data.

    Args:
      calibrated: errors, dims (seed, state); likewise `independent`.
      independent: of models trained in the state alone.
      data: amount of training data by state.

    Raises:
      ValueError: no single state has most data.
    """
    most = max(data.values())
    richest = [state for state, amount in data.items() if amount == most]
    if len(richest) != 1:
        raise ValueError(f"no single state has most data: {dict(data)}")
    gain = 1.0 - calibrated / independent
    rich = gain.sel(state=richest[0]).values
    requirements = [
        Requirement(
            f"gain in {state} less that in {richest[0]}",
            interval_of(gain.sel(state=state).values - rich),
            above=0.0,
        )
        for state in data
        if state != richest[0]
    ]
    text = f"the gain over independent training is smallest in {richest[0]}, with most data"
    return Claim("T2", text, tuple(requirements))


def own_is_best(table: xr.DataArray) -> Claim:
    """T3: in the cross-state table every diagonal entry is the lowest of its column.

    Args:
      table: errors, dims (seed, train, state); `train` holds the states and `POOLED`.
    """
    requirements = []
    for state in table["state"].values:
        column = table.sel(state=state)
        own = column.sel(train=state).values
        for other in column["train"].values:
            if other != state:
                text = f"tested in {state}: trained on {other} over trained on {state}"
                requirements.append(_greater(text, column.sel(train=other).values, own))
    text = "in the cross-state table every diagonal entry is the lowest of its column"
    return Claim("T3", text, tuple(requirements))


def insensitive(
    reference: ArrayLike, variants: Mapping[str, ArrayLike], independent: ArrayLike
) -> Claim:
    """T4: batch size and learning rate hardly move the calibrated error, below independent.

    Args:
      reference: errors of the calibrated models, mean over states, (seed,).
      variants: the same with another batch size or learning rate, by name.
      independent: errors of models trained in each state alone, (seed,).
    """
    requirements = []
    for name, errors in variants.items():
        change = relative_difference(errors, reference)
        requirements.append(
            Requirement(f"{name}: change of calibrated", change, -SENSITIVITY, SENSITIVITY)
        )
        requirements.append(_greater(f"{name}: independent over calibrated", independent, errors))
    varied = " and ".join(variants)
    text = f"{varied} change MSE(calibrated) by < 6 % each, and leave it < MSE(indep.)"
    return Claim("T4", text, tuple(requirements))


def knowledge_pays(
    residual: ArrayLike, residual_without: ArrayLike, error: ArrayLike, error_without: ArrayLike
) -> Claim:
    """T5: knowledge terms bring the balance residual to near zero without costing skill.

    Args:
      residual: mean balance residual with the terms, g C m-2 d-1, (seed,).
      residual_without: the same without.
      error: errors with the terms, (seed,).
      error_without: the same without.
    """
    near = interval_of(residual)
    requirements = (
        _greater("residual without over with the terms", residual_without, residual),
        Requirement("residual with the terms, g C m-2 d-1", near, below=NEAR_ZERO, relative=False),
        Requirement(
            "change of MSE by the terms",
            relative_difference(error, error_without),
            below=SKILL_MARGIN,
        ),
    )
    text = "knowledge terms bring the carbon-balance residual to near zero at no cost of skill"
    return Claim("T5", text, requirements)


def stays_physical(
    residual: tuple[ArrayLike, ArrayLike],
    negative: tuple[ArrayLike, ArrayLike],
    correlations: Mapping[tuple[str, float], ArrayLike],
) -> Claim:
    """D: calibration does not drift away from the physics of the pretrained model.

    Args:
      residual: mean balance residual, g C m-2 d-1, of the pretrained and of the calibrated models
        on the same days, (seed,).
      negative: share of days on which a flux that cannot be negative is, likewise.
      correlations: by kind of input and the bound asked of it, the mean correlation of the response
        curves with those of the pretrained model, (seed,).
    """
    limits = {
        "rise of the balance residual, g C m-2 d-1": (residual, NEAR_ZERO, False),
        "rise of the share of days with a negative flux": (negative, NEGATIVE_MARGIN, True),
    }
    requirements = []
    for text, ((before, after), below, relative) in limits.items():
        rise = interval_of(np.asarray(after, float) - np.asarray(before, float))
        requirements.append(Requirement(text, rise, below=below, relative=relative))
    for (kind, least), values in correlations.items():
        text = f"correlation of responses to {kind}"
        requirements.append(Requirement(text, interval_of(values), above=least, relative=False))
    text = "calibration keeps the carbon balance and the responses of the pretrained model"
    return Claim("D", text, tuple(requirements))
