"""Predictive intervals of one site and how they are judged: delta method, conformal, scores.

An interval of the Gaussian posterior is right only as far as the model, the prior and the stated
observation errors are. Conformal calibration scales it by what validation days show, whatever the
model, but promises its coverage for exchangeable units only; days are not, see `conformal_factor`.
"""

from statistics import NormalDist

import jax
import jax.numpy as jnp

from kgml_jax.records import Field, record, var


@record
class Interval:
    """Lower and upper ends, in the unit of the predicted quantity."""

    lower: Field
    upper: Field


@record
class IntervalScore:
    """How intervals met the observations of one variable; NaN where nothing was observed."""

    coverage: Field = var(units="1", doc="Share of the observations inside, ends included.")
    width: Field  # mean width, in the unit of the variable
    score: Field  # mean interval score, in the unit of the variable; smaller is better
    count: Field = var(units="1", doc="Number of observations.")


def parameter_sd(sensitivity: Field, factor: Field) -> Field:
    """Standard deviation of predictions that comes from the parameters, by the delta method.

    `sqrt(diag(G C G^T))` with C = L L^T, as the row norms of G L: no (time, time) matrix is formed.

    Args:
      sensitivity: G, derivative of the predictions by the offsets, (time, p).
      factor: L of the posterior, (p, p); see `posterior.Posterior`.
    """
    return jnp.linalg.norm(sensitivity @ factor, axis=1)


def predictive_sd(sensitivity: Field, factor: Field, noise_sd: Field) -> Field:
    """Standard deviation of what will be observed: parameters and observation error, independent.

    Args:
      sensitivity: derivative of the predictions by the offsets, (time, p).
      factor: L of the posterior, (p, p).
      noise_sd: standard deviation of the observation error of each prediction, (time,).
    """
    return jnp.hypot(parameter_sd(sensitivity, factor), noise_sd)


def annual_sums(daily: Field, mask: Field, year_index: Field, years: int) -> Field:
    """Sums over the days of `mask` in each year.

    The sum of the sensitivities is the sensitivity of the sum: with it `predictive_sd` keeps the
    full covariance of the days through their common parameters.

    Args:
      daily: (time,) values or (time, p) sensitivities.
      mask: bool (time,).
      year_index: years since the first one of the record, int (time,).
      years: number of years.

    Returns:
      (years,) or (years, p).
    """
    kept = jnp.where(mask.reshape(-1, *(1,) * (daily.ndim - 1)), daily, 0.0)
    return jax.ops.segment_sum(kept, year_index, num_segments=years)


def annual_noise_sd(noise_sd: Field, mask: Field, year_index: Field, years: int) -> Field:
    """Standard deviation of the sum of daily observation errors in each year, (years,).

    Errors of different days count as independent. Those of flux towers are only in their random
    part; a systematic one (energy balance, u* threshold) adds up and is not in here.
    """
    return jnp.sqrt(annual_sums(noise_sd**2, mask, year_index, years))


def gaussian_interval(prediction: Field, sd: Field, probability: float = 0.9) -> Interval:
    """Central interval of `probability` of independent Gaussians."""
    return symmetric_interval(prediction, NormalDist().inv_cdf(0.5 + probability / 2) * sd)


def symmetric_interval(prediction: Field, half_width: Field) -> Interval:
    """Interval of `half_width` to either side of `prediction`."""
    return Interval(lower=prediction - half_width, upper=prediction + half_width)


def conformal_factor(error: Field, sd: Field, mask: Field, probability: float = 0.9) -> Field:
    """Factor by which `sd` becomes the half-width of an interval with coverage `probability`.

    Locally weighted split conformal prediction (Lei et al. 2018, section 5.2): the quantile
    ceil((n + 1) probability) / n of |error| / sd over n days not used in the calibration. A new
    day that is exchangeable with them is covered with at least that probability, whatever the
    model; with too few days for it the factor is inf. Days that have chosen between candidates, as
    the gate does, make it a little narrow. Days that follow each other are not exchangeable: n
    autocorrelated days hold less than n of them, and the coverage of a new *year* scatters more
    than n suggests.

    Args:
      error: predicted minus observed, (time,); anything where `mask` is False.
      sd: predictive standard deviation, positive where `mask` is True, (time,).
      mask: bool (time,), the days to calibrate on.
      probability: coverage wanted.
    """
    score = jnp.where(mask, jnp.abs(error) / jnp.where(mask, sd, 1.0), jnp.inf)
    wanted = (jnp.sum(mask) + 1) * jnp.asarray(probability, sd.dtype)
    # Room for rounding, or whole numbers would be missed from below: 0.9 * 20 must be 18.
    rank = jnp.ceil(wanted * (1 - 8 * jnp.finfo(sd.dtype).eps)).astype(int)
    ordered = jnp.sort(score)
    return jnp.where(rank <= mask.size, ordered[jnp.minimum(rank, mask.size) - 1], jnp.inf)


def interval_score(
    interval: Interval, observed: Field, mask: Field, probability: float = 0.9
) -> IntervalScore:
    """Coverage, mean width and mean interval score over the days of `mask`.

    The score (Winkler 1972; Gneiting and Raftery 2007, eq. 43) is the width plus 2 / alpha times
    the distance to an observation outside, alpha = 1 - probability: no narrowing or widening of
    the true quantiles lowers its expectation.

    Args:
      interval: (time,) ends.
      observed: (time,), anything where `mask` is False.
      mask: bool (time,).
      probability: the nominal coverage of `interval`.
    """
    count = jnp.sum(mask)
    mean = lambda values: jnp.where(
        count > 0, jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(count, 1), jnp.nan
    )
    below = jnp.maximum(interval.lower - observed, 0.0)
    above = jnp.maximum(observed - interval.upper, 0.0)
    width = interval.upper - interval.lower
    inside = (observed >= interval.lower) & (observed <= interval.upper)
    return IntervalScore(
        coverage=mean(inside),
        width=mean(width),
        score=mean(width + 2 / (1 - probability) * (below + above)),
        count=count,
    )
