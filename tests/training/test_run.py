from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.adaptation import PRESETS
from kgml_jax.mapping import ROUNDING, site_mesh
from kgml_jax.sites import TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.joint import DivergedError, pretrain
from kgml_jax.training.run import calibrate, descend_together, refit
from kgml_jax.training.windows import make_fit_data, make_joint_data

MODEL = toys.ToyModel()
SETTINGS = Settings(steps=40, learning_rate=0.05, validate_every=10, patience=4, dropout=False)


def windows_of(sites):
    return make_fit_data(toys.divided(sites), [[row] for row in range(len(sites))], 30)


def joint_windows(sites):
    return make_joint_data(toys.divided(sites), list(range(len(sites))), 30)


def descent_of(settings=SETTINGS, adaptation="full", model=MODEL, start_counts=True):
    # New objects at every call, equal to those of the last.
    objective, adaptation = replace(toys.OBJECTIVE), replace(PRESETS[adaptation])
    return Descent(model, objective, adaptation, replace(settings), start_counts=start_counts)


def fit(sites, key, data=None, settings=SETTINGS, start_counts=True, **options):
    data = windows_of(sites) if data is None else data
    descent = descent_of(settings, start_counts=start_counts)
    return calibrate(descent, MODEL.init(jax.random.key(5)), data, key, **options)


def leaves(outcome):
    return jax.tree.leaves((outcome.phi, outcome.best_error, outcome.steps))


def row(outcome, index):
    return [leaf[index] for leaf in leaves(outcome)]


@pytest.fixture
def sites():
    return toys.sites()


def test_pretraining_lowers_the_error_and_returns_the_best_weights(sites, key):
    data = joint_windows(sites)
    settings = Settings(steps=60, batch=4, learning_rate=0.05, patience=10, dropout=False)
    best, state = pretrain(MODEL, toys.OBJECTIVE, MODEL.init(key), data, settings, key)
    assert float(state.best_error) < 0.5 * float(state.start_error)
    assert jax.tree.structure(best) == jax.tree.structure(MODEL.init(key))


def test_pretraining_that_diverges_says_so(sites, key):
    data = joint_windows(sites)
    data = data.replace(
        training=data.training.replace(
            targets={n: np.full_like(v, np.nan) for n, v in data.training.targets.items()}
        )
    )
    with pytest.raises(DivergedError, match="not finite"):
        pretrain(MODEL, toys.OBJECTIVE, MODEL.init(key), data, SETTINGS, key)


def test_calibration_starts_where_pretraining_ended(sites, key):
    outcome = fit(sites, key, settings=replace(SETTINGS, steps=0))
    assert all(not leaf.any() for leaf in jax.tree.leaves(outcome.phi))
    np.testing.assert_array_equal(outcome.start_error, outcome.best_error)
    assert not outcome.accepted.any()


def test_calibration_never_ends_worse_on_validation_than_it_started(sites, key):
    reckless = replace(SETTINGS, steps=30, learning_rate=5.0)
    outcome = fit(sites, key, settings=reckless)
    assert (outcome.best_error <= outcome.start_error).all()
    rejected = ~outcome.accepted
    for leaf in jax.tree.leaves(outcome.phi):
        assert not leaf[rejected].any()


def test_mapped_calibration_equals_a_loop_over_single_sites(x64, key):
    sites = toys.sites()
    together = fit(sites, key)
    for index in range(len(sites)):
        alone = fit(sites, key, data=windows_of(sites.take([index])))
        for mapped, single in zip(row(together, index), row(alone, 0), strict=True):
            np.testing.assert_allclose(mapped, single, atol=1e-8)  # float64 rounding


@pytest.mark.parametrize("site_batch", [2, 4])
def test_site_batch_does_not_change_the_result(x64, key, site_batch):
    sites = toys.sites()
    for one, many in zip(
        leaves(fit(sites, key)), leaves(fit(sites, key, site_batch=site_batch)), strict=True
    ):
        np.testing.assert_allclose(one, many, atol=1e-8)  # float64 rounding


