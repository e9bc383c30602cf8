"""Run directories: one folder holds all a program writes, and nothing is written outside it.

A folder is claimed before anything is computed. It belongs to one process at a time, says of itself
whether its run is finished, and is only ever replaced by a run that is finished too.
"""

import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout

from kgml_jax.runs import files, provenance
from kgml_jax.runs.interruption import INTERRUPTION

FREE = ("run", "out", "overwrite", "debug", "checkpoint_every")
"""Options that may differ between a run and the one that goes on with it."""

MARKER = "run.json"
"""Says which program a folder is of, and whether it has finished."""

PROGRESS = "progress"
"""Folder of what is needed to go on; gone when the run has finished."""

BEFORE_RESULTS = frozenset(
    {
        *(MARKER, "config.json", "versions.json", "data.json", "split.json", "data_notes.json"),
        *("inputs.json", "synthetic_world.nc", "metrics.jsonl", provenance.FILE),
    }
)
"""Files that a run writes before it has any result; see `without_results`."""


@dataclass(frozen=True)
class Run:
    """A folder that this process writes.

    Attributes:
      folder: where to write; beside `path` where that holds a run to be replaced.
      path: what the folder is called when the run has finished.
      resumed: whether an earlier process began it.
    """

    folder: Path
    path: Path
    resumed: bool = False

    @property
    def progress(self) -> Path:
        """Folder of what is needed to go on."""
        return self.folder / PROGRESS


@contextmanager
def claimed(
    path: Path,
    config: Any,
    overwrite: bool,
    program: str,
    *,
    source: Path | None = None,
    option: str = "--run",
    free: tuple[str, ...] = FREE,
    extendable: bool = False,
) -> Iterator[Run]:
    """Gives a folder to write a run to, which takes its name when the context ends without error.

    An unfinished run of the same configuration is gone on with. A finished one is replaced if
    `overwrite` is set, when this one has finished: until then it stays as it is. What a run left
    that failed before it had any result is begun anew.

    Args:
      path: the run directory.
      config: the program's configuration.
      overwrite: an earlier run in `path` may be replaced.
      program: its name.
      source: run this one reads from, which must not lie in `path`, nor `path` in it.
      option: of the command line, that names the folder.
      free: options that may differ from those of the run that is gone on with.
      extendable: a finished run of the same configuration is gone on with, too.

    Raises:
      ValueError: the folder is in use, holds another run, is no run directory, or overlaps with
        `source`.
    """
    refuse_overlap(path, source, option)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option} {path} is a file; choose another {option}")
    with locked(path, option):
        folder = _place(path, config, overwrite, option, free, extendable)
        resumed = is_run(folder)
        run = Run(folder, path, resumed)
        INTERRUPTION.advice = f"give the same command again to go on in {path}"
        try:
            if not resumed:
                _begin(folder, config, program)
            else:
                files.write_json(folder / "config.json", config)
                _mark(folder, program, finished=False)
            yield run
        except Exception:
            # What failed before it had a result leaves nothing behind.
            if not resumed and without_results(folder):
                shutil.rmtree(folder)
            INTERRUPTION.advice = ""
            raise
        _finish(run, program)
        INTERRUPTION.advice = ""


