"""Bijections between bounded parameters and the unbounded space in which they are calibrated.

They take Python and NumPy numbers (to draw true parameters) as well as JAX arrays.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kgml_jax import arrays
from kgml_jax.records import Field, Quantity, quantities


def constrain(z: Field, quantity: Quantity) -> Field:
    """Maps an unbounded value into the open interval of `quantity.bounds`.

    `"logit"` is linear between the bounds at its centre, `lo + (hi - lo) sigmoid(z)`; `"log"` is
    the same in the logarithm, so that a step of `z` is a relative change.
    """
    lower, upper = _ends(quantity)
    xp = arrays.library(z)
    share = jax.nn.sigmoid(z) if xp is jnp else 1.0 / (1.0 + xp.exp(-z))
    value = lower + (upper - lower) * share
    return xp.exp(value) if quantity.transform == "log" else value


def unconstrain(value: Field, quantity: Quantity) -> Field:
    """Inverse of `constrain`; `value` must lie strictly inside the bounds."""
    lower, upper = _ends(quantity)
    xp = arrays.library(value)
    inner = xp.log(value) if quantity.transform == "log" else value
    share = (inner - lower) / (upper - lower)
    return xp.log(share) - xp.log1p(-share)


def constrain_offsets(record_type: Any, offsets: Mapping[str, Field]) -> Any:
    """Builds a parameter record from unbounded offsets to its priors; zero offsets give the priors.

    Args:
      record_type: a record class whose fields are all declared with `param`.
      offsets: unbounded offset of each field that differs from its prior, any shape.

    Raises:
      KeyError: an offset names no field of the record.
    """
    declared = quantities(record_type)
    unknown = sorted(set(offsets) - set(declared))
    if unknown:
        raise KeyError(f"{record_type.__name__} has no parameter {', '.join(unknown)}")
    values = {}
    for name, offset in offsets.items():
        prior = unconstrain(jnp.asarray(declared[name].default, dtype=offset.dtype), declared[name])
        values[name] = constrain(prior + offset, declared[name])
    return record_type(**values)


def _ends(quantity: Quantity) -> tuple[float, float]:
    if quantity.bounds is None:
        raise ValueError(f"{quantity.doc!r} has no bounds")
    lower, upper = quantity.bounds
    if quantity.transform == "log":
        return math.log(lower), math.log(upper)
    return lower, upper
