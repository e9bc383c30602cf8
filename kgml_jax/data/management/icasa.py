"""Events of ICASA, the vocabulary of AgMIP: a flat table, or the JSON of its ACE data packages.

Read are PDATE with CRID, HADAT with HARM, HACOM and HAB%, FEDATE with FECD, FEAMN, FENO3 and FENH4,
OMDAT with OMCD, OMAMT, OMC% and OMN%, IDATE with IROP and IRVAL, and TDATE with TIIMP, TIDEP and
TIMIX; amounts are kg ha-1, mm and cm there. Source: dictionary and codes of agmip/ace-lookup.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kgml_jax.data.management.events import Amount, Entry, records
from kgml_jax.errors import DataError

_EVENTS = {
    "pdate": "planting",
    "hadat": "harvest",
    "hdate": "harvest",
    "fedate": "fertilisation",
    "omdat": "organic fertilisation",
    "idate": "irrigation",
    "tdate": "tillage",
    "tidate": "tillage",
    "cdate": "spraying",
    "edate": "emergence",
}
"""Column of a date, and its event."""

_OF = {
    "planting": "planting",
    "harvest": "harvest",
    "fertilizer": "fertilisation",
    "organic_matter": "organic fertilisation",
    "organic-materials": "organic fertilisation",
    "irrigation": "irrigation",
    "tillage": "tillage",
    "chemical": "spraying",
    "chemicals": "spraying",
    "inorg_mulch": "other",
}
"""Event of an ACE package, and ours."""

_AMOUNTS = {
    "fertilisation": {
        "feamn": ("nitrogen", "kg N ha-1"),
        "feno3": ("nitrate", "kg N ha-1"),
        "fenh4": ("ammonium", "kg N ha-1"),
    },
    "irrigation": {"irval": ("water", "mm")},
    "tillage": {"tidep": ("depth", "cm"), "timix": ("share", "%")},
    "harvest": {"hab%": ("share", "%"), "habpc": ("share", "%")},
}
_WORDS = {
    "fertilisation": ("fecd", "feacd"),
    "organic fertilisation": ("omcd",),
    "irrigation": ("irop",),
    "tillage": ("tiimp",),
    "harvest": ("harm", "hacom"),
}
COLUMNS = (
    *_EVENTS,
    *("crid", "omamt", "omc%", "omn%"),
    *(column for columns in _WORDS.values() for column in columns),
    *(column for columns in _AMOUNTS.values() for column in columns),
)
"""What is read of a table."""

_SITE = ("site", "fl_name", "id_field", "exname")
"""Whose name a row may have, in order."""


def is_one(header: list[str]) -> bool:
    """Whether the columns are of ICASA: the date of an event, and no column `event`."""
    names = {name.strip().casefold() for name in header}
    return bool(names & set(_EVENTS)) and "event" not in names


def entries(rows: Iterator[tuple[str, Mapping[str, str]]]) -> list[Entry]:
    """Returns the events of a flat table: as many a row as it has dates.

    Args:
      rows: where each stands, and its cells by column.
    """
    found = []
    for place, row in rows:
        cells = {name.strip().casefold(): text.strip() for name, text in row.items()}
        site = next((cells[name] for name in _SITE if cells.get(name)), "")
        for column, event in _EVENTS.items():
            if cells.get(column):
                found.append(_entry(f"{place}, {column}", site, cells[column], event, cells))
    return found


def is_package(document: Any) -> bool:
    """Whether a JSON document is an ACE package."""
    return isinstance(document, dict) and "experiments" in document


def of_package(document: Mapping[str, Any]) -> list[Entry]:
    """Returns the events of an ACE package, `experiments / management / events`.

    Raises:
      DataError: an event is of a kind that is not known.
    """
    found = []
    for experiment in records(document["experiments"], "experiments"):
        site = next((str(experiment[name]) for name in _SITE if experiment.get(name)), "")
        (management,) = records([experiment.get("management", {})], "management")
        events = records(management.get("events", []), "events")
        for number, event in enumerate(events, start=1):
            place = f"event {number} of {site}"
            kind = _OF.get(str(event.get("event", "")).casefold())
            if kind is None:
                told = f"{event.get('event')!r} in {place}"
                expected = ", ".join(_OF)
                raise DataError(
                    "is no event of ACE", variable="event", found=told, expected=expected
                )
            cells = {name.casefold(): str(value) for name, value in event.items()}
            found.append(_entry(place, site, cells.get("date", ""), kind, cells))
    return found


def _entry(place: str, site: str, date: str, event: str, cells: Mapping[str, str]) -> Entry:
    amounts = {
        name: Amount(cells[column], units)
        for column, (name, units) in _AMOUNTS.get(event, {}).items()
        if cells.get(column)
    }
    if event == "organic fertilisation":
        amounts = _organic(cells)
    words = [f"{name} {cells[name]}" for name in _WORDS.get(event, ()) if cells.get(name)]
    crop = cells.get("crid", "") if event in ("planting", "harvest") else ""
    return Entry(place, site, date, "", event, crop, " ".join(words), amounts=amounts)


def _organic(cells: Mapping[str, str]) -> dict[str, Amount]:
    """Returns carbon and nitrogen of organic matter, whose dry mass and per cent are given."""
    found = {}
    for name, columns, units in (
        ("carbon", ("omc%", "omcpc"), "kg C ha-1"),
        ("organic nitrogen", ("omn%", "omnpc"), "kg N ha-1"),
    ):
        share = next((cells[column] for column in columns if cells.get(column)), "")
        if share and cells.get("omamt"):
            try:
                found[name] = Amount(str(float(cells["omamt"]) * float(share) / 100), units)
            except ValueError:
                found[name] = Amount(f"{cells['omamt']} x {share} %", units)
    return found
