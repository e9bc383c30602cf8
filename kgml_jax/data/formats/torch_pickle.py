"""What a pickle says, read without running it.

`pickletools.genops` splits a pickle into its operations; the few that build plain data are carried
out here on a stack of our own. A name in the pickle (a class or function) is only ever a key of a
table of builders: nothing is imported, called, or given attributes because a file asks for it.
"""

import pickletools
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kgml_jax.errors import DataError

Builder = Callable[..., Any]

DEEPEST = 32
"""Levels of containers within containers; a state dictionary has three."""

_DAMAGE = (ValueError, IndexError, KeyError, TypeError, struct.error, OverflowError, MemoryError)
_KEYS = (str, int, float, bool, bytes, type(None))
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"}
    | {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
    | {"BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_PUTS = frozenset({"BINPUT", "LONG_BINPUT", "PUT"})
_GETS = frozenset({"BINGET", "LONG_BINGET", "GET"})
_ARRAY_KINDS = "biufcSUO"


@dataclass(frozen=True)
class Named:
    """A class or function that a pickle names: its name, and nothing else of it."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Unbuilt:
    """An array that a pickle has announced and not yet filled."""


class _Mark:
    """Where the items of a container begin on the stack."""


@dataclass
class _Machine:
    """The stack and memo of one pickle."""

    builders: Mapping[str, Builder]
    values: frozenset[str]
    persistent: Callable[[Any], Any]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    places: dict[int, list[int]] = field(default_factory=dict)
    """Numbers in the memo by the identity of what stands there."""

    def take(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("an operation finds too little on the stack")
        start = len(self.stack) - count
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def since_mark(self) -> list[Any]:
        # From the end: a long stack must not be walked for every mark.
        start = len(self.stack) - 1
        while not isinstance(self.stack[start], _Mark):
            start -= 1
            if start < 0:
                raise IndexError("an operation finds no mark on the stack")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def remember(self, key: int) -> None:
        """Keeps what is on top of the stack under a number."""
        self.memo[key] = self.stack[-1]
        self.places.setdefault(id(self.stack[-1]), []).append(key)

    def replace(self, built: Any, finished: Any) -> None:
        """Puts what was built in the place of what was announced, wherever that is remembered."""
        for key in self.places.pop(id(built), []):
            if self.memo[key] is built:
                self.memo[key] = finished
                self.places.setdefault(id(finished), []).append(key)


def read(
    stream: BinaryIO,
    file: Path,
    builders: Mapping[str, Builder],
    values: frozenset[str] = frozenset(),
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle of plain data and leaves the stream behind it.

    Args:
      stream: positioned at the pickle.
      file: named in errors.
      builders: what stands for each function or class that may be called, by dotted name; each
        gets the arguments that the pickle gives it.
      values: dotted names that may stand in the pickle but not be called.
      persistent: turns a persistent identifier into what it stands for.

    Returns:
      Dicts, lists, tuples, text, bytes, numbers, NumPy arrays, and what the builders return.

    Raises:
      DataError: the pickle names or does anything else, or is damaged or cut off.
    """
    machine = _Machine(NUMPY_BUILDERS | dict(builders), values | _NUMPY_VALUES, _no_persistent)
    if persistent is not None:
        machine.persistent = persistent
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            _step(machine, opcode.name, argument, file)
        (result,) = machine.stack
        _check_depth(result)
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"is damaged or cut off: {error}", file=file) from error
    return result


def _check_depth(result: Any) -> None:
    """Refuses containers that lie too deep, or in themselves: who walks them would never end."""
    waiting, deepest = [(result, 0)], {}
    while waiting:
        one, depth = waiting.pop()
        if not isinstance(one, dict | list | tuple) or depth <= deepest.get(id(one), -1):
            continue
        if depth > DEEPEST:
            raise ValueError(f"containers in more than {DEEPEST} levels")
        deepest[id(one)] = depth
        parts = one.values() if isinstance(one, dict) else one
        waiting += [(part, depth + 1) for part in parts]


def _step(machine: _Machine, name: str, argument: Any, file: Path) -> None:
    if name in _LITERALS:
        machine.stack.append(argument)
    elif name in _OPERATIONS:
        _OPERATIONS[name](machine)
    elif name in _PUTS:
        machine.remember(int(argument))
    elif name in _GETS:
        machine.stack.append(machine.memo[int(argument)])
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        names = argument.split(" ", 1) if name == "GLOBAL" else machine.take(2)
        machine.stack.append(_allowed(machine, names, file))
    elif name not in _IGNORED:
        raise DataError("holds an operation that data do not need", file=file, found=name)


def _allowed(machine: _Machine, names: list[Any], file: Path) -> Named:
    named = Named(*(_text(name) for name in names))
    if str(named) in machine.builders or str(named) in machine.values:
        return named
    raise DataError(
        "holds more than data and is not read; nothing of it was run",
        file=file,
        found=str(named),
        expected="tensors, arrays, numbers, text, lists and dictionaries",
    )


def _push(make: Callable[[], Any], machine: _Machine) -> None:
    machine.stack.append(make())


def _short_tuple(count: int, machine: _Machine) -> None:
    machine.stack.append(tuple(machine.take(count)))


def _pop(machine: _Machine) -> None:
    machine.take(1)


def _tuple(machine: _Machine) -> None:
    machine.stack.append(tuple(machine.since_mark()))


def _append(machine: _Machine) -> None:
    _extend(machine, machine.take(1))


def _appends(machine: _Machine) -> None:
    _extend(machine, machine.since_mark())


def _extend(machine: _Machine, items: list[Any]) -> None:
    if not isinstance(machine.stack[-1], list):
        raise TypeError("items are added to something that is no list")
    machine.stack[-1].extend(items)


def _set_item(machine: _Machine) -> None:
    _update(machine, machine.take(2))


def _set_items(machine: _Machine) -> None:
    _update(machine, machine.since_mark())


def _update(machine: _Machine, items: list[Any]) -> None:
    if not isinstance(machine.stack[-1], dict):
        raise TypeError("keys are set in something that is no dictionary")
    machine.stack[-1].update(_dictionary(zip(items[::2], items[1::2], strict=True)))


def _memoize(machine: _Machine) -> None:
    machine.remember(len(machine.memo))


def _reduce(machine: _Machine) -> None:
    called, arguments = machine.take(2)
    if not isinstance(called, Named) or not isinstance(arguments, tuple):
        raise TypeError("a call of something that is no function")
    if str(called) not in machine.builders:
        raise TypeError(f"a call of {called}")
    machine.stack.append(machine.builders[str(called)](*arguments))


def _build(machine: _Machine) -> None:
    built, state = machine.take(2)
    if isinstance(built, dict):
        # The metadata of a PyTorch state dictionary, of no use here.
        machine.stack.append(built)
        return
    if isinstance(built, Unbuilt):
        finished = _filled(*state)
    elif isinstance(built, np.dtype):
        finished = built.newbyteorder(state[1]) if state[1] in ("<", ">") else built
    else:
        raise TypeError(f"state is given to a {type(built).__name__}")
    machine.replace(built, finished)
    machine.stack.append(finished)


def _persistent(machine: _Machine) -> None:
    machine.stack.append(machine.persistent(*machine.take(1)))


def _no_persistent(identifier: Any) -> Any:
    raise ValueError("a reference to data outside the pickle")


_OPERATIONS: dict[str, Callable[[_Machine], None]] = {
    "NONE": partial(_push, lambda: None),
    "NEWTRUE": partial(_push, lambda: True),
    "NEWFALSE": partial(_push, lambda: False),
    "MARK": partial(_push, _Mark),
    "EMPTY_LIST": partial(_push, list),
    "EMPTY_DICT": partial(_push, dict),
    "EMPTY_TUPLE": partial(_push, tuple),
    "TUPLE1": partial(_short_tuple, 1),
    "TUPLE2": partial(_short_tuple, 2),
    "TUPLE3": partial(_short_tuple, 3),
    "POP": _pop,
    "TUPLE": _tuple,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "MEMOIZE": _memoize,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}


def _announced(kind: Any, *_: Any) -> Unbuilt:
    if kind != Named("numpy", "ndarray"):
        raise TypeError("an array of another class than numpy.ndarray")
    return Unbuilt()


def _filled(version: int, shape: tuple, dtype: Any, fortran: bool, data: Any) -> np.ndarray:
    if not isinstance(dtype, np.dtype) or dtype.kind not in _ARRAY_KINDS:
        raise TypeError("an array of another type than numbers and text")
    if dtype.kind == "O":
        values = np.empty(len(data), dtype=object)
        # One by one: of lists in lists NumPy would make all their combinations.
        for place, item in enumerate(data):
            values[place] = item
    else:
        values = np.frombuffer(_bytes(data), dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _scalar(dtype: np.dtype, data: Any) -> Any:
    return np.frombuffer(_bytes(data), dtype, count=1)[0]


def _dtype(name: Any, *_: Any) -> np.dtype:
    dtype = np.dtype(_text(name))
    if dtype.kind not in _ARRAY_KINDS:
        raise TypeError(f"values of the type {dtype}")
    return dtype


def _encoded(text: Any, encoding: Any) -> bytes:
    if _text(encoding) not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in the encoding {encoding}")
    return _text(text).encode("latin1")


def _bytes(data: Any) -> bytes:
    if not isinstance(data, str | bytes):
        # bytes(n) of a number would be n zeros.
        raise TypeError(f"a {type(data).__name__} in place of bytes")
    return data.encode("latin1") if isinstance(data, str) else data


def _dictionary(items: Iterable[Any] = ()) -> dict:
    found = {}
    for key, value in items:
        # Hashing nested tuples that share their parts can take for ever; data have plain keys.
        if not isinstance(key, _KEYS):
            raise TypeError("a key of a dictionary is neither text nor a number")
        found[key] = value
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} in place of text")
    return value


NUMPY_BUILDERS: dict[str, Builder] = {
    "collections.OrderedDict": _dictionary,
    "_codecs.encode": _encoded,
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.multiarray.{name}": builder
        for core in ("core", "_core")
        for name, builder in (("_reconstruct", _announced), ("scalar", _scalar))
    },
}
"""What may be called in a pickle of plain data and NumPy arrays."""

_NUMPY_VALUES = frozenset({"numpy.ndarray"})
