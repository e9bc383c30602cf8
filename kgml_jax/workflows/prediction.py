"""Predictions with fitted models, at sites that were calibrated and at others."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.data.conventions import described
from kgml_jax.data.schema import SITE_QUANTITIES
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import PREDICTABLE, Sites
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.workflows.daily_file import frame
from kgml_jax.workflows.simulation_sources import measured

Predicted = dict[str, np.ndarray]
"""Daily values by variable, each (site, time), in the units of `sites.PREDICTABLE`."""


def predict_pretrained(base: Pretrained, sites: Sites) -> Predicted:
    """Predicts every site with the pretrained model as it is."""
    return predict_sites(base.model, base.weights, sites)


def predict_calibrated(
    fitted: Calibrated,
    sites: Sites,
    pretrained: Predicted | None = None,
    unit_of: Mapping[str, int] | None = None,
) -> Predicted:
    """Predicts every site with what its unit owns; others with the pretrained model.

    Sites whose unit never left the pretrained model have its predictions, to the bit.

    Args:
      fitted: the calibrated sites.
      sites: to predict.
      pretrained: predictions of the pretrained model, if there are some already.
      unit_of: row of the unit that each site takes, by name; by default its own.
    """
    base = fitted.base
    if pretrained is None:
        pretrained = predict_pretrained(base, sites)
    unit_of = fitted.unit_of if unit_of is None else unit_of
    known = [row for row, name in enumerate(sites.names) if name in unit_of]
    if not known:
        return pretrained
    units = np.array([unit_of[sites.names[row]] for row in known])
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[units], fitted.phi)
    start = base.weights if fitted.start is None else fitted.start
    fluxes = predict_sites(base.model, start, sites.take(known), fitted.adaptation, own)
    moved = np.ones(len(units), bool)
    if not STRATEGIES[fitted.strategy].scratch:
        moved = fitted.moved[units]
    return {
        name: _placed(values, known, fluxes[name], moved) for name, values in pretrained.items()
    }


def _placed(base: np.ndarray, rows: list[int], values: np.ndarray, moved: np.ndarray) -> np.ndarray:
    placed = base.copy()
    placed[rows] = np.where(moved[:, None], values, base[rows])
    return placed


def as_dataset(
    fluxes: Predicted,
    sites: Sites,
    title: str = "Daily fluxes of fields, predicted",
    history: str = "kgml_jax.predict",
) -> xr.Dataset:
    """Returns daily fluxes with CF attributes, dims (site, time); NaN outside of a record.

    Args:
      fluxes: each (site, time), time counted from each site's first day.
      sites: that were predicted.
      title: of the data set.
      history: what made them.
    """
    source = measured(sites)
    result = frame(sites.names, source.dates, title, history).assign_coords(_coordinates(sites))
    for name, values in fluxes.items():
        about = described(name, PREDICTABLE[name], daily=True)
        result[name] = (("site", "time"), source.placed(values), about)
    return result


def _coordinates(sites: Sites) -> dict[str, Any]:
    places = [sites.place(row) for row in range(len(sites))]
    given = {
        "latitude": [place.latitude for place in places],
        "longitude": [place.longitude for place in places],
    }
    groups = np.array(sites.groups, dtype=object)
    return {
        "group": ("site", groups, {"long_name": "group of the site"}),
        **{
            name: ("site", np.array(values, np.float64), described(name, SITE_QUANTITIES[name]))
            for name, values in given.items()
            if any(value is not None for value in values)
        },
    }
