"""Comma-separated tables: whole files only, missing codes removed, every cell a number."""

import gzip
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data import stamps, time_steps
from kgml_jax.errors import DataError, listed

MISSING = (-9999.0, -6999.0)
"""Codes of a missing value, beside an empty cell."""


def contents(path: Path) -> bytes:
    """Returns the bytes of a file, unpacked if it ends in `.gz`.

    Raises:
      DataError: it cannot be read to its end.
    """
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read to its end: {error}", file=path) from error


def header(data: bytes) -> list[str]:
    """Returns the column names of a table."""
    first = data.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace")
    return [name.strip().strip('"') for name in first.rstrip("\r").split(",")]


def columns(data: bytes, file: str, site: str | None = None) -> dict[str, pd.Series]:
    """Returns the columns of a table by name, exactly as they stand.

    Raises:
      DataError: the table is empty, cut in the middle of a line, or not a table.
    """
    names = header(data)
    lines = data.rstrip().rsplit(b"\n", 1)
    if len(lines) < 2:
        raise DataError("holds no rows", file=file, site=site)
    fields = lines[1].count(b",") + 1
    if b'"' not in lines[1] and fields != len(names):
        raise DataError(
            "is cut off: its last line is not complete",
            file=file,
            site=site,
            found=f"{fields} fields",
            expected=f"{len(names)}",
        )
    try:
        table = pd.read_csv(BytesIO(data), skipinitialspace=True, low_memory=False)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"is not a table: {error}", file=file, site=site) from error
    return {name: table.iloc[:, index] for index, name in enumerate(names)}


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
            expected="a number, or -9999 or an empty cell where the value is missing",
        )
    values[np.isin(values, MISSING)] = np.nan
    return values


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
