"""Names of sites and groups: text as it stands in a table, and what is no name."""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

LONGEST = 200
"""Characters of a name beyond which something else stands in its place."""

_MISSING = frozenset({"-9999", "-9999.0", "-6999", "-6999.0"})
_ERRORS = frozenset({"#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"})
"""What spreadsheets write where a formula failed."""
_ALIKE = 0.8
"""Share of letters in common from which one name may be a slip of the pen for another."""


def in_column(column: pd.Series, file: str, name: str) -> tuple[np.ndarray, list[Note]]:
    """Returns the names in a column of text, without padding and without the .0 of spreadsheets.

    Args:
      column: strings, of a table of `tables.columns`.
      file: named in errors and notes.
      name: of the column, such as `site`.

    Raises:
      DataError: a cell is empty, or holds what is no name.
    """
    text = column.str.strip()
    if (text == "").any():
        row = int(column.index[(text == "").to_numpy()][0]) + 2
        raise DataError(
            "the cell is empty", file=file, variable=name, found=f"row {row}", expected="a name"
        )
    whole = text.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    for one in whole.unique():
        check(one, file, name)
    notes = []
    for before, after, how in ((column, text, "without padding"), (text, whole, "whole numbers")):
        changed = np.flatnonzero(before != after)
        if len(changed):
            example = f"{before.iloc[changed[0]]!r} is {after.iloc[changed[0]]!r}"
            message = f"names in {file} are read {how}: {example}"
            notes.append(Note("", name, "converted", len(changed), message))
    return whole.to_numpy(dtype=object), notes


def check(name: str, file: str | None, variable: str = "site") -> None:
    """Refuses what cannot be the name of a site or group.

    Raises:
      DataError: it is empty, a code of a missing value or an error of a spreadsheet, too long, or
        holds line ends, tabs or other control characters.
    """
    if name.strip() in _MISSING | _ERRORS:
        raise DataError(
            "a name is missing", file=file, variable=variable, found=repr(name), expected="a name"
        )
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        expected = f"1 to {LONGEST} characters that can be printed"
        found = repr(name[:40]) + (f" and {len(name) - 40} more" if len(name) > 40 else "")
        raise DataError("is no name", file=file, variable=variable, found=found, expected=expected)


def meant(name: str, others: Iterable[str]) -> str | None:
    """Returns which of `others` a name may stand for; None if it is like none of them."""
    others = list(others)
    plain = [other for other in others if _plain(other) == _plain(name)]
    return next(iter(plain or difflib.get_close_matches(name, others, 1, _ALIKE)), None)


def suggestions(names: Sequence[str], others: Iterable[str]) -> str:
    """Returns names as text, each with what may have been meant."""
    others = list(others)
    pairs = [(name, meant(name, others)) for name in names]
    return listed([f"{name} (did you mean {other}?)" if other else name for name, other in pairs])


def _plain(name: str) -> str:
    letters = "".join(letter for letter in name.casefold() if letter.isalnum())
    return letters.lstrip("0") or letters
