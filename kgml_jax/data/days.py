"""The days of a record: one row a day, none twice, none absent, and joining of periods."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data.schema import iso
from kgml_jax.errors import DataError, listed

AGREEMENT = 1e-4
"""Relative and absolute tolerance within which two files say the same of a day."""

_LEAST_HOURS = 12  # rows of one day that are its hours, rather than rows written twice


def check(days: pd.DatetimeIndex, file: str, site: str) -> None:
    """Refuses a record in which a day stands twice or is absent.

    Raises:
      DataError: naming the days.
    """
    twice = days[days.duplicated()]
    if len(days) >= _LEAST_HOURS * max(1, len(days.unique())):
        raise DataError(
            "holds half-hourly or hourly values",
            file=file,
            site=site,
            variable="time",
            found=f"{len(days) / len(days.unique()):.0f} rows a day, without the time of day",
            expected="one row a day",
        )
    if len(twice):
        raise DataError(
            "the same day more than once",
            file=file,
            site=site,
            variable="time",
            found=listed(iso(twice)),
            expected="one row a day",
        )
    absent = pd.date_range(days.min(), days.max(), freq="D").difference(days)
    if len(absent):
        raise DataError(
            "days are absent",
            file=file,
            site=site,
            variable="time",
            found=f"no row for {listed(iso(absent))}",
            expected="every day from the first to the last, with -9999 where nothing was measured",
        )


def join(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Joins the files of one site: periods that follow each other, or that agree where they meet.

    Args:
      datasets: dimension `time`; attrs `site` and `source`.

    Raises:
      DataError: two files disagree on a day, or a day stands twice within one file.
    """
    for one in datasets:
        days = pd.DatetimeIndex(one["time"].to_numpy())
        if days.has_duplicates:
            check(days, one.attrs["source"], one.attrs["site"])
    joined = datasets[0].sortby("time")
    for other in datasets[1:]:
        _compare(joined, other)
        source = f"{joined.attrs['source']}, {other.attrs['source']}"
        joined = joined.combine_first(other).assign_attrs({**joined.attrs, "source": source})
    return joined


def _compare(first: xr.Dataset, second: xr.Dataset) -> None:
    shared = np.intersect1d(first["time"].to_numpy(), second["time"].to_numpy())
    for name in [str(name) for name in first.data_vars if name in second]:
        pair = [
            one[name].sel(time=shared) if "time" in one[name].dims else one[name]
            for one in (first, second)
        ]
        same = np.isclose(*pair, rtol=AGREEMENT, atol=AGREEMENT, equal_nan=True)
        if np.all(same):
            continue
        if not same.ndim:
            found, example = "another value", ""
        else:
            day = iso(shared[~same])[0]
            values = [float(one.to_numpy()[~same][0]) for one in pair]
            found = f"{int(np.sum(~same))} days"
            example = f", first on {day}: {values[0]:.6g} against {values[1]:.6g}"
        raise DataError(
            f"{first.attrs['source']} and {second.attrs['source']} disagree{example}",
            site=first.attrs["site"],
            variable=name,
            found=found,
            expected="files that say the same of a day; remove one",
        )
