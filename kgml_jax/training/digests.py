"""Checksums of arrays and of what describes them: a changed byte is told, never used."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np


def of_arrays(tree: Any) -> str:
    """Returns the SHA-256 of the names, types, shapes and bytes of a pytree of arrays."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return of_named((jax.tree_util.keystr(path), leaf) for path, leaf in leaves)


def of_named(arrays: Iterable[tuple[str, Any]]) -> str:
    """Returns the SHA-256 of named arrays, in the order given."""
    digest = hashlib.sha256()
    for name, leaf in arrays:
        array = np.asarray(leaf)
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        # Bytes in C order, without a copy where they lie so already.
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def of_files(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file below a folder, by its path from there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): of_file(path) for path in paths}


def of_file(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed(folder: Path, sealed: Mapping[str, str]) -> list[str]:
    """Returns the files below a folder that are not as they were when `of_files` saw them."""
    now = of_files(folder)
    return sorted(name for name in {**now, **sealed} if now.get(name) != sealed.get(name))


def of_json(described: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of JSON values, whatever the order of their names."""
    text = json.dumps(described, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
