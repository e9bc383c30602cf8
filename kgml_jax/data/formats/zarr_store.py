"""Zarr stores, of version 2 or 3: what their metadata say is looked at before anything is decoded.

Three things are refused that Zarr itself takes: codecs that are not known to hold nothing but
numbers and text (one of version 2 unpickles, which runs code), files outside of the store, and
chunks that are not there, for which Zarr makes up the fill value, often 0.
"""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.data.formats import zarr_shards
from kgml_jax.data.opening import Absent, require_size
from kgml_jax.errors import DataError, listed

CODECS = frozenset(
    {"blosc", "zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "shuffle", "delta", "bitround"}
    | {"fixedscaleoffset", "quantize", "packbits", "astype", "crc32", "crc32c", "adler32"}
    | {"fletcher32", "vlen-utf8", "vlen-bytes", "bytes", "transpose", "sharding_indexed"}
)
"""What a chunk may be packed with, by Zarr's names without the prefix `numcodecs.`."""

_FIRST = 5
"""Absent chunks that are named."""

_ROOTS = ("zarr.json", ".zgroup", ".zmetadata")
"""Files of which a store, of either version, has at least one."""

_COMPARED = ("shape", "dtype", "data_type", "chunks", "chunk_grid", "fill_value", "codecs")
_COMPARED += ("compressor", "filters", "attributes")


@dataclass(frozen=True)
class Described:
    """What the metadata say of one array, in either version of Zarr."""

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    codecs: tuple[str, ...]
    fill: Any
    prefix: str
    """Before the numbers of a chunk in its path."""
    separator: str
    document: Mapping[str, Any]

    def places(self) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yields the number and the path of every chunk, within the folder of the array."""
        grid = [ceil(length / step) for length, step in zip(self.shape, self.chunks, strict=True)]
        for place in np.ndindex(*grid):
            numbers = self.separator.join(map(str, place))
            yield place, self.separator.join(filter(None, (self.prefix, numbers))) or "0"


@contextmanager
def opened(path: Path) -> Iterator[tuple[xr.Dataset, dict[str, Absent], int]]:
    """Opens a store without decoding anything of it.

    Yields:
      The variables as stored, not yet in memory; chunks that are absent, by variable; and the
      bytes of all files of the store.

    Raises:
      DataError: no store, damaged metadata, or one of the things that are refused.
    """
    if not path.is_dir():
        raise DataError("is no folder", file=path, expected="a Zarr store, which is a folder")
    if not any((path / name).is_file() for name in _ROOTS):
        # Before any look at what lies in it: a link may lead to a folder of anything.
        found = f"no {listed(_ROOTS)} in it"
        raise DataError("is no Zarr store", file=path, found=found)
    stored = _inside(path)
    version = 3 if (path / "zarr.json").is_file() else 2
    arrays = _described(path, version)
    _check_consolidated(path, version, arrays)
    for array in arrays.values():
        _check_codecs(path, array)
        size = _item_size(array.document)
        require_size(path, stored, size * prod(array.chunks))
        require_size(path, stored, size * prod(array.shape))
    absent = {name: found for name, one in arrays.items() if (found := _absent(path, one))}
    with warnings.catch_warnings():
        # Of files that are no part of it, such as a README; arrays have been looked at.
        warnings.filterwarnings("ignore", "Object at .* is not recognized")
        dataset = xr.open_zarr(
            path, chunks=None, consolidated=False, zarr_format=version, decode_cf=False
        )
    with dataset:
        yield _without_made_up_codes(dataset) if version == 2 else dataset, absent, stored


def _inside(path: Path) -> int:
    """Returns the bytes of a store, all of whose files must be regular and lie within it."""
    root, size = path.resolve(), 0
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            one = Path(folder) / name
            if one.is_symlink() and not one.resolve().is_relative_to(root):
                found = f"{one.relative_to(root)} leads to {one.resolve()}"
                raise DataError("has links to files outside of it", file=path, found=found)
        for name in files:
            one = Path(folder) / name
            if not one.is_file():
                found = str(one.relative_to(root))
                raise DataError("holds what is no regular file", file=path, found=found)
            size += one.stat().st_size
    return size


def _described(path: Path, version: int) -> dict[str, Described]:
    name = "zarr.json" if version == 3 else ".zarray"
    found = {}
    for folder in sorted(path.iterdir()):
        hidden = folder.name.startswith((".", "__"))  # such as .ipynb_checkpoints, __MACOSX
        if hidden or not folder.is_dir() or (folder / ".zgroup").is_file():
            continue
        if not (folder / name).is_file():
            found_there = listed(sorted(one.name for one in folder.iterdir()), 3) or "nothing"
            raise DataError(
                "the metadata of an array are missing",
                file=path,
                variable=folder.name,
                found=f"{found_there} in {folder.name}",
                expected=f"{name} there",
            )
        document = _json(folder / name)
        if document.get("zarr_format") != version:
            given = document.get("zarr_format")
            stated = "no zarr_format" if given is None else f"zarr_format {given}"
            raise DataError(
                "the metadata of an array are damaged",
                file=path,
                variable=folder.name,
                found=f"{stated} in {folder.name}/{name}",
                expected=f"{version}",
            )
        if version == 2:
            found[folder.name] = _version_2(folder, document)
        elif document.get("node_type") == "array":
            found[folder.name] = _version_3(folder, document)
    return found


def _json(path: Path) -> dict[str, Any]:
    # NaN as text: two of them are to be the same.
    document = json.loads(path.read_bytes(), parse_constant=str)
    if not isinstance(document, dict):
        raise ValueError(f"{path.parent.name}/{path.name} is no JSON object")
    return document


def _version_2(folder: Path, document: dict[str, Any]) -> Described:
    filters = [document.get("compressor"), *(document.get("filters") or ())]
    attributes = _json(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    return Described(
        folder.name,
        _sizes(document["shape"]),
        _sizes(document["chunks"], least=1),
        tuple(str(one["id"]) for one in filters if one is not None),
        document["fill_value"],
        "",
        document.get("dimension_separator", "."),
        document | {"attributes": attributes},
    )


def _version_3(folder: Path, document: dict[str, Any]) -> Described:
    grid, encoding = document["chunk_grid"], document["chunk_key_encoding"]
    if grid["name"] != "regular" or encoding["name"] not in ("default", "v2"):
        raise ValueError(f"{folder.name} has chunks of the kind {grid['name']}, {encoding['name']}")
    if document.get("storage_transformers"):
        raise ValueError(f"{folder.name} has storage transformers, which are not known")
    default = encoding["name"] == "default"
    return Described(
        folder.name,
        _sizes(document["shape"]),
        _sizes(grid["configuration"]["chunk_shape"], least=1),
        tuple(_codec_names(document["codecs"])),
        document["fill_value"],
        "c" if default else "",
        encoding.get("configuration", {}).get("separator", "/" if default else "."),
        document,
    )


def _codec_names(codecs: Any) -> Iterator[str]:
    for codec in codecs:
        described: Mapping[str, Any] = {"name": codec} if isinstance(codec, str) else codec
        yield str(described["name"]).removeprefix("numcodecs.")
        if described["name"] == "sharding_indexed":
            inner = described["configuration"]
            yield from _codec_names(inner["codecs"])
            yield from _codec_names(inner.get("index_codecs", ()))


def _sizes(values: Any, least: int = 0) -> tuple[int, ...]:
    if not all(type(value) is int and value >= least for value in values):
        raise ValueError(f"{values} is no shape")
    return tuple(values)


def _item_size(document: Mapping[str, Any]) -> int:
    kind = document.get("dtype", document.get("data_type"))
    if isinstance(kind, str):
        try:
            return np.dtype(kind).itemsize
        except TypeError:
            return 8  # text of any length is held by references
    if isinstance(kind, dict):
        return max(1, int(kind.get("configuration", {}).get("length_bytes", 8)))
    raise ValueError(f"{kind} is no type of numbers or text")


def _check_codecs(path: Path, array: Described) -> None:
    strange = [name for name in array.codecs if name not in CODECS]
    if strange:
        raise DataError(
            "is packed in a way that is not read: it may run code, or is not known",
            file=path,
            variable=array.name,
            found=f"codec {listed(strange)}",
            expected=f"one of {', '.join(sorted(CODECS))}",
        )


def _absent(path: Path, array: Described) -> Absent | None:
    folder = path / array.name
    inner = zarr_shards.Shards.of(array.document)

    def lacking() -> Iterator[str]:
        for place, name in array.places():
            if not (folder / name).is_file():
                yield name
            elif inner is not None:
                yield from (f"{name}, {one}" for one in inner.absent(folder / name, place))

    parts = tuple(islice(lacking(), _FIRST))
    return Absent(parts, _number(array.fill)) if parts else None


def _number(fill: Any) -> Any:
    return float(fill) if fill in ("NaN", "Infinity", "-Infinity") else fill


def _check_consolidated(path: Path, version: int, arrays: Mapping[str, Described]) -> None:
    """Refuses a store whose metadata in one piece say other things than those of its arrays."""
    for name, stated in _consolidated(path, version).items():
        known = arrays.get(name)
        if known is None:
            found = "named in the consolidated metadata, not there"
            raise DataError("an array is absent", file=path, variable=name, found=found)
        for key in [key for key in _COMPARED if key in stated and key in known.document]:
            if stated[key] != known.document[key]:
                found = f"{key} {stated[key]} and {known.document[key]}"
                recipe = f'    zarr.consolidate_metadata("{path.name}")    # if the array is right'
                problem = "the consolidated metadata disagree with those of the array"
                raise DataError(problem, file=path, variable=name, found=found, recipe=recipe)


def _consolidated(path: Path, version: int) -> dict[str, dict[str, Any]]:
    if version == 3:
        whole = (_json(path / "zarr.json").get("consolidated_metadata") or {}).get("metadata", {})
        return {
            name: one
            for name, one in whole.items()
            if one.get("node_type") == "array" and "/" not in name
        }
    if not (path / ".zmetadata").is_file():
        return {}
    whole = _json(path / ".zmetadata")["metadata"]
    return {
        name: whole[key] | {"attributes": whole.get(f"{name}/.zattrs", {})}
        for key in whole
        if key.endswith("/.zarray") and "/" not in (name := key.removesuffix("/.zarray"))
    }


def _without_made_up_codes(dataset: xr.Dataset) -> xr.Dataset:
    """Keeps zeros: version 2 states 0 for what was never written, not as a code of missing."""
    for array in dataset.variables.values():
        code = array.attrs.get("_FillValue")
        if isinstance(code, int | float | np.number) and code == 0:
            del array.attrs["_FillValue"]
    return dataset
