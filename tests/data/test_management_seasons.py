"""Plantings and harvests make crops that stand, one at a time, by the rules that are told."""

import numpy as np
import pytest
from management_tables import field

from kgml_jax.data import crop_names
from kgml_jax.errors import DataError

CORN = ["2001-05-01,planting,corn,,,", "2001-10-01,harvest,corn,,,"]


def test_a_crop_occupies_the_field_from_its_sowing_to_its_harvest(tmp_path):
    found = field(tmp_path, CORN)
    assert found.spans() == [("corn", "2001-05-01", "2001-10-01")]
    occupied = found.days("occupied")
    assert (min(occupied), max(occupied), len(occupied)) == ("2001-05-01", "2001-10-01", 154)
    assert found.days("planting") == {"2001-05-01": 1.0}
    assert found.days("harvest") == {"2001-10-01": 1.0}


def test_the_crop_stays_that_of_the_last_sowing_until_the_next(tmp_path):
    rows = [*CORN, "2002-05-10,planting,soybean,,,", "2002-10-01,harvest,soybean,,,"]
    found = field(tmp_path, rows)
    on = [found.on("crop", day) for day in ("2001-01-01", "2002-05-09", "2002-05-10", "2003-12-31")]
    assert on == [0.0, 0.0, 1.0, 1.0]


def test_a_window_counts_on_its_middle_day_and_says_how_wide_it_is(tmp_path):
    header = "site,date_start,date_end,event,crop\n"
    rows = ["A,2001-05-01,2001-05-05,planting,corn", "A,2001-09-20,2001-10-20,harvest,corn"]
    found = field(tmp_path, rows, header=header)
    assert found.spans() == [("corn", "2001-05-03", "2001-10-05")]
    assert found.said("planting of corn 2001-05-01 to 2001-05-05", kind="converted")
    assert found.said("window of 31 days", kind="warning")


def test_a_month_is_a_window_and_a_year_is_too_wide_to_be_used(tmp_path):
    found = field(
        tmp_path,
        ["2001-05-01,planting,corn,,,", "2001-10,harvest,corn,,,", "2002,planting,corn,,,"],
    )
    assert found.spans() == [("corn", "2001-05-01", "2001-10-16")]
    assert found.said("window of 365 days", "left out", kind="warning")


def test_a_harvest_of_several_days_is_one(tmp_path):
    rows = [CORN[0], *(f"2001-10-{day},harvest,corn,,," for day in ("01", "04", "11"))]
    found = field(tmp_path, rows)
    assert found.spans() == [("corn", "2001-05-01", "2001-10-06")]


def test_a_further_harvest_weeks_later_is_told_and_not_used(tmp_path):
    found = field(tmp_path, [*CORN, "2001-11-10,harvest,corn,,,"])
    assert found.spans() == [("corn", "2001-05-01", "2001-10-01")]
    assert found.said("a further harvest on 2001-11-10", kind="left out")


def test_a_crop_sown_again_within_weeks_is_one_season(tmp_path):
    found = field(tmp_path, [*CORN, "2001-06-10,planting,corn,,,"])
    assert found.spans() == [("corn", "2001-05-01", "2001-10-01")]
    assert found.said("sown again on 2001-06-10", kind="warning")


def test_a_missing_harvest_is_the_usual_one_or_the_day_before_the_next_sowing(tmp_path):
    rows = [CORN[0], "2001-09-25,planting,winter wheat,,,", "2002-07-10,harvest,winter wheat,,,"]
    found = field(tmp_path, rows)
    assert found.spans()[0] == ("corn", "2001-05-01", "2001-09-24")
    assert found.said("no harvest of corn", "the day before the next sowing", kind="warning")
    later = field(
        tmp_path, [CORN[0], "2002-05-01,planting,soybean,,,", "2002-10-01,harvest,soybean,,,"]
    )
    assert later.spans()[0] == ("corn", "2001-05-01", "2001-10-08")
    assert later.said("after its usual days", kind="warning")


def test_a_harvest_without_a_sowing_is_left_out_with_a_warning(tmp_path):
    found = field(tmp_path, [*CORN, "2002-10-01,harvest,corn,,,"])
    assert len(found.seasons) == 1
    assert found.said("harvest of corn on 2002-10-01 without a sowing", kind="warning")


def test_a_crop_sown_before_the_record_stands_from_its_first_day(tmp_path):
    for rows in (
        ["2001-07-10,harvest,winter wheat,,,"],
        ["2000-10-01,planting,winter wheat,,,", "2001-07-10,harvest,winter wheat,,,"],
    ):
        found = field(tmp_path, rows)
        occupied = found.days("occupied")
        assert (min(occupied), max(occupied)) == ("2001-01-01", "2001-07-10")
        assert not found.days("planting")


