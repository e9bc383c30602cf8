"""Files that are whole or not there: written beside their place, then moved to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Gives a path to write to, which takes the place of `path` when all is written.

    A file of that name is whole, one that was there stays until then, and of an attempt that fails
    nothing stays.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        _to_disk(partial)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _to_disk(path: Path) -> None:
    # Else a power cut may keep the new name and lose what it names.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one step."""
    with in_one_step(path) as partial:
        partial.write_text(text)
