"""The table of site metadata, `sites.csv`: read, completed by FLUXNET's own, and accounted for."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data import names, tables
from kgml_jax.data.formats.bif import Places
from kgml_jax.data.schema import SITE_QUANTITIES, Note
from kgml_jax.errors import DataError, listed

FILE_NAME = "sites.csv"

_ALIASES = {"lat": "latitude", "lon": "longitude", "long": "longitude", "elev": "elevation"}
_TEXT = ("group", "igbp")

_AGREEMENT = {"latitude": 0.1, "longitude": 0.1, "elevation": 50.0}
"""Degrees and metres by which two tables may differ on where a site lies."""


def load(path: Path | None, near: Path) -> tuple[pd.DataFrame, list[Note]]:
    """Returns the table, indexed by site, and notes on what of it is not used.

    Args:
      path: the table; None looks for `sites.csv` in the folder `near` and in its parent.
      near: the data's own path.

    Returns:
      A table with the columns `group`, `igbp` and the names of `SITE_QUANTITIES` that are given,
      numbers as such; empty if there is no table.

    Raises:
      DataError: the table is not there, is no table, has no column `site`, or a site is named twice
        or not at all.
    """
    path = beside(near) if path is None else path
    if path is None:
        return pd.DataFrame(), []
    if not os.path.lexists(path):
        raise DataError("no such file", file=path, expected="a table of site metadata")
    data = tables.contents(path)
    columns = tables.columns(data, path.name)
    known = {name: _known(name) for name in columns}
    _check_columns(path, known)
    column = next(columns[name] for name, meaning in known.items() if meaning == "site")
    sites, notes = names.in_column(column, path.name, "site")
    notes += tables.unfinished(data, path.name)
    twice = pd.Index(sites)[pd.Index(sites).duplicated()]
    if len(twice):
        raise DataError("more than one row for a site", file=path, site=str(twice[0]))
    table = pd.DataFrame(index=pd.Index(sites, name="site"))
    for name, meaning in known.items():
        if meaning in _TEXT:
            table[meaning] = columns[name].str.strip().to_numpy()
        elif meaning is not None and meaning != "site":
            table[meaning], more = _numbers(columns[name], sites, meaning, path.name)
            notes += more
    unused = [name for name, meaning in known.items() if meaning is None]
    if unused:
        message = f"columns of {path.name} that are not used: {listed(unused, 12)}"
        notes.append(Note("", "", "left out", len(unused), message))
    return table, notes


def beside(near: Path) -> Path | None:
    """Returns `sites.csv` in the folder `near` or in its parent; None if it is in neither."""
    folder = near if near.is_dir() else near.parent
    found = [place / FILE_NAME for place in (folder, folder.resolve().parent)]
    # A folder or a broken link of that name was meant to be the table: it is found, and refused.
    return next((place for place in found if os.path.lexists(place)), None)


def _known(column: str) -> str | None:
    name = column.casefold()
    name = {"site_id": "site", **_ALIASES}.get(name, name)
    return name if name in ("site", *_TEXT, *SITE_QUANTITIES) else None


def _check_columns(path: Path, known: dict[str, str | None]) -> None:
    if "site" not in known.values():
        raise DataError("no column 'site'", file=path, found=", ".join(known))
    for name in dict.fromkeys(filter(None, known.values())):
        same = [column for column, meaning in known.items() if meaning == name]
        if len(same) > 1:
            found = " and ".join(same)
            raise DataError("the column stands twice", file=path, variable=name, found=found)


def _numbers(
    column: pd.Series, sites: np.ndarray, name: str, file: str
) -> tuple[np.ndarray, list[Note]]:
    values = np.array(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    values[np.isin(values, tables.MISSING)] = np.nan
    text = np.flatnonzero(~np.isfinite(values) & np.asarray(column.notna()))
    values[text] = np.nan
    cells = [(int(row), str(column.iloc[row]).strip()) for row in text]
    notes = [
        Note(str(sites[row]), name, "warning", 1, f"{cell!r} in {file} is no number, not used")
        for row, cell in cells
        if _says_something(cell)
    ]
    return values, notes


def _says_something(cell: str) -> bool:
    try:
        return float(cell) not in tables.MISSING and not np.isnan(float(cell))
    except ValueError:
        return bool(cell)


def unmatched(table: pd.DataFrame, sites: Iterable[str], file: str) -> list[Note]:
    """Returns notes on rows that are of no site of the data, with the sites that may be meant.

    Args:
      table: of `load`.
      sites: of the data, also of those that cannot be used; without any there is nothing to say.
      file: of the table.
    """
    sites = set(sites)
    if not sites:
        return []
    rows = [str(site) for site in table.index if site not in sites]
    without = sorted(sites - set(table.index))
    slips = [name for name in rows if names.meant(name, without)]
    others = [name for name in rows if name not in slips]
    notes = []
    if slips:
        message = f"rows of {file} that match no site: {names.suggestions(slips, without)}"
        notes.append(Note("", "", "warning", len(slips), message))
    if others:
        message = f"rows of {file} of sites that are not in the data: {listed(others)}"
        notes.append(Note("", "", "left out", len(others), message))
    return notes


def complete(
    table: pd.DataFrame, places: Places, sites: Iterable[str]
) -> tuple[pd.DataFrame, list[Note]]:
    """Completes a table from what FLUXNET's tables say of its sites; what it gives itself wins.

    Returns:
      The table with a row of every site that either knows, and a note on each value taken or, where
      the two say quite different things, not taken.
    """
    rows = {str(site): _given(table.loc[site]) for site in table.index}
    notes = []
    for site in [site for site in sites if site in places.values]:
        file, row = places.files[site], rows.setdefault(site, {})
        taken = {name: value for name, value in places.values[site].items() if name not in row}
        if taken:
            text = ", ".join(f"{name} {value}" for name, value in taken.items())
            message = f"read from {file}: {text}"
            notes.append(Note(site, "place", "filled", len(taken), message))
        for name, value in places.values[site].items():
            if name not in taken and _differs(name, row[name], value):
                message = f"{row[name]} is given and used; {file} says {value}"
                notes.append(Note(site, name, "warning", 1, message))
        row |= taken
    return pd.DataFrame.from_dict(rows, orient="index"), notes


def _given(row: pd.Series) -> dict[str, float | str]:
    return {str(name): value for name, value in row.items() if pd.notna(value) and value != ""}


def _differs(name: str, ours: float | str, theirs: float | str) -> bool:
    if name in _AGREEMENT:
        return abs(float(ours) - float(theirs)) > _AGREEMENT[name]
    return str(ours).casefold() != str(theirs).casefold()
