"""Shards of Zarr: chunks within chunks, with an index that says which of them are there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

_NOWHERE = np.uint64(2**64 - 1)
"""Offset and length of a chunk that is not in its shard."""

_FIRST = 5
"""Absent chunks of a shard that are named."""


@dataclass(frozen=True)
class Shards:
    """How the shards of one array are laid out."""

    shape: tuple[int, ...]
    """Of the array."""
    outer: tuple[int, ...]
    """Values of a shard."""
    inner: tuple[int, ...]
    """Values of a chunk within it."""
    at_end: bool
    """The index stands behind the chunks, not before them."""
    checked: bool
    """A checksum follows the index."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Shards | None":
        """Returns the layout that the metadata of an array state; None if it has no shards.

        Raises:
          ValueError: shards that are packed again, or an index in another form than numbers.
        """
        codecs = document.get("codecs", ())
        if not any(codec["name"] == "sharding_indexed" for codec in codecs):
            return None
        if len(codecs) != 1:
            raise ValueError("shards that are packed as a whole")
        stated = codecs[0]["configuration"]
        index = [codec["name"] for codec in stated["index_codecs"]]
        endian = stated["index_codecs"][0].get("configuration", {}).get("endian", "little")
        if index not in (["bytes"], ["bytes", "crc32c"]) or endian != "little":
            raise ValueError(f"an index of shards packed by {', '.join(index)}, {endian}")
        return cls(
            tuple(document["shape"]),
            tuple(document["chunk_grid"]["configuration"]["chunk_shape"]),
            tuple(stated["chunk_shape"]),
            stated.get("index_location", "end") == "end",
            "crc32c" in index,
        )

    def absent(self, path: Path, place: tuple[int, ...]) -> Iterator[str]:
        """Yields the chunks of one shard that the array needs and the shard does not hold.

        Args:
          path: the shard.
          place: its numbers in the array.
        """
        grid = [size // step for size, step in zip(self.outer, self.inner, strict=True)]
        index = self._index(path, prod(grid)).reshape(*grid, 2)
        # Chunks that lie wholly beyond the end of the array are never written.
        edges = zip(self.shape, self.outer, self.inner, place, grid, strict=True)
        needed = tuple(
            slice(min(count, ceil((length - at * size) / step)))
            for length, size, step, at, count in edges
        )
        lacking = np.argwhere((index[needed] == _NOWHERE).all(axis=-1))
        yield from (f"chunk {'/'.join(map(str, one))}" for one in lacking[:_FIRST])

    def _index(self, path: Path, count: int) -> np.ndarray:
        size = 16 * count + (4 if self.checked else 0)
        with path.open("rb") as stream:
            length = path.stat().st_size
            if length < size:
                raise ValueError(f"the shard {path.name} is shorter than its index")
            stream.seek(length - size if self.at_end else 0)
            return np.frombuffer(stream.read(16 * count), "<u8")
