"""Damage to the bytes of a file, whatever it holds, and to the place where it lies."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hypothesis import strategies as st

from fuzzing.effects import ALL, SAME, SHOWS, Effect, between
from fuzzing.sources import DERIVED, EVERYTHING, Source
from kgml_jax.data.consistency import MOST_SAME

_GOLDEN = 0.6180339887498949
SHARE = st.integers(0, 2**16).map(lambda number: number * _GOLDEN % 1)
"""Of a length, from 0 on. Hypothesis draws small numbers most often, and those that it drew before:
multiples of the golden ratio lie evenly, so that not only the heads of files are damaged."""


class Damage(Protocol):
    """What is done to a file; `apply` returns what may come of it."""

    def apply(self, path: Path, source: Source) -> Effect:
        """Damages a file in place."""
        ...


def _one_of(path: Path, share: float) -> Path:
    """Returns the file, or of a folder one of its files."""
    if not path.is_dir():
        return path
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return files[int(share * len(files))]


@dataclass(frozen=True)
class Flips:
    """Single bits or bytes are changed."""

    file: float
    places: tuple[tuple[float, int], ...]

    def apply(self, path: Path, source: Source) -> Effect:
        one = _one_of(path, self.file)
        before = one.read_bytes()
        data = bytearray(before)
        for share, change in self.places:
            if data:
                data[int(share * len(data))] ^= change
        one.write_bytes(data)
        return _of_bytes(source, path, one, before, bytes(data))


@dataclass(frozen=True)
class Text:
    """A character is replaced by one that means something in a table or in JSON."""

    file: float
    share: float
    character: str

    def apply(self, path: Path, source: Source) -> Effect:
        one = _one_of(path, self.file)
        before = one.read_bytes()
        data = bytearray(before)
        data[int(self.share * len(data))] = ord(self.character)
        one.write_bytes(data)
        return _of_bytes(source, path, one, before, bytes(data))


@dataclass(frozen=True)
class Block:
    """Part of a file is cut out, zeroed, written twice, or put elsewhere."""

    file: float
    first: float
    length: float
    how: str

    def apply(self, path: Path, source: Source) -> Effect:
        one = _one_of(path, self.file)
        before = one.read_bytes()
        start = int(self.first * len(before))
        stop = start + 1 + int(self.length**4 * (len(before) - start))
        part = before[start:stop]
        after = {
            "truncated": before[:start],
            "cut out": before[:start] + before[stop:],
            "zeroed": before[:start] + bytes(len(part)) + before[stop:],
            "twice": before[:stop] + part + before[stop:],
            "at the end": before[:start] + before[stop:] + part,
            "head lost": before[start:],
            "more behind": before + part,
        }[self.how]
        one.write_bytes(after)
        return _of_bytes(source, path, one, before, after)


def _of_bytes(source: Source, path: Path, one: Path, before: bytes, after: bytes) -> Effect:
    if before == after:
        return SAME
    if source.columns:
        return between(before, after, source)
    if path.is_dir():
        array = one.relative_to(path).parts[0]
        is_metadata = one.suffix == ".json" or one.name.startswith(".z")
        # Zarr packs chunks without a checksum: other numbers may come out, of this array alone.
        follows = {name: ALL for name in (array, *DERIVED.get(array, ()))}
        return Effect({} if is_metadata else follows, renamed=True)
    if path.suffix == ".parquet" and len(before) == len(after):
        # A byte of a dictionary may stand for many values.
        return Effect({EVERYTHING: ALL}, renamed=True)
    return _of_numbers(before, after)


def _of_numbers(before: bytes, after: bytes) -> Effect:
    """Of a file of numbers without checksums: bytes of values may be those of other values."""
    if len(before) != len(after):
        return SHOWS
    if after.count(0) > before.count(0) + 8 * MOST_SAME:
        # A hole in a file: weather that stands still shows; few days, or days without rain, do not.
        return Effect({EVERYTHING: MOST_SAME, "precipitation": ALL})
    places = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    return Effect({EVERYTHING: len(places)}, renamed=True)


@dataclass(frozen=True)
class Elsewhere:
    """Something else stands in the place of the file."""

    what: str

    def apply(self, path: Path, source: Source) -> Effect:
        aside = path.parent.parent / "aside"
        shutil.move(path, aside)
        if self.what == "pipe":
            os.mkfifo(path)
        elif self.what == "folder":
            path.mkdir()
        elif self.what == "link to the file":
            path.symlink_to(aside)
            return Effect()
        elif self.what in _CONTENTS:
            path.write_bytes(_CONTENTS[self.what])
        else:
            path.symlink_to(
                {
                    "link to nothing": "nowhere",
                    "link to itself": path.name,
                    "link to a device": "/dev/zero",
                    "link to a folder": "/tmp",
                    "link to the terminal": "/dev/tty",
                }[self.what]
            )
        return SHOWS


_CONTENTS = {
    "empty": b"",
    "a line end": b"\n",
    "a page": b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n",
    "JSON": b'{"data": [1, 2, 3]}\n',
    "image": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "packed": b"\x1f\x8b\x08\x00" + bytes(range(200)),
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n",
    "commas": b"," * 70_000 + b"\n" + b"," * 70_000 + b"\n",
    "quotes": b'"' * 200_001 + b"\n",
    "long line": b"9" * 3_000_000,
    "lines": b"\n" * 1_000_000,
    "comments": b"# nothing\n" * 20_000,
    "netCDF": b"CDF\x01" + b"\xff" * 400,
    "HDF5": b"\x89HDF\r\n\x1a\n" + b"\x00" * 400,
    "zip": b"PK\x05\x06" + bytes(18),
    "pickle": b"\x80\x02c__builtin__\nexec\n(X\x04\x00\x00\x00passtR.",
}
PLACES = (
    "pipe",
    "folder",
    "link to the file",
    "link to nothing",
    "link to itself",
    "link to a device",
    "link to a folder",
    "link to the terminal",
    *_CONTENTS,
)

_MASK = st.one_of(st.sampled_from([1 << bit for bit in range(8)]), st.integers(1, 255))
FLIPS = st.builds(
    Flips, SHARE, st.lists(st.tuples(SHARE, _MASK), min_size=1, max_size=3).map(tuple)
)
TEXT = st.builds(
    Text, SHARE, SHARE, st.sampled_from(list("0123456789-+.,;eE\"' \t\n\r#[]{}:/NaI%_"))
)
HOW = ("truncated", "cut out", "zeroed", "twice", "at the end", "head lost", "more behind")
BLOCKS = st.builds(Block, SHARE, SHARE, SHARE, st.sampled_from(HOW))
ELSEWHERE = st.builds(Elsewhere, st.sampled_from(PLACES))
