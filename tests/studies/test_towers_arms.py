import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from studies.towers import ablation, arms, correction, inputs, learners, network, protocols
from studies.towers.arms import Choices
from studies.towers.correction import Record
from studies.towers.models import AFTER, BEFORE, ESTIMATED, HELD_OUT, Effort
from studies.towers.network import NetworkChoice
from studies.towers.protocols import Fold
from tower_toys import COUNT, altered, towers

from kgml_jax.sites import TRAIN, VALIDATION

SMALL = NetworkChoice(hidden=4, steps=2, seeds=2, batch=2)


def simulated(found):
    light = np.asarray(found.sites.site.forcing.shortwave_radiation)
    return {name: 0.3 * light for name in inputs.SIMULATED}


def test_every_tower_is_left_out_once_and_with_those_of_its_place():
    trial = protocols.make("leave-site-out", towers(), 6)
    assert sorted(row for fold in trial.folds for row in fold.scored) == list(range(COUNT))
    for fold in trial.folds:
        assert not set(fold.learns) & set(fold.scored)
        # The first two are a kilometre apart.
        assert (0 in fold.scored) == (1 in fold.scored)
    assert len(trial.folds) == 3
    assert not trial.calibrates
    assert protocols.make("last-years", towers(), 6).calibrates


FEW_TREES = learners.TreeChoice(trees=5, bins=16)


@pytest.mark.parametrize("arm", ["climatology", "boosting", "recurrent"])
def test_a_tower_left_out_teaches_nothing_of_itself(arm):
    found = towers()
    other = dataclasses.replace(found, data=altered(found.data, 0))
    run = {
        "climatology": learners.climatology,
        "boosting": lambda trial: learners.boosting(trial, "weather", {}, FEW_TREES),
        "recurrent": lambda trial: learners.recurrent(trial, "weather", {}, SMALL),
    }[arm]
    before, after = (run(protocols.make("leave-site-out", one, 6))["GPP"] for one in (found, other))
    np.testing.assert_array_equal(before[..., 0, :], after[..., 0, :])
    # It does teach the towers of other places.
    assert not np.array_equal(before[..., 2, :], after[..., 2, :])


def test_the_season_of_a_tower_left_out_is_that_of_its_kind():
    found = towers(noise=0.0)
    trial = protocols.make("leave-site-out", found, 6)
    predicted = learners.climatology(trial)["GPP"]
    # The only grassland learns from all others, a crop from crops of other places.
    learning = trial.towers.data.learning_days
    gpp = np.asarray(found.sites.site.targets["GPP"])
    means = [gpp[row][learning[row]].mean() for row in range(COUNT)]
    assert predicted[0].mean() == pytest.approx(means[2], rel=0.05)
    assert predicted[3].mean() == pytest.approx(np.mean(means[:3]), rel=0.05)


def test_each_step_tells_more_and_never_a_place():
    found = towers()
    told = {
        name: inputs.of_towers(found.data, name, simulated(found)).names for name in inputs.TOLD
    }
    assert set(told["weather"]) < set(told["calendar"]) < set(told["process"])
    assert not {"latitude", "sand", "clay", "elevation"} & set(told["process"])
    assert {"days_since_sowing", "crop_c4", "days since harvest"} <= set(told["calendar"])


def test_days_since_something_happened_are_held_at_a_year():
    happened = np.zeros((1, 800), bool)
    happened[0, 10] = True
    since = inputs.days_since(happened)[0]
    assert since[[0, 9, 10, 11, 374, 375, 799]].tolist() == [365, 365, 0, 1, 364, 365, 365]


def test_inputs_are_standardised_by_training_days_of_the_towers_learnt_from():
    found = towers()
    columns = inputs.of_towers(found.data, "weather", {})
    scaled = inputs.standardised(columns, found.data, [1, 2])
    days = found.data.roles == TRAIN
    parts = [scaled[row][days[row]] for row in (1, 2)]
    np.testing.assert_allclose(np.mean([one.mean(axis=0) for one in parts], axis=0), 0, atol=0.05)
    far = inputs.Inputs(
        np.where(columns.values > 0, columns.values * 1e3, columns.values), columns.names
    )
    far.values[1:3] = columns.values[1:3]
    assert np.abs(inputs.standardised(far, found.data, [1, 2])).max() == inputs.MOST


