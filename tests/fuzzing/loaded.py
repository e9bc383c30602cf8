"""What a reader makes of a folder, in one form for all readers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kgml_jax.data.check import check
from kgml_jax.data.schema import Note, Reading
from kgml_jax.errors import DataError

PLACE = ("group", "vegetation", "latitude", "longitude")
"""Attributes of a site's data set that say where it lies."""


@dataclass(frozen=True)
class Remark:
    """Something that a user is told."""

    variable: str
    message: str
    count: int = 1


@dataclass(frozen=True)
class Loaded:
    """Values by site and variable, what was said of them, and what was refused."""

    values: Mapping[tuple[str, str], pd.Series]
    said: frozenset[Remark] = frozenset()
    errors: tuple[DataError, ...] = ()
    is_daily: bool = field(default=False, compare=False)
    """Of daily data in the schema, whose promises can be checked."""

    @property
    def sites(self) -> list[str]:
        """Names of the sites, each once, in their order."""
        return list(dict.fromkeys(site for site, _ in self.values))


def of_reading(reading: Reading) -> Loaded:
    """Returns a reading with what `check` warns of."""
    values = {}
    for dataset in reading.sites:
        site = str(dataset.attrs["site"])
        for name, array in dataset.data_vars.items():
            index = dataset["time"].to_numpy() if array.dims else [0]
            values[site, str(name)] = pd.Series(np.atleast_1d(array.to_numpy()), index=index)
        values |= {
            (site, f"{name} (place)"): pd.Series([dataset.attrs[name]])
            for name in PLACE
            if not _is_unknown(dataset.attrs.get(name, ""))
        }
    warned = {Remark("", text) for one in check(reading) for text in one.warnings}
    said = remarks(reading.notes) | warned
    return Loaded(values, frozenset(said), reading.errors, is_daily=True)


def _is_unknown(value: Any) -> bool:
    return value == "" or value != value  # NaN


def remarks(notes: Iterable[Note]) -> set[Remark]:
    """Returns notes as remarks."""
    return {Remark(note.variable, f"{note.site} {note.message}", note.count) for note in notes}


def of_tree(content: Any, path: str = "") -> dict[tuple[str, str], pd.Series]:
    """Returns nested dictionaries, lists and arrays by their paths."""
    if isinstance(content, dict):
        parts = {str(key): value for key, value in content.items()}
    elif isinstance(content, list | tuple):
        parts = {str(place): value for place, value in enumerate(content)}
    else:
        return {(path, "value"): pd.Series(np.asarray(content).reshape(-1))}
    found = {}
    for name, part in parts.items():
        found |= of_tree(part, f"{path}/{name}")
    return found
