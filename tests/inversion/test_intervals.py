from fractions import Fraction
from functools import partial
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled
from scipy.stats import norm

from kgml_jax.inversion import intervals, posterior

pytestmark = pytest.mark.usefixtures("x64")

laplace = compiled(posterior.laplace)
conformal_factor = jax.jit(intervals.conformal_factor, static_argnums=3)
gaussian_interval = compiled(partial(intervals.gaussian_interval, probability=0.9))
interval_score = compiled(intervals.interval_score)
parameter_sd, predictive_sd = map(compiled, (intervals.parameter_sd, intervals.predictive_sd))
symmetric_interval = compiled(intervals.symmetric_interval)


def annual_sums(daily, mask, year, years):
    return compiled(lambda *days: intervals.annual_sums(*days, years))(daily, mask, year)


def annual_noise_sd(daily, mask, year, years):
    return compiled(lambda *days: intervals.annual_noise_sd(*days, years))(daily, mask, year)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_predictive_interval_of_a_linear_model_is_the_exact_one(rng):
    seen, future = rng.normal(size=(30, 3)), rng.normal(size=(8, 3))
    prior_sd, noise_sd = np.array([0.3, 0.5, 0.6]), rng.uniform(0.1, 0.4, 8)
    factor = laplace(np.asarray(seen), np.asarray(prior_sd)).factor
    covariance = np.linalg.inv(seen.T @ seen + np.diag(prior_sd**-2.0))
    exact = future @ covariance @ future.T + np.diag(noise_sd**2)
    sd = predictive_sd(np.asarray(future), factor, np.asarray(noise_sd))
    np.testing.assert_allclose(sd, np.sqrt(np.diag(exact)), rtol=1e-10)
    interval = gaussian_interval(np.zeros(8), sd)
    np.testing.assert_allclose(interval.upper, norm.ppf(0.95) * np.sqrt(np.diag(exact)), rtol=1e-10)
    np.testing.assert_allclose(interval.lower, -np.asarray(interval.upper))


def test_annual_sums_keep_the_covariance_of_the_days(rng):
    days, years = 20, 2
    year = np.repeat([0, 1], 10)
    sensitivity, factor = rng.normal(size=(days, 3)), rng.normal(size=(3, 3))
    noise_sd, mask = rng.uniform(0.1, 0.4, days), rng.uniform(size=days) < 0.7
    sums = (year == np.arange(years)[:, None]) * mask
    exact = sums @ (sensitivity @ factor @ factor.T @ sensitivity.T + np.diag(noise_sd**2)) @ sums.T
    hidden = np.where(mask[:, None], sensitivity, np.nan)
    found = predictive_sd(
        annual_sums(np.asarray(hidden), np.asarray(mask), year, years),
        np.asarray(factor),
        annual_noise_sd(np.asarray(np.where(mask, noise_sd, np.nan)), np.asarray(mask), year, 2),
    )
    np.testing.assert_allclose(found, np.sqrt(np.diag(exact)), rtol=1e-10)
    np.testing.assert_allclose(
        annual_sums(np.asarray(noise_sd), np.asarray(mask), year, years), sums @ noise_sd
    )


def test_a_common_parameter_widens_a_sum_more_than_independent_days_would():
    sensitivity, factor = np.ones((365, 1)), np.full((1, 1), 0.1)
    year = np.zeros(365, int)
    total = parameter_sd(annual_sums(sensitivity, np.ones(365, bool), year, 1), factor)
    np.testing.assert_allclose(total, 36.5)
    np.testing.assert_allclose(np.sqrt(365) * parameter_sd(sensitivity, factor)[0], 0.1 * 365**0.5)


def test_intervals_of_a_right_model_cover_as_often_as_they_say(rng):
    sites, prior_sd = 2000, np.array([0.5, 0.5])
    seen, future = rng.normal(size=(5, 2)), rng.normal(size=2) * 3
    truth = prior_sd * rng.normal(size=(sites, 2))
    observed = truth @ seen.T + rng.normal(size=(sites, 5))
    found = laplace(np.asarray(seen), np.asarray(prior_sd))
    optimum = observed @ seen @ np.asarray(found.covariance)
    sd = predictive_sd(np.asarray(future)[None], found.factor, np.asarray([0.3]))
    later = truth @ future + 0.3 * rng.normal(size=sites)
    score = interval_score(
        gaussian_interval(np.asarray(optimum @ future), sd), later, np.ones(sites, bool)
    )
    # Three standard errors of a share of 2000.
    np.testing.assert_allclose(score.coverage, 0.9, atol=3 * np.sqrt(0.09 / sites))


