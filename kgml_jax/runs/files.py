"""Files of a run, each written in one step: JSON, netCDF, logs; and hashes of what is in them."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Gives a path to write to, which takes the place of `path` when all is written.

    A file of that name is whole, one that was there stays until then, and of an attempt that fails
    nothing stays.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Writes netCDF in one step: version 4 where h5netcdf is installed, else 3 through scipy."""
    try:
        import h5netcdf  # noqa: F401
    except ImportError:
        engine = "scipy"
    else:
        engine = "h5netcdf"
    with in_one_step(path) as partial:
        dataset.to_netcdf(partial, engine=engine)


def plain(value: Any) -> Any:
    """Returns a dataclass as JSON values; paths become text, non-finite numbers become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file in one step: a reader sees all of it or none."""
    text = json.dumps(plain(value), indent=2, allow_nan=False)
    with in_one_step(path) as partial:
        partial.write_text(text + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run directory.

    Raises:
      ValueError: the file is missing or not JSON.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; is {path.parent} a finished run?")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def fingerprint(*values: Any) -> str:
    """Returns a short hash of arrays and JSON values: equal for equal content."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(values):
        array = np.asarray(leaf)
        digest.update(str(leaf).encode() if array.dtype.kind in "OUS" else array.tobytes())
    return digest.hexdigest()[:16]


def append_metrics(folder: Path, row: dict[str, Any]) -> None:
    """Appends one line to `metrics.jsonl`."""
    with (folder / "metrics.jsonl").open("a") as lines:
        lines.write(json.dumps(plain(row), allow_nan=False) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Reads all lines of `metrics.jsonl` that are whole; none if nothing was logged."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")[:-1]  # of a process that was killed the last may be torn
    return [json.loads(line) for line in lines]


def forget_metrics(folder: Path, context: dict[str, Any], step: int) -> None:
    """Deletes the lines of a descent after a step, from which it goes on.

    Args:
      folder: the run directory.
      context: what names the descent in its lines.
      step: the last that is kept.
    """
    rows = read_metrics(folder)
    later = lambda row: context.items() <= row.items() and row["step"] > step
    if not (folder / "metrics.jsonl").is_file():
        return
    with in_one_step(folder / "metrics.jsonl") as partial:
        partial.write_text(
            "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows if not later(row))
        )