def test_towers_weigh_by_their_training_days_alone():
    found = towers()
    loud = altered(found.data, 0)
    loud.sites.site.targets["GPP"][0][found.data.roles[0] != TRAIN] *= 9.0
    changed = dataclasses.replace(found, data=loud)
    own, other = (network.weighed(one).sites.site.uncertainty["GPP"] for one in (found, changed))
    np.testing.assert_allclose(own, other, rtol=1e-5)


def test_an_ensemble_has_members_and_its_nee_closes(tmp_path):
    trial = protocols.make("last-years", towers(), 6)
    found = arms.predict("recurrent-calendar", trial, Choices(Effort(1, 1), SMALL), tmp_path)
    assert found["strategy"].values.tolist() == [BEFORE, AFTER, HELD_OUT]
    assert found.sizes["member"] == 2
    np.testing.assert_allclose(found["NEE"], found["Reco"] - found["GPP"], atol=1e-4)
    mean = found["NEE_member"].mean("member")
    np.testing.assert_allclose(found["NEE"].sel(strategy=BEFORE), mean, atol=1e-5)
    # Of the validation years it is told how good it is there, before any correction.
    scores = ablation.score({"climatology": found.drop_dims("member"), "network": found}, trial)
    assert np.isfinite(scores["r2_validation"].sel(arm="network")).all()
    assert np.isnan(scores["r2_validation"].sel(arm="climatology")).all()
    (row, *_) = ablation.validation_grid(scores, trial).rows
    assert row[:2] == ("crops", "network")


def test_what_is_corrected_has_not_seen_the_days_that_it_is_corrected_by():
    found = towers()
    fold = arms.deal(found.data)
    assert (fold >= 0).any(axis=1).all()
    day = np.flatnonzero(fold[0] == 0)
    site = found.sites.site
    loud = {name: np.array(values) for name, values in site.targets.items()}
    for values in loud.values():
        values[:, day] += 5.0
    sites = dataclasses.replace(found.sites, site=site.replace(targets=loud))
    other = dataclasses.replace(found, data=dataclasses.replace(found.data, sites=sites))
    learn = lambda trial: learners.boosting(trial, "weather", {}, FEW_TREES)
    before, after = (
        arms.unseen(protocols.make("last-years", one, 6), learn)["GPP"] for one in (found, other)
    )
    np.testing.assert_array_equal(np.isfinite(before), fold >= 0)
    np.testing.assert_array_equal(before[0][day], after[0][day])
    others = np.flatnonzero(fold[0] == 1)
    assert not np.array_equal(before[0][others], after[0][others])


def test_a_site_left_with_one_role_trains_and_validates_in_blocks():
    data = towers().data
    validation = data.roles == VALIDATION
    less = arms.hiding(data, validation)
    assert not less.learning_days[validation].any()
    trained = data.roles == TRAIN
    np.testing.assert_array_equal(less.learning_days, trained)
    share = (less.roles[trained] == VALIDATION).mean()
    assert 0.3 < share < 0.34
    some = np.zeros_like(trained)
    some[:, :40] = trained[:, :40]
    kept = arms.hiding(data, some).roles
    np.testing.assert_array_equal(kept[~some], data.roles[~some])


