import numpy as np
import pytest
import xarray as xr

from kgml_jax.evaluation.recovery import misjudged, recovery, recovery_where_identified

PARAMETERS = ["known", "blurred", "constant", "reversed"]


@pytest.fixture
def twins():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, (4000, 4))
    noise = rng.normal(size=truth.shape)
    estimate = truth + noise * np.array([0.0, 1.0, 0.0, 0.0])
    estimate[:, 2] = 0.0
    estimate[:, 3] *= -1
    array = lambda values: xr.DataArray(
        np.broadcast_to(values, truth.shape),
        dims=("site", "parameter"),
        coords={"parameter": PARAMETERS},
    )
    return array(truth), array(estimate), array(np.array([0.1, 1.0, 2.0, 0.1]))


def test_recovery_of_known_errors(twins):
    found = recovery(*twins)
    r = dict(zip(PARAMETERS, found["r"].values, strict=True))
    assert r["known"] == pytest.approx(1)
    assert r["blurred"] == pytest.approx(2 / np.sqrt(5), abs=0.01)
    assert np.isnan(r["constant"])
    assert r["reversed"] == pytest.approx(-1)
    np.testing.assert_allclose(found["nrmse"], [0, 0.5, 1, 2], atol=0.02)
    np.testing.assert_allclose(found["coverage"][:3], [1, 0.9, 0.9], atol=0.015)
    assert found["coverage"][3] < 0.1


def test_only_what_is_declared_and_not_recovered_is_misjudged(twins):
    found = recovery(*twins)
    flags = xr.DataArray(np.ones((10, 4)), dims=("site", "parameter"))
    assert misjudged(found, flags, 0.9).values.tolist() == [False, True, True, True]
    assert not misjudged(found, 0 * flags, 0.9).any()
    rarely = flags.where(flags.cumsum("site") <= 4, 0.0)
    assert not misjudged(found, rarely, 0.9).any()


def test_where_it_is_identified_is_judged_by_these_sites_alone(twins):
    truth, estimate, _ = twins
    flags = xr.zeros_like(truth)
    flags[:10] = 1.0
    flags[9, 3] = 0.0
    # Elsewhere the estimate tells nothing of the truth.
    elsewhere = estimate.where(flags.any("parameter"), -truth)
    found = recovery_where_identified(truth, elsewhere, flags)
    assert found.sizes == {"parameter": 4}
    r = dict(zip(PARAMETERS, found.values, strict=True))
    assert r["known"] == pytest.approx(1)
    expected = np.corrcoef(truth[:10, 1], estimate[:10, 1])[0, 1]
    assert r["blurred"] == pytest.approx(expected)
    assert np.isnan(r["constant"])
    # Nine sites are too few, unless nine are enough.
    assert np.isnan(r["reversed"])
    enough = recovery_where_identified(truth, elsewhere, flags, least_sites=9)
    assert enough[3] == pytest.approx(-1)


def test_nothing_identified_has_no_correlation(twins):
    truth, estimate, _ = twins
    assert recovery_where_identified(truth, estimate, xr.zeros_like(truth)).isnull().all()
