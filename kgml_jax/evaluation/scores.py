"""Scores of many strategies at many sites, as one labelled dataset per question."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from kgml_jax.evaluation.metrics import METRICS, MINIMUM_DAYS, STANDARD
from kgml_jax.sites import PREDICTABLE, Sites

Predictions = Mapping[str, Mapping[str, np.ndarray]]
"""Predicted fluxes `predictions[strategy][variable]`, each of shape `(site, time)`."""

COUNTS = ("n_observed", "n_not_finite")
"""Metrics that every score carries, so that no summary can hide missing data or failed sites."""


def scored_variables(predictions: Predictions, sites: Sites) -> tuple[str, ...]:
    """Returns the variables that the sites observe and some strategy predicts."""
    predicted = {name for fluxes in predictions.values() for name in fluxes}
    return tuple(name for name in PREDICTABLE if name in sites.site.targets and name in predicted)


def score(
    predictions: Predictions,
    sites: Sites,
    selection: np.ndarray,
    metrics: Sequence[str] = STANDARD,
) -> xr.Dataset:
    """Scores every strategy, site and variable on the observed days of `selection`.

    Args:
      predictions: `predictions[strategy][variable]`, each `(site, time)`, in the units of
        `PREDICTABLE`. What is predicted on days without observation has no effect.
      sites: the sites, in the same order.
      selection: bool `(site, time)`, the days to score, such as the test days of a split.
      metrics: names out of `METRICS`; `COUNTS` are always added.

    Returns:
      One data variable per metric with dims `(strategy, site, variable)` and the attributes
      `units`, `long_name` and `better`; NaN where a metric is undefined or the strategy does not
      predict the variable.

    Raises:
      ValueError: an unknown metric, an array of the wrong shape, or nothing to score.
    """
    every_site = [[row] for row in range(len(sites))]
    scores = _score_blocks(predictions, sites, selection, metrics, "site", every_site)
    return scores.assign_coords(site=list(sites.names), group=("site", list(sites.groups)))


def by_group(
    predictions: Predictions,
    sites: Sites,
    selection: np.ndarray,
    metrics: Sequence[str] = STANDARD,
) -> xr.Dataset:
    """Scores as `score` does, but on the pooled days of all sites of a group.

    Returns:
      As `score`, with dims `(strategy, group, variable)`.
    """
    names = [name for name in sites.group_names if name in sites.groups]
    rows = [[row for row, group in enumerate(sites.groups) if group == name] for name in names]
    scores = _score_blocks(predictions, sites, selection, metrics, "group", rows)
    return scores.assign_coords(group=names)


def _score_blocks(
    predictions: Predictions,
    sites: Sites,
    selection: np.ndarray,
    metrics: Sequence[str],
    dimension: str,
    blocks: Sequence[list[int]],
) -> xr.Dataset:
    names = _metric_names(metrics)
    variables = _checked(predictions, sites, selection)
    values = np.full((len(names), len(predictions), len(blocks), len(variables)), np.nan)
    days = np.asarray(selection) & np.asarray(sites.site.valid)
    for column, variable in enumerate(variables):
        observed = np.asarray(sites.site.targets[variable])
        mask = np.asarray(sites.site.mask[variable], dtype=bool) & days
        for arm, fluxes in enumerate(predictions.values()):
            if variable not in fluxes:
                continue
            predicted = np.asarray(fluxes[variable])
            for place, rows in enumerate(blocks):
                seen = mask[rows]
                series = observed[rows][seen], predicted[rows][seen], seen[seen]
                values[:, arm, place, column] = [METRICS[name].function(*series) for name in names]
    return _dataset(names, values, list(predictions), dimension, variables)


def _metric_names(metrics: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys((*metrics, *COUNTS)))
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise ValueError(f"no metric {', '.join(unknown)}; there are {', '.join(METRICS)}")
    return names


def _checked(predictions: Predictions, sites: Sites, selection: np.ndarray) -> tuple[str, ...]:
    variables = scored_variables(predictions, sites)
    if not variables:
        raise ValueError(f"no predicted variable is observed; observed: {list(sites.site.targets)}")
    expected = np.shape(sites.site.valid)
    if np.shape(selection) != expected:
        raise ValueError(f"selection has shape {np.shape(selection)}, expected {expected}")
    for strategy, fluxes in predictions.items():
        for name in set(variables) & set(fluxes):
            if np.shape(fluxes[name]) != expected:
                found = np.shape(fluxes[name])
                raise ValueError(f"{strategy}: {name} has shape {found}, expected {expected}")
    return variables


def _dataset(
    names: Sequence[str],
    values: np.ndarray,
    strategies: Sequence[str],
    dimension: str,
    variables: Sequence[str],
) -> xr.Dataset:
    targets = [PREDICTABLE[name].units for name in variables]
    dims = ("strategy", dimension, "variable")
    data = {
        name: (dims, block, _attributes(name, targets))
        for name, block in zip(names, values, strict=True)
    }
    coordinates = {
        "strategy": list(strategies),
        "variable": list(variables),
        "variable_units": ("variable", targets),
    }
    return xr.Dataset(data, coordinates)


def _attributes(name: str, targets: Iterable[str]) -> dict[str, str]:
    metric = METRICS[name]
    units = {metric.units(target) for target in targets}
    # Variables of different units share one array; their own units are in a coordinate.
    shared = units.pop() if len(units) == 1 else metric.units("variable_units")
    return {"units": shared, "long_name": metric.long_name, "better": metric.better}


def summary(scores: xr.Dataset, quantile: float = 0.5) -> xr.Dataset:
    """Summarises the scores of `score` over sites by a quantile, the median if not told otherwise.

    Args:
      scores: as returned by `score`.
      quantile: in [0, 1]; it orders the values themselves, so the worst decile is 0.1 for a metric
        of which higher is better and 0.9 where lower is better.

    Returns:
      Every metric with dims `(strategy, variable)` over the sites where it is defined, and how many
      sites stand behind it: `n_sites` (enough observed days) and `n_failed` (of these, those with a
      prediction that is not finite).
    """
    observed = scores["n_observed"] >= MINIMUM_DAYS
    result = scores.map(lambda values: quantile_over_sites(values, quantile), keep_attrs=True)
    method = "median" if quantile == 0.5 else f"quantile {quantile:g}"
    for name in result.data_vars:
        result[name].attrs = {**scores[name].attrs, "cell_methods": f"site: {method}"}
    count = {"units": "1", "better": "higher", "long_name": "sites with enough observed days"}
    failed = {"units": "1", "better": "lower", "long_name": "sites with a failed prediction"}
    result["n_sites"] = observed.sum("site").astype(float).assign_attrs(count)
    broken = observed & (scores["n_not_finite"] > 0)
    result["n_failed"] = broken.sum("site").astype(float).assign_attrs(failed)
    return result


def quantile_over_sites(values: xr.DataArray, quantile: float = 0.5) -> xr.DataArray:
    """Returns a quantile over the sites with a defined value; NaN where there are none."""
    defined = values.notnull().any("site")
    filled = values.where(defined, 0.0)
    return filled.quantile(quantile, "site", skipna=True).where(defined).drop_vars("quantile")


def standardised_mse(scores: xr.Dataset, scale: Mapping[str, float]) -> xr.DataArray:
    """Averages the squared errors of all variables of a site, each in units of its own spread.

    Args:
      scores: as returned by `score`, with `mse`.
      scale: per variable the standard deviation of its training observations, in its own units.

    Returns:
      `mse / scale^2`, dims `(strategy, site)`, averaged over the variables observed at the site:
      the same variables for every strategy. NaN where a strategy fails on one of them or does not
      predict it, and where the site observes nothing.

    Raises:
      ValueError: a scale is missing or not positive.
    """
    observed = observed_targets(scores)
    relative = (scores["mse"] / _spread(scores, scale) ** 2).where(observed, 0.0)
    total = relative.sum("variable", skipna=False)
    count = observed.sum("variable")
    attributes = {"units": "1", "better": "lower", "long_name": "mean standardised squared error"}
    result = (total / count.where(count > 0)).rename("standardised_mse")
    return result.transpose("strategy", "site").assign_attrs(attributes)


def pooled_mse(scores: xr.Dataset, scale: Mapping[str, float]) -> xr.DataArray:
    """Averages the squared errors of all days of all sites, each variable in units of its spread.

    A site counts as much as it has observed days, so that sites with large errors decide; medians
    of `standardised_mse` count every site alike.

    Args:
      scores: as returned by `score`, with `mse`.
      scale: per variable the standard deviation of its training observations, in its own units.

    Returns:
      Dims `(strategy,)`, averaged over the observed variables; NaN where a strategy has no value at
      a site that observes.

    Raises:
      ValueError: a scale is missing or not positive.
    """
    observed = observed_targets(scores)
    days = scores["n_observed"].max("strategy").where(observed, 0.0)
    squares = (scores["mse"] * days).where(observed, 0.0).sum("site", skipna=False)
    every_day = days.sum("site")
    relative = squares / every_day.where(every_day > 0, 1.0) / _spread(scores, scale) ** 2
    result = relative.where(every_day > 0, 0.0).sum("variable", skipna=False)
    count = (every_day > 0).sum("variable")
    text = "standardised squared error of all days of all sites"
    attributes = {"units": "1", "better": "lower", "long_name": text}
    return (result / count.where(count > 0)).rename("pooled_mse").assign_attrs(attributes)


def observed_targets(scores: xr.Dataset) -> xr.DataArray:
    """Returns which sites have enough observed days of which variable, bool (site, variable)."""
    return scores["n_observed"].max("strategy") >= MINIMUM_DAYS


def _spread(scores: xr.Dataset, scale: Mapping[str, float]) -> xr.DataArray:
    variables = [str(name) for name in scores["variable"].values]
    wrong = [name for name in variables if not scale.get(name, 0.0) > 0]
    if wrong:
        raise ValueError(f"standardised errors need a positive scale for {', '.join(wrong)}")
    return xr.DataArray([float(scale[name]) for name in variables], dims="variable")
