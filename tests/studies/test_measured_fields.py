import dataclasses
import gzip
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from invented_field import DATES, ROTATION, on
from studies.measured_fields import readers, simulated
from studies.measured_fields.catalogue import COUNTY, MEAD, SOYFACE, TOWERS
from studies.measured_fields.management import (
    CORN,
    SOYBEAN,
    WHEAT,
    Season,
    crop_years,
    management,
)

from kgml_jax.data.schema import FORCING
from kgml_jax.errors import DataError
from kgml_jax.process import crops
from kgml_jax.process.drivers import Forcing
from kgml_jax.records import quantities

HISTORIES = (MEAD, *TOWERS, *COUNTY, SOYFACE)
RECORDS = {"US-Ne3": (2001, 2006), "US-CRT": (2011, 2013), "US-ARM": (2003, 2012)}
RECORDS |= {"DE-Kli": (2004, 2014), "IT-BCi": (2004, 2011)}


def dates_of(history):
    first, last = RECORDS.get(history.site, (1990, 2011))
    return np.arange(np.datetime64(f"{first}-01-01"), np.datetime64(f"{last + 1}-01-01"))


def test_a_crop_stands_from_planting_to_harvest():
    fields = management(ROTATION, DATES)
    standing = np.flatnonzero(fields["occupied"][on("2001-01-01") : on("2002-01-01")])
    assert standing[0] == on("2001-05-01") - on("2001-01-01")
    assert standing[-1] == on("2001-09-30") - on("2001-01-01")
    assert len(standing) == standing[-1] - standing[0] + 1
    assert fields["planting"].sum() == 2
    assert fields["harvest"].sum() == 3
    assert fields["residue_removal"].sum() == pytest.approx(0.4)
    assert fields["residue_removal"][on("2001-09-30")] == 0.4


def test_a_crop_sown_before_the_record_stands_from_its_first_day():
    fields = management(ROTATION, DATES)
    assert fields["occupied"][0] == 1
    assert fields["crop"][0] == WHEAT
    assert fields["planting"][: on("2001-01-01")].sum() == 0


def test_a_field_keeps_its_crop_until_the_next_planting():
    crop = management(ROTATION, DATES)["crop"]
    assert crop[on("2001-04-30")] == WHEAT
    assert crop[on("2001-05-01")] == crop[on("2002-05-19")] == CORN
    assert crop[on("2002-05-20")] == crop[-1] == SOYBEAN


def test_what_is_given_on_one_day_adds_up_and_what_lies_outside_the_record_is_left_out():
    fields = management(ROTATION, DATES)
    day = on("2001-04-20")
    assert fields["fertiliser_ammonium"][day] == fields["fertiliser_ammonium"].sum() == 9.0
    assert fields["fertiliser_nitrate"][day] == fields["fertiliser_nitrate"].sum() == 4.5
    assert fields["tillage"].sum() == 0.3
    assert fields["irrigation"][on("2001-07-01")] == fields["irrigation"].sum() == 25.0


def test_two_crops_at_once_are_refused():
    seasons = (
        Season(CORN, "corn", "2001-05-01", "2001-10-01"),
        Season(WHEAT, "wheat", "2001-09-20", "2002-07-01"),
    )
    with pytest.raises(ValueError, match="plot: wheat planted 2001-09-20"):
        management(dataclasses.replace(ROTATION, seasons=seasons), DATES)


def test_crop_years_share_no_day_and_leave_none_after_the_first_planting():
    years = crop_years(ROTATION, DATES)
    assert [season.name for season, _ in years] == ["wheat", "corn", "soybean"]
    counted = np.sum([days for _, days in years], axis=0)
    np.testing.assert_array_equal(counted, 1)
    late = crop_years(dataclasses.replace(ROTATION, seasons=ROTATION.seasons[1:]), DATES)
    counted = np.sum([days for _, days in late], axis=0)
    np.testing.assert_array_equal(counted, np.datetime64("2001-05-01") <= DATES)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.site)
def test_every_history_is_possible_management(history):
    fields = management(history, dates_of(history))
    assert set(fields) <= set(FORCING)
    for name, values in fields.items():
        low, high = quantities(Forcing)[name].bounds or (0, len(crops.NAMES) - 1)
        assert low <= values.min()
        assert values.max() <= high, name
    # The record may begin and end with a crop in the field.
    assert abs(fields["planting"].sum() - fields["harvest"].sum()) <= 1
    assert np.isin(fields["planting"], (0, 1)).all()
    years = len(fields["planting"]) / 365.25
    nitrogen = fields["fertiliser_ammonium"].sum() + fields["fertiliser_nitrate"].sum()
    assert 0 < nitrogen / years < 32  # g N m-2; two heavily fertilised crops a year have 30


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"weather/none\.csv.*--data or KGML_JAX_DATA"):
        readers.table(tmp_path, "weather/none.csv")


