"""What a value can be: physical bounds, and codes of missing values that no list names."""

import numpy as np

from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import FORCING, NEUTRAL_FORCING, TARGET_BOUNDS, expected_units

SLIGHT_EXCESS = 0.002
"""Share of a variable's range by which a value may pass a bound and still be set to it."""

OUTSIDE_LIMIT = 0.01
"""Share of days outside the physical range above which the units must be wrong."""

MOST_CODES = 3
"""Different values outside the bounds that may stand on several days and still be codes."""

_LEAST_CODE = 998.0
"""Above it a share, a flag or an amount given by people may be a code of a missing value: 9999."""

_LOWEST_CROP = -8.0  # a crop of -9 may be a code of a missing value, one of -2 is a mistake
_PLAIN = ("1", "m3 m-3")
STORMS = 10.0
"""Multiple of the bound of precipitation up to which a value may be a storm, however unlikely."""


def physical(name: str) -> tuple[float, float]:
    """Returns the least and the largest possible value of a variable, infinite where unknown.

    Args:
      name: of forcing, of a target, or `<target>_qc` or `<target>_uncertainty`.
    """
    if name.endswith("_qc"):
        return 0.0, 1.0
    if name.endswith("_uncertainty"):
        low, high = TARGET_BOUNDS.get(name.removesuffix("_uncertainty"), (-np.inf, np.inf))
        return 0.0, high - low
    if name == "prescribed_gpp":
        return TARGET_BOUNDS["GPP"]
    if name in TARGET_BOUNDS:
        return TARGET_BOUNDS[name]
    return FORCING[name].bounds or (-np.inf, np.inf)


def in_words(name: str) -> str:
    """Returns the bounds with their units."""
    low, high = physical(name)
    return f"{low:g} to {high:g} {expected_units(name)}"


def outside(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which values lie outside the physical range, and which only slightly."""
    low, high = physical(name)
    slight = SLIGHT_EXCESS * (high - low) if np.isfinite(high - low) else 0.0
    beyond = (values < low - slight) | (values > high + slight)
    return beyond, ((values < low) | (values > high)) & ~beyond


def without_codes(
    values: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, list[tuple[float, int]]]:
    """Removes codes of missing values by what they are: one impossible number on several days.

    A sensor that fails and units that are wrong scatter; a code is the same to the last digit, even
    after its units were converted. An infinite value is a code wherever it stands.

    Args:
      values: of one site and variable, NaN where missing.
      low: least value that is no code.
      high: largest value that is no code.

    Returns:
      The values with NaN for codes, and each code with the number of days.
    """
    infinite = np.isinf(values)
    beyond = values[((values < low) | (values > high)) & ~infinite]
    distinct, counts = np.unique(beyond, return_counts=True)
    often = counts > 1
    several = often if often.sum() <= MOST_CODES else np.zeros_like(often)
    found = [
        (float(code), int(count))
        for code, count in zip(distinct[several], counts[several], strict=True)
    ]
    if infinite.any():
        found.append((np.inf, int(infinite.sum())))
    coded = infinite | np.isin(values, distinct[several])
    return np.where(coded, np.nan, values), found


def code_message(code: float) -> str:
    """Returns the words of a note on a code."""
    return f"{code:.10g} cannot be a value and stands for many: taken as a missing value"


def strip_codes(draft: Draft) -> None:
    """Makes codes of missing values NaN in all daily variables, each with a note."""
    for name, values in draft.values.items():
        if not values.ndim or not _is_bounded(name):
            continue
        kept, found = without_codes(values.astype(np.float64), *code_limits(name))
        for code, count in found:
            draft.note(name, "warning", count, code_message(code))
        if found:
            draft.values[name] = kept


def _is_bounded(name: str) -> bool:
    target = name.removesuffix("_qc").removesuffix("_uncertainty")
    return name in FORCING or target in TARGET_BOUNDS


def code_limits(name: str) -> tuple[float, float]:
    """Returns the bounds beyond which a value of a daily variable may be a code."""
    if name == "crop":
        return _LOWEST_CROP, _LEAST_CODE
    low, high = physical(name)
    if name == "precipitation":
        return low, STORMS * high
    given = name in NEUTRAL_FORCING and name != "prescribed_gpp"
    if given or expected_units(name) in _PLAIN:
        return low, max(high, _LEAST_CODE)
    return low, high
