"""Smooth limiters: how fluxes are bounded without clipping a state or losing a gradient."""

import jax
import jax.numpy as jnp

from kgml_jax.records import Field

Real = Field | float


# The derivatives of `smin` and `above` are written to end in a division: XLA then computes them
# once, where it would repeat long chains of products for every use of the result. Numbers enter
# the rules as arrays, as jax 0.10.1 miscounts NumPy constants in ahead-of-time calls otherwise.
def smin(a: Real, b: Real, theta: float = 0.98) -> Field:
    """Smooth minimum of two non-negative numbers, never above the smaller one.

    The lower root of the non-rectangular hyperbola `theta m^2 - (a + b) m + a b = 0`, in the form
    that does not cancel in float32. `theta` near 1 is sharper; it is a constant to derivatives.
    """
    real = jnp.result_type(float)
    return _smin(jnp.asarray(a, real), jnp.asarray(b, real), jnp.asarray(theta, real))


@jax.custom_jvp
def _smin(a: Field, b: Field, theta: Field) -> Field:
    total = a + b
    root = jnp.sqrt(total**2 - 4.0 * theta * a * b + 1e-12)
    return 2.0 * a * b / (total + root + 1e-12)


@_smin.defjvp
def _(primals: tuple[Field, ...], tangents: tuple[Field, ...]) -> tuple[Field, Field]:
    (a, b, theta), (da, db, _) = primals, tangents
    total = a + b
    root = jnp.sqrt(total**2 - 4.0 * theta * a * b + 1e-12)
    below = total + root + 1e-12
    least = 2.0 * a * b / below
    product, change = b * da + a * db, da + db
    bend = (total * change - 2.0 * theta * product) / root
    return least, (2.0 * product - least * (change + bend)) / below


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
    it is `sqrt(roundness)` of it. `roundness` is a constant to derivatives.
    """
    real = jnp.result_type(float)
    return _above(*(jnp.asarray(value, real) for value in (amount, threshold, roundness)))


@jax.custom_jvp
def _above(amount: Field, threshold: Field, roundness: Field) -> Field:
    difference = amount - threshold
    return 0.5 * (difference + jnp.sqrt(difference**2 + 4.0 * roundness * amount * threshold))


@_above.defjvp
def _(primals: tuple[Field, ...], tangents: tuple[Field, ...]) -> tuple[Field, Field]:
    (amount, threshold, roundness), (more, higher, _) = primals, tangents
    difference = amount - threshold
    root = jnp.sqrt(difference**2 + 4.0 * roundness * amount * threshold)
    part = 0.5 * (difference + root)
    change = (part + roundness * threshold) * more + (roundness * amount - part) * higher
    return part, change / root


def frac(rate: Real) -> Field:
    """Fraction of a pool lost in one day at `rate` per day; below 1 for any rate."""
    return -jnp.expm1(-rate)


def donor(pool: Field, demand: Field) -> Field:
    """What `pool` gives to a `demand` of one day: about the demand, never more than the pool."""
    return pool * frac(demand / (pool + 1e-9))
