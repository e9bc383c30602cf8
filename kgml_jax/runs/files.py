"""Files of a run, each written in one step: JSON, netCDF, logs; and hashes of what is in them."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jax
import numpy as np
import xarray as xr

from kgml_jax.data import conventions
from kgml_jax.runs import provenance
from kgml_jax.writing import in_one_step as in_one_step
from kgml_jax.writing import require_room
from kgml_jax.writing import write_text as write_text

LONGEST_NAME = 100
"""Characters that `file_name` keeps of a name; file systems take 255 of a whole file name."""


def file_name(name: str) -> str:
    """Returns what may stand for a name, such as a site's, in the name of a file.

    Letters, digits and `_.-` of ASCII stay, except points at its start; all else, path separators
    first, is written as `%` and its bytes in hexadecimal. Different names stay different: one that
    is too long ends in a hash of all of it.
    """
    quoted = quote(name, safe="", errors="surrogatepass").replace("~", "%7E")
    leading = len(quoted) - len(quoted.lstrip("."))
    safe = "%2E" * leading + quoted[leading:]
    if 0 < len(safe) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{safe[: LONGEST_NAME - 17]}~{digest}"


def write_dataset(
    path: Path, dataset: xr.Dataset, title: str | None = None, small: bool = False
) -> None:
    """Writes CF netCDF in one step, with the provenance of the run that the path lies in.

    Values stay as they are; see `conventions.completed` for what else is written.

    Args:
      path: of the file.
      dataset: what is written; its own attributes stay, but for those of the provenance.
      title: what it is, unless it says so itself.
      small: write version 3, of which a hundred small files are read twenty times as fast. Else
        version 4 where h5netcdf is installed, and 3 through scipy where it is not.
    """
    made = {
        "title": title or path.stem.replace("_", " "),
        "source": f"kgml_jax {version('kgml_jax')}",
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} kgml_jax",
    }
    found = provenance.attributes(provenance.of_run(path))
    engine = "scipy" if small or find_spec("h5netcdf") is None else "h5netcdf"
    complete = conventions.completed(dataset)
    complete.attrs = {**made, **complete.attrs, **found}
    with in_one_step(path) as partial:
        require_room(path.parent, complete.nbytes)
        complete.to_netcdf(partial, engine=engine)


def write_table(path: Path, table: Any) -> None:
    """Writes a pandas table as CSV in one step; its provenance is in the file of its folder."""
    with in_one_step(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g")


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
    """Writes a JSON file in one step; what has names gets an entry with its provenance."""
    content = plain(value)
    if isinstance(content, dict) and path.name != provenance.FILE:
        content |= {provenance.ENTRY: provenance.short(provenance.of_run(path))}
    text = json.dumps(content, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run directory, without the entry of its provenance.

    Raises:
      ValueError: the file is missing or not JSON.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; is {path.parent} a finished run?")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if isinstance(content, dict):
        content.pop(provenance.ENTRY, None)
    return content


def record_provenance(folder: Path, configuration: Any, free: tuple[str, ...] = ()) -> None:
    """Writes what is known of a run when it starts; see `provenance.gathered`."""
    write_json(folder / provenance.FILE, provenance.gathered(plain(configuration), free))


def record_data(folder: Path, fingerprints: dict[str, Any]) -> None:
    """Adds the fingerprints of data to the provenance of a run."""
    path = folder / provenance.FILE
    if path.is_file():
        known = read_json(path)
        write_json(path, {**known, "data": known["data"] | fingerprints})


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
