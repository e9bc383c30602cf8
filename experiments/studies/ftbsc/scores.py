"""Scores of the models of one cell in the test years."""

from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.evaluation import physics, scores
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.models.features import Scaling
from kgml_jax.training.windows import YEAR_DAYS
from studies.ftbsc.replicates import Replicate

METRICS = ("mse", "r2")

DESCRIBED = {
    "n_observed": ("1", "observed test days"),
    "paper_loss": ("1", "squared standardised error, mean over all test days, unobserved ones 0"),
    "target_sd": ("g C m-2 d-1", "standard deviation of the training observations"),
    "site_years": ("1", "site-years of a state to train on"),
    "balance_residual": ("g C m-2 d-1", "mean |NEE - (Ra + Rh - GPP)|"),
    "negative_share": ("1", "share of days with GPP, Ra or Rh below zero"),
}


def scored(replicate: Replicate, scaling: Scaling, predictions: Predictions) -> xr.Dataset:
    """Scores every fit's model on the observed test days.

    Args:
      replicate: the sites.
      scaling: its targets are what is scored.
      predictions: by the state, or all, that a model was trained on, of the test windows.

    Returns:
      Dims out of (train, site, state, variable): `mse`, `r2` and `n_observed` of every site;
      `state_mse` and `state_r2` of the pooled days of a state; `paper_loss`, the squared
      standardised error averaged over all test days, those without observation counting as 0;
      `balance_residual` and `negative_share` of every site; `target_sd`, `site_years` (for
      training, by state), and the coordinate `state_of` of every site.
    """
    sds = {scale.name: scale.sd for scale in scaling.targets}
    by_site = _blocks(replicate, predictions, by_state=False).rename(group="site")
    by_state = _blocks(replicate, predictions, by_state=True).rename(group="state")
    # A site too short for a test year stays, without scores.
    by_site = by_site.sel(variable=list(sds)).reindex(site=list(replicate.sites))
    by_state = by_state.sel(variable=list(sds), state=list(replicate.states))
    sd = xr.DataArray(list(sds.values()), dims="variable")
    seen = by_site["n_observed"].isel(strategy=0, drop=True).fillna(0.0)
    days = xr.DataArray(replicate.days, dims="site")
    state_metrics: dict[str, Any] = {f"state_{name}": by_state[name] for name in METRICS}
    found = by_site[list(METRICS)].assign(
        **state_metrics,
        n_observed=seen,
        paper_loss=by_site["mse"].where(seen > 0, 0.0) / sd**2 * seen / days,
        target_sd=sd,
        site_years=("state", [replicate.site_years[state] for state in replicate.states]),
    )
    found = found.merge(_physics(replicate, predictions)).rename(strategy="train")
    for name, (units, long_name) in DESCRIBED.items():
        found[name].attrs = {"units": units, "long_name": long_name}
    return found.assign_coords(state_of=("site", list(replicate.state_of)))


def _blocks(replicate: Replicate, predictions: Predictions, by_state: bool) -> xr.Dataset:
    everything = np.ones(np.shape(replicate.windows.valid), bool)
    return scores.by_group(predictions, replicate.scored(by_state), everything, METRICS)


def _physics(replicate: Replicate, predictions: Predictions) -> xr.Dataset:
    warmup = np.shape(replicate.windows.valid)[1] - YEAR_DAYS
    scored_days = np.arange(np.shape(replicate.windows.valid)[1]) >= warmup
    selection = np.broadcast_to(scored_days, np.shape(replicate.windows.valid))
    checks = physics.balance(predictions, replicate.scored(), selection)
    # Windows are of one length, so that a site's mean is that of its windows.
    return checks.groupby("group").mean().rename(group="site").reindex(site=list(replicate.sites))