def test_a_crop_that_is_not_harvested_by_the_end_of_the_record_stands_there(tmp_path):
    found = field(tmp_path, ["2003-10-01,planting,winter wheat,,,"])
    assert max(found.days("occupied")) == "2003-12-31"
    assert not found.days("harvest")
    assert found.said("stands at the end of the record")


def test_of_two_crops_at_a_time_the_first_sown_counts(tmp_path):
    rows = [*CORN, "2001-06-01,planting,potato,,,", "2001-09-10,harvest,potato,,,"]
    found = field(tmp_path, rows)
    assert found.spans() == [("corn", "2001-05-01", "2001-10-01")]
    assert found.said(
        "potato sown on 2001-06-01", "two crops at a time are not simulated", kind="warning"
    )


def test_a_sowing_without_a_crop_that_is_left_out_takes_no_harvest_of_another(tmp_path):
    rows = [CORN[0], "2001-08-01,planting,,,,", CORN[1], "2002-05-01,planting,soybean,,,"]
    found = field(tmp_path, [*rows, "2002-09-20,harvest,corn,,,"])
    assert found.spans()[1] == ("soybean", "2002-05-01", "2002-09-20")


def test_a_harvest_of_another_crop_ends_what_stands_unless_that_has_its_own(tmp_path):
    found = field(tmp_path, [CORN[0], "2001-09-01,harvest,soybean,,,", CORN[1]])
    assert found.spans() == [("corn", "2001-05-01", "2001-10-01")]
    alone = field(tmp_path, [CORN[0], "2001-09-01,harvest,soybean,,,"])
    assert alone.spans() == [("corn", "2001-05-01", "2001-09-01")]
    assert alone.said("harvest of soybean on 2001-09-01", "ends that", kind="warning")


@pytest.mark.parametrize(
    ("row", "ended"),
    [
        ("2002-03-01,termination,,,,", "2002-03-01"),
        ("2002-03-05,cut,,,,mulching", "2002-03-05"),
        ("2002-03-10,tillage,,,,mouldboard plough", "2002-03-10"),
        ("2002-03-12,tillage,,,,harrow", "2002-04-30"),
    ],
)
def test_a_cover_crop_ends_when_it_is_killed_or_before_the_next_sowing(tmp_path, row, ended):
    rows = [*CORN, "2001-12-15,planting,hairy vetch,,,", row, "2002-05-01,planting,corn,,,"]
    found = field(tmp_path, rows)
    assert found.spans()[1] == ("cover crop", "2001-12-15", ended)


def test_a_perennial_crop_goes_on_after_its_harvests(tmp_path):
    rows = [
        "2001-04-01,planting,alfalfa,,,",
        *(f"2002-0{m}-01,harvest,alfalfa,,," for m in (5, 7, 9)),
    ]
    found = field(tmp_path, rows)
    assert found.spans() == [("alfalfa", "2001-04-01", "2003-12-31")]
    assert found.days("cut") == {f"2002-0{month}-01": 1.0 for month in (5, 7, 9)}
    # A harvest would be one more cut on the last day, and take its residue.
    assert not found.days("harvest")


def test_a_cut_takes_the_share_that_is_given_and_days_of_one_cut_are_one(tmp_path):
    rows = ["2001-04-01,planting,grass,,,", "2002-06-01,cut,,60,%,", "2002-06-04,cut,,60,%,"]
    found = field(tmp_path, [*rows, "2002-08-01,cut,,,,"])
    assert found.days("cut") == {"2002-06-02": pytest.approx(0.6), "2002-08-01": 1.0}


def test_what_is_mown_and_does_not_grow_again_is_told(tmp_path):
    found = field(tmp_path, [*CORN, "2001-07-01,cut,corn,,,"])
    assert "cut" not in found.dataset
    assert found.said("cut 1", "no perennial crop stands", kind="left out")


def test_a_ley_that_is_ploughed_up_leaves_nothing_of_it_as_harvested(tmp_path):
    rows = ["2001-04-01,planting,grass,,,", "2002-09-01,tillage,,,,plough"]
    found = field(tmp_path, rows)
    assert found.spans() == [("temperate grass", "2001-04-01", "2002-09-01")]
    assert not found.days("harvest")


def test_a_ley_that_is_cut_and_was_sown_under_another_crop_follows_it(tmp_path):
    rows = ["2001-04-01,planting,spring barley,,,", "2001-07-20,harvest,spring barley,,,"]
    found = field(tmp_path, [*rows, "2002-06-01,cut,grass,,,"])
    assert found.spans()[1][:2] == ("temperate grass", "2001-07-21")
    assert found.said("sown under", kind="warning")


def test_a_stand_that_is_only_ever_cut_stands_from_the_first_day(tmp_path):
    found = field(tmp_path, ["2001-06-01,cut,grass,,,", "2002-06-01,cut,grass,,,"])
    assert len(found.days("occupied")) == len(found.dataset["time"])


