from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from inversion_toys import NAMES, RespiringModel, known_sites, problem
from programs import compiled
from scipy.stats import norm

from kgml_jax.inversion import posterior
from kgml_jax.inversion.diagnosis import diagnose
from kgml_jax.inversion.prediction import predict_with_intervals
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import DividedSites

UPDATE = "litter@2001-06-01"
TRUTH = np.array([[0.3, -0.2, 0.4], [-0.5, 0.1, 0.2], [0.0, 0.6, -0.3]])
NOISE = 0.3


@pytest.fixture(scope="module")
def calibrated():
    task = problem(RespiringModel(), names=(*NAMES, "degree_day_factor"))
    truth = np.concatenate([TRUTH, np.zeros((3, 1))], axis=1).astype(np.float32)
    sites = known_sites(problem(), TRUTH, NOISE)
    return task, task.model.init(jax.random.key(0)), toys.divided(sites), truth


@pytest.fixture(scope="module")
def diagnosed(calibrated):
    task, weights, data, truth = calibrated
    return diagnose(task, weights, data, 0 * truth, truth, site_batch=2)


def test_every_site_has_the_posterior_of_its_training_days(calibrated, diagnosed):
    task, weights, data, truth = calibrated

    @compiled
    def trained_alone(z, site):
        misfits = lambda z: task.misfits(task.predict(weights, z, site), site)
        return posterior.laplace(jax.jacfwd(misfits)(z), jnp.asarray(task.prior_sd))

    for row, name in enumerate(data.sites.names):
        site = data.sites.one(name)
        days = data.roles[row] == TRAIN
        trained = site.replace(mask={key: mask & days for key, mask in site.mask.items()})
        alone = trained_alone(np.asarray(truth[row]), trained)
        np.testing.assert_allclose(diagnosed.posterior.sd[row], alone.sd, rtol=2e-4)


def test_a_rejected_site_keeps_its_prior_and_what_its_days_identify(calibrated, diagnosed):
    task, weights, data, truth = calibrated
    kept = np.array([True, False, True])
    found = diagnose(task, weights, data, 0 * truth, truth, kept=kept, site_batch=2)
    np.testing.assert_allclose(found.posterior.sd[1], task.prior_sd, rtol=1e-5)
    np.testing.assert_array_equal(
        found.identification.identified, diagnosed.identification.identified
    )


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
    task, weights, data, truth = calibrated
    factor = diagnosed.posterior.factor
    return predict_with_intervals(task, weights, data, truth, factor, site_batch=2)


def test_intervals_cover_the_test_days_as_often_as_they_say(calibrated, predicted):
    sites, roles = calibrated[2].sites, calibrated[2].roles
    assert set(predicted) == {"NEE", "Reco"}
    for name, found in predicted.items():
        count = (sites.site.mask[name] & (roles == TEST)).sum(axis=1)
        np.testing.assert_array_equal(found.gaussian.count, count)
        assert np.abs(found.gaussian.coverage - 0.9).max() < 0.06
        assert np.abs(found.conformal.coverage - 0.9).max() < 0.08
        assert np.abs(found.sd / NOISE - 1).max() < 0.2


def test_sums_over_the_held_out_year_keep_what_the_parameters_share(
    calibrated, diagnosed, predicted
):
    task, weights, data, truth = calibrated
    sites = data.sites
    years = np.asarray(sites.site.calendar.year_index)
    for row, name in enumerate(sites.names):
        site, annual = sites.one(name), predicted["Reco"].annual
        assert annual.whole[row].tolist() == [False, False, True]
        day = task.predict(weights, jnp.asarray(truth[row]), site)["Reco"]
        last = years[row] == 2
        np.testing.assert_allclose(annual.value[row, 2], day[last].sum(), rtol=1e-4)
        # Reco is the temperature times the first offset, and the second.
        warm = np.asarray(site.forcing.air_temperature_mean, np.float64)[last].sum() / 10
        year = np.array([warm, last.sum(), 0.0, 0.0]) @ diagnosed.posterior.factor[row]
        np.testing.assert_allclose(annual.sd[row, 2], np.linalg.norm(year), rtol=1e-3)


def test_a_year_is_compared_on_its_observed_days(calibrated, predicted):
    task, weights, data, truth = calibrated
    sites, roles = data.sites, data.roles
    count = (sites.site.mask["NEE"] & (roles == TEST)).sum(axis=1)
    assert (count > 183).all()
    found = predicted["NEE"].annual.observed
    np.testing.assert_array_equal(found.count, 1)
    # Errors of the days are independent here, and the parameters are the true ones.
    assert (found.coverage == 1).mean() >= 2 / 3
    assert (found.width > 2 * norm.ppf(0.95) * NOISE * 0.9 * np.sqrt(count)).all()
    few = np.where(np.arange(roles.shape[1]) % 3 > 0, 0, roles)
    factor = np.broadcast_to(0.1 * np.eye(4, dtype=np.float32), (3, 4, 4))
    thinned = DividedSites.of_roles(sites, few)
    sparse = predict_with_intervals(task, weights, thinned, truth, factor)["NEE"].annual
    np.testing.assert_array_equal(sparse.observed.count, 0)
    assert not sparse.whole.any()


def test_conformal_intervals_mend_what_the_model_has_wrong(calibrated, diagnosed):
    task, weights, data, truth = calibrated
    wrong = truth + np.array([0.0, 1.0, 0.0, 0.0], np.float32)
    factor = diagnosed.posterior.factor
    found = predict_with_intervals(task, weights, data, wrong, factor)["Reco"]
    assert (found.gaussian.coverage < 0.2).all()
    assert (found.conformal.coverage > 0.8).all()
    assert (found.factor > 1.645).all()


def test_without_validation_days_no_width_is_promised(calibrated, diagnosed):
    task, weights, data, truth = calibrated
    roles = np.where(data.roles == VALIDATION, 0, data.roles)
    none = DividedSites.of_roles(data.sites, roles)
    factor = diagnosed.posterior.factor
    found = predict_with_intervals(task, weights, none, truth, factor)["NEE"]
    assert np.isinf(found.factor).all()
    assert (found.conformal.coverage == 1).all()


@dataclass(frozen=True)
class UpdatedModel(RespiringModel):
    """Rh from 1 June 2001 on is moved by an update."""

    def init(self, key):
        weights = super().init(key)
        return {"process": weights["process"] | {UPDATE: weights["process"]["albedo"]}}

    def predict(self, weights, site, key=None):
        fluxes = super().predict(weights, site, key)
        moved = jnp.where(site.calendar.date >= 11474, weights["process"][UPDATE], 0.0)
        return {**fluxes, "Reco": fluxes["Reco"] + moved, "Rh": fluxes["Rh"] + moved}


def test_amounts_of_updates_are_diagnosed_as_they_are():
    task = problem(UpdatedModel(), names=(*NAMES, UPDATE))
    data = DividedSites.undivided(known_sites(problem(), TRUTH, NOISE))
    offsets = np.concatenate([TRUTH, np.full((3, 1), -0.4)], axis=1).astype(np.float32)
    found = diagnose(task, task.model.init(None), data, 0 * offsets, offsets)
    sd = found.posterior.sd[:, 3]
    assert (sd < 0.1).all()
    np.testing.assert_allclose(found.parameters.value[:, 3], -0.4)
    np.testing.assert_allclose(found.parameters.sd[:, 3], sd)
    np.testing.assert_allclose(found.parameters.upper[:, 3], -0.4 + norm.ppf(0.95) * sd, rtol=1e-5)
    assert found.identification.identified.all()
    assert not found.identification.at_bound[:, 3].any()
