"""Crops as files name them: rows of the crop table, codes of other vocabularies, and names."""

from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import CropCodes, ReadOptions
from kgml_jax.errors import DataError, listed
from kgml_jax.process.crop_table import ROWS

UNKNOWN = -1
"""No crop of the table."""

NAMES = tuple(ROWS)
"""Of the rows of the crop table, in their order."""

_CDL_NAMES = {
    1: "corn",
    5: "soybean",
    6: "sunflower",
    21: "spring barley",
    23: "spring wheat",
    24: "winter wheat",
    31: "rapeseed",
    34: "rapeseed",
    36: "alfalfa",
    37: "temperate grass",
    41: "sugar beet",
    43: "potato",
    176: "temperate grass",
}
CDL = {code: NAMES.index(name) for code, name in _CDL_NAMES.items()}
"""Codes of the Cropland Data Layer of the USDA for the rows of the crop table. Barley of the
United States is mostly sown in spring, canola (31) and rape (34) are one species, hay
other than alfalfa (37) and pasture (176) are grass."""

KGML_AG = {1: 0, 5: 1}
"""Codes of KGML-ag's data."""

BY_NUMBER = (UNKNOWN, 0, 1, 2)
"""Rows that files may give by number; the numbers of others are codes of other vocabularies too."""

_ROWS: dict[CropCodes, dict[int, int]] = {
    "table": {row: row for row in (UNKNOWN, *range(len(NAMES)))},
    "cdl": CDL,
    "kgml-ag": KGML_AG,
}
_SPOKEN: dict[str, float] = {
    **{name: row for row, name in enumerate(NAMES)},
    **{
        other: NAMES.index(name)
        for name, others in {
            "corn": ("maize",),
            "soybean": ("soy", "soya", "soybeans"),
            "rapeseed": ("canola", "oilseed rape"),
            "sunflower": ("sunflowers",),
            "sugar beet": ("sugarbeet", "sugar beets", "sugarbeets"),
            "potato": ("potatoes",),
            "alfalfa": ("lucerne",),
            "temperate grass": ("grass", "grassland", "pasture"),
            "silage corn": ("silage maize", "corn silage"),
        }.items()
        for other in others
    },
    **dict.fromkeys(("", "none", "unknown", "fallow", "other", "nan", "-1"), np.nan),
}
_NOT_SIMULATED = {
    **dict.fromkeys(("rice", "paddy rice"), "flooded paddies are not simulated"),
    **dict.fromkeys(
        ("vineyard", "orchard", "olive", "oil palm", "poplar", "willow", "coffee", "cocoa"),
        "woody perennials are not simulated",
    ),
}
"""Crops that no row will describe, and why."""

_OTHER_CODES = """    --crop-codes cdl       # Cropland Data Layer: 1 corn, 5 soybean, 24 wheat
    --crop-codes kgml-ag   # KGML-ag: 1 corn, 5 soybean"""
"""What may be meant where all codes are of other vocabularies."""


_LARGEST = 255
"""Of the codes of the Cropland Data Layer."""


def rows(draft: Draft, options: ReadOptions) -> np.ndarray:
    """Returns the rows of the crop table of a site's days, -1 where no crop is known.

    Raises:
      DataError: a code is of no crop, or not of the vocabulary that the options name.
    """
    values = draft.values["crop"].astype(np.float64)
    known = np.isfinite(values)
    codes, vocabulary = np.unique(values[known]), _ROWS[options.crop_codes]
    strange = [f"{code:g}" for code in codes if code not in vocabulary]
    if options.crop_codes == "table" and strange:
        raise _no_row(draft.file, draft.site, strange, codes)
    wrong = [f"{code:g}" for code in codes if code != round(code) or not 0 <= code <= _LARGEST]
    if options.crop_codes != "table" and wrong:
        expected = f"whole numbers from 0 to {_LARGEST}"
        raise draft.error("is no code of a crop", "crop", found=listed(wrong), expected=expected)
    found = np.full(values.shape, float(UNKNOWN))
    for code, row in vocabulary.items():
        found[values == code] = row
    if options.crop_codes != "table":
        message = f"codes of {options.crop_codes} taken as rows of the crop table"
        draft.note("crop", "converted", known.sum(), message)
    if others := int((known & (found == UNKNOWN)).sum()) if strange else 0:
        message = f"codes {listed(strange)} are of no crop of the table: not known (-1)"
        draft.note("crop", "warning", others, message)
    return found


