"""Rows of a table of events are understood, or the error names them."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from management_tables import field

from kgml_jax.data.choices import DataChoice, OtherData, data_from_json
from kgml_jax.data.management import vocabulary
from kgml_jax.data.read import collect, inputs, read
from kgml_jax.data.schema import ReadOptions
from kgml_jax.errors import DataError

CORN = ["2001-05-01,planting,corn,,,", "2001-10-01,harvest,corn,,,"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("31/11/2001,planting,corn,,,", ("'31/11/2001' in row 2", "YYYY-MM-DD")),
        ("2001-11-31,planting,corn,,,", ("'2001-11-31' in row 2", "a day that exists")),
        ("2001-05-01,plantin,corn,,,", ("'plantin' in row 2", "did you mean")),
        ("2001-05-01,planting,soybeen,,,", ("'soybeen'", "did you mean soybean", "row 2")),
        ("2001-05-01,irrigation,,25,,", ("without units", "25 in row 2", "mm")),
        ("2001-05-01,fertilisation,,90,kg ha-1,", ("'kg ha-1' in row 2", "of nitrogen")),
        ("2001-05-01,irrigation,,-3,mm,", ("'-3' in row 2", "from 0 on")),
        ("2001-05-01,irrigation,,a lot,mm,", ("'a lot' in row 2",)),
    ],
)
def test_a_row_that_cannot_be_understood_is_named(tmp_path, row, words):
    with pytest.raises(DataError) as caught:
        field(tmp_path, [row])
    message = str(caught.value)
    assert "management.csv" in message
    assert not [word for word in words if word not in message], message


def test_all_rows_of_a_site_that_are_wrong_are_in_one_message(tmp_path):
    with pytest.raises(DataError, match=r"2 problems.*row 2.*row 3"):
        field(tmp_path, ["31/11/2001,planting,corn,,,", "2001-05-01,irrigation,,25,,"])


def test_a_row_without_a_date_is_left_out_and_named(tmp_path):
    found = field(tmp_path, [*CORN, ",planting,wheat,,,"])
    assert found.said("without a date", "row 4", kind="warning")


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("100,kg N ha-1", 10.0),
        ("100,kg N/ha", 10.0),
        ("10,g N m-2", 10.0),
        ("100,lb N/ac", 11.2085),
        ("100,lbs N/acre", 11.2085),
    ],
)
def test_nitrogen_comes_in_the_units_of_farms(tmp_path, amount, expected):
    found = field(tmp_path, [f"2001-05-01,fertilisation,,{amount},urea"])
    assert found.days("fertiliser_ammonium")["2001-05-01"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("method", "ammonium"),
    [
        ("urea", 1.0),
        ("UAN 28%", 0.75),
        ("ammonium nitrate", 0.5),
        ("calcium nitrate", 0.0),
        ("", 0.75),
    ],
)
def test_nitrogen_is_divided_by_the_form_of_fertiliser(tmp_path, method, ammonium):
    found = field(tmp_path, [f"2001-05-01,fertilisation,,100,kg N ha-1,{method}"])
    assert found.on("fertiliser_ammonium", "2001-05-01") == pytest.approx(10 * ammonium)
    assert found.on("fertiliser_nitrate", "2001-05-01") == pytest.approx(10 * (1 - ammonium))


def test_fertilisation_that_says_the_same_on_the_next_day_is_one_operation(tmp_path):
    rows = [f"2001-05-0{day},fertilisation,,100,kg N ha-1,urea" for day in (1, 2, 3, 7)]
    found = field(tmp_path, rows)
    assert list(found.days("fertiliser_ammonium")) == ["2001-05-01", "2001-05-07"]
    assert found.said("2001-05-02, 2001-05-03", "counted once", kind="warning")


def test_fertilisation_without_an_amount_is_told(tmp_path):
    found = field(tmp_path, ["2001-05-01,fertilisation,,,,urea"])
    assert not found.days("fertiliser_ammonium")
    assert found.said("1 fertilisations without an amount", kind="warning")


@pytest.mark.parametrize(
    ("amount", "depth"), [("25,mm", 25.0), ("1,in", 25.4), ("250,m3/ha", 25.0)]
)
def test_water_comes_in_the_units_of_farms(tmp_path, amount, depth):
    found = field(tmp_path, [f"2001-07-01,irrigation,,{amount},"])
    assert found.days("irrigation") == {"2001-07-01": pytest.approx(depth)}


def test_water_of_several_days_is_spread_over_them(tmp_path):
    header = "site,date_start,date_end,event,amount,unit\n"
    found = field(tmp_path, ["A,2001-07-01,2001-07-04,irrigation,30,mm"], header=header)
    assert list(found.days("irrigation").values()) == [7.5] * 4


@pytest.mark.parametrize(
    ("row", "share"),
    [
        ("2001-04-01,tillage,,,,mouldboard plough", 0.7),
        ("2001-04-01,tillage,,,,disk", 0.5),
        ("2001-04-01,tillage,,30,%,disk", 0.3),
        ("2001-04-01,tillage,,10,cm,", 0.4),
        ("2001-04-01,tillage,,,,", 0.4),
    ],
)
def test_tillage_mixes_a_share_given_or_by_implement_or_by_depth(tmp_path, row, share):
    assert field(tmp_path, [row]).days("tillage") == {"2001-04-01": pytest.approx(share)}


def test_two_passes_of_a_day_mix_no_more_than_all_of_it(tmp_path):
    rows = ["2001-04-01,tillage,,,,plough", "2001-04-01,tillage,,,,disk"]
    assert field(tmp_path, rows).days("tillage") == {"2001-04-01": 1.0}


def test_a_row_that_repeats_another_counts_once(towers):
    rows = "US-Aa1,2001-07-01,irrigation,,25,mm\n"
    header = "site,date,event,crop,amount,unit\n"
    reading = read(towers(header + rows * 2 + rows.replace("25", "30")))
    assert float(reading.sites[0]["irrigation"].sum()) == pytest.approx(55.0)
    assert any(
        "repeat another" in n.message and "row 3 (row 2)" in n.message for n in reading.notes
    )


def test_a_table_that_may_be_cut_off_is_told(towers):
    reading = read(towers(TABLE.rstrip("\n")))
    assert any("has no end" in note.message for note in reading.notes)


def test_events_that_nothing_depends_on_are_counted(tmp_path):
    rows = ["2001-04-01,liming,,,,", "2001-05-01,emergence,corn,,,", "2001-06-01,spraying,,,,"]
    found = field(tmp_path, [*CORN, *rows])
    assert found.said("liming 1", "emergence 1", "spraying 1", kind="left out")


def test_columns_with_units_in_their_heads_are_read_and_others_named(tmp_path):
    header = "site,date,event,nitrogen [kg N ha-1],cost\n"
    found = field(tmp_path, ["A,2001-05-01,fertilisation,50,99"], header=header)
    assert found.on("fertiliser_nitrate", "2001-05-01") == pytest.approx(1.25)


@pytest.fixture
def towers(tower, write_tower, tmp_path):
    """Writes two towers of two years, and a table of events beside them."""
    for site in ("US-Aa1", "US-Bb1"):
        write_tower(tower(), site=site)

    def with_table(text, name="management.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path

    return with_table


def test_nothing_is_said_of_rows_of_sites_that_are_not_in_the_data(towers):
    other = "US-Zz9,2001-07-01,irrigation\n" * 2
    reading = read(towers("site,date,event\nUS-Aa1,2001-04-20,tillage\n" + other))
    assert not any("repeat another" in note.message for note in reading.notes)


def test_a_choice_of_data_keeps_its_table_of_events_and_takes_that_of_other_data():
    choice = DataChoice(data=Path("a"), management=Path("a.csv"))
    described = json.loads(json.dumps(asdict(choice), default=str))
    assert data_from_json(described) == choice
    assert OtherData(Path("b")).after(choice).management is None
    assert OtherData(Path("b"), management=Path("b.csv")).after(choice).management == Path("b.csv")
    assert OtherData().after(choice).management == Path("a.csv")
    with pytest.raises(ValueError, match="--management has no meaning without --data"):
        OtherData(management=Path("b.csv")).after(choice)


TABLE = (
    "site,date,event,crop\nUS-Aa1,2001-05-01,planting,corn\nUS-Aa1,2001-10-01,harvest,corn\n"
    "US-Zz9,2001-05-01,planting,corn\n"
)


def test_a_table_beside_the_data_is_found_read_and_counted_among_the_inputs(towers):
    folder = towers(TABLE)
    reading = read(folder)
    assert [one.site for one in reading.seasons] == ["US-Aa1"]
    planted, bare = reading.sites
    assert float(planted["planting"].sum()) == 1.0
    assert "planting" not in bare
    assert folder / "management.csv" in inputs(folder)
    assert any("not in the data: US-Zz9" in note.message for note in reading.notes)
    assert not any("left out: management.csv" in note.message for note in reading.notes)


def test_a_table_is_found_beside_a_single_file_and_above_a_folder(towers, tmp_path):
    folder = towers(TABLE)
    (file,) = folder.glob("FLX_US-Aa1*")
    assert len(read(file).seasons) == 1
    below = tmp_path / "data"
    below.mkdir()
    file.rename(below / file.name)
    assert len(read(below).seasons) == 1


def test_a_table_of_another_name_is_given(towers, tmp_path):
    folder = towers(TABLE, "diary.csv")
    assert not read(folder).seasons
    assert len(read(folder, management=tmp_path / "diary.csv").seasons) == 1
    assert tmp_path / "diary.csv" in inputs(folder, management=tmp_path / "diary.csv")
    with pytest.raises(DataError, match="no such file"):
        read(folder, management=tmp_path / "absent.csv")


def test_a_wrong_row_stops_its_site_and_no_other(towers):
    reading = collect(towers(TABLE + "US-Bb1,31/11/2001,harvest,corn\n"))
    assert [one.attrs["site"] for one in reading.sites] == ["US-Aa1"]
    (error,) = reading.errors
    assert error.site == "US-Bb1"
    assert error.file == "management.csv"


def test_sites_of_the_data_that_the_table_does_not_name_are_told(towers):
    messages = [note.message for note in read(towers(TABLE)).notes]
    assert "sites of the data that management.csv does not name: US-Bb1" in messages


def test_management_that_lies_in_the_metadata_is_told(towers, tmp_path):
    rows = 'US-Aa1,7,GRP_DM_PLANTING,DM_PLANTING,"Sowing crop seeds"\n'
    rows += 'US-Aa1,7,GRP_DM_PLANTING,DM_DATE,"20010501"\n'
    badm = tmp_path / "AMF_US-Aa1_BIF_20240101.csv"
    badm.write_text("SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\n" + rows)
    folder = towers("", "empty.txt")
    (note,) = [one for one in read(folder).notes if "--management reads it" in one.message]
    assert (note.site, note.kind, note.count) == ("US-Aa1", "left out", 1)
    assert not any(
        "--management reads it" in n.message for n in read(folder, management=badm).notes
    )


def test_a_slip_in_the_name_of_a_site_is_told(towers):
    reading = read(towers(TABLE.replace("US-Aa1", "US_AA1")))
    assert any("US_AA1 (did you mean US-Aa1?)" in note.message for note in reading.notes)


def test_data_that_tell_the_same_are_refused_and_name_both(schema, tmp_path):
    dataset = schema()
    dataset["planting"] = dataset["NEE"] * 0 + 0.0
    dataset["planting"][0, 120] = 1.0
    dataset["planting"].attrs["units"] = "1"
    dataset.to_netcdf(tmp_path / "fields.nc")
    (tmp_path / "management.csv").write_text(TABLE.replace("US-Aa1", "north"))
    reading = collect(tmp_path / "fields.nc")
    (error,) = reading.errors
    for word in ("management.csv", "fields.nc", "north", "planting"):
        assert word in str(error)


def test_data_that_tell_something_else_keep_it(schema, tmp_path):
    dataset = schema()
    dataset["irrigation"] = dataset["NEE"] * 0 + 1.5
    dataset["irrigation"].attrs["units"] = "mm d-1"
    dataset.to_netcdf(tmp_path / "fields.nc")
    (tmp_path / "management.csv").write_text(TABLE.replace("US-Aa1", "north"))
    (north, _) = read(tmp_path / "fields.nc").sites
    assert float(north["irrigation"].mean()) == pytest.approx(1.5)
    assert float(north["planting"].sum()) == 1.0


def test_crops_of_a_table_are_rows_whatever_codes_the_data_have(schema, tmp_path):
    schema().to_netcdf(tmp_path / "fields.nc")
    table = TABLE.replace("US-Aa1", "north").replace("corn", "soybean")
    (tmp_path / "management.csv").write_text(table)
    reading = read(tmp_path / "fields.nc", options=ReadOptions(crop_codes="cdl"))
    occupied = reading.sites[0]["occupied"].to_numpy() > 0
    assert np.unique(reading.sites[0]["crop"].to_numpy()[occupied]) == [1.0]


def test_every_word_is_of_an_event_and_every_event_has_a_meaning():
    assert set(vocabulary.SAID.values()) == {*vocabulary.KINDS, *vocabulary.UNUSED}
