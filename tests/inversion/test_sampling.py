import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.inversion import sampling
from kgml_jax.inversion.posterior import laplace
from kgml_jax.inversion.sampled_sites import until_last_training_year
from kgml_jax.inversion.sampling import (
    Comparison,
    Draws,
    NoUTurn,
    compare,
)
from kgml_jax.sites import TRAIN

ROWS = np.array([[3.0, 1.0], [0.0, 2.0], [1.0, -1.0]])
PRIOR_SD = np.array([0.5, 0.6])
BEND = 2.0


def residuals(bend, offsets):
    """A linear model whose second parameter is bent along the first: 0 is always the optimum."""
    bent = jnp.stack([offsets[0], offsets[1] - bend * offsets[0] ** 2])
    return jnp.concatenate([jnp.asarray(ROWS) @ bent, bent / PRIOR_SD])


@pytest.fixture(scope="module")
def sampled() -> tuple[Draws, Comparison]:
    """Draws of two sites at once: the Gaussian, and the banana with the same Laplace posterior."""
    pytest.importorskip("blackjax", reason="extra `bayes` is not installed")

    def site(bend, key):
        optimum = jnp.zeros(2)
        rows = jax.jacfwd(lambda z: residuals(bend, z))(optimum)[:-2]
        posterior = laplace(rows, jnp.asarray(PRIOR_SD))
        draws = NoUTurn(draws=1000).sample(lambda z: residuals(bend, z), optimum, posterior, key)
        return draws, compare(draws, optimum, posterior)

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 2)
        return jax.device_get(jax.jit(jax.vmap(site))(jnp.asarray([0.0, BEND]), keys))


def covariance():
    return np.linalg.inv(ROWS.T @ ROWS + np.diag(PRIOR_SD**-2.0))


@pytest.mark.slow
def test_draws_from_a_gaussian_have_its_moments(sampled):
    draws, comparison = sampled
    pooled = np.asarray(draws.offsets[0]).reshape(-1, 2)
    assert draws.offsets.shape == (2, 4, 1000, 2)
    # A thousand effective draws and more: means to 4 standard errors, sds to 4 / sqrt(2000).
    assert np.all(draws.effective_draws[0] > 1000)
    assert np.all(np.abs(comparison.mean_shift[0]) < 4 * comparison.mean_shift_error[0])
    np.testing.assert_allclose(comparison.sd_ratio[0], 1, atol=0.09)
    scale = np.sqrt(np.diag(covariance()))
    exact = covariance() / np.outer(scale, scale)
    np.testing.assert_allclose(np.corrcoef(pooled.T), exact, atol=0.1)


@pytest.mark.slow
def test_chains_agree_and_none_diverges(sampled):
    draws, _ = sampled
    assert np.all((draws.rhat[0] > 0.99) & (draws.rhat[0] < 1.01))
    assert draws.divergent[0] == 0
    assert 0.6 < draws.acceptance[0] <= 1
    # Every step takes a gradient at least; the warm-up counts.
    assert np.all(draws.gradients >= 4 * (1000 + 200))


@pytest.mark.slow
def test_a_banana_leaves_its_gaussian_in_the_known_direction(sampled):
    _, comparison = sampled
    first, second = np.diag(covariance())
    # The second parameter is the Gaussian one plus BEND times the square of the first.
    mean = BEND * first
    sd = np.sqrt(second + 2 * (BEND * first) ** 2)
    np.testing.assert_allclose(comparison.mean_shift[1, 1], mean / np.sqrt(second), rtol=0.2)
    np.testing.assert_allclose(comparison.sd_ratio[1, 1], np.sqrt(second) / sd, rtol=0.1)
    assert comparison.mean_shift[1, 1] > 5 * comparison.mean_shift_error[1, 1]
    assert np.abs(comparison.mean_shift[1, 0]) < 5 * comparison.mean_shift_error[1, 0]


def test_a_comparison_counts_in_standard_deviations_of_the_gaussian():
    posterior = laplace(jnp.zeros((1, 1)), jnp.asarray([0.5]))
    offsets = jnp.asarray([0.0, 2.0, 1.0, 3.0]).reshape(2, 2, 1)
    draws = Draws(
        offsets=offsets,
        rhat=jnp.ones(1),
        effective_draws=jnp.full(1, 4.0),
        divergent=jnp.zeros(()),
        acceptance=jnp.ones(()),
        gradients=jnp.zeros(()),
    )
    found = compare(draws, jnp.asarray([1.0]), posterior)
    sd = np.std([0, 2, 1, 3], ddof=1)
    np.testing.assert_allclose(found.mean_shift, [(1.5 - 1.0) / 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.sd_ratio, [0.5 / sd], rtol=1e-6)
    np.testing.assert_allclose(found.mean_shift_error, [sd / 2 / 0.5], rtol=1e-6)


def test_absent_blackjax_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    posterior = laplace(jnp.eye(1), jnp.ones(1))
    with pytest.raises(ImportError, match=r"kgml_jax\[bayes\]"):
        sampling.NoUTurn().sample(lambda z: z, jnp.zeros(1), posterior, jax.random.key(0))


def test_years_after_the_last_training_day_are_not_simulated():
    data = toys.divided(toys.sites(2, 4))
    short = until_last_training_year(data)
    # 2001 and 2002 train.
    assert short.sites.site.valid.shape == short.roles.shape == (2, 730)
    assert (short.roles == TRAIN).all()
    assert short.sites.names == data.sites.names
    np.testing.assert_array_equal(short.sites.site.calendar.year[:, -1], 2002)
    # What a spin-up passes through stays, whether trained on or not.
    longer = until_last_training_year(data, spin_up_days=900)
    assert longer.sites.site.valid.shape == (2, 900)