MEAD_HEADER = (
    "date,ta_C,tmin_C,tmax_C,sw_in_W_m2,vpd_hPa,precip_mm,ws_m_s,co2_ppm,ta_meas_frac,pa_kPa\n"
)


@pytest.fixture
def mead_folder(tmp_path):
    rows = [f"{day},10,4,17,100,{'' if day == DATES[2] else 5},3,2,370,1,98" for day in DATES]
    (tmp_path / "met_daily").mkdir()
    content = (MEAD_HEADER + "\n".join(rows) + "\n").encode()
    (tmp_path / readers.MEAD_FORCING).write_bytes(gzip.compress(content))
    (tmp_path / "sites.csv").write_text("site,lat,lon,elev\nplot,41.18,-96.44,363\n")
    return tmp_path


def test_forcing_has_the_units_of_the_model_and_its_gaps_are_noted(mead_folder):
    history = dataclasses.replace(ROTATION, attributes={"sand": 0.1, "clay": 0.3})
    field = readers.mead(mead_folder, history)
    np.testing.assert_allclose(field.dataset["shortwave_radiation"], 8.64)
    np.testing.assert_allclose(field.dataset["vapour_pressure_deficit"], 0.5)
    assert field.dataset["latitude"].item() == 41.18
    assert field.dataset["sand"].item() == 0.1
    what = {(note.variable, note.kind): note.count for note in field.notes}
    assert what["vapour_pressure_deficit", "filled"] == 1
    assert what["shortwave_radiation", "converted"] == len(DATES)
    assert field.dataset["planting"].sum() == 2


def test_soil_without_water_contents_gets_them_from_its_texture(mead_folder):
    sandy, heavy = (
        readers.mead(mead_folder, dataclasses.replace(ROTATION, attributes=texture)).dataset
        for texture in ({"sand": 0.8, "clay": 0.05}, {"sand": 0.1, "clay": 0.45})
    )
    assert sandy["field_capacity"] < 0.2 < 0.35 < heavy["field_capacity"]
    given = {"sand": 0.1, "clay": 0.45, "field_capacity": 0.3}
    history = dataclasses.replace(ROTATION, attributes=given)
    assert readers.mead(mead_folder, history).dataset["field_capacity"].item() == 0.3


def stations():
    """Two stations over 500 days: the town to day 300, the tower from day 100 on."""
    days = np.arange(np.datetime64("1995-01-01"), np.datetime64("1996-05-15"))
    season = np.cos(2 * np.pi * (np.arange(500) - 200) / 365)
    town = {"tmax_C": 15 + 12 * season, "tmin_C": 5 + 11 * season, "precip_mm": np.ones(500)}
    for values in town.values():
        values[300:] = np.nan
    tower = {
        "tmax_C": np.full(500, 9.0),
        "tmin_C": np.full(500, 3.0),
        "precip_mm": np.full(500, 2.0),
        "sw_in_est_W_m2": 150 + 100 * season,
        "vpd_hPa": 5 + 4 * season,
        "ws_m_s": np.full(500, 4.0),
        "n_hours": np.full(500, 24.0),
    }
    for values in tower.values():
        values[:100] = np.nan
    return days, town, tower


def test_the_town_gives_temperature_and_rain_as_long_as_it_reports():
    days, town, tower = stations()
    joined, estimated = readers.champaign_weather(days, town, tower, 40.0)
    np.testing.assert_array_equal(joined["tmax_C"][:300], town["tmax_C"][:300])
    np.testing.assert_array_equal(joined["tmax_C"][300:], 9.0)
    np.testing.assert_array_equal(joined["precip_mm"], np.repeat([1.0, 2.0], [300, 200]))
    assert estimated == 100


