import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from inversion_toys import NAMES, RespiringModel, known_sites, problem

from kgml_jax.inversion import posterior
from kgml_jax.inversion.diagnosis import diagnose
from kgml_jax.inversion.prediction import predict_with_intervals
from kgml_jax.sites import TEST, TRAIN, VALIDATION

TRUTH = np.array([[0.3, -0.2, 0.4], [-0.5, 0.1, 0.2], [0.0, 0.6, -0.3]])
NOISE = 0.3


@pytest.fixture(scope="module")
def calibrated():
    task = problem(RespiringModel(), names=(*NAMES, "degree_day_factor"))
    truth = np.concatenate([TRUTH, np.zeros((3, 1))], axis=1).astype(np.float32)
    sites = known_sites(problem(), TRUTH, NOISE)
    return task, task.model.init(jax.random.key(0)), sites, truth, toys.roles(sites)


@pytest.fixture(scope="module")
def diagnosed(calibrated):
    task, weights, sites, truth, roles = calibrated
    return diagnose(task, weights, sites, 0 * truth, truth, roles=roles, site_batch=2)


def test_every_site_has_the_posterior_of_its_training_days(calibrated, diagnosed):
    task, weights, sites, truth, roles = calibrated
    for row, name in enumerate(sites.names):
        site = sites.one(name)
        days = jnp.asarray(roles[row] == TRAIN)
        trained = site.replace(mask={key: mask & days for key, mask in site.mask.items()})
        misfits = lambda z, site=trained: task.misfits(task.predict(weights, z, site), site)
        jacobian = jax.jacfwd(misfits)(jnp.asarray(truth[row]))
        alone = posterior.laplace(jacobian, jnp.asarray(task.prior_sd))
        np.testing.assert_allclose(diagnosed.posterior.sd[row], alone.sd, rtol=2e-4)


def test_what_nothing_tells_of_is_flagged_with_what_hides_it(calibrated, diagnosed):
    task, *_ = calibrated
    identified = diagnosed.identification.identified
    assert identified[:, :3].all()
    assert not identified[:, 3].any()
    np.testing.assert_allclose(diagnosed.posterior.sd[:, 3], task.prior_sd[3], rtol=1e-4)
    # Reco is known, its parts are not: after the data only their difference is open.
    assert (diagnosed.partition.difference_to_sum > 5).all()
    assert (diagnosed.partition.correlation < -0.9).all()
    assert (diagnosed.prior_partition.difference_to_sum < 5).all()


def test_parameters_come_in_their_own_units_inside_their_bounds(diagnosed):
    curve_number = diagnosed.parameters.value[:, 2]
    assert ((curve_number > 60) & (curve_number < 92)).all()
    assert np.argsort(curve_number).tolist() == np.argsort(TRUTH[:, 2]).tolist()
    assert (diagnosed.parameters.lower < diagnosed.parameters.value).all()
    assert (diagnosed.parameters.value < diagnosed.parameters.upper).all()


@pytest.fixture(scope="module")
def predicted(calibrated, diagnosed):
    task, weights, sites, truth, roles = calibrated
    factor = diagnosed.posterior.factor
    return predict_with_intervals(task, weights, sites, truth, factor, roles, site_batch=2)


def test_intervals_cover_the_test_days_as_often_as_they_say(calibrated, predicted):
    sites, roles = calibrated[2], calibrated[-1]
    assert set(predicted) == {"NEE", "Reco"}
    for name, found in predicted.items():
        count = (sites.site.mask[name] & (roles == TEST)).sum(axis=1)
        np.testing.assert_array_equal(found.gaussian.count, count)
        assert np.abs(found.gaussian.coverage - 0.9).max() < 0.06
        assert np.abs(found.conformal.coverage - 0.9).max() < 0.08
        assert np.abs(found.sd / NOISE - 1).max() < 0.2


def test_conformal_intervals_mend_what_the_model_has_wrong(calibrated, diagnosed):
    task, weights, sites, truth, roles = calibrated
    wrong = truth + np.array([0.0, 1.0, 0.0, 0.0], np.float32)
    factor = diagnosed.posterior.factor
    found = predict_with_intervals(task, weights, sites, wrong, factor, roles)["Reco"]
    assert (found.gaussian.coverage < 0.2).all()
    assert (found.conformal.coverage > 0.8).all()
    assert (found.factor > 1.645).all()


def test_without_validation_days_no_width_is_promised(calibrated, diagnosed):
    task, weights, sites, truth, roles = calibrated
    none = np.where(roles == VALIDATION, 0, roles)
    factor = diagnosed.posterior.factor
    found = predict_with_intervals(task, weights, sites, truth, factor, none)["NEE"]
    assert np.isinf(found.factor).all()
    assert (found.conformal.coverage == 1).all()
