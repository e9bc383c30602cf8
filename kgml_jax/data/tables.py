"""Comma-separated tables: whole files only, missing codes removed, every cell a number."""

import re
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from kgml_jax.data import layout, stamps, time_steps
from kgml_jax.data.packed import contents as contents
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

MISSING = (-9999.0, -6999.0)
"""Codes of a missing value, beside an empty cell."""

TEXT = frozenset({"site", "site_id", "group", "igbp", "run"})
"""Columns that are text whatever stands in them: 01001 keeps its zero and NA is a name."""

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def header(data: bytes, file: str) -> list[str]:
    """Returns the column names of a table; lines of comments before them are passed over.

    Raises:
      DataError: it is no text.
    """
    return layout.body(data, file).names


def columns(data: bytes, file: str, site: str | None = None) -> dict[str, pd.Series]:
    """Returns the columns of a table by name, exactly as they stand.

    The index of a column is the line in the file, less 2. The columns of `TEXT` are strings.

    Raises:
      DataError: the table is empty, cut in the middle of a line, has two columns of one name, or is
        not laid out as a comma-separated table.
    """
    table = layout.body(data, file, site)
    names, rows = table.names, layout.rows(table)
    texts = [place for place, name in enumerate(names) if name.casefold() in TEXT]
    try:
        cells = _cells(table.data)
        # Apart: beside numbers, pandas takes the name NA for a missing number.
        text = _cells(table.data, usecols=texts, dtype=str, na_filter=False) if texts else None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"is not a table: {error}", file=file, site=site) from error
    by_name = {name: cells.iloc[:, place] for place, name in enumerate(names)}
    if text is not None:
        by_name |= {names[place]: text.iloc[:, row] for row, place in enumerate(texts)}
    if len(rows) == len(cells) and rows[-1] != len(rows) + 1:
        index = pd.Index(rows - 2)
        return {name: column.set_axis(index) for name, column in by_name.items()}
    return by_name


def texts(data: bytes, file: str) -> dict[str, pd.Series]:
    """Returns the columns of a table by name, every cell as the text that stands there.

    The index of a column is the line in the file, less 2.

    Raises:
      DataError: as `columns`.
    """
    table = layout.body(data, file)
    names, rows = table.names, layout.rows(table)
    try:
        cells = _cells(table.data, dtype=str, na_filter=False)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"is not a table: {error}", file=file) from error
    index = pd.Index(rows - 2) if len(rows) == len(cells) else cells.index
    return {name: cells.iloc[:, at].set_axis(index) for at, name in enumerate(names)}


def _cells(data: bytes, **how: Any) -> pd.DataFrame:
    return pd.read_csv(
        BytesIO(data), skipinitialspace=True, low_memory=False, index_col=False, **how
    )


def refuse_unfinished(data: bytes, file: str, site: str | None = None) -> None:
    """Refuses a table whose last line has no end, of a kind that always has one.

    Raises:
      DataError: the last number may have lost digits: -9999 cut to -9 looks like a measurement.
    """
    if not data.endswith((b"\n", b"\r")):
        raise DataError("the file is cut off", file=file, site=site, found="an unfinished line")


def unfinished(data: bytes, file: str) -> list[Note]:
    """Warns of a table whose last line has no end: some programs write none."""
    if data.endswith((b"\n", b"\r")):
        return []
    message = f"the last line of {file} has no end: if it was cut off, its last value is wrong "
    message += "and what stood behind it is lost"
    return [Note("", "last row", "warning", 1, message)]


def numbers(column: pd.Series, file: str, site: str | None, variable: str) -> np.ndarray:
    """Returns a column as float64 with NaN where a value is missing.

    Raises:
      DataError: a cell is neither a number nor a code of a missing value.
    """
    values = np.array(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    text = column.loc[np.isnan(values) & np.asarray(column.notna())]
    if len(text):
        raise DataError(
            "is not a number",
            file=file,
            site=site,
            variable=variable,
            found=f"{text.iloc[0]!r} in row {text.index[0] + 2}",
            expected=_number_wanted(str(text.iloc[0])),
        )
    values[np.isin(values, MISSING)] = np.nan
    return values


def _number_wanted(text: str) -> str:
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        return "a point in a number, not a comma"
    return "a number, or -9999 or an empty cell where the value is missing"


def daily(column: pd.Series, file: str, site: str | None, hours: str) -> pd.DatetimeIndex:
    """Returns the days of the time column of a daily series, as `dates`.

    Args:
      column: dates, `YYYYMMDD` or ISO.
      file: named in an error.
      site: named in an error.
      hours: recipe that makes days of hours; see `time_steps`.

    Raises:
      DataError: a cell is not a date, or the series is of another time step.
    """
    time_steps.refuse_by_digits(_text(column), file, hours)
    times = _stamps(column, file, site)
    time_steps.refuse_by_spacing(times, file, hours)
    return times.floor("D").as_unit("ns")


def dates(column: pd.Series, file: str, site: str | None = None) -> pd.DatetimeIndex:
    """Returns the days of a column of dates, `YYYYMMDD` or ISO.

    Raises:
      DataError: a cell is not a date.
    """
    return _stamps(column, file, site).floor("D").as_unit("ns")


def _text(column: pd.Series) -> pd.Series:
    return column.astype(str).str.strip()


def _stamps(column: pd.Series, file: str, site: str | None) -> pd.DatetimeIndex:
    text = stamps.local(_text(column), file, site)
    compact = bool(text.str.fullmatch(r"\d{8}").all())
    days = pd.to_datetime(text, format="%Y%m%d" if compact else "ISO8601", errors="coerce")
    wrong = text.loc[np.asarray(days.isna())]
    if len(wrong):
        raise DataError(
            "is not a date",
            file=file,
            site=site,
            variable=str(column.name).strip(),
            found=f"{listed(list(wrong), 3)} in row {wrong.index[0] + 2}",
            expected="YYYYMMDD or YYYY-MM-DD",
        )
    times = pd.DatetimeIndex(days, name="time")
    stamps.refuse_impossible(times, file)
    return times
