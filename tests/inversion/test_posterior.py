from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled

from kgml_jax.bijections import constrain, unconstrain
from kgml_jax.inversion import posterior as posteriors
from kgml_jax.inversion.posterior import (
    IDENTIFIED_SHRINKAGE,
    at_bound,
)
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities

pytestmark = pytest.mark.usefixtures("x64")

laplace, identify = compiled(posteriors.laplace), compiled(posteriors.identify)
respiration_partition = compiled(posteriors.respiration_partition)


def estimate(offsets, sd, names, **how):
    return compiled(lambda *moments: posteriors.estimate(*moments, names, **how))(offsets, sd)


PRIOR_SD = np.array([0.3, 0.4, 0.5, 0.6])


def jacobian(seed=0, rows=40, columns=4):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def exact_covariance(rows, prior_sd):
    return np.linalg.inv(rows.T @ rows + np.diag(prior_sd**-2.0))


def shared(prior_sd, of):
    """Gradients that see only the sum of the first `of` parameters, and every other alone."""
    return np.vstack([np.r_[np.ones(of), np.zeros(prior_sd.size - of)], np.eye(prior_sd.size)[of:]])


@pytest.mark.parametrize("rows", [2, 4, 40])
def test_the_posterior_of_a_linear_model_is_exact(rows):
    seen = jacobian(rows=rows)
    posterior = laplace(np.asarray(seen), np.asarray(PRIOR_SD))
    covariance = exact_covariance(seen, PRIOR_SD)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-10)
    np.testing.assert_allclose(posterior.sd, sd, atol=1e-10)
    np.testing.assert_allclose(posterior.correlation, covariance / np.outer(sd, sd), atol=1e-10)
    np.testing.assert_allclose(posterior.shrinkage, 1 - sd / PRIOR_SD, atol=1e-10)
    averaging_kernel = np.eye(4) - covariance @ np.diag(PRIOR_SD**-2.0)
    np.testing.assert_allclose(posterior.degrees_of_freedom, np.trace(averaging_kernel), atol=1e-10)
    np.testing.assert_allclose(
        posterior.expected_recovery**2, np.diag(averaging_kernel), atol=1e-10
    )


def test_conditioning_is_that_of_the_prior_scaled_jacobian():
    scaled = jacobian() * PRIOR_SD
    posterior = laplace(np.asarray(jacobian()), np.asarray(PRIOR_SD))
    np.testing.assert_allclose(
        posterior.singular_values, np.linalg.svd(scaled, compute_uv=False), rtol=1e-12
    )
    np.testing.assert_allclose(posterior.condition_number, np.linalg.cond(scaled.T @ scaled))
    blind = laplace(np.zeros((5, 4)), np.asarray(PRIOR_SD))
    assert np.isinf(blind.condition_number)
    assert blind.degrees_of_freedom == 0


def test_what_the_data_do_not_see_keeps_its_prior_and_is_flagged():
    seen = 10 * jacobian()
    seen[:, 1] = 0
    posterior = laplace(np.asarray(seen), np.asarray(PRIOR_SD))
    np.testing.assert_allclose(posterior.sd[1], PRIOR_SD[1], rtol=1e-12)
    np.testing.assert_allclose(posterior.shrinkage[1], 0, atol=1e-12)
    found = identify(posterior, np.zeros(4, bool), np.zeros(4))
    np.testing.assert_array_equal(found.identified, [True, False, True, True])
    np.testing.assert_allclose(found.trade_off[1], 0, atol=1e-12)


def test_two_parameters_that_trade_off_hide_behind_each_other():
    sharpness = 1e4
    prior_sd = np.full(4, 0.5)
    seen = sharpness * shared(prior_sd, 2)
    posterior = laplace(np.asarray(seen), np.asarray(prior_sd))
    found = identify(posterior, np.zeros(4, bool), np.zeros(4))
    # 1 - |r| is the share of the prior variance of their sum which is left: about 1 / sharpness^2.
    np.testing.assert_allclose(posterior.correlation[0, 1], -1, atol=1e-7)
    np.testing.assert_allclose(found.trade_off[:2], -1, atol=1e-7)
    np.testing.assert_array_equal(found.partner[:2], [1, 0])
    np.testing.assert_array_equal(found.identified, [False, False, True, True])


