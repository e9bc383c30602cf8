"""Dates of events: days, months, years and windows, as tables write them."""

import datetime
import re

import numpy as np

from kgml_jax.errors import DataError

_MONTH = np.timedelta64(1, "M")
_YEAR = np.timedelta64(1, "Y")
_DAY = np.timedelta64(1, "D")
_FORMS = (
    (re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ]?\d{2}:?\d{2}(?::?\d{2})?)?(?:\.0)?"), "D"),
    (re.compile(r"(\d{4})-?(\d{2})(?:\.0)?"), "M"),
    (re.compile(r"(\d{4})(?:\.0)?"), "Y"),
)
MISSING = frozenset(("", "-9999", "-99", "na", "nan", "null", "none"))
"""Cells that say nothing, in lower case."""


def window(first: str, last: str, place: str) -> tuple[np.datetime64, np.datetime64] | None:
    """Returns the first and last day of what two cells say; None if neither says anything.

    A month or a year alone is a window of all its days.

    Args:
      first: date, or start of the window.
      last: end of the window; empty where it is one day.
      place: of the row, for the error.

    Raises:
      DataError: a cell is no date, no such day exists, or the end is before the start.
    """
    given = [cell for cell in (first, last) if cell.strip().casefold() not in MISSING]
    if not given:
        return None
    start, end = _span(given[0], place)[0], _span(given[-1], place)[1]
    if end < start:
        found = f"{given[0]} to {given[-1]} in {place}"
        raise DataError("the event ends before it begins", variable="date", found=found)
    return start, end


def _span(cell: str, place: str) -> tuple[np.datetime64, np.datetime64]:
    text = cell.strip()
    for pattern, unit in _FORMS:
        if (match := pattern.fullmatch(text)) is None:
            continue
        year, month, day = (int(part) for part in (*match.groups(), "1", "1")[:3])
        try:
            start = np.datetime64(datetime.date(year, month, day))
        except ValueError:
            break
        length = {"D": 0, "M": _MONTH, "Y": _YEAR}[unit]
        if unit == "D":
            return start, start
        return start, (start.astype(f"datetime64[{unit}]") + length).astype("datetime64[D]") - _DAY
    raise DataError(
        "is no date",
        variable="date",
        found=f"{text!r} in {place}",
        expected="a day that exists, YYYY-MM-DD or YYYYMMDD; a month or a year alone is a window",
    )


def of_year(year: str, day: str, place: str) -> str:
    """Returns the ISO date of a day of the year.

    Raises:
      DataError: they are no numbers, or the year has no such day.
    """
    try:
        start = np.datetime64(f"{int(year):04d}-01-01")
        found = start + int(day) - 1
    except ValueError:
        found = None
    if found is None or not 1 <= int(day) <= 366 or str(found)[:4] != str(start)[:4]:
        found = f"year {year}, day {day} in {place}"
        raise DataError("is no day of a year", variable="date", found=found, expected="1 to 366")
    return str(found)
