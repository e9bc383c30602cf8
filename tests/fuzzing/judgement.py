"""What came of a case: right, refused, told of, not to be seen, or a fault."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fuzzing.effects import Effect
from fuzzing.loaded import Loaded, Remark
from fuzzing.sources import EVERYTHING, Source
from kgml_jax.data import bounds
from kgml_jax.data.schema import FORCING, TARGET_BOUNDS
from kgml_jax.errors import DataError

RIGHT, REFUSED, TOLD, INVISIBLE = "right", "refused", "told", "invisible"
FOREIGN, HANG, SILENT, MEMORY, UNNAMED = "foreign", "hang", "silent", "memory", "unnamed"
OTHER = "other"
GOOD = (RIGHT, REFUSED, TOLD, INVISIBLE)
FAULTS = (FOREIGN, HANG, SILENT, MEMORY, UNNAMED, OTHER)
"""Foreign exceptions and warnings; hangs; numbers that differ without a word although the content
shows it; memory beyond the stated; errors that do not say of which file; and what is worse: code
that ran, files that were made, good content refused, promises of the door not kept."""

_ROUNDING = 1e-5


@dataclass(frozen=True)
class Verdict:
    """How a case ended, and why."""

    outcome: str
    why: str = ""


def of_error(error: DataError, names: set[str]) -> Verdict:
    """Judges a refusal: it must say of which file, or of which site."""
    if error.problem.startswith("cannot be read: ") and error.__cause__ is not None:
        return Verdict(FOREIGN, str(error))
    if not any(name in str(error) for name in names):
        return Verdict(UNNAMED, str(error))
    return Verdict(REFUSED, str(error))


def of_loaded(
    before: Loaded, after: Loaded, effect: Effect, source: Source, names: set[str]
) -> Verdict:
    """Judges what was loaded against what was loaded from the whole input."""
    for error in after.errors:
        verdict = of_error(error, names)
        if verdict.outcome != REFUSED:
            return verdict
    if broken := _broken(after):
        return Verdict(OTHER, broken)
    if effect.must_load and after.errors:
        return Verdict(OTHER, f"good content refused: {after.errors[0]}")
    kept = _kept(before, after)
    differing = _differing(kept, after)
    if not differing:
        return Verdict(REFUSED, str(after.errors[0])) if after.errors else Verdict(RIGHT)
    if effect.renamed and _is_renamed(kept, after):
        return Verdict(INVISIBLE, "another name or date")
    return _of_differing(differing, effect, after, after.said - before.said, source)


def _kept(before: Loaded, after: Loaded) -> Loaded:
    """Returns the whole reading without the sites that were refused."""
    if not after.errors:
        return before
    refused = {error.site for error in after.errors} | {*before.sites} - {*after.sites}
    return Loaded({key: one for key, one in before.values.items() if key[0] not in refused})


def _of_differing(
    differing: dict[tuple[str, str], int],
    effect: Effect,
    after: Loaded,
    new: frozenset[Remark],
    source: Source,
) -> Verdict:
    told = "; ".join(sorted(f"{remark.variable}: {remark.message}" for remark in new))[:300]
    moved = {site for site in [key[0] for key in differing] if site and site not in after.sites}
    moved = {site for site in moved if any(site in remark.message for remark in new)}
    untold = [key for key in differing if key[0] not in moved and not _is_told(key, new, source)]
    if not untold:
        return Verdict(TOLD, told)
    for key in untold:
        if not _may_differ(key, differing[key], effect, after):
            return Verdict(SILENT, f"{key} differs in {differing[key]}; told: {told}")
    return Verdict(INVISIBLE, f"{untold[:3]}")


def _may_differ(key: tuple[str, str], count: int, effect: Effect, after: Loaded) -> bool:
    # Without a place of its own a site takes that of another column, such as the group from IGBP.
    if key[1] in effect.absent and (key not in after.values or key[1].endswith("(place)")):
        return True
    most = max(effect.changed.get(key[1], 0), effect.changed.get(EVERYTHING, 0), effect.lost)
    is_mean = key in after.values and len(after.values[key]) == 1 and most > 0
    return count <= most or is_mean


def _differing(before: Loaded, after: Loaded) -> dict[tuple[str, str], int]:
    """Returns the number of entries that differ, by site and variable."""
    found = {}
    for key in {*before.values, *after.values}:
        one, other = before.values.get(key), after.values.get(key)
        if one is None or other is None:
            found[key] = len(other if one is None else one)
        elif not one.index.equals(other.index):
            count = _of_other_rows(one, other)
            if count:
                found[key] = count
        elif count := int((~_same(one.to_numpy(), other.to_numpy())).sum()):
            found[key] = count
    return found


def _of_other_rows(one: pd.Series, other: pd.Series) -> int:
    if one.index.has_duplicates or other.index.has_duplicates:
        return max(len(one), len(other))
    common = one.index.intersection(other.index)
    same = _same(one.loc[common].to_numpy(), other.loc[common].to_numpy())
    return int((~same).sum()) + max(len(one), len(other)) - len(common)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind in "fiub" and other.dtype.kind in "fiub":
        return np.isclose(
            one.astype(float), other.astype(float), rtol=_ROUNDING, atol=1e-9, equal_nan=True
        )
    pairs = zip(one, other, strict=True)
    return np.array([str(left) == str(right) for left, right in pairs], dtype=bool)


_OF_DATES = ("group (place)", "mean_annual_temperature")


def _is_renamed(before: Loaded, after: Loaded) -> bool:
    """Whether two readings differ in names of sites and groups or in dates alone."""
    left, right = ([_content(loaded, site) for site in loaded.sites] for loaded in (before, after))
    return len(left) == len(right) and all(any(_equal(one, to) for to in right) for one in left)


def _content(loaded: Loaded, site: str) -> dict[str, np.ndarray]:
    """Returns the values of a site that say nothing of its name or of dates."""
    return {
        name: one.to_numpy()
        for (of, name), one in loaded.values.items()
        if of == site and name not in _OF_DATES
    }


def _equal(one: dict[str, np.ndarray], to: dict[str, np.ndarray]) -> bool:
    return one.keys() == to.keys() and all(
        values.shape == to[name].shape and bool(_same(values, to[name]).all())
        for name, values in one.items()
    )


def _is_told(key: tuple[str, str], new: frozenset[Remark], source: Source) -> bool:
    """Whether a remark is of a variable, or of what it follows from."""
    variable = key[1]
    if any("cut off" in remark.message for remark in new):
        return True  # what is behind the cut
    columns = [name for name, of in source.columns.items() if variable in of]
    related = {variable, *columns, *(other for name in columns for other in source.columns[name])}
    words = {variable.removesuffix(" (place)"), *related, *_FOLLOWS.get(variable, ())}
    return any(word in f"{remark.variable} {remark.message}" for remark in new for word in words)


_FOLLOWS = {
    "air_temperature_max": ("air_temperature", "latitude", "shortwave_radiation", "potential"),
    "air_temperature_min": ("air_temperature", "latitude", "shortwave_radiation", "potential"),
    "air_temperature_mean": ("tmax", "tmin", "air_temperature"),
    "mean_annual_temperature": ("air_temperature",),
    "shortwave_radiation": ("air_temperature", "tmax", "tmin"),
    "vapour_pressure_deficit": ("air_temperature", "tmax", "tmin"),
    "ET": ("air_temperature_mean", "LE_F_MDS", "evaporate"),
    "state": ("yield",),
    "crop": ("harvest",),
    "yield": ("harvest",),
    "latitude (place)": ("place", "sites.csv"),
    "elevation": ("place", "sites.csv"),
    "latitude": ("place", "sites.csv"),
    "longitude (place)": ("place", "sites.csv"),
    "vegetation (place)": ("place", "igbp", "sites.csv"),
    "group (place)": ("place", "igbp", "group", "sites.csv"),
    "sand": ("soil", "sites.csv"),
    "clay": ("soil", "sites.csv"),
    "field_capacity": ("soil", "sites.csv"),
    "wilting_point": ("soil", "sites.csv"),
    "saturated_conductivity": ("soil", "sites.csv"),
}
"""What else a remark may name that a variable follows from."""


def _broken(after: Loaded) -> str:
    """Says which promise of the door what was loaded breaks; empty if none."""
    if not after.is_daily:
        return ""
    for (site, name), values in after.values.items():
        numbers = values.to_numpy()
        if name in FORCING and not np.isfinite(numbers).all():
            return f"{site} {name} is not finite"
        if name in FORCING or name in TARGET_BOUNDS:
            if (
                len(values) > 1
                and (np.diff(values.index.to_numpy()) != np.timedelta64(1, "D")).any()
            ):
                return f"{site} {name} lacks days"
            low, high = bounds.physical(name)
            if (numbers < low - abs(low) * 1e-3 - 0.1).any() or (
                numbers > high * 1.002 + 0.1
            ).any():
                return f"{site} {name} is outside of {low} to {high}"
    return ""