def test_the_mean_is_corrected_as_estimated_and_by_days_its_parts_have_not_seen(tmp_path):
    trial = protocols.make("last-years", towers(), 6)
    truth = {name: np.asarray(v) for name, v in trial.towers.sites.site.targets.items()}
    sites = list(trial.towers.sites.names)
    off = {BEFORE: 1.0, ESTIMATED: 0.7, HELD_OUT: 1.3}
    for name in arms.TOGETHER:
        own = off if name == "process" else {BEFORE: 1.0, HELD_OUT: 1.3}
        columns = {
            flux: (("strategy", "site", "day"), np.stack([values * by for by in own.values()]))
            for flux, values in truth.items()
        }
        xr.Dataset(columns, {"strategy": list(own), "site": sites}).to_netcdf(
            tmp_path / f"{name}.nc"
        )
    found = arms.predict("mean", trial, Choices(Effort(1, 1)), tmp_path)
    gpp = found["GPP"]
    np.testing.assert_allclose(gpp.sel(strategy=ESTIMATED), 0.9 * truth["GPP"], rtol=1e-5)
    learning = trial.towers.data.learning_days
    np.testing.assert_allclose(
        gpp.sel(strategy=HELD_OUT).to_numpy()[learning], 1.3 * truth["GPP"][learning], rtol=1e-5
    )
    # What is too high on days held out is lowered on the others.
    assert found["accepted"].values.all()
    scored = gpp.sel(strategy=AFTER).to_numpy()[trial.scored]
    assert (scored < 0.9 * truth["GPP"][trial.scored]).mean() > 0.9


def record(offset, years=4, seed=0):
    rng = np.random.default_rng(seed)
    days = 200 * years
    season = np.sin(np.arange(days) / 30.0)
    columns = np.stack([np.ones(days), season], axis=1)
    year = np.repeat(np.arange(years), 200)
    observed = season + offset[year] + 0.1 * rng.normal(size=days)
    return Record(observed, season, columns, year, year < years - 1)


def test_a_lasting_error_is_corrected_and_one_that_changes_by_the_year_is_left():
    added = correction.correction(record(np.full(4, 2.0)))
    assert added is not None
    # The smallest penalty takes 3 % of a constant.
    np.testing.assert_allclose(added.added, 2.0, atol=0.15)
    np.testing.assert_allclose(added.tried[:600], 2.0, atol=0.15)
    assert not added.tried[600:].any()
    assert correction.correction(record(np.array([2.0, -2.0, 0.0, 5.0]))) is None
    # A year says nothing of how errors of years differ.
    assert correction.correction(record(np.full(2, 2.0), years=2)) is None


def test_scores_say_what_the_stated_errors_leave_and_count_both_partitions(tmp_path):
    trial = protocols.make("leave-site-out", towers(), 6)
    site = trial.towers.sites.site
    truth = {name: np.asarray(values) for name, values in site.targets.items()}
    columns = {name: (("strategy", "site", "day"), values[None]) for name, values in truth.items()}
    exact = xr.Dataset(columns, {"strategy": [BEFORE], "site": list(trial.towers.sites.names)})
    exact = exact.assign(accepted=("site", np.zeros(COUNT)))
    scores = ablation.score({"exact": exact}, trial)
    np.testing.assert_allclose(scores["r2"].sel(variable="NEE"), 1.0)
    spread = np.var(truth["NEE"], axis=1)
    ceiling = scores["ceiling"].sel(variable="NEE")
    np.testing.assert_allclose(ceiling, 1 - 0.25 / spread, rtol=1e-3)
    assert np.isnan(scores["ceiling"].sel(variable="GPP")).all()
    assert (scores["r2_daytime"].sel(variable="GPP") < 0.9).all()
    tables = ablation.grids(scores, trial)
    assert all(len(row) == len(grid.columns) for grid in tables for row in grid.rows)
    assert tables[0].rows[0] == ("crops", "exact", "1.00", "1.00", "1.00", "1.00")


def test_the_mean_says_which_arms_it_needs(tmp_path):
    trial = protocols.make("leave-site-out", towers(), 6)
    with pytest.raises(ValueError, match="needs boosting-process, recurrent-process, process"):
        arms.predict("mean", trial, Choices(Effort(1, 1)), Path(tmp_path))


def test_folds_hold_everyone_the_others_teach():
    trial = protocols.make("leave-site-out", towers(), 2)
    assert all(isinstance(fold, Fold) for fold in trial.folds)
    assert all(sorted((*fold.learns, *fold.scored)) == list(range(COUNT)) for fold in trial.folds)
