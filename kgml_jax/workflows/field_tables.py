"""Predictions of fields as tables: days, years, and what is known of each field."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.evaluation.tables import Grid
from kgml_jax.models.envelope import SITE_FLAGS
from kgml_jax.sites import PREDICTABLE
from kgml_jax.workflows.annual import PER_DAY, STATUS, annual_units
from kgml_jax.workflows.fields import FLAGS, OUTSIDE, FieldPredictions

MOST_INPUTS = 3
"""Inputs that a table names of those that lie outside."""

LONGEST = 40
"""Rows of a table in the terminal."""

REMARKS = {
    "vegetation": "vegetation class not seen in training",
    "crop": "crop unknown or not seen in training",
    "no_calendar": "no crop calendar, as training sites had",
    "place": "soil or place outside of training",
}


def daily_table(daily: xr.Dataset) -> pd.DataFrame:
    """Returns one row a site and day of its record; units are in the names of the columns."""
    names = _fluxes(daily)
    present = daily[OUTSIDE].values & FLAGS["no_record"] == 0
    rows, days = np.nonzero(present)
    columns = {
        "site": daily["site"].values[rows],
        "time": daily["time"].values[days].astype("datetime64[D]").astype(str),
    }
    for name in names:
        columns[f"{name} [{PREDICTABLE[name].units}]"] = daily[name].values[rows, days]
    columns[f"{OUTSIDE} [flag]"] = daily[OUTSIDE].values[rows, days]
    return pd.DataFrame(columns)


def annual_table(annual: xr.Dataset) -> pd.DataFrame:
    """Returns one row a site and year with a day; units are in the names of the columns."""
    rows, years = np.nonzero(annual["days"].values > 0)
    columns = {
        "site": annual["site"].values[rows],
        "year": annual["time"].dt.year.values[years],
        "days [d]": annual["days"].values[rows, years],
        "year_status": [STATUS[code] for code in annual["year_status"].values[rows, years]],
        "days_outside [d]": annual["days_outside"].values[rows, years],
    }
    for name in _fluxes(annual):
        columns[f"{name} [{annual_units(name)}]"] = annual[name].values[rows, years]
    return pd.DataFrame(columns)


def field_table(found: FieldPredictions) -> pd.DataFrame:
    """Returns one row a site: whose parameters it takes, and what of it lies outside."""
    names = ("site", "parameters_from", "distance [km]", "days [d]", "days_outside [1]")
    columns = (*names, "inputs_outside", "remarks")
    return pd.DataFrame(_fields(found), columns=list(columns))


def field_grid(found: FieldPredictions) -> Grid:
    """Tabulates the fields for the terminal, at most `LONGEST`, those most outside first."""
    fields = sorted(_fields(found), key=lambda field: -field[4])
    rows = [
        (name, lender, _kilometres(distance), str(days), _percent(share), inputs, remarks)
        for name, lender, distance, days, share, inputs, remarks in fields[:LONGEST]
    ]
    columns = ("field", "parameters from", "km", "days", "outside", "most often by", "remarks")
    title = "Fields; outside: share of days on which something passes what training saw"
    if len(fields) > LONGEST:
        title += f". {LONGEST} of {len(fields)}, those most outside"
    return Grid(title, columns, tuple(rows), text_columns=2)


def _fields(found: FieldPredictions) -> list[tuple[str, str, float, int, float, str, str]]:
    days = (found.daily[OUTSIDE].values & FLAGS["no_record"] == 0).sum(axis=1)
    shares = (found.outside.days != 0).sum(axis=1) / np.maximum(days, 1)
    return [
        (
            str(name),
            found.lenders.names[row],
            float(found.lenders.distance[row]),
            int(days[row]),
            float(shares[row]),
            _inputs(found, row),
            _remarks(found, row),
        )
        for row, name in enumerate(found.daily["site"].values)
    ]


def year_grid(annual: xr.Dataset) -> Grid:
    """Tabulates the years, or where there are many the means over each field's whole years."""
    names = [name for name in _fluxes(annual) if PREDICTABLE[name].units.endswith(PER_DAY)]
    sums = np.stack([annual[name].values for name in names], axis=-1)
    rows = [
        (str(site), row, year)
        for row, site in enumerate(annual["site"].values)
        for year in np.flatnonzero(annual["days"].values[row])
    ]
    if len(rows) <= LONGEST:
        days, status = annual["days"].values, annual["year_status"].values
        cells = [
            (
                site,
                str(annual["time"].dt.year.values[year]),
                f"{days[row, year]}{' (partial)' if status[row, year] == 1 else ''}",
                *(f"{value:.0f}" for value in sums[row, year]),
            )
            for site, row, year in rows
        ]
        title, columns = "Years", ("field", "year", "days", *names)
        return Grid(f"{title}. {_units(names)}", columns, tuple(cells), text_columns=3)
    whole = annual["year_status"].values >= STATUS.index("whole")
    means = [(str(site), sums[row][whole[row]]) for row, site in enumerate(annual["site"].values)]
    cells = [
        (site, str(len(own)), *(f"{value:.0f}" for value in own.mean(axis=0)))
        for site, own in means
        if len(own)
    ]
    title = "Means over the whole years of a field"
    if len(cells) > LONGEST:
        title += f", the first {LONGEST} of {len(cells)} fields"
    columns = ("field", "years", *names)
    return Grid(f"{title}. {_units(names)}", columns, tuple(cells[:LONGEST]), text_columns=1)


def _units(names: Sequence[str]) -> str:
    by_units: dict[str, list[str]] = {}
    for name in names:
        by_units.setdefault(annual_units(name), []).append(name)
    return "; ".join(f"{', '.join(group)} in {units}" for units, group in by_units.items())


def _fluxes(dataset: xr.Dataset) -> Sequence[str]:
    return [name for name in map(str, dataset.data_vars) if name in PREDICTABLE]


def _inputs(found: FieldPredictions, row: int) -> str:
    shares = {name: share[row] for name, share in found.outside.shares.items() if share[row] > 0}
    ranked = sorted(shares, key=lambda name: -shares[name])[:MOST_INPUTS]
    return ", ".join(f"{name} {_percent(shares[name])}" for name in ranked)


def _remarks(found: FieldPredictions, row: int) -> str:
    code, unlike = found.outside.sites[row], found.lenders.unlike[row]
    remarks = [REMARKS[name] for name, bit in SITE_FLAGS.items() if code & bit]
    return "; ".join([*remarks, *([f"parameters of {unlike}"] if unlike else [])])


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _kilometres(distance: float) -> str:
    return f"{distance:.0f}" if np.isfinite(distance) else "-"
