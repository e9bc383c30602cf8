"""The days of one site and what a table of events makes of them."""

from dataclasses import dataclass, field

import numpy as np

from kgml_jax.data.schema import Note


@dataclass
class Record:
    """The days of a site and what the table makes of them."""

    site: str
    file: str
    days: np.ndarray
    fields: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def tell(self, kind: str, count: int, message: str) -> None:
        """Adds a note, unless nothing is concerned."""
        if count:
            self.notes.append(Note(self.site, "management", kind, count, message))

    def zeros(self, *names: str) -> None:
        """Begins fields of the forcing with a 0 on every day."""
        for name in names:
            self.fields.setdefault(name, np.zeros(len(self.days)))

    def has(self, day: np.datetime64) -> bool:
        """Whether a day lies in the record."""
        return bool(self.days[0] <= day <= self.days[-1])

    def add(self, name: str, day: np.datetime64, amount: float) -> None:
        """Adds to a field on a day, nothing where the day is not in the record."""
        self.fields[name][self.days == day] += amount
