import numpy as np
import pandas as pd
import pytest
from small_inputs import station

from kgml_jax.data import choices
from kgml_jax.data.synthetic import SyntheticConfig, cligen, climate, draw, weather
from kgml_jax.data.synthetic.states import STATES
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.errors import DataError
from kgml_jax.workflows import sites as inputs

REAL = "weather/cligen2015_midwest_station_monthly_params.csv.gz"

YEARS = 150
DATES = np.arange("1850-01-01", f"{1850 + YEARS}-01-01", dtype="datetime64[D]")
MONTH = DATES.astype("datetime64[M]").astype(int) % 12


@pytest.fixture
def table():
    return pd.DataFrame(
        [station("ADA IA", "IA"), station("BEA IA", "IA", 3.0), station("CLAY IN", "IN", 1.0)]
    )


@pytest.fixture
def written(table, tmp_path):
    path = tmp_path / "stations.csv.gz"
    table.to_csv(path, index=False)
    return path


def test_inches_fahrenheit_feet_and_langleys_are_converted(written):
    ada = cligen.read(written, ["IA"])["IA"][0]
    january = station("ADA IA", "IA")
    assert ada.elevation == pytest.approx(304.8)
    assert ada.latitude == 41.5
    assert ada.maximum[0] == pytest.approx((january["tmax_F_01"] - 32) * 5 / 9)
    assert ada.minimum_sd[0] == pytest.approx(january["sd_tmin_F_01"] * 5 / 9)
    assert ada.wet_depth[0] == pytest.approx(25.4 * january["mean_p_in_01"])
    assert ada.after_wet[0] == pytest.approx(january["p_ww_01"])
    shape = (january["mean_p_in_01"] / january["sd_p_in_01"]) ** 2
    assert ada.depth_shape[0] == pytest.approx(shape)
    assert ada.mean_annual_temperature == pytest.approx((50 - 32) * 5 / 9)


def test_a_standard_deviation_that_one_storm_has_left_is_limited(table, tmp_path):
    table.loc[0, "sd_p_in_07"] = 4.0
    table.to_csv(tmp_path / "s.csv", index=False)
    assert cligen.read(tmp_path / "s.csv", ["IA"])["IA"][0].depth_shape[6] == cligen.SHAPES[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [("p_wd_05", 1.5), ("mean_p_in_02", -9999), ("tmax_F_11", None), ("lat", 410.0)],
)
def test_an_error_names_file_station_column_and_what_was_expected(table, tmp_path, column, value):
    table.loc[1, column] = value
    table.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(DataError, match=f"file s.csv, site BEA IA, variable {column}: .* to "):
        cligen.read(tmp_path / "s.csv", ["IA"])


def test_a_cell_that_is_no_number_is_named(table, tmp_path):
    table["p_ww_03"] = ["0.4", "x", "0.4"]
    table.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(DataError, match=r"file s.csv, variable p_ww_03: .*'x' in row 3"):
        cligen.read(tmp_path / "s.csv", ["IA"])


def test_a_missing_column_is_named(table, tmp_path):
    table.drop(columns="solrad_ly_08").to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(DataError, match=r"file s.csv, variable solrad_ly_08: .*missing"):
        cligen.read(tmp_path / "s.csv", ["IA"])


def test_a_station_that_stands_twice_in_a_state_is_named(table, tmp_path):
    namesake = station("ADA IA", "IN")
    path = tmp_path / "s.csv"
    pd.DataFrame([*table.to_dict("records"), namesake]).to_csv(path, index=False)
    assert len(cligen.read(path, ["IN"])["IN"]) == 2
    pd.concat([table, table.iloc[1:2]]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"variable station: the station stands twice.*BEA IA"):
        cligen.read(path, ["IN"])


