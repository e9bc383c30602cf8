"""What `simulate.py` simulates: sites drawn or read a few at a time, and their parameters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data import choices, tables
from kgml_jax.data.formats import netcdf_file
from kgml_jax.data.opening import decoding
from kgml_jax.data.schema import Note
from kgml_jax.data.synthetic.drawing import SyntheticConfig, draw
from kgml_jax.errors import DataError, listed
from kgml_jax.models.simulation import Arrays, priors, simulate_sites
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import Sites
from kgml_jax.workflows.sites import load

PARAMETERS = quantities(Params)

ROUNDING = 1e-6
"""Relative; a bound that was stored in single precision may lie this far outside."""

_TABLES = (".csv", ".csv.gz")


@dataclass(frozen=True)
class Batch:
    """Some sites as the process model takes them; arrays by name, (site,) and (site, time)."""

    parameters: dict[str, np.ndarray]
    attributes: Arrays
    forcing: Arrays


@dataclass(frozen=True)
class Source:
    """Sites that are made or taken a few at a time."""

    names: tuple[str, ...]
    first: np.ndarray
    """First day of the record of each site, datetime64[D], shape (site,)."""
    days: np.ndarray
    """Days of the record of each site, int, shape (site,)."""
    skipped: int
    """Days that are simulated before the record starts."""
    take: Callable[[Sequence[int]], Batch]
    """Returns the sites of some rows."""
    notes: tuple[Note, ...] = ()
    """What was done to the data on the way in."""

    @property
    def dates(self) -> np.ndarray:
        """Days from the first to the last of all records, datetime64[D]."""
        return np.arange(self.first.min(), (self.first + self.days).max())

    def placed(self, values: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Puts records on their days of the common axis; outside of them nothing is known.

        Args:
          values: of some sites, (site, time, ...), time counted from each site's first day.
          rows: which sites they are.

        Returns:
          The same on `dates`; NaN, or -1 of whole numbers, outside of a record.
        """
        dates, real = self.dates, np.issubdtype(values.dtype, np.floating)
        shape = (len(values), len(dates), *values.shape[2:])
        result = np.full(shape, np.nan if real else -1, values.dtype)
        offsets = (self.first[rows] - dates[0]).astype(int)
        for row, (start, days) in enumerate(zip(offsets, self.days[rows], strict=True)):
            result[row, start : start + days] = values[row, :days]
        return result

    def batches(self, size: int) -> Iterator[tuple[slice, Batch]]:
        """Yields rows of at most `size` sites, and these."""
        for start in range(0, len(self.names), size):
            rows = range(start, min(start + size, len(self.names)))
            yield slice(rows.start, rows.stop), self.take(rows)


def open_source(data: choices.DataChoice, parameters: str | Path, prescribed: bool) -> Source:
    """Returns the sites that a program's options ask for.

    Args:
      data: files, or the synthetic world.
      parameters: "prior", "truth" (of the synthetic world), or a table; see `read_parameters`.
      prescribed: the forcing holds photosynthesis.

    Raises:
      DataError: the data or the table cannot be used.
      ValueError: the truth of measured sites is asked for.
    """
    truth = parameters == "truth"
    if data.data is None:
        source = _synthetic(data, truth, prescribed)
    elif truth:
        raise ValueError("--parameters truth: only synthetic sites have true parameters")
    else:
        source = measured(load(replace(data, prescribe_gpp=prescribed), fluxes=False))
    if isinstance(parameters, Path):
        return _with_parameters(source, read_parameters(parameters, source.names))
    return source


def _with_parameters(source: Source, table: dict[str, np.ndarray]) -> Source:
    def take(rows: Sequence[int]) -> Batch:
        batch = source.take(rows)
        own = {name: values[rows] for name, values in table.items()}
        return replace(batch, parameters=batch.parameters | own)

    return replace(source, take=take)


def _synthetic(data: choices.DataChoice, truth: bool, prescribed: bool) -> Source:
    config = SyntheticConfig(
        sites=data.synthetic_sites,
        years=data.synthetic_years,
        seed=data.synthetic_seed,
        stations=data.synthetic_stations,
    )
    names, dates = config.names(), config.dates()
    first = np.datetime64(f"{config.first_year}-01-01", "D")
    skipped = int((dates < first).sum())

    def take(rows: Sequence[int]) -> Batch:
        drawn = draw(config, [names[row] for row in rows])
        forcing = drawn.forcing
        if prescribed:
            true = simulate_sites(drawn.parameters, drawn.attributes, forcing)
            forcing = {**forcing, "prescribed_gpp": true["GPP"]}
        parameters = drawn.parameters if truth else priors(len(rows))
        return Batch(parameters, drawn.attributes, forcing)

    days = np.full(len(names), len(dates) - skipped)
    return Source(names, np.full(len(names), first), days, skipped, take)


