"""Splits of site-days into train, validation and test, by whole calendar years or whole sites."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kgml_jax.data.years import SiteYears, divide, divide_blocks, whole
from kgml_jax.errors import DataError, listed
from kgml_jax.sites import Sites
from kgml_jax.split import Period, Split

_LEAKING_INPUT = "prescribed_gpp"

_LEAKED_TARGETS = ("NEE", "Reco", "GPP")

GROWING_SEASON = {"north": (5, 6, 7, 8, 9), "south": (1, 2, 3, 11, 12)}
"""Months of the calendar year whose mean deficit ranks it; in the south, ends of two summers."""

LEAST_SEASON = 150
"""Days of the growing season, of 151 to 153, that a record must hold for a year to be ranked."""


def last_years(sites: Sites, test: int = 2, validation: int = 1) -> Split:
    """Tests on the last calendar years of every site and validates on those before.

    A year counts if it has observations. A site too short for all three keeps its test years and
    divides its other days within the year (`years.divide`); with `test` years or fewer it tests on
    all but its first, and a site of one year has no test days.
    """
    periods = {}
    for years in _records(sites):
        tested = years.observed[-min(test, len(years.observed) - 1) :] if test else ()
        tested = tested if len(years.observed) > 1 else ()
        rest = [year for year in years.observed if year not in tested]
        validated = rest[-validation:] if 0 < validation < len(rest) else ()
        periods[years.site] = divide(years, tested, validated, in_year=validation > 0)
    return _checked("last_years", periods, {"test": test, "validation": validation})


def blocked(sites: Sites, block_years: int = 1, folds: int = 5, fold: int = 0) -> Split:
    """Deals blocks of years to folds in turn: fold `fold` tests, the next validates, others train.

    A site with fewer blocks than folds has as many folds as blocks; one with a single block has no
    test days, one with two divides the block that is left within the year (`years.divide`).
    """
    _check_fold(fold, folds)
    periods = {
        years.site: divide_blocks(years, block_years, folds, fold) for years in _records(sites)
    }
    options = {"block_years": block_years, "folds": folds, "fold": fold}
    return _checked("blocked", periods, options)


def extreme_years(sites: Sites, count: int = 1, validation: int = 1) -> Split:
    """Tests on the years of every site with the hottest and driest growing seasons.

    Years are ranked by the mean vapour pressure deficit of `GROWING_SEASON`, which rises with heat
    and with drought. Only years with observations and a whole growing season are ranked. Of the
    other years the last `validation` validate. A site keeps at least one year to train on, and
    divides that one with validation if there is no other (`years.divide`).

    Raises:
      DataError: a site has several years, none of which can be ranked.
    """
    periods = {}
    for row, years in enumerate(_records(sites)):
        deficits = season_deficits(sites, row)
        known = [year for year in years.observed if year in deficits]
        if len(years.observed) > 1 and not known:
            raise DataError("no year with observations has a whole growing season", site=years.site)
        ranked = sorted(known, key=lambda year: deficits[year], reverse=True)
        tested = ranked[: min(count, len(years.observed) - 1)]
        rest = [year for year in years.observed if year not in tested]
        validated = rest[-validation:] if 0 < validation < len(rest) else ()
        periods[years.site] = divide(years, tested, validated, in_year=validation > 0)
    return _checked("extreme_years", periods, {"count": count, "validation": validation})


def season_deficits(sites: Sites, row: int) -> dict[int, float]:
    """Returns the mean vapour pressure deficit of the growing season by year, kPa, of one site.

    A year of which the record holds fewer than `LEAST_SEASON` days of the season is left out.
    """
    site, valid = sites.site, np.asarray(sites.site.valid)[row]
    year = np.asarray(site.calendar.year)[row][valid]
    dates = np.asarray(site.calendar.date)[row][valid].astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype(int) % 12 + 1
    hemisphere = "north" if np.asarray(site.attributes.latitude)[row] >= 0 else "south"
    season = np.isin(month, GROWING_SEASON[hemisphere])
    deficit = np.asarray(site.forcing.vapour_pressure_deficit, np.float64)[row][valid]
    seasons = {int(one): deficit[season & (year == one)] for one in np.unique(year)}
    return {one: float(days.mean()) for one, days in seasons.items() if days.size >= LEAST_SEASON}


def hide_sites(split: Split, sites: Sites, names: Sequence[str]) -> Split:
    """Returns the split with whole sites held out: all their days are for testing.

    Raises:
      DataError: a site is not in the data.
    """
    _require_sites(sites, names)
    hidden = {years.site: whole(years, "test") for years in _records(sites) if years.site in names}
    options = {**split.options, "new_sites": sorted(hidden)}
    return replace(split, periods=split.periods | hidden, options=options)


def leave_sites_out(
    sites: Sites,
    names: Sequence[str] = (),
    folds: int = 5,
    fold: int | None = None,
    validation: int = 1,
) -> Split:
    """Tests on whole sites: those named, or one of `folds` parts in an order fixed by the names.

    The other sites validate on their last `validation` years and train on the rest.

    Raises:
      DataError: a site is not in the data, or neither names nor a fold are given.
    """
    if not names and fold is None:
        raise DataError("leave_sites_out needs the names of sites or a fold")
    held_out = list(names)
    if not held_out and fold is not None:
        _check_fold(fold, folds)
        # By CRC-32: deterministic, and neighbours in the alphabet fall into different folds.
        order = np.argsort(np.asarray(sites.site.identity), kind="stable")
        held_out = [sites.names[row] for row in order[fold::folds]]
    _require_sites(sites, held_out)
    periods = _without(sites, held_out, validation)
    options = {"names": held_out, "folds": folds, "fold": fold, "validation": validation}
    return _checked("leave_sites_out", periods, options)


def leave_groups_out(sites: Sites, groups: Sequence[str], validation: int = 1) -> Split:
    """Tests on all sites of some groups (states, countries, cover types); see `leave_sites_out`.

    Raises:
      DataError: a group has no site in the data.
    """
    unknown = [group for group in groups if group not in sites.groups]
    if unknown:
        raise DataError(
            "no site has the group",
            found=listed(unknown),
            expected=f"one of {listed(sorted(set(sites.groups)), 12)}",
        )
    pairs = zip(sites.names, sites.groups, strict=True)
    periods = _without(sites, [name for name, group in pairs if group in groups], validation)
    options = {"groups": list(groups), "validation": validation}
    return _checked("leave_groups_out", periods, options)


def leaky_inputs(input_names: Sequence[str], target_names: Sequence[str]) -> str | None:
    """Returns a warning if an input holds a target; None if none does.

    A tower's GPP is computed as Reco - NEE: with it as an input, a model is shown its targets.
    """
    leaked = [name for name in _LEAKED_TARGETS if name in target_names]
    if _LEAKING_INPUT not in input_names or not leaked:
        return None
    return (
        f"{_LEAKING_INPUT} is an input and {', '.join(leaked)} are targets: a tower's GPP is "
        "Reco - NEE, so the model is shown what it is scored on"
    )


def _without(sites: Sites, held_out: list[str], validation: int) -> dict[str, tuple[Period, ...]]:
    periods = {}
    for years in _records(sites):
        if years.site in held_out:
            periods[years.site] = whole(years, "test")
            continue
        validated = years.observed[-validation:] if 0 < validation < len(years.observed) else ()
        periods[years.site] = divide(years, (), validated, in_year=validation > 0)
    return periods


def _require_sites(sites: Sites, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in sites.names]
    if unknown:
        expected = f"one of {listed(sites.names, 12)}"
        raise DataError("unknown site in the split", site=listed(unknown), expected=expected)


def _records(sites: Sites) -> list[SiteYears]:
    return [SiteYears.of(sites, row) for row in range(len(sites))]


def _checked(kind: str, periods: dict[str, tuple[Period, ...]], options: dict[str, Any]) -> Split:
    split = Split(kind=kind, periods=periods, options=options)
    split.assert_disjoint()
    return split


def _check_fold(fold: int, folds: int) -> None:
    if not 0 <= fold < folds:
        raise DataError("no such fold", found=fold, expected=f"0 to {folds - 1}")
