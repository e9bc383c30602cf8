import json

import numpy as np
import pytest

from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.errors import DataError
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import Split


@pytest.fixture
def record(per_site):
    """Sites of one to six years from 2001 on, named by their length."""

    def make(*lengths):
        return assemble(
            [per_site((f"years-{length}",), last=f"{2000 + length}-12-31")[0] for length in lengths]
        )

    return make


def years_of(sites, roles, role, row=0):
    return np.unique(np.asarray(sites.site.calendar.year)[row][roles[row] == role]).tolist()


def test_the_last_years_test_and_those_before_validate(record):
    sites = record(6)
    roles = splits.last_years(sites, test=2, validation=1).roles(sites)
    assert years_of(sites, roles, TRAIN) == [2001, 2002, 2003]
    assert years_of(sites, roles, VALIDATION) == [2004]
    assert years_of(sites, roles, TEST) == [2005, 2006]


@pytest.mark.parametrize("length", [2, 3])
def test_a_short_record_has_train_validation_and_whole_test_years(record, length):
    sites = record(length)
    split = splits.last_years(sites, test=length - 1, validation=1)
    roles = split.roles(sites)
    assert years_of(sites, roles, TEST) == list(range(2002, 2001 + length))
    assert years_of(sites, roles, TRAIN) == years_of(sites, roles, VALIDATION) == [2001]
    # Every third block of 30 days of the first year, four blocks in 365 days.
    assert (roles == VALIDATION).sum() == 120


def test_blocks_within_a_year_are_in_every_season(record):
    sites = record(3)
    roles = splits.last_years(sites, test=2).roles(sites)
    days = np.asarray(sites.site.calendar.day_of_year)[0][roles[0] == VALIDATION]
    assert all(np.any((days > start) & (days <= start + 92)) for start in (0, 92, 184, 274))


def test_a_record_of_one_year_has_no_test_days(record):
    sites = record(1)
    roles = splits.last_years(sites).roles(sites)
    assert set(np.unique(roles)) == {TRAIN, VALIDATION}


def test_years_without_observations_do_not_count_as_test_years(per_site):
    dataset = per_site(("north",), last="2006-12-31")[0]
    dataset["NEE"][dataset["time"].dt.year.to_numpy() == 2006] = np.nan
    sites = assemble([dataset])
    roles = splits.last_years(sites, test=2, validation=1).roles(sites)
    # 2006 follows the test years and is not trained on, but 2004 and 2005 are what is scored.
    assert years_of(sites, roles, TEST) == [2004, 2005, 2006]
    assert years_of(sites, roles, VALIDATION) == [2003]


def test_padding_has_no_role(record):
    sites = record(2, 6)
    for split in (splits.last_years(sites), splits.leave_sites_out(sites, ["years-2"])):
        roles = split.roles(sites)
        np.testing.assert_array_equal(roles > 0, sites.site.valid)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("fold", range(3))
def test_blocked_years_are_whole_and_used_once(record, length, fold):
    sites = record(length)
    roles = splits.blocked(sites, folds=3, fold=fold).roles(sites)
    test = years_of(sites, roles, TEST)
    others = years_of(sites, roles, TRAIN) + years_of(sites, roles, VALIDATION)
    assert not set(test) & set(others)
    assert set(np.unique(roles)) == ({1, 2, 3} if length > 1 else {1, 2})


def test_every_block_tests_in_one_fold(record):
    sites = record(6)
    tested = [
        year
        for fold in range(3)
        for year in years_of(
            sites, splits.blocked(sites, block_years=2, folds=3, fold=fold).roles(sites), TEST
        )
    ]
    assert sorted(tested) == list(range(2001, 2007))


@pytest.fixture
def dry_years(per_site):
    """A site of six years from 2001 on whose summers of some years are dry, by a factor."""

    def make(factors, latitude=45.0):
        dataset = per_site(("dry",), last="2006-12-31")[0]
        time = dataset["time"].dt
        summer = np.isin(time.month, (5, 6, 7, 8, 9) if latitude > 0 else (1, 2, 3, 11, 12))
        deficit = dataset["vapour_pressure_deficit"].values
        for year, factor in factors.items():
            deficit[summer & (time.year.to_numpy() == year)] *= factor
        dataset["latitude"] = ((), latitude, {"units": "degree_north"})
        return dataset

    return make


def test_the_years_with_the_driest_growing_seasons_test(dry_years):
    sites = assemble([dry_years({2002: 1.5, 2004: 2.0})])
    roles = splits.extreme_years(sites, count=2, validation=1).roles(sites)
    assert years_of(sites, roles, TEST) == [2002, 2004]
    assert years_of(sites, roles, VALIDATION) == [2006]
    assert years_of(sites, roles, TRAIN) == [2001, 2003, 2005]
    one = splits.extreme_years(sites, count=1, validation=2).roles(sites)
    assert years_of(sites, one, TEST) == [2004]
    assert years_of(sites, one, VALIDATION) == [2005, 2006]


def test_an_extreme_last_year_leaves_validation_to_the_year_before(dry_years):
    sites = assemble([dry_years({2006: 2.0})])
    roles = splits.extreme_years(sites).roles(sites)
    assert years_of(sites, roles, TEST) == [2006]
    assert years_of(sites, roles, VALIDATION) == [2005]


def test_a_dry_winter_is_not_extreme_in_the_north_but_in_the_south(dry_years):
    factors = {2003: 2.0}
    southern = dry_years(factors, latitude=-30.0)
    assert extreme_years_of(southern) == [2003]
    moved = southern.copy()
    moved["latitude"] = ((), 45.0, {"units": "degree_north"})
    assert extreme_years_of(moved) != [2003]


