"""Tables of other vocabularies are recognised by what is in them, and say the same."""

import json

import pytest
from management_tables import Field

from kgml_jax.data.management import reader
from kgml_jax.errors import DataError

SPAN = ("2001-01-01", "2003-12-31")
SEASON = [("corn", "2001-05-01", "2001-10-01")]


@pytest.fixture
def laid(tmp_path):
    """Writes a file and lays it on the record of a site."""

    def write(text, name="events.csv", site="A"):
        path = tmp_path / name
        path.write_text(text)
        return Field(path, *SPAN, site, 45.0)

    return write


def same_farm(found):
    assert found.spans() == SEASON
    assert found.on("fertiliser_ammonium", "2001-05-02") == pytest.approx(10.0)
    assert found.days("irrigation") == {"2001-07-01": pytest.approx(25.0)}
    assert found.days("tillage") == {"2001-04-20": pytest.approx(0.7)}


def test_icasa_in_a_flat_table_has_as_many_events_a_row_as_dates(laid):
    found = laid(
        "site,pdate,crid,hadat,fedate,fecd,feamn,idate,irval,tdate,tiimp\n"
        "A,20010501,MAZ,20011001,20010502,FE005,100,20010701,25,20010420,TI003\n"
    )
    same_farm(found)


def test_an_ace_package_of_agmip_is_read(laid):
    events = [
        {"event": "planting", "date": "20010501", "crid": "MAZ"},
        {"event": "harvest", "date": "20011001"},
        {"event": "fertilizer", "date": "20010502", "feamn": "100", "fecd": "FE005"},
        {"event": "irrigation", "date": "20010701", "irval": "25", "irop": "IR004"},
        {"event": "tillage", "date": "20010420", "tiimp": "TI003"},
    ]
    package = {"experiments": [{"exname": "A", "management": {"events": events}}]}
    same_farm(laid(json.dumps(package), "farm.json"))


def test_events_of_pecan_are_read(laid):
    events = [
        {
            "event_type": "planting",
            "date": "2001-05-01",
            "crop_code": "maize",
            "leaf_c_kg_m2": 0.01,
        },
        {"event_type": "harvest", "date": "2001-10-01", "frac_above_removed_0to1": 0.5},
        {"event_type": "fertilization", "date": "2001-05-02", "nh4_n_kg_m2": 0.01},
        {"event_type": "irrigation", "date": "2001-07-01", "amount_mm": 25, "method": "soil"},
        {
            "event_type": "tillage",
            "date": "2001-04-20",
            "tillage_eff_0to1": 0.3,
            "intensity_category": "plow",
        },
        {"event_type": "leafon", "date": "2001-05-20"},
    ]
    found = laid(
        json.dumps([{"pecan_events_version": "0.1.2", "site_id": "A", "events": events}]), "e.json"
    )
    same_farm(found)
    assert not found.days("residue_removal")  # half of the shoot is grain


def test_events_of_sipnet_are_of_the_only_site_and_name_no_crop(laid):
    lines = [
        "2001 110 till 0.3   # tilled",
        "2001 121 plant 10 0 5 0",
        "2001 122 fert 0 0 10",
        "2001 182 irrig 2.5 1",
        "2001 274 harv 0.9",
    ]
    found = laid("\n".join(lines) + "\n", "events.in")
    assert found.spans() == [("", "2001-05-01", "2001-10-01")]
    assert found.days("irrigation") == {"2001-07-01": pytest.approx(25.0)}
    assert found.on("fertiliser_nitrate", "2001-05-02") == pytest.approx(2.5)
    assert found.days("residue_removal") == {"2001-10-01": pytest.approx(0.8)}


def test_rows_without_a_site_are_refused_where_the_data_hold_several(tmp_path):
    path = tmp_path / "events.in"
    path.write_text("2001 121 plant 10 0 5 0\n")
    with pytest.raises(DataError, match="rows without a site"):
        reader.for_sites(reader.load(path), ["A", "B"])


BADM = "SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\n"


def badm(*groups):
    lines = []
    for number, (name, group) in enumerate(groups):
        lines += [f'A,{number},GRP_{name},{key},"{value}"\n' for key, value in group.items()]
    return BADM + "".join(lines)


def operation(name, what, comment, date, **more):
    return name, {name: what, "DM_DATE": date, "DM_COMMENT": comment, **more}


def test_management_of_badm_is_read_from_its_comments(laid):
    found = laid(
        badm(
            operation("DM_PLANTING", "Sowing crop seeds", "Corn, 32000 seeds/acre", "20010501"),
            operation("DM_AGRICULTURE", "Harvest", "harvest (corn), 190 bu per acre", "20011001"),
            operation("DM_FERT_M", "N", "89.22 lb N per acre as urea", "20010502"),
            operation("DM_WATER", "Irrigation", "0.9843 in CW from 260", "200107010800"),
            operation("DM_TILL", "Conventional", "plowed", "20010420"),
            operation("DM_PESTICIDE", "Herbicide", "Roundup", "20010601"),
        )
    )
    assert found.spans() == SEASON
    assert found.on("fertiliser_ammonium", "2001-05-02") == pytest.approx(10.0, rel=1e-3)
    assert found.days("irrigation") == {"2001-07-01": pytest.approx(25.0, rel=1e-3)}
    assert found.days("tillage") == {"2001-04-20": pytest.approx(0.7)}
    assert found.said("spraying 1", kind="left out")


def test_rows_of_badm_with_one_text_are_one_operation_on_parts_of_the_field(laid):
    parts = [
        operation("DM_FERT_M", "N", "100 lb N/acre urea", f"2001050{day}", DM_SURF=surf)
        for day, surf in ((2, "30"), (3, "70"))
    ]
    again = operation("DM_FERT_M", "N", "100 lb N/acre urea", "20020502")
    found = laid(badm(*parts, again))
    assert found.days("fertiliser_ammonium") == {
        "2001-05-02": pytest.approx(11.2085),
        "2002-05-02": pytest.approx(11.2085),
    }


def test_a_month_of_badm_is_a_window(laid):
    found = laid(
        badm(
            operation("DM_PLANTING", "Sowing crop seeds", "planted wheat (Everest)", "20011010"),
            operation("DM_AGRICULTURE", "Harvest", "harvest (wheat)", "200206"),
        )
    )
    assert found.spans() == [("winter wheat", "2001-10-10", "2002-06-15")]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("a,b\n1,2\n", "x.csv", "is no table of events"),
        (
            "site,date,VARIABLE,DATAVALUE,GROUP_ID,SITE_ID,event\n" + "A," * 6 + "B\n",
            "x.csv",
            "several kinds",
        ),
        ('{"a": 1}', "x.json", "is JSON, but no table of events"),
        ('{"a": ', "x.json", "is damaged"),
        ('[{"site_id": "A", "events": [1]}]', "x.json", "x.json.*events: a list of objects"),
        ('{"experiments": [{"management": 1}]}', "x.json", "management: a list of objects"),
        ("2001 400 plant 1\n", "events.in", "no day of a year"),
        ("2001 100 plant 1\n2001 101 prune 1\n", "events.in", "no event of SIPNET"),
        (
            "site,date,date_start,event\nA,2001-01-01,2001-01-01,tillage\n",
            "x.csv",
            "two columns mean one thing",
        ),
    ],
)
def test_what_is_no_table_of_events_or_may_be_several_is_refused(tmp_path, text, name, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        reader.load(path)
