"""Prediction of fields, with a tower or without: daily fluxes, and what of them is doubtful."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data.conventions import flags
from kgml_jax.models import kinds
from kgml_jax.models.envelope import (
    DAY_FLAGS,
    SITE_FLAGS,
    Envelope,
    Outside,
    of_scaling,
    outside,
)
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import Sites
from kgml_jax.workflows.borrowing import Lenders, Unknown, lenders
from kgml_jax.workflows.prediction import as_dataset, predict_calibrated, predict_pretrained
from kgml_jax.workflows.simulation_sources import measured
from kgml_jax.workflows.sites import require_drivers

FLAGS = DAY_FLAGS | {"start_of_record": 16, "no_record": 32}
"""Bits of the variable `outside`: what lies outside of the training data; days so near the start of
the record that the state still depends on where the model began; days without weather."""

OUTSIDE = "outside"


@dataclass(frozen=True)
class FieldPredictions:
    """Predictions of fields.

    Attributes:
      daily: fluxes and flags with CF attributes, dims (site, time).
      lenders: whose parameters each site takes.
      outside: which days and sites lie outside of what the model has seen.
      envelope: what the model has seen.
    """

    daily: xr.Dataset
    lenders: Lenders
    outside: Outside
    envelope: Envelope


def predict_fields(
    fitted: Pretrained | Calibrated,
    sites: Sites,
    unknown: Unknown = "pretrained",
    history: str = "kgml_jax.predict",
) -> FieldPredictions:
    """Predicts the daily fluxes of every site and says which days lie outside of what was learnt.

    Args:
      fitted: a pretrained model, or calibrated sites.
      sites: with weather and, for models with the process model, a crop calendar.
      unknown: what predicts a site that was not calibrated; see `borrowing.Unknown`.
      history: what made the predictions, for the file.

    Raises:
      DataError: a site lacks what the model is driven by, or its place if the nearest is asked for.
      ValueError: the choice is not possible with what was fitted.
    """
    base = fitted.base if isinstance(fitted, Calibrated) else fitted
    require_drivers(base.model, sites)
    taken = lenders(fitted, sites, unknown)
    if isinstance(taken.fitted, Calibrated):
        fluxes = predict_calibrated(taken.fitted, sites, unit_of=taken.unit_of)
    else:
        fluxes = predict_pretrained(base, sites)
    envelope = base.envelope or of_scaling(base.scaling)
    beyond = outside(envelope, sites)
    daily = as_dataset(fluxes, sites, history=history).assign(
        _flags(beyond, sites, kinds.memory_days(base.model)) | _described(taken, beyond)
    )
    for name in fluxes:
        daily[name].attrs["ancillary_variables"] = OUTSIDE
    daily.attrs |= _provenance(fitted, base, envelope, unknown)
    return FieldPredictions(daily, taken, beyond, envelope)


def _flags(beyond: Outside, sites: Sites, memory: int) -> dict[str, Any]:
    start = np.arange(beyond.days.shape[1]) < memory
    found = beyond.days | np.where(start, np.int8(FLAGS["start_of_record"]), np.int8(0))
    placed = measured(sites).placed(found)
    placed = np.where(placed < 0, np.int8(FLAGS["no_record"]), placed)
    text = "what of the day lies outside of the training data; 0: nothing"
    return {OUTSIDE: (("site", "time"), placed, flags(text, FLAGS, masks=True))}


def _described(taken: Lenders, beyond: Outside) -> dict[str, Any]:
    text = "what of the site lies outside of the training data; 0: nothing"
    return {
        "site_outside": ("site", beyond.sites, flags(text, SITE_FLAGS, masks=True)),
        "parameters_from": (
            "site",
            np.array(taken.names, dtype=object),
            {"long_name": "whose parameters predict the site"},
        ),
        "distance": (
            "site",
            taken.distance,
            {"long_name": "great-circle distance to the site of the parameters", "units": "km"},
        ),
    }


def _provenance(
    fitted: Pretrained | Calibrated, base: Pretrained, envelope: Envelope, unknown: Unknown
) -> dict[str, str]:
    return {
        "model": type(base.model).__name__,
        "strategy": fitted.strategy if isinstance(fitted, Calibrated) else "none",
        "weights": base.fingerprint,
        "sites_not_calibrated": f"predicted by: {unknown}",
        "training_ranges": "smallest and largest value on the training days"
        if envelope.measured
        else "mean +- 4 standard deviations, as the run does not hold the ranges",
    }
