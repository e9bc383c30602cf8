"""What is put on the field or done to its soil, on the days of a record."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kgml_jax.data.management import vocabulary
from kgml_jax.data.management.events import Event
from kgml_jax.data.management.operations import share_mixed
from kgml_jax.data.management.record import Record
from kgml_jax.errors import listed

_DAY = np.timedelta64(1, "D")
_DEEP = f"{vocabulary.PLOUGHING_DEPTH:g} m"


def till(record: Record, events: Sequence[Event]) -> None:
    """Lays tillage on the days of a record, as shares of the plough layer that are mixed."""
    if not events:
        return
    record.zeros("tillage")
    for event in events:
        record.add("tillage", event.day, share_mixed(event))
    # Two passes of a day mix what one of them left; never more than all of it.
    record.fields["tillage"] = np.minimum(record.fields["tillage"], 1.0)
    own = [event for event in events if record.has(event.day) and "share" not in event.amounts]
    by_depth = [event for event in own if vocabulary.mixing(event.words) is None]
    unknown = [event for event in by_depth if "depth" not in event.amounts]
    record.tell(
        "estimated", len(own) - len(by_depth), "tillage: share of the plough layer by implement"
    )
    depth = f"tillage without an implement: share by depth, all of it from {_DEEP} on"
    record.tell("estimated", len(by_depth) - len(unknown), depth)
    usual = f"tillage without implement and depth: a share of {vocabulary.USUAL_TILLAGE:g}"
    record.tell("estimated", len(unknown), usual)


def fertilise(record: Record, events: Sequence[Event]) -> None:
    """Lays mineral nitrogen on the days of a record, by form; what has no amount is told."""
    if not events:
        return
    record.zeros("fertiliser_ammonium", "fertiliser_nitrate")
    forms: Counter[str] = Counter()
    silent = 0
    once = _once(record, events)
    for event in once:
        given = event.amounts
        total = given.get("nitrogen", 0.0)
        if not {"nitrogen", "ammonium", "nitrate"} & set(given):
            silent += record.has(event.day)
            continue
        ammonium, nitrate = given.get("ammonium", 0.0), given.get("nitrate", 0.0)
        if not ammonium and not nitrate and total:
            form = vocabulary.form(event.words)
            forms[form] += record.has(event.day)
            ammonium = total * vocabulary.FORMS[form].ammonium
            nitrate = total - ammonium
        record.add("fertiliser_ammonium", event.day, ammonium)
        record.add("fertiliser_nitrate", event.day, nitrate)
    told = ", ".join(f"{form} {count}" for form, count in forms.items() if count)
    record.tell("converted", sum(forms.values()), f"nitrogen by form of fertiliser: {told}")
    message = f"{silent} fertilisations without an amount of nitrogen are left out"
    record.tell("warning", 1 if silent else 0, message)


def _once(record: Record, events: Sequence[Event]) -> list[Event]:
    """Returns fertilisations without those that repeat the one of the day before in all they say.

    A field that is spread on two days is written down with its full rate on both.
    """
    kept: list[Event] = []
    last: dict[tuple[str, tuple[tuple[str, float], ...]], np.datetime64] = {}
    repeated = []
    for event in sorted(events, key=lambda one: one.day):
        said = (event.words, tuple(sorted(event.amounts.items())))
        if said in last and event.amounts and _DAY <= event.day - last[said] <= _DAY:
            repeated += [str(event.day)] if record.has(event.day) else []
        else:
            kept.append(event)
        last[said] = event.day
    message = f"fertilisation of {listed(repeated, 12)} says the same as that of the day before: "
    record.tell("warning", 1 if repeated else 0, f"{message}one operation, counted once")
    return kept


def irrigate(record: Record, events: Sequence[Event]) -> None:
    """Lays water on the days of a record, spread over windows; what has no amount is told."""
    if not events:
        return
    record.zeros("irrigation")
    silent = wide = 0
    for event in events:
        if "water" not in event.amounts:
            silent += record.has(event.day)
            continue
        wide += event.width > 1 and record.has(event.day)
        inside = (record.days >= event.first) & (record.days <= event.last)
        record.fields["irrigation"][inside] += event.amounts["water"] / event.width
    record.tell("converted", wide, "irrigations over several days, spread evenly over them")
    message = f"{silent} irrigations without an amount of water are left out"
    record.tell("warning", 1 if silent else 0, message)
