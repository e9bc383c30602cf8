"""A record is of one piece: years in the same units, no value that stays for weeks."""

import numpy as np
import pytest

from kgml_jax.data.consistency import EVENNESS, LEAST_DAYS, MOST_SAME
from kgml_jax.data.quality import finish
from kgml_jax.data.schema import ReadOptions

SECOND = slice(365, 730)


@pytest.fixture
def site(per_site):
    """Three years, so that the median of the others is that of whole years."""
    return per_site(("north",), last="2003-12-31")[0]


def with_respiration(site):
    site["Rh"] = site["vapour_pressure_deficit"] * 2.0
    site["Rh"].attrs["units"] = "g C m-2 d-1"
    return site


def doubts(site, variable, words):
    _, notes = finish(site, ReadOptions())
    return [note for note in notes if note.variable == variable and words in note.message]


def uneven(site, variable):
    return doubts(site, variable, "are the units of all years the same?")


def still(site, variable):
    return doubts(site, variable, "days on end")


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("precipitation", 0.1),
        ("precipitation", 6.0),
        ("shortwave_radiation", 0.4),
        ("vapour_pressure_deficit", 0.1),
        ("wind_speed", 1 / 3.6),
        ("NEE", 5.0),
        ("Rh", 1e-3),
    ],
)
def test_a_year_in_other_units_is_doubted_by_its_name_and_kept(site, name, factor):
    with_respiration(site)[name][SECOND] *= factor
    (note,) = uneven(site, name)
    assert (note.kind, note.count) == ("warning", 365)
    value = float(getattr(site[name][SECOND], EVENNESS[name].measure.replace("spread", "std"))())
    assert f"a {EVENNESS[name].measure} of {value:.3g} in 2002" in note.message
    np.testing.assert_array_equal(finish(site, ReadOptions())[0][name], site[name])


def test_a_year_of_temperature_that_hardly_varies_is_doubted(site):
    for name in ("air_temperature_mean", "air_temperature_max", "air_temperature_min"):
        middle = site[name].mean()
        site[name][SECOND] = middle + 0.3 * (site[name][SECOND] - middle)
    (note,) = uneven(site, "air_temperature_mean")
    assert "a spread of" in note.message


@pytest.mark.parametrize(("name", "factor"), [("precipitation", 0.25), ("NEE", 3.0), ("Rh", 0.3)])
def test_a_year_that_weather_and_crops_explain_is_not_doubted(site, name, factor):
    with_respiration(site)[name][SECOND] *= factor
    assert not uneven(site, name)


def test_years_of_next_to_nothing_are_not_compared(site):
    site["precipitation"] = site["precipitation"] * 0.02
    site["precipitation"][SECOND] *= 0.1
    assert not uneven(site, "precipitation")


@pytest.mark.parametrize(("days", "doubted"), [(LEAST_DAYS - 1, False), (LEAST_DAYS, True)])
def test_a_year_is_compared_that_has_values_on_most_days(site, days, doubted):
    site["NEE"][SECOND] *= 10.0
    site["NEE"][365 + days : 730] = np.nan
    assert bool(uneven(site, "NEE")) is doubted


def test_a_record_of_one_year_has_nothing_to_compare_with(per_site):
    site = per_site(("north",), last="2001-12-31")[0]
    assert not uneven(with_respiration(site), "Rh")


@pytest.mark.parametrize(
    "name", ["shortwave_radiation", "wind_speed", "air_temperature_max", "NEE"]
)
@pytest.mark.parametrize(("days", "doubted"), [(MOST_SAME - 1, False), (MOST_SAME, True)])
def test_a_value_that_stands_still_is_doubted_with_its_first_day(site, name, days, doubted):
    site[name][100 : 100 + days] = float(site[name][99]) + 0.125
    found = still(site, name)
    assert [note.count for note in found] == [days] * doubted
    assert all(f"on {days} days on end from 2001-04-11" in note.message for note in found)


def test_days_without_rain_and_days_without_a_value_stand_still_and_are_not_doubted(site):
    site["precipitation"][100:160] = 0.0
    site["NEE"][100:160] = np.nan
    assert not still(site, "precipitation")
    assert not still(site, "NEE")


def test_a_value_that_is_the_same_throughout_is_not_said_to_stand_still(site):
    site["wind_speed"][:] = 2.0
    assert not still(site, "wind_speed")


@pytest.mark.parametrize(("latitude", "doubted"), [(50.0, True), (72.0, False)])
def test_radiation_stays_at_zero_in_the_polar_night_and_nowhere_else(site, latitude, doubted):
    site["latitude"] = latitude
    site["shortwave_radiation"][360:375] = 0.0
    assert bool(still(site, "shortwave_radiation")) is doubted


@pytest.mark.parametrize(("warmth", "doubted"), [(-5.0, False), (5.0, True)])
def test_evapotranspiration_rests_at_zero_in_frost_only(site, warmth, doubted):
    days = slice(0, 2 * MOST_SAME)
    site["ET"] = site["vapour_pressure_deficit"] * 2.0
    site["ET"].attrs["units"] = "mm d-1"
    site["ET"][days] = 0.0
    for name in ("air_temperature_mean", "air_temperature_max", "air_temperature_min"):
        site[name][days] = warmth + 0.1 * np.arange(2 * MOST_SAME) / MOST_SAME
    assert bool(still(site, "ET")) is doubted
