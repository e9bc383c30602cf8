"""Run directories: one folder holds all a program writes, and nothing is written outside it."""

import dataclasses
import hashlib
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

FREE = ("run", "overwrite", "debug")
"""Options that may differ between a run and the one that goes on with it."""

PACKAGES = ("kgml_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray")


def create(folder: Path, config: Any, overwrite: bool, source: Path | None = None) -> Path:
    """Makes the folder and writes `config.json` and `versions.json` into it.

    Args:
      folder: the run directory.
      config: the program's configuration.
      overwrite: replace an earlier run in `folder`.
      source: run this one reads from, which must not lie in `folder`, nor `folder` in it.

    Raises:
      ValueError: the folder is in use and `overwrite` is False, it is no run directory, or it
        overlaps with `source`.
    """
    if source is not None:
        own, other = folder.resolve(), source.resolve()
        if own.is_relative_to(other) or other.is_relative_to(own):
            raise ValueError(f"--run {folder} overlaps with --from {source}; choose another --run")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise ValueError(f"{folder} exists already; choose another --run or add --overwrite")
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is not a run directory, so it is not overwritten")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", plain(config))
    versions = {name: version(name) for name in PACKAGES}
    device = jax.devices()[0]
    versions |= {"python": platform.python_version(), "device": device.device_kind}
    write_json(folder / "versions.json", versions)
    return folder


def create_or_resume(folder: Path, config: Any, overwrite: bool) -> Path:
    """Makes the folder as `create`, or finds in it a run of the same configuration to go on with.

    Raises:
      ValueError: as `check_resumable`, or the folder is no run directory.
    """
    check_resumable(folder, config, overwrite)
    if overwrite or not (folder / "config.json").is_file():
        return create(folder, config, overwrite)
    return folder


def check_resumable(
    folder: Path, config: Any, overwrite: bool, free: tuple[str, ...] = FREE
) -> None:
    """Refuses a folder with a run of another configuration, unless it is to be overwritten.

    Args:
      folder: the run directory.
      config: the program's configuration.
      overwrite: the run is to begin anew.
      free: options that may differ.

    Raises:
      ValueError: naming what differs.
    """
    if overwrite or not (folder / "config.json").is_file():
        return
    before, now = read_json(folder / "config.json"), plain(config)
    differing = [
        f"{name} {before.get(name)!r} before, {now.get(name)!r} now"
        for name in {**before, **now}
        if before.get(name) != now.get(name) and name not in free
    ]
    if differing:
        raise ValueError(
            f"{folder} holds a run with another configuration ({'; '.join(differing)}); choose "
            "another --run, or add --overwrite to start anew"
        )


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
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(plain(value), indent=2, allow_nan=False) + "\n")
    partial.replace(path)


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
    """Reads all lines of `metrics.jsonl`; none if nothing was logged."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
