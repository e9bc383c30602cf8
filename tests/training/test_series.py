"""Training along series, on a small KGML-ag network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.adaptation import flatten
from kgml_jax.models.features import fit_scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.objectives.compose import BehaviourTerm, Total
from kgml_jax.objectives.knowledge import MonotoneResponse
from kgml_jax.objectives.pacing import SelfPaced
from kgml_jax.objectives.responses import Probe
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training.series import Course, SeriesDescent, make_series

# Compiled once for all tests with equal descents.
begin = jax.jit(SeriesDescent.init, static_argnums=0)
next_epoch = jax.jit(SeriesDescent.round, static_argnums=0)

COURSE = Course(
    objective=toys.OBJECTIVE,
    rates=(("gru_gpp/*", 0.0), ("*", 1e-2)),
    epochs=4,
    patience=2,
    batch=2,
    spin_up_years=1,
)


@pytest.fixture(scope="module")
def table():
    return toys.sites(count=4, years=4)


@pytest.fixture(scope="module")
def series(table):
    return make_series(toys.divided(table))


@pytest.fixture(scope="module")
def model(table):
    names = ("air_temperature_mean", "shortwave_radiation", "occupied", "soil_organic_carbon")
    scaling = fit_scaling(names, toys.divided(table))
    return RecurrentModel(scaling, hidden=4, basis_layers=1, rh_layers=1, dropout=0.0)


def started(model, course, series):
    descent = SeriesDescent(model, course)
    weights = model.init(jax.random.key(0))
    return descent, weights, begin(descent, weights, series, jax.random.key(1))


def test_years_are_whole_and_every_day_is_scored_once(table, series):
    roles = toys.roles(table)
    assert series.days[0].tolist() == [365, 365, 365, 366]
    for masks, role in ((series.windows.mask, TRAIN), (series.held_out, VALIDATION)):
        for name, mask in masks.items():
            expected = (np.asarray(table.site.mask[name]) & (roles == role)).sum(axis=1)
            np.testing.assert_array_equal(mask.sum(axis=(1, 2)), expected)
    assert not series.windows.valid[:, 0, 365].any()  # the day after a common year


def test_a_shorter_record_ends_with_years_that_do_not_count(table):
    valid = np.asarray(table.site.valid).copy()
    valid[0, 3 * 365 :] = False
    short = dataclasses.replace(table, site=dataclasses.replace(table.site, valid=valid))
    roles = np.where(valid, np.where(np.arange(valid.shape[1]) < 730, TRAIN, VALIDATION), 0)
    series = make_series(DividedSites.of_roles(short, roles))
    for masks in (series.windows.mask, series.held_out):
        assert not any(mask[0, 3].any() for mask in masks.values())
        assert any(mask[1].any() for mask in masks.values())


def test_a_split_without_validation_is_refused(table):
    with pytest.raises(ValueError, match="no validation day"):
        make_series(DividedSites.undivided(table))


def test_the_state_carried_along_gives_the_prediction_of_the_whole_record(model, table, series):
    weights = model.init(jax.random.key(2))
    whole = jax.jit(model.predict)(weights, table.one(table.names[0]))
    one = jax.tree.map(lambda leaf: leaf[0], series)
    advance = jax.jit(model.advance)
    state, parts = None, []
    for place, days in enumerate(one.days):
        year = jax.tree.map(lambda leaf, place=place: leaf[place], one.windows)
        fluxes, state = advance(weights, year, state, last=days - 1)
        parts.append(fluxes["NEE"][:days])
    np.testing.assert_allclose(np.concatenate(parts), whole["NEE"], rtol=1e-4, atol=1e-5)


def test_epochs_lower_the_error_and_leave_frozen_weights_alone(model, series):
    descent, weights, fit = started(model, COURSE, series)
    first = fit
    while fit.active:
        fit = next_epoch(descent, weights, fit, series)
    assert fit.best_error < 0.8 * first.best_error
    assert int(fit.step) <= COURSE.epochs
    before, after = flatten(weights), flatten(fit.best)
    for path in before:
        moved = np.any(np.asarray(before[path]) != np.asarray(after[path]))
        assert moved == (not path.startswith("gru_gpp/")), path


def test_the_same_key_gives_the_same_weights(model, series):
    outcomes = []
    for _ in range(2):
        descent, weights, fit = started(model, COURSE, series)
        outcomes.append(next_epoch(descent, weights, fit, series).parameters)
    jax.tree.map(np.testing.assert_array_equal, *outcomes)


def test_what_is_not_finite_stops_the_fit_and_moves_nothing(model, series):
    broken = dataclasses.replace(
        series.windows,
        forcing=dataclasses.replace(
            series.windows.forcing,
            shortwave_radiation=np.full_like(series.windows.forcing.shortwave_radiation, np.nan),
        ),
    )
    descent, weights, fit = started(model, COURSE, series)
    fit = next_epoch(descent, weights, fit, dataclasses.replace(series, windows=broken))
    assert not fit.healthy
    assert not fit.active
    jax.tree.map(np.testing.assert_array_equal, fit.best, weights)


def test_a_year_without_training_days_gives_no_step(model, series):
    masks = {name: mask.copy() for name, mask in series.windows.mask.items()}
    for mask in masks.values():
        mask[:, 1:] = False
    one_year = dataclasses.replace(series, windows=dataclasses.replace(series.windows, mask=masks))
    descent, weights, fit = started(model, COURSE, series)
    after = next_epoch(descent, weights, fit, one_year)
    # Two batches of series, with one step each.
    counts = [leaf for leaf in jax.tree.leaves(after.optimiser) if leaf.dtype == jnp.int32]
    assert [int(count) for count in counts] == [2]
    assert after.healthy
    assert np.isfinite(after.training_loss)


def test_test_years_never_influence_a_fit(model, table, series):
    tested = toys.roles(table) == TEST
    targets = {
        name: np.where(tested, 1e6, values).astype(np.asarray(values).dtype)
        for name, values in table.site.targets.items()
    }
    spoilt = dataclasses.replace(table, site=dataclasses.replace(table.site, targets=targets))
    outcomes = []
    for seen in (series, make_series(toys.divided(spoilt))):
        descent, weights, fit = started(model, COURSE, seen)
        outcomes.append(next_epoch(descent, weights, fit, seen))
    jax.tree.map(np.testing.assert_array_equal, outcomes[0].best, outcomes[1].best)
    assert outcomes[0].best_error == outcomes[1].best_error


@pytest.mark.slow
def test_a_demand_on_the_behaviour_a_pace_and_a_hold_enter_the_loss(model, series):
    carbon = Probe("soil_organic_carbon", "set", (5.0, 40.0))
    falls = BehaviourTerm("falls", MonotoneResponse(carbon, "Rh", sign=-1.0), weight=1e3)
    rises = BehaviourTerm("rises", MonotoneResponse(carbon, "Rh"), weight=1e3)
    losses = {}
    for name, change in {
        "plain": {},
        "falls": {"objective": Total(toys.OBJECTIVE.terms, (falls,))},
        "rises": {"objective": Total(toys.OBJECTIVE.terms, (rises,))},
        "paced": {"pacing": SelfPaced(threshold=1e-6)},
    }.items():
        course = dataclasses.replace(COURSE, rates=(), probed=1, **change)
        descent, weights, fit = started(model, course, series)
        losses[name] = float(next_epoch(descent, weights, fit, series).training_loss)
    assert losses["paced"] == 0.0
    # A fresh network responds to carbon one way or the other, not both.
    assert sorted(np.isclose([losses["falls"], losses["rises"]], losses["plain"])) == [False, True]


@pytest.mark.slow
def test_a_hold_keeps_the_weights_near_the_start(model, series):
    apart = []
    for hold in (0.0, 10.0):
        descent, weights, fit = started(model, dataclasses.replace(COURSE, hold=hold), series)
        moved = next_epoch(descent, weights, fit, series).parameters
        squares = jax.tree.map(lambda a, b: float(jnp.sum((a - b) ** 2)), moved, weights)
        apart.append(sum(jax.tree.leaves(squares)))
    assert apart[1] < 0.5 * apart[0]


def test_a_pattern_that_matches_nothing_is_refused(model):
    weights = jax.eval_shape(model.init, jax.random.key(0))
    with pytest.raises(ValueError, match="no weight matches 'gru_rain"):
        dataclasses.replace(COURSE, rates=(("gru_rain/*", 1.0),)).check(weights)
