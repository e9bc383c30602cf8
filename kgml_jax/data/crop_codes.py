"""Crops as files name them: rows of the crop table, codes of other vocabularies, and names."""

from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data import crop_names
from kgml_jax.data.crop_names import NAMES, UNKNOWN
from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import CropCodes, Note, ReadOptions
from kgml_jax.errors import DataError, kept, listed, raise_together

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
_SAYING_NOTHING = ("unknown", "other", "-1")
"""Words for a crop that is another than those of the table, or not known."""

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


def from_names(
    names: xr.DataArray, file: str, options: ReadOptions
) -> tuple[xr.DataArray, list[Note]]:
    """Returns the rows of the crop table of names, NaN where the crop is another or not known.

    Crops without a row go by the one that stands for them, else are not known; both are noted.

    Raises:
      DataError: a name is not known or of a crop that is not simulated, or the options say that
        there are codes.
    """
    place = {"file": file, "variable": "crop"}
    if options.crop_codes != "table":
        raise DataError("holds names", expected=f"codes of {options.crop_codes}", **place)
    text = np.array([_text(cell) for cell in names.to_numpy().ravel()])
    rows, notes, errors = np.full(text.shape, np.nan), [], []
    for name in sorted(set(text)):
        with kept(errors):
            row, remark = _row_of_name(name, place)
            rows[text == name] = row
            if remark:
                kind = "converted" if row >= 0 else "warning"
                count = int((text == name).sum())
                notes.append(Note("", "crop", kind, count, f"{name}: {remark}"))
    raise_together(errors)
    rows[rows == UNKNOWN] = np.nan
    array = xr.DataArray(
        rows.reshape(names.shape), dims=names.dims, coords=names.coords, attrs={"units": "1"}
    )
    return array, notes


def _row_of_name(name: str, place: dict[str, str]) -> tuple[int, str]:
    if name in crop_names.FALLOW or name in _SAYING_NOTHING:
        return UNKNOWN, ""
    canonical = crop_names.known(name, **place)
    if canonical in crop_names.UNDECIDED:
        decided = " or ".join(crop_names.UNDECIDED[canonical])
        raise DataError("may be either", found=repr(name), expected=decided, **place)
    return crop_names.row(canonical)


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
    return text if _is_number(text) else crop_names.plain(text)
