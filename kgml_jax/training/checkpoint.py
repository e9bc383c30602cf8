"""Checkpoints: weights or adaptations through orbax, with what is needed to use them again.

The only module that knows orbax. A checkpoint is a folder with `tree/` (the arrays) and
`checkpoint.json` (schema version, kind, and what the caller adds: model, split, training days).
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

SCHEMA = 1
"""Version of the layout; raised whenever an older reader would misunderstand a newer file."""

HEADER = "checkpoint.json"


class CheckpointError(ValueError):
    """The checkpoint is missing, incomplete, or of another schema or kind."""


def save(folder: Path, kind: str, tree: Any, header: dict[str, Any]) -> None:
    """Writes a pytree of arrays; the header is written last and marks the checkpoint complete.

    Raises:
      CheckpointError: there is a checkpoint in `folder` already.
    """
    if (folder / HEADER).exists():
        raise CheckpointError(f"{folder} holds a checkpoint already; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with ocp.StandardCheckpointer() as checkpointer:
        arrays = jax.tree.map(np.asarray, tree)
        checkpointer.save(folder.resolve() / "tree", arrays, force=True)
    text = json.dumps({"schema": SCHEMA, "kind": kind, **header}, indent=2)
    (folder / HEADER).write_text(text + "\n")


def read_header(folder: Path, kind: str) -> dict[str, Any]:
    """Reads what lies beside the arrays.

    Raises:
      CheckpointError: no checkpoint there, or one of another schema or kind.
    """
    path = folder / HEADER
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no finished checkpoint ({HEADER} is missing)")
    try:
        header = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if header.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path}: schema {header.get('schema')!r}, this version reads schema {SCHEMA}; "
            "train again or use the version that wrote it"
        )
    if header.get("kind") != kind:
        raise CheckpointError(f"{path}: holds {header.get('kind')!r}, expected {kind!r}")
    return header


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
