"""Site metadata: a table with one row a site, and the defaults where it is silent."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import tables
from kgml_jax.data.schema import ATTRIBUTES, DataError, Note

FILE_NAME = "sites.csv"

_ALIASES = {"lat": "latitude", "elev": "elevation"}


def load(path: Path | None, near: Path) -> pd.DataFrame:
    """Returns the metadata table, indexed by site; empty if there is none.

    Args:
      path: the table; None looks for `sites.csv` in the folder `near` and in its parent.
      near: the data's own path.

    Raises:
      DataError: the table is not there, has no column `site`, or names a site twice.
    """
    if path is None:
        folder = near if near.is_dir() else near.parent
        found = [place / FILE_NAME for place in (folder, folder.resolve().parent)]
        path = next((place for place in found if place.is_file()), None)
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


def attach(dataset: xr.Dataset, table: pd.DataFrame) -> tuple[xr.Dataset, list[Note]]:
    """Adds attributes and group to a site's data set: its own, else the table's, else defaults.

    The group is the data set's own, else the column `group`, else `igbp`, else the two letters of
    the country in a FLUXNET name, else `"all"`.
    """
    site = dataset.attrs["site"]
    row = table.loc[site] if site in table.index else pd.Series(dtype=object)
    values, missing = {}, []
    for name, quantity in ATTRIBUTES.items():
        if name in dataset and np.isfinite(dataset[name].item()):
            continue
        value = _number(row.get(name))
        if value is None and name != "mean_annual_temperature":
            missing.append(name)
            value = quantity.default
        if value is not None and name != "mean_annual_temperature":
            values[name] = ((), value, {"units": quantity.units})
    group = dataset.attrs.get("group") or _group(row, dataset)
    return dataset.assign(values).assign_attrs(group=group), _defaults(site, missing)


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
