"""Simulated days as CF netCDF or Zarr, written some sites at a time under a name for the while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import xarray as xr

from kgml_jax.data.conventions import CONVENTIONS, days
from kgml_jax.process import layers
from kgml_jax.runs.directory import exchange, remove
from kgml_jax.writing import require_room

TITLE = "Daily fluxes and stocks of crop fields, simulated"
COORDINATES = "latitude elevation"
SUFFIXES = (".nc", ".nc4", ".zarr")


@dataclass(frozen=True)
class Variable:
    """A variable of the file: its dimensions, its type and its attributes."""

    dims: tuple[str, ...]
    dtype: str
    attributes: Mapping[str, Any]


class Store(Protocol):
    """What takes the values of variables."""

    def create(self, name: str, variable: Variable, shape: tuple[int, ...], batch: int) -> None:
        """Makes a variable, empty, in chunks of `batch` sites."""
        ...

    def write(self, name: str, rows: slice, values: np.ndarray) -> None:
        """Writes the values of some sites."""
        ...

    def close(self) -> None:
        """Ends writing."""
        ...


def check_path(path: Path, overwrite: bool) -> None:
    """Refuses a path that cannot or should not be written.

    Raises:
      ValueError: the suffix is unknown, the folder does not exist, the file exists and `overwrite`
        is not set, or a folder that is no Zarr store stands in its place.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"--out {path}: unknown suffix; expected one of {', '.join(SUFFIXES)}")
    if not path.resolve().parent.is_dir():
        raise ValueError(f"--out {path}: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise ValueError(f"--out {path} exists already; choose another or add --overwrite")
    store = path.suffix == ".zarr"
    if path.exists() and path.is_dir() != store:
        kind = "folder" if path.is_dir() else "file"
        raise ValueError(f"--out {path} is a {kind}, so it is not overwritten")
    if path.is_dir() and not any((path / name).is_file() for name in (".zgroup", "zarr.json")):
        raise ValueError(f"--out {path} is not a Zarr store, so it is not overwritten")


class DailyFile:
    """A file of daily values with dims (site, time) or (site, time, layer), written by sites.

    Use as a context: the file takes its name when the context ends without an error, and nothing
    of it is left otherwise.
    """

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        dates: np.ndarray,
        variables: Mapping[str, Variable],
        batch: int,
        attributes: Mapping[str, str],
    ) -> None:
        """Makes the file with its coordinates and empty variables.

        Args:
          path: netCDF or Zarr by its suffix.
          names: of the sites.
          dates: datetime64[D], shape (time,).
          variables: by name; dims are of `site`, `time` and `layer`.
          batch: sites that are written at once.
          attributes: of the whole file, as of `provenance.attributes`.
        """
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        remove(self._partial)
        try:
            empty = frame(names, dates, TITLE, layered=True).assign_attrs(attributes)
            self._store = _open(self._partial, path.suffix, empty)
            sizes = {"site": len(names), "time": len(dates), "layer": layers.SOIL}
            for name, variable in variables.items():
                shape = tuple(sizes[dim] for dim in variable.dims)
                self._store.create(name, variable, shape, min(batch, len(names)))
        except BaseException:
            remove(self._partial)
            raise

    def write(self, rows: slice, values: Mapping[str, np.ndarray]) -> None:
        """Writes variables of some sites, each of the shape of its variable with fewer sites."""
        for name, array in values.items():
            self._store.write(name, rows, array)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()
        if error is None:
            exchange(self._partial, self._path)
        else:
            remove(self._partial)


