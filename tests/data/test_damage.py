"""Every way a file can be wrong ends in one message that says where and what was expected."""

import zipfile
from functools import partial

import pytest
import refusals

from kgml_jax.data.read import collect, read

refused = partial(refusals.refused, read)


def test_a_wrong_path_is_named(tmp_path):
    refused(tmp_path / "nowhere", "no such file or folder", "nowhere")


def test_a_folder_without_data_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    refused(tmp_path, "no file of daily data", "readme.txt", "_DD_")


def test_a_half_hourly_file_is_refused_as_such(tmp_path):
    path = tmp_path / "FLX_US-Aa1_FLUXNET2015_SUBSET_HH_2001-2002_1-4.csv"
    path.write_text("TIMESTAMP_START,TA_F\n200101010000,1\n")
    refused(path, "not a daily FLUXNET file", "_DD_")


def test_an_unknown_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "data.xlsx"
    path.write_bytes(b"PK")
    refused(path, "data.xlsx", "unknown kind", ".nc")


def test_wrong_metadata_path_is_named(tower, write_tower, tmp_path):
    refused(write_tower(tower()), "none.csv", metadata=tmp_path / "none.csv")


def test_a_missing_column_is_named_with_file_and_site(tower, write_tower):
    path = write_tower(tower().drop(columns="VPD_F"))
    refused(path, path.name, "US-Aa1", "VPD_F", "missing")


def test_a_table_without_net_exchange_is_refused(tower, write_tower):
    refused(write_tower(tower().drop(columns="NEE_VUT_REF")), "NEE_VUT_REF", "NEE_CUT_REF")


@pytest.mark.parametrize("code", [-9999, -9999.0, -6999, None])
def test_a_forcing_that_is_missing_throughout_is_refused(tower, write_tower, code):
    table = tower()
    table["TA_F"] = code
    refused(write_tower(table), "US-Aa1", "air_temperature_mean", "no value in the whole record")


def test_a_target_that_is_missing_throughout_is_no_target_and_noted(tower, write_tower):
    reading = read(write_tower(tower().assign(NEE_VUT_REF=-9999)))
    assert "NEE" not in reading.sites[0]
    assert any(note.variable == "NEE" and note.kind == "warning" for note in reading.notes)


def test_a_record_of_missing_values_only_is_refused(tower, write_tower):
    table = tower()
    table.iloc[:, 1:] = -9999
    refused(write_tower(table), "US-Aa1", "no forcing has any value")


def test_text_in_place_of_a_number_is_named(tower, write_tower):
    table = tower().astype({"TA_F": object})
    table.loc[3, "TA_F"] = "broken"
    refused(write_tower(table), "TA_F", "broken", "row 5")


def test_text_in_place_of_a_date_is_named(tower, write_tower):
    table = tower()
    table.loc[3, "TIMESTAMP"] = "20011340"
    refused(write_tower(table), "TIMESTAMP", "20011340", "YYYYMMDD")


def test_a_duplicated_day_is_named(tower, write_tower):
    table = tower()
    table.loc[100, "TIMESTAMP"] = table.loc[99, "TIMESTAMP"]
    refused(write_tower(table), "US-Aa1", "more than once", "2001-04-10")


def test_an_absent_day_is_named(tower, write_tower):
    refused(write_tower(tower().drop(index=99)), "US-Aa1", "absent", "2001-04-10", "-9999")


def test_a_file_cut_within_a_line_is_refused(tower, write_tower):
    path = write_tower(tower())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, path.name, "US-Aa1", "cut off")


def test_a_file_cut_within_its_last_number_is_refused(tower, write_tower):
    path = write_tower(tower())
    path.write_bytes(path.read_bytes()[:-3])
    refused(path, path.name, "US-Aa1", "cut off")


def test_a_file_cut_at_the_end_of_a_line_is_refused(tower, write_tower):
    refused(
        write_tower(tower().iloc[:400], years="2001-2002"), "cut off", "2002-02-04", "2002-12-31"
    )


def test_an_empty_file_is_refused(write_tower, tower):
    path = write_tower(tower())
    path.write_bytes(b"")
    refused(path, "no rows")


def test_an_archive_cut_in_half_is_refused(tower, tmp_path):
    path = tmp_path / "FLX_US-Aa1_FLUXNET2015_SUBSET_2001-2002_1-4.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.name.replace("SUBSET", "SUBSET_DD")[:-3] + "csv", tower().to_csv())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, path.name, "US-Aa1", "damaged or cut off")


def test_an_archive_without_a_daily_file_is_refused(tmp_path):
    path = tmp_path / "FLX_US-Aa1_FLUXNET2015_SUBSET_2001-2002_1-4.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    refused(path, "no daily file", "_DD_")


@pytest.mark.parametrize("suffix", [".nc", ".nc4"])
def test_a_netcdf_file_cut_in_half_is_refused(schema, tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    schema().to_netcdf(path, engine="scipy" if suffix == ".nc" else "h5netcdf")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, path.name, "damaged")


def test_a_packed_table_cut_in_half_is_refused(tower, tmp_path):
    path = tmp_path / "FLX_US-Aa1_FLUXNET2015_SUBSET_DD_2001-2002_1-4.csv.gz"
    tower().to_csv(path, index=False)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, path.name, "cannot be read to its end")


def test_two_files_of_a_site_that_disagree_on_a_day_are_refused(tower, write_tower, tmp_path):
    first = write_tower(tower())
    other = tower()
    other.loc[10, "TA_F"] += 1.0
    second = write_tower(other, version="2-4")
    refused(tmp_path, first.name, second.name, "disagree", "2001-01-11", "air_temperature_mean")


def test_one_bad_site_does_not_hide_the_others(tower, write_tower, tmp_path):
    write_tower(tower(), site="US-Aa1")
    write_tower(tower().drop(columns="P_F"), site="US-Bb1")
    write_tower(tower().drop(index=99), site="US-Cc1")
    reading = collect(tmp_path)
    assert [dataset.attrs["site"] for dataset in reading.sites] == ["US-Aa1"]
    assert sorted(str(error.site) for error in reading.errors) == ["US-Bb1", "US-Cc1"]
    refused(tmp_path, "2 inputs", "US-Bb1", "US-Cc1", "P_F", "absent")


def test_a_site_with_one_damaged_file_is_not_read_from_its_other_file(tower, write_tower, tmp_path):
    write_tower(tower("2001-01-01", "2001-12-31"))
    path = write_tower(tower("2002-01-01", "2002-12-31"))
    path.write_bytes(path.read_bytes()[:-40])
    reading = collect(tmp_path)
    assert not reading.sites
    assert len(reading.errors) == 1
