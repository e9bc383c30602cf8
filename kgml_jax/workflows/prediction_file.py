"""What was predicted beside what was observed, as a CF file has it: dims (site, time)."""

import numpy as np
import xarray as xr

from kgml_jax.data.conventions import flags
from kgml_jax.sites import PREDICTABLE
from kgml_jax.split import DividedSites
from kgml_jax.workflows import prediction
from kgml_jax.workflows.scoring import Predictions
from kgml_jax.workflows.simulation_sources import measured


def of_strategies(predictions: Predictions, data: DividedSites) -> xr.Dataset:
    """Returns daily fluxes of every strategy, dims (strategy, site, time), and the observations.

    NaN outside of a record, and of what a strategy does not predict.
    """
    by_strategy = {
        name: prediction.as_dataset(_fluxes(fluxes), data.sites, history="kgml_jax, evaluation")
        for name, fluxes in predictions.items()
    }
    first, *_ = by_strategy.values()
    result = first.drop_vars([name for name in first.data_vars if name in PREDICTABLE])
    strategies = xr.DataArray(list(by_strategy), dims="strategy", name="strategy")
    for name in PREDICTABLE:
        known = [one[name] for one in by_strategy.values() if name in one]
        if known:
            blank = xr.full_like(known[0], np.nan)
            stacked = [one.get(name, blank) for one in by_strategy.values()]
            result[name] = xr.concat(stacked, strategies).astype(np.float32)
    return with_observations(result, data)


def _fluxes(fluxes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values for name, values in fluxes.items() if name in PREDICTABLE}


def with_observations(predicted: xr.Dataset, data: DividedSites) -> xr.Dataset:
    """Adds what was observed of the predicted variables, and which days are scored.

    Args:
      predicted: dims with (site, time), as of `prediction.as_dataset`.
      data: sites with their split.
    """
    source, site = measured(data.sites), data.sites.site
    result = predicted.copy()
    for name in site.targets:
        if name in predicted:
            seen = np.where(site.mask[name], site.targets[name], np.nan).astype(np.float32)
            attributes = dict(predicted[name].attrs)
            attributes["long_name"] = f"Observed: {attributes['long_name']}"
            result[f"{name}_observed"] = (("site", "time"), source.placed(seen), attributes)
    # Days outside of a record are not scored either.
    scored = np.maximum(source.placed(data.test_days.astype(np.int8)), 0).astype(np.int8)
    text = "whether predictions of the day are scored: it is a test day"
    about = flags(text, ("not_scored", "test_day"))
    result["scored"] = (("site", "time"), scored, about)
    result.attrs["title"] = f"{result.attrs['title']}, and observed"
    return result
