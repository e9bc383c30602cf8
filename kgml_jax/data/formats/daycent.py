"""Daily output of DayCent, the daily version of the CENTURY model: what another model computed.

The table holds one row a day of a run, as collected from DayCent's output files: `run`, `year`,
`dayofyr`, and the columns of `MAPPING`. Other columns are not looked at. A second table, if there
is one, holds a row a harvest. DayCent has no gross photosynthesis, autotrophic respiration or
evapotranspiration in these files, and of the weather only temperature and rain; what is estimated
in their place is in the notes of the reading.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import bounds, estimates, quality, tables
from kgml_jax.data.opening import decoding, require_size
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, Reading, expected_units
from kgml_jax.errors import DataError, listed

SUFFIXES = (".parquet", ".csv", ".csv.gz")


class Column(NamedTuple):
    """A column of the daily table: `value in our units = factor x value in the file`."""

    name: str
    units: str
    ours: str
    factor: float


MAPPING: tuple[Column, ...] = (
    Column("tmax", "degC", "air_temperature_max", 1.0),
    Column("tmin", "degC", "air_temperature_min", 1.0),
    Column("ppt", "cm d-1", "precipitation", 10.0),
    Column("CO2resp", "g C ha-1 d-1", "Rh", 1e-4),
    Column("N2Oflux", "g N ha-1 d-1", "N2O", 1e-4),
)
"""What is read of a day. Both fluxes are positive upwards in DayCent, as they are here."""

HARVEST_COLUMNS = ("run", "time", "dayofyr", "crpval", "cgrain")
"""`cgrain` is the carbon of the grain, g C m-2, our `yield`; `crpval` tells the crop."""

CROPS: dict[int, tuple[str, int]] = {
    3: ("corn", 0),
    60: ("soybean", 1),
    23: ("winter wheat", 2),
    36: ("oat", -1),
}
"""Name and row of the crop table by the whole part of `crpval`; the tenths tell the cultivar."""

_DAY = ("run", "year", "dayofyr")

_LAST_YEAR = 2200  # of a run; a spin-up may begin long before there were dates


def find(folder: Path) -> tuple[Path, Path | None]:
    """Returns the daily table of a folder and, if there is one, its table of harvests.

    Raises:
      DataError: the folder has no daily table, or more than one.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    tabular = [file for file in files if file.name.endswith(SUFFIXES)]
    daily = [file for file in tabular if "daily" in file.name]
    harvests = [file for file in tabular if "harvest" in file.name]
    if len(daily) != 1:
        raise DataError(
            "no single table of daily DayCent output",
            found=f"{folder}: {listed([file.name for file in daily or files]) or 'nothing'}",
            expected=f"one file named *daily* that ends in {', '.join(SUFFIXES)}",
        )
    return daily[0], harvests[0] if harvests else None


def read(
    path: str | Path,
    latitude: float,
    *,
    harvests: str | Path | None = None,
    first_year: int | None = None,
) -> Reading:
    """Reads the daily output of one or more runs; each run is a site of that name.

    Args:
      path: the daily table, Parquet or comma-separated.
      latitude: degrees north of the runs, from which radiation follows.
      harvests: the table of harvests; None leaves yield, harvest and crop out.
      first_year: years before it are left out, such as those of a spin-up.

    Returns:
      Data sets with forcing (radiation, humidity and wind estimated), the targets Rh and N2O and,
      with harvests, `yield` on the last day of the year, `harvest`, and `crop`, which is that
      harvested in the calendar year, -1 where none is or the crop table has no row for it.

    Raises:
      DataError: a table is damaged or of another layout, or a year is not whole.
    """
    path = Path(path)
    rows = _table(path, (*_DAY, *(column.name for column in MAPPING)), "daily DayCent output")
    reaped = None
    if harvests is not None:
        reaped = _table(Path(harvests), HARVEST_COLUMNS, "the harvests of DayCent")
        twice = reaped.duplicated(["run", "time", "dayofyr", "crpval"])
        if twice.any():
            row = reaped[twice].iloc[0]
            found = f"{row['run']} on day {row['dayofyr']:g} of {row['time']:g}"
            raise DataError("the same harvest twice", file=Path(harvests), found=found)
    runs = rows["run"].astype(str)
    sites, notes = [], []
    for run in sorted(set(runs)):
        own = rows.loc[(runs == run).to_numpy()]
        dataset, said = _run(own, path.name, run, latitude, first_year)
        if reaped is not None:
            crops = reaped.loc[(reaped["run"].astype(str) == run).to_numpy()]
            dataset, more = _with_harvests(dataset, crops, Path(harvests or "").name)
            said += more
        finished, more = quality.finish(dataset, DEFAULT_OPTIONS)
        sites.append(finished)
        notes += [*said, *more]
    if reaped is not None:
        strange = sorted(set(reaped["run"].astype(str)) - set(runs))
        if strange:
            message = f"harvests of runs that are not in the daily table: {listed(strange)}"
            notes.append(Note("", "harvest", "warning", len(strange), message))
    return Reading(tuple(sites), tuple(notes))


