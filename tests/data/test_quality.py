import numpy as np
import pytest

from kgml_jax.data import gaps
from kgml_jax.data.estimates import global_co2
from kgml_jax.data.quality import finish
from kgml_jax.data.schema import FORCING, ReadOptions
from kgml_jax.errors import DataError

OPTIONS = ReadOptions()


@pytest.fixture
def site(per_site):
    return per_site(("north",))[0]


def kinds(notes, variable):
    return {(note.kind, note.count) for note in notes if note.variable == variable}


def test_a_short_gap_in_temperature_is_interpolated_and_counted(site):
    truth = site["air_temperature_mean"].to_numpy().copy()
    site["air_temperature_mean"][10:17] = np.nan
    done, notes = finish(site, OPTIONS)
    # A straight line over a week of a smooth season.
    np.testing.assert_allclose(done["air_temperature_mean"], truth, atol=0.1)
    assert ("filled", 7) in kinds(notes, "air_temperature_mean")


def test_a_short_gap_in_precipitation_is_dry(site):
    site["precipitation"][100:106] = np.nan
    done, notes = finish(site, OPTIONS)
    np.testing.assert_array_equal(done["precipitation"][100:106], 0.0)
    assert any(note.message == gaps.DRY and note.count == 6 for note in notes)


def test_a_long_gap_takes_the_same_days_of_the_nearest_year(site):
    truth = site["precipitation"].to_numpy().copy()
    site["precipitation"][40:70] = np.nan
    done, notes = finish(site, OPTIONS)
    np.testing.assert_array_equal(done["precipitation"][40:70], truth[365 + 40 : 365 + 70])
    assert any(note.message == gaps.COPY and note.count == 30 for note in notes)


def test_a_gap_over_a_leap_day_takes_the_28th_of_february(per_site):
    site = per_site(("north",), first="2003-01-01", last="2004-12-31")[0]
    leap = int(np.flatnonzero(site["time"].to_numpy() == np.datetime64("2004-02-29"))[0])
    site["wind_speed"][leap - 10 : leap + 10] = np.nan
    done, _ = finish(site, OPTIONS)
    twin = site["wind_speed"].sel(time="2003-02-28")
    assert done["wind_speed"][leap].item() == twin.item()


def test_a_gap_longer_than_the_rules_fill_names_site_variable_and_days(site):
    site["wind_speed"][31 : 31 + 61] = np.nan
    with pytest.raises(DataError) as caught:
        finish(site, OPTIONS)
    for word in ("north", "wind_speed", "2001-02-01 to 2001-04-02", "60 days"):
        assert word in str(caught.value)


def test_a_long_gap_in_a_single_year_has_no_other_year_to_copy(per_site):
    site = per_site(("north",), last="2001-12-31")[0]
    site["wind_speed"][50:60] = np.nan
    with pytest.raises(DataError, match=r"wind_speed.*longer than the rules fill"):
        finish(site, OPTIONS)


def test_the_gap_limits_are_a_choice(site):
    site["wind_speed"][50:60] = np.nan
    with pytest.raises(DataError):
        finish(site, ReadOptions(max_gap=0, max_copy=0))


def test_a_long_gap_in_carbon_dioxide_follows_the_global_mean(site):
    co2 = np.full(site.sizes["time"], 375.0)
    co2[100:200] = np.nan
    site["co2"] = ("time", co2, {"units": "umol mol-1"})
    done, _ = finish(site, OPTIONS)
    np.testing.assert_allclose(done["co2"][100:200], global_co2(np.array(2001)))


def test_a_slightly_negative_deficit_is_set_to_zero_and_counted(site):
    site["vapour_pressure_deficit"][5] = -0.01
    done, notes = finish(site, OPTIONS)
    assert done["vapour_pressure_deficit"][5].item() == 0.0
    assert ("converted", 1) in kinds(notes, "vapour_pressure_deficit")


def test_a_day_far_outside_the_physical_range_is_treated_as_missing(site):
    site["air_temperature_mean"][5] = 200.0
    done, notes = finish(site, OPTIONS)
    assert done["air_temperature_mean"][5].item() < 0.0
    assert {("warning", 1), ("filled", 1)} <= kinds(notes, "air_temperature_mean")


def test_many_days_outside_the_physical_range_mean_wrong_units(site):
    site["shortwave_radiation"] = site["shortwave_radiation"] / 0.0864
    with pytest.raises(DataError, match=r"shortwave_radiation.*are the units right.*MJ m-2 d-1"):
        finish(site, OPTIONS)


def test_finished_forcing_holds_no_gap_and_stays_within_its_bounds(site):
    for name in ("wind_speed", "precipitation", "air_temperature_max", "shortwave_radiation"):
        site[name][200:205] = np.nan
    done, _ = finish(site, OPTIONS)
    for name in [name for name in FORCING if name in done]:
        low, high = FORCING[name].bounds or (-np.inf, np.inf)
        assert np.isfinite(done[name]).all()
        assert bool(((done[name] >= low) & (done[name] <= high)).all())


def test_days_around_the_record_are_cut_not_filled(site):
    for name in [name for name in FORCING if name in site]:
        site[name][:100] = np.nan
    done, _ = finish(site, OPTIONS)
    assert done.sizes["time"] == site.sizes["time"] - 100


def test_exchanged_extremes_of_temperature_are_put_right(site):
    high, low = site["air_temperature_max"].copy(), site["air_temperature_min"].copy()
    site["air_temperature_max"].values, site["air_temperature_min"].values = low, high
    done, notes = finish(site, OPTIONS)
    assert bool((done["air_temperature_max"] >= done["air_temperature_min"]).all())
    assert ("warning", site.sizes["time"]) in kinds(notes, "air_temperature_max")


def test_extremes_that_are_estimated_say_where_potential_radiation_was_computed(site):
    lacking = site.drop_vars(["air_temperature_max", "air_temperature_min"])
    _, notes = finish(lacking, OPTIONS)
    (note,) = [note for note in notes if note.kind == "estimated" and "_max" in note.variable]
    assert note.message.endswith(", potential radiation computed at 50 degree_north")


@pytest.mark.parametrize(("quality", "counts"), [(0.75, True), (0.74, False), (np.nan, False)])
def test_a_target_counts_from_the_quality_threshold_on(site, quality, counts):
    qc = np.ones(site.sizes["time"])
    qc[7] = quality
    site["NEE_qc"] = ("time", qc, {"units": "1"})
    done, _ = finish(site, OPTIONS)
    assert bool(np.isfinite(done["NEE"][7])) is counts


def test_respiration_with_a_negative_sign_is_refused(site):
    site["Reco"] = -abs(site["NEE"]) - 1.0
    with pytest.raises(DataError, match=r"north.*Reco.*is negative"):
        finish(site, OPTIONS)


def test_net_exchange_with_the_sign_of_uptake_is_refused(site):
    site["GPP"] = 6.0 + 3.0 * site["NEE"]
    site["Reco"] = 3.0 + 0.5 * site["NEE"]
    site["NEE"] = site["GPP"] - site["Reco"]
    with pytest.raises(DataError, match=r"north.*NEE.*sign of uptake"):
        finish(site, OPTIONS)


def test_a_net_source_is_not_refused(site):
    site["NEE"] = site["NEE"] + 5.0
    assert "NEE" in finish(site, OPTIONS)[0]
