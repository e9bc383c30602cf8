"""Records: frozen, keyword-only groups of arrays that state their units, bounds and meaning.

The same record class serves one day `()`, one series `(time,)` and many sites `(site, time)`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import chex
import jax
import jax.numpy as jnp

Field: TypeAlias = Any
"""One named quantity of any shape: a JAX array in a computation, a NumPy array at the door, a
`jax.ShapeDtypeStruct` where only shapes matter. Floating unless its record says otherwise."""

CANONICAL_UNITS = frozenset(
    {
        "1",
        "d",
        "d-1",
        "degC",
        "degree_east",
        "degree_north",
        "degC d",
        "g C gN-1 h-1",
        "g C m-2",
        "g C m-2 d-1",
        "g C m-2 yr-1",
        "g N m-2",
        "g N m-2 d-1",
        "g m-2",
        "g m-2 d-1",
        "g kg-1",
        "kPa",
        "kPa0.5",
        "m",
        "m d-1",
        "m s-1",
        "m2 gC-1",
        "m3 m-3",
        "MJ m-2 d-1",
        "Mg m-3",
        "Mg ha-1",
        "mm",
        "mm d-1",
        "mm degC-1 d-1",
        "mm h-1",
        "umol m-2 s-1",
        "umol mol-1",
        "cmol kg-1",
        "year",
    }
)
"""Units a field may have; files are converted to these at the door (`kgml_jax.data`)."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a field means: units, bounds, one line of text, and its prior value if it has one.

    `level` says whose a parameter is: of a "crop", which has it at every site, or of the "site".
    """

    units: str
    doc: str
    bounds: tuple[float, float] | None = None
    default: float | None = None
    transform: str = "logit"
    level: str = "site"

    def __post_init__(self) -> None:
        if self.units not in CANONICAL_UNITS:
            raise ValueError(f"unit {self.units!r} is not canonical; one of {CANONICAL_UNITS}")


def param(
    default: float,
    *,
    units: str,
    bounds: tuple[float, float],
    doc: str,
    transform: str = "logit",
    level: str = "site",
) -> Any:
    """Declares a calibratable parameter: prior, units, bounds and meaning in one line.

    Args:
      default: prior value, strictly inside `bounds`.
      units: one of `CANONICAL_UNITS`.
      bounds: hard limits, kept by the bijection to unbounded space.
      doc: meaning and source.
      transform: `"logit"` (linear between the bounds) or `"log"` (logarithmic between them).
      level: `"crop"`, a trait of what grows, or `"site"`.
    """
    quantity = Quantity(units, doc, bounds, default, transform, level)
    return dataclasses.field(default_factory=lambda: constant(default), metadata={"q": quantity})


def var(
    *, units: str, doc: str, bounds: tuple[float, float] | None = None, default: float | None = None
) -> Any:
    """Declares a state, driver or flux with its units and meaning; `bounds` are physical limits."""
    metadata = {"q": Quantity(units, doc, bounds, default)}
    if default is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default_factory=lambda: constant(default), metadata=metadata)


def constant(values: Any) -> jax.Array:
    """Returns numbers as an array in the precision of the computation that they are part of.

    JAX keeps a NumPy array that a traced function refers to as it was converted first: the same
    function in the other precision would meet it in the wrong one (jax 0.10.1, 0.12.0.1). The
    array is strongly typed: a weakly typed default would retrace when an array replaces it.
    """
    return jnp.asarray(values, dtype=jnp.result_type(float))


T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(param, var))
def record(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen, keyword-only dataclass that is a pytree with named leaves."""
    return chex.dataclass(frozen=True, kw_only=True, mappable_dataclass=False)(cls)


def quantities(cls: Any) -> dict[str, Quantity]:
    """Returns the metadata of every field of a record class or instance, by field name."""
    return dict(_quantities(cls))


def _quantities(cls: Any) -> Iterator[tuple[str, Quantity]]:
    for field in dataclasses.fields(cls):
        if "q" in field.metadata:
            yield field.name, field.metadata["q"]
