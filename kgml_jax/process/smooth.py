"""Smooth limiters: how fluxes are bounded without clipping a state or losing a gradient."""

import jax
import jax.numpy as jnp

from kgml_jax.records import Field

Real = Field | float


def smin(a: Real, b: Real, theta: Real = 0.98) -> Field:
    """Smooth minimum of two non-negative numbers, never above the smaller one.

    The lower root of the non-rectangular hyperbola `theta m^2 - (a + b) m + a b = 0`, in the form
    that does not cancel in float32. `theta` near 1 is sharper.
    """
    total = a + b
    root = jnp.sqrt(total**2 - 4.0 * theta * a * b + 1e-12)
    return 2.0 * a * b / (total + root + 1e-12)


# Four operations instead of the library's ten, which guard against infinities that never come here:
# this function is called so often that it is a good part of what is compiled.
@jax.custom_jvp
def _softplus(x: Field) -> Field:
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@_softplus.defjvp
def _(primals: tuple[Field], tangents: tuple[Field]) -> tuple[Field, Field]:
    (x,), (change,) = primals, tangents
    return _softplus(x), jax.nn.sigmoid(x) * change


def spos(x: Field, sharpness: float = 1.0) -> Field:
    """Smooth positive part, `log(1 + exp(sharpness x)) / sharpness`."""
    return _softplus(sharpness * x) / sharpness


def sstep(x: Field, width: Real) -> Field:
    """Smooth step from 0 to 1 around x = 0."""
    return jax.nn.sigmoid(x / width)


def sat01(x: Field, width: float = 0.02) -> Field:
    """Smooth clip of `x` to [0, 1]."""
    return spos(x, 1.0 / width) - spos(x - 1.0, 1.0 / width)


def above(amount: Field, threshold: Field, roundness: float = 1e-4) -> Field:
    """Smooth part of `amount` above a positive `threshold`, between 0 and `amount`.

    The hyperbola `(amount - m) (threshold - m) = roundness * amount * threshold`; at the threshold
    it is `sqrt(roundness)` of it.
    """
    difference = amount - threshold
    return 0.5 * (difference + jnp.sqrt(difference**2 + 4.0 * roundness * amount * threshold))


def frac(rate: Real) -> Field:
    """Fraction of a pool lost in one day at `rate` per day; below 1 for any rate."""
    return -jnp.expm1(-rate)


def donor(pool: Field, demand: Field) -> Field:
    """What `pool` gives to a `demand` of one day: about the demand, never more than the pool."""
    return pool * frac(demand / (pool + 1e-9))
