"""Crop yields of the counties of the United States (USDA NASS) as carbon of the grain.

Three layouts are read, told apart by their columns: tables exported from Quick Stats, the table of
the Iowa Environmental Mesonet, and that of You et al. (2017), which holds one crop. Yields are in
bushels per acre at market moisture; a bushel is a mass by law, 56 pounds of corn and 60 of soybean
or wheat. Grain carbon, g C m-2 yr-1 = bushels per acre x g m-2 per bushel per acre x dry share x
carbon share: 2.387 for corn, 3.101 for soybean, 2.618 for wheat.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import tables
from kgml_jax.data.counties import CODES, COUNTIES, POSTAL
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

POUND = 453.59237
"""g."""

ACRE = 4046.8564224
"""m2."""

SOURCE_UNITS = "BU / ACRE"
MOST_BUSHELS = 400.0
"""Per acre. No county has reached it; more means another unit."""

COMBINED = 888
"""County codes from here on stand for several counties together."""


class Grain(NamedTuple):
    """What a bushel of a crop holds; `process.crops` has the same moisture and carbon."""

    row: int
    """Row of the crop table."""
    bushel: float
    """Pounds."""
    moisture: float
    """Water per mass of grain as it is sold."""
    carbon: float
    """Carbon per dry matter."""


GRAINS: dict[str, Grain] = {
    "corn": Grain(0, 56.0, 0.155, 0.45),
    "soybean": Grain(1, 60.0, 0.13, 0.53),
    "winter wheat": Grain(2, 60.0, 0.135, 0.45),
}

COLUMNS = ("county", "state", "crop", "year", "yield", "source_value", "source_units", "file")
"""Columns of `CountyYields.table`."""

QUICK_STATS = ("Year", "State", "County", "Data Item", "Value")
MESONET = (
    "commodity_desc",
    "class_desc",
    "util_practice_desc",
    "unit_desc",
    "state_alpha",
    "county_ansi",
    "year",
    "num_value",
)
YOU = ("year", "state_fips", "county_fips", "yield_bu_ac")

_ITEMS = {
    f"CORN, GRAIN - YIELD, MEASURED IN {SOURCE_UNITS}": "corn",
    f"SOYBEANS - YIELD, MEASURED IN {SOURCE_UNITS}": "soybean",
    f"WHEAT, WINTER - YIELD, MEASURED IN {SOURCE_UNITS}": "winter wheat",
}
_COMMODITIES = {
    ("CORN", "ALL CLASSES", "GRAIN", SOURCE_UNITS): "corn",
    ("SOYBEANS", "ALL CLASSES", "ALL UTILIZATION PRACTICES", SOURCE_UNITS): "soybean",
    ("WHEAT", "WINTER", "ALL UTILIZATION PRACTICES", SOURCE_UNITS): "winter wheat",
}
_TOGETHER = "several counties together, without a FIPS code: left out"
_WITHHELD = ("(D)", "(NA)", "(X)", "(Z)")


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
        keys = ["county", "crop", "year"]
        found = self.table.set_index(keys)[["yield"]].to_xarray()
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


def grain_carbon(crop: str, bushels_per_acre: np.ndarray) -> np.ndarray:
    """Returns the carbon of grain, g C m-2, of a yield in bushels per acre at market moisture."""
    grain = GRAINS[crop]
    mass = grain.bushel * POUND / ACRE
    return np.asarray(bushels_per_acre) * mass * (1.0 - grain.moisture) * grain.carbon


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
    table = tables.columns(tables.contents(path), path.name)
    for expected, layout in _LAYOUTS.items():
        if set(expected) <= set(table):
            work = layout(_Rows(path.name, table), crop)
            return _finished(work)
    layouts = "; or ".join(", ".join(columns) for columns in _LAYOUTS)
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
    keys = ["county", "crop", "year"]
    spread = table.groupby(keys)["source_value"].agg(lambda values: values.max() - values.min())
    differing = int((spread > 1e-9).sum())
    notes = [note for part in parts for note in part.notes]
    if differing:
        largest = f"{spread.max():.1f} {SOURCE_UNITS}"
        message = f"files differ by up to {largest}, revisions: the first file counts"
        notes.append(Note("", "yield", "warning", differing, message))
    return CountyYields(table.drop_duplicates(keys).sort_index(ignore_index=True), tuple(notes))


class _Rows:
    """The rows of one file on their way in."""

    def __init__(self, file: str, columns: dict[str, pd.Series]) -> None:
        self.file = file
        self.frame = pd.DataFrame(columns)
        self.notes: list[Note] = []

    def text(self, name: str) -> pd.Series:
        return self.frame[name].astype(str).str.strip().str.upper()

    def numbers(self, name: str) -> np.ndarray:
        return tables.numbers(pd.Series(self.frame[name]), self.file, None, name)

    def keep(self, mask: np.ndarray, kind: str, message: str, of: str = "yield") -> None:
        left = int((~mask).sum())
        if left:
            self.notes.append(Note(self.file, of, kind, left, message))
        self.frame = self.frame.loc[mask].reset_index(drop=True)

    def known_crops(self, crop: pd.Series, left_out: pd.Series) -> None:
        """Keeps the rows of which the crop is known."""
        known = crop.notna().to_numpy()
        self.frame = self.frame.assign(crop=crop)
        names = listed(sorted(set(left_out[~known])), 3)
        self.keep(known, "warning", f"no crop of {', '.join(GRAINS)} in {SOURCE_UNITS}: {names}")

    def one_county(self, code: np.ndarray) -> np.ndarray:
        """Keeps the rows of single counties and returns their codes."""
        single = np.isfinite(code) & (code < COMBINED)
        self.keep(single, "warning", _TOGETHER, "county")
        return code[single].astype(int)

    def named_counties(self) -> None:
        """Keeps the rows of single counties by their names."""
        single = ~self.text("County").str.startswith("OTHER").to_numpy()
        self.keep(single, "warning", _TOGETHER, "county")

    def refuse(self, wrong: np.ndarray, problem: str, name: str, expected: str) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(
                problem,
                file=self.file,
                variable=name,
                found=repr(self.frame[name].iloc[row]),
                expected=expected,
            )

    def place(self, state: np.ndarray, county: np.ndarray) -> None:
        self.frame = self.frame.assign(
            state=[POSTAL[code] for code in state],
            county=[f"{code}{number:03d}" for code, number in zip(state, county, strict=True)],
        )


def _state_codes(rows: _Rows, name: str) -> np.ndarray:
    codes = rows.text(name).map(CODES)
    rows.refuse(codes.isna().to_numpy(), "is no state", name, "a state's name or abbreviation")
    return codes.to_numpy()


def _quick_stats(rows: _Rows, crop: str | None) -> _Rows:
    rows.known_crops(rows.text("Data Item").map(_ITEMS), rows.text("Data Item"))
    if "County ANSI" in rows.frame:
        county = rows.one_county(rows.numbers("County ANSI"))
        state = _state_codes(rows, "State")
    else:
        rows.named_counties()
        state = _state_codes(rows, "State")
        names = [
            (POSTAL[code], name) for code, name in zip(state, rows.text("County"), strict=True)
        ]
        unknown = np.array([name not in COUNTIES for name in names], dtype=bool)
        expected = "a column 'County ANSI', or a county of kgml_jax.data.counties.COUNTIES"
        rows.refuse(unknown, "has a name without a code", "County", expected)
        county = np.array([COUNTIES[name] for name in names], dtype=int)
    rows.place(state, county)
    withheld = rows.text("Value").isin(_WITHHELD)
    rows.frame = rows.frame.assign(Value=rows.frame["Value"].mask(withheld))
    return _measured(rows, "Year", "Value")


def _mesonet(rows: _Rows, crop: str | None) -> _Rows:
    described = pd.Series(list(zip(*(rows.text(name) for name in MESONET[:4]), strict=True)))
    rows.known_crops(described.map(_COMMODITIES), described.map(", ".join))
    county = rows.one_county(rows.numbers("county_ansi"))
    rows.place(_state_codes(rows, "state_alpha"), county)
    return _measured(rows, "year", "num_value")


def _you(rows: _Rows, crop: str | None) -> _Rows:
    named = [name for name in GRAINS if name.split()[-1] in rows.file.lower()]
    crop = crop or (named[0] if len(named) == 1 else None)
    if crop not in GRAINS:
        problem = "the crop is not known: this layout names none"
        expected = f"{', '.join(GRAINS)} as an argument or in the file's name"
        raise DataError(problem, file=rows.file, variable="crop", found=crop, expected=expected)
    rows.frame = rows.frame.assign(crop=crop)
    county = rows.one_county(rows.numbers("county_fips"))
    codes = np.nan_to_num(rows.numbers("state_fips"), nan=0.0)
    state = np.array([f"{int(code):02d}" for code in codes])
    unknown = np.array([code not in POSTAL for code in state], dtype=bool)
    rows.refuse(unknown, "is no state", "state_fips", "a FIPS code of a state")
    rows.place(state, county)
    return _measured(rows, "year", "yield_bu_ac")


_LAYOUTS: dict[tuple[str, ...], Callable[[_Rows, str | None], _Rows]] = {
    QUICK_STATS: _quick_stats,
    MESONET: _mesonet,
    YOU: _you,
}


def _measured(rows: _Rows, year: str, value: str) -> _Rows:
    years, values = rows.numbers(year), rows.numbers(value)
    rows.refuse(~((years >= 1800) & (years < 2200)), "is no year", year, "a calendar year")
    outside = (values < 0) | (values > MOST_BUSHELS)
    rows.refuse(outside, "is no yield", value, f"0 to {MOST_BUSHELS:g} {SOURCE_UNITS}")
    missing = ~(values > 0)
    if missing.any():
        message = "0, empty or withheld: taken as missing"
        rows.notes.append(Note(rows.file, "yield", "masked", int(missing.sum()), message))
    rows.frame = rows.frame.assign(
        year=years.astype(int), source_value=np.where(missing, np.nan, values)
    )
    return rows


def _finished(rows: _Rows) -> CountyYields:
    frame = rows.frame
    carbon = np.full(len(frame), np.nan)
    for crop in GRAINS:
        own = (frame["crop"] == crop).to_numpy()
        carbon[own] = grain_carbon(crop, frame["source_value"].to_numpy()[own])
    frame = frame.assign(**{"yield": carbon}, source_units=SOURCE_UNITS, file=rows.file)
    twice = frame.duplicated(["county", "crop", "year"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise DataError(
            "more than one yield",
            file=rows.file,
            found=f"{twice.sum()}, first {row['crop']} of {row['county']} in {row['year']}",
            expected="one row a county, crop and year",
        )
    return CountyYields(frame.reindex(columns=list(COLUMNS)), tuple(rows.notes))
