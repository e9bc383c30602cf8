"""What lies in a folder is read or named."""

import zipfile
from functools import partial

import numpy as np
import pytest
import refusals

from kgml_jax.data.read import collect, read

refused = partial(refusals.refused, read)


@pytest.fixture
def year(tower):
    return tower("2001-01-01", "2001-12-31")


def names(reading):
    return [site.attrs["site"] for site in reading.sites]


def left_out(reading):
    return " | ".join(note.message for note in reading.notes if not note.site)


def test_endings_are_read_in_any_case(tmp_path, year, write_tower, schema):
    path = write_tower(year)
    path.rename(path.with_suffix(".CSV"))
    write_tower(year, site="US-Bb1").rename(
        tmp_path / "FLX_US-Bb1_FLUXNET2015_SUBSET_DD_2001-2001_1-4.Csv"
    )
    assert names(read(tmp_path)) == ["US-Aa1", "US-Bb1"]
    schema().to_netcdf(tmp_path / "PLOTS.NC")
    assert names(read(tmp_path / "PLOTS.NC")) == ["north", "south"]


def test_an_archive_of_icos_is_read_with_its_table_of_the_site(tmp_path, year):
    rows = "SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\nBE-Aa1,1,G,LOCATION_LAT,50.55\n"
    with zipfile.ZipFile(tmp_path / "ICOSETC_BE-Aa1_ARCHIVE_L2.zip", "w") as archive:
        archive.writestr("ICOSETC_BE-Aa1_FLUXNET_DD_L2.csv", year.to_csv(index=False))
        archive.writestr("ICOSETC_BE-Aa1_FLUXNET_HH_L2.csv", "TIMESTAMP_START,TA\n")
        archive.writestr("ICOSETC_BE-Aa1_SITEINFO_L2.csv", rows)
        archive.writestr("ICOSETC_BE-Aa1_FLUXNET_BIFVARINFO_DD_L2.csv", "damaged")
    reading = read(tmp_path)
    assert names(reading) == ["BE-Aa1"]
    assert float(reading.sites[0]["latitude"]) == 50.55
    assert not left_out(reading)


@pytest.mark.parametrize("name", ["AMF_US-Aa1_BASE-BADM_2-5.zip", "AMF_US-Aa1_BASE_HH_2-5.csv"])
def test_the_half_hours_of_ameriflux_are_refused_with_what_is_wanted(tmp_path, name):
    (tmp_path / name).write_text("# Site: US-Aa1\nTIMESTAMP_START,TA\n200101010000,1\n")
    for path in (tmp_path, tmp_path / name):
        refused(path, name, "half-hourly", "BASE", "AmeriFlux FLUXNET", "daily")


def test_towers_are_looked_for_one_folder_deeper_and_what_lies_there_is_named(
    tmp_path, year, write_tower
):
    unpacked, deeper = tmp_path / "FLX_US-Bb1", tmp_path / "FLX_US-Bb1" / "old"
    deeper.mkdir(parents=True)
    write_tower(year)
    write_tower(year, site="US-Bb1", folder=unpacked)
    write_tower(year, site="US-Cc1", folder=deeper)
    (unpacked / "FLX_US-Bb1_FLUXNET2015_SUBSET_HH_2001-2001_1-4.csv").write_text("")
    reading = read(tmp_path)
    assert names(reading) == ["US-Aa1", "US-Bb1"]
    assert "in the folder FLX_US-Bb1, left out: FLX_US-Bb1_FLUXNET2015_SUBSET_HH" in left_out(
        reading
    )
    assert "old" in left_out(reading)


def test_tables_of_the_schema_one_folder_deeper_are_named_and_not_read(tmp_path, schema):
    (tmp_path / "results").mkdir()
    schema().to_netcdf(tmp_path / "results" / "plots.nc")
    refused(tmp_path, "no file of daily data", "folders below", "results")
    schema(("west",)).to_netcdf(tmp_path / "plots.nc")
    reading = read(tmp_path)
    assert names(reading) == ["west"]
    assert "in the folder results, left out: plots.nc" in left_out(reading)


