"""Stamps of days: a zone never moves one, and what stands at the end of its day is named."""

import re

import pandas as pd

from kgml_jax.data.schema import Note, iso
from kgml_jax.errors import DataError, listed

FIRST_YEAR, LAST_YEAR = 1800, 2200
"""Years outside of which a date is damaged, or was read in the wrong units."""

_ZONE = r"\s*(?:Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)\s*$"
_ZONED = re.compile(rf"(?P<local>.*\d[T ]\s*\d{{1,2}}(?::\d+)*(?:\.\d+)?)(?P<zone>{_ZONE})", re.I)
_SINCE = re.compile(
    rf"(?P<local>\s*\w+\s+since\s+\d+-\d+-\d+(?:[T ]\s*[\d:]+(?:\.\d*)?)?)(?P<zone>{_ZONE})", re.I
)
_END_OF_DAY = re.compile(r"\d[T ]\s*24:00")
_LEAST_DAYS = 300


def without_zone(units: str) -> tuple[str, str | None]:
    """Returns units of time such as `days since 2001-01-01 00:00 -6:00` without zone, and the zone.

    A zone says where the stamps were made. Their days are those of that place, so none is moved.
    """
    match = _SINCE.fullmatch(units)
    return (match["local"].strip(), match["zone"].strip()) if match else (units, None)


def local(text: pd.Series, file: str, site: str | None) -> pd.Series:
    """Returns stamps as text without their zones; see `without_zone`.

    Raises:
      DataError: a stamp is 24:00, the end of its day.
    """
    at_end = text.loc[text.str.contains(_END_OF_DAY)]
    if len(at_end):
        raise DataError(
            "stamps stand at the end of their days",
            file=file,
            site=site,
            variable="time",
            found=f"{listed(list(at_end), 3)} in row {at_end.index[0] + 2}",
            expected="the day itself, YYYY-MM-DD",
            recipe=f'    table["{text.name or "time"}"].str.slice(0, 10)    # the day that ends',
        )
    return text.str.replace(_ZONED, lambda match: match["local"], regex=True)


def refuse_impossible(stamps: pd.DatetimeIndex, file: str) -> None:
    """Refuses dates at which nobody measured.

    Raises:
      DataError: naming the first of them.
    """
    wrong = stamps[(stamps.year < FIRST_YEAR) | (stamps.year > LAST_YEAR)]
    if len(wrong):
        expected = f"a date from {FIRST_YEAR} to {LAST_YEAR}"
        found = listed(iso(wrong), 3)
        raise DataError("no such days", file=file, variable="time", found=found, expected=expected)


def end_notes(days: pd.DatetimeIndex) -> list[Note]:
    """Says that a record seems to be stamped at the ends of its days.

    From 2 January to 1 January: whole years, each day under the date of the next. That is no
    proof, so nothing is moved.
    """
    if len(days) < _LEAST_DAYS:
        return []
    ends = [day[5:] for day in iso([days.min(), days.max()])]
    if ends != ["01-02", "01-01"]:
        return []
    message = (
        "from 2 January to 1 January, as if every day were stamped at its end (00:00 of the next "
        "day); if so, take a day off the stamps or add time_bnds: they are taken as they stand"
    )
    return [Note("", "time", "warning", len(days), message)]
