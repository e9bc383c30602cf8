"""Constants of modules, with the unit and the source that the comment beside each states.

`NAME = value  # unit; meaning or source`: the comment stands in the line of the value or in the
lines just above it; a comma serves as well, and the meaning alone may stand above. The unit of a
pure number is `1`. A constant is an upper-case name that a module binds to a number or to an array
of numbers; an array of 0 and 1 is a mask and none.
"""

import ast
import importlib
import io
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

SYMBOLS = (
    "1 % g gC gN C N kg Mg m mm cm ha s min h d year degC K Pa kPa MPa J kJ MJ W "
    "mol mmol umol cmol ppm degree rad"
)
TOKEN = re.compile(r"(?P<base>1|%|[A-Za-z]+)(-?[0-9](\.[0-9]+)?)?")


@dataclass(frozen=True)
class Constant:
    """One constant; `units` and `doc` are empty where its comment does not state them."""

    module: str
    name: str
    value: Any
    units: str
    doc: str


def of_package(package: ModuleType) -> tuple[Constant, ...]:
    """Returns the constants of the modules of `package`, module by module, as they stand there."""
    modules = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    return tuple(
        constant
        for name in modules
        for constant in of_module(importlib.import_module(f"{package.__name__}.{name}"))
    )


def of_module(module: ModuleType) -> Iterator[Constant]:
    """Yields the constants of one module."""
    source = Path(str(module.__file__)).read_text()
    comments, short = _comments(source), module.__name__.rsplit(".", 1)[-1]
    for statement in ast.parse(source).body:
        name = _bound(statement)
        if name is None or not _is_numeric(value := getattr(module, name)):
            continue
        beside, above = _beside(statement, comments), _above(statement, comments)
        units, doc = described(beside or above)
        yield Constant(short, name, value, units, doc or above)


def described(comment: str) -> tuple[str, str]:
    """Splits a comment into unit and meaning; without a unit all of it is meaning."""
    units, doc = [*map(str.strip, re.split("[;,]", comment, maxsplit=1)), ""][:2]
    return (units, doc) if is_unit(units) else ("", comment)


def is_unit(text: str) -> bool:
    """Whether `text` reads as a unit, such as `umol m-2 s-1`."""
    tokens = [TOKEN.fullmatch(token) for token in text.split()]
    known = (token is not None and token["base"] in SYMBOLS.split() for token in tokens)
    return bool(tokens) and all(known)


def written(value: Any) -> str:
    """Writes a number or an array of numbers."""
    if np.ndim(value) > 1:
        return "; ".join(map(written, value))
    return ", ".join(f"{number:.6g}" for number in np.atleast_1d(value))


def _bound(statement: ast.stmt) -> str | None:
    # The upper-case name that a statement binds, if it binds one.
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    named = isinstance(target, ast.Name) and target.id.isupper() and target.id[0] != "_"
    return target.id if isinstance(target, ast.Name) and named else None


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (dict, str, bool)) or value is None:
        return False
    try:
        numbers = np.asarray(value)
    except ValueError:
        return False
    if not np.issubdtype(numbers.dtype, np.number):
        return False
    return numbers.ndim == 0 or set(numbers.flat) != {0.0, 1.0}


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    # By line: the comment, and whether it has the line to itself.
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (token.string.lstrip("#: "), alone)
    return found


def _beside(statement: ast.stmt, comments: dict[int, tuple[str, bool]]) -> str:
    for line in (statement.end_lineno or statement.lineno, statement.lineno):
        if line in comments:
            return comments[line][0]
    return ""


def _above(statement: ast.stmt, comments: dict[int, tuple[str, bool]]) -> str:
    above, line = [], statement.lineno - 1
    while line in comments and comments[line][1]:
        above.insert(0, comments[line][0])
        line -= 1
    return " ".join(above)
