"""What netCDF and Zarr files hold beside plain series: coordinates, text, marks of missing."""

from functools import partial

import numpy as np
import pytest
import refusals
import xarray as xr

from kgml_jax.data.read import read

refused = partial(refusals.refused, read)
pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


def written(dataset, path):
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False)
    else:
        dataset.to_netcdf(path, engine="scipy" if path.suffix == ".nc" else "h5netcdf")
    return path


@pytest.mark.parametrize("suffix", [".nc", ".nc4", ".zarr"])
def test_coordinates_of_the_place_and_soil_are_read(schema, tmp_path, suffix):
    dataset = schema().assign_coords(
        latitude=("site", [-36.65, 50.0], {"units": "degrees_north"}),
        elevation=("site", [999.0, 20.0], {"units": "m"}),
        sand=((), 0.4, {"units": "1"}),
        clay=((), 0.2, {"units": "1"}),
    )
    first, second = read(written(dataset, tmp_path / f"a{suffix}")).sites
    assert (first["latitude"].item(), first["elevation"].item()) == (-36.65, 999.0)
    assert (second["latitude"].item(), second["sand"].item()) == (50.0, 0.4)


def test_places_are_known_by_their_short_and_their_standard_names(schema, tmp_path):
    dataset = schema(("north",)).drop_vars("latitude")
    dataset["lat"] = ("site", [12.0])
    dataset["y"] = ("site", [99.0], {"standard_name": "longitude", "units": "degrees_east"})
    dataset["z"] = ("site", [300.0], {"standard_name": "surface_altitude", "units": "m"})
    reading = read(written(dataset, tmp_path / "a.nc"))
    (site,) = reading.sites
    assert (site["latitude"].item(), site["elevation"].item()) == (12.0, 300.0)
    assert site.attrs["longitude"] == 99.0
    assert any("taken as degrees" in note.message for note in reading.notes)


def test_a_scalar_coordinate_names_the_site_of_a_file_of_one(schema, tmp_path):
    one = schema(("north",)).isel(site=0).drop_vars("group")
    assert read(written(one, tmp_path / "a.nc")).sites[0].attrs["site"] == "north"


@pytest.mark.parametrize("suffix", [".nc", ".nc4"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (np.array([b"US-A ", b"US-B\0\0"]), ["US-A", "US-B"]),
        (np.array(["US-A  ", " US-B"]), ["US-A", "US-B"]),
        (np.array([1001, 1002]), ["1001", "1002"]),
        (np.array([1001.0, 1002.0]), ["1001", "1002"]),
    ],
)
def test_names_of_sites_are_text_without_padding(schema, tmp_path, suffix, names, expected):
    dataset = schema().assign_coords(site=("site", names))
    dataset["group"] = ("site", np.array([b"north  ", b"south  "]))
    reading = read(written(dataset, tmp_path / f"a{suffix}"))
    assert [one.attrs["site"] for one in reading.sites] == expected
    assert [one.attrs["group"] for one in reading.sites] == ["north", "south"]


def test_an_empty_name_is_refused_by_its_place(schema, tmp_path):
    dataset = schema().assign_coords(site=("site", np.array([b"north", b"     "])))
    refused(written(dataset, tmp_path / "a.nc"), "a.nc", "site", "no name at place 2 of 2")


def test_stations_are_renamed_by_the_recipe_and_named_by_their_role(schema, tmp_path, monkeypatch):
    dataset = schema().rename(site="station")
    dataset = dataset.reset_index("station").reset_coords("station")
    dataset = dataset.rename_vars(station="station_name")
    dataset["station_name"].attrs["cf_role"] = "timeseries_id"
    path = written(dataset, tmp_path / "a.nc")
    with pytest.raises(Exception, match=r"rename\(\{'station': 'site'\}\)") as caught:
        read(path)
    monkeypatch.chdir(tmp_path)
    exec(caught.value.recipe.strip(), {"xarray": xr})
    assert [one.attrs["site"] for one in read(tmp_path / "sites.nc").sites] == ["north", "south"]


@pytest.mark.parametrize("suffix", [".nc", ".nc4"])
def test_netcdfs_own_mark_of_what_was_never_written_is_missing(schema, tmp_path, suffix):
    dataset = schema(("north",))
    dataset["NEE"][0, 20:30] = 9.969209968386869e36
    for name in dataset.data_vars:
        dataset[name].encoding["_FillValue"] = None
    reading = read(written(dataset, tmp_path / f"a{suffix}"))
    assert np.isnan(reading.sites[0]["NEE"].to_numpy()).sum() == 10
    assert np.nanmax(np.abs(reading.sites[0]["NEE"])) < 10.0
    (note,) = [note for note in reading.notes if note.variable == "NEE"]
    assert (note.kind, note.count) == ("masked", 10)


def test_the_mark_of_packed_values_is_missing_before_they_are_scaled(schema, tmp_path):
    dataset = schema(("north",))
    packed = np.round(dataset["NEE"].to_numpy() / 0.01).astype(np.int16)
    packed[0, 5] = -32767
    attrs = {"units": "g C m-2 d-1", "scale_factor": 0.01}
    truth = dataset["NEE"].to_numpy()[0]
    dataset["NEE"] = (("site", "time"), packed, attrs)
    nee = read(written(dataset, tmp_path / "a.nc")).sites[0]["NEE"].to_numpy()
    assert np.isnan(nee).nonzero()[0].tolist() == [5]
    # Half a step of the packing, and a little of float32.
    np.testing.assert_allclose(np.delete(nee, 5), np.delete(truth, 5), atol=0.00501)


def test_infinities_are_missing_and_counted(schema, tmp_path):
    dataset = schema(("north",))
    dataset["NEE"][0, :3] = [np.inf, -np.inf, np.inf]
    reading = read(written(dataset, tmp_path / "a.nc"))
    assert np.isnan(reading.sites[0]["NEE"].to_numpy()[:3]).all()
    assert [note.count for note in reading.notes if "infinite" in note.message] == [3]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("wind_speed", ("site", [1.0]), ("dimensions", "wind_speed", "(site, time)")),
        ("sand", (("site", "time"), None), ("sand", "no number", "text")),
        ("NEE", (("site", "time"), None), ("NEE", "no number", "text")),
    ],
)
def test_a_variable_that_is_no_series_of_numbers_is_named(schema, tmp_path, name, values, words):
    dataset = schema(("north",))
    dims, data = values
    shape = tuple(dataset.sizes[dim] for dim in ("site", "time"))
    data = np.full(shape, b"high") if data is None else data
    dataset[name] = (dims, data, {"units": "1"})
    refused(written(dataset, tmp_path / "a.nc"), "a.nc", *words)


def test_a_variable_that_is_not_read_does_not_matter_in_any_form(schema, tmp_path):
    dataset = schema(("north",))
    dataset["profile"] = (("depth", "time"), np.ones((3, dataset.sizes["time"])))
    reading = read(written(dataset, tmp_path / "a.nc"))
    assert [note.variable for note in reading.notes if "left out" in note.message] == ["profile"]


@pytest.mark.parametrize("suffix", [".nc", ".nc4"])
def test_a_day_beyond_the_dates_of_numpy_is_damage(schema, tmp_path, suffix):
    dataset = schema(("north",))
    days = np.arange(dataset.sizes["time"], dtype=float)
    days[5] = 1e6
    dataset = dataset.assign_coords(time=("time", days, {"units": "days since 2001-01-01"}))
    refused(written(dataset, tmp_path / f"a{suffix}"), f"a{suffix}: is damaged", "1000000 days")
