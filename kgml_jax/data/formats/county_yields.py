"""Crop yields of the counties of the United States (USDA NASS) as carbon of the grain.

Four layouts are read, told apart by their columns: tables exported from Quick Stats or asked of its
interface, the table of the Iowa Environmental Mesonet, and that of You et al. (2017), which holds
one crop. Yields are in bushels per acre at market moisture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import tables
from kgml_jax.data.formats.county_layouts import KEYS, LAYOUTS, Rows, layout_of, survey_first
from kgml_jax.data.grain import GRAINS, SOURCE_UNITS, grain_carbon
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

COLUMNS = ("county", "state", "crop", "year", "yield", "source_value", "source_units", "file")
"""Columns of `CountyYields.table`."""


@dataclass(frozen=True)
class CountyYields:
    """Yields of counties, one row a county, crop and year, and what was done to them.

    Attributes:
      table: columns `COLUMNS`: FIPS code of five digits, postal state, name of `GRAINS`, year,
        yield in g C m-2 yr-1 (NaN where missing), and value, units and file it came from.
      notes: rows left out and values taken as missing; their site is the file.
    """

    table: pd.DataFrame
    notes: tuple[Note, ...] = ()

    def dataset(self) -> xr.Dataset:
        """Returns the yields as `yield(county, crop, year)` in g C m-2 yr-1."""
        found = self.table.set_index(list(KEYS))[["yield"]].to_xarray()
        long_name = "Carbon of the grain harvested in the year, mean of the county"
        found["yield"].attrs.update(units="g C m-2 yr-1", long_name=long_name)
        return found

    def annual(self, *, county: str | None = None, state: str | None = None) -> pd.Series:
        """Returns the yields of one county, or the mean over the counties of a state.

        The mean of a state gives every county that reports the same weight.

        Returns:
          g C m-2 yr-1 by crop and year, without those that are missing.

        Raises:
          DataError: neither or both are given, or the table has nothing of the place.
        """
        if (county is None) == (state is None):
            expected = "a FIPS code of five digits, or a state"
            raise DataError("no place, or two", variable="county", expected=expected)
        column, wanted = ("county", county) if county is not None else ("state", state)
        rows = self.table[(self.table[column] == wanted) & self.table["yield"].notna()]
        if rows.empty:
            found = listed(sorted(set(self.table["file"])))
            raise DataError(f"no yield of {wanted}", variable=column, found=f"in {found}")
        return pd.Series(rows.groupby(["crop", "year"])["yield"].mean())


def load(path: str | Path, crop: str | None = None) -> CountyYields:
    """Reads the yields of one file, packed or not.

    Args:
      path: a table in one of the layouts.
      crop: name of `GRAINS`, for the layout that names none; None takes it from the file's name.

    Raises:
      DataError: another layout, an unknown crop, state or county, a value that is no yield in
        bushels per acre, or a county, crop and year twice.
    """
    path = Path(path)
    data = tables.contents(path)
    table = tables.columns(data, path.name)
    if layout := layout_of(table):
        rows = Rows(path.name, table)
        rows.notes += tables.unfinished(data, path.name)
        return _finished(layout(rows, crop))
    layouts = "; or ".join(", ".join(columns) for columns in LAYOUTS)
    raise DataError(
        "is no table of county yields: other columns",
        file=path,
        found=", ".join(table),
        expected=layouts,
    )


def load_all(paths: Sequence[str | Path]) -> CountyYields:
    """Reads several files; where two speak of one county, crop and year, the first one counts.

    Raises:
      DataError: as `load`.
    """
    parts = [load(path) for path in paths]
    table = pd.concat([part.table for part in parts], ignore_index=True)
    # A missing value gives way to one that is there.
    table = table.loc[np.argsort(table["yield"].isna(), kind="stable")]
    keys = list(KEYS)
    spread = table.groupby(keys)["source_value"].agg(lambda values: values.max() - values.min())
    differing = int((spread > 1e-9).sum())
    notes = [note for part in parts for note in part.notes]
    if differing:
        largest = f"{spread.max():.1f} {SOURCE_UNITS}"
        message = f"files differ by up to {largest}, revisions: the first file counts"
        notes.append(Note("", "yield", "warning", differing, message))
    return CountyYields(table.drop_duplicates(keys).sort_index(ignore_index=True), tuple(notes))


def _finished(rows: Rows) -> CountyYields:
    _refuse_twice(rows)
    survey_first(rows)
    frame = rows.frame
    carbon = np.full(len(frame), np.nan)
    for crop in GRAINS:
        own = (frame["crop"] == crop).to_numpy()
        carbon[own] = grain_carbon(crop, frame["source_value"].to_numpy()[own])
    frame = frame.assign(**{"yield": carbon}, source_units=SOURCE_UNITS, file=rows.file)
    return CountyYields(frame.reindex(columns=list(COLUMNS)), tuple(rows.notes))


def _refuse_twice(rows: Rows) -> None:
    """Refuses two values of one county, crop and year from one program of NASS."""
    twice = rows.frame.duplicated([*KEYS, *(["Program"] if "Program" in rows.frame else [])])
    if twice.any():
        row = rows.frame[twice].iloc[0]
        raise DataError(
            "more than one yield",
            file=rows.file,
            found=f"{twice.sum()}, first {row['crop']} of {row['county']} in {row['year']}",
            expected="one row a county, crop and year",
        )
