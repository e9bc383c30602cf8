import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from kgml_jax.data.read import read
from kgml_jax.errors import DataError


def write(dataset, path):
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False)
    elif path.suffix == ".nc":
        dataset.to_netcdf(path, engine="scipy")
    elif path.suffix == ".nc4":
        dataset.to_netcdf(path, engine="h5netcdf")
    else:
        units = {name: array.attrs.get("units") for name, array in dataset.data_vars.items()}
        table = dataset.to_dataframe().reset_index()
        heads = {name: f"{name} [{unit}]" for name, unit in units.items() if unit}
        table.rename(columns=heads).to_csv(path, index=False)
    return path


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("suffix", [".nc", ".nc4", ".zarr", ".csv", ".csv.gz"])
def test_every_form_of_the_schema_gives_the_same_sites(schema, tmp_path, suffix):
    truth = schema()
    truth["NEE"][0, 20:30] = np.nan
    reading = read(write(truth, tmp_path / f"data{suffix}"))
    assert [one.attrs["site"] for one in reading.sites] == ["north", "south"]
    assert [one.attrs["group"] for one in reading.sites] == ["state 0", "state 1"]
    for one in reading.sites:
        expected = truth.sel(site=one.attrs["site"])
        for name in ("NEE", "air_temperature_mean", "precipitation", "latitude"):
            np.testing.assert_allclose(one[name], expected[name], rtol=1e-12)
        assert one.sizes["time"] == truth.sizes["time"]


def test_a_file_of_one_site_needs_no_site_dimension(schema, tmp_path):
    one = schema(("north",)).isel(site=0).drop_vars(["site", "group"])
    reading = read(write(one, tmp_path / "mysite.nc"))
    assert reading.sites[0].attrs["site"] == "mysite"
    assert reading.sites[0].attrs["group"] == "all"


def test_other_units_are_converted_and_noted(schema, tmp_path):
    truth = schema()
    other = truth.copy(deep=True)
    other["air_temperature_mean"] = other["air_temperature_mean"] + 273.15
    other["air_temperature_mean"].attrs["units"] = "K"
    other["NEE"] = other["NEE"] / (12.011e-6 * 86400)
    other["NEE"].attrs["units"] = "umol m-2 s-1"
    reading = read(write(other, tmp_path / "data.nc"))
    for name in ("air_temperature_mean", "NEE"):
        np.testing.assert_allclose(reading.sites[0][name], truth[name][0], rtol=1e-9, atol=1e-9)
        assert any(note.kind == "converted" and note.variable == name for note in reading.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds["wind_speed"].attrs.update(units="knots"), ("wind_speed", "knots", "m s-1")),
        (lambda ds: ds["wind_speed"].attrs.clear(), ("wind_speed", "no units", "m s-1")),
    ],
)
def test_wrong_or_missing_units_are_refused(schema, tmp_path, change, words):
    dataset = schema()
    change(dataset)
    with pytest.raises(DataError) as caught:
        read(write(dataset, tmp_path / "data.nc"))
    assert all(word in str(caught.value) for word in ("data.nc", *words))


def test_missing_required_forcing_is_refused(schema, tmp_path):
    with pytest.raises(DataError, match=r"data\.nc.*precipitation, wind_speed.*missing"):
        read(write(schema().drop_vars(["wind_speed", "precipitation"]), tmp_path / "data.nc"))


def test_other_dimensions_are_refused(schema, tmp_path):
    with pytest.raises(DataError, match=r"dimensions.*station.*\(site, time\)"):
        read(write(schema().rename(site="station"), tmp_path / "data.nc"))


def test_a_calendar_without_leap_days_is_refused(schema, tmp_path):
    dataset = schema(last="2001-12-31")
    dataset["time"] = ("time", np.arange(365), {"units": "days since 2001-01-01"})
    dataset["time"].attrs["calendar"] = "noleap"
    with pytest.raises(DataError, match="standard calendar, with leap days"):
        read(write(dataset, tmp_path / "data.nc"))


def test_an_absent_day_of_one_site_in_a_table_is_refused(schema, tmp_path):
    path = write(schema(), tmp_path / "data.csv")
    table = pd.read_csv(path)
    north = table.index[(table["site"] == "north") & (table["time"] == "2001-04-10")]
    table.drop(index=north).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"north.*absent.*2001-04-10"):
        read(path)


