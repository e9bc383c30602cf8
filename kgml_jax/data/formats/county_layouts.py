"""Layouts of tables of county yields: which columns say what, and which rows are left out."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from kgml_jax.data import tables
from kgml_jax.data.counties import CODES, COUNTIES, POSTAL
from kgml_jax.data.grain import GRAINS, MOST_BUSHELS, SOURCE_UNITS
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

COMBINED = 888
"""County codes from here on stand for several counties together."""

EMPTY = "an empty cell"
"""What stands for no text, in messages too."""

QUICK_STATS = ("Year", "State", "Data Item", "Value")
API = {
    "short_desc": "Data Item",
    "state_alpha": "State",
    "year": "Year",
    "value": "Value",
    "county_ansi": "County ANSI",
    "county_name": "County",
    "source_desc": "Program",
    "agg_level_desc": "Geo Level",
    "domain_desc": "Domain",
    "reference_period_desc": "Period",
}
"""Columns of the interface of Quick Stats, in lower case, by the names in its exported tables."""
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
KEYS = ("county", "crop", "year")
_TOGETHER = "several counties together, without a FIPS code: left out"
_WITHHELD = ("(D)", "(H)", "(L)", "(NA)", "(S)", "(X)", "(Z)")
"""NASS's symbols in place of a number: withheld, insufficient reports, not available, and so on."""
_THOUSANDS = r"\d{1,3}(?:,\d{3})+(?:\.\d*)?"
_OTHER_ROWS = {
    "Geo Level": (("COUNTY",), "not of a county: left out"),
    "Domain": (("TOTAL",), "of a part of the farms: left out"),
    "Period": (("YEAR", "MARKETING YEAR"), "forecasts within the season: left out"),
}
"""Values that count, by column of Quick Stats, and what is said of the rows with others."""


class Rows:
    """The rows of one file on their way in."""

    def __init__(self, file: str, columns: dict[str, pd.Series]) -> None:
        self.file = file
        self.frame = pd.DataFrame(columns)
        self.notes: list[Note] = []

    def text(self, name: str) -> pd.Series:
        """Returns a column as text in capitals without the space around it; `EMPTY` if empty."""
        column = pd.Series(self.frame[name])
        return column.astype(str).str.strip().str.upper().mask(column.isna(), EMPTY)

    def numbers(self, name: str) -> np.ndarray:
        """Returns a column as numbers; see `tables.numbers`."""
        return tables.numbers(pd.Series(self.frame[name]), self.file, None, name)

    def values(self, name: str) -> np.ndarray:
        """Returns a column of NASS's numbers, some with thousands separated, some withheld."""
        column = pd.Series(self.frame[name])
        text = self.text(name)
        separated = text.str.fullmatch(_THOUSANDS).to_numpy()
        column = column.mask(text.isin(_WITHHELD)).mask(separated, text.str.replace(",", ""))
        return tables.numbers(column, self.file, None, name)

    def keep(self, mask: np.ndarray, kind: str, message: str, of: str = "yield") -> None:
        """Keeps the rows of the mask and notes how many are left out."""
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
        """Raises a `DataError` with the first wrong value of a column, if there is one."""
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
        """Adds the postal state and the FIPS code of each row, from codes of both."""
        self.frame = self.frame.assign(
            state=[POSTAL[code] for code in state],
            county=[f"{code}{number:03d}" for code, number in zip(state, county, strict=True)],
        )


def _state_codes(rows: Rows, name: str) -> np.ndarray:
    codes = rows.text(name).map(CODES)
    rows.refuse(codes.isna().to_numpy(), "is no state", name, "a state's name or abbreviation")
    return codes.to_numpy()


def _interface(rows: Rows, crop: str | None) -> Rows:
    known = {name: API[name.lower()] for name in rows.frame if name.lower() in API}
    rows.frame = rows.frame.rename(columns=known)
    return _quick_stats(rows, crop)


def _quick_stats(rows: Rows, crop: str | None) -> Rows:
    for name in [name for name in _OTHER_ROWS if name in rows.frame]:
        counted, message = _OTHER_ROWS[name]
        rows.keep(rows.text(name).isin(counted).to_numpy(), "warning", message)
    rows.known_crops(rows.text("Data Item").map(_ITEMS), rows.text("Data Item"))
    if "County ANSI" in rows.frame:
        county = rows.one_county(rows.numbers("County ANSI"))
        state = _state_codes(rows, "State")
    elif "County" not in rows.frame:
        expected = "a column 'County ANSI' (county_ansi) or 'County'"
        raise DataError("no counties", file=rows.file, variable="County", expected=expected)
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
    return _measured(rows, "Year", "Value")


def _mesonet(rows: Rows, crop: str | None) -> Rows:
    described = pd.Series(list(zip(*(rows.text(name) for name in MESONET[:4]), strict=True)))
    rows.known_crops(described.map(_COMMODITIES), described.map(", ".join))
    county = rows.one_county(rows.numbers("county_ansi"))
    rows.place(_state_codes(rows, "state_alpha"), county)
    return _measured(rows, "year", "num_value")


def _you(rows: Rows, crop: str | None) -> Rows:
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


LAYOUTS: dict[tuple[str, ...], Callable[[Rows, str | None], Rows]] = {
    QUICK_STATS: _quick_stats,
    MESONET: _mesonet,
    tuple(API)[:4]: _interface,
    YOU: _you,
}
"""What reads a table, by the columns that tell its layout."""


def layout_of(names: Iterable[str]) -> Callable[[Rows, str | None], Rows] | None:
    """Returns what reads a table of these columns; None if the layout is not known."""
    exact = set(names)
    lower = {name.lower() for name in exact}
    for expected, read in LAYOUTS.items():
        if set(expected) <= (lower if read is _interface else exact):
            return read
    return None


def _measured(rows: Rows, year: str, value: str) -> Rows:
    years, values = rows.numbers(year), rows.values(value)
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


def survey_first(rows: Rows) -> None:
    """Keeps one row of a county, crop and year that both the survey and the census report.

    That of the survey, unless it has no value and the census has one.
    """
    if "Program" not in rows.frame:
        return
    other = (rows.text("Program") != "SURVEY").to_numpy()
    order = np.lexsort((other, rows.frame["source_value"].isna()))
    again = rows.frame.iloc[order].duplicated(list(KEYS)).sort_index().to_numpy()
    message = "reported by survey and census: the survey counts where it has a value"
    rows.keep(~again, "warning", message)
