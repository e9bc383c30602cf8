"""Series that are not daily: what they are, and how days are made of them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data.schema import iso
from kgml_jax.errors import DataError, listed

NAMES = {"HH": "half-hourly", "HR": "hourly", "WW": "weekly", "MM": "monthly", "YY": "yearly"}
"""Time steps by their mark in the names of flux files."""

_MARK = re.compile(r"_(HH|HR|WW|MM|YY)(?=[_.])")
_DIGITS = {4: "yearly", 6: "monthly", 10: "hourly", 12: "half-hourly or hourly"}
"""Time steps by the digits of a compact date."""

_LONGER = ((200, "yearly"), (20, "monthly"), (5, "weekly"))
"""Time steps by the least number of days between two values."""

_LEAST_STAMPS = 4

_SUMS = "    # but .sum() of rain, .max() and .min() of temperature for its extremes"

IN_ARCHIVE = "    unzip -j ARCHIVE.zip '*_DD_*.csv' -d daily    # it lies beside this one"
"""Recipe for a file of FLUXNET and its networks."""

_NO_DAYS = "    days cannot be made of {step} values: bring the series they were averaged from"


def refuse_by_name(path: Path) -> None:
    """Refuses a flux file that says in its name that it is not daily.

    Raises:
      DataError: with the way to the daily file.
    """
    if mark := _MARK.search(path.name):
        expected = "a name with _DD_"
        problem = f"is not a daily FLUXNET file but a {NAMES[mark[1]]} one"
        raise DataError(problem, file=path, expected=expected, recipe=IN_ARCHIVE)


def refuse_by_header(names: Sequence[str], path: Path) -> None:
    """Refuses a table whose first line is that of a half-hourly file.

    Raises:
      DataError: it has a column TIMESTAMP_START, or the comment lines of AmeriFlux BASE files.
    """
    if names and names[0].startswith("#"):
        raise DataError(
            "begins with comment lines, like the half-hourly BASE files of AmeriFlux",
            file=path,
            expected="AmeriFlux FLUXNET, whose archive holds a daily file (_DD_)",
            recipe=IN_ARCHIVE,
        )
    if "TIMESTAMP_START" in names:
        raise DataError(
            "holds half-hourly or hourly values",
            file=path,
            found="a column TIMESTAMP_START",
            expected="one row a day",
            recipe=IN_ARCHIVE,
        )


def refuse_by_digits(text: pd.Series, file: str, hours: str) -> None:
    """Refuses a column of compact dates that have more or fewer digits than YYYYMMDD.

    Args:
      text: the dates.
      file: named in the error.
      hours: recipe that makes days of hours.

    Raises:
      DataError: all of them have the digits of another time step.
    """
    for digits, step in _DIGITS.items():
        if bool(text.str.fullmatch(rf"\d{{{digits}}}").all()):
            raise _refusal(step, list(text), file, hours)


def refuse_by_spacing(stamps: pd.DatetimeIndex, file: str, hours: str) -> None:
    """Refuses a time axis of another step than a day.

    Args:
      stamps: with their time of day, of one or more sites.
      file: named in the error.
      hours: recipe that makes days of hours.

    Raises:
      DataError: half of the values or more follow the one before after less, or more, than a day.
    """
    unique = stamps.unique().sort_values()
    if len(unique) < _LEAST_STAMPS:
        return
    days = float(np.median(np.diff(unique.to_numpy()) / np.timedelta64(1, "D")))
    if days < 1:
        raise _refusal("half-hourly or hourly", unique, file, hours)
    step = next((name for least, name in _LONGER if days >= least), None)
    if step is not None:
        raise _refusal(step, iso(unique), file, hours)


def of_table(file: str, column: str, by_site: bool) -> str:
    """Returns the recipe that makes days of the hours of a table."""
    groups = f'["site", pandas.Grouper(key="{column}", freq="D")]'
    groups = groups if by_site else f'pandas.Grouper(key="{column}", freq="D")'
    return (
        f'    hours = pandas.read_csv("{file}", parse_dates=["{column}"])\n'
        f'    hours.groupby({groups}).mean().to_csv("daily.csv"){_SUMS}'
    )


def of_arrays(file: str) -> str:
    """Returns the recipe that makes days of the hours of a netCDF file or Zarr store."""
    opened = f'xarray.{"open_zarr" if file.endswith(".zarr") else "open_dataset"}("{file}")'
    return (
        f"    hours = {opened}\n"
        f'    hours.resample(time="D").mean(keep_attrs=True).to_netcdf("daily.nc"){_SUMS}'
    )


def _refusal(step: str, found: Iterable[object], file: str, hours: str) -> DataError:
    recipe = hours if "hourly" in step else _NO_DAYS.format(step=step)
    return DataError(
        f"holds {step} values",
        file=file,
        variable="time",
        found=listed([str(one) for one in found], 3),
        expected="one row a day",
        recipe=recipe,
    )
