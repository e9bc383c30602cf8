"""Folds of a fit: judged together, each blind to what it holds out."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import toys

from kgml_jax.adaptation import PRESETS
from kgml_jax.data.folds import deal
from kgml_jax.sites import TEST, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.folds import Folded
from kgml_jax.training.run import descend_together, validation_errors
from kgml_jax.training.windows import make_fit_data, make_fold_data
from kgml_jax.workflows import calibration
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.pretraining import PretrainSettings, pretrain

MODEL = toys.ToyModel()
SETTINGS = Settings(steps=30, learning_rate=0.05, validate_every=10, patience=9, dropout=False)
DESCENT = Descent(MODEL, toys.OBJECTIVE, PRESETS["bias"], SETTINGS)
WARMUP = 30


@pytest.fixture(scope="module")
def data():
    return toys.divided(toys.sites(count=3, years=5))


def shifted(data, row, year, amount):
    """`data` whose respiration is off in one year of a site."""
    site = data.sites.site
    days = np.asarray(site.calendar.year)[row] == year
    targets = {name: values.copy() for name, values in site.targets.items()}
    for name in ("Reco", "NEE"):
        here = days & site.mask[name][row]
        targets[name][row, here] += amount
    sites = replace(data.sites, site=site.replace(targets=targets))
    return DividedSites(sites, data.split, data.roles)


def windows_of(data, fold):
    return make_fold_data(data, [[row] for row in range(len(data))], WARMUP, fold)


def test_every_fold_trains_on_all_days_but_those_it_validates_on(data):
    fold = deal(data, 3)
    windows = windows_of(data, fold)
    for row in range(3):
        learnt = (data.roles[row] != TEST) & data.sites.site.mask["NEE"][row]
        for one in range(3):
            held = learnt & (fold[row] == one)
            seen = jax.tree.map(lambda leaf, at=(row, one): leaf[at], windows)
            assert seen.validation.mask["NEE"].sum() == held.sum()
            assert seen.training.mask["NEE"].sum() == (learnt & ~held).sum()


def test_a_site_with_fewer_years_than_folds_holds_nothing_out_in_the_last(data):
    fold = deal(data, 3)
    fold[1] = np.where(fold[1] == 2, 1, fold[1])
    windows = windows_of(data, fold)
    last = jax.tree.map(lambda leaf: leaf[1, 2], windows)
    assert not last.validation.mask["NEE"].any()
    assert last.training.mask["NEE"].any()


def test_folds_of_all_sites_together_descend_as_each_does_alone(data, key):
    # Rounding of single precision after 30 steps.
    weights, fold = MODEL.init(jax.random.key(5)), deal(data, 3)
    together = descend_together(Folded(DESCENT), weights, windows_of(data, fold), key)
    for one in range(3):
        apart = make_fit_data(data.holding_out(fold == one), [[0], [1], [2]], WARMUP)
        alone = descend_together(DESCENT, weights, apart, key)
        for found, single in zip(
            *map(jax.tree.leaves, (together.parameters, alone.parameters)), strict=True
        ):
            np.testing.assert_allclose(found[:, one], single, atol=1e-5)


def test_the_error_of_all_folds_counts_every_day_held_out_alike(data):
    weights, fold = MODEL.init(jax.random.key(5)), deal(data, 3)
    still = PRESETS["bias"].init(weights)
    of_each = lambda leaf: np.zeros((3, 3, *leaf.shape), leaf.dtype)
    found = validation_errors(
        Folded(DESCENT), weights, windows_of(data, fold), jax.tree.map(of_each, still)
    )
    whole = data.holding_out(fold >= 0)
    rows = [[row] for row in range(3)]
    all_days = make_fit_data(whole, rows, WARMUP, learn_from=VALIDATION)
    one_fit = jax.tree.map(lambda leaf: np.zeros((3, *leaf.shape), leaf.dtype), still)
    expected = validation_errors(DESCENT, weights, all_days, one_fit)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def base(data):
    how = PretrainSettings(steps=150, batch=4, learning_rate=0.05, warmup_days=WARMUP)
    return pretrain(MODEL, data, settings=how)


def calibrated(base, data, gate):
    how = CalibrateSettings(steps=60, batch=0, validate_every=10, patience=6, gate=gate)
    found = calibration.calibrate(base, data, "bias", settings=how)
    assert found.fits is not None
    return found, found.fits.accepted


def test_one_strange_validation_year_misleads_where_folds_do_not(data, base):
    # All years but that of validation are respired more than the pretrained model knows; there it
    # is as much less.
    years, strange = (2001, 2002, 2003), data
    for year in years:
        strange = shifted(strange, 1, year, 1.5)
    strange = shifted(strange, 1, 2004, -1.5)
    _, misled = calibrated(base, strange, "validation")
    found, accepted = calibrated(base, strange, "years")
    assert not misled[1]
    assert accepted[1]
    assert found.moved[1]


def test_a_site_that_no_fold_can_improve_keeps_the_pretrained_model_to_the_bit(data, base):
    # Its years contradict each other: what some say makes the others worse.
    strange = data
    for year, amount in ((2001, 6.0), (2002, -6.0), (2003, 6.0), (2004, -6.0)):
        strange = shifted(strange, 2, year, amount)
    found, accepted = calibrated(base, strange, "years")
    row = found.unit_of[data.sites.names[2]]
    assert not accepted[2]
    assert all(not np.asarray(leaf)[row].any() for leaf in jax.tree.leaves(found.phi))


def test_test_years_never_influence_the_folds(data, base):
    found, _ = calibrated(base, data, "years")
    other, _ = calibrated(base, shifted(data, 0, 2005, 50.0), "years")
    for left, right in zip(*map(jax.tree.leaves, (found.phi, other.phi)), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_group_is_judged_by_the_days_of_all_its_sites(data, base):
    how = CalibrateSettings(steps=20, validate_every=10, gate="years")
    found = calibration.calibrate(base, data, "group-only", settings=how)
    assert found.units == ((data.sites.names[0], data.sites.names[2]), (data.sites.names[1],))
    assert found.fits is not None
    assert np.isfinite(found.fits.validation_error).all()