def test_every_file_that_is_not_read_is_named_and_spreadsheets_of_metadata_as_such(
    tmp_path, year, write_tower
):
    write_tower(year)
    others = ["README.txt", "licence.pdf", "AMF_US-Aa1_FLUXNET_ERA5_DD_2001-2001_v1.3_r1.csv"]
    for name in (*others, "AMF_AA-Net_BIF_CCBY4_20240101.xlsx", ".hidden"):
        (tmp_path / name).write_text("")
    said = left_out(collect(tmp_path))
    assert all(name in said for name in others)
    assert "spreadsheet, not read; save as CSV: AMF_AA-Net_BIF" in said
    assert ".hidden" not in said


def test_a_reader_that_breaks_is_the_error_of_its_file(tmp_path, year, write_tower):
    write_tower(year)
    # A text where torch keeps a pickle, and a table whose dates no calendar holds.
    (tmp_path / "FLX_US-Bb1_FLUXNET2015_SUBSET_DD_2001-2001_1-4.csv").write_text(
        "TIMESTAMP,TA_F\n99999999,1\n"
    )
    reading = collect(tmp_path)
    assert names(reading) == ["US-Aa1"]
    assert [error.site for error in reading.errors] == ["US-Bb1"]


def fluxdatakit(year, tmp_path):
    table = year.rename(
        columns={name: f"{name}_MDS" for name in ("TA_F", "SW_IN_F", "VPD_F")}
    ).drop(columns="SW_IN_POT")
    table["TIMESTAMP"] = year["TIMESTAMP"].str.replace(r"(....)(..)(..)", r"\1-\2-\3", regex=True)
    path = tmp_path / "FLX_US-Aa1_FLUXDATAKIT_FULLSET_DD_2001_2001_2-3.csv"
    return table, path


def test_fluxdatakit_is_read_and_its_carbon_converted_from_moles(tmp_path, year):
    table, path = fluxdatakit(year, tmp_path)
    table.to_csv(path, index=False, na_rep="NA")
    (site,) = read(path).sites
    good = (year["NEE_VUT_REF_QC"] >= 0.75).to_numpy()
    # 12.011 g mol-1 over the 86400 s of a day.
    expected = year["NEE_VUT_REF"][good] * 12.011e-6 * 86_400
    np.testing.assert_allclose(site["NEE"].to_numpy()[good], expected, rtol=1e-3)
    np.testing.assert_allclose(site["air_temperature_mean"], year["TA_F"])
    np.testing.assert_allclose(site["vapour_pressure_deficit"], year["VPD_F"] / 10.0)
    assert site.attrs["group"] == "US"


def test_extremes_of_fluxdatakit_that_are_the_mean_are_no_extremes(tmp_path, year):
    table, path = fluxdatakit(year, tmp_path)
    table = table.assign(TMAX_F_MDS=year["TA_F"], TMIN_F_MDS=year["TA_F"])
    table.to_csv(path, index=False)
    reading = read(path)
    (site,) = reading.sites
    assert float((site["air_temperature_max"] - site["air_temperature_min"]).min()) > 0.5
    assert any("hold the mean of the day" in note.message for note in reading.notes)


def test_a_fluxdatakit_file_that_is_cut_off_is_refused(tmp_path, year):
    table, path = fluxdatakit(year, tmp_path)
    table.iloc[:200].to_csv(path, index=False)
    refused(path, path.name, "US-Aa1", "cut off", "2001-12-31")


def test_a_fluxdatakit_file_that_is_cut_within_its_last_number_is_refused(tmp_path, year):
    table, path = fluxdatakit(year, tmp_path)
    path.write_text(table.to_csv(index=False)[:-2])
    refused(path, path.name, "US-Aa1", "cut off", "an unfinished line")
