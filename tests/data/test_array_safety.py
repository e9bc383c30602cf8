"""Files from elsewhere: none runs code, reads another file, makes up values or fills the memory."""

import json
import os
import shutil
from functools import partial

import h5py
import numpy as np
import pytest
import refusals
import xarray as xr
import zarr

from kgml_jax.data.opening import require_size
from kgml_jax.data.read import collect, read
from kgml_jax.errors import DataError

refused = partial(refusals.refused, read)
pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


@pytest.fixture
def store(schema, tmp_path):
    """Writes a Zarr store of one site in chunks of 100 days; site names are numbers."""

    def write(version, change=lambda dataset: dataset, **encoding):
        path = tmp_path / "a.zarr"
        dataset = change(schema(("7",)).drop_vars("group").assign_coords(site=[7]))
        chunks = {name: {"chunks": (1, 100)} | encoding for name in dataset if name != "latitude"}
        dataset.to_zarr(path, consolidated=False, zarr_format=version, encoding=chunks)
        return path

    return write


def altered(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def filled_with_zeros(array):
    """Gives an array of a store the fill value that is Zarr's own, 0."""
    name = "zarr.json" if (array / "zarr.json").is_file() else ".zarray"
    altered(array / name, lambda document: document.update(fill_value=0.0))


@pytest.mark.parametrize(("version", "chunk"), [(2, "0.2"), (3, "c/0/2")])
def test_an_absent_chunk_is_an_error_that_names_chunk_and_variables(store, version, chunk):
    path = store(version)
    for name in ("precipitation", "wind_speed"):
        (path / name / chunk).unlink()
        filled_with_zeros(path / name)
    refused(path, "a.zarr", f"{chunk} of precipitation", "wind_speed", "absent")


@pytest.mark.parametrize(("version", "chunk"), [(2, "0.2"), (3, "c/0/2")])
def test_an_absent_chunk_whose_fill_value_is_nan_is_missing_data(store, version, chunk):
    path = store(version)
    (path / "NEE" / chunk).unlink()
    reading = read(path)
    assert np.flatnonzero(np.isnan(reading.sites[0]["NEE"])).tolist() == list(range(200, 300))
    assert any("does not hold" in note.message for note in reading.notes)


def test_a_chunk_of_zeros_that_was_not_written_is_what_management_means_by_it(store):
    def with_harvest(dataset):
        pulses = np.zeros((1, dataset.sizes["time"]))
        pulses[0, 250] = 1.0
        return dataset.assign(harvest=(("site", "time"), pulses, {"units": "1"}))

    path = store(3, with_harvest)
    filled_with_zeros(path / "harvest")
    (path / "harvest" / "c" / "0" / "0").unlink()
    reading = read(path)
    assert reading.sites[0]["harvest"].sum().item() == 1.0
    assert any(note.variable == "harvest" and "0 is used" in note.message for note in reading.notes)


@pytest.mark.filterwarnings("ignore:.*onsolidated")
def test_the_recipe_writes_zeros_that_were_left_out(store, tmp_path, monkeypatch):
    path = store(3, lambda dataset: dataset.assign(precipitation=dataset["precipitation"] * 0.0))
    filled_with_zeros(path / "precipitation")
    (path / "precipitation" / "c" / "0" / "3").unlink()
    with pytest.raises(DataError, match="precipitation") as caught:
        read(path)
    monkeypatch.chdir(tmp_path)
    exec(str(caught.value.recipe).split("\n")[1].strip(), {"xarray": xr})
    assert float(read(tmp_path / "whole.zarr").sites[0]["precipitation"].sum()) == 0.0


def test_a_chunk_absent_from_its_shard_is_an_error(store):
    path = store(3, shards=(1, 300))
    filled_with_zeros(path / "wind_speed")
    # The last shard is not full: 730 days are 2 shards of 300 and 2 chunks of 100.
    assert read(path).sites[0].sizes["time"] == 730
    # Zarr leaves out a chunk of nothing but its fill value.
    zarr.open_group(path)["wind_speed"][0, 200:300] = 0.0
    refused(path, "wind_speed", "c/0/0, chunk 0/2", "absent")


@pytest.mark.parametrize("version", [2, 3])
def test_a_codec_that_may_run_code_is_refused_by_name(store, tmp_path, version):
    path = store(version)
    if version == 2:
        altered(path / "NEE" / ".zarray", lambda one: one.update(filters=[{"id": "pickle"}]))
    else:
        codec = {"name": "numcodecs.pickle", "configuration": {}}
        altered(path / "NEE" / "zarr.json", lambda one: one["codecs"].append(codec))
    refused(path, "a.zarr", "NEE", "pickle", "run code")


def test_consolidated_metadata_that_disagree_are_refused(store):
    path = store(2)
    zarr.consolidate_metadata(path)
    assert len(read(path).sites) == 1
    altered(path / "wind_speed" / ".zattrs", lambda one: one.update(units="km h-1"))
    refused(path, "wind_speed", "consolidated", "km h-1")
    shutil.rmtree(path / "wind_speed")
    refused(path, "wind_speed", "absent", "consolidated")


def test_a_link_out_of_a_store_is_refused(store, tmp_path):
    path = store(3)
    chunk = path / "NEE" / "c" / "0" / "2"
    shutil.move(chunk, tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    refused(path, "a.zarr", "links to files outside", "c/0/2")


@pytest.mark.parametrize(("version", "name"), [(2, ".zarray"), (3, "zarr.json")])
def test_an_array_whose_metadata_are_damaged_or_absent_is_not_left_out(store, version, name):
    path = store(version)
    metadata = path / "NEE" / name
    altered(metadata, lambda document: document.pop("zarr_format"))
    refused(path, "a.zarr, variable NEE: the metadata", f"no zarr_format in NEE/{name}")
    metadata.unlink()
    refused(path, "a.zarr, variable NEE: the metadata of an array are missing", f"{name} there")


def test_other_files_in_a_store_are_not_its_own(store):
    path = store(2)
    (path / "README.txt").write_text("of somebody")
    (path / ".ipynb_checkpoints").mkdir()
    assert "NEE" in read(path).sites[0]


def test_a_folder_of_anything_is_no_store_whatever_lies_in_it(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "link").symlink_to("/")
    refused(path, "a.zarr: is no Zarr store", "no zarr.json, .zgroup, .zmetadata in it")


@pytest.mark.parametrize("key", ["shape", "chunks"])
def test_a_store_that_claims_a_trillion_values_is_refused_at_once(store, key):
    path = store(2)
    altered(path / "NEE" / ".zarray", lambda one: one.update({key: [1, 10**12]}))
    refused(path, "a.zarr", "claims to hold more values")


def hdf5(schema, path, change):
    schema(("north",)).drop_vars("group").to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "a") as file:
        values = np.asarray(file["wind_speed"])
        change(file, values)
        return path


def external_storage(file, values):
    del file["wind_speed"]
    outside = os.path.join(os.path.dirname(file.filename), "secret")
    values.tofile(outside)
    file.create_dataset("wind_speed", values.shape, "f8", external=[(outside, 0, values.nbytes)])


def external_link(file, values):
    del file["wind_speed"]
    file["wind_speed"] = h5py.ExternalLink("other.nc", "wind_speed")


def virtual(file, values):
    del file["wind_speed"]
    layout = h5py.VirtualLayout(values.shape, "f8")
    layout[:] = h5py.VirtualSource("other.nc", "wind_speed", values.shape)
    file.create_virtual_dataset("wind_speed", layout)


@pytest.mark.parametrize("change", [external_storage, external_link, virtual])
def test_a_netcdf_file_that_takes_values_from_other_files_is_refused(schema, tmp_path, change):
    path = hdf5(schema, tmp_path / "a.nc", change)
    refused(path, "a.nc", "takes values from other files", "wind_speed")


def test_chunks_of_a_netcdf_file_that_were_never_written_are_no_zeros(schema, tmp_path):
    def change(file, values):
        attrs = dict(file["wind_speed"].attrs)
        del file["wind_speed"]
        array = file.create_dataset("wind_speed", values.shape, "f8", chunks=(1, 100))
        array[0, :400] = values[0, :400]
        array.attrs["units"] = attrs["units"]
        for place, name in enumerate(("site", "time")):
            array.dims[place].attach_scale(file[name])

    path = hdf5(schema, tmp_path / "a.nc", change)
    refused(path, "a.nc", "wind_speed", "4 of 8 chunks", "absent")


def test_a_netcdf_file_that_claims_a_trillion_values_is_refused_at_once(schema, tmp_path):
    def change(file, values):
        for name in ("wind_speed", "time"):
            del file[name]
        file.create_dataset("time", (10**12,), "f8", chunks=(1000,))
        file["time"].make_scale("time")

    path = hdf5(schema, tmp_path / "a.nc", change)
    refused(path, "a.nc", "claims to hold more values", "KGML_JAX_LARGEST_INPUT")


def test_the_limit_is_set_by_the_environment(monkeypatch, tmp_path):
    require_size(tmp_path, 2**31, 2**33)
    monkeypatch.setenv("KGML_JAX_LARGEST_INPUT", "4")
    with pytest.raises(DataError, match="at most 4096 MiB"):
        require_size(tmp_path, 2**31, 2**33)


@pytest.mark.parametrize("name", ["a.nc", "a.zarr", "a.sav"])
def test_a_pipe_or_an_empty_file_in_a_folder_is_an_error_and_hangs_nothing(schema, tmp_path, name):
    schema(("north",)).drop_vars("group").to_netcdf(tmp_path / "good.nc", engine="scipy")
    os.mkfifo(tmp_path / name)
    for _ in range(2):
        reading = collect(tmp_path)
        assert [site.attrs["site"] for site in reading.sites] == ["north"]
        assert [error.file for error in reading.errors] == [name]
        (tmp_path / name).unlink()
        (tmp_path / name).touch()
