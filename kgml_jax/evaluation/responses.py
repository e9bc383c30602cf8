"""Do calibrated models still answer to their inputs as the pretrained one does?"""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from kgml_jax.models.features import SOIL, Scaling
from kgml_jax.objectives.errors import Predicted
from kgml_jax.objectives.responses import Change, Probe, changed
from kgml_jax.sites import Site

POINTS = 7
"""Values of a response curve."""

WEATHER_CHANGES: dict[str, tuple[Change, float, float]] = {
    "shortwave_radiation": ("scale", 0.6, 1.4),
    "air_temperature_mean": ("add", -4.0, 4.0),
    "air_temperature_max": ("add", -4.0, 4.0),
    "air_temperature_min": ("add", -4.0, 4.0),
    "vapour_pressure_deficit": ("scale", 0.6, 1.4),
    "precipitation": ("scale", 0.25, 1.75),
    "wind_speed": ("scale", 0.6, 1.4),
    "prescribed_gpp": ("scale", 0.6, 1.4),
}
"""How weather, and GPP where it is given, are changed, and between which limits; degC for the
temperatures."""

REACH = 1.5
"""Standard deviations from the mean between which an attribute is set."""

PLACE = ("latitude", "mean_annual_temperature", *SOIL)
"""Attributes that may be inputs."""

PROBED_FLUXES = ("Ra", "Rh")

DYNAMIC_BOUND, ATTRIBUTE_BOUND = 0.8, 0.9
"""Least correlation with the pretrained response that KGML-ag asks of an input that changes from
day to day, and of a property of the place (Liu et al. 2024, Nat. Commun. 15:357, Methods)."""


def probes(scaling: Scaling) -> tuple[Probe, ...]:
    """Returns a probe of every weather input and attribute a model reads, `POINTS` values each.

    An attribute that never varied in training, whose scale is then exactly 1, is left out: the
    response to it was never learnt.
    """
    scales = {scale.name: scale for scale in scaling.inputs}
    if "logarithmic_precipitation" in scales:
        scales["precipitation"] = scales["logarithmic_precipitation"]
    chosen = [
        Probe(name, change, _evenly(low, high))
        for name, (change, low, high) in WEATHER_CHANGES.items()
        if name in scales
    ]
    for name in PLACE:
        if name in scales and scales[name].sd != 1.0:
            mean, reach = scales[name].mean, REACH * scales[name].sd
            chosen.append(Probe(name, "set", _evenly(mean - reach, mean + reach)))
    return tuple(chosen)


def bound(probe: Probe) -> float:
    """Returns the least correlation asked of the responses to a probe."""
    return ATTRIBUTE_BOUND if probe.name in PLACE else DYNAMIC_BOUND


def curves(
    predict: Callable[[Site], Predicted],
    windows: Site,
    chosen: Sequence[Probe],
    fluxes: Sequence[str] = PROBED_FLUXES,
) -> np.ndarray:
    """Returns the mean of each flux over windows and valid days at every value of every probe.

    The same curves as `objectives.responses.curve` gives, but all values of a probe are predicted
    as one stack of windows, so that one compiled prediction serves all probes.

    Args:
      predict: compiled prediction of a stack of windows, leaves (window, time).
      windows: leaves (window, time).
      chosen: what is changed; all with the same number of values.
      fluxes: keys of what `predict` returns.

    Returns:
      Shape (probe, flux, value), in the units of the fluxes.
    """
    return np.stack([_probed(predict, windows, probe, fluxes) for probe in chosen])


def _probed(
    predict: Callable[[Site], Predicted], windows: Site, probe: Probe, fluxes: Sequence[str]
) -> np.ndarray:
    values = np.asarray(probe.values, np.float32)
    variants = [changed(windows, probe, value) for value in values]
    stack = jax.tree.map(lambda *leaves: np.concatenate([*map(np.asarray, leaves)]), *variants)
    predicted = predict(stack)
    valid = np.asarray(stack.valid)
    # Window by window first, as the training objective does, so that short windows weigh the same.
    days = np.maximum(valid.sum(axis=1), 1)
    means = [
        (np.where(valid, np.asarray(predicted[name], float), 0.0).sum(axis=1) / days)
        .reshape(len(values), -1)
        .mean(axis=1)
        for name in fluxes
    ]
    return np.stack(means)


def correlations(before: np.ndarray, after: np.ndarray, least_range: float = 1e-4) -> np.ndarray:
    """Returns the Pearson correlation of response curves along their last axis.

    Args:
      before: curves of the pretrained model, (..., value).
      after: curves of the calibrated model, the same shape.
      least_range: range below which a curve is flat, in the unit of the flux; two flat curves
        agree, and with one flat curve there is no correlation (0).
    """
    flat = [np.ptp(curve, axis=-1) < least_range for curve in (before, after)]
    first, second = (curve - curve.mean(axis=-1, keepdims=True) for curve in (before, after))
    spread = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    known = ~(flat[0] | flat[1])
    ratio = (first * second).sum(axis=-1) / np.where(known, spread, 1.0)
    return np.where(known, ratio, np.where(flat[0] & flat[1], 1.0, 0.0))


def _evenly(low: float, high: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.linspace(low, high, POINTS))
