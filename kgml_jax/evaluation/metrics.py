"""Skill of one predicted series against its observations, each statistic under its own name.

Every metric has the signature `metric(observed, predicted, mask) -> float` for arrays of one common
shape, looks only at the days where `mask` is True (the others may hold anything, NaN included),
divides by the number of those days, and sums in double precision. It is NaN with fewer than
`MINIMUM_DAYS` observed days, and where a value it looks at is not finite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MINIMUM_DAYS = 2
"""Observed days below which a metric is NaN."""


@dataclass(frozen=True)
class Metric:
    """A skill statistic and what a reader must know of it.

    Attributes:
      function: `(observed, predicted, mask) -> float`.
      units_rule: `"target"`, `"target^2"` or `"1"`.
      better: `"higher"`, `"lower"` or `"zero"`, the direction of better skill.
      long_name: its full name.
    """

    function: Callable[[ArrayLike, ArrayLike, ArrayLike], float]
    units_rule: str
    better: str
    long_name: str

    def units(self, target: str) -> str:
        """Returns the unit of the statistic for a quantity in unit `target`."""
        return {"1": "1", "target": target, "target^2": f"({target})^2"}[self.units_rule]


def observed_days(
    observed: ArrayLike, predicted: ArrayLike, mask: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the observed and predicted values on the days of `mask`, in double precision.

    Raises:
      ValueError: the three arrays differ in shape.
    """
    shapes = np.shape(observed), np.shape(predicted), np.shape(mask)
    if len(set(shapes)) != 1:
        raise ValueError(f"observed, predicted and mask have the shapes {shapes}; expected one")
    days = np.asarray(mask, dtype=bool)
    return np.asarray(observed)[days].astype(float), np.asarray(predicted)[days].astype(float)


def _on_observed_days(
    formula: Callable[[np.ndarray, np.ndarray], float | np.floating],
) -> Callable[[ArrayLike, ArrayLike, ArrayLike], float]:
    def metric(observed: ArrayLike, predicted: ArrayLike, mask: ArrayLike) -> float:
        seen, modelled = observed_days(observed, predicted, mask)
        usable = np.isfinite(seen).all() and np.isfinite(modelled).all()
        if seen.size < MINIMUM_DAYS or not usable:
            return np.nan
        return float(formula(seen, modelled))

    metric.__name__ = metric.__qualname__ = formula.__name__
    metric.__doc__ = formula.__doc__
    return metric


def _is_constant(series: np.ndarray) -> bool:
    # Exact: the variance of equal numbers can come out above zero by rounding.
    return bool(np.all(series == series[0]))


@_on_observed_days
def mse(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Mean squared error, in the squared unit of the target."""
    return np.mean((predicted - observed) ** 2)


@_on_observed_days
def rmse(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Root of the mean squared error, in the unit of the target."""
    return np.sqrt(np.mean((predicted - observed) ** 2))


@_on_observed_days
def r2(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Coefficient of determination, 1 - SSE / SST; NaN where the observations are constant.

    Not the squared correlation: it can be negative and sees bias and amplitude.
    """
    if _is_constant(observed):
        return np.nan
    return 1 - np.sum((predicted - observed) ** 2) / np.sum((observed - observed.mean()) ** 2)


def nse(observed: ArrayLike, predicted: ArrayLike, mask: ArrayLike) -> float:
    """Efficiency of Nash and Sutcliffe (1970), eq. 3: for one series the same number as `r2`.

    Skewed without a lower limit: summarise it over sites by its median, never by its mean.
    """
    return r2(observed, predicted, mask)


def _correlation(observed: np.ndarray, predicted: np.ndarray) -> float:
    if _is_constant(observed) or _is_constant(predicted):
        return np.nan
    return float(np.corrcoef(observed, predicted)[0, 1])


@_on_observed_days
def pearson_r(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Pearson correlation; NaN where either series is constant."""
    return _correlation(observed, predicted)


@_on_observed_days
def pearson_r2(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Squared Pearson correlation, blind to bias and amplitude; NaN where a series is constant."""
    return _correlation(observed, predicted) ** 2


@_on_observed_days
def kge_2009(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Efficiency of Gupta et al. (2009), eq. 9: correlation, ratio of sd, ratio of means.

    The 2012 form, with a ratio of coefficients of variation, is another number. The ratio of means
    has little meaning where the observed mean is near zero, as for NEE. NaN where either series is
    constant or the observed mean is zero.
    """
    if observed.mean() == 0:
        return np.nan
    amplitude = predicted.std() / observed.std() if not _is_constant(observed) else np.nan
    level = predicted.mean() / observed.mean()
    correlation = _correlation(observed, predicted)
    return 1 - np.sqrt((correlation - 1) ** 2 + (amplitude - 1) ** 2 + (level - 1) ** 2)


@_on_observed_days
def bias(observed: np.ndarray, predicted: np.ndarray) -> float | np.floating:
    """Mean of predicted minus observed: positive where the model is too high."""
    return np.mean(predicted - observed)


def n_observed(observed: ArrayLike, predicted: ArrayLike, mask: ArrayLike) -> float:
    """Number of observed days; has no minimum."""
    return float(observed_days(observed, predicted, mask)[0].size)


def n_not_finite(observed: ArrayLike, predicted: ArrayLike, mask: ArrayLike) -> float:
    """Number of observed days whose prediction is not finite: a model that failed."""
    return float(np.sum(~np.isfinite(observed_days(observed, predicted, mask)[1])))


METRICS: dict[str, Metric] = {
    "mse": Metric(mse, "target^2", "lower", "mean squared error"),
    "rmse": Metric(rmse, "target", "lower", "root mean squared error"),
    "r2": Metric(r2, "1", "higher", "coefficient of determination, 1 - SSE/SST; the NSE"),
    "pearson_r2": Metric(pearson_r2, "1", "higher", "squared Pearson correlation"),
    "nse": Metric(nse, "1", "higher", "Nash-Sutcliffe efficiency"),
    "kge_2009": Metric(kge_2009, "1", "higher", "Kling-Gupta efficiency, 2009 form"),
    "bias": Metric(bias, "target", "zero", "mean of predicted minus observed"),
    "n_observed": Metric(n_observed, "1", "higher", "number of observed days"),
    "n_not_finite": Metric(n_not_finite, "1", "lower", "observed days without finite prediction"),
}
"""Every metric by the name it has in scores, tables and files."""

STANDARD = tuple(name for name in METRICS if name != "nse")
"""Metrics that are computed unless others are asked for; of one series `nse` repeats `r2`."""
