"""Checkpoints: weights or adaptations through orbax, with what is needed to use them again.

The only module that knows orbax. A checkpoint is a folder with `tree/` (the arrays) and
`checkpoint.json` (schema version, kind, and the fields of a typed header).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

SCHEMA = 1
"""Version of the layout; raised whenever an older reader would misunderstand a newer file."""

HEADER = "checkpoint.json"


class CheckpointError(ValueError):
    """The checkpoint is missing, incomplete, or of another schema or kind."""


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
    with ocp.StandardCheckpointer() as checkpointer:
        arrays = jax.tree.map(np.asarray, tree)
        checkpointer.save(folder.resolve() / "tree", arrays, force=True)
    described = {"schema": SCHEMA, "kind": header.kind, **dataclasses.asdict(header)}
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
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no finished checkpoint ({HEADER} is missing)")
    try:
        described = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if (schema := described.pop("schema", None)) != SCHEMA:
        raise CheckpointError(
            f"{path}: schema {schema!r}, this version reads schema {SCHEMA}; train again or use "
            "the version that wrote it"
        )
    if (kind := described.pop("kind", None)) != header.kind:
        raise CheckpointError(f"{path}: holds {kind!r}, expected {header.kind!r}")
    fields = dataclasses.fields(header)  # type: ignore[arg-type]
    needed = {field.name for field in fields if field.default is dataclasses.MISSING}
    if absent := sorted(needed - set(described)):
        raise CheckpointError(f"{path}: {', '.join(absent)} missing")
    if unknown := sorted(set(described) - {field.name for field in fields}):
        raise CheckpointError(f"{path}: {', '.join(unknown)} not known to this version")
    return header(**described)


def restore(folder: Path, template: Any) -> Any:
    """Reads the arrays into the shape of `template` (arrays or `jax.ShapeDtypeStruct`).

    Raises:
      CheckpointError: names, shapes or files do not match.
    """
    abstract = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), template)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            stored = checkpointer.restore(folder.resolve() / "tree", abstract)
    except (ValueError, OSError, KeyError) as error:
        raise CheckpointError(
            f"{folder}: the arrays cannot be read as this model's: {error}"
        ) from None
    mismatched = [
        jax.tree_util.keystr(path)
        for (path, found), wanted in zip(
            jax.tree_util.tree_leaves_with_path(stored), jax.tree.leaves(template), strict=True
        )
        if found.shape != wanted.shape
    ]
    if mismatched:
        raise CheckpointError(
            f"{folder}: shapes differ from the model's at {', '.join(mismatched)}"
        )
    return stored
