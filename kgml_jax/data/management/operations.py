"""Events that begin or end a season, those of one operation as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kgml_jax.data import crop_names
from kgml_jax.data.crop_names import NO_CROP, Named
from kgml_jax.data.management import vocabulary
from kgml_jax.data.management.events import Event
from kgml_jax.errors import DataError

ONE_OPERATION = 14
"""Days within which plantings, harvests or cuts of one crop count as one, on the middle day."""

_DAY = np.timedelta64(1, "D")
_ENDS = ("harvest", "termination", "cut", "tillage")
_ORDER = {kind: place for place, kind in enumerate((*_ENDS, "planting"))}
"""Of events of one day: what ends a season comes before what begins one."""


@dataclass(frozen=True)
class Operation:
    """What begins or ends a season: one event, or several of one crop within days."""

    kind: str
    first: np.datetime64
    last: np.datetime64
    crop: Named
    event: Event

    @property
    def day(self) -> np.datetime64:
        """The middle of its days, the earlier of two."""
        return self.first + (self.last - self.first) // 2


def operations(
    events: Sequence[Event], span: tuple[np.datetime64, np.datetime64], latitude: float
) -> list[Operation]:
    """Returns what begins or ends seasons, in the order of days.

    Args:
      events: of one site, in any order.
      span: first and last day of its record.
      latitude: degrees north.

    Raises:
      DataError: a crop in the record has an unknown name, or is not simulated.
    """
    found: list[Operation] = []
    chosen = [event for event in events if event.kind in _ORDER]
    for event in sorted(chosen, key=lambda one: (one.day, _ORDER[one.kind])):
        try:
            crop = _crop(event, latitude)
        except DataError:
            if span[0] <= event.day <= span[1]:
                raise
            continue
        one = Operation(event.kind, event.first, event.last, crop, event)
        last = next((other for other in reversed(found) if other.kind != "tillage"), None)
        if last is not None and _is_part(last, one):
            found[found.index(last)] = _joined(last, one)
        else:
            found.append(one)
    return found


def _crop(event: Event, latitude: float) -> Named:
    if event.kind == "tillage":
        return NO_CROP
    sown = event.day if event.kind == "planting" else None
    try:
        return crop_names.resolve(event.crop, sown, latitude, event.cover)
    except DataError as error:
        problem = f"{error.problem}, {event.kind} on {event.day} in {event.place}"
        raise DataError(problem, variable=error.variable) from error


def _is_part(before: Operation, one: Operation) -> bool:
    alike = before.kind == one.kind and one.kind in ("planting", "harvest", "cut")
    if one.kind == "cut" and (before.crop.is_cover or one.crop.is_cover):
        return False  # the first of them ended it
    near = one.first - before.last <= ONE_OPERATION * _DAY
    return bool(alike and near and crop_names.same(before.crop, one.crop))


def _joined(before: Operation, one: Operation) -> Operation:
    words = " ".join(dict.fromkeys((before.event.words, one.event.words)))
    return replace(
        before,
        first=min(before.first, one.first),
        last=max(before.last, one.last),
        crop=before.crop if before.crop.name else one.crop,
        event=replace(before.event, words=words, amounts=before.event.amounts | one.event.amounts),
    )


def share_mixed(event: Event) -> float:
    """Returns the share of the plough layer that a tillage mixes: given, by implement, by depth."""
    if "share" in event.amounts:
        return min(1.0, event.amounts["share"])
    by_implement = vocabulary.mixing(event.words)
    if by_implement is not None:
        return by_implement
    if "depth" in event.amounts:
        return min(1.0, event.amounts["depth"] / vocabulary.PLOUGHING_DEPTH)
    return vocabulary.USUAL_TILLAGE
