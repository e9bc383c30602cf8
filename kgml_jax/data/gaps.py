"""Gaps in the forcing: two named rules, a short one and a long one, both counted."""

import numpy as np
import pandas as pd

from kgml_jax.data.schema import ReadOptions

SHORT = "linear interpolation over a short gap"
DRY = "a short gap counted as dry"
COPY = "the same days of the nearest year"


def fill(
    values: np.ndarray, time: pd.DatetimeIndex, name: str, options: ReadOptions
) -> tuple[np.ndarray, dict[str, int], list[tuple[int, int]]]:
    """Fills the gaps of one forcing.

    Gaps of up to `options.max_gap` days are interpolated linearly (held at an end of the record);
    in precipitation they are dry, because interpolation would turn one storm into days of drizzle.
    Gaps of up to `options.max_copy` days take the same calendar days of the nearest year that has
    them all: one year's weather, not a mean of years, keeps its variability.

    Returns:
      The filled values, the number of days by rule, and the gaps left as `(start, stop)`.
    """
    filled, counts, left = values.copy(), {}, []
    known = np.flatnonzero(np.isfinite(values))
    for start, stop in gaps_of(values):
        if stop - start <= options.max_gap and len(known):
            rule = DRY if name == "precipitation" else SHORT
            span = np.arange(start, stop)
            block = np.zeros(len(span)) if rule == DRY else np.interp(span, known, values[known])
        elif stop - start <= options.max_copy:
            rule, block = COPY, _nearest_year(values, time, start, stop)
        else:
            rule, block = COPY, None
        if block is None:
            left.append((start, stop))
            continue
        filled[start:stop] = block
        counts[rule] = counts.get(rule, 0) + stop - start
    return filled, counts, left


def gaps_of(values: np.ndarray) -> list[tuple[int, int]]:
    """Returns the runs of NaN as `(start, stop)`, in order."""
    edges = np.diff(np.concatenate([[0], np.isnan(values).astype(np.int8), [0]]))
    pairs = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return [(int(start), int(stop)) for start, stop in pairs]


def _nearest_year(
    values: np.ndarray, time: pd.DatetimeIndex, start: int, stop: int
) -> np.ndarray | None:
    span = int(np.ptp(time.year.to_numpy()))
    shifts = [sign * years for years in range(1, span + 1) for sign in (-1, 1)]
    for years in shifts:
        # A shift from 29 February lands on the 28th.
        twins = time.get_indexer(time[start:stop] + pd.DateOffset(years=years))
        if np.all(twins >= 0) and np.isfinite(values[twins]).all():
            return values[twins]
    return None
