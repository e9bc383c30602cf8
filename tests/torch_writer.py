"""Writes what `torch.save` writes, byte by byte and without torch, for tests."""

import pickle
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

KINDS = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "bfloat16": "BFloat16Storage",
}


@dataclass
class Tensor:
    """A view of a storage, as a pickle describes it; bfloat16 storages hold uint16."""

    storage: np.ndarray
    size: tuple = ()
    stride: tuple = ()
    offset: int = 0
    kind: str = ""
    key: str = ""


@dataclass
class Raw:
    """Opcodes taken over as they are."""

    opcodes: bytes


def tensor(values):
    values = np.asarray(values)
    stride = tuple(step // values.itemsize for step in np.zeros(values.shape, values.dtype).strides)
    return Tensor(values.reshape(-1).copy(), values.shape, stride)


def named(module, name):
    return Raw(f"c{module}\n{name}\n".encode())


def called(function, *arguments):
    return Raw(function.opcodes + encode(arguments) + b"R")


def encode(value, storages=None):
    """Returns the opcodes of protocol 2 that leave `value` on the stack."""
    if isinstance(value, Raw):
        return value.opcodes
    if isinstance(value, Tensor):
        return _tensor(value, storages)
    if isinstance(value, dict):
        items = b"".join(encode(part, storages) for pair in value.items() for part in pair)
        return b"}(" + items + b"u"
    if isinstance(value, (list, tuple)):
        items = b"".join(encode(part, storages) for part in value)
        return b"](" + items + b"e" if isinstance(value, list) else b"(" + items + b"t"
    return pickle.dumps(value, protocol=2)[2:-1]


def _tensor(value, storages):
    kind = KINDS[value.kind or value.storage.dtype.name]
    key = value.key or str(len(storages))
    storages[key] = value.storage
    identifier = ("storage", named("torch", kind), key, "cpu", len(value.storage))
    reference = Raw(encode(identifier) + b"Q")
    hooks = Raw(b"ccollections\nOrderedDict\n)R")
    arguments = (reference, value.offset, tuple(value.size), tuple(value.stride), False, hooks)
    return called(named("torch._utils", "_rebuild_tensor_v2"), *arguments).opcodes


def save(path, value, order="<", top="archive"):
    """Writes the zip container."""
    storages = {}
    body = b"\x80\x02" + encode(value, storages) + b"."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{top}/data.pkl", body)
        archive.writestr(f"{top}/byteorder", "little" if order == "<" else "big")
        for key, stored in storages.items():
            data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
            archive.writestr(f"{top}/data/{key}", data)
        archive.writestr(f"{top}/version", "3\n")
    return path


def save_legacy(path, value, order="<"):
    """Writes the format of torch before 1.6; references there have a sixth part."""
    storages = {}
    body = b"\x80\x02" + encode(value, storages) + b"."
    body = body.replace(b"tQ", b"NtQ")
    system = {"protocol_version": 1001, "little_endian": order == "<", "type_sizes": {"int": 4}}
    parts = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [body, pickle.dumps(list(storages), 2)]
    for stored in storages.values():
        data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
        parts += [struct.pack(f"{order}q", len(stored)), data]
    path.write_bytes(b"".join(parts))
    return path