@pytest.mark.parametrize("of", [2, 3])
def test_parameters_seen_only_in_sum_are_all_flagged_however_sharp_the_data(of):
    prior_sd = np.full(4, 0.5)
    # All differences but the one direction that no row sees are known exactly.
    blind = np.r_[np.ones(of), np.zeros(4 - of)] / np.sqrt(of)
    seen = 1e6 * (np.eye(4) - np.outer(blind, blind))
    posterior = laplace(np.asarray(seen), np.asarray(prior_sd))
    np.testing.assert_allclose(posterior.shrinkage[:of], 1 - of**-0.5, atol=1e-6)
    found = identify(posterior, np.zeros(4, bool), np.zeros(4))
    np.testing.assert_array_equal(found.identified, np.arange(4) >= of)


@pytest.mark.parametrize("seed", range(5))
def test_more_data_never_widen_and_shrinkage_stays_a_share(seed):
    rng = np.random.default_rng(seed)
    rows = jacobian(seed, rows=12) * 10.0 ** rng.uniform(-3, 3, (12, 1))
    posteriors = [laplace(np.asarray(rows[:n]), np.asarray(PRIOR_SD)) for n in (1, 3, 6, 12)]
    for fewer, more in pairwise(posteriors):
        assert np.all(more.sd <= fewer.sd * (1 + 1e-12))
        assert more.degrees_of_freedom >= fewer.degrees_of_freedom - 1e-12
    shrinkage = np.stack([posterior.shrinkage for posterior in posteriors])
    assert np.all((shrinkage >= -1e-12) & (shrinkage <= 1))


def test_expected_recovery_is_the_correlation_over_sites_drawn_from_the_prior():
    rng = np.random.default_rng(0)
    rows, sites = jacobian(rows=6) * [4.0, 1.0, 0.3, 2.0], 20_000
    truth = PRIOR_SD * rng.normal(size=(sites, 4))
    observed = truth @ rows.T + rng.normal(size=(sites, 6))
    found = observed @ rows @ exact_covariance(rows, PRIOR_SD)
    recovery = [np.corrcoef(truth[:, i], found[:, i])[0, 1] for i in range(4)]
    posterior = laplace(np.asarray(rows), np.asarray(PRIOR_SD))
    # Four standard errors of a correlation of 20,000 pairs.
    np.testing.assert_allclose(posterior.expected_recovery, recovery, atol=4 / np.sqrt(sites))
    assert recovery[0] > 0.8 > recovery[2]


def test_the_threshold_promises_more_than_the_recovery_asked_of_noisy_twins():
    assert np.sqrt(1 - (1 - IDENTIFIED_SHRINKAGE) ** 2) > 0.7


def test_a_parameter_at_a_bound_is_not_identified_however_sharp():
    names = ("vcmax_multiplier", "growth_rate")
    bounded = at_bound(np.asarray([0.2, 6.0]), names)
    np.testing.assert_array_equal(bounded, [False, True])
    np.testing.assert_array_equal(at_bound(np.asarray([-6.0, 0.0]), names), [True, False])
    posterior = laplace(1e3 * np.eye(2), np.asarray([0.5, 0.5]))
    found = identify(posterior, bounded, np.asarray([-2.5, 1.0]))
    np.testing.assert_array_equal(found.identified, [True, False])
    np.testing.assert_array_equal(found.conflicting, [True, False])


def test_a_failed_site_identifies_nothing_and_leaves_its_neighbour_alone():
    rows, broken = jacobian() * 10, jacobian() * 10
    broken[3, 2] = np.nan
    sites = np.stack([rows, broken])
    both = compiled(jax.vmap(posteriors.laplace, (0, None)))(sites, np.asarray(PRIOR_SD))
    flags = compiled(jax.vmap(posteriors.identify))(
        both, np.zeros((2, 4), bool), np.zeros((2, 4))
    ).identified
    np.testing.assert_array_equal(flags, [[True] * 4, [False] * 4])
    alone = laplace(rows, np.asarray(PRIOR_SD))
    np.testing.assert_allclose(both.sd[0], alone.sd, rtol=1e-12)


