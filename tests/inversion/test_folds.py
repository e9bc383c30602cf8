"""The gate by days held out in turn: what it keeps, what it refuses, and what it costs."""

import dataclasses

import inversion_toys
import jax
import numpy as np
import pytest
import toys

from kgml_jax.data.folds import deal
from kgml_jax.inversion.folds import estimate_by_folds, predict_held_out, tile
from kgml_jax.inversion.problem import observed
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import TEST, TRAIN, VALIDATION

PROBLEM = inversion_toys.problem()
TRUTH = np.random.default_rng(0).normal(0, 0.4, (3, 3))
KEY = jax.random.key(0)
WEIGHTS = {"process": dict.fromkeys(quantities(Params), np.float32(0.0))}
SOLVER = LevenbergMarquardt(iterations=8, cost_tolerance=1e-9, step_tolerance=1e-6)


def in_year(data, row, year, value):
    """`data` with all targets of one site replaced in one year."""
    site = data.sites.site
    days = np.asarray(site.calendar.year)[row] == year
    targets = {name: values.copy() for name, values in site.targets.items()}
    for name, values in targets.items():
        values[row, days] = np.where(site.mask[name][row, days], value, 0.0)
    sites = dataclasses.replace(data.sites, site=site.replace(targets=targets))
    return dataclasses.replace(data, sites=sites)


@pytest.fixture(scope="module")
def data():
    # Three years train, one validates, one is tested.
    table = inversion_toys.known_sites(PROBLEM, TRUTH, noise=0.1, years=5)
    data = toys.divided(table)
    # The last year before the test is one like no other: the prior's own prediction.
    return in_year(data, 0, 2004, 0.0)


@pytest.fixture(scope="module")
def found(data):
    return estimate_by_folds(PROBLEM, WEIGHTS, data, deal(data, 3), SOLVER, KEY, site_batch=2)


def test_one_strange_validation_year_misleads_where_folds_do_not(data, found):
    by_validation = estimate(PROBLEM, WEIGHTS, data, SOLVER, KEY)
    np.testing.assert_array_equal(by_validation.accepted, [False, True, True])
    assert found[0].accepted.all()
    # One year of four pulls the estimate by about a quarter of its way.
    np.testing.assert_allclose(found[0].offsets[0], TRUTH[0], atol=0.35 * np.abs(TRUTH[0]).max())


def test_the_estimate_is_that_of_all_days_that_are_not_tested(data, found):
    for row, name in enumerate(data.sites.names[1:], start=1):
        site = observed(data.sites.one(name), data.roles[row] != TEST)
        expected = inversion_toys.linear_solution(PROBLEM, site)
        np.testing.assert_allclose(found[0].offsets[row], expected, atol=1e-5)  # single precision


def test_a_site_whose_years_contradict_each_other_keeps_the_base_to_the_bit(data):
    # What two of its years say is the opposite of what the other two do.
    flipped = data
    for year, value in ((2001, 4.0), (2002, -4.0), (2003, 4.0), (2004, -4.0)):
        flipped = in_year(flipped, 1, year, value)
    base = np.tile([0.1, -0.2, 0.3], (3, 1))
    year = np.asarray(data.sites.site.calendar.year)
    fold = np.where(data.roles == TEST, -1, np.where(year == 2001, 2, year % 2))
    kept, held = estimate_by_folds(
        PROBLEM, WEIGHTS, flipped, fold, SOLVER, KEY, base=base, site_batch=2
    )
    assert not kept.accepted[1]
    np.testing.assert_array_equal(kept.offsets[1], 0.0)
    np.testing.assert_array_equal(held.offsets[1], 0.0)
    np.testing.assert_array_equal(kept.base, base.astype(kept.base.dtype))
    assert kept.estimate.validation_error[1] == kept.prior.validation_error[1]


def test_every_fold_of_every_site_has_the_solution_of_its_own_normal_equations(data, found):
    fold = found[1].fold
    for row, name in enumerate(data.sites.names):
        site, square, count = data.sites.one(name), 0.0, 0
        for one in range(3):
            days = fold[row] == one
            learnt = observed(site, ~days & (data.roles[row] != TEST))
            expected = inversion_toys.linear_solution(PROBLEM, learnt)
            # Single precision: sums over about a thousand days.
            np.testing.assert_allclose(found[1].offsets[row, one], expected, atol=1e-5)
            fluxes = PROBLEM.predict(WEIGHTS, found[1].offsets[row, one], site)
            square += float(np.sum(PROBLEM.misfits(fluxes, observed(site, days)) ** 2))
            count += int(PROBLEM.observations(observed(site, days)))
        assert found[0].estimate.validation_count[row] == count
        np.testing.assert_allclose(
            found[0].estimate.validation_error[row], square / count, rtol=1e-4
        )
    # Three more searches, of which each cost something.
    assert (found[0].evaluations > 4 * 3).all()


def test_every_day_is_predicted_by_the_fold_that_did_not_see_it(data, found):
    fold, offsets = found[1].fold, found[1].offsets
    values = predict_held_out(PROBLEM, WEIGHTS, data, found[0].base, found[1])
    for row, name in enumerate(data.sites.names):
        for one in range(3):
            expected = PROBLEM.predict(WEIGHTS, offsets[row, one], data.sites.one(name))["NEE"]
            days = fold[row] == one
            np.testing.assert_allclose(values["NEE"][row, days], expected[days], rtol=1e-5)


def test_test_days_move_nothing(data, found):
    other = in_year(data, 0, 2005, 50.0)
    again, _ = estimate_by_folds(PROBLEM, WEIGHTS, other, deal(other, 3), SOLVER, KEY, site_batch=2)
    np.testing.assert_array_equal(again.offsets, found[0].offsets)


def test_tiled_sites_hold_out_each_fold_and_then_nothing(data):
    fold = deal(data, 3)
    tiled = tile(data, fold, 3)
    assert len(tiled) == 12
    for row in range(4):
        np.testing.assert_array_equal(tiled.roles[row] == VALIDATION, fold[0] == row)
        np.testing.assert_array_equal(tiled.roles[row] == TEST, data.roles[0] == TEST)
    np.testing.assert_array_equal(tiled.roles[3] == TRAIN, data.roles[0] != TEST)
