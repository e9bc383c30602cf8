"""Our own table of events, and tidy tables like it: one row an event."""

import re

import pandas as pd

from kgml_jax.data.management.events import Amount, Entry
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

_NAMES = {
    "site_id": "site",
    "date": "first",
    "date_start": "first",
    "start": "first",
    "start_date": "first",
    "date_end": "last",
    "end": "last",
    "end_date": "last",
    "event_type": "event",
    "units": "unit",
    "crop_status": "status",
    "operation": "words",
    "method": "words",
    "fert_type": "words",
    "organic_type": "words",
    "part_harvested": "words",
    "form": "words",
}
"""Other names of columns; several may be words for how an event was done."""

_WIDE = {
    "n_kg_ha": ("nitrogen", "kg N ha-1"),
    "organic_c_kg_ha": ("carbon", "kg C ha-1"),
    "organic_n_kg_ha": ("organic nitrogen", "kg N ha-1"),
    "irrigation_mm": ("water", "mm"),
    "till_depth_cm": ("depth", "cm"),
}
"""Columns whose name says what they hold and in which units."""

_COLUMNS = (
    "nitrogen",
    "ammonium",
    "nitrate",
    "organic nitrogen",
    "carbon",
    "water",
    "depth",
    "share",
)
_SINGLE = ("site", "first", "last", "event", "crop", "status", "amount", "unit")
_COVER = re.compile(r"interm|cover|catch|secondary", re.IGNORECASE)
_WITH_UNITS = re.compile(r"(?P<name>[^\[]+?)\s*\[(?P<units>[^\]]*)\]")

NEEDED = ("site", "event", "first")


def is_one(header: list[str]) -> bool:
    """Whether the columns are those of a table of events: it has a site, an event and a date."""
    known = {_meaning(name) for name in header}
    return all(name in known for name in NEEDED)


def _meaning(column: str) -> str:
    name = column.strip().casefold()
    return _NAMES.get(name, name)


def entries(columns: dict[str, pd.Series], file: str) -> tuple[list[Entry], list[Note]]:
    """Returns the rows of a table, and a note on the columns that are not used.

    Raises:
      DataError: two columns of it mean one thing.
    """
    by_meaning: dict[str, list[str]] = {}
    amounts: dict[str, tuple[str, str]] = {}
    for column in columns:
        match = _WITH_UNITS.fullmatch(column.strip())
        name = _meaning(match["name"] if match else column).replace("_", " ")
        wide = _WIDE.get(column.strip().casefold())
        if wide is not None:
            amounts[column] = wide
        elif match is not None and name in _COLUMNS:
            amounts[column] = (name, match["units"])
        else:
            by_meaning.setdefault(_meaning(column), []).append(column)
    for name in _SINGLE:
        if len(same := by_meaning.get(name, [])) > 1:
            problem = "two columns mean one thing"
            raise DataError(problem, file=file, variable=name, found=" and ".join(same))
    used = {name: by_meaning[name][0] for name in _SINGLE if name in by_meaning}
    words = by_meaning.get("words", [])
    unused = [one for one in columns if one not in (*used.values(), *words, *amounts)]
    notes = []
    if unused:
        message = f"columns of {file} that are not used: {listed(unused, 20)}"
        notes.append(Note("", "management", "left out", len(unused), message))
    rows = pd.DataFrame(columns).to_dict("index")
    return [
        _entry(f"row {int(at) + 2}", row, used, words, amounts) for at, row in rows.items()
    ], notes


def _entry(
    place: str,
    row: dict[str, str],
    used: dict[str, str],
    words: list[str],
    amounts: dict[str, tuple[str, str]],
) -> Entry:
    cell = {name: row[used[name]].strip() if name in used else "" for name in _SINGLE}
    given = {name: Amount(row[column], units) for column, (name, units) in amounts.items()}
    if cell["amount"]:
        given["amount"] = Amount(cell["amount"], cell["unit"])
    return Entry(
        place=place,
        site=cell["site"],
        first=cell["first"],
        last=cell["last"],
        event=cell["event"],
        crop=cell["crop"],
        words=" ".join(filter(None, (row[column].strip() for column in words))),
        cover=bool(_COVER.search(cell["status"])),
        amounts=given,
    )
