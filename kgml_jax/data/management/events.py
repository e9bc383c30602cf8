"""One row of a table of events: as it stands, and as it is understood."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kgml_jax.data.management import dates, vocabulary
from kgml_jax.data.names import meant
from kgml_jax.data.units import conversion, convert
from kgml_jax.errors import DataError

AMOUNTS = {
    "nitrogen": "g N m-2",
    "ammonium": "g N m-2",
    "nitrate": "g N m-2",
    "organic nitrogen": "g N m-2",
    "carbon": "g C m-2",
    "water": "mm",
    "depth": "m",
    "share": "1",
    "above removed": "1",
}
"""What an amount can be, and its units. A share is of the plough layer that a tillage mixes, of the
residue that is taken, or of the shoot above the stubble that is mown or eaten; above removed is of
all that stands above ground. Nitrogen of an organic fertiliser is all it has."""

_OF_EVENT = {
    "fertilisation": ("nitrogen",),
    "organic fertilisation": ("carbon", "nitrogen"),
    "irrigation": ("water",),
    "cut": ("share",),
    "graze": ("share",),
    "tillage": ("share", "depth"),
    "residue removal": ("share",),
}
"""What the one amount of a row may be, by event; which of them, its unit says."""


@dataclass(frozen=True)
class Amount:
    """A number as it is written, and its units."""

    text: str
    units: str


@dataclass(frozen=True)
class Entry:
    """A row as it stands.

    Attributes:
      place: where it stands, such as `row 12`.
      site: name; empty where the file is of one site and does not say which.
      first: date, or start of a window.
      last: end of the window; may be empty.
      event: word of any vocabulary.
      crop: as written; empty where none is.
      words: how it was done: implement, form of fertiliser, part that was harvested.
      cover: the table calls the crop a cover crop.
      amounts: by name of `AMOUNTS`; that called `amount` is what its event makes of it.
    """

    place: str
    site: str
    first: str
    last: str
    event: str
    crop: str = ""
    words: str = ""
    cover: bool = False
    amounts: dict[str, Amount] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Event:
    """A row as it is understood.

    Attributes:
      place: where it stands, such as `row 12`.
      kind: of `vocabulary.KINDS` or `vocabulary.UNUSED`.
      first: day; `last` is another where a window is given.
      last: see `first`.
      crop: as written.
      words: how it was done.
      cover: the table calls the crop a cover crop.
      amounts: by name of `AMOUNTS`, in its units.
    """

    place: str
    kind: str
    first: np.datetime64
    last: np.datetime64
    crop: str = ""
    words: str = ""
    cover: bool = False
    amounts: dict[str, float] = field(default_factory=dict)

    @property
    def day(self) -> np.datetime64:
        """The middle of the window, the earlier of two."""
        return self.first + (self.last - self.first) // 2

    @property
    def width(self) -> int:
        """Days of the window."""
        return int((self.last - self.first).astype(int)) + 1


def records(value: Any, name: str) -> list[dict[str, Any]]:
    """Returns a list of objects of a JSON document.

    Raises:
      DataError: it is something else.
    """
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    found = f"{name}: {str(value)[:40]}"
    raise DataError("is laid out otherwise", found=found, expected=f"{name}: a list of objects")


def understood(entry: Entry) -> Event | None:
    """Returns what a row means; None if it has no date.

    Raises:
      DataError: naming the row: no such event, date or crop, or an amount without units.
    """
    kind = vocabulary.event(entry.event)
    if kind is None:
        near = meant(entry.event.casefold(), vocabulary.SAID)
        expected = (f"did you mean {near}? " if near else "") + "one of docs/management.md: "
        found = f"{entry.event!r} in {entry.place}"
        expected += ", ".join(vocabulary.KINDS)
        raise DataError(
            "is no event that is known", variable="event", found=found, expected=expected
        )
    span = dates.window(entry.first, entry.last, entry.place)
    if span is None:
        return None
    amounts = {}
    for name, amount in entry.amounts.items():
        if amount.text.strip().casefold() in dates.MISSING:
            continue
        named = _meaning(kind, amount, entry.place) if name == "amount" else name
        if named is not None:
            amounts[named] = _converted(named, amount, entry.place)
    # Slurry, manure and compost are words for the event and for what is spread.
    words = f"{entry.event} {entry.words}" if kind == "organic fertilisation" else entry.words
    return Event(entry.place, kind, *span, entry.crop, words, entry.cover, amounts)


def _meaning(kind: str, amount: Amount, place: str) -> str | None:
    """Returns what the one amount of a row is; None where nothing depends on it, as on a yield."""
    choices = _OF_EVENT.get(kind)
    if choices is None:
        return None
    if not amount.units.strip():
        expected = " or ".join(_example(name) for name in choices)
        raise DataError(
            "an amount without units",
            variable="unit",
            found=f"{amount.text} in {place}",
            expected=expected,
        )
    fitting = [name for name in choices if conversion(amount.units, AMOUNTS[name])]
    if fitting:
        return fitting[0]
    raise DataError(
        f"the amount of a {kind} is in other units",
        variable="unit",
        found=f"{amount.units!r} in {place}",
        expected=" or ".join(_example(name) for name in choices),
    )


_EXAMPLES = {
    "nitrogen": "kg N ha-1 (of nitrogen, not of the product), lb N ac-1, g N m-2",
    "organic nitrogen": "kg N ha-1",
    "carbon": "t C ha-1, kg C ha-1, g C m-2",
    "water": "mm, in",
    "depth": "cm",
    "share": "% or 1 (a share)",
}


def _example(name: str) -> str:
    return _EXAMPLES.get(name, AMOUNTS[name])


def _converted(name: str, amount: Amount, place: str) -> float:
    try:
        value = float(amount.text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or value < 0:
        found = f"{amount.text!r} in {place}"
        raise DataError("is no amount", variable=name, found=found, expected="a number from 0 on")
    return float(convert(np.asarray(value), amount.units, AMOUNTS[name], variable=name))
