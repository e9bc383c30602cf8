"""Site metadata: a table with one row a site; estimates and defaults where it is silent."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import tables
from kgml_jax.data.schema import ATTRIBUTES, SITE_QUANTITIES, Note
from kgml_jax.errors import DataError, listed, raise_together
from kgml_jax.process import pedotransfer

FILE_NAME = "sites.csv"

_ALIASES = {"lat": "latitude", "lon": "longitude", "elev": "elevation"}

_ESTIMATED = {
    "field_capacity": "field_capacity",
    "wilting_point": "wilting_point",
    "saturated_conductivity": "conductivity",
}


def load(path: Path | None, near: Path) -> pd.DataFrame:
    """Returns the metadata table, indexed by site; empty if there is none.

    Args:
      path: the table; None takes what is `beside` the data, if anything.
      near: the data's own path.

    Raises:
      DataError: the table is not there, has no column `site`, or names a site twice.
    """
    path = path or beside(near)
    if path is None:
        return pd.DataFrame()
    if not path.is_file():
        raise DataError("no such file", file=path, expected="a table of site metadata")
    table = pd.DataFrame(tables.columns(tables.contents(path), path.name))
    if "site" not in table:
        raise DataError("no column 'site'", file=path, found=", ".join(table.columns))
    if table["site"].duplicated().any():
        twice = table.loc[table["site"].duplicated(), "site"].to_numpy()[0]
        raise DataError("more than one row for a site", file=path, site=str(twice))
    return table.rename(columns=_ALIASES).set_index("site")


def beside(near: Path) -> Path | None:
    """Returns `sites.csv` in the folder `near` or in its parent; None if it is in neither."""
    folder = near if near.is_dir() else near.parent
    found = [place / FILE_NAME for place in (folder, folder.resolve().parent)]
    return next((place for place in found if place.is_file()), None)


def attach(dataset: xr.Dataset, table: pd.DataFrame) -> tuple[xr.Dataset, list[Note]]:
    """Adds attributes and group to a site's data set.

    An attribute is the data set's own, else the table's, else (how the soil holds and passes water)
    estimated from texture if sand and clay are given, else the default. The group is the data set's
    own, else the column `group`, else `igbp`, else the two letters of the country in a FLUXNET
    name, else `"all"`. What was given of the place, and no default, is in the attributes `latitude`
    and `longitude` (else NaN) and `vegetation` (the column `igbp`, else empty).

    Raises:
      DataError: an attribute lies outside its bounds, or sand and clay are more than the soil.
    """
    site = dataset.attrs["site"]
    row = table.loc[site] if site in table.index else pd.Series(dtype=object)
    given = _given(dataset, row)
    _check(site, given)
    longitude = given.pop("longitude", None)
    estimated = {name: value for name, value in _estimates(given).items() if name not in given}
    known = given | estimated
    missing = [name for name in ATTRIBUTES if name not in known]
    # The door computes the mean annual temperature from the record, unless the record states it.
    missing = [name for name in missing if name != "mean_annual_temperature"]
    values = known | {name: ATTRIBUTES[name].default for name in missing}
    group = dataset.attrs.get("group") or _group(row, dataset)
    added = {
        name: ((), value, {"units": ATTRIBUTES[name].units})
        for name, value in values.items()
        if not _has(dataset, name) and name != "mean_annual_temperature"
    }
    notes = _estimated(site, list(estimated)) + _defaults(site, missing)
    dataset = dataset.drop_vars("longitude", errors="ignore").assign(added)
    return dataset.assign_attrs(_place(longitude, row, given), group=group), notes


def _place(longitude: float | None, row: pd.Series, given: dict[str, float]) -> dict[str, Any]:
    # Always all of it: a file may have attributes of these names that mean something else.
    vegetation = row.get("igbp")
    return {
        "latitude": given.get("latitude", np.nan),
        "longitude": np.nan if longitude is None else longitude,
        "vegetation": vegetation.strip() if isinstance(vegetation, str) else "",
    }


def _has(dataset: xr.Dataset, name: str) -> bool:
    return name in dataset and bool(np.isfinite(dataset[name].item()))


def _given(dataset: xr.Dataset, row: pd.Series) -> dict[str, float]:
    given = {name: _number(row.get(name)) for name in SITE_QUANTITIES}
    given |= {name: dataset[name].item() for name in SITE_QUANTITIES if _has(dataset, name)}
    return {name: value for name, value in given.items() if value is not None}


def _check(site: str, given: dict[str, float]) -> None:
    errors = []
    for name, value in given.items():
        low, high = SITE_QUANTITIES[name].bounds or (-np.inf, np.inf)
        if not low <= value <= high:
            expected = f"{low:g} to {high:g} {SITE_QUANTITIES[name].units}"
            problem = "is not a possible value"
            place = {"site": site, "variable": name}
            errors.append(DataError(problem, found=value, expected=expected, **place))
    texture = given.get("sand", 0.0) + given.get("clay", 0.0)
    if texture > 1.0 + 1e-6:
        expected = "fractions of the mineral soil, together at most 1"
        errors.append(DataError("sand and clay", site=site, found=texture, expected=expected))
    raise_together(errors)


def _estimates(given: dict[str, float]) -> dict[str, float]:
    if not {"sand", "clay"} <= set(given):
        return {}
    carbon = given.get("soil_organic_carbon", ATTRIBUTES["soil_organic_carbon"].default)
    soil = pedotransfer.from_carbon(given["sand"], given["clay"], carbon)
    bounds = {name: ATTRIBUTES[name].bounds or (0.0, np.inf) for name in _ESTIMATED}
    return {
        name: float(np.clip(getattr(soil, source), *bounds[name]))
        for name, source in _ESTIMATED.items()
    }


def _estimated(site: str, names: list[str]) -> list[Note]:
    if not names:
        return []
    message = f"not given; estimated from texture (Saxton and Rawls 2006): {listed(names)}"
    return [Note(site, "soil", "estimated", len(names), message)]


def _defaults(site: str, missing: list[str]) -> list[Note]:
    notes = []
    for name in [name for name in missing if name in ("latitude", "elevation")]:
        value = f"{ATTRIBUTES[name].default} {ATTRIBUTES[name].units}"
        notes.append(Note(site, name, "defaulted", 1, f"not given; {value} is used"))
    soil = [name for name in missing if name not in ("latitude", "elevation")]
    if soil:
        message = f"not given; the Corn Belt mean is used for {', '.join(soil)}"
        notes.append(Note(site, "soil", "defaulted", len(soil), message))
    return notes


def _group(row: pd.Series, dataset: xr.Dataset) -> str:
    for name in ("group", "igbp"):
        given = row.get(name)
        if isinstance(given, str) and given.strip():
            return given.strip()
    return dataset.attrs["site"][:2] if dataset.attrs.get("network") == "FLUXNET" else "all"


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