def test_other_numbers_of_sites_and_devices_end_within_the_stated_rounding(sites, key):
    # In single precision, as programs run; `ROUNDING` is what help and documents state.
    start, data, descent = MODEL.init(jax.random.key(5)), windows_of(sites), descent_of()
    ends = [
        descend_together(descent, start, data, key, batch=batch, mesh=site_mesh(devices))
        for batch, devices in ((1, jax.local_devices()[:1]), (1, None), (4, None))
    ]
    for end in ends[1:]:
        for found, first in zip(*map(jax.tree.leaves, (end.best, ends[0].best)), strict=True):
            np.testing.assert_allclose(found, first, rtol=0, atol=ROUNDING * np.abs(first).max())
        np.testing.assert_allclose(end.best_error, ends[0].best_error, rtol=ROUNDING)


@pytest.mark.parametrize("site_batch", [1, 4])
@pytest.mark.parametrize("place", ["targets", "forcing"])
def test_a_site_that_is_not_finite_leaves_all_others_bit_identical(sites, key, site_batch, place):
    healthy = windows_of(sites)
    poison = lambda leaf: np.concatenate([leaf[:1], np.full_like(leaf[1:2], np.nan), leaf[2:]])
    training = healthy.training
    if place == "targets":
        bad = training.replace(targets={n: poison(v) for n, v in training.targets.items()})
    else:
        drivers = training.forcing
        bad = training.replace(
            forcing=drivers.replace(air_temperature_mean=poison(drivers.air_temperature_mean))
        )
    sick = fit(sites, key, data=healthy.replace(training=bad), site_batch=site_batch)
    well = fit(sites, key, data=healthy, site_batch=site_batch)
    assert sick.healthy.tolist() == [True, False, True, True]
    assert sick.steps[1] == 0
    assert all(np.isfinite(leaf[1]).all() for leaf in jax.tree.leaves(sick.phi))
    for index in (0, 2, 3):
        for a, b in zip(row(sick, index), row(well, index), strict=True):
            np.testing.assert_array_equal(a, b)


@dataclass(frozen=True)
class FiniteLossBadGradient(toys.ToyModel):
    """Adds the square root of zero to NEE: 0, with a slope that is not a number."""

    def predict(self, weights, site, key=None):
        fluxes = super().predict(weights, site, key)
        bias = weights["to_flux"]["bias"][0]
        return {**fluxes, "NEE": fluxes["NEE"] + jnp.sqrt((bias - bias) ** 2)}


def test_a_finite_loss_with_a_gradient_that_is_not_freezes_the_site_too(sites, key):
    model = FiniteLossBadGradient()
    weights = model.init(jax.random.key(5))
    outcome = calibrate(descent_of(model=model), weights, windows_of(sites), key)
    assert np.isfinite(outcome.start_error).all()
    assert not outcome.healthy.any()
    assert (outcome.steps == 0).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outcome.phi))


def test_a_fit_takes_no_step_beyond_its_limit(sites, key):
    settings = replace(SETTINGS, steps=15, learning_rate=0.01)
    assert (fit(sites, key, settings=settings).steps == 15).all()


def test_the_company_of_longer_sites_changes_nothing(x64, key):
    sites = toys.sites(years=5)
    roles = toys.roles(sites)
    roles[0, np.asarray(sites.site.calendar.year_index)[0] == 0] = 0
    members = [[0], [1], [2], [3]]
    settings = Settings(steps=20, batch=2, learning_rate=0.05, dropout=False)
    divided = DividedSites.of_roles(sites, roles)
    together = make_fit_data(divided, members, 30)
    alone = make_fit_data(divided.take([0]), [[0]], 30)
    assert together.training_count.tolist() == [2, 3, 3, 3]
    mapped = fit(sites, key, data=together, settings=settings)
    single = fit(sites, key, data=alone, settings=settings)
    for a, b in zip(row(mapped, 0), row(single, 0), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)  # float64 rounding


