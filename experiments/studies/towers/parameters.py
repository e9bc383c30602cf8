"""Process parameters at the towers: estimated with intervals, which are judged on held-out days."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.cli.console import note, searched
from kgml_jax.inversion.intervals import IntervalScore
from kgml_jax.inversion.prediction import Prediction
from kgml_jax.models.protocol import Model, model_to_json
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.runs import files
from kgml_jax.runs.resume import Progress
from kgml_jax.workflows import estimation
from kgml_jax.workflows.estimated import AFTER, Estimated, predict_shifted
from kgml_jax.workflows.estimation import EstimateSettings
from studies.towers.data import STREAMS, Towers, with_errors_of_months

Base = Literal["defaults", "crops"]

FLAGS = ("identified", "conflicting", "at_bound")

INTERVALS = ("gaussian", "conformal", "years")
"""90 % intervals of days by two roads, and of sums over years."""


@dataclass(frozen=True)
class Search:
    """How process parameters are estimated.

    Attributes:
      parameters: of the process model.
      base: what the priors are centred on; see `EstimateSettings`.
      folds: of the gate by years.
      seed: of the search.
      site_batch: sites a device advances at once.
    """

    parameters: tuple[str, ...] = DEFAULT_SUBSET
    base: Base = "defaults"
    folds: int = 3
    seed: int = 0
    site_batch: int = 8


def estimate(
    model: Model, weights: Weights, towers: Towers, search: Search, folder: Path
) -> Estimated:
    """Estimates process parameters at all towers from the days that are not held out.

    Args:
      model: with process parameters; what its network has learnt stays as it is.
      weights: where the priors of the parameters are.
      towers: observations with their roles.
      search: how.
      folder: where the searches are kept, so that those of a run that was stopped go on.
    """
    settings = EstimateSettings(
        parameters=search.parameters,
        streams=tuple(name for name in STREAMS if name in towers.sites.site.targets),
        base=search.base,
        folds=search.folds,
        site_batch=search.site_batch,
    )
    data = with_errors_of_months(towers).data
    given = (data.sites.site, list(data.sites.names), data.roles, weights, model_to_json(model))
    kept = Progress(folder, files.fingerprint(*given, files.plain(settings)), tell=note)
    observed = towers.observed_as(model)
    return estimation.estimate_from(observed, weights, data, search.seed, settings, searched(kept))


def held_out(found: Estimated) -> dict[str, np.ndarray]:
    """Returns daily fluxes by the fold that has not seen the day, of other days by the estimate."""
    held, base = found.held_out, found.found.base
    assert held is not None
    values = dict(found.fluxes[AFTER])
    for fold in range(held.offsets.shape[1]):
        own = predict_shifted(
            found.found.problem, found.weights, found.data.sites, base + held.offsets[:, fold]
        )
        values = {name: np.where(held.fold == fold, own[name], values[name]) for name in values}
    return values


def described(found: Estimated) -> xr.Dataset:
    """Returns what an estimation says of parameters and of held-out days.

    Returns:
      `value`, `shrinkage` and `FLAGS`, dims (site, parameter); `inside`, the share of the held-out
      days or years within 90 % intervals, and `counted`, how many these are, dims (interval, site,
      stream); NaN and 0 where there is none.
    """
    both, known = ("site", "parameter"), found.known
    columns = {name: getattr(known.identification, name) for name in FLAGS}
    columns |= {"value": known.parameters.value, "shrinkage": known.posterior.shrinkage}
    table = xr.Dataset(
        {name: (both, np.asarray(values, np.float32)) for name, values in columns.items()},
        {"parameter": list(found.found.problem.names)},
    )
    scores = {stream: _judged(one) for stream, one in found.predictions.items()}
    dims = ("interval", "site", "stream")
    stacked = lambda leaf: np.stack(
        [
            np.stack([leaf(of[name]) for of in scores.values()], axis=-1).astype(np.float32)
            for name in INTERVALS
        ]
    )
    return table.assign(
        inside=(dims, stacked(lambda one: np.where(one.count > 0, one.coverage, np.nan))),
        counted=(dims, stacked(lambda one: one.count)),
    ).assign_coords(interval=list(INTERVALS), stream=list(scores))


def _judged(predicted: Prediction) -> Mapping[str, IntervalScore]:
    assert predicted.annual is not None
    scores = predicted.gaussian, predicted.conformal, predicted.annual.observed
    return dict(zip(INTERVALS, scores, strict=True))