def frame(
    names: tuple[str, ...],
    dates: np.ndarray,
    title: str,
    history: str = "kgml_jax",
    layered: bool = False,
) -> xr.Dataset:
    """Returns the coordinates and global attributes of daily values.

    Args:
      names: of the sites.
      dates: datetime64[D], shape (time,).
      title: what they are.
      history: what made them.
      layered: there are values of soil layers.
    """
    empty = xr.Dataset(
        coords={"site": ("site", list(names), {"long_name": "name of the site"})},
        attrs={
            "Conventions": CONVENTIONS,
            "title": title,
            "source": f"kgml_jax {version('kgml_jax')}{', process model' * layered}",
            "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {history}",
            "comment": "A time stands for the day it starts; stocks are those at the day's end.",
        },
    ).assign(days(dates))
    return empty.assign(_layers()) if layered else empty


def _layers() -> dict[str, xr.Variable]:
    bottom = layers.TOP + layers.THICKNESS
    depth = {
        "standard_name": "depth",
        "long_name": "depth of the centre of a soil layer",
        "units": "m",
        "positive": "down",
        "axis": "Z",
        "bounds": "layer_bnds",
    }
    edges, plain = np.stack([layers.TOP, bottom], axis=1), {"_FillValue": None}
    return {
        "layer": xr.Variable("layer", layers.CENTRE, depth, plain),
        "layer_bnds": xr.Variable(("layer", "bnds"), edges, None, plain),
    }


def _open(path: Path, suffix: str, frame: xr.Dataset) -> Store:
    try:
        return _Zarr(path, frame) if suffix == ".zarr" else _NetCDF(path, frame)
    except ImportError as error:
        raise ImportError(f"{error}; to write {suffix}, pip install 'kgml_jax[io]'") from error


class _NetCDF:
    def __init__(self, path: Path, frame: xr.Dataset) -> None:
        import h5netcdf
        import h5py

        require_room(path.parent, frame.nbytes)
        frame.to_netcdf(path, engine="h5netcdf")
        self._path = path
        self._hdf5 = h5py.File(path, "a")
        self._file = h5netcdf.File(self._hdf5, "a")

    def create(self, name: str, variable: Variable, shape: tuple[int, ...], batch: int) -> None:
        self._require_room(0)
        created = self._file.create_variable(
            name,
            variable.dims,
            variable.dtype,
            fillvalue=_fill(variable.dtype),
            chunks=(batch, *shape[1:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        for key, value in _attributes(variable).items():
            created.attrs[key] = value

    def write(self, name: str, rows: slice, values: np.ndarray) -> None:
        typed = values.astype(self._file.variables[name].dtype)
        self._require_room(typed.nbytes)
        self._file.variables[name][rows] = typed

    def close(self) -> None:
        self._file.close()
        self._hdf5.close()

    def _require_room(self, size: int) -> None:
        self._file.flush()
        require_room(self._path.parent, size, self._hdf5.id.get_filesize())


class _Zarr:
    def __init__(self, path: Path, frame: xr.Dataset) -> None:
        import zarr

        # Version 3 of the format has no settled way yet to store the names of the sites.
        frame.to_zarr(path, zarr_format=2, consolidated=False)
        self._path = path
        self._group = zarr.open_group(path, mode="a", zarr_format=2)

    def create(self, name: str, variable: Variable, shape: tuple[int, ...], batch: int) -> None:
        listed = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in _attributes(variable).items()
        }
        self._group.create_array(
            name,
            shape=shape,
            dtype=variable.dtype,
            chunks=(batch, *shape[1:]),
            fill_value=_fill(variable.dtype),
            attributes={**listed, "_ARRAY_DIMENSIONS": list(variable.dims)},
        )

    def write(self, name: str, rows: slice, values: np.ndarray) -> None:
        self._group[name][rows] = values  # type: ignore[index]

    def close(self) -> None:
        import zarr

        zarr.consolidate_metadata(self._path, zarr_format=2)


def _fill(dtype: str) -> float | int | None:
    return np.nan if np.issubdtype(np.dtype(dtype), np.floating) else None


def _attributes(variable: Variable) -> dict[str, Any]:
    daily = {"coordinates": COORDINATES} if "time" in variable.dims else {}
    return {**variable.attributes, **daily}
