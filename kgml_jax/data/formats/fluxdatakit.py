"""Daily files of FluxDataKit: FLUXNET's columns under names of their own, carbon in other units.

FluxDataKit joins FLUXNET2015, ICOS and PLUMBER2 and averages their half-hours to days. It keeps the
units of the half-hours: carbon stays in umol CO2 m-2 s-1 where FLUXNET's own daily files hold
g C m-2 d-1, which makes values 4 % lower (its issue 110, github.com/geco-bern/FluxDataKit).
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from kgml_jax.data import tables, time_steps
from kgml_jax.data.formats import fluxnet
from kgml_jax.data.schema import Note, Piece, ReadOptions
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError

DAILY_NAME = re.compile(
    r"^FLX_(?P<site>[A-Za-z]{2}-[A-Za-z0-9]+)_(?:FLUXDATAKIT|PLUMBER)_FULLSET_DD_"
    r"\d{4}_(?P<last>\d{4})_[^/]*(?i:\.csv(?:\.gz)?)$"
)
"""`FLX_<site>_FLUXDATAKIT_FULLSET_DD_<first>_<last>_2-3.csv`."""

COLUMNS = {
    "TA_F_MDS": "TA_F",
    "TMAX_F_MDS": "TMAX_F",
    "TMIN_F_MDS": "TMIN_F",
    "SW_IN_F_MDS": "SW_IN_F",
    "VPD_F_MDS": "VPD_F",
}
"""Columns that FLUXNET names otherwise."""

_CARBON = re.compile(r"^(?:NEE|GPP|RECO)_(?!.*_QC$)")
_UNITS = "umol CO2 m-2 s-1"
_CANONICAL = "g C m-2 d-1"
_EXTREMES = ("TMAX_F", "TMIN_F")
_SAME = 1e-6
"""degC below which the highest and the lowest temperature of a day are one number."""


def load(path: Path, options: ReadOptions) -> list[Piece]:
    """Reads the site of a daily file.

    Raises:
      DataError: a column is missing, or the file is damaged.
    """
    match = DAILY_NAME.match(path.name)
    site = match["site"] if match else path.name
    data = tables.contents(path)
    table = tables.columns(data, path.name, site)
    tables.refuse_unfinished(data, path.name, site)
    if "TIMESTAMP" not in table:
        raise DataError("the column is missing", file=path, site=site, variable="TIMESTAMP")
    days = tables.daily(table["TIMESTAMP"], path.name, site, time_steps.IN_ARCHIVE)
    if match:
        fluxnet.check_end(path.name, site, days, match["last"])
    named = {COLUMNS.get(name, name): column for name, column in table.items()}
    converted, notes = _carbon(path.name, site, named)
    kept, more = _extremes(path.name, site, named | converted)
    piece = fluxnet.from_columns(path.name, site, days, kept, options)
    return [Piece(site, piece.dataset, (*notes, *more, *piece.notes))]


def _carbon(
    file: str, site: str, table: dict[str, pd.Series]
) -> tuple[dict[str, pd.Series], list[Note]]:
    converted = {}
    for name in filter(_CARBON.match, table):
        values = tables.numbers(table[name], file, site, name)
        converted[name] = pd.Series(convert(values, _UNITS, _CANONICAL), table[name].index)
    if not converted:
        return {}, []
    message = (
        f"FluxDataKit averages half-hours: carbon is taken to be in {_UNITS} and converted to "
        f"{_CANONICAL}, {convert(np.ones(1), _UNITS, _CANONICAL)[0]:.4f} times the number"
    )
    count = len(next(iter(converted.values())))
    return converted, [Note(site, "NEE, GPP, Reco", "warning", count, message)]


def _extremes(
    file: str, site: str, table: dict[str, pd.Series]
) -> tuple[dict[str, pd.Series], list[Note]]:
    """Leaves out extremes of temperature that are the mean, as in some releases."""
    if any(name not in table for name in _EXTREMES):
        return table, []
    highest, lowest = (tables.numbers(table[name], file, site, name) for name in _EXTREMES)
    if not np.nanmedian(highest - lowest) <= _SAME:
        return table, []
    message = "TMAX_F_MDS and TMIN_F_MDS hold the mean of the day and are left out"
    note = Note(site, "air_temperature_max, _min", "warning", len(highest), message)
    return {name: column for name, column in table.items() if name not in _EXTREMES}, [note]
