"""Units: spellings, and the conversions to the canonical units of the schema."""

import re

import numpy as np

from kgml_jax.errors import DataError
from kgml_jax.records import CANONICAL_UNITS

CARBON_GRAMS_PER_MICROMOLE = 12.011e-6
SECONDS_PER_DAY = 86_400.0

_CARBON_FLUX = {
    "g m-2 d-1": 1.0,
    "g C m-2": 1.0,
    "mg C m-2 d-1": 1e-3,
    "kg C m-2 d-1": 1e3,
    "g C m-2 s-1": SECONDS_PER_DAY,
    "kg C m-2 s-1": 1e3 * SECONDS_PER_DAY,
    "g C ha-1 d-1": 1e-4,
    "kg C ha-1 d-1": 1e-1,
    "umol m-2 s-1": CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY,
    "umol CO2 m-2 s-1": CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY,
}
_WATER_FLUX = {
    "mm": 1.0,
    "kg m-2 d-1": 1.0,
    "kg m-2": 1.0,
    "kg m-2 s-1": SECONDS_PER_DAY,
    "mm s-1": SECONDS_PER_DAY,
    "mm h-1": 24.0,
    "m d-1": 1e3,
    "m s-1": 1e3 * SECONDS_PER_DAY,
    "cm d-1": 10.0,
    "in d-1": 25.4,
}

FACTORS: dict[str, dict[str, float]] = {
    "g C m-2 d-1": _CARBON_FLUX,
    "g N m-2 d-1": {"g N m-2": 1.0, "kg N ha-1 d-1": 0.1, "kg N ha-1": 0.1},
    "mm d-1": _WATER_FLUX,
    "MJ m-2 d-1": {
        "MJ m-2": 1.0,
        "W m-2": SECONDS_PER_DAY * 1e-6,
        "J m-2 d-1": 1e-6,
        "J m-2": 1e-6,
        "kJ m-2 d-1": 1e-3,
        "langley d-1": 0.04184,
    },
    "kPa": {"Pa": 1e-3, "hPa": 0.1, "mbar": 0.1, "mb": 0.1},
    "m s-1": {"km h-1": 1 / 3.6, "km d-1": 1e3 / SECONDS_PER_DAY},
    "umol mol-1": {"ppm": 1.0, "ppmv": 1.0, "mol mol-1": 1e6, "1e-6": 1.0},
    "degC": dict.fromkeys(("C", "celsius", "Celsius", "degree_Celsius", "degrees_Celsius"), 1.0),
    "degree_north": {"degrees_north": 1.0, "degree": 1.0, "degrees": 1.0, "deg": 1.0},
    "degree_east": {"degrees_east": 1.0, "degree": 1.0, "degrees": 1.0, "deg": 1.0},
    "m": {"cm": 1e-2, "km": 1e3},
    "1": {
        "-": 1.0,
        "fraction": 1.0,
        "kg kg-1": 1.0,
        "g kg-1": 1e-3,
        "m3 m-3": 1.0,
        "%": 1e-2,
        "percent": 1e-2,
    },
    "m3 m-3": {"1": 1.0, "cm3 cm-3": 1.0, "%": 1e-2, "percent": 1e-2},
    "g kg-1": {"g C kg-1": 1.0, "%": 10.0, "percent": 10.0},
    "Mg m-3": {"g cm-3": 1.0, "kg dm-3": 1.0, "t m-3": 1.0, "kg m-3": 1e-3},
    "cmol kg-1": {"cmol+ kg-1": 1.0, "meq 100g-1": 1.0, "mmol kg-1": 0.1},
    "mm h-1": {"mm d-1": 1 / 24, "cm d-1": 10 / 24, "cm h-1": 10.0, "m s-1": 3.6e6},
}
"""Factor to each canonical unit; a day's total ("mm", "J m-2") counts as per day."""

KELVIN = frozenset({"K", "kelvin"})
FAHRENHEIT = frozenset({"degF", "F", "fahrenheit"})

_SPELLINGS = (
    (r"[−⁻]", "-"),
    (r"\*\*|\^|_\{|\}", ""),
    (r"[°º]\s*", "deg"),
    (r"[µμ]", "u"),
    (r"[·*]", " "),
    (r"²", "2"),
    (r"³", "3"),
    (r"¹", "1"),
    (r"/\s*([A-Za-z]+)(\d*)", lambda match: f" {match[1]}-{match[2] or 1}"),
    (r"\bdays?(?=\b|-|\d)", "d"),
    (r"\b(?:hours?|hr)(?=\b|-|\d)", "h"),
    (r"\b(?:seconds?|sec)(?=\b|-|\d)", "s"),
    (r"\s+", ""),
)


def conversion(found: str, expected: str) -> tuple[float, float] | None:
    """Returns `(scale, offset)` with `expected = scale * found + offset`; None if not known.

    Args:
      found: units as spelled in a file, e.g. `"gC m-2 day-1"`, `"W/m2"`, `"K"`.
      expected: one of the canonical units.
    """
    spelled = _plain(found)
    if expected not in CANONICAL_UNITS or not spelled:
        return None
    if spelled == _plain(expected):
        return 1.0, 0.0
    if expected == "degC" and spelled in KELVIN:
        return 1.0, -273.15
    if expected == "degC" and spelled in FAHRENHEIT:
        return 5 / 9, -160 / 9
    known = {_plain(unit): factor for unit, factor in FACTORS.get(expected, {}).items()}
    return (known[spelled], 0.0) if spelled in known else None


def convert(
    values: np.ndarray,
    found: str | None,
    expected: str,
    *,
    file: str | None = None,
    site: str | None = None,
    variable: str | None = None,
    is_spread: bool = False,
) -> np.ndarray:
    """Converts values to canonical units.

    Args:
      values: any shape.
      found: units as spelled in the file; None or empty if the file states none.
      expected: canonical units.
      file: named in the error, like `site` and `variable`.
      site: see `file`.
      variable: see `file`.
      is_spread: the values are a standard deviation, to which an offset does not apply.

    Raises:
      DataError: the units are missing or not known.
    """
    place = {"file": file, "site": site, "variable": variable}
    if found is None or not str(found).strip():
        raise DataError("no units", found="none", expected=repr(expected), **place)
    pair = conversion(str(found), expected)
    if pair is None:
        raise DataError("unknown units", found=repr(found), expected=_accepted(expected), **place)
    scale, offset = pair
    return values * scale + (0.0 if is_spread else offset)


def _accepted(expected: str) -> str:
    others = sorted(FACTORS.get(expected, {}))
    temperatures = sorted(KELVIN | FAHRENHEIT) if expected == "degC" else []
    alternatives = ", ".join([*others, *temperatures])
    return repr(expected) + (f" or one that converts to it: {alternatives}" if alternatives else "")


def _plain(unit: str) -> str:
    text = unit.strip()
    for pattern, replacement in _SPELLINGS:
        text = re.sub(pattern, replacement, text)
    return text