def extreme_years_of(dataset):
    sites = assemble([dataset])
    return years_of(sites, splits.extreme_years(sites).roles(sites), TEST)


def test_a_year_without_observations_or_with_half_a_season_is_not_extreme(dry_years):
    dataset = dry_years({2001: 4.0, 2003: 3.0, 2005: 2.0})
    dataset["NEE"][dataset["time"].dt.year.to_numpy() == 2003] = np.nan
    assert extreme_years_of(dataset.sel(time=slice("2001-07-01", None))) == [2005]
    assert 2001 not in splits.season_deficits(
        assemble([dataset.sel(time=slice("2001-07-01", None))]), 0
    )


@pytest.mark.parametrize("length", [1, 2, 3, 6])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_extreme_years_are_whole_and_leave_days_to_train_on(record, length, count):
    sites = record(length)
    roles = splits.extreme_years(sites, count).roles(sites)
    test = years_of(sites, roles, TEST)
    others = years_of(sites, roles, TRAIN) + years_of(sites, roles, VALIDATION)
    assert len(test) == min(count, length - 1)
    assert not set(test) & set(others)
    assert {TRAIN, VALIDATION} <= set(np.unique(roles))
    assert (roles > 0).all()


def test_hidden_sites_are_entirely_test_and_others_as_before(record):
    sites = record(4, 5, 6)
    before = splits.extreme_years(sites)
    hidden = splits.hide_sites(before, sites, ["years-5"])
    roles = hidden.roles(sites)
    assert set(np.unique(roles[1][sites.site.valid[1]])) == {TEST}
    np.testing.assert_array_equal(roles[[0, 2]], before.roles(sites)[[0, 2]])
    assert hidden.options["new_sites"] == ["years-5"]
    with pytest.raises(DataError, match=r"nowhere: unknown site"):
        splits.hide_sites(before, sites, ["nowhere"])


def test_sites_held_out_are_entirely_test(record):
    sites = record(2, 3, 4)
    roles = splits.leave_sites_out(sites, ["years-3"]).roles(sites)
    assert set(np.unique(roles[1][sites.site.valid[1]])) == {TEST}
    assert years_of(sites, roles, VALIDATION, row=2) == [2004]
    assert not (roles[[0, 2]] == TEST).any()


def test_every_site_is_held_out_in_one_fold_whatever_the_order(record):
    sites = record(1, 2, 3, 4, 5)
    backward = sites.take([4, 3, 2, 1, 0])
    held_out = []
    for fold in range(3):
        split = splits.leave_sites_out(sites, folds=3, fold=fold)
        again = splits.leave_sites_out(backward, folds=3, fold=fold)
        assert split.options["names"] == again.options["names"]
        held_out += split.options["names"]
    assert sorted(held_out) == sorted(sites.names)


def test_groups_held_out_are_entirely_test(per_site):
    sites = assemble(per_site(("a", "b", "c")))
    roles = splits.leave_groups_out(sites, ["state 0"]).roles(sites)
    assert (roles[[0, 2]] == TEST).all()
    assert not (roles[1] == TEST).any()


def test_an_unknown_site_or_group_is_refused(record):
    sites = record(2, 3)
    with pytest.raises(DataError, match=r"unknown site in the split|site.*nowhere"):
        splits.leave_sites_out(sites, ["nowhere"])
    with pytest.raises(DataError, match="nowhere"):
        splits.leave_groups_out(sites, ["nowhere"])
    with pytest.raises(DataError, match="names of sites or a fold"):
        splits.leave_sites_out(sites)
    with pytest.raises(DataError, match="no such fold"):
        splits.blocked(sites, folds=3, fold=3)


def test_a_split_and_data_of_other_sites_are_refused(record):
    sites = record(2, 3)
    split = splits.last_years(sites)
    split.assert_covers(sites)
    with pytest.raises(DataError, match=r"years-3.*not in the data"):
        split.assert_covers(sites.take([0]))
    with pytest.raises(DataError, match=r"years-4.*split does not know"):
        split.roles(record(2, 4))


def test_a_saved_split_gives_the_same_roles(record):
    sites = record(2, 3, 6)
    split = splits.last_years(sites)
    again = Split.from_json(split.to_json())
    assert again == split
    np.testing.assert_array_equal(again.roles(sites), split.roles(sites))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "x", "options": {}, "intervals": 3}'])
def test_text_that_is_no_split_is_refused(text):
    with pytest.raises(DataError, match="not a split"):
        Split.from_json(text)


def test_an_unknown_role_is_refused():
    intervals = {"a": [["2001-01-01", "2001-12-31", "tset"]]}
    with pytest.raises(DataError, match="tset"):
        Split.from_json(json.dumps({"kind": "x", "options": {}, "intervals": intervals}))


def test_a_day_with_two_roles_is_refused():
    rows = (("2001-01-01", "2001-12-31", "train"), ("2001-12-31", "2002-12-31", "validation"))
    with pytest.raises(DataError, match="two roles"):
        Split("own", {"a": rows}).assert_disjoint()


def test_a_test_year_that_is_also_trained_on_is_refused():
    rows = (("2001-01-01", "2001-06-30", "train"), ("2001-07-01", "2001-12-31", "test"))
    with pytest.raises(DataError, match=r"test year.*2001"):
        Split("own", {"a": rows}).assert_disjoint()


def test_tower_gpp_as_an_input_warns_where_its_flux_is_a_target():
    assert splits.leaky_inputs(["wind_speed"], ["NEE"]) is None
    assert splits.leaky_inputs(["prescribed_gpp"], ["ET"]) is None
    warning = splits.leaky_inputs(["prescribed_gpp", "wind_speed"], ["NEE", "ET"])
    assert warning is not None
    assert "NEE" in warning
    assert "ET" not in warning
