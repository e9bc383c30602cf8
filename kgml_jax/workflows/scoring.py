"""Scores of predictions: by site and variable, in summary, and strategies compared."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from kgml_jax.errors import listed
from kgml_jax.evaluation import physics, scores, statistics
from kgml_jax.models import observables
from kgml_jax.models.features import Scaling
from kgml_jax.sites import PREDICTABLE, Sites
from kgml_jax.split import ROLES, DividedSites

Predictions = dict[str, dict[str, np.ndarray]]

HEADLINE_VARIABLE = "NEE"

HEADLINE = (
    "mse: squared error in units of the training variance, mean over the variables of a site; "
    "median over sites, on the held-out test days"
)
"""What the errors of tables and summaries are."""


def score_all(predictions: Predictions, data: DividedSites, scaling: Scaling) -> xr.Dataset:
    """Scores strategies per site and variable on the test days, with physics.

    `standardised_mse` and `pooled_mse` are in units of the training variance that `scaling` holds.
    """
    sites, days = data.sites, data.test_days
    result = scores.score(predictions, sites, days)
    sd = {scale.name: scale.sd for scale in scaling.targets}
    # What the model does not predict, or is given, is not compared.
    learnt = set(next(iter(predictions.values()))) & set(sd)
    result = result.sel(variable=[name for name in result["variable"].values if name in learnt])
    result["standardised_mse"] = scores.standardised_mse(result, sd)
    result["pooled_mse"] = scores.pooled_mse(result, sd)
    return result.merge(physics.balance(predictions, sites, days), compat="override")


def variable_summaries(results: xr.Dataset, strategy: str) -> dict[str, dict[str, float]]:
    """Returns the medians over sites of each metric, by variable."""
    medians = scores.summary(metrics_only(results)).sel(strategy=strategy)
    return {
        str(variable): {
            str(metric): float(medians[metric].sel(variable=variable))
            for metric in medians.data_vars
        }
        for variable in medians["variable"].values
    }


def comparisons(results: xr.Dataset, reference: str) -> list[statistics.Comparison]:
    """Compares every strategy with the reference, and FTBSC with training from scratch, by site."""
    values = results["standardised_mse"]
    names = [str(name) for name in values["strategy"].values]
    pairs = list(statistics.compare(values, reference)) if len(names) > 1 else []
    for scratch in ("site-only", "group-only"):
        if scratch in names and "ftbsc" in names:
            pairs += statistics.compare(values, scratch, ["ftbsc"])
    return pairs


def metrics_only(results: xr.Dataset) -> xr.Dataset:
    """Returns the metrics that have a value for every variable."""
    names = [name for name, values in results.data_vars.items() if "variable" in values.dims]
    return results[names]


def score_datasets(
    several: Mapping[str, xr.Dataset], data: DividedSites, role: str = "test"
) -> xr.Dataset:
    """Scores data sets of predictions against the observations of some days.

    Args:
      several: daily fluxes by strategy, dims (site, time); those of the process model go by their
        names there or by those of `sites.VARIABLES`.
      data: sites with their split.
      role: which days, a name in `split.ROLES`.

    Raises:
      ValueError: a data set lacks a site or a day or holds nothing that can be observed, or there
        is no day to score.
    """
    sites = data.sites
    days = (data.roles == ROLES[role]) & np.asarray(sites.site.valid)
    if not days.any():
        raise ValueError(f"the split holds no {role} day: nothing can be scored")
    return scores.score(
        {name: _on_records(name, one, sites) for name, one in several.items()}, sites, days
    )


def _on_records(name: str, fluxes: xr.Dataset, sites: Sites) -> dict[str, np.ndarray]:
    # By site and from each one's first day, as predictions of models are.
    if absent := [site for site in sites.names if site not in fluxes["site"].values]:
        raise ValueError(f"{name} holds no site {listed(absent)}")
    dates = np.asarray(sites.site.calendar.date).astype("datetime64[D]")
    valid = np.asarray(sites.site.valid)
    known = fluxes["time"].values.astype("datetime64[D]")
    place = np.searchsorted(known, np.where(valid, dates, known[0])).clip(0, len(known) - 1)
    if not (known[place] == dates)[valid].all():
        first, last = dates[valid].min(), dates[valid].max()
        raise ValueError(f"{name} does not hold all days of the sites, {first} to {last}")
    simulated = {field: variable for variable, field in observables.NAMES.items()}
    chosen = fluxes.sel(site=list(sites.names))
    of_variable = {simulated.get(str(held), str(held)): held for held in chosen.data_vars}
    rows = np.arange(len(sites))[:, None]
    scored = {
        variable: chosen[held].transpose("site", "time").values[rows, place]
        for variable, held in of_variable.items()
        if variable in PREDICTABLE and set(chosen[held].dims) == {"site", "time"}
    }
    if not scored:
        found = listed([str(held) for held in chosen.data_vars], 8)
        raise ValueError(
            f"{name} holds no daily {listed([*PREDICTABLE])} (by site and time), only {found}"
        )
    return scored
