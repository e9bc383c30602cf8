"""Errors that last: two time scales beside the independent errors of days, whitened in O(time).

What a model misses at a field it misses for weeks, and what a tower measures wrongly it measures
wrongly for days. Independent errors, however inflated, cannot say so: they let a year of days
outvote any prior, or say that days tell nothing. Here what is left of a day is the sum of a slow
and a fast process (exponential covariance, `SLOW` and `FAST` days) and an independent error; the
streams of a site share theirs by a covariance. A Kalman filter turns residuals into independent
ones of unit variance (Anderson and Moore 1979, chapter 5): sums of their squares are, up to a
constant, minus twice the logarithm of the likelihood.
"""

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.records import Field, constant, record, var

SLOW = 45.0
"""Days in which the slow error falls to 1/e: the order of what residuals of crop towers last."""

FAST = 2.5
"""Days in which the fast error does: the weather that passes in a few days."""

LAGS = 60
"""Days over which the covariance of residuals is looked at."""

LEAST_PAIRS = 60
"""Pairs of observed days that a lag needs to count."""

CORRELATED = 0.95
"""Largest correlation between the errors of two streams."""


@record
class LastingErrors:
    """Covariance of the lasting errors of a site's streams, each (stream, stream)."""

    slow: Field = var(units="1", doc="Of the slow errors, in the squared units of the streams")
    fast: Field = var(units="1", doc="Of the fast errors, as above")


def whiten(errors: LastingErrors, residuals: Field, sd: Field, seen: Field) -> Field:
    """Returns residuals made independent, of unit variance where the errors are as stated.

    Linear in the residuals: derivatives pass through it as through any filter.

    Args:
      errors: of the streams.
      residuals: predicted minus observed, anything where not `seen`, (time, stream).
      sd: of the independent errors, (time, stream).
      seen: whether there is an observation, bool (time, stream).

    Returns:
      The innovations over their standard deviations, 0 where not seen, (time, stream).
    """
    count = residuals.shape[1]
    stationary = _blocks(errors)
    decay = jnp.repeat(jnp.exp(-1.0 / constant(np.array([SLOW, FAST]))), count)
    entering = stationary * (1.0 - decay[:, None] * decay)

    def day(
        carried: tuple[Field, Field], today: tuple[Field, Field, Field]
    ) -> tuple[tuple[Field, Field], Field]:
        mean, covariance = carried
        left, noise, observed = today
        mean = decay * mean
        covariance = decay[:, None] * covariance * decay + entering
        white = []
        for row in range(count):
            both = covariance[row] + covariance[count + row]
            variance = both[row] + both[count + row] + noise[row] ** 2
            surprise = left[row] - (mean[row] + mean[count + row])
            gain = jnp.where(observed[row], both / variance, 0.0)
            mean = mean + gain * surprise
            covariance = covariance - gain[:, None] * both
            white.append(jnp.where(observed[row], surprise / jnp.sqrt(variance), 0.0))
        return (mean, covariance), jnp.stack(white)

    known = jnp.where(seen, residuals, 0.0)
    start = (jnp.zeros(2 * count, residuals.dtype), stationary)
    return jax.lax.scan(day, start, (known, jnp.where(seen, sd, 1.0), seen))[1]


def from_residuals(residuals: Field, seen: Field) -> LastingErrors:
    """Estimates the lasting errors from what a model leaves, by its covariance from day to day.

    The covariance at lags of 1 to `LAGS` days is fitted by the two exponentials, each lag weighing
    its pairs of days; that of a day with itself, which holds the independent errors, is left out.

    Args:
      residuals: predicted minus observed, (time, stream).
      seen: bool (time, stream).

    Returns:
      Positive semidefinite covariances; 0 of streams of which too little is seen.
    """
    covariance, pairs = _lagged(jnp.where(seen, residuals, 0.0), seen)
    lags = constant(np.arange(1.0, LAGS + 1.0))
    shapes = jnp.exp(-lags / SLOW), jnp.exp(-lags / FAST)
    weights = jnp.where(pairs >= LEAST_PAIRS, pairs, 0.0)
    inner = lambda a, b: jnp.einsum("l,l,lij->ij", a, b, weights)
    slow_slow, slow_fast, fast_fast = (
        inner(shapes[0], shapes[0]),
        inner(shapes[0], shapes[1]),
        inner(shapes[1], shapes[1]),
    )
    against = [jnp.einsum("l,lij,lij->ij", shape, weights, covariance) for shape in shapes]
    slow, fast = _fitted((slow_slow, slow_fast, fast_fast), against)
    return LastingErrors(slow=_bounded(slow), fast=_bounded(fast))


