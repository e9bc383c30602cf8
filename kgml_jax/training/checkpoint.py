"""Checkpoints: weights or adaptations through orbax, with what is needed to use them again.

A checkpoint is a folder with `tree/` (the arrays) and `checkpoint.json` (schema version, kind, the
fields of a typed header, and checksums of both: a changed byte is an error, never another number).
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

from kgml_jax.training import digests
from kgml_jax.writing import require_room

SCHEMA = 1
"""Version of the layout; raised whenever an older reader would misunderstand a newer file."""

HEADER = "checkpoint.json"

DIGESTS = "digests"
"""Checksums in the header; older versions wrote none."""


class CheckpointError(ValueError):
    """The checkpoint is missing, incomplete, or of another schema or kind."""


class TornError(CheckpointError):
    """What is stored is not what was written."""


class Header(Protocol):
    """What lies beside the arrays: a frozen dataclass of plain JSON values.

    `kind` tells what is stored from what another header describes.
    """

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


AnyHeader = TypeVar("AnyHeader", bound=Header)


def save(folder: Path, tree: Any, header: Header) -> None:
    """Writes a pytree of arrays; the header is written last and marks the checkpoint complete.

    Raises:
      CheckpointError: there is a checkpoint in `folder` already.
    """
    if is_complete(folder):
        raise CheckpointError(f"{folder} holds a checkpoint already; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = jax.tree.map(np.asarray, tree)
    with cannot_write(folder, arrays), ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.resolve() / "tree", arrays, force=True)
    described = {"schema": SCHEMA, "kind": header.kind, **dataclasses.asdict(header)}
    described[DIGESTS] = {
        "files": digests.of_files(folder / "tree"),
        "arrays": digests.of_arrays(arrays),
        "header": digests.of_json(described),
    }
    partial = folder / f"{HEADER}.partial"
    partial.write_text(json.dumps(described, indent=2, allow_nan=False) + "\n")
    partial.replace(folder / HEADER)


def is_complete(folder: Path) -> bool:
    """Returns whether a checkpoint in `folder` was written to its end."""
    return (folder / HEADER).is_file()


def read_header(folder: Path, header: type[AnyHeader]) -> AnyHeader:
    """Reads what lies beside the arrays.

    Raises:
      CheckpointError: no checkpoint there, one of another schema or kind, or with other fields.
    """
    path = folder / HEADER
    described = _described(folder)
    if (schema := described.get("schema")) != SCHEMA:
        raise CheckpointError(
            f"{path}: schema {schema!r}, this version reads schema {SCHEMA}; train again or use "
            "the version that wrote it"
        )
    stored = described.pop(DIGESTS, {})
    if stored and stored.get("header") != digests.of_json(described):
        raise CheckpointError(f"{path} is not as it was written (checksum); it was changed since")
    del described["schema"]
    if (kind := described.pop("kind", None)) != header.kind:
        raise CheckpointError(f"{path}: holds {kind!r}, expected {header.kind!r}")
    fields = dataclasses.fields(header)  # type: ignore[arg-type]
    needed = {field.name for field in fields if field.default is dataclasses.MISSING}
    if absent := sorted(needed - set(described)):
        raise CheckpointError(f"{path}: {', '.join(absent)} missing")
    if unknown := sorted(set(described) - {field.name for field in fields}):
        raise CheckpointError(f"{path}: {', '.join(unknown)} not known to this version")
    return header(**described)


def _described(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no finished checkpoint ({HEADER} is missing)")
    try:
        described = json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(described, dict) or not isinstance(described.get(DIGESTS, {}), dict):
        raise CheckpointError(f"{path} does not describe a checkpoint: no names with values")
    return described


@contextmanager
def cannot_write(folder: Path, arrays: Any = ()) -> Iterator[None]:
    """Makes one error of all that writing arrays can end in, such as a full disk.

    Args:
      folder: what is written to.
      arrays: pytree of what is written, for which there must be room. Libraries that meet a full
        disk print pages before they raise, so they are not let to meet it.
    """
    try:
        if size := sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)):
            require_room(folder, size)
        yield
    # Of a full disk tensorstore and orbax raise what they like, some in other threads.
    except Exception as error:
        raise OSError(f"a checkpoint cannot be written in {folder}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


@contextmanager
def torn_arrays(folder: Path) -> Iterator[None]:
    """Makes one error of all that reading arrays can end in, of a file that is torn or changed."""
    try:
        yield
    # What orbax, tensorstore and zstandard raise of a damaged file is of any kind.
    except Exception as error:
        raise TornError(
            f"{folder}: the arrays cannot be read as this model's: {_first_line(error)}"
        ) from None


def restore(folder: Path, template: Any) -> Any:
    """Reads the arrays into the shape of `template` (arrays or `jax.ShapeDtypeStruct`).

    Raises:
      CheckpointError: names, shapes, types or files do not match, or not what was written.
    """
    stored = _described(folder).get(DIGESTS, {})
    # Before orbax reads them: of a damaged file it says much, from threads of its own.
    if "files" in stored and (damaged := digests.changed(folder / "tree", stored["files"])):
        raise CheckpointError(
            f"{folder} is not as it was written (checksum of {damaged[0]}); it was damaged or "
            "changed since"
        )
    abstract = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), template)
    with torn_arrays(folder), ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(folder.resolve() / "tree", abstract)
    mismatched = [
        jax.tree_util.keystr(path)
        for (path, found), wanted in zip(
            jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(template), strict=True
        )
        if found.shape != wanted.shape or found.dtype != wanted.dtype
    ]
    if mismatched:
        raise CheckpointError(
            f"{folder}: shapes or types differ from the model's at {', '.join(mismatched)}"
        )
    if "arrays" in stored and stored["arrays"] != digests.of_arrays(tree):
        raise CheckpointError(f"{folder}: the arrays are not those that were written (checksum)")
    return tree


def belongs_elsewhere(place: Path, found: str, expected: str) -> CheckpointError:
    """Returns the error of a checkpoint of another run."""
    return CheckpointError(
        f"{place} belongs to another run (other data, model, plan or seed: {found}, expected "
        f"{expected}); choose another folder"
    )
