"""Files written by `torch.save`, read without torch and without running what they hold.

The zip container (torch 1.6 and later) has a folder with `data.pkl`, `byteorder` and one member
`data/<key>` a storage; the older format is a sequence of pickles followed by the storages.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from kgml_jax.data.formats import torch_pickle
from kgml_jax.data.formats.torch_pickle import Named
from kgml_jax.errors import DataError

LARGEST_TENSOR = 2**31
"""Elements; a tensor may repeat few stored values, so its size says nothing of the file's."""

MOST_REPEATED = 1000
"""Times that a tensor of more than `UNSUSPICIOUS` elements may repeat what is stored."""

UNSUSPICIOUS = 2**25
"""Elements; 256 MiB of float64."""

Order = Literal["<", ">"]
"""Order of the bytes of a number."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_BFLOAT16 = "BFloat16Storage"
_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    _BFLOAT16: "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}
_VALUES = frozenset(f"torch.{name}" for name in _DTYPES)


@dataclass(frozen=True)
class _Storage:
    """The values a tensor is a view of, in one dimension."""

    values: np.ndarray


@dataclass(frozen=True)
class _Reference:
    """What a pickle says of a storage."""

    kind: str
    key: str
    count: int

    @classmethod
    def of(cls, identifier: Any) -> "_Reference":
        label, kind, key, _, count, *view = identifier
        if label != "storage" or not isinstance(kind, Named) or kind.name not in _DTYPES:
            raise ValueError("a reference to something that is no storage of numbers")
        if any(part is not None for part in view):
            raise ValueError("a view of a storage, as torch wrote them before 0.4")
        if not isinstance(key, str):
            raise ValueError("a storage without a name")
        return cls(kind.name, key, _size(count))

    @property
    def dtype(self) -> np.dtype:
        """Type of the values as stored; bfloat16 as the upper half of a float32."""
        return np.dtype(_DTYPES[self.kind])

    def decode(self, data: bytes, order: Order) -> _Storage:
        """Returns the stored values in the byte order of this machine.

        Raises:
          ValueError: there are fewer bytes than values.
        """
        needed = self.count * self.dtype.itemsize
        if len(data) < needed:
            raise ValueError(f"storage {self.key} has {len(data)} bytes of {needed}")
        stored = np.frombuffer(data, self.dtype.newbyteorder(order), count=self.count)
        values = stored.astype(self.dtype, copy=False)
        if self.kind == _BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return _Storage(values)


def load(path: str | Path) -> Any:
    """Returns what `torch.save` wrote, with NumPy arrays in place of tensors.

    Tensors of every float, integer, bool and complex type are read (bfloat16 as float32), strided
    and shared ones as read-only views. Ordered dictionaries become plain ones.

    Args:
      path: a file in the zip container or in the format of torch before 1.6.

    Raises:
      DataError: no such file, damaged or cut off, or it holds anything but data: the offending
        name is stated and nothing of the file was run.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", file=path, expected="a file written by torch.save")
    try:
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
        return _from_zip(path) if zipped else _from_sequence(path)
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError) as error:
        raise DataError(f"is damaged or cut off: {error}", file=path) from error
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise DataError(f"is damaged, or no file of torch.save: {error}", file=path) from error


def _from_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        packed = [name for name, one in members.items() if one.compress_type != zipfile.ZIP_STORED]
        if packed:
            found, expected = f"{packed[0]} is compressed", "members that are only stored"
            raise DataError(
                "is not as torch.save writes", file=path, found=found, expected=expected
            )
        tops = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
        if len(tops) != 1:
            expected = "one member <name>/data.pkl"
            raise DataError("is no file of torch.save", file=path, found="a zip", expected=expected)
        (top,) = tops
        order = archive.read(f"{top}byteorder") if f"{top}byteorder" in members else b"little"
        stored: dict[tuple[str, str], _Storage] = {}

        def storage(identifier: Any) -> _Storage:
            reference = _Reference.of(identifier)
            place = (reference.kind, reference.key)
            if place not in stored:
                data = archive.read(f"{top}data/{reference.key}")
                stored[place] = reference.decode(data, _order(order == b"little"))
            return stored[place]

        return _pickled(BytesIO(archive.read(f"{top}data.pkl")), path, storage)


def _from_sequence(path: Path) -> Any:
    data = path.read_bytes()
    stream = BytesIO(data)
    expected = "a file written by torch.save"
    if not data.startswith(b"\x80"):
        raise DataError("is no file of torch.save", file=path, expected=expected)
    heading = [torch_pickle.read(stream, path, {}) for _ in range(2)]
    if heading != [_LEGACY_MAGIC, _LEGACY_PROTOCOL]:
        raise DataError("is a pickle, but not of torch.save", file=path, expected=expected)
    system = torch_pickle.read(stream, path, {})
    start = stream.tell()
    references: dict[str, _Reference] = {}
    # The storages stand behind the pickle: it is read once for what they are, then for the data.
    _pickled(stream, path, lambda identifier: _announce(references, identifier))
    keys = torch_pickle.read(stream, path, {})
    order = _order(system["little_endian"])
    if not all(isinstance(key, str) for key in keys):
        raise ValueError("storages without names")
    stored = {key: _next_storage(stream, references[key], order) for key in keys}
    if behind := len(data) - stream.tell():
        raise ValueError(f"{behind} bytes stand behind the last of the values")
    stream.seek(start)
    return _pickled(stream, path, lambda identifier: stored[_Reference.of(identifier).key])


def _announce(references: dict[str, _Reference], identifier: Any) -> _Storage:
    reference = _Reference.of(identifier)
    known = references.setdefault(reference.key, reference)
    if known != reference:
        raise ValueError(f"storage {reference.key} is described in two ways")
    return _Storage(np.broadcast_to(np.zeros((), reference.dtype), (reference.count,)))


def _next_storage(stream: BinaryIO, reference: _Reference, order: Order) -> _Storage:
    (count,) = struct.unpack(f"{order}q", stream.read(8))
    if count != reference.count:
        raise ValueError(f"storage {reference.key} has {count} values of {reference.count}")
    return reference.decode(stream.read(count * reference.dtype.itemsize), order)


def _pickled(stream: BinaryIO, path: Path, storage: Callable[[Any], _Storage]) -> Any:
    return torch_pickle.read(stream, path, _BUILDERS, _VALUES, storage)


def _order(little: bool) -> Order:
    return "<" if little else ">"


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a {type(value).__name__} that is no size")
    return value


def _tensor(storage: _Storage, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor without a storage")
    shape, steps = tuple(map(_size, size)), tuple(map(_size, stride))
    most = min(LARGEST_TENSOR, max(UNSUSPICIOUS, MOST_REPEATED * len(storage.values)))
    if len(shape) != len(steps) or prod(shape) > most:
        raise ValueError(f"a tensor of the shape {shape} and the strides {steps}")
    if 0 in shape:
        return np.empty(shape, storage.values.dtype)
    last = _size(offset) + sum((count - 1) * step for count, step in zip(shape, steps, strict=True))
    if last >= len(storage.values):
        raise ValueError(f"a tensor of {last + 1} values in a storage of {len(storage.values)}")
    strides = tuple(step * storage.values.strides[0] for step in steps)
    return np.lib.stride_tricks.as_strided(storage.values[offset:], shape, strides, writeable=False)


def _parameter(tensor: np.ndarray, *_: Any) -> np.ndarray:
    return tensor


def _shape(size: tuple = ()) -> tuple[int, ...]:
    return tuple(map(_size, size))


_BUILDERS: dict[str, torch_pickle.Builder] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _shape,
}
