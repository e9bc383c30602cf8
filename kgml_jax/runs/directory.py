"""Run directories: one folder holds all a program writes, and nothing is written outside it."""

import os
import platform
import shutil
import socket
from pathlib import Path
from typing import Any

import jax

from kgml_jax.runs import provenance
from kgml_jax.runs.files import plain, read_json, record_provenance, write_json

FREE = ("run", "overwrite", "debug")
"""Options that may differ between a run and the one that goes on with it."""

BEFORE_RESULTS = frozenset(
    {
        *("config.json", "versions.json", "data.json", "split.json", "data_notes.json"),
        *("synthetic_world.nc", "metrics.jsonl", "provenance.json"),
    }
)
"""Files that a run writes before it has any result; see `without_results`."""


def check_free(
    folder: Path, overwrite: bool, source: Path | None = None, option: str = "--run"
) -> None:
    """Refuses a folder that a run cannot be written to.

    Args:
      folder: the run directory.
      overwrite: an earlier run in `folder` may be replaced.
      source: run this one reads from, which must not lie in `folder`, nor `folder` in it.
      option: of the command line, that names the folder.

    Raises:
      ValueError: the folder is in use and `overwrite` is False, it is no run directory, or it
        overlaps with `source`.
    """
    if source is not None:
        own, other = folder.resolve(), source.resolve()
        if own.is_relative_to(other) or other.is_relative_to(own):
            raise ValueError(
                f"{option} {folder} overlaps with --from {source}; choose another {option}"
            )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite and not without_results(folder):
            raise ValueError(f"{folder} exists already; choose another {option} or add --overwrite")
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is not a run directory, so it is not overwritten")


def create(
    folder: Path,
    config: Any,
    overwrite: bool,
    source: Path | None = None,
    option: str = "--run",
) -> Path:
    """Makes the folder and writes `config.json` and `versions.json` into it.

    A run that ended there before it had any result is begun anew without being told to.

    Args:
      folder: the run directory.
      config: the program's configuration.
      overwrite: replace an earlier run in `folder`.
      source: run this one reads from, which must not lie in `folder`, nor `folder` in it.
      option: of the command line, that names the folder.

    Raises:
      ValueError: as `check_free`.
    """
    check_free(folder, overwrite, source, option)
    if folder.exists() and any(folder.iterdir()):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record_provenance(folder, config, FREE)
    write_json(folder / "config.json", plain(config))
    device = jax.devices()[0]
    versions = provenance.versions() | {
        "python": platform.python_version(),
        "device": device.device_kind,
    }
    written_by = {"host": socket.gethostname(), "process": os.getpid()}
    write_json(folder / "versions.json", versions | written_by)
    return folder


def without_results(folder: Path) -> bool:
    """Returns whether a run ended in `folder` before it had written any result.

    Whatever is not known to precede all results counts as one, and a run whose process lives, or
    may live on another computer, has not ended.
    """
    if not folder.is_dir() or not (folder / "config.json").is_file():
        return False
    names = {path.name for path in folder.iterdir() if path.suffix != ".partial"}
    return names <= BEFORE_RESULTS and not _may_be_running(folder)


def _may_be_running(folder: Path) -> bool:
    if not (folder / "versions.json").is_file():
        return False
    made = read_json(folder / "versions.json")
    process = made.get("process")
    if process in (None, os.getpid()):
        return False
    if made.get("host") != socket.gethostname() or os.name != "posix":
        return True
    try:
        os.kill(process, 0)  # Signal 0 asks whether the process is there, and sends nothing.
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