def _begin(folder: Path, config: Any, program: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _mark(folder, program, finished=False)
    files.record_provenance(folder, config, FREE)
    files.write_json(folder / "config.json", config)
    here = {"python": platform.python_version(), "device": jax.devices()[0].device_kind}
    files.write_json(folder / "versions.json", provenance.versions() | here)


def _finish(run: Run, program: str) -> None:
    shutil.rmtree(run.progress, ignore_errors=True)
    _mark(run.folder, program, finished=True)
    if run.folder != run.path:
        exchange(run.folder, run.path)


def exchange(new: Path, path: Path) -> None:
    """Puts a folder or file in the place of another, which is deleted after that.

    A process that is killed in between leaves the one or the other, whole, under `path` or beside
    it; see `restore`.
    """
    old = _beside(path, "old")
    if path.exists():
        path.replace(old)
    new.replace(path)
    remove(old)


def remove(path: Path) -> None:
    """Deletes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def restore(path: Path) -> None:
    """Puts things right after a process that was killed while it exchanged two; see `exchange`."""
    old, new = _beside(path, "old"), _beside(path, "new")
    if old.exists() and not path.exists():
        (new if is_finished(new) else old).replace(path)
    remove(old)


def _place(
    path: Path, config: Any, overwrite: bool, option: str, free: tuple[str, ...], extendable: bool
) -> Path:
    """Returns the folder to write to: empty, or with a run to go on with."""
    restore(path)
    if not path.exists() or not any(path.iterdir()):
        return path
    if not is_run(path):
        raise ValueError(
            f"{path} exists already and is not a run directory of kgml_jax, so it is not "
            f"overwritten; choose another {option}"
        )
    differing = differences(path, config, free)
    if not differing and (not is_finished(path) or (extendable and not overwrite)):
        return path
    if without_results(path):
        remove(path)
        return path
    if not overwrite:
        raise ValueError(_occupied(path, differing, option))
    beside = _beside(path, "new")
    if beside.exists() and (is_finished(beside) or differences(beside, config, free)):
        remove(beside)
    return beside


def _occupied(path: Path, differing: list[str], option: str) -> str:
    way_out = f"choose another {option} or add --overwrite"
    if is_finished(path) and not differing:
        return f"{path} exists already; {way_out}"
    state = "a run" if is_finished(path) else "an unfinished run"
    return f"{path} exists already: {state} of another configuration ({'; '.join(differing)}); " + (
        way_out
    )


def final_name(folder: Path) -> Path:
    """Returns what a folder is called when its run has finished; see `Run`."""
    name = folder.name
    is_new = name.startswith(".") and name.endswith(".new")
    return folder.with_name(name[1 : -len(".new")]) if is_new else folder


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


@contextmanager
def locked(path: Path, option: str) -> Iterator[None]:
    """Keeps every other process from a path; a process that dies keeps nobody from it.

    Raises:
      ValueError: another process has it.
    """
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_beside(path.absolute(), "lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{option} {path} is being written by another process; wait for it, or choose another "
            f"{option}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _mark(folder: Path, program: str, finished: bool) -> None:
    made = {"made_by": "kgml_jax", "program": program, "finished": finished}
    if finished:
        made["finished_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    files.write_json(folder / MARKER, made)


def is_run(folder: Path) -> bool:
    """Returns whether a folder was made by a program of this project, of any version."""
    if (folder / MARKER).is_file():
        return _read(folder / MARKER).get("made_by") == "kgml_jax"
    # Older versions left no marker, but said which version of the package had written.
    return (folder / "config.json").is_file() and "kgml_jax" in _read(folder / "versions.json")


def is_finished(folder: Path) -> bool:
    """Returns whether the run in a folder has ended; those of older versions do not tell."""
    marked = (folder / MARKER).is_file()
    return _read(folder / MARKER).get("finished") is True if marked else is_run(folder)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = files.read_json(path)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def require_finished(folder: Path, option: str = "--from") -> None:
    """Refuses a run that is not there or has not ended.

    Raises:
      ValueError: naming it.
    """
    if not folder.is_dir():
        raise ValueError(f"{option} {folder}: there is no such folder; expected that of a run")
    if is_run(folder) and not is_finished(folder):
        program = _read(folder / MARKER).get("program", "its program")
        raise ValueError(
            f"{option} {folder} is an unfinished run of {program}; give its command again, which "
            "goes on where it was, and then this one"
        )


def refuse_overlap(path: Path, source: Path | None, option: str = "--run") -> None:
    """Refuses a folder in the run that is read from, or around it.

    Raises:
      ValueError: naming both.
    """
    if source is None:
        return
    own, other = path.resolve(), source.resolve()
    if own.is_relative_to(other) or other.is_relative_to(own):
        raise ValueError(f"{option} {path} overlaps with --from {source}; choose another {option}")


def without_results(folder: Path) -> bool:
    """Returns whether a run ended in `folder` before it had written any result.

    Whatever is not known to precede all results counts as one.
    """
    if not folder.is_dir() or not is_run(folder):
        return False
    empty = lambda path: path.is_dir() and not any(path.iterdir())
    kept = (path for path in folder.iterdir() if path.suffix != ".partial" and not empty(path))
    names = {path.name for path in kept}
    return names <= BEFORE_RESULTS


def differences(folder: Path, config: Any, free: tuple[str, ...] = FREE) -> list[str]:
    """Returns how the configuration of a run differs from another, in words; none if it does not.

    Args:
      folder: the run directory.
      config: the program's configuration.
      free: options that may differ.
    """
    before, now = _read(folder / "config.json"), files.plain(config)
    return [
        f"{name} {before.get(name)!r} before, {now.get(name)!r} now"
        for name in {**before, **now}
        if before.get(name) != now.get(name) and name not in free
    ]
