"""Common levels of parameters and the spread of sites about them, from single estimates."""

import numpy as np
import pytest

from kgml_jax.inversion.groups import group_priors
from kgml_jax.inversion.levels import PRIOR_SHARE, estimate_levels

S = np.array([0.5, 0.5, 0.5])
SITES = 400


def estimated(rng, truth, precision, prior_sd=S):
    """Estimates with the prior of offsets that are known with a precision, and their covariance."""
    noisy = truth + rng.normal(size=truth.shape) / np.sqrt(precision)
    covariance = 1 / (precision + 1 / prior_sd**2)
    offsets = covariance * precision * noisy
    return offsets, covariance[..., None] * np.eye(truth.shape[1])


def drawn(seed, sites=SITES):
    """Sites about a level, with a spread that differs from parameter to parameter."""
    rng = np.random.default_rng(seed)
    level, spread = np.array([0.6, -0.4, 0.1]), np.array([0.15, 0.3, 0.2])
    truth = level + spread * rng.normal(size=(sites, 3))
    precision = rng.uniform(10, 200, (sites, 3))
    return level, spread, truth, estimated(rng, truth, precision)


@pytest.fixture(scope="module")
def world():
    return drawn(0)


def test_the_spread_of_sites_is_found(world):
    _, spread, _, (offsets, covariance) = world
    found = estimate_levels(offsets, covariance, S)
    # The mean of 400 sites is known to a 20th of what one says.
    assert (np.sqrt(np.diagonal(found.covariance)) < 0.025).all()
    # A standard deviation of 400 sites has an error of 4 %, more where they are known as badly as
    # they spread: within three of them.
    np.testing.assert_allclose(found.spread, spread, rtol=0.15)


def test_errors_of_levels_are_as_large_as_is_said():
    scores = []
    for seed in range(60):
        level, _, _, (offsets, covariance) = drawn(seed, sites=60)
        found = estimate_levels(offsets, covariance, S)
        scores.append((found.mean - level) / np.sqrt(np.diagonal(found.covariance)))
    # Root mean squares of 60 normal scores lie within 1 +- 3 / sqrt(120).
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(scores), axis=0)), 1.0, atol=0.27)


def test_a_site_left_out_is_nearer_to_its_level_than_to_the_default(world):
    _, _, truth, (offsets, covariance) = world
    found = estimate_levels(offsets, covariance, S)
    error = np.sqrt(np.mean((found.site_mean - truth) ** 2, axis=0))
    default = np.sqrt(np.mean(truth**2, axis=0))
    assert (error[:2] < 0.75 * default[:2]).all()
    # What is said of a site that was not seen covers it: 90 % intervals, 1200 of them.
    inside = np.abs(found.site_mean - truth) < 1.645 * found.site_sd
    assert 0.87 < inside.mean() < 0.93


def test_what_is_said_of_a_site_does_not_depend_on_its_own_mean_beyond_the_spread(world):
    _, _, _, (offsets, covariance) = world
    found = estimate_levels(offsets, covariance, S)
    gone = estimate_levels(np.delete(offsets, 7, 0), np.delete(covariance, 7, 0), S)
    # The spread is that of all sites: leaving one out moves it a little.
    np.testing.assert_allclose(found.site_mean[7], gone.mean, atol=0.003)


def test_a_crop_that_one_site_grows_says_nothing_of_that_site(world):
    _, _, _, (offsets, covariance) = world
    concerned = np.ones((SITES, 3), bool)
    concerned[1:, 2] = False
    found = estimate_levels(offsets, covariance, S, concerned=concerned)
    assert found.informed.tolist() == [SITES, SITES, 1]
    np.testing.assert_allclose(found.site_mean[0, 2], 0.0, atol=1e-9)
    assert found.site_sd[0, 2] >= S[2]


def test_a_trait_of_several_crops_has_one_spread(world):
    _, spread, _, (offsets, covariance) = world
    found = estimate_levels(offsets, covariance, S, alike=[0, 1, 1])
    assert found.spread[1] == found.spread[2]
    np.testing.assert_allclose(found.spread[1] ** 2, np.mean(spread[1:] ** 2), rtol=0.25)


def test_with_the_spread_it_assumes_the_level_is_that_of_one_group():
    # A single site leaves the spread where it was assumed, if it is as far off as that says.
    offsets = np.array([[0.3, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    covariance = np.stack([0.05 * np.eye(3)] * 2)
    found = estimate_levels(offsets, covariance, S)
    ratio = (found.spread / S) ** 2
    mean, _ = group_priors(offsets[:, :1], covariance[:, :1, :1], [0, 0], S[:1])
    assert ratio == pytest.approx(PRIOR_SHARE, rel=0.3)
    # What the first says to the second; a group there has but half of the variance in common.
    assert 0 < mean[1, 0] < found.site_mean[1, 0]


def test_sites_that_know_nothing_leave_the_declared_prior():
    offsets, covariance = np.zeros((4, 3)), np.stack([np.diag(S**2)] * 4)
    found = estimate_levels(offsets, covariance, S)
    np.testing.assert_allclose(found.mean, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diagonal(found.covariance)), S, rtol=1e-6)
    assert not found.informed.any()
