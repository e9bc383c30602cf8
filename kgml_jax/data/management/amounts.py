"""What is put on the field, done to its soil or eaten there, on the days of a record."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from kgml_jax.data.management import vocabulary
from kgml_jax.data.management.events import Event
from kgml_jax.data.management.operations import share_mixed
from kgml_jax.data.management.record import Record
from kgml_jax.data.schema import Season
from kgml_jax.errors import listed

ORGANIC = frozenset(("carbon", "organic nitrogen"))
"""Amounts that a fertilisation has where it brings organic matter."""

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
            silent += record.has(event.day) and not ORGANIC & set(given)
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


def spread_manure(record: Record, events: Sequence[Event]) -> None:
    """Lays carbon and organic nitrogen of manure on the days of a record, and its ammonium.

    What of these the table does not give follows from the kind of fertiliser.
    """
    if not events:
        return
    record.zeros("manure_carbon", "manure_nitrogen", "fertiliser_ammonium", "fertiliser_nitrate")
    kinds: Counter[str] = Counter()
    silent = 0
    for event in _once(record, events):
        given, kind = event.amounts, vocabulary.organic(event.words)
        if event.kind == "fertilisation":
            # Its other nitrogen is mineral, and is laid with the fertilisers.
            given = {name: given[name] for name in ORGANIC & set(given)}
        if not {"carbon", "nitrogen", "organic nitrogen"} & set(given):
            silent += record.has(event.day)
            continue
        carbon, organic, ammonium = _analysed(given, vocabulary.ORGANICS[kind])
        kinds[kind] += record.has(event.day) and "organic nitrogen" not in given
        record.add("manure_carbon", event.day, carbon)
        record.add("manure_nitrogen", event.day, organic)
        record.add("fertiliser_ammonium", event.day, ammonium)
        record.add("fertiliser_nitrate", event.day, given.get("nitrate", 0.0))
    told = ", ".join(f"{kind} {count}" for kind, count in kinds.items() if count)
    message = f"manure: carbon, organic and ammonium nitrogen by its kind: {told}"
    record.tell("estimated", sum(kinds.values()), message)
    message = f"{silent} organic fertilisations without nitrogen or carbon are left out"
    record.tell("warning", 1 if silent else 0, message)


def _analysed(given: Mapping[str, float], kind: vocabulary.Organic) -> tuple[float, float, float]:
    """Returns carbon, organic nitrogen and ammonium nitrogen, given or typical of the kind."""
    if "organic nitrogen" in given:
        organic, ammonium = given["organic nitrogen"], given.get("ammonium", 0.0)
    else:
        total = given.get("nitrogen", given.get("carbon", 0.0) / kind.carbon)
        ammonium = min(total, given.get("ammonium", kind.ammonium * total))
        organic = total - ammonium
    return given.get("carbon", kind.carbon * (organic + ammonium)), organic, ammonium


def graze(record: Record, events: Sequence[Event], grown: Sequence[Season]) -> None:
    """Lays on the days of a record the share of the shoot that animals eat."""
    if not events:
        return
    record.zeros("grazing")
    unknown = bare = 0
    for event in events:
        if not (record.has(event.first) or record.has(event.last)):
            continue
        if not any(one.first <= event.last and one.last >= event.first for one in grown):
            bare += 1
            continue
        share = event.amounts.get("share")
        unknown += share is None
        inside = (record.days >= event.first) & (record.days <= event.last)
        left = 1.0 - record.fields["grazing"][inside]
        daily = vocabulary.eaten(share, event.width)
        record.fields["grazing"][inside] = 1.0 - left * (1.0 - daily)
    message = f"grazing: a share of {vocabulary.GRAZED:g} of the shoot above the stubble, or of "
    message += f"{vocabulary.GRAZED_A_DAY:g} a day in more than {vocabulary.PADDOCK} days"
    record.tell("estimated", unknown, message)
    record.tell("left out", bare, "grazing where nothing stands")


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
