"""Opening files of arrays: of a bounded size, and with one error for all damage in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kgml_jax.errors import DataError

LARGEST = "KGML_JAX_LARGEST_INPUT"
"""Name of the environment variable that says how many GiB the values of one input may take."""

USUAL_LARGEST = 16.0
"""GiB."""

UNSUSPICIOUS = 2**28
"""Bytes of values up to which it does not matter how small the file is that claims to hold them."""

MOST_PACKED = 1000
"""Times that an input may grow in memory. Weather packs to a half or a tenth; what grows more was
never measured, and gzip itself reaches no more."""


class Absent(NamedTuple):
    """Parts of an array that a file does not hold, so that a reader makes up their values."""

    parts: tuple[str, ...]
    """The first of them."""
    fill: Any
    """What stands in their place."""


def require_size(path: Path, stored: int, unpacked: int) -> None:
    """Refuses what would take more memory than an honest input of its size.

    Args:
      path: named in the error.
      stored: bytes on disk.
      unpacked: bytes that the values take by what the file says of their number.

    Raises:
      DataError: more than `LARGEST`, or more than `MOST_PACKED` times what is stored.
    """
    most = float(os.environ.get(LARGEST, USUAL_LARGEST)) * 2**30
    allowed = min(most, max(UNSUSPICIOUS, MOST_PACKED * stored))
    if unpacked > allowed:
        raise DataError(
            "claims to hold more values than it can",
            file=path,
            found=f"{unpacked / 2**20:.0f} MiB of values in {stored / 2**20:.3g} MiB",
            expected=f"at most {allowed / 2**20:.0f} MiB; {LARGEST} sets another limit, in GiB",
        )


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turns every error of a library that reads a file into one that names the file.

    The only place that catches everything: each library has its own kinds of error for a damaged
    file, some of them bare Exceptions. What stands under it reads and does nothing else.

    Args:
      path: of the file.
      kind: what it should be, such as `"netCDF"`.

    Raises:
      DataError: with the words of the library.
    """
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        message = f"cannot be opened: {error}; install kgml_jax[io]"
        raise DataError(message, file=path) from error
    except MemoryError as error:
        raise DataError("does not fit into memory", file=path) from error
    except Exception as error:
        said = str(error).strip().split("\n")[0][:300] or type(error).__name__
        raise DataError(f"is damaged, cut off, or not {kind}: {said}", file=path) from error
