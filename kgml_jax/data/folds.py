"""Folds of whole crop-years: which days of a site are held out together."""

import numpy as np

from kgml_jax.data.years import BLOCK_DAYS
from kgml_jax.errors import DataError
from kgml_jax.sites import Site
from kgml_jax.split import DividedSites

LEAST_OBSERVED = 90
"""Observed days of a crop-year by itself; with fewer, as between two crops of a year, it is part of
the one before."""

LONGEST = 548
"""Days from sowing to sowing, a year and a half; where they are more, as of a perennial, calendar
years take the place of crop-years."""


def deal(data: DividedSites, folds: int) -> np.ndarray:
    """Deals the days that may be learnt from to folds, whole crop-years together.

    A crop-year lasts from sowing to the day before the next sowing; without a calendar it is the
    calendar year. Those of one crop go to folds in turn, then those of the next, so that the years
    of a crop are spread over as many folds as there are. A site with fewer crop-years than folds
    leaves the last folds empty; one with a single crop-year deals blocks of 30 days instead, and
    with a single block holds nothing out.

    Args:
      data: sites with their split.
      folds: 2 or more.

    Returns:
      The fold of each day, from 0, int8 (site, time); -1 on days that are never held out.

    Raises:
      DataError: fewer than two folds.
    """
    if folds < 2:
        raise DataError("too few folds", found=str(folds), expected="2 or more")
    learning = data.learning_days
    dealt = np.full(learning.shape, -1, np.int8)
    for row, days in enumerate(learning):
        free = np.flatnonzero(days)
        piece = _pieces(data.sites.site, row, free)
        turn = _turns(data.sites.site, row, free, piece)
        if turn.max(initial=0) > 0:
            dealt[row, free] = turn % folds
    return dealt


def _pieces(site: Site, row: int, free: np.ndarray) -> np.ndarray:
    # Number of the crop-year of each free day, or of its block where there is but one crop-year.
    if not free.size:
        return free
    seen = np.any([np.asarray(mask)[row, free] for mask in site.mask.values()], axis=0)
    sown = np.asarray(site.forcing.planting)[row] > 0
    starts = sown & ~np.roll(sown, 1)
    starts[0] = True
    year = np.asarray(site.calendar.year)[row]
    end = np.asarray(site.valid)[row].sum()
    length = np.diff(np.append(np.flatnonzero(starts), end))
    long = np.repeat(length > LONGEST, np.maximum(length, 0))
    new_year = np.diff(year, prepend=year[0]) > 0
    starts[: len(long)] |= new_year[: len(long)] & long
    piece = _joined(np.cumsum(starts)[free], seen)
    return piece if piece[-1] > piece[0] else np.arange(len(free)) // BLOCK_DAYS


def _joined(piece: np.ndarray, seen: np.ndarray) -> np.ndarray:
    # From 0; what is seen too little goes to the piece before it, at the start to the one after.
    joined, number, count = np.zeros(len(piece), int), 0, 0
    for one in np.unique(piece):
        days = piece == one
        here = int(seen[days].sum())
        if here >= LEAST_OBSERVED and count >= LEAST_OBSERVED:
            number, count = number + 1, 0
        joined[days] = number
        count += here
    return joined


def _turns(site: Site, row: int, free: np.ndarray, piece: np.ndarray) -> np.ndarray:
    # Place of each day's piece in the order of dealing: by crop, then by time.
    crop = np.asarray(site.forcing.crop)[row, free]
    grown = np.asarray(site.forcing.occupied)[row, free] > 0
    numbers = np.unique(piece)
    of_piece = [_most(crop[(piece == number) & grown]) for number in numbers]
    order = sorted(range(len(numbers)), key=lambda place: (of_piece[place], place))
    place_of = np.empty(len(numbers), int)
    place_of[order] = np.arange(len(numbers))
    return place_of[np.searchsorted(numbers, piece)]


def _most(crops: np.ndarray) -> int:
    # The crop of most days; -1 where none grew.
    values, counts = np.unique(crops, return_counts=True)
    return int(values[np.argmax(counts)]) if values.size else -1
