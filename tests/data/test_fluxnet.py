import zipfile

import numpy as np
import pytest

from kgml_jax.data.estimates import global_co2
from kgml_jax.data.formats import fluxnet
from kgml_jax.data.read import ReadOptions, read
from kgml_jax.process.radiation import EMISSIVITY, black_body


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("FLX_US-Ne3_FLUXNET2015_SUBSET_DD_2001-2013_1-4.csv", "US-Ne3"),
        ("FLX_US-Ne3_FLUXNET2015_FULLSET_DD_2001-2013_1-4.csv", "US-Ne3"),
        ("AMF_US-Ne3_FLUXNET_FLUXMET_DD_2001-2024_v1.3_r1.csv", "US-Ne3"),
        ("ICOSETC_BE-Lon_FLUXNET_FLUXMET_DD_2004-2024_v1.3_r1.csv", "BE-Lon"),
        ("AMF_US-xDJ_FLUXNET_FULLSET_DD_2019-2024_3-5.csv", "US-xDJ"),
    ],
)
def test_names_of_daily_files_are_known_and_give_the_site(name, site):
    assert fluxnet.is_daily(name)
    assert fluxnet.site_of(name) == site


@pytest.mark.parametrize(
    "name",
    [
        "FLX_US-Ne3_FLUXNET2015_SUBSET_HH_2001-2013_1-4.csv",
        "AMF_US-Ne3_FLUXNET_ERA5_DD_1981-2025_v1.3_r1.csv",
        "AMF_US-Ne3_FLUXNET_BIFVARINFO_DD_2001-2024_v1.3_r1.csv",
        "US-Ne3_daily.csv",
    ],
)
def test_names_of_other_products_and_time_steps_are_not_daily_files(name):
    assert not fluxnet.is_daily(name)


def test_daily_units_are_converted_once_and_carbon_not_at_all(tower, write_tower):
    table = tower()
    dataset = read(write_tower(table)).sites[0]
    np.testing.assert_allclose(dataset["shortwave_radiation"], table["SW_IN_F"] * 0.0864)
    np.testing.assert_allclose(dataset["vapour_pressure_deficit"], table["VPD_F"] * 0.1)
    np.testing.assert_allclose(dataset["precipitation"], table["P_F"])
    counted = table["NEE_VUT_REF_QC"].to_numpy() >= 0.75
    np.testing.assert_allclose(dataset["NEE"][counted], table["NEE_VUT_REF"][counted])
    water = table["LE_F_MDS"] * 86400 / (2.501e6 - 2361 * table["TA_F"])
    np.testing.assert_allclose(dataset["ET"], water)


def test_poor_days_of_nee_do_not_count_for_its_parts_either(tower, write_tower):
    table = tower()
    reading = read(write_tower(table))
    poor = table["NEE_VUT_REF_QC"].to_numpy() < 0.75
    for name in ("NEE", "Reco", "GPP"):
        np.testing.assert_array_equal(np.isnan(reading.sites[0][name]), poor)
    assert not np.isnan(reading.sites[0]["ET"]).any()
    masked = {note.variable: note.count for note in reading.notes if note.kind == "masked"}
    assert masked == dict.fromkeys(("NEE", "Reco", "GPP"), poor.sum())


def test_the_quality_threshold_is_a_choice(tower, write_tower):
    reading = read(write_tower(tower()), options=ReadOptions(qc_threshold=0.4))
    assert not np.isnan(reading.sites[0]["NEE"]).any()


def test_partitioning_by_daytime_data_is_a_choice(tower, write_tower):
    table = tower()
    dataset = read(write_tower(table), options=ReadOptions(partition="DT")).sites[0]
    counted = np.isfinite(dataset["GPP"].to_numpy())
    np.testing.assert_allclose(dataset["GPP"][counted], table["GPP_DT_VUT_REF"][counted])


