"""What commands say of the data they work on."""

import pytest

from kgml_jax.cli import notes
from kgml_jax.data.schema import Note


@pytest.fixture
def told(capsys):
    def tell(*given):
        notes.tell(given)
        return capsys.readouterr().err

    return tell


def test_a_warning_of_many_sites_is_one_line(told):
    given = [Note(f"site {row}", "soil", "warning", 1, "is left out") for row in range(9)]
    assert told(*given) == (
        "warning: 9 sites (site 0, site 1, site 2 and 6 more): soil: is left out\n"
    )


def test_every_site_that_is_left_out_is_listed_with_its_reason(told):
    text = told(
        Note("A", "", "left out", 1, "site A: no rain"),
        Note("B", "wind_speed", "left out", 365, "2001 left out: a gap in the forcing"),
        Note("C", "NEE", "masked", 3, "quality below 0.75: not counted"),
    )
    assert text.splitlines() == [
        "warning: left out: A: site A: no rain",
        "warning: left out: B wind_speed: 2001 left out: a gap in the forcing",
    ]


def test_sites_at_a_place_that_was_not_given_are_named_with_what_it_costs(told):
    text = told(
        *(Note(name, "latitude", "defaulted", 1, "not given") for name in ("AU-Rig", "DE-Kli")),
        Note("AU-Rig", "elevation", "defaulted", 1, "not given"),
        Note("AU-Rig", "soil", "defaulted", 9, "not given"),
    )
    latitude, elevation, soil = text.splitlines()
    for words in (
        "no latitude",
        "2 sites (AU-Rig, DE-Kli)",
        "41 degree_north",
        "half a year off",
        "sites.csv",
    ):
        assert words in latitude
    for words in ("no elevation", "1 site (AU-Rig)", "200 m", "process model", "sites.csv"):
        assert words in elevation
    for words in ("no soil", "1 site (AU-Rig)", "Corn Belt mean"):
        assert words in soil


def test_of_well_placed_sites_nothing_is_said(told):
    assert told(Note("A", "soil", "estimated", 3, "estimated from texture")) == ""
