"""One whole input of every reader, how it is read, and what each of its columns says."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch_writer
import xarray as xr
from kgml_ag_inputs import benchmark, inputs
from small_inputs import (
    HARVESTS,
    QUICK_STATS,
    daycent_days,
    schema_dataset,
    station,
    tower_table,
)

from fuzzing.loaded import Loaded, of_reading, of_tree, remarks
from kgml_jax.data.formats import county_yields, daycent, torch_file
from kgml_jax.data.read import collect
from kgml_jax.data.synthetic import cligen

TEMPERATURE = ("air_temperature_mean", "air_temperature_max", "air_temperature_min")
DERIVED = {
    "air_temperature_mean": ("mean_annual_temperature",),
    "latitude": ("latitude (place)",),
    "air_temperature_max": ("air_temperature_min",),
    "air_temperature_min": ("air_temperature_max",),
}
"""Variables that follow from one of a file that holds all of them."""
EVERYTHING = "*"
"""In place of variables: whatever is read may follow from the column."""

_NET = ("NEE", "NEE_qc", "Reco", "Reco_qc", "GPP", "GPP_qc")
_TOWER = {
    "TA_F": (*TEMPERATURE, "mean_annual_temperature", "ET"),
    "SW_IN_POT": TEMPERATURE[1:],
    "SW_IN_F": ("shortwave_radiation", *TEMPERATURE[1:]),
    "VPD_F": ("vapour_pressure_deficit",),
    "P_F": ("precipitation",),
    "WS_F": ("wind_speed",),
    "CO2_F_MDS": (),
    "NEE_VUT_REF": ("NEE", "NEE_qc"),
    "NEE_VUT_REF_QC": _NET,
    "NEE_VUT_REF_RANDUNC": ("NEE_uncertainty",),
    "RECO_NT_VUT_REF": ("Reco", "Reco_qc"),
    "GPP_NT_VUT_REF": ("GPP", "GPP_qc"),
    "RECO_DT_VUT_REF": (),
    "GPP_DT_VUT_REF": (),
    "LE_F_MDS": ("ET", "ET_qc"),
    "LE_F_MDS_QC": ("ET", "ET_qc"),
}
_PLACE = (
    "latitude",
    "latitude (place)",
    "longitude (place)",
    "elevation",
    "vegetation (place)",
    "group (place)",
    *TEMPERATURE[1:],
)
TOWER_FILE = "FLX_US-Aa1_FLUXNET2015_SUBSET_DD_2001-2002_1-4.csv"


@dataclass(frozen=True, eq=False)
class Source:
    """An input that is damaged.

    Attributes:
      name: of the reader, as it is counted.
      write: writes the whole input into a folder and returns the file that is damaged.
      load: reads a folder.
      columns: for tables, the variables that follow from each column; a column that is not here
        places its row (a day, a site), so that its damage shows.
      climate: of columns whose sign and units the rest of the content gives away, the quantity.
      of_days: the rows of a table are the days of a record in their order.
    """

    name: str
    write: Callable[[Path], Path]
    load: Callable[[Path], Loaded]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    climate: Mapping[str, str] = field(default_factory=dict)
    of_days: bool = False


def _read(folder: Path, metadata: Path | None = None) -> Loaded:
    return of_reading(collect(folder, metadata))


def _tower(folder: Path) -> Path:
    path = folder / TOWER_FILE
    path.write_text(tower_text(tower_table()))
    return path


def tower_text(table: pd.DataFrame) -> str:
    """Returns a table of a tower as FLUXNET writes it."""
    return table.to_csv(index=False, na_rep="-9999", float_format="%.6g")


def _tower_with_extremes(folder: Path) -> Path:
    table = tower_table().rename(
        columns={"TA_F": "TA_F_MDS", "SW_IN_F": "SW_IN_F_MDS", "VPD_F": "VPD_F_MDS"}
    )
    table["TMAX_F_MDS"], table["TMIN_F_MDS"] = table["TA_F_MDS"] + 5, table["TA_F_MDS"] - 5
    path = folder / "FLX_US-Aa1_FLUXDATAKIT_FULLSET_DD_2001_2002_2-3.csv"
    path.write_text(tower_text(table))
    return path


def _archive(folder: Path) -> Path:
    path = folder / "FLX_US-Aa1_FLUXNET2015_SUBSET_2001-2002_1-4.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TOWER_FILE.replace("_DD_", "_HH_"), "TIMESTAMP_START\n200101010000\n")
        archive.writestr(TOWER_FILE, tower_text(tower_table()))
        archive.writestr("README.txt", "nothing")
    return path


def _schema() -> xr.Dataset:
    dataset = schema_dataset(last="2001-12-31")
    values = np.broadcast_to(390.0 + 0.01 * np.arange(365), (2, 365)).copy()
    return dataset.assign(co2=(("site", "time"), values, {"units": "umol mol-1"}))


def _table(folder: Path) -> Path:
    dataset = _schema()
    units = {
        name: f"{name} [{dataset[name].attrs['units']}]" for name in dataset if name != "group"
    }
    path = folder / "fields.csv"
    frame = dataset.to_dataframe().reset_index().rename(columns=units)
    frame.to_csv(path, index=False, float_format="%.6g", date_format="%Y-%m-%d")
    return path


def _netcdf(engine: str, folder: Path) -> Path:
    path = folder / "fields.nc"
    _schema().to_netcdf(path, engine=engine)
    return path


def _store(version: int, folder: Path) -> Path:
    path = folder / "fields.zarr"
    dataset = _schema().drop_vars("group").assign_coords(site=[7, 8])
    chunks = {str(name): {"chunks": (1, 200)} for name in dataset if dataset[name].ndim == 2}
    dataset.to_zarr(path, consolidated=False, zarr_format=version, encoding=chunks)
    return path


def _dictionary(folder: Path) -> Path:
    return torch_writer.save(folder / "co2.sav", benchmark([inputs()], [inputs(sand=300.0)]))


def _tensors(write: Callable, folder: Path) -> Path:
    weights = {
        "gru.weight": torch_writer.tensor(np.linspace(-1, 1, 24).reshape(4, 6)),
        "gru.bias": torch_writer.tensor(np.arange(4.0)),
        "epoch": 3,
        "names": ["a", "b"],
    }
    return write(folder / "model.pt", weights)


def _load_tensors(folder: Path) -> Loaded:
    return Loaded(of_tree(torch_file.load(folder / "model.pt")))


def _daycent(name: str, folder: Path) -> Path:
    days = folder / "run_daily.csv"
    daycent_days().to_csv(days, index=False, float_format="%.6g")
    HARVESTS.to_csv(folder / "run_harvest.csv", index=False)
    return folder / name


def _daycent_parquet(folder: Path) -> Path:
    path = folder / "run_daily.parquet"
    daycent_days().to_parquet(path)
    HARVESTS.to_csv(folder / "run_harvest.csv", index=False)
    return path


def _load_daycent(folder: Path) -> Loaded:
    daily, harvests = daycent.find(folder)
    return of_reading(daycent.read(daily, 40.04, harvests=harvests))


def _stations(folder: Path) -> Path:
    path = folder / "stations.csv"
    rows = [station("ADA IA", "IA"), station("BEA IA", "IA", 3.0), station("CLAY IN", "IN", 1.0)]
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")
    return path


def _load_stations(folder: Path) -> Loaded:
    found = cligen.read(folder / "stations.csv", ["IA", "IN"])
    # By where they lie: their order in the file means nothing.
    place = lambda one: (one.latitude, one.elevation, *one.maximum)
    stations = {state: [vars(one) for one in sorted(of, key=place)] for state, of in found.items()}
    return Loaded(of_tree(stations))


def _yields(folder: Path) -> Path:
    path = folder / "corn.csv"
    path.write_text(QUICK_STATS)
    return path


def _load_yields(folder: Path) -> Loaded:
    found = county_yields.load(folder / "corn.csv")
    rows = found.table.set_index(["county", "crop", "year"])
    values = {("", name): rows[name] for name in ("yield", "state")}
    return Loaded(values, frozenset(remarks(found.notes)))


def _metadata(folder: Path) -> Path:
    _tower(folder)
    path = folder / "sites.csv"
    path.write_text(
        "site,lat,lon,elev,group,igbp,sand,clay\n"
        "US-Aa1,41.17,-96.44,363,NE,CRO,0.11,0.35\nUS-Bb1,40,-88,220,IL,CRO,0.2,0.2\n"
    )
    return path


def _badm(folder: Path) -> Path:
    _tower(folder)
    path = folder / "FLX_AA-Flx_BIF_DD_20200501.csv"
    rows = [
        ("LOCATION_LAT", "41.17"),
        ("LOCATION_LONG", "-96.44"),
        ("LOCATION_ELEV", "363"),
        ("IGBP", "CRO"),
        ("TEAM_MEMBER_NAME", "A, B"),
    ]
    head = "SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\n"
    lines = [f'US-Aa1,{number},GRP,{name},"{value}"\n' for number, (name, value) in enumerate(rows)]
    path.write_text(head + "".join(lines))
    return path


_DATAKIT = {
    {"TA_F": "TA_F_MDS", "SW_IN_F": "SW_IN_F_MDS", "VPD_F": "VPD_F_MDS"}.get(name, name): variables
    for name, variables in _TOWER.items()
}
_DATAKIT |= {"TMAX_F_MDS": TEMPERATURE[1:], "TMIN_F_MDS": TEMPERATURE[1:]}
_FIELDS = {
    f"{name} [{array.attrs['units']}]": (
        (str(name), "mean_annual_temperature")
        if name == "air_temperature_mean"
        else (TEMPERATURE[1:] if str(name) in TEMPERATURE[1:] else (str(name),))
    )
    for name, array in _schema().data_vars.items()
    if name not in ("group", "latitude")
} | {"group": ("group (place)",)}
_CLIMATE = {
    "TA_F": "temperature",
    "SW_IN_F": "radiation",
    "VPD_F": "deficit",
    "P_F": "rain",
    "WS_F": "wind",
    "NEE_VUT_REF": "carbon",
    "GPP_NT_VUT_REF": "carbon",
    "RECO_NT_VUT_REF": "carbon",
    "LE_F_MDS": "evaporation",
}
_WEATHER = ("radiation", *("temperature",) * 3, "deficit", "rain", "wind")
_DAYCENT = {
    "tmax": (EVERYTHING,),
    "tmin": (EVERYTHING,),
    "ppt": ("precipitation",),
    "N2Oflux": ("N2O",),
    "CO2resp": ("Rh",),
    "time": (),
    "som3c": (),
}

SOURCES = (
    Source("csv", _table, _read, _FIELDS, dict(zip(_FIELDS, _WEATHER, strict=False)), of_days=True),
    Source("fluxnet csv", _tower, _read, _TOWER, _CLIMATE, of_days=True),
    Source("fluxnet zip", _archive, _read),
    Source("fluxdatakit", _tower_with_extremes, _read, _DATAKIT, of_days=True),
    Source("netcdf 3", partial(_netcdf, "scipy"), _read),
    Source("netcdf 4", partial(_netcdf, "h5netcdf"), _read),
    Source("zarr 2", partial(_store, 2), _read),
    Source("zarr 3", partial(_store, 3), _read),
    Source("sav", _dictionary, _read),
    Source("torch", partial(_tensors, torch_writer.save), _load_tensors),
    Source("torch legacy", partial(_tensors, torch_writer.save_legacy), _load_tensors),
    Source(
        "daycent",
        partial(_daycent, "run_daily.csv"),
        _load_daycent,
        _DAYCENT,
        {"tmax": "temperature", "tmin": "temperature", "ppt": "rain", "CO2resp": "carbon"},
        of_days=True,
    ),
    Source(
        "daycent harvests",
        partial(_daycent, "run_harvest.csv"),
        _load_daycent,
        {
            "crpval": ("crop",),
            "agcacc": (),
            "cgrain": ("yield",),
            "time": (EVERYTHING,),
            "dayofyr": ("harvest",),
        },
    ),
    Source("daycent parquet", _daycent_parquet, _load_daycent),
    Source(
        "cligen",
        _stations,
        _load_stations,
        dict.fromkeys(pd.DataFrame([station("A", "IA")]).columns, (EVERYTHING,)),
    ),
    Source(
        "nass",
        _yields,
        _load_yields,
        dict.fromkeys(QUICK_STATS.split("\n")[0].split(","), (EVERYTHING,)),
    ),
    Source(
        "sites.csv",
        _metadata,
        _read,
        {name: _PLACE for name in ("lat", "lon", "elev", "group", "igbp")}
        | {name: (EVERYTHING,) for name in ("sand", "clay", "site")},
    ),
    Source(
        "bif",
        _badm,
        _read,
        {
            "DATAVALUE": _PLACE,
            "GROUP_ID": (),
            "VARIABLE_GROUP": (),
            "VARIABLE": _PLACE,
            "SITE_ID": _PLACE,
        },
    ),
)
