"""What of the site metadata is used, and what is not, is said."""

import csv
from functools import partial

import numpy as np
import pytest
import refusals

from kgml_jax.data.read import collect, read

refused = partial(refusals.refused, read)


@pytest.fixture
def towers(tower, write_tower, tmp_path):
    """Writes a year of two towers, and a table beside them."""

    def write(metadata=None):
        for site in ("US-Aa1", "US-Bb1"):
            write_tower(tower("2001-01-01", "2001-12-31"), site=site)
        if metadata is not None:
            (tmp_path / "sites.csv").write_text(metadata)
        return tmp_path

    return write


def general(reading):
    return [note.message for note in reading.notes if not note.site]


def of_site(reading, site, kind="warning"):
    return [note for note in reading.notes if note.site == site and note.kind == kind]


def test_rows_that_match_no_site_are_said_with_the_site_that_is_meant(towers):
    reading = read(towers("site,lat\nus-aa1,40\nUS_BB1,41\nDE-Kli,50\n"))
    (slips,) = [text for text in general(reading) if "match no site" in text]
    assert "us-aa1 (did you mean US-Aa1?)" in slips
    assert "US_BB1 (did you mean US-Bb1?)" in slips
    assert any("not in the data: DE-Kli" in text for text in general(reading))


def test_a_row_of_another_site_is_no_slip_where_each_site_has_its_own(towers):
    reading = read(towers("site,lat\nUS-Aa1,40\nUS-Bb1,41\nUS-Aa2,42\n"))
    assert not any("did you mean" in text for text in general(reading))
    assert any("not in the data: US-Aa2" in text for text in general(reading))


def test_columns_that_are_not_used_are_named(towers):
    reading = read(towers("site,Lat,ELEV,koeppen,elevation (ft)\nUS-Aa1,40,100,Dfa,328\n"))
    assert "columns of sites.csv that are not used: koeppen, elevation (ft)" in general(reading)
    assert float(reading.sites[0]["latitude"]) == 40.0
    assert float(reading.sites[0]["elevation"]) == 100.0


@pytest.mark.parametrize("cell", ["not given", "41 N", '"41,5"', "inf", "?"])
def test_a_cell_that_is_no_number_is_said_and_not_used(towers, cell):
    reading = read(towers(f"site,lat,elev\nUS-Aa1,{cell},100\n"))
    (note,) = of_site(reading, "US-Aa1")
    assert note.variable == "latitude"
    assert repr(cell.strip('"')) in note.message
    assert np.isnan(reading.sites[0].attrs["latitude"])


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "-9999", "-9999.0"])
def test_an_empty_cell_and_codes_of_missing_values_say_nothing(towers, cell):
    reading = read(towers(f"site,lat,elev\nUS-Aa1,{cell},100\n"))
    assert not of_site(reading, "US-Aa1")
    assert np.isnan(reading.sites[0].attrs["latitude"])


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("site,lat\nUS-Aa1,40,extra\nUS-Bb1,41\n", ("row 2", "too many")),
        ("site,lat\nUS-Aa1,40\nUS-Aa1,41\n", ("US-Aa1", "more than one row")),
        ("site,lat,latitude\nUS-Aa1,40,50\n", ("latitude", "stands twice", "lat and latitude")),
        ("site,lat\nUS-Aa1,40\n,41\n", ("variable site", "row 3", "empty")),
        ("site;lat\nUS-Aa1;40,5\n", ("semicolons", "decimal commas")),
        ("name,lat\nUS-Aa1,40\n", ("no column 'site'",)),
        ("", ("no rows",)),
    ],
)
def test_a_table_that_is_not_understood_is_refused(towers, metadata, words):
    refused(towers(metadata), "sites.csv", *words)


def test_a_folder_or_a_broken_link_in_place_of_the_table_is_refused(towers):
    folder = towers()
    (folder / "sites.csv").mkdir()
    refused(folder, "sites.csv", "is a folder")
    (folder / "sites.csv").rmdir()
    (folder / "sites.csv").symlink_to(folder / "absent.csv")
    refused(folder, "sites.csv", "link to a file that is not there")