def test_single_precision_keeps_the_weak_direction():
    # Ten years of days, singular values from 3e3 down to 1: J^T J has a condition of 1e7.
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(3650, 4)))
    right, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    rows = left * [3e3, 3e2, 30.0, 1.0] @ right.T
    prior_sd = np.full(4, 1.0)
    single = laplace(np.asarray(rows, np.float32), np.asarray(prior_sd, np.float32))
    assert single.sd.dtype == jnp.float32
    expected = np.sqrt(np.diag(exact_covariance(rows, prior_sd)))
    # The last singular value is known to 3e3 times the rounding of 6e-8, times a few.
    np.testing.assert_allclose(single.sd, expected, rtol=1e-3)


def test_net_exchange_alone_does_not_split_the_respirations():
    # Mean Ra and Rh of 1 g C m-2 d-1 a unit of the first and second parameter.
    ra, rh, prior_sd = np.asarray([1.0, 0.0]), np.asarray([0.0, 1.0]), np.asarray([0.5, 0.5])
    net = 20 * np.asarray([[1.0, 1.0]])
    soil = 20 * np.asarray([[0.0, 1.0]])
    before = respiration_partition(np.diag(prior_sd), ra, rh)
    ridge = respiration_partition(laplace(net, prior_sd).factor, ra, rh)
    split = respiration_partition(laplace(np.vstack([net, soil]), prior_sd).factor, ra, rh)
    np.testing.assert_allclose([before.correlation, before.difference_to_sum], [0, 1], atol=1e-12)
    # Variance of the sum 1 / (2 + 400), of the difference the prior's 1 / 2.
    np.testing.assert_allclose(ridge.difference_to_sum, np.sqrt(0.5 * 402), rtol=1e-10)
    assert ridge.correlation < -0.99
    assert ridge.ra_sd > 0.7 * before.ra_sd
    assert split.ra_sd < 0.2 * before.ra_sd
    # Sharp observations of Ra + Rh and Rh: Ra - Rh = (Ra + Rh) - 2 Rh, of 5 times their variance.
    np.testing.assert_allclose(split.difference_to_sum, np.sqrt(5), rtol=0.02)


def test_a_partition_that_no_parameter_moves_is_sure():
    factor, still = np.eye(2), np.zeros(2)
    partition = respiration_partition(factor, still, np.asarray([1.0, 2.0]))
    np.testing.assert_allclose(
        [partition.ra_sd, partition.correlation, partition.difference_to_sum], [0, 0, 1]
    )


NAMES = ("vcmax_multiplier", "growth_rate")  # logarithmic, linear


def drawn(offsets, sd, normal):
    declared = quantities(Params)
    prior = [unconstrain(np.asarray(declared[n].default), declared[n]) for n in NAMES]
    return np.stack(
        [
            constrain(prior[i] + offsets[i] + sd[i] * normal, declared[n])
            for i, n in enumerate(NAMES)
        ]
    )


def test_physical_quantiles_and_sd_are_those_of_the_mapped_gaussian():
    offsets, sd = np.asarray([0.7, -1.0]), np.asarray([0.3, 0.6])
    found = estimate(offsets, sd, NAMES, probability=0.9)
    middles = (np.arange(200_000) + 0.5) / 200_000
    sample = drawn(offsets, sd, jax.scipy.stats.norm.ppf(np.asarray(middles)))
    np.testing.assert_allclose(found.lower, np.quantile(sample, 0.05, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.upper, np.quantile(sample, 0.95, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.value, np.quantile(sample, 0.5, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.sd, sample.std(axis=1), rtol=1e-4)


def test_a_narrow_posterior_maps_by_the_slope_and_a_wide_one_stays_in_bounds():
    offsets = np.asarray([0.7, -1.0])
    value = lambda z: posteriors.estimate(z, np.ones(2), NAMES).value
    slope = np.diag(compiled(jax.jacobian(value))(offsets))
    np.testing.assert_allclose(
        estimate(offsets, np.full(2, 1e-4), NAMES).sd, 1e-4 * slope, rtol=1e-6
    )
    wide = estimate(offsets, np.full(2, 5.0), NAMES)
    bounds = np.array([quantities(Params)[name].bounds for name in NAMES])
    assert np.all(bounds[:, 0] < wide.lower)
    assert np.all(wide.upper < bounds[:, 1])
