"""Units: spellings, and the conversions to the canonical units of the schema.

A table of our own and no units library: the units of this field name substances (g C, umol CO2)
and let the total of a day stand for a rate ("mm", "MJ m-2"), which libraries do not know, and what
is not in the table is refused rather than converted by its dimensions alone.
"""

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
    "umol C m-2 s-1": CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY,
    "mol m-2 s-1": 1e6 * CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY,
    "mol CO2 m-2 s-1": 1e6 * CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY,
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
    "l m-2": 1.0,
    "l m-2 d-1": 1.0,
    "kg H2O m-2 s-1": SECONDS_PER_DAY,
    "kg H2O m-2 d-1": 1.0,
}

FACTORS: dict[str, dict[str, float]] = {
    "g C m-2 d-1": _CARBON_FLUX,
    "g N m-2 d-1": {"g N m-2": 1.0, "kg N ha-1 d-1": 0.1, "kg N ha-1": 0.1},
    "g N m-2": {"kg N m-2": 1e3, "kg N ha-1": 0.1, "t N ha-1": 100.0, "lb N ac-1": 0.112085},
    "g C m-2": {"kg C m-2": 1e3, "kg C ha-1": 0.1, "t C ha-1": 100.0, "Mg C ha-1": 100.0},
    "mm": {"cm": 10.0, "m": 1e3, "in": 25.4, "l m-2": 1.0, "kg m-2": 1.0, "m3 ha-1": 0.1},
    "mm d-1": _WATER_FLUX,
    "MJ m-2 d-1": {
        "MJ m-2": 1.0,
        "W m-2": SECONDS_PER_DAY * 1e-6,
        "J m-2 d-1": 1e-6,
        "J m-2": 1e-6,
        "kJ m-2 d-1": 1e-3,
        "J m-2 s-1": SECONDS_PER_DAY * 1e-6,
        "J cm-2 d-1": 1e-2,
        "J cm-2": 1e-2,
        "kWh m-2 d-1": 3.6,
        "kWh m-2": 3.6,
        "cal cm-2 d-1": 0.04184,
        "langley d-1": 0.04184,
    },
    "kPa": {"Pa": 1e-3, "hPa": 0.1, "mbar": 0.1, "mb": 0.1},
    "m s-1": {"km h-1": 1 / 3.6, "km d-1": 1e3 / SECONDS_PER_DAY},
    "umol mol-1": {
        "umol CO2 mol-1": 1.0,
        "ppm": 1.0,
        "ppmv": 1.0,
        "mol mol-1": 1e6,
        "1e-6": 1.0,
    },
    "m": {"cm": 1e-2, "km": 1e3, "ft": 0.3048, "in": 0.0254, "m asl": 1.0, "masl": 1.0},
    "1": {
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

_DEGREES = r"(?:decimal[ _])?deg(?:ree)?s?\.?[ _]*"

WORDS: dict[str, dict[str, tuple[str, float, float]]] = {
    "degC": {
        "degC": (rf"(?:{_DEGREES}|o)?(?:c|celsius|centigrade)", 1.0, 0.0),
        "K": (rf"(?:{_DEGREES})?(?:k|kelvins?)", 1.0, -273.15),
        "degF": (rf"(?:{_DEGREES}|o)?(?:f|fahrenheit)", 5 / 9, -160 / 9),
    },
    "degree_north": {"degree": (rf"{_DEGREES}(?:n|north)?", 1.0, 0.0)},
    "degree_east": {"degree": (rf"{_DEGREES}(?:e|east)?", 1.0, 0.0)},
    "1": {
        "dimensionless": (
            r"\[?-\]?|1\.0|0-1|none|dimensionless|unitless|no[ _]units?|fraction|ratio|share|"
            r"proportion|flag|code|index|bool(?:ean)?|ph(?:[ _]units?)?",
            1.0,
            0.0,
        )
    },
}
"""Units that are words: pattern of their spellings in any case, scale and offset."""

WORDS["m3 m-3"] = WORDS["1"]

_SYMBOLS = {
    word: symbol
    for symbol, words in {
        "W": "watt watts",
        "J": "joule joules",
        "kJ": "kilojoule kilojoules",
        "MJ": "megajoule megajoules",
        "langley": "langleys ly",
        "m": "meter meters metre metres",
        "mm": "millimeter millimeters millimetre millimetres",
        "cm": "centimeter centimeters centimetre centimetres",
        "km": "kilometer kilometers kilometre kilometres",
        "in": "inch inches",
        "ft": "foot feet",
        "ac": "acre acres",
        "lb": "lbs pound pounds",
        "t": "tonne tonnes",
        "ha": "hectare hectares",
        "l": "liter liters litre litres",
        "g": "gram grams",
        "kg": "kilogram kilograms",
        "mg": "milligram milligrams",
        "umol": "micromol micromols micromole micromoles umole umoles mumol",
        "mol": "mole moles",
        "Pa": "pascal pascals",
        "hPa": "hectopascal hectopascals",
        "kPa": "kilopascal kilopascals",
        "mbar": "millibar millibars",
        "d": "day days",
        "h": "hour hours hr hrs",
        "s": "second seconds sec secs",
        "%": "percent percents pct",
    }.items()
    for word in words.split()
}
"""Symbol by a word for it, in any case."""

_SPELLINGS = (
    (r"[−⁻–]", "-"),
    (r"\*\*|\^|_\{|[{}$]", ""),
    (r"[°º]\s*", "deg"),
    (r"[µμ]", "u"),
    (r"¹", "1"),
    (r"²", "2"),
    (r"³", "3"),
    (r"[·⋅*]", " "),
    (r"(?<=[A-Za-z0-9])\.(?=[A-Za-z])", " "),
    (r"\bper[ -]cent\b", "percent"),
    (r"\bper\b", "/"),
    (r"(?:CO2|N2O)-([CN])\b", r"\1"),
    (r"\b([CN])-(?:CO2|N2O)\b", r"\1"),
)
_DIVISOR = re.compile(r"/\s*\(([^()]*)\)")
_FACTOR = re.compile(r"(/?)\s*([^\s/]+)")
_WITH_SUBSTANCE = re.compile(r"([kmMu]?g|[mu]?mol)[_(]?(CO2|H2O|C|N)\)?")
_POWER = re.compile(r"(.*?[^\d+-])([+-]?\d{1,3})?")
_LONGEST = 100  # characters
_SUBSTANCES = ("CO2", "H2O", "N2O")


def conversion(found: str, expected: str) -> tuple[float, float] | None:
    """Returns `(scale, offset)` with `expected = scale * found + offset`; None if not known.

    Args:
      found: units as spelled in a file, e.g. `"gC m-2 day-1"`, `"W/m2"`, `"K"`.
      expected: one of the canonical units.
    """
    if expected not in CANONICAL_UNITS or not found.strip() or len(found) > _LONGEST:
        return None
    for pattern, scale, offset in WORDS.get(expected, {}).values():
        if re.fullmatch(pattern, _substituted(found).strip(), re.IGNORECASE):
            return scale, offset
    spelled = _plain(found)
    if spelled == _plain(expected):
        return 1.0, 0.0
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
    words = [word for word in WORDS.get(expected, {}) if word != expected]
    alternatives = ", ".join([*sorted(FACTORS.get(expected, {})), *words])
    return repr(expected) + (f" or one that converts to it: {alternatives}" if alternatives else "")


def _substituted(unit: str) -> str:
    for pattern, replacement in _SPELLINGS:
        unit = re.sub(pattern, replacement, unit)
    return unit


def _plain(unit: str) -> str:
    """Returns a unit as its factors with their powers, in one order and one spelling.

    `"W/m2"`, `"Watts m**-2"` and `"m-2 W"` are one; so are `"gC m-2 day-1"` and `"g C/(m2 d)"`.
    """
    text = _DIVISOR.sub(lambda match: "/" + "/".join(match[1].split()), _substituted(unit))
    text = _WITH_SUBSTANCE.sub(r"\1 \2", text)
    factors = []
    for divides, factor in _FACTOR.findall(text.replace("(", " ").replace(")", " ")):
        power = _POWER.fullmatch(factor)
        symbol, exponent = (factor, 1) if factor in _SUBSTANCES or not power else power.groups()
        symbol = _SYMBOLS.get(symbol.lower(), symbol)
        exponent = int(exponent or 1) * (-1 if divides else 1)
        factors.append(symbol if exponent == 1 else f"{symbol}{exponent}")
    # A 1 before a divisor, as in 1/d, is no factor.
    return " ".join(sorted(one for one in factors if one != "1" or len(factors) == 1))
