"""How the text of a table is laid out, and what is said of one that is not comma-separated."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from kgml_jax.errors import DataError, listed

LONGEST_HEADER = 2**20
"""Bytes of the line of names beyond which a file is taken to be no table."""

MOST_COLUMNS = 10_000
"""Names beyond which a file is taken to be no table; FLUXNET's widest has some 350."""

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_DECIMAL_COMMA = re.compile(r"(?:^|[;\t|\"])\s*-?\d+,\d+\s*(?:$|[;\t|\"])")
_NUMBER = re.compile(r"[-+]?\d[\d.:/T eE+-]*")


@dataclass(frozen=True)
class Body:
    """A table from its line of names on.

    Attributes:
      data: UTF-8, lines that end in a line feed.
      skipped: lines of comments before it.
      file: named in errors.
      site: named in errors.
    """

    data: bytes
    skipped: int
    file: str
    site: str | None

    @property
    def header(self) -> str:
        """The line of names."""
        return _first_line(self.data).decode("utf-8", errors="replace")

    @property
    def names(self) -> list[str]:
        """Names of the columns; of one without, its number."""
        fields = next(csv.reader([self.header], skipinitialspace=True), [])
        return [name.strip() or f"column {place}" for place, name in enumerate(fields, start=1)]

    def refuse(self, problem: str, **detail: str | None) -> NoReturn:
        """Raises the error of this table."""
        raise DataError(problem, file=self.file, site=self.site, **detail)


def body(data: bytes, file: str, site: str | None = None) -> Body:
    """Returns a table without byte order mark and without the comment lines (#) at its head.

    Raises:
      DataError: it is no text in UTF-8, or its first line is too long to be one of names.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        expected = "UTF-8: save the table as CSV UTF-8"
        raise DataError("is text in UTF-16", file=file, site=site, expected=expected)
    if b"\0" in data:
        problem = "is damaged or no text: it holds null bytes"
        raise DataError(problem, file=file, site=site, expected="a table in UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    data = _with_line_feeds(data, file, site)
    start = skipped = 0
    while data.startswith(b"#", start) and (end := data.find(b"\n", start)) >= 0:
        start = end + 1
        skipped += 1
    data = data[start:]
    table = Body(data, skipped, file, site)
    if len(_first_line(data)) > LONGEST_HEADER:
        table.refuse("is no table: its first line is longer than 1 MiB")
    return table


def _with_line_feeds(data: bytes, file: str, site: str | None) -> bytes:
    """Returns a text whose lines end in a line feed, whatever system wrote it."""
    if b"\r" not in data:
        return data
    if b"\n" not in data:
        return data.replace(b"\r", b"\n")
    data = re.sub(rb"\r+\n", b"\n", data)
    place = data.find(b"\r")
    if place >= 0:
        problem = "is damaged: a line end of another kind stands within a line"
        line = data.count(b"\n", 0, place) + 1
        found = f"a carriage return in line {line}"
        raise DataError(problem, file=file, site=site, found=found)
    return data


def rows(table: Body) -> np.ndarray:
    """Returns the line of the file of every row, after looking at the form of all of them.

    Raises:
      DataError: another separator, decimal commas, no names or two of one name, no rows, a row with
        a field too many or too few, or a last line that is not complete.
    """
    _check_separator(table)
    _check_names(table)
    lines, fields = _fields(table)
    expected = len(table.names)
    if not len(fields):
        table.refuse("holds no rows")
    wrong = np.flatnonzero(fields != expected)
    if not len(wrong):
        return lines
    found = f"{fields[wrong[0]]} fields"
    if wrong[0] == len(fields) - 1 and fields[-1] < expected:
        problem = "is cut off: its last line is not complete"
        table.refuse(problem, found=found, expected=f"{expected}")
    if np.mean(fields > expected) > 0.5:
        problem = "has more fields in its rows than names in its header: decimal commas, or commas "
        example = _line(table, int(lines[wrong[0]]))
        table.refuse(
            f"{problem}in text without quotes",
            found=f"{found} in row {lines[wrong[0]]}: {example}",
            expected=f"{expected} fields, and a point in a number",
        )
    several = f" and in {len(wrong) - 1} more rows" if len(wrong) > 1 else ""
    problem = "has a field too many" if fields[wrong[0]] > expected else "has a field too few"
    place = f"row {lines[wrong[0]]}"
    table.refuse(f"{place} {problem}", found=f"{found}{several}", expected=f"{expected}")


def _line(table: Body, number: int) -> str:
    line = table.data.split(b"\n")[number - table.skipped - 1]
    return line.strip().decode("utf-8", errors="replace")[:60]


def _first_line(data: bytes) -> bytes:
    end = data.find(b"\n")
    return data[: end if end >= 0 else len(data)].rstrip(b"\r")


def _check_separator(table: Body) -> None:
    header = table.header
    found = max(_OTHER_SEPARATORS, key=header.count)
    if header.count(found) <= header.count(","):
        return
    head = table.data[:10_000].decode("utf-8", errors="replace").splitlines()
    decimal = ', decimal=","' if any(_DECIMAL_COMMA.search(line) for line in head[1:20]) else ""
    read = f'pandas.read_csv("{table.file}", sep={found!r}{decimal}, dtype={{"site": str}})'
    commas = " and numbers with decimal commas" if decimal else ""
    table.refuse(
        f"has {_OTHER_SEPARATORS[found]} between its fields{commas}",
        expected="commas between fields, and a point in a number",
        recipe=f'    {read}.to_csv("commas.csv", index=False)',
    )


def _check_names(table: Body) -> None:
    names = table.names
    if len(names) > MOST_COLUMNS:
        found = f"{len(names)} names in its first line"
        table.refuse("is no table", found=found, expected=f"at most {MOST_COLUMNS}")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        places = [str(place) for place, name in enumerate(names, start=1) if name == twice[0]]
        table.refuse(
            "the column stands more than once",
            variable=listed(twice),
            found=f"columns {' and '.join(places)}",
            expected="every name once: take out or rename all but one",
        )
    if names and all(_NUMBER.fullmatch(name) for name in names):
        hint = ": take out the # before them" if table.skipped else ""
        table.refuse(
            "has no line of names",
            found=f"{listed(names, 3)} as its first line",
            expected=f"names of the columns first{hint}",
        )


def _fields(table: Body) -> tuple[np.ndarray, np.ndarray]:
    """Returns the line in the file and the number of fields of every row."""
    if b'"' not in table.data:
        counts = [
            (number, line.count(b",") + 1)
            for number, line in enumerate(table.data.split(b"\n"), start=1)
            if line.strip()
        ]
    else:
        text = table.data.decode("utf-8", errors="replace").split("\n")
        reader = csv.reader(text, skipinitialspace=True)
        try:
            counts = [(reader.line_num, len(row)) for row in reader if row not in ([], [""])]
        except csv.Error as error:
            table.refuse(f"is no table: {error}")
    found = np.array(counts[1:], dtype=np.int64).reshape(-1, 2)
    return found[:, 0] + table.skipped, found[:, 1]
