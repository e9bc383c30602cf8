"""Tables of FLUXNET's site metadata (BIF, BADM): long, with one row a variable.

Columns SITE_ID, GROUP_ID, VARIABLE_GROUP, VARIABLE and DATAVALUE in any order, as AmeriFlux, ICOS
(SITEINFO), TERN and FLUXNET distribute them. Read are place and vegetation, nothing else.
"""

import csv
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kgml_jax.data import packed
from kgml_jax.data.formats import fluxnet
from kgml_jax.data.schema import SITE_QUANTITIES, Note
from kgml_jax.errors import DataError, listed

VARIABLES = {
    "LOCATION_LAT": "latitude",
    "LOCATION_LONG": "longitude",
    "LOCATION_ELEV": "elevation",
    "IGBP": "igbp",
}
"""What is read, and its name in `sites.csv`."""

MANAGED = ("DM_PLANTING", "DM_AGRICULTURE")
"""Variables by which a table tells of sowings and harvests."""

_NAME = re.compile(r"(?i)(?:^|[_-])(?:BIF|BADM|SITEINFO)[_.-]")
_COLUMNS = ("VARIABLE", "DATAVALUE")
_DATES = ("LOCATION_DATE_START", "IGBP_DATE_START")


@dataclass
class Places:
    """What tables say of sites.

    Attributes:
      values: by site, by name as in `sites.csv`: a number, or text of `igbp`.
      files: by site, the table it comes from.
      managed: by site, the table that tells of its sowings and harvests, and how many.
      notes: on what could not be used.
    """

    values: dict[str, dict[str, float | str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    managed: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def is_table(name: str) -> bool:
    """Whether a file name is that of a table of site metadata that can be read."""
    return bool(_NAME.search(name)) and name.lower().endswith((".csv", ".csv.gz"))


def is_spreadsheet(name: str) -> bool:
    """Whether a file name is that of such a table in a form that is not read."""
    return bool(_NAME.search(name)) and name.lower().endswith((".xlsx", ".xls"))


def load(files: Iterable[Path]) -> Places:
    """Reads the tables, and those within archives; of a site the first table counts.

    Nothing here is an error: what cannot be read is no metadata, and a note says so.
    """
    places = Places()
    for file in files:
        try:
            tables = list(_tables(file))
        except DataError as error:
            places.notes.append(Note("", "", "warning", 1, f"site metadata: {error.line}"))
            continue
        for name, data in tables:
            _add(places, name, data)
    return places


def _tables(file: Path) -> Iterator[tuple[str, bytes]]:
    if file.suffix.lower() != ".zip":
        yield file.name, packed.contents(file)
        return
    archive = packed.Archive(file)
    for member in archive.names:
        if is_table(Path(member).name):
            yield Path(member).name, archive.read(member)


def _add(places: Places, file: str, data: bytes) -> None:
    try:
        found = rows(file, data, (*VARIABLES, *_DATES, *MANAGED))
    except csv.Error as error:
        message = f"{file} cannot be read as a table of site metadata: {error}"
        places.notes.append(Note("", "", "warning", 1, message))
        return
    if found is None:
        message = f"{file} is no table of site metadata: no columns {' and '.join(_COLUMNS)}"
        places.notes.append(Note("", "", "warning", 1, message))
        return
    for site in dict.fromkeys(row["SITE_ID"] for row in found):
        if site in places.values:
            continue
        own = [row for row in found if row["SITE_ID"] == site]
        if managed := sum(row["VARIABLE"] in MANAGED for row in own):
            places.managed.setdefault(site, (file, managed))
        values, notes = _place(site, own, file)
        if values:
            places.values[site] = values
            places.files[site] = file
        places.notes += notes


def rows(file: str, data: bytes, wanted: Container[str]) -> list[dict[str, str]] | None:
    """Returns the rows of variables that are wanted; None if it is not such a table.

    Raises:
      csv.Error: it is not comma-separated.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    # Only what is read needs to be whole: free text beside it often breaks the rules of a table.
    reader = csv.reader(line for line in text.splitlines() if "\0" not in line)
    names = [name.strip().upper() for name in next(reader, [])]
    if any(column not in names for column in _COLUMNS):
        return None
    found = []
    for fields in reader:
        row = dict(zip(names, map(str.strip, fields), strict=False))
        if row.get("VARIABLE", "") in wanted and row.get("DATAVALUE"):
            found.append({"SITE_ID": fluxnet.site_of(file), "GROUP_ID": "", **row})
    return found


def _place(
    site: str, rows: list[dict[str, str]], file: str
) -> tuple[dict[str, float | str], list[Note]]:
    values: dict[str, float | str] = {}
    notes = []
    for variable, name in VARIABLES.items():
        given = [row for row in rows if row["VARIABLE"] == variable]
        if not given:
            continue
        latest = max(given, key=lambda row: _since(row, rows))
        distinct = list(dict.fromkeys(row["DATAVALUE"] for row in given))
        value = latest["DATAVALUE"] if name == "igbp" else _number(name, latest["DATAVALUE"])
        if value is None:
            message = f"{latest['DATAVALUE']!r} in {file} is no {name} and is not used"
            notes.append(Note(site, name, "warning", 1, message))
            continue
        values[name] = value
        if len(distinct) > 1:
            message = f"{file} gives {listed(distinct)}; the latest, {value}, is used"
            notes.append(Note(site, name, "warning", 1, message))
    return values, notes


def _since(row: dict[str, str], rows: list[dict[str, str]]) -> str:
    """Returns the date from which a row holds: it stands in another row of the same group."""
    dates = [
        other["DATAVALUE"]
        for other in rows
        if other["VARIABLE"] in _DATES and other["GROUP_ID"] == row["GROUP_ID"]
    ]
    return max(dates, default="")


def _number(name: str, text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    low, high = SITE_QUANTITIES[name].bounds or (-float("inf"), float("inf"))
    return number if low <= number <= high else None
