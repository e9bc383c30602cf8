"""Estimation at many sites: what one site finds, keeps and is spared."""

import dataclasses

import inversion_toys
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from inversion_toys import NAMES, changed

from kgml_jax.inversion.posterior import at_bound
from kgml_jax.inversion.problem import observed
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.evolution import CovarianceAdaptation
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.inversion.solvers.shuffled import ShuffledComplex
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import TRAIN, VALIDATION
from kgml_jax.split import DividedSites

PROBLEM = inversion_toys.problem()
TRUTH = np.random.default_rng(0).normal(0, 0.4, (4, 3))
KEY = jax.random.key(0)
WEIGHTS = {"process": dict.fromkeys(quantities(Params), np.float32(0.0))}
SOLVER = LevenbergMarquardt(iterations=8, cost_tolerance=1e-9, step_tolerance=1e-6)


@pytest.fixture(scope="module")
def table():
    return inversion_toys.known_sites(PROBLEM, TRUTH, noise=0.1)


@pytest.fixture(scope="module")
def data(table):
    return toys.divided(table)


@pytest.fixture(scope="module")
def found(data):
    return estimate(PROBLEM, WEIGHTS, data, SOLVER, KEY)


def with_targets(data, row, days, value):
    """`data` with all targets of one site replaced on some days."""
    site = data.sites.site
    targets = {name: values.copy() for name, values in site.targets.items()}
    for name, values in targets.items():
        values[row, days[row]] = np.where(site.mask[name][row, days[row]], value, 0.0)
    sites = dataclasses.replace(data.sites, site=changed(site, targets=targets))
    return dataclasses.replace(data, sites=sites)


def test_every_site_gets_the_solution_of_its_own_normal_equations(found, table, data):
    for row, name in enumerate(table.names):
        site = observed(table.one(name), data.roles[row] == TRAIN)
        expected = inversion_toys.linear_solution(PROBLEM, site)
        # Single precision: sums over about 500 days, and a condition of the scaled matrix near 10.
        np.testing.assert_allclose(found.offsets[row], expected, atol=1e-5)
    assert found.accepted.all()
    assert found.healthy.all()


def test_errors_are_those_of_the_days_of_their_role(found, table, data):
    for row, name in enumerate(table.names):
        fluxes = PROBLEM.predict(WEIGHTS, jnp.asarray(found.offsets[row]), table.one(name))
        for role, error in ((TRAIN, "training_error"), (VALIDATION, "validation_error")):
            site = observed(table.one(name), data.roles[row] == role)
            seen = np.concatenate([site.mask[s.variable] for s in PROBLEM.streams])
            expected = np.mean(np.asarray(PROBLEM.misfits(fluxes, site))[seen] ** 2)
            np.testing.assert_allclose(getattr(found.estimate, error)[row], expected, rtol=1e-4)


def test_a_site_does_not_depend_on_its_company_its_place_or_the_batch(data):
    solver = CovarianceAdaptation(evaluations=70)
    run = lambda rows, **how: estimate(
        PROBLEM, WEIGHTS, data.take(rows), solver, KEY, starts=2, **how
    )
    together, alone = run([0, 1, 2, 3], site_batch=2), run([2])
    np.testing.assert_array_equal(alone.starts[0], together.starts[2])
    np.testing.assert_allclose(alone.offsets[0], together.offsets[2], atol=1e-5)
    assert not np.allclose(together.starts[0, 1], together.starts[1, 1])


def test_a_site_that_is_no_number_keeps_its_prior_and_leaves_the_others_untouched(found, data):
    broken = with_targets(data, 1, data.roles == TRAIN, np.nan)
    after = estimate(PROBLEM, WEIGHTS, broken, SOLVER, KEY)
    np.testing.assert_array_equal(after.healthy, [True, False, True, True])
    np.testing.assert_array_equal(after.accepted, [True, False, True, True])
    np.testing.assert_array_equal(after.offsets[1], 0.0)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.offsets[others], found.offsets[others])
    np.testing.assert_array_equal(
        after.estimate.training_error[others], found.estimate.training_error[others]
    )


def test_days_that_are_not_for_training_do_not_move_the_estimate(found, data):
    other = with_targets(data, 0, data.roles != TRAIN, 50.0)
    after = estimate(PROBLEM, WEIGHTS, other, SOLVER, KEY)
    np.testing.assert_array_equal(after.solutions.offsets, found.solutions.offsets)


def test_a_site_that_validates_no_better_keeps_the_prior(found, data):
    # The validation year of the first site is the prior's own prediction.
    other = with_targets(data, 0, data.roles != TRAIN, 0.0)
    after = estimate(PROBLEM, WEIGHTS, other, SOLVER, KEY)
    np.testing.assert_array_equal(after.accepted, [False, True, True, True])
    np.testing.assert_array_equal(after.offsets[0], 0.0)
    assert after.estimate.validation_error[0] == after.prior.validation_error[0]
    assert (found.estimate.validation_error < found.prior.validation_error).all()


