"""One site's arrays between the files and the finished data set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError


@dataclass
class Draft:
    """One site's arrays while they are completed; notes gather as values change."""

    site: str
    file: str
    time: pd.DatetimeIndex
    values: dict[str, np.ndarray]
    notes: list[Note]

    def note(self, variable: str, kind: str, count: int, message: str) -> None:
        """Adds a note, unless no value is concerned."""
        if count:
            self.notes.append(Note(self.site, variable, kind, int(count), message))

    def cut(self, part: slice) -> None:
        """Keeps a part of the record."""
        self.values = {name: row[part] if row.ndim else row for name, row in self.values.items()}
        self.time = self.time[part]

    def error(self, problem: str, variable: str, **detail: Any) -> DataError:
        """Returns an error that names file, site and variable."""
        return DataError(problem, file=self.file, site=self.site, variable=variable, **detail)