def sum_variance(own: Field, days: Field) -> Field:
    """Returns the variance of the sum of a stream's lasting errors over some days, ().

    Args:
      own: variances of its slow and its fast error, (2,).
      days: bool (time,).
    """
    decays = jnp.exp(-1.0 / constant(np.array([SLOW, FAST])))

    def day(shared: Field, counted: Field) -> tuple[Field, Field]:
        # Sum over the days so far of their correlation with this one.
        before = decays * shared
        return before + counted, counted * (1.0 + 2.0 * before)

    counted = days.astype(own.dtype)
    _, parts = jax.lax.scan(day, jnp.zeros(2, own.dtype), counted)
    return jnp.sum(parts @ own)


def _blocks(errors: LastingErrors) -> Field:
    nothing = jnp.zeros_like(errors.slow)
    return jnp.block([[errors.slow, nothing], [nothing, errors.fast]])


def _lagged(residuals: Field, seen: Field) -> tuple[Field, Field]:
    # Covariance about 0 and number of pairs by lag, symmetric in the streams, (lag, s, s).
    time = residuals.shape[0]
    there = seen.astype(residuals.dtype)

    def at(lag: Field) -> tuple[Field, Field]:
        later = jnp.arange(time) + lag
        inside = (later < time).astype(residuals.dtype)[:, None]
        shifted = lambda values: values[jnp.minimum(later, time - 1)] * inside
        product = residuals.T @ shifted(residuals)
        count = there.T @ shifted(there)
        count, product = count + count.T, product + product.T
        return product / jnp.maximum(count, 1.0), 0.5 * count

    return jax.lax.map(at, jnp.arange(1, LAGS + 1))


def _fitted(normal: tuple[Field, Field, Field], against: list[Field]) -> tuple[Field, Field]:
    # Solution of the normal equations of each pair of streams; a variance below 0 is 0, and the
    # other process has all there is.
    slow_slow, slow_fast, fast_fast = normal
    determinant = slow_slow * fast_fast - slow_fast**2
    safe = jnp.where(determinant > 0, determinant, 1.0)
    slow = (fast_fast * against[0] - slow_fast * against[1]) / safe
    fast = (slow_slow * against[1] - slow_fast * against[0]) / safe
    alone = [
        a / jnp.where(b > 0, b, 1.0) for a, b in zip(against, (slow_slow, fast_fast), strict=True)
    ]
    own = jnp.eye(slow.shape[0], dtype=bool)
    return (
        jnp.where(own & (slow < 0), 0.0, jnp.where(own & (fast < 0), alone[0], slow)),
        jnp.where(own & (fast < 0), 0.0, jnp.where(own & (slow < 0), alone[1], fast)),
    )


def _bounded(covariance: Field) -> Field:
    # Correlations of at most `CORRELATED`, and no negative variance in any direction.
    variance = jnp.maximum(jnp.diagonal(covariance), 0.0)
    scale = jnp.sqrt(variance)
    both = scale[:, None] * scale
    share = jnp.clip(covariance / jnp.where(both > 0, both, 1.0), -CORRELATED, CORRELATED)
    own = jnp.eye(len(variance), dtype=covariance.dtype)
    values, vectors = jnp.linalg.eigh(share * (1.0 - own) + own)
    positive = (vectors * jnp.maximum(values, 0.0)) @ vectors.T
    unit = jnp.sqrt(jnp.diagonal(positive))
    return both * positive / (unit[:, None] * unit)