def test_constant_threshold_exchange_stands_in_for_variable_threshold(tower, write_tower):
    table = tower().rename(columns=lambda name: name.replace("NEE_VUT", "NEE_CUT"))
    reading = read(write_tower(table))
    assert "NEE" in reading.sites[0]
    assert any("NEE_CUT_REF is used" in note.message for note in reading.notes)


def test_tower_gpp_is_no_input_unless_asked_for(tower, write_tower):
    path = write_tower(tower())
    assert "prescribed_gpp" not in read(path).sites[0]
    reading = read(path, options=ReadOptions(prescribe_gpp=True))
    assert np.isfinite(reading.sites[0]["prescribed_gpp"]).all()
    assert any(note.variable == "prescribed_gpp" for note in reading.notes)


def test_temperature_range_is_estimated_and_noted_where_the_file_has_none(tower, write_tower):
    reading = read(write_tower(tower()))
    dataset = reading.sites[0]
    middle = (dataset["air_temperature_max"] + dataset["air_temperature_min"]) / 2
    np.testing.assert_allclose(middle, dataset["air_temperature_mean"])
    (note,) = [note for note in reading.notes if "_max" in note.variable]
    assert note.kind == "estimated"
    assert "computed at" not in note.message  # SW_IN_POT is in the file


def test_measured_extremes_of_temperature_are_used_where_the_file_has_them(tower, write_tower):
    table = tower()
    table["TMIN_F"], table["TMAX_F"] = table["TA_F"] - 3, table["TA_F"] + 5
    dataset = read(write_tower(table)).sites[0]
    np.testing.assert_allclose(dataset["air_temperature_max"], table["TMAX_F"])


def test_towers_get_the_global_mean_of_carbon_dioxide_not_that_of_their_nights(tower, write_tower):
    table = tower()
    assert "CO2_F_MDS" in table
    dataset = read(write_tower(table)).sites[0]
    np.testing.assert_allclose(dataset["co2"], global_co2(dataset["time"].dt.year.to_numpy()))


def closed(table, write_tower, energy_balance="closed"):
    options = ReadOptions(energy_balance=energy_balance)
    reading = read(write_tower(table), options=options)
    return reading.sites[0], [note for note in reading.notes if note.variable == "ET"]


def test_latent_heat_closes_the_energy_balance_where_that_is_asked_for(tower, write_tower):
    table = tower()
    table["LE_CORR"] = 1.25 * table["LE_F_MDS"]
    table.loc[10:20, "LE_CORR"] = np.nan
    as_it_is, notes = closed(table, write_tower, "measured")
    assert any("would multiply it by 1.25" in note.message for note in notes)
    corrected, notes = closed(table, write_tower)
    # Days without a corrected value take the factor of the site.
    np.testing.assert_allclose(corrected["ET"], 1.25 * as_it_is["ET"], rtol=1e-6)
    assert any("LE_F_MDS x 1.25" in note.message for note in notes)


def test_a_tower_without_corrected_heat_stays_as_measured_with_a_word(tower, write_tower):
    as_it_is, _ = closed(tower(), write_tower, "measured")
    corrected, notes = closed(tower(), write_tower)
    np.testing.assert_array_equal(corrected["ET"], as_it_is["ET"])
    assert any("holds no value" in note.message for note in notes if note.kind == "warning")


def test_the_sky_is_what_the_tower_measured_of_it(tower, write_tower):
    table = tower()
    table["LW_IN_F"] = 300.0
    dataset = read(write_tower(table)).sites[0]
    np.testing.assert_allclose(dataset["longwave_radiation"], 300.0 * 0.0864)
    table["NETRAD"], table["NETRAD_QC"] = 100.0, 1.0
    table.loc[:10, "NETRAD_QC"] = 0.5
    dataset = read(write_tower(table)).sites[0]
    sky = dataset["longwave_radiation"].to_numpy()
    np.testing.assert_allclose(sky[:11], 300.0 * 0.0864)
    warm = dataset["air_temperature_mean"].to_numpy() > 2.0
    own = black_body(dataset["air_temperature_mean"].to_numpy())
    net = 0.8 * dataset["shortwave_radiation"].to_numpy() + EMISSIVITY * (sky - own)
    known = warm & (np.arange(len(sky)) > 10) & (sky != 300.0 * 0.0864)
    assert known.sum() > 0.4 * warm.sum()
    np.testing.assert_allclose(net[known], 8.64, rtol=1e-6)


