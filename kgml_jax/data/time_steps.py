"""Series that are not daily: what they are, and how days are made of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data.schema import iso
from kgml_jax.errors import DataError, listed

NAMES = {"HH": "half-hourly", "HR": "hourly", "WW": "weekly", "MM": "monthly", "YY": "yearly"}
"""Time steps by their mark in the names of flux files."""

_MARK = re.compile(r"_(HH|HR|WW|MM|YY)(?=[_.])")
_BASE = re.compile(r"^AMF_[A-Za-z]{2}-[A-Za-z0-9]+_BASE[_-]")
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
    if _BASE.match(path.name):
        raise _base(path)
    if mark := _MARK.search(path.name):
        expected = "a name with _DD_"
        problem = f"is not a daily FLUXNET file but a {NAMES[mark[1]]} one"
        raise DataError(problem, file=path, expected=expected, recipe=IN_ARCHIVE)


def refuse_by_header(names: Sequence[str], path: Path, commented: bool = False) -> None:
    """Refuses a table whose names are not those of a daily series with dates.

    Args:
      names: of its columns.
      path: named in the error.
      commented: lines of comments stand before them, as in the BASE files of AmeriFlux.

    Raises:
      DataError: it has a column TIMESTAMP_START, or columns of years with hours, months or days of
        the year.
    """
    if "TIMESTAMP_START" in names:
        if commented:
            raise _base(path)
        raise DataError(
            "holds half-hourly or hourly values",
            file=path,
            found="a column TIMESTAMP_START",
            expected="one row a day",
            recipe=IN_ARCHIVE,
        )
    _refuse_parts({name.split("[")[0].strip().lower(): name for name in names}, path)


def _base(path: Path) -> DataError:
    return DataError(
        "is a half-hourly BASE file of AmeriFlux (comment lines, TIMESTAMP_START)",
        file=path,
        expected="the product AmeriFlux FLUXNET of the site, whose archive holds a daily file",
        recipe=IN_ARCHIVE,
    )


def _refuse_parts(names: Mapping[str, str], path: Path) -> None:
    """Refuses a table whose dates are in parts, such as year and day of the year, by column."""
    if "year" not in names or {"time", "date", "timestamp"} & set(names):
        return
    of_year = next((name for name in ("doy", "day_of_year") if name in names), None)
    if of_year is not None:
        parts = ("year", of_year)
        year, day = (f'table["{names[part]}"]' for part in parts)
        digits = f"({year} * 1000 + {day}).astype(int).astype(str)"
        dates = f'pandas.to_datetime({digits}, format="%Y%j")'
    elif {"month", "day"} <= set(names):
        parts = ("year", "month", "day")
        columns = ", ".join(f"{part}=table[{names[part]!r}]" for part in parts)
        dates = f"pandas.to_datetime(dict({columns}))"
    elif "month" in names:
        raise _refusal("monthly", ["year, month"], path.name, "")
    else:
        return
    lines = [f'table = pandas.read_csv("{path.name}")', f'table["time"] = {dates}']
    groups = '["site", "time"]' if "site" in names else '"time"'
    if "hour" in names:
        lines.append(f'table.groupby({groups}).mean().to_csv("daily.csv"){_SUMS}')
    else:
        lines.append('table.to_csv("daily.csv", index=False)')
    raise DataError(
        "holds hourly values" if "hour" in names else "has its dates in parts",
        file=path,
        variable="time",
        found=", ".join([*parts, *(["hour"] if "hour" in names else [])]),
        expected="one row a day, with a column time",
        recipe="\n".join(f"    {line}" for line in lines),
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
