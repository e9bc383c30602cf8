"""From a file to the events of every site: whose table it is, and what its rows mean."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kgml_jax.data import names, tables
from kgml_jax.data.formats import bif
from kgml_jax.data.management import badm, icasa, pecan, tidy
from kgml_jax.data.management.events import Entry, Event, understood
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, kept, listed, raise_together

FILE_NAME = "management.csv"
"""What a table beside the data is called."""


@dataclass(frozen=True)
class Diary:
    """The rows of a file, by site.

    Attributes:
      file: its name; empty where there is none.
      rows: by site, as they stand.
      notes: on what of the file is not used.
    """

    file: str = ""
    rows: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def events(self, site: str) -> tuple[list[Event], list[str]]:
        """Returns the events of a site, and the places of its rows without a date.

        Raises:
          DataError: rows of the site cannot be understood; all of them are named.
        """
        errors: list[DataError] = []
        found, without = [], []
        for entry in self.rows.get(site, ()):
            with kept(errors):
                event = understood(entry)
                if event is None:
                    without.append(entry.place)
                else:
                    found.append(event)
        raise_together([self._placed(error, site) for error in errors])
        return found, without

    def _placed(self, error: DataError, site: str) -> DataError:
        place = {"file": self.file, "site": site, "variable": error.variable}
        return DataError(error.problem, recipe=error.recipe, **place)


def beside(near: Path) -> Path | None:
    """Returns `management.csv` in the folder of the data or in its parent; None without one."""
    folder = near if near.is_dir() and near.suffix.lower() != ".zarr" else near.parent
    found = [place / FILE_NAME for place in (folder, folder.resolve().parent)]
    return next((place for place in found if os.path.lexists(place)), None)


def load(path: Path | None) -> Diary:
    """Reads a table of events: ours, a tidy one, ICASA, BADM, PEcAn or SIPNET, by its content.

    Raises:
      DataError: it is not there, is none of them, or may be several.
    """
    if path is None:
        return Diary()
    if not os.path.lexists(path):
        raise DataError(
            "no such file", file=path, expected="a table of events (docs/management.md)"
        )
    data = tables.contents(path)
    try:
        rows, notes = _of_text(data, path.name) if _is_plain(data) else _of_table(data, path.name)
    except DataError as error:
        place = {"file": path, "site": error.site, "variable": error.variable}
        raise DataError(error.problem, recipe=error.recipe, **place) from error
    by_site: dict[str, list[Entry]] = {}
    rows, more = _without_repeats(rows, path.name)
    for row in rows:
        if row.site.strip():
            names.check(row.site, path.name)
        by_site.setdefault(row.site.strip(), []).append(row)
    notes = [*notes, *more]
    return Diary(path.name, {site: tuple(of) for site, of in by_site.items()}, tuple(notes))


def _without_repeats(rows: list[Entry], file: str) -> tuple[list[Entry], list[Note]]:
    """Returns rows without those that say what another says in everything, each told by site."""
    seen: dict[Entry, Entry] = {}
    repeated: dict[str, list[str]] = {}
    kept = []
    for row in rows:
        said = replace(row, place="")
        if said in seen:
            repeated.setdefault(row.site.strip(), []).append(f"{row.place} ({seen[said].place})")
            continue
        seen[said] = row
        kept.append(row)
    notes = []
    for site, places in repeated.items():
        message = f"rows of {file} that repeat another, counted once: {listed(places, 12)}"
        notes.append(Note(site, "management", "warning", 1, message))
    return kept, notes


def _is_plain(data: bytes) -> bool:
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return start in (b"{", b"[") or pecan.is_sipnet(data[:4096].decode("utf-8", "replace"))


def _of_text(data: bytes, file: str) -> tuple[list[Entry], list[Note]]:
    try:
        text = data.decode("utf-8-sig")
        if text.lstrip()[:1] not in ("{", "["):
            return pecan.of_sipnet(text), []
        document = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"is damaged: {error}", file=file) from error
    if pecan.is_one(document):
        return pecan.entries(document), []
    if icasa.is_package(document):
        return icasa.of_package(document), []
    expected = "PEcAn (site_id, events) or an ACE package of AgMIP (experiments)"
    raise DataError("is JSON, but no table of events", file=file, expected=expected)


def _of_table(data: bytes, file: str) -> tuple[list[Entry], list[Note]]:
    header = tables.header(data, file)
    kinds = {
        "events": tidy.is_one(header),
        "ICASA": icasa.is_one(header),
        "BADM": badm.is_one(header),
    }
    fitting = [name for name, fits in kinds.items() if fits]
    if len(fitting) != 1:
        raise DataError(
            "may be several kinds of table" if fitting else "is no table of events",
            file=file,
            found=f"{', '.join(fitting)}: columns {listed(header, 12)}"
            if fitting
            else listed(header, 12),
            expected="columns site, event and date (or date_start, date_end); or those of ICASA "
            "(pdate, hadat, fedate, ...), or of BADM (SITE_ID, GROUP_ID, VARIABLE, DATAVALUE)",
        )
    if fitting == ["BADM"]:
        try:
            return badm.entries(bif.rows(file, data, badm.VARIABLES) or []), []
        except csv.Error as error:
            raise DataError(f"is no table: {error}", file=file) from error
    columns, unfinished = tables.texts(data, file), tables.unfinished(data, file)
    if fitting == ["ICASA"]:
        places = next(iter(columns.values())).index
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        cells = (dict(zip(columns, row, strict=True)) for row in rows)
        return icasa.entries(
            zip((f"row {at + 2}" for at in places), cells, strict=True)
        ), unfinished
    rows, notes = tidy.entries(columns, file)
    return rows, [*notes, *unfinished]


def untold(
    managed: Mapping[str, tuple[str, int]], diary: Diary, sites: Sequence[str]
) -> list[Note]:
    """Tells of tables of site metadata that hold management which no table of events gives.

    Args:
      managed: by site, the table that tells of sowings and harvests, and how many.
      diary: the table of events.
      sites: of the data.
    """
    return [
        Note(
            site,
            "management",
            "left out",
            managed[site][1],
            f"{managed[site][0]} tells of sowings and harvests: --management reads it",
        )
        for site in sites
        if site in managed and site not in diary.rows
    ]


def for_sites(diary: Diary, sites: Sequence[str]) -> tuple[Diary, list[Note]]:
    """Gives rows without a site to the only one of the data, and says what concerns its sites.

    Args:
      diary: of a file.
      sites: of the data, also those that cannot be used.

    Raises:
      DataError: rows name no site, and the data hold several.
    """
    if not diary.file or not sites:
        return diary, list(diary.notes)
    rows = dict(diary.rows)
    if "" in rows:
        if len(sites) > 1 or len(rows) > 1:
            raise DataError(
                "rows without a site",
                file=diary.file,
                variable="site",
                found=listed([row.place for row in rows[""]], 3),
                expected="a site in every row, unless file and data are of one site",
            )
        rows = {sites[0]: rows[""]}
    others = [site for site in rows if site not in sites]
    without = [site for site in sites if site not in rows]
    slips = [site for site in others if names.meant(site, without)]
    notes = [note for note in diary.notes if note.site in ("", *sites)]
    if rows and without and len(without) < len(sites):
        message = f"sites of the data that {diary.file} does not name: {listed(without, 12)}"
        notes.append(Note("", "management", "warning", len(without), message))
    if slips:
        message = f"rows of {diary.file} that match no site: {names.suggestions(slips, without)}"
        notes.append(Note("", "management", "warning", len(slips), message))
    if rest := [site for site in others if site not in slips]:
        message = f"rows of {diary.file} of sites that are not in the data: {listed(rest, 12)}"
        notes.append(Note("", "management", "left out", len(rest), message))
    return Diary(diary.file, rows), notes