def test_a_table_of_stations_whose_last_line_has_no_end_is_refused(table, tmp_path):
    (tmp_path / "s.csv").write_text(table.to_csv(index=False)[:-2])
    with pytest.raises(DataError, match=r"file s.csv: the file is cut off"):
        cligen.read(tmp_path / "s.csv", ["IA"])


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "s.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        cligen.read(tmp_path / "s.csv.gz", ["IA"])


def test_sites_take_the_climate_of_a_station_of_their_state(written):
    states = (("IA", 2), ("IN", 1))
    config = SyntheticConfig(sites=15, years=1, spin_up_years=0, stations=written, states=states)
    sites = draw(config)
    fahrenheit = sites.attributes["mean_annual_temperature"] * 9 / 5 + 32
    np.testing.assert_allclose(fahrenheit[10:], 51.0)
    assert set(np.round(fahrenheit[:10], 6)) == {50.0, 53.0}
    assert set(sites.attributes["latitude"]) == {41.5}


def test_a_state_without_a_station_is_an_error_that_lists_those_there_are(written):
    config = SyntheticConfig(sites=3, years=1, spin_up_years=0, stations=written)
    message = r"file stations.csv.gz, variable IL: no station in the state \(found IA, IN\)"
    with pytest.raises(DataError, match=message):
        draw(config)


def test_the_command_line_leads_to_the_stations(written):
    described = {"data": None, "metadata": None, "synthetic_stations": str(written)}
    assert choices.data_from_json(described).synthetic_stations == written
    missing = choices.DataChoice(synthetic_stations=written.with_name("absent.csv"))
    with pytest.raises(DataError, match=r"absent.csv: no such file"):
        inputs.load(missing)


def generated(site: climate.SiteClimate, name: str) -> dict:
    years = climate.anomalies(generator(0, name, "regional"), generator(0, name, "own"), YEARS)
    return weather.generate(generator(0, name, "weather"), site, DATES, years)


def monthly(values: np.ndarray) -> np.ndarray:
    """Means by year and month, shape (year, 12)."""
    index = 12 * (DATES.astype("datetime64[Y]").astype(int) + 120) + MONTH
    return (np.bincount(index, values) / np.bincount(index)).reshape(YEARS, 12)


def excess(values: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distance of the monthly means from what is expected, in standard errors of the years."""
    years = monthly(values)
    return (years.mean(axis=0) - expected) / (years.std(axis=0) / np.sqrt(YEARS))


@pytest.mark.parametrize("index", range(0, 859, 143))
def test_generated_months_are_those_of_a_real_station(data_folder, index):
    stations = [one for state in cligen.read(data_folder / REAL, STATES).values() for one in state]
    site = stations[index]
    today = generated(site, f"{index}")
    # Linear in time, the parameters of a month are smoothed a little into its neighbours: tested
    # against the smoothed value; 12 months at 7 stations reach 3.2 standard errors by chance.
    smooth = lambda values: 0.75 * values + 0.125 * (np.roll(values, 1) + np.roll(values, -1))
    limit = 4.0
    wet = excess(today["precipitation"] > 0, smooth(site.wet_share))
    assert np.abs(wet).max() < limit
    rain = smooth(site.wet_share * site.wet_depth)
    assert np.abs(excess(today["precipitation"], rain)).max() < limit
    assert np.abs(excess(today["air_temperature_max"], site.maximum)).max() < limit
    # Kept 1 degC below the maximum, which takes 0 to 0.3 degC from the mean of the minimum.
    assert excess(today["air_temperature_min"], site.minimum).max() < limit
    assert excess(today["air_temperature_min"], site.minimum - 0.3).min() > -limit
    above = site.wet_share * site.clearness_wet + (1 - site.wet_share) * site.clearness_dry
    above = above * weather.extraterrestrial_radiation(site.latitude, cligen.MIDDLES)
    # The clearness of a day is cut off at 0.78, which takes some percent from bright months.
    bright = monthly(today["shortwave_radiation"]).mean(axis=0)
    np.testing.assert_allclose(bright, above, rtol=0.07)