def test_without_validation_days_there_is_no_gate(table):
    after = estimate(PROBLEM, WEIGHTS, DividedSites.undivided(table), SOLVER, KEY)
    assert after.accepted.all()
    assert (after.estimate.validation_count == 0).all()
    # Observed days of the two streams are all there is.
    seen = sum(table.site.mask[stream.variable].sum(axis=1) for stream in PROBLEM.streams)
    spread = np.sqrt(after.estimate.training_error)
    assert (seen > 1000).all()
    # Noise of 0.1 where 0.3 is stated.
    np.testing.assert_allclose(spread, 1 / 3, atol=0.03)


def test_a_parameter_driven_to_its_bound_gets_there():
    truth = np.array([[6.0, 0.0, 0.0], [0.0, 0.0, -6.0]])
    problem = inversion_toys.problem(prior_sd=5.0)
    data = DividedSites.undivided(inversion_toys.known_sites(problem, truth))
    after = estimate(problem, WEIGHTS, data, SOLVER, KEY)
    np.testing.assert_array_equal(at_bound(after.offsets, NAMES), np.abs(truth) > 5)


def test_without_observations_a_site_keeps_its_base(table):
    nothing = {name: np.zeros_like(mask) for name, mask in table.site.mask.items()}
    unseen = dataclasses.replace(table, site=changed(table.site, mask=nothing))
    base = np.linspace(-0.5, 0.5, 12).reshape(4, 3)
    unobserved = DividedSites.undivided(unseen)
    after = estimate(PROBLEM, WEIGHTS, unobserved, SOLVER, KEY, base=base)
    np.testing.assert_array_equal(after.offsets, 0.0)
    np.testing.assert_allclose(after.base, base, rtol=1e-6)
    np.testing.assert_array_equal(after.estimate.training_error, 0.0)


def test_the_prior_is_centred_on_the_base(table):
    base = np.tile([0.3, -0.2, 0.1], (4, 1))
    tight = inversion_toys.problem(prior_sd=1e-4)
    after = estimate(tight, WEIGHTS, DividedSites.undivided(table), SOLVER, KEY, base=base)
    np.testing.assert_allclose(after.offsets, 0.0, atol=1e-3)


def test_many_starts_find_the_better_of_two_valleys():
    problem = inversion_toys.problem(
        inversion_toys.ValleyModel(), names=NAMES[:1], prior_sd=1.5, streams=("NEE",)
    )
    data = DividedSites.undivided(inversion_toys.known_sites(problem, np.full((2, 1), -1.3)))
    one = estimate(problem, WEIGHTS, data, LevenbergMarquardt(), KEY)
    many = estimate(problem, WEIGHTS, data, LevenbergMarquardt(), KEY, starts=12)
    assert (one.offsets > 0.5).all()
    np.testing.assert_allclose(many.offsets, -1.3, atol=0.02)
    np.testing.assert_array_equal(many.starts[:, 0], 0.0)
    np.testing.assert_array_equal(many.solutions.offsets[:, 0], one.solutions.offsets[:, 0])
    assert many.solutions.offsets.shape == (2, 12, 1)
    np.testing.assert_array_equal(many.chosen, many.solutions.cost.argmin(axis=1))
    np.testing.assert_array_equal(many.evaluations, many.solutions.evaluations.sum(axis=1))


def test_shuffled_complexes_go_through_the_same_door(found, data):
    pytest.importorskip("spotpy", reason="extra calib")
    solver = ShuffledComplex(evaluations=600)
    run = lambda: estimate(PROBLEM, WEIGHTS, data, solver, KEY)
    after = run()
    # A box of three standard deviations, a population that is nearly a point.
    np.testing.assert_allclose(after.offsets, found.offsets, atol=0.02)
    assert (after.solutions.cost >= found.solutions.cost - 1e-2).all()
    assert (after.evaluations > 100).all()
    costs = after.solutions.trace_cost[:, 0]
    assert (np.diff(costs, axis=1) <= 0).all()
    np.testing.assert_array_equal(after.solutions.trace_offsets[:, 0, -1], after.offsets)
    np.testing.assert_array_equal(run().offsets, after.offsets)


def test_shuffled_complexes_say_which_extra_they_need(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spotpy", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[calib\]"):
        ShuffledComplex().solve(lambda z: z, np.zeros(2), KEY)


def test_a_base_of_another_shape_is_refused(data):
    with pytest.raises(ValueError, match=r"base has shape \(4, 2\); expected \(4, 3\)"):
        estimate(PROBLEM, WEIGHTS, data, SOLVER, KEY, base=np.zeros((4, 2)))


@pytest.mark.parametrize("number", [{"site_batch": 0}, {"starts": 0}])
def test_nothing_at_once_is_refused(data, number):
    with pytest.raises(ValueError, match="expected 1 or more of each"):
        estimate(PROBLEM, WEIGHTS, data, SOLVER, KEY, **number)