def measured(sites: Sites) -> Source:
    """Returns sites that have been read, with the prior of every parameter."""
    site = sites.site
    first = np.asarray(site.calendar.date)[:, 0].astype("datetime64[D]")

    def take(rows: Sequence[int]) -> Batch:
        cut = lambda record: {name: np.asarray(leaf)[rows] for name, leaf in vars(record).items()}
        return Batch(priors(len(rows)), cut(site.attributes), cut(site.forcing))

    days = np.asarray(site.valid).sum(axis=1)
    return Source(sites.names, first, days, 0, take, sites.notes)


def read_parameters(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads some parameters of every site.

    Args:
      path: CSV with a column `site` and columns called as parameters, or netCDF with variables
        called so on the dimension `site`, such as `simulate.py` writes.
      names: sites that must be there; others are left out.

    Returns:
      The parameters of the file by name, each of shape (site,), in the order of `names`.

    Raises:
      DataError: the file cannot be read, a name is unknown, a site or a value is missing, or a
        value is out of bounds.
    """
    if not path.is_file():
        raise DataError("no such file", found=str(path), expected="a table of parameters")
    sites, columns = _from_csv(path) if path.name.endswith(_TABLES) else _from_netcdf(path)
    unknown = sorted(set(columns) - set(PARAMETERS))
    if unknown:
        expected = f"site and some of {', '.join(PARAMETERS)}"
        raise DataError("unknown parameter", file=path, found=listed(unknown), expected=expected)
    twice = [name for name in names if sites.count(name) > 1]
    if twice:
        raise DataError("more than one row of a site", file=path, site=twice[0])
    absent = [name for name in names if name not in sites]
    if absent:
        raise DataError("no row of a site", file=path, site=listed(absent))
    rows = [sites.index(name) for name in names]
    for name, values in columns.items():
        _check_bounds(path, names, name, values[rows])
    return {name: _within(name, values[rows]) for name, values in columns.items()}


def _from_csv(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    columns = tables.columns(tables.contents(path), path.name)
    if "site" not in columns:
        raise DataError(
            "no column of sites", file=path, found=listed(list(columns)), expected="site"
        )
    sites = [str(name) for name in columns.pop("site")]
    read = lambda name: tables.numbers(columns[name], path.name, None, name)
    return sites, {name: read(name) for name in columns}


def _from_netcdf(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    with decoding(path, "netCDF"), netcdf_file.opened(path) as (raw, absent, _):
        decoded = xr.decode_cf(raw)
        # Series and layers, as `simulate.py` writes beside the parameters, are not read.
        names = [
            name
            for name, values in decoded.data_vars.items()
            if values.dims == ("site",) or name in PARAMETERS
        ]
        lost = sorted({*map(str, names), "site"} & {*absent})
        if lost:
            raise DataError("was never written", file=path, variable=lost[0])
        dataset = decoded[names].load()
    for name, values in dataset.data_vars.items():
        if values.dims != ("site",) or "site" not in dataset.coords:
            dims = ", ".join(map(str, values.dims))
            raise DataError(
                "dimensions", file=path, variable=str(name), found=dims, expected="site, with names"
            )
    sites = [str(name) for name in dataset["site"].to_numpy()]
    return sites, {str(name): np.asarray(values) for name, values in dataset.data_vars.items()}


def _bounds(name: str) -> tuple[float, float]:
    return PARAMETERS[name].bounds or (-np.inf, np.inf)


def _check_bounds(path: Path, names: Sequence[str], name: str, values: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isclose(values, _within(name, values), rtol=ROUNDING, atol=0.0))
    if len(wrong):
        row, (low, high) = int(wrong[0]), _bounds(name)
        raise DataError(
            "out of bounds" if np.isfinite(values[row]) else "no value",
            file=path,
            site=names[row],
            variable=name,
            found=values[row],
            expected=f"{low:g} to {high:g}",
        )


def _within(name: str, values: np.ndarray) -> np.ndarray:
    return np.clip(values.astype(np.float64), *_bounds(name))
