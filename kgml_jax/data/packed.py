"""Bytes of files, packed or not: whole, regular, and never more than memory should hold."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kgml_jax.errors import DataError

LARGEST = 2**31
"""Bytes of one file, unpacked, beyond which it is not read."""

UNSUSPICIOUS = 2**26
"""Bytes up to which it does not matter how well a file was packed."""

MOST_PACKED = 400
"""Times that a file may grow when it is unpacked: a table of 300 columns without any value grows by
some 260, what was made to fill memory by up to 1030."""


def contents(path: Path) -> bytes:
    """Returns the bytes of a file, unpacked if it ends in `.gz`.

    Raises:
      DataError: it is no regular file, cannot be read to its end, or unpacks to more than `LARGEST`
        or `MOST_PACKED` times its size.
    """
    require_regular(path)
    with _told(path):
        size = path.stat().st_size
        if path.suffix.lower() != ".gz":
            if size > LARGEST:
                raise _too_large(path, path.name, size)
            return path.read_bytes()
        with gzip.open(path) as stream:
            return _bounded(stream, size, path, path.name)


def require_regular(path: Path) -> None:
    """Refuses what is no regular file; to open a pipe would wait for ever.

    Raises:
      DataError: it is a folder, a pipe, a device or a link to nothing.
    """
    if path.is_file():
        return
    if path.is_dir():
        problem = "is a folder, not a file"
    elif path.is_symlink() and not path.exists():
        problem = "is a link to a file that is not there"
    elif path.exists():
        problem = "is no regular file, but a pipe, a socket or a device"
    else:
        problem = "no such file"
    raise DataError(problem, file=path)


class Archive:
    """A zip file whose members are read into memory; nothing is ever extracted.

    The path of a member is a name only: one that leads out of the archive leads nowhere.
    """

    def __init__(self, path: Path) -> None:
        """Opens nothing yet.

        Raises:
          DataError: it is no regular file, or no zip file.
        """
        require_regular(path)
        self.path = path
        with _told(path), zipfile.ZipFile(path) as archive:
            self._members = {info.filename: info for info in archive.infolist()}

    @property
    def names(self) -> list[str]:
        """Paths of the members that are files, in the order of the archive."""
        return [name for name in self._members if not name.endswith("/")]

    def read(self, name: str) -> bytes:
        """Returns a member.

        Raises:
          DataError: it is encrypted, damaged, packed by a method that is not known, or too large.
        """
        info = self._members[name]
        if info.flag_bits & 0x1:
            raise DataError(
                "the archive is encrypted",
                file=self.path,
                found=f"member {name}",
                recipe=f"    unpack it with its password: unzip {self.path.name} -d data",
            )
        with (
            _told(self.path, f"member {name}"),
            zipfile.ZipFile(self.path) as archive,
            archive.open(info) as stream,
        ):
            return _bounded(stream, info.compress_size, self.path, name)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _bounded(stream: _Stream, packed: int, path: Path, name: str) -> bytes:
    limit = min(LARGEST, max(UNSUSPICIOUS, MOST_PACKED * packed))
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise _too_large(path, name, limit)
    return data


def _too_large(path: Path, name: str, size: int) -> DataError:
    return DataError(
        "is too large to be read",
        file=path,
        found=f"{name} is larger than {size / 2**20:.0f} MiB unpacked",
        expected=f"at most {LARGEST / 2**20:.0f} MiB, and {MOST_PACKED} times the packed size",
    )


@contextmanager
def _told(path: Path, what: str | None = None) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except NotImplementedError as error:
        message = "the archive is packed by a method that is not known here"
        raise DataError(f"{message}: {error}", file=path, found=what) from error
    except PermissionError as error:
        raise DataError("may not be read: permission is denied", file=path) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        zipped = path.suffix.lower() == ".zip"
        problem = "the archive is damaged or cut off" if zipped else "cannot be read to its end"
        raise DataError(f"{problem}: {error}", file=path, found=what) from error