def test_mean_annual_temperature_comes_from_the_forcing(tower, write_tower):
    dataset = read(write_tower(tower())).sites[0]
    # The seasonal cosine averages to 0 over a year, but for months of unequal length.
    assert abs(dataset["mean_annual_temperature"].item() - 10.0) < 0.1


def test_an_archive_gives_its_daily_member_and_nothing_else(tower, tmp_path):
    path = tmp_path / "AMF_US-Aa1_FLUXNET_2001-2002_v1.3_r1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        stem = "AMF_US-Aa1_FLUXNET_FLUXMET_{}_2001-2002_v1.3_r1.csv"
        archive.writestr(stem.format("HH"), "TIMESTAMP_START,TA_F\n200101010000,1\n")
        archive.writestr(stem.format("DD"), tower().to_csv(index=False))
        archive.writestr(stem.format("MM"), "TIMESTAMP,TA_F\n200101,1\n")
    reading = read(path)
    assert [dataset.attrs["site"] for dataset in reading.sites] == ["US-Aa1"]
    assert reading.sites[0].sizes["time"] == 730


def test_periods_in_two_files_join_into_one_record(tower, write_tower, tmp_path):
    write_tower(tower("2001-01-01", "2001-12-31"))
    write_tower(tower("2002-01-01", "2002-12-31"))
    assert read(tmp_path).sites[0].sizes["time"] == 730


def test_files_that_agree_where_they_overlap_join_into_one_record(tower, write_tower, tmp_path):
    write_tower(tower("2001-01-01", "2002-12-31"))
    write_tower(tower("2002-01-01", "2003-12-31"))
    assert read(tmp_path).sites[0].sizes["time"] == 1095


def test_site_metadata_beside_the_data_are_used(tower, write_tower, tmp_path):
    write_tower(tower())
    (tmp_path / "sites.csv").write_text("site,lat,lon,elev,igbp\nUS-Aa1,41.5,-96,363,CRO\n")
    dataset = read(tmp_path).sites[0]
    assert dataset["latitude"].item() == 41.5
    assert dataset["elevation"].item() == 363.0
    assert dataset.attrs["group"] == "CRO"


def test_without_metadata_the_country_is_the_group_and_defaults_are_noted(tower, write_tower):
    reading = read(write_tower(tower()))
    assert reading.sites[0].attrs["group"] == "US"
    defaulted = {note.variable for note in reading.notes if note.kind == "defaulted"}
    assert {"latitude", "elevation", "soil"} <= defaulted


def test_the_first_column_with_values_is_used_and_said(tower, write_tower):
    table = tower()
    for name in ("NEE_VUT_REF", "GPP_NT_VUT_REF", "P_F"):
        table = table.rename(columns={name: name.replace("VUT", "CUT").removesuffix("_F")})
        table[name] = np.nan
    reading = read(write_tower(table))
    assert bool(reading.sites[0]["NEE"].notnull().all())
    assert float(reading.sites[0]["precipitation"].sum()) > 0
    said = " ".join(note.message for note in reading.notes if note.kind == "warning")
    for words in ("NEE_CUT_REF is used", "GPP_NT_CUT_REF is used", "P_F holds no value: P is used"):
        assert words in said


def test_a_code_in_temperature_or_latent_heat_makes_no_evaporation(tower, write_tower):
    table = tower()
    clean = table.copy()
    table.loc[100:104, "TA_F"] = table.loc[200:240, "LE_F_MDS"] = -9999.9
    clean.loc[100:104, "TA_F"] = clean.loc[200:240, "LE_F_MDS"] = np.nan
    found = read(write_tower(table)).sites[0]["ET"]
    np.testing.assert_array_equal(found, read(write_tower(clean)).sites[0]["ET"])
