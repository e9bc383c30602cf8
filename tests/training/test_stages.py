"""Training plans on a small KGML-ag network."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import toys

from kgml_jax.adaptation import flatten
from kgml_jax.models.features import fit_scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.training.checkpoint import HEADER, CheckpointError
from kgml_jax.training.series import Course
from kgml_jax.training.stages import Stage, run_plan, with_targets

COURSE = Course(
    objective=toys.OBJECTIVE,
    rates=(("gru_basis/*", 1e-2), ("gru_gpp/*", 1e-2), ("to_gpp/*", 1e-2)),
    epochs=2,
    patience=2,
    batch=2,
    spin_up_years=1,
)
PLAN = (
    Stage("gpp", "fields", ("GPP",), COURSE),
    Stage("respiration", "fields", ("Reco", "NEE"), replace(COURSE, rates=(("*", 1e-2),))),
)


@pytest.fixture(scope="module")
def fields():
    return toys.divided(toys.sites(count=2, years=4))


@pytest.fixture(scope="module")
def model(fields):
    scaling = fit_scaling(("air_temperature_mean", "occupied"), fields)
    return RecurrentModel(scaling, hidden=3, basis_layers=1, rh_layers=1, dropout=0.3)


@pytest.fixture(scope="module")
def take(model, fields):
    """Runs a plan in a folder and returns its stages' weights and outcomes."""

    def run(folder, plan=PLAN, identity="one"):
        weights = model.init(jax.random.key(0))
        key = jax.random.key(1)
        return list(run_plan(model, plan, weights, {"fields": fields}, key, folder, identity))

    return run


@pytest.fixture(scope="module")
def uninterrupted(take, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    return folder, take(folder)


def test_each_stage_moves_only_what_it_trains(uninterrupted, model):
    before = flatten(model.init(jax.random.key(0)))
    after = flatten(uninterrupted[1][0][1])
    for path in before:
        moved = np.any(np.asarray(before[path]) != np.asarray(after[path]))
        assert moved == path.startswith(("gru_basis/", "gru_gpp/", "to_gpp/"))


def test_a_stage_begins_where_the_one_before_ended_and_gets_better(uninterrupted):
    outcomes = [outcome for _, _, outcome in uninterrupted[1]]
    assert all(outcome.healthy and not outcome.resumed for outcome in outcomes)
    assert all(outcome.best_error < outcome.start_error for outcome in outcomes)


def test_a_finished_plan_is_read_not_repeated(uninterrupted, take):
    folder, done = uninterrupted
    again = take(folder)
    assert all(outcome.resumed for _, _, outcome in again)
    assert [replace(outcome, resumed=False) for _, _, outcome in again] == [o for *_, o in done]


def test_a_plan_resumed_after_its_first_stage_ends_as_one_that_ran_through(
    uninterrupted, take, tmp_path
):
    take(tmp_path, plan=PLAN[:1])
    resumed = take(tmp_path)
    assert [outcome.resumed for _, _, outcome in resumed] == [True, False]
    straight = jax.tree.leaves(uninterrupted[1][-1][1])
    for found, expected in zip(jax.tree.leaves(resumed[-1][1]), straight, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_stage_that_was_killed_while_it_was_written_is_repeated(take, tmp_path):
    take(tmp_path, plan=PLAN[:1])
    (tmp_path / "1-gpp" / HEADER).unlink()
    assert not take(tmp_path, plan=PLAN[:1])[0][2].resumed


def test_stages_of_another_run_are_refused(uninterrupted, take):
    with pytest.raises(CheckpointError, match=r"1-gpp.*another run.*one, expected two"):
        take(uninterrupted[0], identity="two")


def test_other_targets_are_masked(fields):
    masks = with_targets(fields, ("NEE",)).sites.site.mask
    assert not masks["Reco"].any()
    np.testing.assert_array_equal(masks["NEE"], fields.sites.site.mask["NEE"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replace(PLAN[1], name="gpp"), "two stages of one name"),
        (replace(PLAN[1], dataset="towers"), "'towers'; there is only fields"),
        (replace(PLAN[1], targets=("yield",)), "'yield' from 'fields', where is only"),
        (replace(PLAN[1], course=replace(COURSE, rates=(("gru_nee/*", 1.0),))), "gru_nee"),
    ],
    ids=["name", "data", "target", "weights"],
)
def test_a_plan_that_cannot_end_does_not_begin(take, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        take(tmp_path, plan=(PLAN[0], wrong))
    assert not list(tmp_path.iterdir())
