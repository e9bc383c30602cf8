import numpy as np
import pytest

from kgml_jax.inversion.groups import group_effects

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


def joint(designs, data, share):
    """Means of mu and of every delta by one least-squares problem."""
    sites = len(designs)
    rows, values = [], []
    for place, (a, y) in enumerate(zip(designs, data, strict=True)):
        block = np.zeros((len(y), 2 + 2 * sites))
        block[:, :2] = a
        block[:, 2 + 2 * place : 4 + 2 * place] = a
        rows.append(block)
        values.append(y)
    sd = np.concatenate([np.sqrt(share) * PRIOR_SD] + sites * [np.sqrt(1 - share) * PRIOR_SD])
    rows.append(np.diag(1 / sd))
    values.append(np.zeros(len(sd)))
    return np.linalg.lstsq(np.vstack(rows), np.concatenate(values), rcond=None)[0][:2]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_effect_of_a_group_is_that_of_the_joint_posterior(linear, share):
    designs, data, offsets, covariance = linear
    effects, left = group_effects(offsets, covariance, GROUPS, PRIOR_SD, share)
    np.testing.assert_allclose(effects[0], joint(designs[:3], data[:3], share), atol=1e-8)
    np.testing.assert_allclose(effects[3], joint(designs[3:], data[3:], share), atol=1e-8)
    np.testing.assert_array_equal(effects[0], effects[1])
    np.testing.assert_allclose(left, np.sqrt(1 - share) * PRIOR_SD)


def test_a_site_without_data_changes_nothing(linear):
    *_, offsets, covariance = linear
    with_it, _ = group_effects(offsets, covariance, GROUPS, PRIOR_SD)
    kept = [0, 2]
    without, _ = group_effects(offsets[kept], covariance[kept], (0, 0), PRIOR_SD)
    np.testing.assert_allclose(with_it[0], without[0], atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_shares_of_nothing_or_everything_are_refused(linear, share):
    *_, offsets, covariance = linear
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        group_effects(offsets, covariance, GROUPS, PRIOR_SD, share)
