"""Errors that last: whitened residuals are those of the dense covariance, and are found again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled

from kgml_jax.inversion import lasting
from kgml_jax.inversion.lasting import FAST, SLOW, LastingErrors

pytestmark = pytest.mark.usefixtures("x64")

ERRORS = LastingErrors(
    slow=np.array([[0.8, 0.3, 0.0], [0.3, 0.5, 0.1], [0.0, 0.1, 0.2]]),
    fast=np.array([[0.4, -0.1, 0.0], [-0.1, 0.3, 0.0], [0.0, 0.0, 0.1]]),
)
whiten, from_residuals = compiled(lasting.whiten), compiled(lasting.from_residuals)
sum_variance = compiled(lasting.sum_variance)


def dense(errors, sd):
    """Covariance of all days and streams, (time * stream,) twice, streams fastest."""
    time = len(sd)
    apart = np.abs(np.subtract.outer(np.arange(time), np.arange(time)))
    whole = np.diag(sd.reshape(-1) ** 2)
    for scale, covariance in ((SLOW, errors.slow), (FAST, errors.fast)):
        whole = whole + np.kron(np.exp(-apart / scale), covariance)
    return whole


@pytest.fixture(scope="module")
def record():
    random = np.random.default_rng(0)
    sd = random.uniform(0.2, 0.6, (80, 3))
    seen = random.random((80, 3)) < 0.7
    residuals = np.linalg.cholesky(dense(ERRORS, sd)) @ random.normal(size=240)
    return residuals.reshape(80, 3), sd, seen


def test_squares_of_whitened_residuals_are_those_of_the_inverse_covariance(record):
    residuals, sd, seen = record
    kept = np.flatnonzero(seen.reshape(-1))
    known = residuals.reshape(-1)[kept]
    covariance = dense(ERRORS, sd)[np.ix_(kept, kept)]
    white = whiten(ERRORS, residuals, sd, seen)
    np.testing.assert_array_equal(white[~seen], 0.0)
    expected = known @ np.linalg.solve(covariance, known)
    np.testing.assert_allclose(np.sum(white**2), expected, rtol=1e-9)


def test_what_is_not_seen_reaches_nothing(record):
    residuals, sd, seen = record
    spoilt = np.where(seen, residuals, np.nan), np.where(seen, sd, np.nan)
    np.testing.assert_array_equal(
        whiten(ERRORS, *spoilt, seen), whiten(ERRORS, residuals, sd, seen)
    )
    slope = compiled(jax.grad(lambda r: jnp.sum(lasting.whiten(ERRORS, r, sd, seen) ** 2)))
    assert np.all(slope(residuals)[~seen] == 0.0)


def test_without_lasting_errors_days_are_independent(record):
    residuals, sd, seen = record
    none = jax.tree.map(np.zeros_like, ERRORS)
    expected = np.where(seen, residuals / sd, 0.0)
    np.testing.assert_allclose(whiten(none, residuals, sd, seen), expected, rtol=1e-12)


def test_whitening_is_linear_with_the_derivative_of_a_filter(record):
    residuals, sd, seen = record
    filtered = lambda r: lasting.whiten(ERRORS, r, sd, seen)
    direction = np.random.default_rng(1).normal(size=residuals.shape)
    _, moved = jax.jit(lambda r, d: jax.jvp(filtered, (r,), (d,)))(residuals, direction)
    np.testing.assert_allclose(moved, whiten(ERRORS, direction, sd, seen), atol=1e-12)


def test_the_sum_of_days_has_the_variance_of_the_dense_covariance(record):
    *_, seen = record
    for stream in range(3):
        days = seen[:, stream].astype(float)
        whole = dense(ERRORS, np.zeros((80, 3)))[stream::3, stream::3]
        own = ERRORS.slow[stream, stream], ERRORS.fast[stream, stream]
        found = sum_variance(np.array(own), seen[:, stream])
        np.testing.assert_allclose(found, days @ whole @ days, rtol=1e-9)


def drawn(years, seed):
    random = np.random.default_rng(seed)
    time = 365 * years
    series = 0.3 * random.normal(size=(time, 3))
    for scale, covariance in ((SLOW, ERRORS.slow), (FAST, ERRORS.fast)):
        root, decay = np.linalg.cholesky(covariance), np.exp(-1 / scale)
        now = root @ random.normal(size=3)
        for day in range(time):
            series[day] += now
            now = decay * now + np.sqrt(1 - decay**2) * (root @ random.normal(size=3))
    return series, random.random((time, 3)) < 0.6


def test_covariances_of_long_records_are_found_again():
    found = from_residuals(*drawn(150, 0))
    # 150 years hold some 600 independent slow errors: a relative error of variances of 0.06.
    np.testing.assert_allclose(found.slow, ERRORS.slow, atol=0.12)
    np.testing.assert_allclose(found.fast, ERRORS.fast, atol=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_covariances_of_short_records_are_ones(seed):
    found = from_residuals(*drawn(2, seed))
    for covariance in (found.slow, found.fast):
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_independent_residuals_leave_next_to_nothing_lasting():
    random = np.random.default_rng(2)
    found = from_residuals(random.normal(size=(3000, 2)), np.ones((3000, 2), bool))
    assert np.diagonal(found.slow + found.fast).max() < 0.15


def test_a_stream_of_a_few_days_has_no_lasting_error():
    residuals, seen = drawn(2, 3)
    seen = seen & (np.arange(3) != 2) | (np.arange(len(seen)) < 20)[:, None]
    found = from_residuals(residuals, seen)
    assert found.slow[2, 2] == found.fast[2, 2] == 0.0
    assert found.slow[0, 0] > 0.0