def warn_of_bare_days(draft: Draft) -> None:
    """Notes the days on which a field is occupied by a crop that no row of the table describes."""
    crop, occupied = (draft.values.get(name) for name in ("crop", "occupied"))
    if occupied is not None:
        unknown = occupied > 0 if crop is None else (occupied > 0) & (crop == UNKNOWN)
        message = "not known (-1) on occupied days: bare ground to the process model"
        draft.note("crop", "warning", unknown.sum(), message)


def require_rows(values: np.ndarray, site: str) -> None:
    """Refuses crops that are no rows of the crop table.

    Args:
      values: of all days of a site, no NaN.
      site: named in the error.

    Raises:
      DataError: naming the codes.
    """
    codes = np.unique(values)
    strange = [f"{code:g}" for code in codes if code not in _ROWS["table"]]
    if strange:
        raise _no_row(None, site, strange, codes)


def _no_row(file: str | None, site: str | None, strange: list[str], codes: np.ndarray) -> DataError:
    numbered = ", ".join(f"{row} {NAMES[row]}" for row in BY_NUMBER[1:])
    elsewhere = all(code in (0, *CDL) for code in codes)
    return DataError(
        "is no row of the crop table",
        file=file,
        site=site,
        variable="crop",
        found=listed(strange),
        expected=f"{numbered}, -1 where the crop is another or not known; or a name: "
        f"{', '.join(NAMES)}",
        recipe=_OTHER_CODES if elsewhere else None,
    )


def require_names(codes: xr.DataArray, file: str, options: ReadOptions) -> None:
    """Refuses numbers in a file that may be codes of another vocabulary as well as rows.

    Raises:
      DataError: a number is none of `BY_NUMBER` where rows of the crop table are expected.
    """
    values = codes.to_numpy().astype(np.float64)
    strange = np.unique(values[np.isfinite(values) & ~np.isin(values, BY_NUMBER)])
    if options.crop_codes == "table" and strange.size:
        found = [f"{code:g}" for code in strange]
        raise _no_row(file, None, found, np.unique(values[np.isfinite(values)]))


def is_named(column: Any) -> bool:
    """Whether crops are given by name: some cell is text and not a number."""
    cells = np.asarray(column)
    if cells.dtype.kind in "biuf":
        return False
    return any(text and not _is_number(text) for text in map(_text, cells.ravel()))


def from_names(names: xr.DataArray, file: str, options: ReadOptions) -> xr.DataArray:
    """Returns the rows of the crop table of names, NaN where the crop is another or not known.

    Raises:
      DataError: a name is of no crop of the table, or the options say that there are codes.
    """
    place = {"file": file, "variable": "crop"}
    if options.crop_codes != "table":
        raise DataError("holds names", expected=f"codes of {options.crop_codes}", **place)
    text = [_text(cell) for cell in names.to_numpy().ravel()]
    strange = sorted(set(text) - set(_SPOKEN))
    if refused := [
        f"{name!r}: {_NOT_SIMULATED[name]}" for name in strange if name in _NOT_SIMULATED
    ]:
        raise DataError("cannot be simulated", found=listed(refused), **place)
    if strange:
        raise DataError(
            "is no crop of the crop table",
            found=listed([repr(name) for name in strange]),
            expected=f"{', '.join(NAMES)}; 'unknown' or an empty cell for other crops",
            **place,
        )
    rows = np.array([_SPOKEN[name] for name in text]).reshape(names.shape)
    return xr.DataArray(rows, dims=names.dims, coords=names.coords, attrs={"units": "1"})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(cell: object) -> str:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    text = text.strip().strip("\0")
    return text if _is_number(text) else " ".join(text.lower().replace("_", " ").split())
