"""What a model has seen in training, and which days and sites lie outside of it.

Each input is looked at by itself: a day may lie inside every range and still be a combination that
the training data do not hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgml_jax.models.features import CROP, MANAGEMENT, Scale, Scaling, daily
from kgml_jax.process.drivers import Attributes
from kgml_jax.records import quantities
from kgml_jax.sites import TRAIN, Sites
from kgml_jax.split import DividedSites

ROUNDING = 1e-5
"""Share of a range, or of a bound, by which a value may pass it: inputs are in single precision."""

DEVIATIONS = 4.0
"""Standard deviations about the mean that stand for the range where it was not kept."""

UNKNOWN_CROP = -1

DAY_FLAGS = {"weather": 1, "management": 2, "place": 4, "crop": 8}
"""Bits of `Outside.days`: weather or season, management, or soil and place beyond the range of the
training days; a crop that is not known or was not grown on them."""

SITE_FLAGS = {"vegetation": 1, "crop": 2, "no_calendar": 4, "place": 8}
"""Bits of `Outside.sites`: a vegetation class that no training site had; a crop that none grew; no
crop calendar where training sites had one; soil or place beyond the range of the training sites."""

_PLACES = frozenset(quantities(Attributes))


@dataclass(frozen=True)
class Span:
    """Lowest and highest value of one input on the training days, in its physical units."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Envelope:
    """What a model saw on its training days.

    Attributes:
      inputs: range of each of the model's inputs.
      crops: rows of the crop table that grew there.
      vegetation: classes of the training sites, as far as they were given.
      measured: False where ranges were not kept: they are then the mean +- 4 standard deviations,
        and of crops and vegetation nothing is known.
    """

    inputs: tuple[Span, ...]
    crops: tuple[int, ...] = ()
    vegetation: tuple[str, ...] = ()
    measured: bool = True


@dataclass(frozen=True)
class Outside:
    """What of some sites lies outside of what a model has seen.

    Attributes:
      days: bits of `DAY_FLAGS`, int8 (site, time); 0 inside and on padding.
      sites: bits of `SITE_FLAGS`, int8 (site,).
      shares: of the days of each site on which an input is outside, by input, (site,).
    """

    days: np.ndarray
    sites: np.ndarray
    shares: dict[str, np.ndarray]


def of_training(names: Sequence[str], data: DividedSites) -> Envelope:
    """Returns the envelope of the training days of `data`, of which there is at least one.

    Args:
      names: inputs of the model.
      data: sites with their split.
    """
    sites = data.sites
    days = (data.roles == TRAIN) & np.asarray(sites.site.valid)
    rows = np.flatnonzero(days.any(axis=1))
    values = {name: daily(name, sites.site)[days] for name in names}
    spans = tuple(Span(name, float(v.min()), float(v.max())) for name, v in values.items())
    crops = np.asarray(sites.site.forcing.crop)[days & _occupied(sites)]
    classes = {sites.place(int(row)).vegetation for row in rows} - {""}
    grown = sorted({int(crop) for crop in np.unique(crops)} - {UNKNOWN_CROP})
    return Envelope(spans, tuple(grown), tuple(sorted(classes)))


def joined(first: Envelope, second: Envelope) -> Envelope:
    """Returns the envelope of what was trained on one and then on the other, of the same inputs."""
    spans = tuple(
        Span(one.name, min(one.low, other.low), max(one.high, other.high))
        for one, other in zip(first.inputs, second.inputs, strict=True)
    )
    both = lambda a, b: tuple(sorted({*a, *b}))
    return Envelope(
        spans,
        both(first.crops, second.crops),
        both(first.vegetation, second.vegetation),
        measured=first.measured and second.measured,
    )


def of_scaling(scaling: Scaling) -> Envelope:
    """Returns what stands for the envelope of a model whose ranges were not kept."""
    return Envelope(tuple(_about_mean(scale) for scale in scaling.inputs), measured=False)


def _about_mean(scale: Scale) -> Span:
    low, high = scale.mean - DEVIATIONS * scale.sd, scale.mean + DEVIATIONS * scale.sd
    # Pulses such as planting are on few days, where they pass any number of deviations.
    rare = scale.name in MANAGEMENT
    return Span(scale.name, min(low, 0.0), max(high, 1.0)) if rare else Span(scale.name, low, high)


def outside(envelope: Envelope, sites: Sites) -> Outside:
    """Returns what of `sites` lies outside the envelope."""
    valid = np.asarray(sites.site.valid)
    count = np.maximum(valid.sum(axis=1), 1)
    days, shares = np.zeros(valid.shape, np.int8), {}
    for span in envelope.inputs:
        beyond = _beyond(span, daily(span.name, sites.site)) & valid
        days |= np.where(beyond, np.int8(DAY_FLAGS[_kind(span.name)]), np.int8(0))
        shares[span.name] = beyond.sum(axis=1) / count
    crop, occupied = np.asarray(sites.site.forcing.crop), _occupied(sites) & valid
    strange = occupied & ~np.isin(crop, envelope.crops)
    if not envelope.measured:
        strange = occupied & (crop == UNKNOWN_CROP)
    days |= np.where(strange, np.int8(DAY_FLAGS["crop"]), np.int8(0))
    shares["crop"] = strange.sum(axis=1) / count
    classes = [sites.place(row).vegetation for row in range(len(sites))]
    seen = ("", *envelope.vegetation) if envelope.vegetation else classes
    marked = {
        "vegetation": np.array([one not in seen for one in classes]),
        "crop": strange.any(axis=1),
        "no_calendar": ~occupied.any(axis=1) & bool(envelope.crops),
        "place": (days & DAY_FLAGS["place"] > 0).any(axis=1),
    }
    bits = [np.where(rows, SITE_FLAGS[name], 0) for name, rows in marked.items()]
    return Outside(days, np.sum(bits, axis=0).astype(np.int8), shares)


def _beyond(span: Span, values: np.ndarray) -> np.ndarray:
    slack = ROUNDING * max(abs(span.low), abs(span.high), span.high - span.low)
    return (values < span.low - slack) | (values > span.high + slack)


def _kind(name: str) -> str:
    if name in _PLACES or name == "silt":
        return "place"
    told = (*MANAGEMENT, *CROP, "prescribed_gpp")
    return "management" if name in told else "weather"


def _occupied(sites: Sites) -> np.ndarray:
    return np.asarray(sites.site.forcing.occupied) > 0
