"""Annual sums of daily predictions, with the number of days that stand behind each."""

from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data import conventions
from kgml_jax.sites import PREDICTABLE
from kgml_jax.workflows.fields import FLAGS, OUTSIDE

STATUS = ("none", "partial", "whole", "whole_from_start_of_record")
"""Meanings of `year_status`: no day; not all days; all days; all days, of which the first still
depend on where the model began."""

PER_DAY = " d-1"

A_YEAR = np.timedelta64(1, "Y")


def annual_units(name: str) -> str:
    """Returns the units of the sum over a year of a rate; of what is no rate, its own."""
    return PREDICTABLE[name].units.removesuffix(PER_DAY)


def annual_sums(daily: xr.Dataset) -> xr.Dataset:
    """Sums daily predictions over calendar years.

    A sum is over the days that there are: `days` counts them and `year_status` says whether the
    year is whole. What is no daily rate, such as a yield, is averaged over them.

    Args:
      daily: of `fields.predict_fields`, dims (site, time).

    Returns:
      Dims (site, time), a time being the first day of its year, with bounds; CF attributes. NaN
      where a site has no day in a year.
    """
    dates = daily["time"].values.astype("datetime64[D]")
    years, index = np.unique(dates.astype("datetime64[Y]"), return_inverse=True)
    lengths = (years + A_YEAR).astype("datetime64[D]") - years.astype("datetime64[D]")
    flags = daily[OUTSIDE].values
    record = flags & FLAGS["no_record"] == 0
    total = lambda values: np.stack(
        [np.bincount(index, row, minlength=len(years)) for row in values.astype(np.float64)]
    )
    count = total(record)
    start = total(record & (flags & FLAGS["start_of_record"] > 0))
    beyond = flags & ~np.int8(FLAGS["start_of_record"] | FLAGS["no_record"]) != 0
    status = np.where(count == lengths.astype(int), np.where(start > 0, 3, 2), count > 0)
    result = _frame(daily, years)
    for name in [name for name in map(str, daily.data_vars) if name in PREDICTABLE]:
        summed = PREDICTABLE[name].units.endswith(PER_DAY)
        values = total(np.where(record, daily[name].values, 0.0))
        values = values if summed else values / np.maximum(count, 1)
        attributes = daily[name].attrs | {
            **conventions.units(annual_units(name)),
            "cell_methods": f"time: {'sum' if summed else 'mean'}",
            "ancillary_variables": "year_status days days_outside",
        }
        # It is of a rate.
        attributes.pop("standard_name", None)
        values = np.where(count > 0, values, np.nan).astype(np.float32)
        result[name] = (("site", "time"), values, attributes)
    return result.assign(_counts(count, total(record & beyond), status))


def _frame(daily: xr.Dataset, years: np.ndarray) -> xr.Dataset:
    fixed = [name for name, values in daily.variables.items() if values.dims == ("site",)]
    result = daily[fixed].drop_vars("time", errors="ignore")
    result = result.assign(conventions.periods(years, years + A_YEAR))
    title = "Annual sums of the fluxes of fields, predicted"
    return result.assign_attrs(title=title, comment="A time stands for the year it starts.")


def _counts(days: np.ndarray, beyond: np.ndarray, status: np.ndarray) -> dict[str, Any]:
    flags = conventions.flags("whether the year is whole", STATUS)
    dims = ("site", "time")
    counted = {"days": (days, "days that are summed"), "days_outside": (beyond, _BEYOND)}
    return {
        "year_status": (dims, status.astype(np.int8), flags),
        **{
            name: (dims, values.astype(np.int16), {"long_name": text, "units": "d"})
            for name, (values, text) in counted.items()
        },
    }


_BEYOND = "days of these on which something lies outside of the training data"
