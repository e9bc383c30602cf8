"""Writes the tables of `docs/science.md` from the code; see `describe.py --help`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`, each in a line of its own.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgml_jax import process
from kgml_jax.process import crops
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes, Params, State
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.records import Quantity, quantities
from kgml_jax.writing import write_text
from studies.process_model import constants

MARKED = re.compile(r"^<!-- generated: (\S+) -->\n(.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE)
OPENING = re.compile(r"^<!-- generated: (\S+) -->$", re.MULTILINE)
INITIAL = "initial_"
"""How the names of parameters of the state at the start begin."""


@dataclass(frozen=True)
class DescribeConfig:
    """Compares the generated tables of the docs with the code; exit status 1 if one is old.

    Prints every table that is old, and names the constants that are not described.
    """

    docs: Path = Path(__file__).parents[3] / "docs" / "science.md"
    """Markdown file with the markers."""
    write: bool = False
    """Put the tables of today into the file instead."""
    debug: bool = False
    """Show tracebacks."""


def main(config: DescribeConfig) -> int:
    """Compares or writes; returns the exit status."""
    text = config.docs.read_text()
    old = stale(text)
    for name in absent(text):
        print(f"{config.docs.name} has no place for the table {name}")
    for one in undescribed():
        print(f"{one.module}.{one.name}: beside it should stand `# unit; meaning or source`")
    if not old:
        print(f"{config.docs.name}: its tables are current")
        return 0
    if config.write:
        write_text(config.docs, filled(text))
        print(f"{config.docs.name}: wrote {', '.join(old)}")
        return 0
    for name in old:
        print(f"\n{name}\n\n{TABLES[name]()}")
    print(f"{config.docs.name} is old in {', '.join(old)}; describe.py --write puts it right")
    return 1


def known() -> tuple[str, ...]:
    """Returns the names that a marker may have."""
    return tuple(TABLES)


def filled(text: str) -> str:
    """Returns `text` with the tables of today between its markers.

    Raises:
      ValueError: a marker has an unknown name or no end.
    """
    _check(text)
    return MARKED.sub(lambda found: _marked(found[1], _body(found[1])), text)


def stale(text: str) -> list[str]:
    """Returns the names of the tables in `text` that are not those of today.

    Raises:
      ValueError: a marker has an unknown name or no end.
    """
    _check(text)
    return [name for name, body in MARKED.findall(text) if body != _body(name)]


def absent(text: str) -> list[str]:
    """Returns the names of the tables for which `text` has no marker."""
    present = set(OPENING.findall(text))
    return [name for name in TABLES if name not in present]


def undescribed() -> list[constants.Constant]:
    """Returns the constants of the process model without a unit, or with nothing but a unit."""
    known = constants.of_package(process)
    return [constant for constant in known if not (constant.units and constant.doc)]


def site_parameters() -> str:
    """Parameters of a site that act on every day."""
    return _parameters(lambda name: not name.startswith(INITIAL))


def initial_conditions() -> str:
    """Parameters of the state at the start."""
    return _parameters(lambda name: name.startswith(INITIAL))


def crop_table() -> str:
    """Traits by crop."""
    rows = [
        (f"`{name}`", *(f"{row[name]:g}" for row in crops.TABLE), trait.units, trait.doc)
        for name, trait in quantities(crops.Crop).items()
    ]
    return markdown(("trait", *crops.NAMES, "unit", "meaning"), rows)


def global_constants() -> str:
    """Constants of the process model by module."""
    rows = [
        (f"`{row.module}`", f"`{row.name}`", constants.written(row.value), row.units, row.doc)
        for row in constants.of_package(process)
    ]
    return markdown(("module", "constant", "value", "unit", "meaning or source"), rows)


def record_table(record: Any) -> str:
    """Fields of a record and of the records in it: unit, bounds if any, meaning."""
    fields = dict(_flat(record))
    every = fields.values()
    columns = {
        "field": [f"`{name}`" for name in fields],
        "default": [_number(field.default) for field in every],
        "unit": [field.units for field in every],
        "bounds": [_bounds(field) for field in every],
        "meaning": [field.doc for field in every],
    }
    optional = ("default", "bounds")
    shown = {name: cells for name, cells in columns.items() if name not in optional or any(cells)}
    return markdown([*shown], zip(*shown.values(), strict=True))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table with a final line break."""
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


TABLES: dict[str, Callable[[], str]] = {
    "site-parameters": site_parameters,
    "initial-conditions": initial_conditions,
    "crops": crop_table,
    "constants": global_constants,
    "forcing": lambda: record_table(Forcing),
    "attributes": lambda: record_table(Attributes),
    "state": lambda: record_table(State),
    "fluxes": lambda: record_table(Fluxes),
}
"""What can be generated, by the name in the marker."""


def _parameters(chosen: Callable[[str], bool]) -> str:
    fields = {name: field for name, field in quantities(Params).items() if chosen(name)}
    rows = []
    for number, (name, field) in enumerate(fields.items(), 1):
        star = " ★" if name in DEFAULT_SUBSET else ""
        place = f"{number}{star}", f"`{name}`", _number(field.default)
        rows.append((*place, _bounds(field), field.units, field.transform, field.doc))
    header = ("", "parameter", "prior", "bounds", "unit", "transform", "meaning (symbol; source)")
    return markdown(header, rows)


def _flat(record: Any, prefix: str = "") -> Iterable[tuple[str, Quantity]]:
    declared = quantities(record)
    for field in dataclasses.fields(record):
        if field.name in declared:
            yield prefix + field.name, declared[field.name]
        elif dataclasses.is_dataclass(field.type):
            yield from _flat(field.type, f"{prefix}{field.name}.")


def _bounds(field: Quantity) -> str:
    return f"{_number(field.bounds[0])} to {_number(field.bounds[1])}" if field.bounds else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _check(text: str) -> None:
    unknown = sorted(set(OPENING.findall(text)) - set(TABLES))
    if unknown:
        raise ValueError(f"no table {', '.join(unknown)}; known are {', '.join(TABLES)}")
    whole = [name for name, body in MARKED.findall(text) if not OPENING.search(body)]
    if whole != OPENING.findall(text):
        raise ValueError("a marker has no `<!-- end -->` before the next one")


def _body(name: str) -> str:
    return f"\n{TABLES[name]()}\n"


def _marked(name: str, body: str) -> str:
    return f"<!-- generated: {name} -->\n{body}<!-- end -->"
