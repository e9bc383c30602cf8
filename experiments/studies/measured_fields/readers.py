"""Reads the files of the real check: forcing on the one side, observations on the other.

Weather comes in through the door of `kgml_jax.data`: units converted, gaps filled by its rules and
noted. Management and soil are the history's; see `measured_fields/catalogue.py`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import attributes, estimates, quality, site_table, tables
from kgml_jax.data.formats import county_yields as county_reports
from kgml_jax.data.formats.fluxnet import latent_heat
from kgml_jax.data.read import read
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, ReadOptions
from kgml_jax.data.units import CARBON_GRAMS_PER_MICROMOLE, SECONDS_PER_DAY, convert
from kgml_jax.errors import DataError
from studies.measured_fields.catalogue import BUSHELS_PER_ACRE, CORN, SOYBEAN
from studies.measured_fields.management import FieldHistory, management

MEAD_FORCING = "met_daily/US-Ne3_daily_forcing_2001_2006_NACP.csv.gz"
MONTHLY_FLUXES = "flux_monthly/fluxnet2015_subset_monthly_206sites.csv.gz"
TOWN_WEATHER = "weather/champaign_urbana_daily_1889_2009.csv.gz"
TOWER_WEATHER = "weather/champaign_bondville_surfrad_warm_daily_1995_2023.csv.gz"
SOIL_RESPIRATION = "respiration/soyface_soilresp_2009_2011.csv"
COUNTY_YIELDS = "yields/nass_champaign_county_yields.csv"

_COLUMNS = {
    "air_temperature_mean": ("ta_C", "degC", "degC"),
    "air_temperature_max": ("tmax_C", "degC", "degC"),
    "air_temperature_min": ("tmin_C", "degC", "degC"),
    "shortwave_radiation": ("sw_in_W_m2", "W m-2", "MJ m-2 d-1"),
    "vapour_pressure_deficit": ("vpd_hPa", "hPa", "kPa"),
    "precipitation": ("precip_mm", "mm d-1", "mm d-1"),
    "wind_speed": ("ws_m_s", "m s-1", "m s-1"),
    "co2": ("co2_ppm", "ppm", "umol mol-1"),
}
"""Column, its units, and the units of the forcing."""

_TOWN = ("tmax_C", "tmin_C", "precip_mm")
_TOWER = (*_TOWN, "sw_in_est_W_m2", "vpd_hPa", "ws_m_s", "n_hours")
_COUNTY_CROPS = {CORN: "corn", SOYBEAN: "soybean"}

_GIVEN = ("longitude", "vegetation")
"""Of the place, as the source gave it."""

Columns = Mapping[str, np.ndarray]


def default_folder() -> Path:
    """Returns the folder of real data: `KGML_JAX_DATA`, else `../shared/data`."""
    return Path(os.environ.get("KGML_JAX_DATA", "../shared/data"))


@dataclass(frozen=True)
class MeasuredField:
    """One field ready to simulate: its history, its data set, and what was done to the weather."""

    history: FieldHistory
    dataset: xr.Dataset
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Table:
    """A table of the data folder; every column is read as what it is asked for."""

    name: str
    columns: Mapping[str, pd.Series]

    def numbers(self, column: str) -> np.ndarray:
        """Returns a column as float64, NaN where a value is missing."""
        return tables.numbers(self.columns[column], self.name, None, column)

    def text(self, column: str) -> np.ndarray:
        """Returns a column as strings."""
        return np.asarray(self.columns[column], dtype=str)

    def days(self, column: str = "date") -> np.ndarray:
        """Returns a column as datetime64[D]."""
        return tables.dates(self.columns[column], self.name).to_numpy().astype("datetime64[D]")


def table(folder: Path, name: str) -> Table:
    """Opens a table of the data folder.

    Raises:
      DataError: the file is not there, or is no table.
    """
    path = folder / name
    if not path.is_file():
        expected = "the folder of real data (--data or KGML_JAX_DATA)"
        raise DataError("no such file", found=str(path), expected=expected)
    return Table(name, tables.columns(tables.contents(path), path.name))


def field(history: FieldHistory, weather: xr.Dataset, notes: Sequence[Note] = ()) -> MeasuredField:
    """Puts management and soil of a history on a data set of weather.

    Args:
      history: the facts; its period, if any, cuts the record.
      weather: canonical forcing without gaps, with latitude and elevation if the history has none.
      notes: what was done to the weather.
    """
    if history.period is not None:
        weather = weather.sel(time=slice(*history.period))
    dates = weather["time"].to_numpy().astype("datetime64[D]")
    place = ("latitude", "elevation", "mean_annual_temperature")
    soil = [name for name in weather.data_vars if not weather[name].dims and name not in place]
    dataset = weather.drop_vars(soil).assign(
        {name: ((), value) for name, value in history.attributes.items()}
    )
    dataset, more = attributes.attach(dataset, pd.DataFrame())
    dataset = dataset.assign(
        {name: ("time", values) for name, values in management(history, dates).items()}
    )
    notes = [note for note in notes if note.variable != "soil"]
    kept = {name: weather.attrs[name] for name in _GIVEN if name in weather.attrs}
    attrs = {"site": history.site, **kept}
    return MeasuredField(history, dataset.assign_attrs(attrs), (*notes, *more))


def tower(
    folder: Path, history: FieldHistory, options: ReadOptions = DEFAULT_OPTIONS
) -> MeasuredField:
    """Reads a FLUXNET2015 site; days count where at least 75 % was measured or filled well."""
    pattern = f"FLX_{history.site}_FLUXNET2015_*_DD_*.csv"
    found = sorted((folder / "fluxnet2015").glob(pattern))
    if not found:
        path = folder / "fluxnet2015" / pattern
        raise DataError("no such file", found=str(path), expected="a daily FLUXNET file")
    reading = read(found[0], folder / site_table.FILE_NAME, options)
    return field(history, reading.sites[0], reading.notes)


def _finished(
    days: np.ndarray, columns: Columns, site: str, source: str, known: Mapping[str, float]
) -> tuple[xr.Dataset, list[Note]]:
    """Takes columns of `_COLUMNS` through the door."""
    values, converted = {}, []
    for name, (column, units, canonical) in _COLUMNS.items():
        if column in columns:
            values[name] = ("time", convert(columns[column], units, canonical))
            if units not in (canonical, "ppm"):
                message = f"{column}: {units} converted to {canonical}"
                converted.append(Note(site, name, "converted", len(days), message))
    scalars = {name: ((), np.asarray(value)) for name, value in known.items()}
    dataset = xr.Dataset(
        values | scalars,
        coords={"time": days.astype("datetime64[ns]")},
        attrs={"site": site, "source": source},
    )
    finished, notes = quality.finish(dataset, DEFAULT_OPTIONS)
    return finished, [*converted, *notes]


def mead(folder: Path, history: FieldHistory) -> MeasuredField:
    """Reads the forcing of US-Ne3; its place is that of the site table."""
    forcing, sites = table(folder, MEAD_FORCING), table(folder, site_table.FILE_NAME)
    here = sites.text("site") == history.site
    known = {
        name: float(sites.numbers(column)[here][0])
        for name, column in (("latitude", "lat"), ("elevation", "elev"))
    }
    names = [column for column, _, _ in _COLUMNS.values()]
    columns = {name: forcing.numbers(name) for name in names}
    dataset, notes = _finished(forcing.days(), columns, history.site, MEAD_FORCING, known)
    filled = int((forcing.numbers("ta_meas_frac") < DEFAULT_OPTIONS.qc_threshold).sum())
    message = "not measured at the tower, filled by the provider of the forcing"
    return field(
        history, dataset, [*notes, Note(history.site, "all weather", "filled", filled, message)]
    )


def champaign(folder: Path, histories: Sequence[FieldHistory]) -> list[MeasuredField]:
    """Reads the weather of Champaign, once for all histories there, which have one period."""
    first, last = (np.datetime64(day) for day in histories[0].period or ())
    days = np.arange(first, last + np.timedelta64(1, "D"))
    town = _station(table(folder, TOWN_WEATHER), _TOWN, days)
    tower = _station(table(folder, TOWER_WEATHER), _TOWER, days)
    joined, estimated = champaign_weather(days, town, tower, histories[0].attributes["latitude"])
    dataset, notes = _finished(days, joined, "Champaign", TOWN_WEATHER, histories[0].attributes)
    message = "not measured: FAO-56 (eqs. 48, 50) and the mean of the month, scaled to later years"
    notes.append(Note("Champaign", "radiation, humidity, wind", "estimated", estimated, message))
    return [field(history, dataset, notes) for history in histories]


def _station(station: Table, names: Sequence[str], days: np.ndarray) -> dict[str, np.ndarray]:
    """Returns columns of a station on `days`, NaN where it has no row."""
    own = station.days()
    inside = (own >= days[0]) & (own <= days[-1])
    places = (own[inside] - days[0]).astype(int)
    columns = {name: np.full(len(days), np.nan) for name in names}
    for name, column in columns.items():
        column[places] = station.numbers(name)[inside]
    return columns


def champaign_weather(
    days: np.ndarray, town: Columns, tower: Columns, latitude: float
) -> tuple[dict[str, np.ndarray], int]:
    """Joins two stations: temperature and rain of the town, the rest of the tower at Bondville.

    Temperature and rain of the tower follow where the town's record ends. Where the tower has no
    radiation, humidity or wind yet, radiation follows from the temperature range and humidity from
    the daily minimum as dew point (Allen et al. 1998, FAO-56, eqs. 48 and 50), both scaled to have
    the tower's mean on the days that have both; wind is its mean of the month.

    Args:
      days: datetime64[D], every day once and in order, shape (time,).
      town: columns `_TOWN`, each of shape (time,), NaN where missing.
      tower: columns `_TOWER`, likewise.
      latitude: degrees north.

    Returns:
      Columns of the forcing, and the number of days that are estimated.
    """
    joined = {}
    for name in _TOWN:
        # The town's own gaps are left to the door's rules.
        ended = np.arange(len(days)) > np.flatnonzero(np.isfinite(town[name]))[-1]
        joined[name] = np.where(ended, tower[name], town[name])
    warmest, coldest = joined["tmax_C"], joined["tmin_C"]
    joined["ta_C"] = (warmest + coldest) / 2
    of_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
    top = estimates.extraterrestrial_radiation(latitude, of_year) * 1e6 / SECONDS_PER_DAY
    radiation = estimates.radiation_from_range(warmest, coldest, top)
    deficit = 10.0 * estimates.deficit_from_extremes(warmest, coldest)  # hPa
    measured = np.where(tower["n_hours"] > 0, tower["sw_in_est_W_m2"], np.nan)
    joined["sw_in_W_m2"] = _completed(measured, radiation)
    joined["vpd_hPa"] = _completed(tower["vpd_hPa"], deficit)
    month = days.astype("datetime64[M]").astype(int) % 12
    wind = np.array([np.nanmean(tower["ws_m_s"][month == one]) for one in range(12)])
    joined["ws_m_s"] = np.where(np.isfinite(tower["ws_m_s"]), tower["ws_m_s"], wind[month])
    return joined, int(np.isnan(measured).sum())


def _completed(measured: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    both = np.isfinite(measured) & np.isfinite(estimate)
    scale = measured[both].mean() / estimate[both].mean()
    return np.where(np.isfinite(measured), measured, scale * estimate)


def mead_fluxes(folder: Path) -> xr.Dataset:
    """Reads the monthly fluxes of US-Ne3.

    Returns:
      Dim `month` (its first day), means of the days: GPP, Reco and NEE in g C m-2 d-1, ET and
      `ET_closed` (energy balance closed) in mm d-1, and `quality`, the share of NEE that was
      measured or filled well.
    """
    fluxes = table(folder, MONTHLY_FLUXES)
    here = fluxes.text("site") == "US-Ne3"
    value = lambda name: fluxes.numbers(name)[here]
    to_water = SECONDS_PER_DAY / latent_heat(value("TA_F"))
    months = 12 * (value("year") - 1970) + value("month") - 1
    return xr.Dataset(
        {
            "GPP": ("month", value("GPP_NT_VUT_REF")),
            "Reco": ("month", value("RECO_NT_VUT_REF")),
            "NEE": ("month", value("NEE_VUT_REF")),
            "ET": ("month", value("LE_F_MDS") * to_water),
            "ET_closed": ("month", value("LE_CORR") * to_water),
            "quality": ("month", value("NEE_VUT_REF_QC")),
        },
        coords={"month": months.astype(int).astype("datetime64[M]").astype("datetime64[ns]")},
    )


def soil_respiration(folder: Path) -> xr.Dataset:
    """Reads the soil respiration of the control plots at SoyFACE (ambient CO2, not heated).

    Returns:
      Dim `time`, the days of measurement: `season`, and heterotrophic and root respiration with
      their standard errors, `Rh`, `Rh_error`, `Rroot`, `Rroot_error`, in g C m-2 d-1.
    """
    plots = table(folder, SOIL_RESPIRATION)
    control = (plots.text("Heat") == "c") & (plots.text("CO2") == "Ambient")
    grams = CARBON_GRAMS_PER_MICROMOLE * SECONDS_PER_DAY
    values, days = {}, {}
    for name, component in (("Rh", "Rhet"), ("Rroot", "Raut")):
        rows = np.flatnonzero(control & (plots.text("Component") == component))
        rows = rows[np.argsort(plots.days("Day")[rows], kind="stable")]
        days[name] = plots.days("Day")[rows].astype("datetime64[ns]")
        values[name] = ("time", grams * plots.numbers("lsmean")[rows])
        values[f"{name}_error"] = ("time", grams * plots.numbers("SE")[rows])
        values["season"] = ("time", plots.text("Season")[rows])
    if not np.array_equal(days["Rh"], days["Rroot"]):
        raise DataError("Rhet and Raut are not of the same days", file=SOIL_RESPIRATION)
    return xr.Dataset(values, coords={"time": days["Rh"]})


def county_yields(folder: Path) -> dict[int, dict[int, float]]:
    """Reads the yields of Champaign county.

    Returns:
      By row of the crop table and year, Mg ha-1 at market moisture.
    """
    bushels = county_reports.load(folder / COUNTY_YIELDS).table.dropna(subset="source_value")
    yields = {}
    for row, crop in _COUNTY_CROPS.items():
        own = bushels[bushels["crop"] == crop]
        grain = own["source_value"] * BUSHELS_PER_ACRE[row]
        yields[row] = dict(zip(own["year"].tolist(), grain.tolist(), strict=True))
    return yields
