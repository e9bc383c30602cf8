"""Files that are whole or not there: written beside their place, then moved to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ABOUT = 2**20
"""Bytes that a file may take beside its values: names, attributes, where chunks lie."""


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
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _of(error, path) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _to_disk(path: Path) -> None:
    # Else a power cut may keep the new name and lose what it names.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def require_room(folder: Path, size: int, behind: int = 0) -> None:
    """Refuses to write where there is no room, before a library meets a full disk.

    Not all of them fail well: orbax prints pages, and HDF5 may end the process. Where a system
    cannot tell, nothing is refused.

    Args:
      folder: where the file lies.
      size: bytes of the values that are to be written; `ABOUT` more is asked for.
      behind: bytes that the file has already.

    Raises:
      OSError: there is no room.
    """
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is None:
        return
    path = folder / f".room.{os.getpid()}"
    try:
        with path.open("wb") as file:
            allocate(file.fileno(), behind, size + ABOUT)
    except OSError as error:
        raise _of(error, folder) from None
    finally:
        path.unlink(missing_ok=True)


def _of(error: OSError, path: Path) -> OSError:
    """Returns an error with the file it is of, which the system does not tell of a write."""
    if error.errno is None or error.filename is not None:
        return error
    return OSError(error.errno, error.strerror, str(path))


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one step."""
    with in_one_step(path) as partial:
        partial.write_text(text)