def test_records_of_different_length_share_a_rectangle(schema, tmp_path):
    dataset = schema()
    required = [name for name in dataset if "time" in dataset[name].dims]
    for name in required:
        dataset[name][1, :365] = np.nan
    reading = read(write(dataset, tmp_path / "data.nc"))
    assert [one.sizes["time"] for one in reading.sites] == [730, 365]


def test_a_stamp_at_the_end_of_its_day_is_moved_back_by_its_bounds(schema, tmp_path):
    dataset = schema(("north",))
    days = dataset["time"].to_numpy()
    bounds = np.stack([days, days + np.timedelta64(1, "D")], axis=1)
    dataset = dataset.assign_coords(time=days + np.timedelta64(1, "D"))
    dataset["time_bnds"] = (("time", "bnds"), bounds)
    dataset["time"].attrs["bounds"] = "time_bnds"
    dataset["time"].encoding["units"] = "days since 2001-01-01"
    reading = read(write(dataset, tmp_path / "data.nc"))
    assert reading.sites[0]["time"].to_numpy()[0] == np.datetime64("2001-01-01")


def test_a_variable_outside_the_schema_is_left_out_and_noted(schema, tmp_path):
    dataset = schema()
    dataset["soil_colour"] = xr.full_like(dataset["NEE"], 3.0)
    reading = read(write(dataset, tmp_path / "data.nc"))
    assert "soil_colour" not in reading.sites[0]
    assert any(note.variable == "soil_colour" for note in reading.notes)


def test_an_attribute_that_changes_with_time_is_refused(schema, tmp_path):
    path = write(schema(), tmp_path / "data.csv")
    table = pd.read_csv(path)
    table.loc[3, "latitude [degree_north]"] = 12.0
    table.to_csv(path, index=False)
    with pytest.raises(DataError, match=r"latitude.*changes with time"):
        read(path)


def test_an_attribute_along_the_days_of_an_array_is_one_value_if_it_does_not_change(
    schema, tmp_path
):
    dataset = schema()
    along = xr.zeros_like(dataset["NEE"]).assign_attrs(units="degree_north")
    dataset["latitude"] = along + dataset["latitude"]
    dataset["latitude"].attrs["units"] = "degree_north"
    reading = read(write(dataset, tmp_path / "data.nc"))
    assert [site["latitude"].item() for site in reading.sites] == [50.0, 40.0]
    dataset["latitude"][0, 3] = 12.0
    with pytest.raises(DataError, match=r"latitude.*changes with time"):
        read(write(dataset, tmp_path / "moving.nc"))


def test_a_table_whose_last_line_has_no_end_is_read_and_warned_of(schema, tmp_path):
    path = write(schema(("north",)), tmp_path / "data.csv")
    assert not [note for note in read(path).notes if note.variable == "last row"]
    path.write_text(path.read_text().rstrip("\n"))
    reading = read(path)
    (note,) = [note for note in reading.notes if note.variable == "last row"]
    assert "the last line of data.csv has no end" in note.message
    assert reading.sites[0].sizes["time"] == 730


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_a_number_that_conversion_takes_beyond_all_numbers_is_missing(schema, tmp_path, suffix):
    dataset = schema(("north",))
    dataset["NEE"].attrs["units"] = "umol m-2 s-1"
    dataset["NEE"][0, 5] = 1.79e308
    path = write(dataset, tmp_path / f"data{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        (site,) = read(path).sites
    assert np.flatnonzero(np.isnan(site["NEE"])).tolist() == [5]


def test_a_folder_of_schema_files_joins_their_sites(schema, tmp_path):
    write(schema(("north",)), tmp_path / "a.nc")
    write(schema(("south",)), tmp_path / "b.csv")
    assert [one.attrs["site"] for one in read(tmp_path).sites] == ["north", "south"]


def test_columns_of_another_kind_are_left_out_and_said_whatever_they_hold(schema, tmp_path):
    path = write(schema(), tmp_path / "data.csv")
    before = read(path).sites
    table = pd.read_csv(path).assign(comment="harvested late", depth=0.1)
    table.to_csv(path, index=False)
    reading = read(path)
    for one, same in zip(reading.sites, before, strict=True):
        xr.testing.assert_identical(one, same)
    said = {note.variable for note in reading.notes if "not in the schema" in note.message}
    assert said == {"comment", "depth"}
