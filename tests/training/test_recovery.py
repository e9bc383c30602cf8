"""A pretraining in which something is not finite names it, and goes on without it."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import toys

from kgml_jax.training.fit import Settings
from kgml_jax.training.health import troubles
from kgml_jax.training.joint import (
    DivergedError,
    descent_of,
    left_out,
    pretrain,
)
from kgml_jax.training.recovery import RESTARTS, SLOWER
from kgml_jax.training.windows import make_joint_data, without_sites

MODEL = toys.ToyModel()
SETTINGS = Settings(steps=40, batch=3, learning_rate=0.05, validate_every=10, dropout=False)


@pytest.fixture(scope="module")
def sites():
    return toys.sites()


@pytest.fixture(scope="module")
def windows(sites):
    return make_joint_data(toys.divided(sites), list(range(len(sites))), 30)


@pytest.fixture(scope="module")
def names(sites):
    return dict(zip(np.asarray(sites.site.identity).tolist(), sites.names, strict=True))


def identity(sites, row):
    return int(np.asarray(sites.site.identity)[row])


def spoilt(windows, sites, row, value, where="targets"):
    return toys.spoilt(windows, identity(sites, row), value, where)


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def trained(data, names=None, model=MODEL, settings=SETTINGS, **options):
    weights = model.init(jax.random.key(0))
    key = jax.random.key(2)
    return pretrain(model, toys.OBJECTIVE, weights, data, settings, key, names=names, **options)


@pytest.mark.parametrize("where", ["targets", "forcing"])
def test_a_site_that_is_not_finite_is_left_out_and_the_others_learn_as_without_it(
    sites, windows, names, where
):
    data, _ = spoilt(windows, sites, 1, np.nan, where)
    best, fit = trained(data, names)
    assert list(left_out(fit, data)) == [identity(sites, 1)]
    assert fit.healthy
    assert float(fit.best_error) < 0.5 * float(fit.start_error)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(best))


def test_what_is_left_out_counts_for_nothing(sites, windows, names):
    # Whatever the site holds, the others end with the same numbers.
    ends = [trained(spoilt(windows, sites, 1, value)[0], names)[0] for value in (np.nan, np.inf)]
    assert_equal(*ends)
    rest = without_sites(windows, np.array([identity(sites, 1)]))
    assert not rest.training.valid[windows.training.identity == identity(sites, 1)].any()
    assert identity(sites, 1) not in rest.training.identity


def test_healthy_sites_give_the_same_numbers_whether_one_may_be_left_out_or_not(windows, names):
    best, fit = trained(windows, names)
    plain, alone = trained(windows)
    assert_equal((best, fit.best_error, fit.optimiser), (plain, alone.best_error, alone.optimiser))
    assert not left_out(fit, windows)
    assert not fit.restarts


@pytest.mark.parametrize(
    ("value", "where", "said"),
    [
        (np.nan, "targets", "observed NEE of {date} is nan (training days)"),
        (np.inf, "forcing", "air_temperature_mean of {date} is inf (training days)"),
        (1e30, "targets", "largest value is observed NEE of {date}, 1e+30 (training days)"),
    ],
)
def test_the_first_day_that_is_not_finite_is_named(sites, windows, value, where, said):
    data, date = spoilt(windows, sites, 1, value, where)
    descent = descent_of(MODEL, toys.OBJECTIVE, SETTINGS)
    weights = MODEL.init(jax.random.key(0))
    found = troubles(descent, weights, weights, data)
    assert list(found) == [identity(sites, 1)]
    assert found[identity(sites, 1)].endswith(said.format(date=date))
    assert not troubles(descent, weights, weights, windows)


def test_where_most_sites_are_not_finite_the_first_is_named_and_nothing_is_left_out(
    sites, windows, names
):
    data = windows
    for row in range(3):
        data, _ = spoilt(data, sites, row, np.nan)
    with pytest.raises(DivergedError, match="first at IA-00: observed NEE"):
        trained(data, names)


FAST = replace(SETTINGS, learning_rate=2.0, steps=60, patience=20)


def test_a_descent_that_goes_astray_goes_on_from_its_best_at_a_lower_rate(windows, names):
    _, fit = trained(windows, names, toys.BrittleModel(), FAST)
    assert 0 < len(fit.restarts) <= RESTARTS
    assert np.isclose(fit.rate, FAST.learning_rate * SLOWER ** len(fit.restarts))
    assert not left_out(fit, windows)
    assert float(fit.best_error) < float(fit.start_error)


def test_restarts_are_bounded_and_then_the_rate_is_blamed(windows, names):
    with pytest.raises(DivergedError, match="3 restarts at rates down to 0"):
        trained(windows, names, toys.BrittleModel(), replace(FAST, learning_rate=1e6))
