"""Disturbance and management of FLUXNET's BADM: groups GRP_DM_* of a table in the form of BIF.

Crops, amounts, implements and forms stand in free text (DM_COMMENT) there. Read of it are the first
name of a crop, nitrogen in pounds or kilograms, and inches of water; rows with the same text are
one operation, whose shares of the field (DM_SURF) are summed.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from kgml_jax.data import crop_names
from kgml_jax.data.management import dates
from kgml_jax.data.management.events import Amount, Entry
from kgml_jax.errors import DataError

_GROUPS = {
    "DM_PLANTING": "planting",
    "DM_AGRICULTURE": "harvest",
    "DM_TILL": "tillage",
    "DM_FERT_M": "fertilisation",
    "DM_FERT_O": "organic fertilisation",
    "DM_WATER": "irrigation",
    "DM_GRAZE": "graze",
    "DM_PESTICIDE": "spraying",
    "DM_FIRE": "fire",
    "DM_EXT_WEATHER": "weather damage",
    "DM_INS_PATH": "other",
    "DM_FORESTRY": "other",
    "DM_ENCROACH": "other",
    "DM_GENERAL": "other",
}
"""Variable that says what was done, and its event; that of a harvest may be something else."""

VARIABLES = (*_GROUPS, "DM_DATE", "DM_DATE_START", "DM_DATE_END", "DM_COMMENT", "DM_SURF")
"""What is read of a table."""

_OTHER = (
    (r"\bbaled\b|\bbaling\b", "residue removal"),
    (r"lay\w* down|swathed|mow|\bcut\b", "cut"),
)
"""What is done where DM_AGRICULTURE is no harvest."""

_PARTS = np.timedelta64(14, "D")
"""Longest time between the parts of one operation."""

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_NITROGEN = (
    (re.compile(rf"{_NUMBER}\s*kg\s*N\b", re.IGNORECASE), "kg N ha-1"),
    (re.compile(rf"{_NUMBER}\s*(?:lbs?|pounds?)\s*(?:of\s*)?N\b"), "lb N ac-1"),
    (
        re.compile(rf"{_NUMBER}\s*(?:lbs?|pounds?)\s*(?:per|/)\s*ac(?:re)?\s*(?:of\s*)?N\b"),
        "lb N ac-1",
    ),
    (re.compile(rf"\bN\s*{_NUMBER}\s*(?:lbs?|pounds?)\s*(?:per|/)\s*ac"), "lb N ac-1"),
)
_PRODUCT = re.compile(
    rf"{_NUMBER}\s*(?:lbs?|pounds?)\s*(?:per|/)\s*ac(?:re)?\s*(?:of\s*)?\(?(\d+)-\d+-\d+",
    re.IGNORECASE,
)
_SOLUTION = re.compile(rf"{_NUMBER}\s*gal\w*\s*(?:per|/)\s*ac(?:re)?\s*(?:of\s*)?\(?(28|32)-0-0")
_POUNDS_A_GALLON = {"28": 2.99, "32": 3.54}
"""lb; nitrogen of a gallon of urea ammonium nitrate (10.67 and 11.06 lb a gallon)."""
_WATER = re.compile(rf"{_NUMBER}\s*(?:\"|''|in\b\.?|inch)", re.IGNORECASE)


def is_one(header: list[str]) -> bool:
    """Whether the columns are those of BIF."""
    return {"VARIABLE", "DATAVALUE", "GROUP_ID", "SITE_ID"} <= {
        name.strip().upper() for name in header
    }


def entries(rows: Iterable[Mapping[str, str]]) -> list[Entry]:
    """Returns the events of a table.

    Args:
      rows: those of `VARIABLES`, by the columns of BIF.
    """
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        place = (row["SITE_ID"], row["GROUP_ID"])
        groups.setdefault(place, {})[row["VARIABLE"]] = row["DATAVALUE"].strip()
    done: dict[tuple[str, str, str], list[tuple[str, dict[str, str]]]] = {}
    for (site, number), cells in groups.items():
        what = next((name for name in _GROUPS if name in cells), None)
        if what is not None:
            # Without words nothing says that two rows are parts of one operation.
            key = (site, what, cells.get("DM_COMMENT", "") or number)
            done.setdefault(key, []).append((number, cells))
    return [
        _entry(site, what, parts)
        for (site, what, _), rows_alike in done.items()
        for parts in _operations(rows_alike)
    ]


def _operations(
    alike: list[tuple[str, dict[str, str]]],
) -> list[list[tuple[str, dict[str, str]]]]:
    """Divides rows with the same text into operations, each of parts within days of another."""
    found: list[list[tuple[str, dict[str, str]]]] = []
    last = None
    for row in sorted(alike, key=lambda one: _start(one[1])):
        try:
            span = dates.window(_start(row[1]), _end(row[1]), "")
        except DataError:
            span = None  # named with the row when it is understood
        follows = last is not None and span is not None and span[0] - last <= _PARTS
        if follows:
            found[-1].append(row)
        else:
            found.append([row])
        last = span[1] if span is not None else None
    return found


def _start(cells: dict[str, str]) -> str:
    return cells.get("DM_DATE") or cells.get("DM_DATE_START", "")


def _end(cells: dict[str, str]) -> str:
    return cells.get("DM_DATE") or cells.get("DM_DATE_END", "")


def _entry(site: str, done: str, parts: list[tuple[str, dict[str, str]]]) -> Entry:
    cells = parts[0][1]
    text, how = cells.get("DM_COMMENT", ""), cells[done]
    event = _GROUPS[done]
    if done == "DM_AGRICULTURE" and how.casefold() != "harvest":
        words = text.casefold()
        event = next((name for pattern, name in _OTHER if re.search(pattern, words)), "other")
    starts = [_start(one) for _, one in parts]
    ends = [_end(one) for _, one in parts]
    shares = [_share(one.get("DM_SURF")) for _, one in parts]
    area = 1.0 if None in shares else min(1.0, sum(share for share in shares if share is not None))
    place = f"group {parts[0][0]}" + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    return Entry(
        place=place,
        site=site,
        first=min(starts),
        last=max(ends),
        event=event,
        crop=crop_names.in_words(text) if event in ("planting", "harvest", "cut") else "",
        words=" ".join((how, text)),
        amounts=_amounts(event, text, area),
    )


def _share(text: str | None) -> float | None:
    try:
        return None if text is None else float(text) / 100
    except ValueError:
        return None


def _amounts(event: str, text: str, area: float) -> dict[str, Amount]:
    if event == "irrigation" and (found := _WATER.search(text)):
        return {"water": Amount(repr(float(found[1]) * area), "in")}
    if event != "fertilisation":
        return {}
    for pattern, units in _NITROGEN:
        if found := pattern.search(text):
            return {"nitrogen": Amount(repr(float(found[1]) * area), units)}
    if found := _PRODUCT.search(text):
        pounds = float(found[1]) * float(found[2]) / 100 * area
        return {"nitrogen": Amount(repr(pounds), "lb N ac-1")}
    if found := _SOLUTION.search(text):
        pounds = float(found[1]) * _POUNDS_A_GALLON[found[2]] * area
        return {"nitrogen": Amount(repr(pounds), "lb N ac-1")}
    return {}