def test_permuting_sites_permutes_results(sites, key):
    order = [2, 0, 3, 1]
    settings = Settings(steps=20, batch=1, learning_rate=0.05, dropout=False)
    straight = fit(sites, key, settings=settings)
    shuffled = fit(sites, key, data=windows_of(sites.take(order)), settings=settings)
    for position, original in enumerate(order):
        for a, b in zip(row(shuffled, position), row(straight, original), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_site_stops_early_on_its_own(sites, key):
    settings = replace(SETTINGS, steps=200, learning_rate=0.3)
    outcome = fit(sites, key, settings=settings)
    assert outcome.steps.min() < 200
    assert len(set(outcome.steps.tolist())) > 1


def test_test_years_never_influence_a_fit(sites, key):
    changed = {n: np.where(toys.roles(sites) == 3, v + 9, v) for n, v in sites.site.targets.items()}
    other = toys.sites()
    object.__setattr__(other, "site", other.site.replace(targets=changed))
    for a, b in zip(leaves(fit(sites, key)), leaves(fit(other, key)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_from_scratch_does_not_return_its_random_start(sites, key):
    reckless = replace(SETTINGS, steps=10, learning_rate=5.0)
    outcome = fit(sites, key, settings=reckless, start_counts=False)
    assert (outcome.best_step > 0).all()


TRACED = []


@dataclass(frozen=True)
class CountedModel(toys.ToyModel):
    """Notes that it is traced, which a compiled program does once."""

    def predict(self, weights, site, key=None):
        TRACED.append(site.valid.shape)
        return super().predict(weights, site, key)


def traces(descend, **how):
    before = len(TRACED)
    descend(**how)
    return len(TRACED) - before


def calibrated(sites, key, settings=SETTINGS, start_counts=True):
    model = CountedModel()
    descent = descent_of(settings, model=model, start_counts=start_counts)
    return calibrate(descent, model.init(jax.random.key(5)), windows_of(sites), key)


def test_an_equal_calibration_is_not_compiled_again(sites, key):
    assert traces(calibrated, sites=sites, key=key) > 0
    assert traces(calibrated, sites=sites, key=jax.random.key(9)) == 0


def test_strategies_that_differ_in_what_a_fit_may_do_share_a_program(sites, key):
    calibrated(sites, key)
    other = lambda **changes: {"settings": replace(SETTINGS, **changes)}
    for same in (other(learning_rate=0.01), other(steps=20), {"start_counts": False}):
        assert traces(calibrated, sites=sites, key=key, **same) == 0
    assert traces(calibrated, sites=sites, key=key, **other(clip_norm=0.5)) > 0


@pytest.mark.parametrize("cosine", [False, True])
def test_an_equal_pretraining_is_not_compiled_again(sites, key, cosine):
    data = joint_windows(sites)

    def pretrained(**how):
        settings = Settings(
            **{"steps": 20, "batch": 4, "learning_rate": 0.05, "cosine": cosine, **how}
        )
        model = CountedModel()
        return pretrain(model, replace(toys.OBJECTIVE), model.init(key), data, settings, key)

    first = pretrained()
    assert traces(pretrained) == 0
    assert traces(pretrained, learning_rate=0.01) == 0
    # A cosine is drawn over its steps; what has none takes as many as it is told.
    assert (traces(pretrained, steps=10) > 0) == cosine
    jax.tree.map(np.testing.assert_array_equal, first[0], pretrained()[0])


def test_each_fit_takes_the_steps_it_is_allowed(sites, key):
    descent = descent_of(replace(SETTINGS, learning_rate=0.01))
    limits = np.array([0, 7, 10, 25])
    allowance = descent.allowance.replace(limit=limits)
    weights = MODEL.init(jax.random.key(5))
    found = descend_together(descent, weights, windows_of(sites), key, allowance=allowance)
    np.testing.assert_array_equal(found.step, limits)
    moved = [np.any(shift, axis=1) for shift in jax.tree.leaves(found.parameters["to_flux/bias"])]
    np.testing.assert_array_equal(moved[0], limits > 0)


def test_fits_that_start_apart_descend_as_each_would_alone(x64, key):
    sites = toys.sites(count=3)
    descent = descent_of()
    starts = jax.vmap(MODEL.init)(jax.random.split(key, 3))
    apart = descend_together(descent, starts, windows_of(sites), key, own_start=True)
    for row in range(3):
        weights = jax.tree.map(lambda leaf, row=row: leaf[row], starts)
        alone = descend_together(descent, weights, windows_of(sites.take([row])), key)
        np.testing.assert_allclose(apart.best_error[row], alone.best_error[0], atol=1e-8)  # float64


STEADY = Settings(steps=40, batch=2, learning_rate=0.05, validate_every=10, patience=9)
"""With random batches and dropout keys."""


def refitted(sites, key, data=None, found=None, settings=STEADY):
    weights = MODEL.init(jax.random.key(5))
    found = fit(sites, key, settings=settings) if found is None else found
    data = windows_of(sites) if data is None else data
    return found, refit(descent_of(settings), weights, data, key, found)


def everything_learnt(sites):
    rows = [[row] for row in range(len(sites))]
    return make_fit_data(toys.divided(sites), rows, 30, learn_from=(TRAIN, VALIDATION))


def test_a_refit_to_the_same_days_ends_where_validation_was_best(sites, key):
    found, again = refitted(sites, key)
    assert len(set(found.best_step.tolist())) > 1
    np.testing.assert_array_equal(again.steps, found.best_step)
    jax.tree.map(np.testing.assert_array_equal, again.phi, found.phi)


def test_a_refit_takes_exactly_the_best_steps_and_leaves_what_never_moved(sites, key):
    found = fit(sites, key, settings=STEADY)
    neutral = jax.tree.map(lambda leaf: leaf[:1] * 0, found.phi)
    join = lambda kept, moved: np.concatenate([kept, moved[1:]])
    best_step = np.array([0, 7, 20, 33])
    found = found.replace(best_step=best_step, phi=jax.tree.map(join, neutral, found.phi))
    found, again = refitted(sites, key, everything_learnt(sites), found)
    np.testing.assert_array_equal(again.steps, best_step)
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf[0], 0.0), again.phi)
    moved = np.asarray(again.phi["to_flux/kernel"]["shift"])
    assert (moved[1:] != np.asarray(found.phi["to_flux/kernel"]["shift"])[1:]).all()
    np.testing.assert_array_equal(again.best_error, found.best_error)


def test_a_refit_of_all_sites_equals_one_of_each_alone(x64, key):
    sites = toys.sites()
    _, together = refitted(sites, key, everything_learnt(sites))
    for row in range(len(sites)):
        alone = sites.take([row])
        _, single = refitted(alone, key, everything_learnt(alone))
        assert single.steps[0] == together.steps[row]
        for mapped, one in zip(
            jax.tree.leaves(together.phi), jax.tree.leaves(single.phi), strict=True
        ):
            np.testing.assert_allclose(mapped[row], one[0], atol=1e-8)  # float64 rounding


def test_a_refit_that_is_not_finite_keeps_the_calibration(sites, key):
    data = everything_learnt(sites)
    poison = lambda leaf: np.concatenate([leaf[:1], np.full_like(leaf[1:2], np.nan), leaf[2:]])
    targets = {name: poison(values) for name, values in data.training.targets.items()}
    sick = data.replace(training=data.training.replace(targets=targets))
    found, again = refitted(sites, key, sick)
    assert again.healthy.tolist() == [True, False, True, True]
    jax.tree.map(
        lambda new, old: np.testing.assert_array_equal(new[1], old[1]), again.phi, found.phi
    )
