"""Going on with a run: what belongs to it, and what of it is done already."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kgml_jax.runs import files
from kgml_jax.runs.directory import FREE, PROGRESS, Run, locked, restore
from kgml_jax.runs.interruption import INTERRUPTION
from kgml_jax.split import DividedSites
from kgml_jax.training import digests
from kgml_jax.training.state_checkpoints import Cadence, StateCheckpoints

CHECKPOINT_EVERY = 60.0
"""Seconds between two checkpoints, unless asked otherwise."""

SHOWN = ("figures", "draw", "csv")
"""Options that change what is drawn or written, not what is computed."""

INPUTS = "inputs.json"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Progress:
    """What is needed to go on with a run, in a folder of its own.

    Attributes:
      folder: of it.
      identity: tells the run from others, by configuration and inputs.
      cadence: when the state of a descent is written.
      described: what lies beside it for a reader.
      tell: takes one line on what was resumed or left out.
    """

    folder: Path
    identity: str
    cadence: Cadence = field(default_factory=Cadence)
    described: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda line: None

    def checkpoints(self, name: str) -> StateCheckpoints:
        """Returns what keeps the state of one computation of the run."""
        return StateCheckpoints(
            folder=self.folder / _plain(name),
            identity=self.identity,
            stopping=INTERRUPTION,
            cadence=self.cadence,
            described={**self.described, "name": name},
            tell=lambda line: self.tell(f"{name}: {line}"),
        )

    def piece(self, name: str, compute: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """Returns arrays that were computed before, or computes and keeps them.

        Args:
          name: of the piece, unique in the run.
          compute: returns arrays by name.
        """
        path = self.folder / f"{_plain(name)}.npz"
        stored = self._read(path)
        if stored is not None:
            return stored
        with INTERRUPTION.held():
            arrays = dict(compute())
            self._write(path, arrays)
        if INTERRUPTION.asked:
            INTERRUPTION.leave()
        return arrays

    def _write(self, path: Path, arrays: Arrays) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        named: dict[str, Any] = dict(arrays)
        with files.in_one_step(path) as partial, partial.open("wb") as file:
            np.savez(file, **named)
        files.write_json(path.with_suffix(".json"), self._sealed(path))

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        # Without its seal a piece was not finished.
        if not path.is_file() or not path.with_suffix(".json").is_file():
            return None
        try:
            whole = files.read_json(path.with_suffix(".json")) == self._sealed(path)
        except ValueError:
            whole = False
        if not whole:
            self.tell(f"{path.name} is not as it was written; it is computed again")
            return None
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def _sealed(self, path: Path) -> dict[str, str]:
        return {"identity": self.identity, "file": digests.of_file(path)}


def open_progress(
    run: Run,
    config: Any,
    data: DividedSites,
    *further: Any,
    seconds: float = CHECKPOINT_EVERY,
    tell: Callable[[str], None] = lambda line: None,
) -> Progress:
    """Returns what is needed to go on with a run, after it is sure that its inputs are the same.

    Args:
      run: the claimed folder.
      config: the program's configuration.
      data: sites with their split.
      further: what else the result depends on, such as the fingerprint of a pretrained model.
      seconds: least time between two checkpoints of a descent.
      tell: takes one line on what was resumed or left out.

    Raises:
      ValueError: the run was begun with other data, another split, or other weights.
    """
    found = {
        "data": files.fingerprint(data.sites.site, list(data.sites.names)),
        "split": files.fingerprint(data.roles),
        "further": files.fingerprint(list(further)),
    }
    require_same(run, found)
    return Progress(
        folder=run.progress,
        identity=digests.of_json({"configuration": _computed(config), **found}),
        cadence=Cadence(seconds),
        described={"configuration": files.plain(config), **found},
        tell=tell,
    )


@contextmanager
def file_progress(
    out: Path, config: Any, tell: Callable[[str], None] = lambda line: None
) -> Iterator[Progress]:
    """Gives what is needed to go on with a file, which lies beside it until that is written.

    Args:
      out: the file.
      config: the program's configuration.
      tell: takes one line on what was resumed or left out.

    Raises:
      ValueError: another process writes the file.
    """
    folder = out.with_name(f".{out.name}.{PROGRESS}")
    with locked(out, "--out"):
        restore(out)
        INTERRUPTION.advice = f"give the same command again to go on with {out}"
        yield Progress(folder, digests.of_json(_computed(config)), tell=tell)
        INTERRUPTION.advice = ""
        shutil.rmtree(folder, ignore_errors=True)


def _computed(config: Any) -> dict[str, Any]:
    # What decides on the numbers.
    free = {*FREE, *SHOWN}
    return {name: value for name, value in files.plain(config).items() if name not in free}


def require_same(run: Run, found: Mapping[str, str]) -> None:
    """Remembers the fingerprints of the inputs of a run, or checks that they are still the same.

    Raises:
      ValueError: naming what changed.
    """
    path = run.folder / INPUTS
    sealed = {}
    if run.resumed and path.is_file():
        before = files.read_json(path)
        sealed = {"files": before["files"]} if "files" in before else {}
        if changed := [name for name in found if before.get(name) != found[name]]:
            raise ValueError(
                f"{run.path} was begun with other inputs ({', '.join(changed)} changed since); "
                "choose another folder, or delete this one to begin anew"
            )
    files.write_json(path, {**found, **sealed})


def seal(folder: Path, names: tuple[str, ...]) -> None:
    """Remembers the checksums of files of a run that others read from it."""
    path = folder / INPUTS
    known = files.read_json(path) if path.is_file() else {}
    found = {name: digests.of_file(folder / name) for name in names}
    files.write_json(path, known | {"files": found})


def require_sealed(folder: Path) -> None:
    """Refuses a run whose split or choice of data was changed since it was made.

    Runs of older versions tell nothing.

    Raises:
      ValueError: naming the file.
    """
    path = folder / INPUTS
    sealed = files.read_json(path).get("files", {}) if path.is_file() else {}
    for name, digest in sealed.items():
        if not (folder / name).is_file() or digests.of_file(folder / name) != digest:
            raise ValueError(
                f"{folder / name} is not as the run wrote it (checksum): days that were learnt "
                "from could be scored; put it back, or make the run again"
            )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name)
