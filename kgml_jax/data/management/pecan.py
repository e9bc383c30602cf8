"""Events of PEcAn (`events.json`, schema 0.1.0 to 0.1.2) and of SIPNET (`events.in`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from kgml_jax.data.management import dates
from kgml_jax.data.management.events import Amount, Entry, records
from kgml_jax.errors import DataError

_AMOUNTS = {
    "org_c_kg_m2": ("carbon", "kg C m-2"),
    "org_n_kg_m2": ("organic nitrogen", "kg N m-2"),
    "nh4_n_kg_m2": ("ammonium", "kg N m-2"),
    "no3_n_kg_m2": ("nitrate", "kg N m-2"),
    "amount_mm": ("water", "mm"),
    "depth_m": ("depth", "m"),
    "frac_above_removed_0to1": ("above removed", "1"),
}
"""Field, what it is here, and its units. `tillage_eff_0to1` is a factor on respiration, no share
that is mixed, and is not read."""


def is_one(document: Any) -> bool:
    """Whether a JSON document is of PEcAn: sites with `site_id` and `events`."""
    sites = document if isinstance(document, list) else [document]
    return bool(sites) and all(
        isinstance(site, dict) and {"site_id", "events"} <= set(site) for site in sites
    )


def entries(document: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> list[Entry]:
    """Returns the events of all sites of a document."""
    found = []
    for site in [document] if isinstance(document, Mapping) else document:
        for number, event in enumerate(records(site["events"], "events"), start=1):
            found.append(_entry(str(site["site_id"]), number, event))
    return found


def _entry(site: str, number: int, event: Mapping[str, Any]) -> Entry:
    amounts = {
        name: Amount(str(event[field]), units)
        for field, (name, units) in _AMOUNTS.items()
        if event.get(field) is not None
    }
    kind = str(event.get("event_type", ""))
    organic = {"carbon", "organic nitrogen"} & set(amounts)
    if kind == "fertilization" and organic and not {"ammonium", "nitrate"} & set(amounts):
        kind = "organic fertilisation"
    words = [str(event[name]) for name in ("method", "intensity_category") if event.get(name)]
    crop = str(event.get("crop_display") or event.get("crop_code") or "")
    return Entry(
        place=f"event {number} of {site}",
        site=site,
        first=str(event.get("date", "")),
        last="",
        event=kind,
        crop=crop,
        words=" ".join(words),
        amounts=amounts,
    )


_COLUMNS = {
    "plant": (),
    "harv": (("above removed", "1", 1.0),),
    "till": (),
    "fert": (
        ("organic nitrogen", "g N m-2", 1.0),
        ("carbon", "g C m-2", 1.0),
        ("nitrogen", "g N m-2", 1.0),
    ),
    "irrig": (("water", "mm", 10.0),),
    "leafon": (),
    "leafoff": (),
}
"""Event of SIPNET, and its parameters in order: what each is, its units, and a factor to them."""


def is_sipnet(text: str) -> bool:
    """Whether a text is of SIPNET: its first line is a year, a day of the year and an event."""
    fields = next((line.split() for line in text.splitlines() if line.strip()), [])
    return (
        len(fields) >= 3 and fields[2] in _COLUMNS and fields[0].isdigit() and fields[1].isdigit()
    )


def of_sipnet(text: str) -> list[Entry]:
    """Returns the events of a file of SIPNET, which names neither its site nor its crops.

    Raises:
      DataError: a line is no event.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        place = f"line {number}"
        if len(fields) < 3 or fields[2] not in _COLUMNS:
            expected = f"year, day of the year, one of {', '.join(_COLUMNS)}, amounts"
            raise DataError(
                "is no event of SIPNET", found=f"{line.strip()!r} in {place}", expected=expected
            )
        date = dates.of_year(fields[0], fields[1], place)
        amounts = {}
        for value, (name, units, factor) in zip(fields[3:], _COLUMNS[fields[2]], strict=False):
            amounts[name] = Amount(_times(value, factor), units)
        found.append(Entry(place, "", date, "", fields[2], amounts=amounts))
    return found


def _times(text: str, factor: float) -> str:
    try:
        return repr(float(text) * factor)
    except ValueError:
        return text