def _table(path: Path, expected: tuple[str, ...], what: str) -> pd.DataFrame:
    """Reads a table and checks that it holds the columns, all but `run` as numbers."""
    if not path.is_file():
        raise DataError("no such file", found=str(path), expected=what)
    if not path.name.endswith(SUFFIXES):
        raise DataError(f"is not {what}", file=path, expected=f"a name in {', '.join(SUFFIXES)}")
    columns: Mapping[str, pd.Series]
    parquet = path.suffix == ".parquet"
    columns = _parquet(path, expected) if parquet else _text(path)
    missing = [name for name in expected if name not in columns]
    if missing:
        raise DataError(
            f"is not {what}: columns are missing",
            file=path,
            variable=", ".join(missing),
            found=listed(list(columns), 12),
            expected=", ".join(expected),
        )
    numbers = {
        name: tables.numbers(columns[name], path.name, None, name)
        for name in expected
        if name != "run"
    }
    for name in [name for name in numbers if name in ("year", "dayofyr", "time", "crpval")]:
        if not np.isfinite(numbers[name]).all():
            row = int(np.flatnonzero(~np.isfinite(numbers[name]))[0])
            raise DataError("no value", file=path, variable=name, found=f"in data row {row + 1}")
    runs = [run.strip() if isinstance(run, str) else run for run in columns["run"]]
    return pd.DataFrame({"run": runs, **numbers})


def _text(path: Path) -> dict[str, pd.Series]:
    data = tables.contents(path)
    columns = tables.columns(data, path.name)
    tables.refuse_unfinished(data, path.name)
    return columns


def _parquet(path: Path, wanted: tuple[str, ...]) -> dict[str, pd.Series]:
    """Returns the columns that are wanted as far as they are there, and the others without rows."""
    with decoding(path, "Parquet"):
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            known = [name for name in wanted if name in file.schema_arrow.names]
            # By the number of rows: repeated values take hardly any place in the file.
            require_size(path, path.stat().st_size, 8 * file.metadata.num_rows * len(known))
            table = file.read(columns=known).to_pandas()
            others = [name for name in file.schema_arrow.names if name not in known]
    empty = {name: pd.Series(dtype=np.float64) for name in others}
    return {str(name): pd.Series(table[name]) for name in table.columns} | empty


def _run(
    rows: pd.DataFrame, file: str, run: str, latitude: float, first_year: int | None
) -> tuple[xr.Dataset, list[Note]]:
    notes = []
    if first_year is not None:
        before = (rows["year"] < first_year).to_numpy()
        if before.any():
            message = f"years before {first_year} left out as asked"
            notes.append(Note(run, "time", "masked", int(before.sum()), message))
        rows = rows.loc[~before]
    days = _dates(rows, file, run)
    with np.errstate(over="ignore"):  # what is beyond all numbers is beyond the bounds, too
        values = {
            column.ours: column.factor * rows[column.name].to_numpy(np.float64)
            for column in MAPPING
        }
    estimated = _estimated(values, latitude, days.day_of_year.to_numpy())
    for column in MAPPING:
        if column.factor != 1.0:
            message = f"{column.name}: {column.units} times {column.factor:g}"
            notes.append(Note(run, column.ours, "converted", len(days), message))
    message = "not in the file: FAO-56, eqs. 48 and 50, from the temperatures; wind its p. 63"
    notes.append(Note(run, "radiation, humidity, wind", "estimated", len(days), message))
    variables = {
        name: ("time", series, {"units": expected_units(name)})
        for name, series in (values | estimated).items()
    }
    place = {"latitude": ((), latitude, {"units": expected_units("latitude")})}
    dataset = xr.Dataset(variables | place, coords={"time": days})
    return dataset.assign_attrs(site=run, source=file), notes


