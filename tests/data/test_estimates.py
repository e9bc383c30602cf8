import numpy as np
import pandas as pd
import pytest

from kgml_jax.data import estimates


def test_extraterrestrial_radiation_matches_the_worked_example_of_fao_56():
    value = estimates.extraterrestrial_radiation(-20.0, np.array([246]))
    np.testing.assert_allclose(value, [32.2], atol=0.05)  # example 8, rounded to 0.1 MJ


@pytest.mark.parametrize(
    ("name", "latitude"), [("AU-Rig", -36.65), ("IT-BCi", 40.52), ("NL-Hor", 52.24)]
)
def test_extraterrestrial_radiation_matches_that_of_the_tower_files(data_folder, name, latitude):
    path = next((data_folder / "fluxnet2015").glob(f"FLX_{name}_*.csv"))
    table = pd.read_csv(path, usecols=["TIMESTAMP", "SW_IN_POT"], dtype={"TIMESTAMP": str})
    day = pd.to_datetime(table["TIMESTAMP"], format="%Y%m%d").dt.day_of_year.to_numpy()
    value = estimates.extraterrestrial_radiation(latitude, day)
    # FAO-56 has a simpler declination, one degree off in autumn: 8 % at 52 degrees north.
    np.testing.assert_allclose(value, table["SW_IN_POT"] * 0.0864, rtol=0.1, atol=0.3)


def test_there_is_no_radiation_in_the_polar_night():
    assert estimates.extraterrestrial_radiation(80.0, np.array([355]))[0] == pytest.approx(0.0)


def test_clear_days_have_the_larger_temperature_range():
    potential = np.full(50, 40.0)
    spread = estimates.temperature_range(np.linspace(0.0, 36.0, 50), potential)
    assert np.all(np.diff(spread) >= 0)
    assert spread[0] > 0
    # A cloudless mid-latitude day rarely spans more than 20 degC.
    assert spread[-1] < 20


def test_temperature_range_solves_the_relation_of_bristow_and_campbell():
    spread = estimates.temperature_range(np.array([16.0]), np.array([40.0]))
    clearness = 0.75 * (1 - np.exp(-0.006 * spread**2.4))
    np.testing.assert_allclose(clearness, 0.4, rtol=1e-12)


@pytest.mark.parametrize(
    ("year", "noaa"), [(1980, 338.9), (2000, 369.0), (2010, 388.8), (2023, 419.4)]
)
def test_global_carbon_dioxide_follows_the_record(year, noaa):
    assert abs(float(estimates.global_co2(np.array(year))) - noaa) < 2.0


@pytest.mark.parametrize("name", ["US-CRT_daily", "US-Bi1_daily_2018_2020", "DK-Fou_daily_2005"])
def test_estimated_temperature_range_agrees_with_measured_extremes(data_folder, name):
    latitude = {"US-CRT": 41.63, "US-Bi1": 38.10, "DK-Fou": 56.48}[name[:6]]
    path = data_folder / "flux_daily" / f"{name}.csv.gz"
    table = pd.read_csv(path, parse_dates=["date"]).dropna(subset=["tmin_C", "tmax_C"])
    potential = estimates.extraterrestrial_radiation(
        latitude, table["date"].dt.day_of_year.to_numpy()
    )
    spread = estimates.temperature_range(table["sw_in_W_m2"].to_numpy() * 0.0864, potential)
    error = spread - (table["tmax_C"] - table["tmin_C"]).to_numpy()
    # Fronts and advection move extremes too: the relation explains half of the variance.
    assert abs(error.mean()) < 2.0
    assert np.sqrt(np.mean(error**2)) < 4.2


def test_radiation_from_the_range_is_that_of_the_fao_example():
    """FAO-56, example 15: Lyon, 26.6 and 14.8 degC under 40.6 MJ m-2 d-1 give 22.3."""
    value = estimates.radiation_from_range(np.array([26.6]), np.array([14.8]), np.array([40.6]))
    assert value[0] == pytest.approx(22.3, abs=0.05)


def test_the_air_is_dry_by_half_of_what_the_extremes_differ():
    """FAO-56, example 3: saturation at 24.5 and 15 degC is 3.075 and 1.705 kPa."""
    value = estimates.deficit_from_extremes(np.array([24.5, 10.0]), np.array([15.0, 10.0]))
    np.testing.assert_allclose(value, [(3.075 - 1.705) / 2, 0.0], atol=1e-3)


@pytest.mark.parametrize(
    ("warmest", "coldest"), [(np.nan, 5.0), (20.0, np.nan), (np.inf, 5.0), (20.0, -np.inf)]
)
def test_the_deficit_is_missing_where_an_extreme_is(warmest, coldest):
    value = estimates.deficit_from_extremes(np.array([warmest, 24.5]), np.array([coldest, 15.0]))
    np.testing.assert_allclose(value, [np.nan, (3.075 - 1.705) / 2], atol=1e-3)
