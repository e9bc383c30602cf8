"""County yields as a target of a site: the value of a year on the last day of the year."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data.formats.county_yields import CountyYields
from kgml_jax.data.grain import GRAINS
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed

_NAMES = {grain.row: crop for crop, grain in GRAINS.items()}


def crops_by_year(dataset: xr.Dataset) -> dict[int, tuple[int, ...]]:
    """Returns the rows of the crop table harvested in every whole calendar year of a record.

    They are those of the days with harvest. A record that has no harvest at all gives the crop that
    is on the field, or stands in `crop` if `occupied` is not known, on most days of the year.

    Args:
      dataset: canonical data of one site with `crop` and, if known, `harvest` and `occupied`.

    Raises:
      DataError: it has no `crop`.
    """
    if "crop" not in dataset:
        expected = "a crop calendar: crop, with harvest or occupied"
        raise DataError("no crop", site=dataset.attrs["site"], variable="crop", expected=expected)
    crop = np.asarray(dataset["crop"].to_numpy(), dtype=int)
    harvest, occupied = (_positive(dataset, name) for name in ("harvest", "occupied"))
    days = pd.DatetimeIndex(dataset["time"].to_numpy())
    found = {}
    for year in _whole_years(days):
        own = days.year == year
        if harvest.any():
            rows = np.unique(crop[own & harvest])
        else:
            grown = crop[own & occupied] if occupied.any() else crop[own]
            values, counts = np.unique(grown, return_counts=True)
            rows = values[np.argsort(-counts, kind="stable")[:1]]
        found[year] = tuple(int(row) for row in rows)
    return found


def with_yields(
    dataset: xr.Dataset,
    yields: CountyYields,
    *,
    county: str | None = None,
    state: str | None = None,
    crops: Mapping[int, tuple[int, ...]] | None = None,
) -> tuple[xr.Dataset, tuple[Note, ...]]:
    """Adds the target `yield`: the county's, on 31 December of every whole calendar year.

    A year with two harvests, as of wheat and soybean, has the sum. A year has no value (NaN, which
    `assemble` turns into a mask) where a crop that was harvested is not known or has no yield.

    Args:
      dataset: canonical data of one site, dimension `time`, attribute `site`.
      yields: of counties.
      county: FIPS code of five digits; None takes the attribute `county` of the data set.
      state: postal abbreviation, where no county is known: the mean of its counties. None takes
        the attribute `state`.
      crops: rows of the crop table harvested by year; None takes `crops_by_year`.

    Returns:
      The data set with `yield` in g C m-2 yr-1, and notes on the years.

    Raises:
      DataError: the site has a yield of its own, no place, or no crop; the place has no yield.
    """
    site = dataset.attrs["site"]
    if "yield" in dataset:
        expected = "a site without a yield of its own"
        raise DataError("is there already", site=site, variable="yield", expected=expected)
    place = _place(dataset, county, state)
    annual = yields.annual(**place)
    crops = crops_by_year(dataset) if crops is None else crops
    days = pd.DatetimeIndex(dataset["time"].to_numpy())
    values, without = np.full(len(days), np.nan), []
    whole = [year for year in _whole_years(days) if year in crops]
    for year in whole:
        harvested = _sum_of(annual, crops[year], year)
        values[days == pd.Timestamp(year, 12, 31)] = harvested
        without += [year] * (not np.isfinite(harvested))
    kind, name = next(iter(place.items()))
    mean = "mean of the counties of the state" if kind == "state" else "the county"
    message = f"yield of {mean} {name} on the last day of the year"
    notes = [Note(site, "yield", "estimated", len(whole) - len(without), message)]
    if without:
        message = f"no yield, or crop not known: {listed(without, 9)}"
        notes.append(Note(site, "yield", "warning", len(without), message))
    added = dataset.assign({"yield": ("time", values, {"units": "g C m-2 yr-1"})})
    return added, tuple(notes)


def _place(dataset: xr.Dataset, county: str | None, state: str | None) -> dict[str, str]:
    for kind, given in (
        ("county", county),
        ("state", state),
        ("county", dataset.attrs.get("county")),
        ("state", dataset.attrs.get("state")),
    ):
        if given is not None:
            return {kind: str(given)}
    expected = "a county or a state, as an argument or an attribute of the data set"
    raise DataError("no place", site=dataset.attrs["site"], variable="county", expected=expected)


def _sum_of(annual: pd.Series, rows: tuple[int, ...], year: int) -> float:
    known = annual.to_dict()
    harvested = [known.get((_NAMES.get(row), year), np.nan) for row in rows]
    return float(np.sum(harvested)) if harvested else np.nan


def _positive(dataset: xr.Dataset, name: str) -> np.ndarray:
    if name not in dataset:
        return np.zeros(dataset.sizes["time"], dtype=bool)
    return np.asarray(dataset[name].to_numpy()) > 0


def _whole_years(days: pd.DatetimeIndex) -> list[int]:
    held = days.to_numpy().astype("datetime64[D]")
    first, last = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in held[[0, -1]])
    ends = lambda year: [np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-12-31")]
    return [year for year in range(first, last + 1) if np.isin(ends(year), held).all()]
