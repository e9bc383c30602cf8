"""The calendar years of a site's record, and the ways to divide them among roles."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from kgml_jax.sites import Sites
from kgml_jax.split import Period

LEAST_OBSERVED = 30
"""Observed days, of any target, that make a calendar year count."""

BLOCK_DAYS = 30

BLOCKS_PER_CYCLE = 3
"""Where a year serves both training and validation, every third block of 30 days validates."""


@dataclass(frozen=True)
class SiteYears:
    """The record of one site: its days, and the calendar years that hold observations."""

    site: str
    dates: np.ndarray
    """datetime64[D], shape `(time,)`, without padding."""
    observed: tuple[int, ...]
    """Years with at least `LEAST_OBSERVED` observed days; all years of a record that has none."""

    @classmethod
    def of(cls, sites: Sites, row: int) -> "SiteYears":
        """Returns the record of the site in `row`."""
        valid = np.asarray(sites.site.valid)[row]
        dates = np.asarray(sites.site.calendar.date)[row][valid].astype("datetime64[D]")
        year = _year(dates)
        masks = [np.asarray(mask)[row][valid] for mask in sites.site.mask.values()]
        seen = np.any(masks, axis=0) if masks else np.ones(len(dates), dtype=bool)
        every = np.unique(year)
        counts = {int(one): int(seen[year == one].sum()) for one in every}
        observed = tuple(one for one, count in counts.items() if count >= LEAST_OBSERVED)
        return cls(sites.names[row], dates, observed or tuple(counts))


def whole(years: SiteYears, role: str) -> tuple[Period, ...]:
    """Gives the whole record one role."""
    return ((str(years.dates[0]), str(years.dates[-1]), role),)


def divide(
    years: SiteYears, test: Collection[int], validation: Collection[int], in_year: bool
) -> tuple[Period, ...]:
    """Gives whole calendar years their roles; years that are in neither collection train.

    A year without observations takes the role of the year before it, so that what follows the last
    test year is never trained on. If no year validates and `in_year` is set, the days that are not
    tested are cut into blocks of 30 days, of which every third validates; test years stay whole.
    """
    role, roles = "train", np.empty(len(years.dates), dtype=object)
    year = _year(years.dates)
    for one in np.unique(year):
        if one in years.observed:
            role = "test" if one in test else "validation" if one in validation else "train"
        roles[year == one] = role
    rest = np.flatnonzero(roles == "train")
    if in_year and not validation:
        block = np.arange(len(rest)) // BLOCK_DAYS % BLOCKS_PER_CYCLE
        roles[rest[block == BLOCKS_PER_CYCLE - 1]] = "validation"
    return _periods(years.dates, roles)


def divide_blocks(years: SiteYears, block_years: int, folds: int, fold: int) -> tuple[Period, ...]:
    """Deals blocks of observed years to folds in turn; see `splits.blocked`."""
    blocks = [
        years.observed[start : start + block_years]
        for start in range(0, len(years.observed), block_years)
    ]
    folds = min(folds, len(blocks))
    fold = fold % folds
    test = [year for block in blocks[fold::folds] for year in block] if folds > 1 else []
    following = blocks[(fold + 1) % folds :: folds] if folds > 2 else []
    validation = [year for block in following for year in block]
    return divide(years, test, validation, in_year=True)


def _periods(dates: np.ndarray, roles: np.ndarray) -> tuple[Period, ...]:
    starts = [0, *(np.flatnonzero(roles[1:] != roles[:-1]) + 1)]
    stops = [*starts[1:], len(dates)]
    return tuple(
        (str(dates[start]), str(dates[stop - 1]), str(roles[start]))
        for start, stop in zip(starts, stops, strict=True)
    )


def _year(dates: np.ndarray) -> np.ndarray:
    return dates.astype("datetime64[Y]").astype(np.int64) + 1970
