"""What a run may leave out of its data when it is told to, and that it says so."""

import numpy as np
import pytest

from kgml_jax.data.quality import finish
from kgml_jax.data.read import read
from kgml_jax.data.schema import FORCING, ReadOptions
from kgml_jax.errors import DataError

SKIPPING = ReadOptions(skip_bad_sites=True)


@pytest.fixture
def folder(tower, write_tower, tmp_path):
    """One good tower, one without a column, one that lacks a day."""
    write_tower(tower(), site="US-Aa1")
    write_tower(tower().drop(columns="P_F"), site="US-Bb1")
    write_tower(tower().drop(index=99), site="US-Cc1")
    return tmp_path


@pytest.fixture
def years(per_site):
    """Four years of one site."""
    return per_site(("north",), last="2004-12-31")[0]


def lose(site, variable, start, end):
    site[variable].loc[{"time": slice(start, end)}] = np.nan


def left_out(notes):
    return {note.site: note.message for note in notes if note.kind == "left out"}


def test_all_that_is_wrong_with_a_site_comes_at_once(years):
    lose(years, "wind_speed", "2002-01-01", "2003-06-30")
    lose(years, "precipitation", "2001-01-01", "2004-12-31")
    years["Reco"] = -abs(years["NEE"]) - 1.0
    with pytest.raises(DataError) as caught:
        finish(years, ReadOptions())
    for words in (
        "3 problems",
        "wind_speed: a gap",
        "precipitation: no value",
        "Reco: is negative",
    ):
        assert words in str(caught.value)
    assert caught.value.site == "north"


def test_bad_attributes_and_bad_weather_of_a_site_come_at_once(tower, write_tower, tmp_path):
    path = write_tower(tower().assign(P_F=-9999))
    (tmp_path / "sites.csv").write_text("site,lat,elev,sand,clay\nUS-Aa1,141,9999,0.9,0.9\n")
    with pytest.raises(DataError) as caught:
        read(path)
    for words in ("latitude: is not", "elevation: is not", "sand and clay", "precipitation: no"):
        assert words in str(caught.value)


def test_every_bad_site_is_named_on_its_line_with_the_way_on(folder):
    with pytest.raises(DataError) as caught:
        read(folder)
    first, *sites, last = str(caught.value).splitlines()
    assert first == "2 inputs cannot be used:"
    assert [line.split("site ")[1][:6] for line in sites] == ["US-Bb1", "US-Cc1"]
    assert "--skip-bad-sites goes on with the other 1 sites" in last


def test_a_single_bad_site_is_refused_with_the_way_on(tower, write_tower, tmp_path):
    write_tower(tower(), site="US-Aa1")
    write_tower(tower().drop(columns="P_F"), site="US-Bb1")
    with pytest.raises(DataError, match="--skip-bad-sites") as caught:
        read(tmp_path)
    assert caught.value.site == "US-Bb1"


def test_where_no_site_is_left_no_way_on_is_promised(tower, write_tower):
    path = write_tower(tower().drop(columns="P_F"))
    for options in (ReadOptions(), SKIPPING):
        with pytest.raises(DataError, match="P_F") as caught:
            read(path, options=options)
        assert "skip" not in str(caught.value)


def test_bad_sites_are_left_out_with_their_reasons(folder):
    reading = read(folder, options=SKIPPING)
    assert [dataset.attrs["site"] for dataset in reading.sites] == ["US-Aa1"]
    assert not reading.errors
    reasons = left_out(reading.notes)
    assert set(reasons) == {"US-Bb1", "US-Cc1"}
    assert "P_F" in reasons["US-Bb1"]
    assert "2001-04-10" in reasons["US-Cc1"]


def test_years_at_the_ends_whose_weather_lacks_a_variable_are_left_out(years):
    lose(years, "precipitation", "2001-01-01", "2001-12-31")
    lose(years, "wind_speed", "2004-03-01", "2004-12-31")
    done, notes = finish(years, SKIPPING)
    days = done["time"].to_numpy().astype("datetime64[D]")
    assert (str(days[0]), str(days[-1])) == ("2002-01-01", "2003-12-31")
    found = [(note.variable, note.count) for note in notes if note.kind == "left out"]
    assert found == [("precipitation", 365), ("wind_speed", 366)]
    assert all(np.isfinite(done[name]).all() for name in FORCING if name in done)


def test_what_is_kept_is_the_same_to_the_bit(years):
    whole, _ = finish(years.copy(deep=True), SKIPPING)
    lose(years, "precipitation", "2001-01-01", "2001-12-31")
    done, _ = finish(years, SKIPPING)
    same = whole.sel(time=done["time"])
    for name in ("precipitation", "air_temperature_mean", "NEE"):
        np.testing.assert_array_equal(done[name], same[name])


def test_a_gap_filled_from_a_year_that_is_left_out_is_looked_at_again(years):
    lose(years, "precipitation", "2001-01-01", "2001-06-30")
    # 40 days that only 2001 had, whose other half lacks the rain.
    for year in (2002, 2003, 2004):
        lose(years, "wind_speed", f"{year}-05-01", f"{year}-06-09")
    with pytest.raises(DataError, match=r"wind_speed.*longer than the rules"):
        finish(years, SKIPPING)


def test_a_year_amid_the_record_is_never_cut_out(years):
    lose(years, "precipitation", "2002-01-01", "2002-12-31")
    with pytest.raises(DataError, match="2002-01-01 to 2002-12-31"):
        finish(years, SKIPPING)


def test_without_the_option_no_year_is_left_out(years):
    lose(years, "precipitation", "2001-01-01", "2001-12-31")
    with pytest.raises(DataError, match="2001-01-01 to 2001-12-31"):
        finish(years, ReadOptions())
