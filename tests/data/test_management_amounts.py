"""Manure and grazing of a table of events as shares and masses on days."""

import numpy as np
import pytest
from management_tables import field

GRASS = ["2000-04-01,planting,grass,,,"]


def brought(found):
    """Carbon, organic nitrogen and ammonium on the day of the only manuring."""
    names = ("manure_carbon", "manure_nitrogen", "fertiliser_ammonium")
    return tuple(found.on(name, "2001-03-15") for name in names)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # g m-2; 10 g C g-1 N and a share of 0.5 of ammonium in slurry, 16 and 0.15 in solid manure
        ("2001-03-15,manure,,120,kg N ha-1,pig slurry", (120.0, 6.0, 6.0)),
        ("2001-03-15,slurry,,120,kg N ha-1,", (120.0, 6.0, 6.0)),
        ("2001-03-15,manure,,100,kg N ha-1,solid manure (cow)", (160.0, 8.5, 1.5)),
        ("2001-03-15,manure,,3.2,t C ha-1,farmyard", (320.0, 17.0, 3.0)),
        ("2001-03-15,manure,,3.6,t C ha-1,compost", (360.0, 19.0, 1.0)),
    ],
)
def test_what_manure_brings_follows_from_its_kind(tmp_path, row, expected):
    found = field(tmp_path, [row])
    assert brought(found) == pytest.approx(expected)
    assert found.said("by its kind", kind="estimated")


def test_what_the_table_gives_of_manure_is_taken_as_it_is(tmp_path):
    header = "site,date,event,carbon [t C ha-1],organic nitrogen [kg N ha-1],ammonium [kg N ha-1]\n"
    found = field(tmp_path, ["A,2001-03-15,manure,2,90,40"], header=header)
    assert brought(found) == pytest.approx((200.0, 9.0, 4.0))
    assert not found.said("by its kind")


def test_organic_matter_of_a_fertilisation_leaves_its_other_nitrogen_mineral(tmp_path):
    header = "site,date,event,carbon [g C m-2],organic nitrogen [g N m-2],nitrogen [g N m-2],form\n"
    found = field(tmp_path, ["A,2001-03-15,fertilisation,100,6,4,urea"], header=header)
    assert brought(found) == pytest.approx((100.0, 6.0, 4.0))


def test_manure_without_an_amount_is_left_out_with_a_warning(tmp_path):
    found = field(tmp_path, ["2001-03-15,manure,,,,solid manure"])
    assert brought(found) == (0.0, 0.0, 0.0)
    assert found.said("1 organic fertilisations without", kind="warning")


def test_animals_eat_a_given_share_over_their_window(tmp_path):
    header = "site,date_start,date_end,event,crop,share [1]\n"
    rows = ["A,2000-04-01,2000-04-01,planting,grass,", "A,2001-05-01,2001-05-10,graze,,0.6"]
    eaten = field(tmp_path, rows, header=header).days("grazing")
    assert len(eaten) == 10
    assert 1 - np.prod([1 - share for share in eaten.values()]) == pytest.approx(0.6)


def test_grazing_without_an_amount_is_that_of_a_paddock_or_of_a_season(tmp_path):
    header = "site,date_start,date_end,event,crop\n"
    sown = "A,2000-04-01,2000-04-01,planting,grass"
    paddock = field(tmp_path, [sown, "A,2001-05-01,2001-05-03,graze,"], header=header)
    left = np.prod([1 - share for share in paddock.days("grazing").values()])
    assert left == pytest.approx(0.5)
    season = field(tmp_path, [sown, "A,2001-05-01,2001-10-01,graze,"], header=header)
    assert list(season.days("grazing").values()) == pytest.approx([0.03] * 154)
    assert season.said("grazing", "0.03 a day", kind="estimated")


def test_grazing_of_bare_ground_is_left_out(tmp_path):
    rows = ["2001-05-01,planting,corn,,,", "2001-10-01,harvest,corn,,,", "2002-02-01,graze,,,,"]
    found = field(tmp_path, rows)
    assert not found.days("grazing")
    assert found.said("grazing where nothing stands", kind="left out")
