"""Crop towers of the Warm Winter 2020 collection: daily GPP and ET, means of NEE over eight days.

Their weather is that of ERA, downscaled to the tower; their management a table of events.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import attributes, quality, site_table
from kgml_jax.data.management import forcing as management_forcing
from kgml_jax.data.management.reader import Diary
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note
from kgml_jax.data.units import convert
from studies.measured_fields.management import FieldHistory
from studies.measured_fields.readers import MeasuredField, Table, table
from studies.towers.periods import EIGHT_DAYS, on_last_days

WEATHER = "met_daily/ww2020_era_downscaled_daily_10crop_sites_2001_2020.csv.gz"
DAILY = "flux_ww2020_eu/ww2020_daily_gpp_et_9crop_8grass_2004_2018.csv.gz"
EIGHT_DAILY = "flux_ww2020_eu/ww2020_8day_nee_reco_gpp_met_glass_2001_2018.csv.gz"

SITES = ("CZ-KrP", "DE-RuS", "FR-Aur", "FR-Lam")
"""Crop towers with fluxes, daily weather and a calendar, that are no FLUXNET2015 site.

DE-Kli and IT-BCi are read from FLUXNET2015, which has their NEE by day; CH-Oe2 has no calendar; of
the grasslands DE-Gri and IT-Tor are in FLUXNET2015, and the others have no daily weather.
"""

_WEATHER = {
    "air_temperature_mean": ("TA_ERA", "degC", "degC"),
    "shortwave_radiation": ("SW_IN_ERA", "W m-2", "MJ m-2 d-1"),
    "longwave_radiation": ("LW_IN_ERA", "W m-2", "MJ m-2 d-1"),
    "vapour_pressure_deficit": ("VPD_ERA", "hPa", "kPa"),
    "precipitation": ("P_ERA", "mm d-1", "mm d-1"),
    "wind_speed": ("WS_ERA", "m s-1", "m s-1"),
}
"""Column, its units, and the units of the forcing."""

_OF_DAYS = {"GPP": "gpp_nt_gC_m2_d", "ET": "et_mm_d"}
_OF_EIGHT_DAYS = {"NEE": "nee_gC_m2_d", "Reco": "reco_gC_m2_d"}


def read(folder: Path, diary: Diary, names: Sequence[str] = SITES) -> list[MeasuredField]:
    """Reads towers of the collection, from the year of their first flux to that of their last.

    Args:
      folder: the real data.
      diary: what was done on the fields.
      names: of the towers.

    Raises:
      DataError: a file is missing or damaged.
    """
    tables = [table(folder, name) for name in (WEATHER, DAILY, EIGHT_DAILY, site_table.FILE_NAME)]
    return [_tower(name, diary, *tables) for name in names]


def _tower(
    site: str, diary: Diary, weather: Table, daily: Table, means: Table, places: Table
) -> MeasuredField:
    dates, columns = _rows(daily, site, "date", _OF_DAYS)
    first, last = dates.min().astype("datetime64[Y]"), dates.max().astype("datetime64[Y]") + 1
    days = np.arange(first.astype("datetime64[D]"), last.astype("datetime64[D]"))
    values = _weather(weather, site, days)
    values |= {name: _on_days(column, dates, days) for name, column in columns.items()}
    starts, columns = _rows(means, site, "period_start", _OF_EIGHT_DAYS)
    values |= {
        name: on_last_days(column, starts, days, EIGHT_DAYS) for name, column in columns.items()
    }
    here = places.text("site") == site
    known = {"latitude": "lat", "longitude": "lon", "elevation": "elev"}
    scalars = {name: ((), places.numbers(column)[here][0]) for name, column in known.items()}
    dataset = xr.Dataset(
        {name: ("time", column) for name, column in values.items()} | scalars,
        coords={"time": days.astype("datetime64[ns]")},
        attrs={"site": site, "source": DAILY},
    )
    return _finished(site, dataset, diary)


def _finished(site: str, dataset: xr.Dataset, diary: Diary) -> MeasuredField:
    dataset, notes = attributes.attach(dataset, pd.DataFrame())
    latitude = float(dataset["latitude"])
    dataset, more, _ = management_forcing.attach(dataset, diary, latitude)
    dataset, further = quality.finish(dataset, DEFAULT_OPTIONS)
    history = FieldHistory(site, {}, (), remark=f"management: {diary.file}; soil: the default")
    told: tuple[Note, ...] = (*notes, *more, *further)
    return MeasuredField(history, dataset, told)


def _weather(weather: Table, site: str, days: np.ndarray) -> dict[str, np.ndarray]:
    names = {name: column for name, (column, _, _) in _WEATHER.items()}
    dates, columns = _rows(weather, site, "TIMESTAMP", names)
    return {
        name: convert(_on_days(column, dates, days), *_WEATHER[name][1:])
        for name, column in columns.items()
    }


def _rows(
    source: Table, site: str, time: str, names: dict[str, str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    here = source.text("site") == site
    return source.days(time)[here], {
        name: source.numbers(column)[here] for name, column in names.items()
    }


def _on_days(values: np.ndarray, dates: np.ndarray, days: np.ndarray) -> np.ndarray:
    inside = (dates >= days[0]) & (dates <= days[-1])
    laid = np.full(len(days), np.nan)
    laid[(dates[inside] - days[0]).astype(int)] = values[inside]
    return laid
