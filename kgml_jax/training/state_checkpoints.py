"""Checkpoints of a computation while it goes on, from which it ends as if never interrupted.

A checkpoint holds the whole state after a round, as arrays, and who it belongs to. The newest few
are kept; each carries a checksum, and one that is torn or changed gives way to the one before.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from kgml_jax.training import digests
from kgml_jax.training.checkpoint import (
    TornError,
    belongs_elsewhere,
    cannot_write,
    torn_arrays,
)

SCHEMA = 1
"""Version of the layout; another one is refused."""

STATE, HEADER = "state", "header"


class Stopping(Protocol):
    """Whether somebody has asked the process to end."""

    @property
    def asked(self) -> bool:
        """Whether it should end after this round."""
        ...

    def leave(self) -> NoReturn:
        """Ends it."""
        ...


@dataclass(frozen=True)
class Cadence:
    """When a checkpoint is written."""

    seconds: float = 60.0
    """Least time between two; 0 writes one after every round."""
    share: float = 0.02
    """Most of the time that writing may take: what is slow to write is written less often."""
    newest: int = 2
    """Checkpoints that are kept."""


@dataclass
class StateCheckpoints:
    """Keeps the state of one computation in a folder; an `Observer`.

    Attributes:
      folder: of its own.
      identity: tells this computation from others; a checkpoint of another one is refused.
      stopping: asked after every round; what asks gets a last checkpoint.
      cadence: when one is written.
      described: what lies beside the state for a reader: configuration, fingerprints, versions.
      tell: takes one line on what was resumed or left out.
    """

    folder: Path
    identity: str
    stopping: Stopping
    cadence: Cadence = field(default_factory=Cadence)
    described: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda line: None
    rounds: int = 0
    written: int = 0
    """Checkpoints that this process wrote."""
    seconds: float = 0.0
    """That writing them has held the computation up."""

    def __post_init__(self) -> None:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=self.cadence.newest, create=True, enable_async_checkpointing=True
        )
        for folder in (self._steps, self._seals):
            folder.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(self._steps.resolve(), options=options)
        self._began = time.perf_counter()
        self._due = self._began + self.cadence.seconds

    @property
    def _steps(self) -> Path:
        return self.folder / "steps"

    @property
    def _seals(self) -> Path:
        return self.folder / "seals"

    def begin(self, state: Any, rows: int | None = None) -> Any:
        """Returns the newest state that is whole, or the one given if there is none.

        Raises:
          CheckpointError: a checkpoint belongs to another computation.
        """
        template = _arrays(state, rows)
        for number in sorted(self._manager.all_steps(), reverse=True):
            try:
                header = self._read_header(number)
                stored = self._read(number, template, header)
            except TornError as error:
                self.tell(f"checkpoint {number} is left out, and the one before taken: {error}")
                self._manager.delete(number)
                continue
            self.rounds = number
            self.tell(f"goes on after round {number}")
            return _placed(stored, state)
        return state

    def round(self, state: Any, rows: int | None = None) -> None:
        """Writes a checkpoint where one is due, and the last one where the process is to end."""
        self.rounds += 1
        asked = self.stopping.asked
        if asked or time.perf_counter() >= self._due:
            self._write(_arrays(state, rows))
        if asked:
            self.close()
            self.stopping.leave()

    def close(self) -> None:
        """Waits until all is written, and tells what that cost."""
        began = time.perf_counter()
        with cannot_write(self.folder):
            self._manager.wait_until_finished()
            self._seal()
        self._manager.close()
        ended = time.perf_counter()
        self.seconds += ended - began
        if self.written:
            lasted = ended - self._began
            self.tell(f"{self.written} checkpoints took {self.seconds:.2f} s of {lasted:.1f} s")

    def _write(self, arrays: dict[str, np.ndarray]) -> None:
        began = time.perf_counter()
        header = {
            "schema": SCHEMA,
            "identity": self.identity,
            "round": self.rounds,
            "arrays": digests.of_arrays(arrays),
            "described": dict(self.described),
        }
        header |= {"digest": digests.of_json(header)}
        numbered = {f"{place:05d}": array for place, array in enumerate(arrays.values())}
        kinds = {STATE: ocp.args.StandardSave(numbered), HEADER: ocp.args.JsonSave(header)}  # type: ignore[call-arg]
        with cannot_write(self.folder, arrays):
            # Waits for the one before, which is then whole.
            self._manager.save(self.rounds, args=ocp.args.Composite(**kinds))
            self._seal(self.rounds)
        ended = time.perf_counter()
        self.seconds += ended - began
        self.written += 1
        rest = (ended - began) / self.cadence.share if self.cadence.seconds else 0.0
        self._due = ended + max(self.cadence.seconds, rest)

    def _seal(self, writing: int | None = None) -> None:
        """Keeps the checksums of the files of all checkpoints but the one being written."""
        there = [number for number in self._manager.all_steps() if number != writing]
        for number in there:
            seal = self._seals / f"{number}.json"
            if not seal.is_file():
                partial = seal.with_suffix(".partial")
                partial.write_text(json.dumps(digests.of_files(self._steps / str(number))))
                partial.replace(seal)
        for seal in self._seals.iterdir():
            if seal.stem not in map(str, there):
                seal.unlink()

    def _require_whole(self, number: int) -> None:
        seal = self._seals / f"{number}.json"
        if not seal.is_file():
            return  # the process ended while it was written, or just after
        try:
            damaged = digests.changed(self._steps / str(number), json.loads(seal.read_text()))
        except ValueError as error:
            raise TornError(f"{seal} is torn") from error
        if damaged:
            raise TornError(f"{damaged[0]} is not as it was written (checksum)")

    def _read(
        self, number: int, template: dict[str, np.ndarray], header: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        if header["identity"] != self.identity:
            raise belongs_elsewhere(self.folder, header["identity"], self.identity)
        numbered = {f"{place:05d}": array for place, array in enumerate(template.values())}
        asked = {STATE: ocp.args.StandardRestore(numbered)}  # type: ignore[call-arg]
        with torn_arrays(self._steps / str(number)):
            found = self._manager.restore(number, args=ocp.args.Composite(**asked))[STATE]
        stored = {name: found[f"{place:05d}"] for place, name in enumerate(template)}
        if digests.of_arrays(stored) != header["arrays"]:
            raise TornError("its arrays are not those that were written (checksum)")
        return stored

    def _read_header(self, number: int) -> dict[str, Any]:
        self._require_whole(number)
        asked = {HEADER: ocp.args.JsonRestore()}
        with torn_arrays(self._steps / str(number)):
            found = self._manager.restore(number, args=ocp.args.Composite(**asked))[HEADER]
        header = dict(found) if isinstance(found, dict) else {}
        digest = header.pop("digest", None)
        if digest != digests.of_json(header) or header.get("schema") != SCHEMA:
            raise TornError("its header is not the one that was written (checksum)")
        return header


def _arrays(state: Any, rows: int | None) -> dict[str, np.ndarray]:
    """Returns the leaves of a state by their paths; copies, for a round may reuse their memory."""
    plain = jax.tree_util.tree_leaves_with_path(state)
    part = ... if rows is None else slice(rows)
    return {jax.tree_util.keystr(path): np.array(_data(leaf))[part] for path, leaf in plain}


def _data(leaf: Any) -> Any:
    typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if typed else leaf


def _placed(stored: Mapping[str, np.ndarray], like: Any) -> Any:
    """Returns a stored state on the devices of `like`, which fills up rows that only pad them."""

    def place(path: Any, begun: jax.Array) -> jax.Array:
        array, padded = stored[jax.tree_util.keystr(path)], np.asarray(_data(begun))
        if array.shape != padded.shape:
            array = np.concatenate([array, padded[len(array) :]])
        if jnp.issubdtype(begun.dtype, jax.dtypes.prng_key):
            keys = jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(begun))
            return jax.device_put(keys, begun.sharding)
        return jax.device_put(array, begun.sharding)

    return jax.tree_util.tree_map_with_path(place, like)