def first_of_each(row):
    seen = np.zeros(row.size, bool)
    seen[np.unique(row, return_index=True)[1]] = True
    return seen


def rank(count, probability):
    return ceil((count + 1) * Fraction(str(probability)))


@pytest.mark.parametrize("real", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.8, 0.9, 0.95])
def test_the_conformal_factor_has_the_finite_sample_rank(rng, probability, real):
    counts = np.r_[1:60, 99, 199, 500, 999]
    scores = np.stack([rng.permutation(999) % n + 1.0 for n in counts])
    # The days of the mask hold the scores 1 to n once each; the others hold the same again.
    mask = np.stack([first_of_each(row) for row in scores])
    factor = lambda error, seen: conformal_factor(error, np.full(999, 2.0, real), seen, probability)
    found = jax.jit(jax.vmap(factor))(np.asarray(-2 * scores, real), np.asarray(mask))
    ranks = np.array([rank(n, probability) for n in counts])
    np.testing.assert_array_equal(found, np.where(ranks <= counts, ranks, np.inf))


def test_days_under_the_mask_do_not_count():
    error = np.asarray([5.0, np.nan, 1.0, 100.0, 3.0])
    sd = np.asarray([1.0, 1.0, 1.0, np.nan, 1.0])
    mask = np.asarray([True, False, True, False, True])
    np.testing.assert_array_equal(conformal_factor(error, sd, mask, 0.5), 3.0)
    assert np.isinf(conformal_factor(error, sd, np.zeros(5, bool), 0.5))


def test_conformal_intervals_cover_although_the_model_is_too_sure(rng):
    sites, days = 4000, 19
    sd = rng.uniform(0.5, 2.0, (sites, days + 1))
    error = 3 * sd * rng.standard_t(3, size=sd.shape)
    seen = np.ones(days, bool)
    factor = compiled(jax.vmap(lambda e, s: conformal_factor(e, s, seen)))(
        np.asarray(error[:, :-1]), np.asarray(sd[:, :-1])
    )
    new, new_sd, every = error[:, -1], np.asarray(sd[:, -1]), np.ones(sites, bool)
    calibrated = interval_score(symmetric_interval(0.0, factor * new_sd), new, every)
    trusting = interval_score(gaussian_interval(0.0, new_sd), new, every)
    # The rank 18 of 19 scores is passed by a twentieth with probability 18 / 20 exactly.
    np.testing.assert_allclose(calibrated.coverage, 0.9, atol=3 * np.sqrt(0.09 / sites))
    assert trusting.coverage < 0.6
    assert calibrated.score < trusting.score


def test_coverage_and_width_count_the_observed_days_only():
    interval = symmetric_interval(np.zeros(6), np.asarray([1.0, 1.0, 1.0, 2.0, 9.0, 9.0]))
    observed = np.asarray([0.5, -1.0, 1.5, -4.0, np.nan, 0.0])
    mask = np.asarray([True, True, True, True, False, False])
    score = interval_score(interval, observed, mask, 0.8)
    assert score.count == 4
    np.testing.assert_allclose(score.coverage, 2 / 4)  # the end -1 counts as inside
    np.testing.assert_allclose(score.width, (2 + 2 + 2 + 4) / 4)
    # 0.5 above one end, 2 below another, each times 2 / alpha = 10.
    np.testing.assert_allclose(score.score, 2.5 + 10 * (0.5 + 2) / 4)


def test_a_variable_that_was_not_observed_has_no_score():
    score = interval_score(
        symmetric_interval(np.zeros(3), np.ones(3)), np.zeros(3), np.zeros(3, bool)
    )
    assert score.count == 0
    assert np.isnan([score.coverage, score.width, score.score]).all()


def test_the_interval_score_is_least_at_the_true_quantiles():
    observed = np.asarray(norm.ppf((np.arange(10_000) + 0.5) / 10_000))
    every = np.ones(10_000, bool)
    scores = [
        interval_score(gaussian_interval(0.0 * observed, s), observed, every).score
        for s in (0.8, 0.95, 1.0, 1.05, 1.2)
    ]
    assert int(np.argmin(scores)) == 2
    # Coverage of the best is the nominal one.
    best = interval_score(gaussian_interval(0.0 * observed, 1.0), observed, every)
    np.testing.assert_allclose(best.coverage, 0.9, atol=1e-3)
