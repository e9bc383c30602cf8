"""What predictions do to the carbon balance, and how far calibration moved them from it."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from kgml_jax.evaluation.metrics import pearson_r
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.sites import PREDICTABLE, Sites

NON_NEGATIVE = ("GPP", "Ra", "Rh")
"""Fluxes that are never below zero."""


def balance(predictions: Predictions, sites: Sites, selection: np.ndarray) -> xr.Dataset:
    """Checks the predicted carbon fluxes of every strategy and site; needs no observation.

    Args:
      predictions: `predictions[strategy][variable]`, each `(site, time)`.
      sites: the sites, in the same order.
      selection: bool `(site, time)`, the days to look at.

    Returns:
      Dims `(strategy, site)`: `balance_residual`, mean |NEE - (Ra + Rh - GPP)| in g C m-2 d-1, NaN
      where one of the four is not predicted; `negative_share`, the share of days on which one of
      the predicted `NON_NEGATIVE` fluxes is below zero, NaN where none is predicted. Both are NaN
      at a site without selected days.
    """
    days = np.asarray(selection) & np.asarray(sites.site.valid)
    residual = [_mean_over_days(_residual(fluxes, days), days) for fluxes in predictions.values()]
    negative = [_mean_over_days(_negative(fluxes, days), days) for fluxes in predictions.values()]
    dims = ("strategy", "site")
    return xr.Dataset(
        {
            "balance_residual": (
                dims,
                np.stack(residual),
                _attributes("g C m-2 d-1", "mean |NEE - (Ra + Rh - GPP)|"),
            ),
            "negative_share": (
                dims,
                np.stack(negative),
                _attributes("1", "share of days with GPP, Ra or Rh below zero"),
            ),
        },
        {
            "strategy": list(predictions),
            "site": list(sites.names),
            "group": ("site", list(sites.groups)),
        },
    )


def drift(
    predictions: Predictions, pretrained: str, sites: Sites, selection: np.ndarray
) -> xr.Dataset:
    """Measures how far every strategy moved from the pretrained one.

    Args:
      predictions: `predictions[strategy][variable]`, each `(site, time)`.
      pretrained: the strategy the others started from.
      sites: the sites, in the same order.
      selection: bool `(site, time)`, the days to look at.

    Returns:
      For the other strategies, dims `(strategy, site)`: `balance_residual_change` and
      `negative_share_change`, positive where calibration broke the physics; and with a `variable`
      dimension `correlation`, Pearson between the strategy's and the pretrained series, NaN where
      one of them is absent or constant.

    Raises:
      ValueError: `pretrained` is not among the predictions.
    """
    if pretrained not in predictions:
        raise ValueError(f"no strategy {pretrained!r}; there are {', '.join(predictions)}")
    start = predictions[pretrained]
    moved = {name: fluxes for name, fluxes in predictions.items() if name != pretrained}
    checks = balance(predictions, sites, selection)
    change = checks.sel(strategy=list(moved)) - checks.sel(strategy=pretrained, drop=True)
    result = change.rename({name: f"{name}_change" for name in checks.data_vars})
    for name in checks.data_vars:
        attributes = checks[name].attrs
        text = f"change of {attributes['long_name']}"
        result[f"{name}_change"].attrs = {**attributes, "long_name": text}
    variables = [name for name in PREDICTABLE if name in start]
    days = np.asarray(selection) & np.asarray(sites.site.valid)
    values = [_correlations(fluxes, start, variables, days) for fluxes in moved.values()]
    shape = (len(moved), len(sites), len(variables))
    result["correlation"] = (
        ("strategy", "site", "variable"),
        np.reshape(values, shape),
        {"units": "1", "better": "higher", "long_name": "Pearson correlation with pretrained"},
    )
    return result.assign_coords(variable=variables)


def _attributes(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "better": "lower", "long_name": long_name}


def _residual(fluxes: Mapping[str, np.ndarray], days: np.ndarray) -> np.ndarray:
    if not {"NEE", "Ra", "Rh", "GPP"} <= set(fluxes):
        return np.full(days.shape, np.nan)
    nee, ra, rh, gpp = (_on(fluxes[name], days) for name in ("NEE", "Ra", "Rh", "GPP"))
    return np.abs(nee - (ra + rh - gpp))


def _negative(fluxes: Mapping[str, np.ndarray], days: np.ndarray) -> np.ndarray:
    present = [_on(fluxes[name], days) for name in NON_NEGATIVE if name in fluxes]
    if not present:
        return np.full(days.shape, np.nan)
    failed = np.any(np.isnan(present), axis=0)
    return np.where(failed, np.nan, np.any(np.less(present, 0), axis=0))


def _on(flux: np.ndarray, days: np.ndarray) -> np.ndarray:
    # A failed prediction is NaN, whatever it was, so that the mean over its days is NaN too.
    return np.where(days, np.where(np.isfinite(flux), flux, np.nan), 0.0).astype(float)


def _mean_over_days(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    count = days.sum(axis=1)
    total = np.where(days, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _correlations(
    fluxes: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
    variables: list[str],
    days: np.ndarray,
) -> np.ndarray:
    values = np.full((len(days), len(variables)), np.nan)
    for column, name in enumerate(variables):
        if name in fluxes:
            rows = zip(start[name], fluxes[name], days, strict=True)
            values[:, column] = [pearson_r(*row) for row in rows]
    return values
