"""What a reader can see of a damage: the judge's own look at a table before and after."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field

from fuzzing.sources import EVERYTHING, Source

ALL = 10**9
"""Entries, of a variable that may differ throughout."""


@dataclass(frozen=True)
class Effect:
    """What may come of a damage without a word.

    Attributes:
      changed: by variable, how many of its entries may differ because the content is a whole input
        of other numbers; nothing else may.
      absent: variables that may be absent.
      lost: rows at an end that may be absent, of every variable.
      must_load: the content is the same, in another order or form.
      renamed: names and dates are text of the file, and may be others.
    """

    changed: dict[str, int] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    lost: int = 0
    must_load: bool = False
    renamed: bool = False


SHOWS = Effect()
"""The content shows the damage: no number may differ without a word."""
SAME = Effect(must_load=True)


def of_columns(source: Source, columns: Iterable[str], count: int) -> Effect:
    """Returns the effect of other values in some cells of columns, or that of damage to places."""
    changed: dict[str, int] = {}
    for column in columns:
        if column not in source.columns:
            return SHOWS
        for variable in source.columns[column]:
            changed[variable] = changed.get(variable, 0) + count
    return Effect(changed)


def grid(data: bytes) -> list[list[str]] | None:
    """Returns the cells of a table that is laid out as it should be; None of any other."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text or "\r" in text or not text.endswith("\n"):
        return None
    rows = list(csv.reader(text.splitlines(), strict=False))
    if text.count("\n") != len(rows) or not rows or not all(len(r) == len(rows[0]) for r in rows):
        return None
    return rows


def text_of(rows: list[list[str]]) -> bytes:
    """Returns a table as text."""
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in rows]
    return "".join(",".join(row) + "\n" for row in quoted).encode()


def between(before: bytes, after: bytes, source: Source) -> Effect:
    """Compares two tables cell by cell."""
    old, new = grid(before), grid(after)
    if old is None or new is None:
        return SHOWS
    if new == old[: len(new)]:
        return Effect(changed={EVERYTHING: ALL}, lost=len(old) - len(new))
    if len(new) != len(old) or len(new[0]) != len(old[0]):
        return SHOWS
    effect = Effect()
    names = [
        place for place, (one, other) in enumerate(zip(old[0], new[0], strict=True)) if one != other
    ]
    if names:
        if len(set(new[0])) < len(new[0]) or any(old[0][at] not in source.columns for at in names):
            return SHOWS
        absent = [name for at in names for name in source.columns[old[0][at]]]
        effect = Effect(absent=frozenset(absent))
    cells = [
        old[0][at]
        for one, other in zip(old[1:], new[1:], strict=True)
        for at, (left, right) in enumerate(zip(one, other, strict=True))
        if left != right
    ]
    changed = of_columns(source, cells, 1)
    if cells and changed is SHOWS:
        return SHOWS
    # A name of a county or a year is in two places: where it was and where it is.
    counts = {name: ALL if name == EVERYTHING else count for name, count in changed.changed.items()}
    return Effect(counts, effect.absent)