def test_missing_radiation_is_estimated_at_the_level_of_the_measured():
    days, town, tower = stations()
    joined, _ = readers.champaign_weather(days, town, tower, 40.0)
    measured = tower["sw_in_est_W_m2"][100:]
    np.testing.assert_array_equal(joined["sw_in_W_m2"][100:], measured)
    early = joined["sw_in_W_m2"][:100]
    assert np.isfinite(early).all()
    # The days run from January to April: darker than the year, and getting lighter.
    assert 0 < early[:50].mean() < early[50:].mean() < measured.max()
    assert (joined["vpd_hPa"] >= 0).all()
    np.testing.assert_allclose(joined["ws_m_s"], 4.0)


SOIL = """Season,Component,Heat,CO2,Day,lsmean,SE
Soy 2009,Rtot,c,Ambient,2009-07-16,9,1
Soy 2009,Rhet,c,Ambient,2009-07-16,4,0.8
Soy 2009,Rhet,h,Ambient,2009-07-16,7,0.8
Soy 2009,Rhet,c,Elevated,2009-07-16,8,0.8
Soy 2009,Rhet,c,Ambient,2009-06-29,3,0.8
Soy 2009,Raut,c,Ambient,2009-06-29,2,1.0
Soy 2009,Raut,c,Ambient,2009-07-16,5,1.0
"""


def test_soil_respiration_is_that_of_the_control_plots_in_grams_of_carbon(tmp_path):
    (tmp_path / "respiration").mkdir()
    (tmp_path / readers.SOIL_RESPIRATION).write_text(SOIL)
    observed = readers.soil_respiration(tmp_path)
    # 1 umol m-2 s-1 is 12.011e-6 * 86400 = 1.0378 g C m-2 d-1.
    np.testing.assert_allclose(observed["Rh"], np.array([3, 4]) * 1.03775, rtol=1e-5)
    np.testing.assert_allclose(observed["Rroot"], np.array([2, 5]) * 1.03775, rtol=1e-5)
    assert observed["season"].values.tolist() == ["Soy 2009", "Soy 2009"]


def test_county_yields_are_converted_from_bushels(tmp_path):
    (tmp_path / "yields").mkdir()
    (tmp_path / readers.COUNTY_YIELDS).write_text(
        "Year,State,County,Data Item,Value\n"
        '2000,IL,CHAMPAIGN,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE",100\n'
        '2000,IL,CHAMPAIGN,"HAY - YIELD, MEASURED IN TONS / ACRE",3\n'
        '2001,IL,CHAMPAIGN,"SOYBEANS - YIELD, MEASURED IN BU / ACRE",50\n'
    )
    yields = readers.county_yields(tmp_path)
    assert yields[CORN] == {2000: pytest.approx(6.277, abs=1e-3)}
    assert yields[SOYBEAN] == {2001: pytest.approx(3.363, abs=1e-3)}


def constant_field(history, days):
    names = {"shortwave_radiation": 18.0, "vapour_pressure_deficit": 0.8, "precipitation": 3.0}
    names |= {"air_temperature_mean": 18.0, "air_temperature_max": 24.0}
    names |= {"air_temperature_min": 12.0, "wind_speed": 3.0}
    weather = xr.Dataset(
        {name: ("time", np.full(len(days), value)) for name, value in names.items()},
        coords={"time": days.astype("datetime64[ns]")},
        attrs={"site": history.site, "source": "invented"},
    )
    return readers.field(history, weather)


@dataclasses.dataclass(frozen=True)
class RainGauge:
    """Adds up all rain, in the place of the process model, as a spin-up of two passes would."""

    def run(self, params, attributes, forcing, report, days):
        counts = jnp.arange(forcing.precipitation.size) < days
        passes = 2 * jnp.sum(jnp.where(counts, forcing.precipitation, 0.0))
        filled = passes + jnp.cumsum(forcing.precipitation)
        return report(SimpleNamespace(**dict.fromkeys(simulated.OUTPUTS.values(), filled)))


def test_every_field_is_simulated_over_its_own_days_whatever_the_length_of_the_others():
    short = constant_field(ROTATION, DATES[:40])
    long = constant_field(dataclasses.replace(ROTATION, site="other"), DATES[:70])
    results = simulated.simulate([short, long], RainGauge())
    assert [len(result.dates) for result in results] == [40, 70]
    for result in results:
        days = len(result.dates)
        fallen = 3.0 * (2 * days + 1 + np.arange(days))
        np.testing.assert_array_equal(result["GPP"], fallen)  # whole numbers: exact in float32


def test_a_pass_of_the_spin_up_goes_through_the_whole_record():
    model = simulated.spun_up(3)
    assert model.spin_up_cycles == 3
    assert model.spin_up_days >= max(len(dates_of(history)) for history in HISTORIES)
