"""Which files lie under a path, what each of them is, and which are not read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kgml_jax.data import packed, site_table, time_steps
from kgml_jax.data.formats import bif, fluxdatakit, fluxnet, generic, kgml_sav
from kgml_jax.data.management import reader as management_table
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

SUFFIXES = (*generic.SUFFIXES, *kgml_sav.SUFFIXES)
"""Endings of the files that are no FLUXNET files, in any case."""

LIKE_DATA = (".csv", ".nc", ".nc4", ".zip", ".gz", ".tar", ".tgz", ".xlsx", ".xls", ".parquet")
"""Endings of files that somebody may expect to be read."""

_BESIDE = (site_table.FILE_NAME, management_table.FILE_NAME)
"""Tables that may lie beside the data and are none."""

NAMED = 12
"""Files that a note names at most."""

_ARCHIVE_OF_BASE = re.compile(r"^AMF_[A-Za-z]{2}-[A-Za-z0-9]+_BASE.*\.zip$", re.IGNORECASE)


@dataclass
class Found:
    """Files under a path.

    Attributes:
      data: in the order in which they are read.
      places: tables of site metadata, and archives that may hold one.
      notes: on what is not read.
    """

    data: list[Path]
    places: list[Path]
    notes: list[Note] = field(default_factory=list)


def is_tower(name: str) -> bool:
    """Whether a file name is that of a tower's daily file, or of an archive that may hold one."""
    return fluxnet.is_daily(name) or bool(fluxdatakit.DAILY_NAME.match(name))


def find(path: Path) -> Found:
    """Looks for the files of daily data at a path, and in the folders right under it.

    If there are daily files of towers, these are read; else all files of a form that is known.

    Raises:
      DataError: there is nothing, or nothing that can be read.
    """
    if _is_one(path):
        return _single(path)
    inside = _visible(path)
    files = [file for file in inside if _is_one(file)]
    below, notes = _one_deeper([file for file in inside if not _is_one(file)])
    towers = [file for file in files if is_tower(file.name)]
    others = [file for file in files if _is_schema(file)]
    deeper = [file for folder in below.values() for file in folder if is_tower(file.name)]
    if deeper and (towers or not others):
        towers += deeper
    read = towers or others or [file for file in files if _ARCHIVE_OF_BASE.match(file.name)]
    if not read:
        raise _nothing(path, files, below)
    everything = [*files, *(file for folder in below.values() for file in folder)]
    places = [file for file in everything if bif.is_table(file.name)]
    found = Found(read, [*places, *_archives(read)], notes)
    known = {*read, *places, *(path / name for name in _BESIDE)}
    left = [file for file in files if file not in known]
    found.notes += _not_read(left, "not FLUXNET daily files" if towers else "of an unknown kind")
    found.notes += [note for folder, held in below.items() for note in _below(folder, held, known)]
    return found


def _one_deeper(folders: Sequence[Path]) -> tuple[dict[Path, list[Path]], list[Note]]:
    inside, notes = {}, []
    for folder in folders:
        try:
            inside[folder] = _visible(folder)
        except DataError as error:
            notes.append(Note("", "", "warning", 1, error.line))
    return inside, notes


def _is_one(path: Path) -> bool:
    return not path.is_dir() or path.suffix.lower() == ".zarr"


def _is_schema(file: Path) -> bool:
    if file.name in _BESIDE or bif.is_table(file.name) or is_tower(file.name):
        return False
    return file.name.lower().endswith(SUFFIXES)


def _archives(files: Sequence[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() == ".zip"]


def _visible(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"the folder cannot be read: {error}", found=str(folder)) from error
    return [file for file in inside if not file.name.startswith((".", "__MACOSX"))]


def _single(path: Path) -> Found:
    if not path.exists() and not path.is_symlink():
        raise DataError("no such file or folder", found=str(path), expected="a path to data")
    if not path.is_dir():
        packed.require_regular(path)
    if not is_tower(path.name):
        time_steps.refuse_by_name(path)
    if bif.is_table(path.name) or bif.is_spreadsheet(path.name):
        expected = "the data it lies beside: give them, or the folder"
        raise DataError("is a table of site metadata", file=path, expected=expected)
    if fluxnet.site_of(path.name) != path.name and not is_tower(path.name):
        expected = f"a name with _DD_, like {fluxnet.EXAMPLE}"
        raise DataError("is not a daily FLUXNET file", file=path, expected=expected)
    if not (is_tower(path.name) or path.name.lower().endswith(SUFFIXES)):
        raise _unknown_kind(path)
    if not is_tower(path.name):
        return Found([path], [])
    places = [file for file in _visible(path.parent) if bif.is_table(file.name)]
    return Found([path], [*places, *_archives([path])])


def _nothing(path: Path, files: Sequence[Path], below: dict[Path, list[Path]]) -> DataError:
    held = {
        folder: [file for file in inside if _is_schema(file)] for folder, inside in below.items()
    }
    if any(held.values()):
        given = next(folder for folder, inside in held.items() if inside)
        return DataError(
            "the folder holds no file of daily data, but folders below it do",
            found=listed([folder.name for folder, inside in held.items() if inside]),
            expected=f"one of them, such as {given}",
        )
    names = [file.name for file in (*files, *below)]
    return DataError(
        "the folder holds no file of daily data",
        found=f"{path}: {listed(names) or 'nothing'}",
        expected="FLX_*_DD_*.csv or .zip, *.nc, *.zarr, *.csv or *.sav "
        "(towers' files are looked for one folder deeper)",
    )


def _not_read(files: Sequence[Path], message: str) -> list[Note]:
    tables = [file.name for file in files if bif.is_spreadsheet(file.name)]
    # What looks like data first: of many files only some are named.
    ranked = sorted(files, key=lambda file: not file.name.lower().endswith(LIKE_DATA))
    rest = [file.name for file in ranked if file.name not in tables]
    notes = []
    if tables:
        text = f"site metadata in a spreadsheet, not read; save as CSV: {listed(tables, NAMED)}"
        notes.append(Note("", "", "warning", len(tables), text))
    if rest:
        text = f"{message}, left out: {listed(rest, NAMED)}"
        notes.append(Note("", "", "warning", len(rest), text))
    return notes


def _below(folder: Path, held: Sequence[Path], known: set[Path]) -> list[Note]:
    left = [file for file in held if file not in known]
    if not left:
        return []
    text = f"in the folder {folder.name}, left out: {listed([file.name for file in left])}"
    return [Note("", "", "warning", len(left), text)]


def _unknown_kind(path: Path) -> DataError:
    ending = path.suffix.lower()
    recipe = None
    if ending in (".zip", ".gz", ".tar", ".tgz", ".7z"):
        recipe = f"    unpack it and give the folder: unzip {path.name} -d data"
    elif ending in (".xlsx", ".xls", ".parquet", ".feather"):
        opener = "read_excel" if ending.startswith(".xls") else f"read_{ending[1:]}"
        recipe = f'    pandas.{opener}("{path.name}").to_csv("sites.csv", index=False)'
    expected = f"a FLUXNET daily csv or zip, or {', '.join(SUFFIXES)}"
    problem = "cannot be read: unknown kind of file"
    return DataError(problem, file=path, expected=expected, recipe=recipe)