def test_a_crop_sown_on_the_day_of_a_harvest_begins_the_day_after(tmp_path):
    found = field(tmp_path, [*CORN, "2001-10-01,planting,winter wheat,,,"])
    assert found.spans()[1][1] == "2001-10-02"


def test_straw_is_taken_at_the_harvest_before(tmp_path):
    rows = ["2000-10-01,planting,winter wheat,,,", "2001-07-10,harvest,winter wheat,,,grain"]
    assert not field(tmp_path, rows).days("residue_removal")
    baled = field(tmp_path, [*rows, "2001-07-20,baling,,,,"])
    assert baled.days("residue_removal") == {"2001-07-10": 0.7}
    told = field(tmp_path, [*rows, "2001-07-20,residue removal,,50,%,"])
    assert told.days("residue_removal") == {"2001-07-10": 0.5}
    late = field(tmp_path, [*rows, "2001-10-20,baling,,,,"])
    assert not late.days("residue_removal")
    assert late.said("residue removal 1", kind="left out")


def test_all_of_the_shoot_of_silage_leaves_the_field(tmp_path):
    found = field(tmp_path, ["2001-05-01,planting,maize,,,", "2001-09-10,harvest,silage maize,,,"])
    assert found.seasons[0].name == "silage corn"
    assert crop_names.NAMES[int(found.on("crop", "2001-06-01"))] == "silage corn"
    # Of what its row leaves, which takes a share of 0.92 of the shoot of every harvest.
    assert not found.days("residue_removal")
    given = field(tmp_path, ["2001-05-01,planting,silage maize,,,", "2001-09-10,harvest,,,,silage"])
    assert given.days("residue_removal") == {"2001-09-10": pytest.approx(1 - 0.05 / 0.08)}


def test_a_sowing_without_a_crop_is_named_at_its_harvest_or_bare_ground(tmp_path):
    found = field(tmp_path, ["2001-05-01,planting,,,,", "2001-10-01,harvest,soybean,,,"])
    assert found.spans() == [("soybean", "2001-05-01", "2001-10-01")]
    nameless = field(tmp_path, ["2001-05-01,planting,,,,", "2001-10-01,harvest,,,,"])
    assert nameless.on("crop", "2001-06-01") == -1.0
    assert nameless.said("no crop is named: bare ground", kind="warning")


def test_years_without_a_crop_are_told(tmp_path):
    found = field(tmp_path, CORN)
    assert found.said(
        "no crop stands in 2002, 2003", "from 2001-05-01 to 2001-10-01", kind="warning"
    )


def test_a_table_that_begins_late_in_the_record_is_told(tmp_path):
    rows = ["2001-09-20,planting,winter wheat,,,", "2002-07-10,harvest,winter wheat,,,"]
    assert field(tmp_path, rows).said("the table begins on 2001-09-20", kind="warning")
    assert not field(tmp_path, CORN).said("the table begins")


def test_events_outside_the_record_are_counted_and_do_nothing(tmp_path):
    found = field(tmp_path, [*CORN, "1999-04-01,tillage,,,,disk"])
    assert found.said("before or after the record", kind="converted")
    assert not found.days("tillage")


def test_a_crop_that_is_not_simulated_is_refused_in_the_record_only(tmp_path):
    with pytest.raises(DataError, match="woody perennials are not simulated"):
        field(tmp_path, ["2001-05-01,planting,vineyard,,,"])
    assert not field(tmp_path, ["1990-05-01,planting,vineyard,,,"]).seasons


EVENTS = (
    "planting",
    "harvest",
    "termination",
    "cut",
    "tillage",
    "baling",
    "graze",
    "fertilisation",
)
CROPS = ("corn", "wheat", "alfalfa", "vetch", "sugar beet", "", "grass", "fallow", "maize+vetch")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_rows_one_crop_stands_at_a_time_and_each_begins_and_ends_once(tmp_path, seed):
    rng = np.random.default_rng(seed)
    days = np.datetime64("2000-06-01") + rng.integers(0, 1500, 60)
    rows = [f"{day},{rng.choice(EVENTS)},{rng.choice(CROPS)},,,plough" for day in days]
    found = field(tmp_path, rows)
    ends = [one.last for one in found.seasons]
    assert all(one.first > end for one, end in zip(found.seasons[1:], ends, strict=False))
    assert all(one.first <= one.last for one in found.seasons)
    occupied, planted, reaped = (found.days(name) for name in ("occupied", "planting", "harvest"))
    assert set(occupied.values()) <= {1.0}
    assert set(planted) <= set(occupied)
    assert set(reaped) <= set(occupied)
    assert {*planted.values(), *reaped.values()} <= {1.0}
    assert not set(planted) & set(reaped)