BIF = """VARIABLE,SITE_ID,DATAVALUE,GROUP_ID,VARIABLE_GROUP
LOCATION_LAT,US-Aa1,-36.6499,1,GRP_LOCATION
LOCATION_LONG,US-Aa1,145.5759,1,GRP_LOCATION
LOCATION_ELEV,US-Aa1,152,1,GRP_LOCATION
IGBP,US-Aa1,GRA,2,GRP_IGBP
SITE_DESC,US-Aa1,"free text, with a comma" and, what breaks, a table,3,GRP_DESC
LOCATION_LAT,XX-Not,10,4,GRP_LOCATION
"""
BIF_NAME = "TERN_US-Aa1_FLUXNET_BIF_2011-2014_v1.3_r1.csv"


def test_place_and_vegetation_come_from_the_networks_table_and_that_is_said(towers):
    folder = towers()
    (folder / BIF_NAME).write_text(BIF, encoding="latin-1")
    reading = read(folder)
    first, second = reading.sites
    assert float(first["latitude"]) == -36.6499
    assert float(first["elevation"]) == 152.0
    assert first.attrs["longitude"] == 145.5759
    assert first.attrs["vegetation"] == first.attrs["group"] == "GRA"
    assert np.isnan(second.attrs["latitude"])
    (note,) = of_site(reading, "US-Aa1", "filled")
    assert BIF_NAME in note.message
    assert not any(BIF_NAME in text for text in general(reading))


def test_it_is_found_beside_a_single_file_too(towers):
    folder = towers()
    (folder / BIF_NAME).write_text(BIF)
    (path,) = folder.glob("FLX_US-Aa1*")
    assert float(read(path).sites[0]["latitude"]) == -36.6499


def test_our_own_table_wins_and_what_differs_is_said(towers):
    folder = towers("site,lat,elev,igbp\nUS-Aa1,40.05,,CRO\n")
    (folder / BIF_NAME).write_text(BIF)
    reading = read(folder)
    site = reading.sites[0]
    assert float(site["latitude"]) == 40.05
    assert float(site["elevation"]) == 152.0
    assert site.attrs["vegetation"] == "CRO"
    assert {note.variable for note in of_site(reading, "US-Aa1")} == {"latitude", "igbp"}


def test_of_several_positions_the_latest_is_used_and_that_is_said(towers):
    folder = towers()
    moved = (
        "LOCATION_DATE_START,US-Aa1,20050101,1,GRP_LOCATION\n"
        "LOCATION_LAT,US-Aa1,-36.7,5,GRP_LOCATION\n"
        "LOCATION_DATE_START,US-Aa1,19990101,5,GRP_LOCATION\n"
    )
    (folder / BIF_NAME).write_text(BIF + moved)
    reading = read(folder)
    assert float(reading.sites[0]["latitude"]) == -36.6499
    assert any("-36.7" in note.message for note in of_site(reading, "US-Aa1"))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "\0\0", BIF.replace("-36.6499", "south")])
def test_a_network_table_that_cannot_be_used_is_said_and_blocks_nothing(towers, text):
    folder = towers()
    (folder / BIF_NAME).write_text(text)
    reading = collect(folder)
    assert len(reading.sites) == 2
    assert not reading.errors
    assert any(BIF_NAME in note.message for note in reading.notes if note.kind == "warning")


def test_a_network_table_with_a_field_that_is_too_long_is_said_to_be_unreadable(towers):
    folder = towers()
    long = "x" * (csv.field_size_limit() + 1)
    (folder / BIF_NAME).write_text(BIF.replace("free text", long))
    reading = collect(folder)
    assert not reading.errors
    assert all(np.isnan(site.attrs["latitude"]) for site in reading.sites)
    (message,) = [text for text in general(reading) if BIF_NAME in text]
    assert "cannot be read as a table of site metadata: field larger than" in message


@pytest.mark.parametrize(("metadata", "said"), [("site,lat\nUS-Aa1,40", 1), ("site,lat\nA,4\n", 0)])
def test_a_table_whose_last_line_has_no_end_is_used_and_warned_of(towers, metadata, said):
    reading = read(towers(metadata))
    warned = [text for text in general(reading) if "last line of sites.csv has no end" in text]
    assert len(warned) == said
