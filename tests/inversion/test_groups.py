import numpy as np
import pytest

from kgml_jax.inversion.groups import group_priors

PRIOR_SD = np.array([0.5, 0.8])
GROUPS = (0, 0, 0, 1)


@pytest.fixture(scope="module")
def linear():
    """Sites that observe `A_s z_s + noise`, of which the second hardly sees anything."""
    rng = np.random.default_rng(0)
    designs = [rng.normal(size=(5, 2)) * size for size in (1.0, 1e-4, 2.0, 0.7)]
    data = [rng.normal(1.0, 1.0, 5) for _ in designs]
    covariance = [np.linalg.inv(a.T @ a + np.diag(PRIOR_SD**-2)) for a in designs]
    offsets = np.array([c @ a.T @ y for a, y, c in zip(designs, data, covariance, strict=True)])
    return designs, data, offsets, np.array(covariance)


def joint(designs, data, share, prior_sd=PRIOR_SD):
    """Mean and covariance of mu and of every delta, by one least-squares problem."""
    sites, size = len(designs), len(prior_sd)
    rows, values = [], []
    for place, (a, y) in enumerate(zip(designs, data, strict=True)):
        block = np.zeros((len(y), size * (1 + sites)))
        block[:, :size] = a
        block[:, size * (1 + place) : size * (2 + place)] = a
        rows.append(block)
        values.append(y)
    sd = np.concatenate([np.sqrt(share) * prior_sd] + sites * [np.sqrt(1 - share) * prior_sd])
    rows.append(np.diag(1 / sd))
    values.append(np.zeros(len(sd)))
    matrix = np.vstack(rows)
    mean = np.linalg.lstsq(matrix, np.concatenate(values), rcond=None)[0]
    return mean, np.linalg.inv(matrix.T @ matrix)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_site_expects_what_the_others_of_its_group_share(linear, share):
    designs, data, offsets, covariance = linear
    mean, spread = group_priors(offsets, covariance, GROUPS, PRIOR_SD, share)
    for row in range(3):
        others = [site for site in range(3) if site != row]
        of_group, cov = joint([designs[i] for i in others], [data[i] for i in others], share)
        np.testing.assert_allclose(mean[row], of_group[:2], atol=1e-8)
        total = (1 - share) * PRIOR_SD**2 + np.diag(cov)[:2]
        np.testing.assert_allclose(spread[row] ** 2, total, atol=1e-8)


def test_alone_in_its_group_a_site_has_the_prior(linear):
    *_, offsets, covariance = linear
    mean, spread = group_priors(offsets, covariance, GROUPS, PRIOR_SD)
    np.testing.assert_array_equal(mean[3], 0.0)
    np.testing.assert_allclose(spread[3], PRIOR_SD)


def test_with_its_own_data_a_site_has_the_joint_posterior():
    """One parameter: every site is estimated with the prior that the others give it."""
    rng = np.random.default_rng(1)
    designs = [rng.normal(size=(4, 1)) for _ in range(3)]
    data = [rng.normal(1.0, 1.0, 4) for _ in range(3)]
    sd = PRIOR_SD[:1]
    covariance = np.array([np.linalg.inv(a.T @ a + np.diag(sd**-2)) for a in designs])
    offsets = np.array([c @ a.T @ y for a, y, c in zip(designs, data, covariance, strict=True)])
    mean, spread = group_priors(offsets, covariance, (0, 0, 0), sd)
    expected, cov = joint(designs, data, 0.5, sd)
    for row, (a, y) in enumerate(zip(designs, data, strict=True)):
        precision = float((a.T @ a)[0, 0]) + spread[row, 0] ** -2
        own = (float((a.T @ y)[0]) + mean[row, 0] * spread[row, 0] ** -2) / precision
        assert own == pytest.approx(expected[0] + expected[1 + row])
        both = np.eye(1, 4, 0) + np.eye(1, 4, 1 + row)
        assert 1 / precision == pytest.approx((both @ cov @ both.T)[0, 0])


def test_a_site_without_data_changes_nothing(linear):
    *_, offsets, covariance = linear
    with_it, _ = group_priors(offsets, covariance, GROUPS, PRIOR_SD)
    kept = [0, 2]
    without, _ = group_priors(offsets[kept], covariance[kept], (0, 0), PRIOR_SD)
    np.testing.assert_allclose(with_it[0], without[0], atol=1e-4)


@pytest.mark.parametrize("broken", ["offsets", "covariance"])
def test_a_site_that_is_no_number_counts_as_one_without_data(linear, broken):
    offsets, covariance = linear[2].copy(), linear[3].copy()
    {"offsets": offsets, "covariance": covariance}[broken][2, 0] = np.nan
    mean, spread = group_priors(offsets, covariance, GROUPS, PRIOR_SD)
    kept = [0, 1]
    expected = group_priors(offsets[kept], covariance[kept], (0, 0), PRIOR_SD)
    np.testing.assert_array_equal(mean[:2], expected[0])
    np.testing.assert_array_equal(spread[:2], expected[1])
    assert np.isfinite(mean[2]).all()
    assert (spread[2] < PRIOR_SD).any()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_shares_of_nothing_or_everything_are_refused(linear, share):
    *_, offsets, covariance = linear
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        group_priors(offsets, covariance, GROUPS, PRIOR_SD, share)