def _dates(rows: pd.DataFrame, file: str, run: str) -> pd.DatetimeIndex:
    """Returns the days of a run, each year of which must be whole and in order."""
    for name, most in (("year", _LAST_YEAR), ("dayofyr", 366)):
        values = rows[name].to_numpy()
        wrong = values[(values < 1) | (values > most) | (values != np.rint(values))]
        if len(wrong):
            expected = f"a whole number from 1 to {most}"
            place = {"file": file, "site": run, "variable": name}
            raise DataError("is no date", found=f"{wrong[0]:g}", expected=expected, **place)
    year, day = (rows[name].to_numpy().astype(int) for name in ("year", "dayofyr"))
    if not len(year):
        raise DataError("no day is left", file=file, site=run, variable="year")
    first = lambda years: (years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    days = first(year) + (day - 1)
    every, counts = np.unique(year, return_counts=True)
    lengths = (first(every + 1) - first(every)).astype(int)
    wrong = every[counts != lengths].tolist()
    jumps = np.unique(year[1:][np.diff(days).astype(int) != 1]).tolist()
    if wrong or jumps:
        raise DataError(
            "years that are not whole, or days out of order",
            file=file,
            site=run,
            variable="year, dayofyr",
            found=listed(wrong or jumps),
            expected="every day of the calendar year once; first_year leaves earlier years out",
        )
    return pd.DatetimeIndex(days, name="time").as_unit("ns")


def _estimated(
    values: dict[str, np.ndarray], latitude: float, day_of_year: np.ndarray
) -> dict[str, np.ndarray]:
    warmest, coldest = (_possible(values, f"air_temperature_{name}") for name in ("max", "min"))
    top = estimates.extraterrestrial_radiation(latitude, day_of_year)
    return {
        "air_temperature_mean": 0.5 * (warmest + coldest),
        "shortwave_radiation": estimates.radiation_from_range(warmest, coldest, top),
        "vapour_pressure_deficit": estimates.deficit_from_extremes(warmest, coldest),
        "wind_speed": np.full(len(warmest), estimates.MEAN_WIND),
    }


def _possible(values: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Returns a variable without what is out of its bounds, of which nothing is estimated."""
    low, high = bounds.physical(name)
    return np.where((values[name] >= low) & (values[name] <= high), values[name], np.nan)


def _with_harvests(
    dataset: xr.Dataset, rows: pd.DataFrame, file: str
) -> tuple[xr.Dataset, list[Note]]:
    days = pd.DatetimeIndex(dataset["time"].to_numpy())
    crop = np.full(len(days), -1.0)
    harvest, grain = np.zeros(len(days)), np.full(len(days), np.nan)
    outside = 0
    for time, day, code, carbon in zip(
        *(rows[name].to_numpy() for name in HARVEST_COLUMNS[1:]), strict=True
    ):
        if int(code) not in CROPS:
            known = ", ".join(f"{key} {name}" for key, (name, _) in CROPS.items())
            raise DataError(
                "unknown crop", file=file, variable="crpval", found=code, expected=known
            )
        own = np.asarray(days.year == int(time))
        reaped = own & np.asarray(days.day_of_year == int(day))
        if own.any() and not reaped.any():
            expected = f"a day of the year {int(time)}"
            raise DataError("no day", file=file, variable="dayofyr", found=day, expected=expected)
        outside += not own.any()
        crop[own] = CROPS[int(code)][1]
        harvest[reaped] = 1.0
        last = own & np.asarray((days.month == 12) & (days.day == 31))
        grain[last] = np.nan_to_num(grain[last]) + carbon
    added = {"crop": crop, "harvest": harvest, "yield": grain}
    message = f"harvests in {file} of years whose days are not read: left out"
    notes = [Note(dataset.attrs["site"], "harvest", "left out", outside, message)]
    return dataset.assign(
        {name: ("time", row, {"units": expected_units(name)}) for name, row in added.items()}
    ), notes if outside else []
