"""The command `predict`: fields with weather and no fluxes, from a finished run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kgml_jax
from kgml_jax.cli import predict
from kgml_jax.cli.predict import PredictConfig
from kgml_jax.data.schema import ATTRIBUTES, FORCING
from kgml_jax.runs import saved
from kgml_jax.sites import Place
from kgml_jax.workflows.fields import FLAGS

OLD_RUNS = Path(__file__).parents[1] / "stored_runs" / "82928d3"


@pytest.fixture(scope="module")
def world(pretrained_run):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as stored:
        return stored.load()


@pytest.fixture(scope="module")
def weather(world):
    """What a field without a tower has: weather, calendar and place of the synthetic sites."""
    return world[[name for name in (*FORCING, *ATTRIBUTES, "group") if name in world]]


@pytest.fixture
def fields(weather, tmp_path):
    """A calibrated site for two years, and two fields that no run knows."""
    known = weather.isel(site=[0, 1, 2], time=slice(0, 730))
    renamed = known.assign_coords(site=[str(known["site"].values[0]), "field A", "field B"])
    renamed.to_netcdf(tmp_path / "fields.nc")
    return tmp_path / "fields.nc"


@pytest.fixture
def predicted(run_program, calibrated_run, fields, tmp_path):
    """Calls the command with a calibrated run; returns status, output and errors."""

    def call(*options, run=calibrated_run, data=fields, out=tmp_path / "out"):
        arguments = ("--from", run, "--data", data, "--out", out, *options)
        return run_program(predict, PredictConfig, *arguments)

    return call


def test_fields_without_fluxes_get_series_and_sums(predicted, calibrated_run, tmp_path):
    status, out, err = predicted("--strategy", "ftbsc")
    assert status == 0, err
    assert "Predicted 3 fields on 2190 days: 1 by their own parameters, 2 by the pretrained" in out
    written = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {"predictions.csv", "annual.csv", "fields.csv"}
    assert written == {"predictions.nc", "annual.nc"} | tables | {
        *("run.json", "config.json", "versions.json", "provenance.json")
    }
    with xr.open_dataset(tmp_path / "out" / "predictions.nc") as daily:
        assert daily["NEE"].dims == ("site", "time")
        assert str(daily["time"].values[0])[:10] == "2001-01-01"
        assert daily["time"].attrs["bounds"] == "time_bnds"
        assert {"units", "long_name", "cell_methods"} <= set(daily["NEE"].attrs)
        assert daily.attrs["Conventions"].startswith("CF-")
        assert daily.attrs["strategy"] == "ftbsc"
        base = saved.load_pretrained(calibrated_run / "pretrained")
        assert daily.attrs["weights"] == base.fingerprint
        assert "--strategy ftbsc" in daily.attrs["history"]
        assert not [name for name in daily if str(name).endswith("_observed")]
        assert np.isfinite(daily["NEE"]).all()


def test_tables_say_the_same_as_the_files(predicted, tmp_path):
    predicted("--strategy", "ftbsc")
    with (
        xr.open_dataset(tmp_path / "out" / "predictions.nc") as daily,
        xr.open_dataset(tmp_path / "out" / "annual.nc") as annual,
    ):
        days = pd.read_csv(tmp_path / "out" / "predictions.csv")
        assert len(days) == daily["NEE"].size
        # Six digits are written.
        found = days["NEE [g C m-2 d-1]"].to_numpy().reshape(daily["NEE"].shape)
        np.testing.assert_allclose(found, daily["NEE"], rtol=1e-5, atol=1e-6)
        years = pd.read_csv(tmp_path / "out" / "annual.csv")
        np.testing.assert_allclose(years["GPP [g C m-2]"], annual["GPP"].values.ravel(), rtol=1e-5)
        assert years["year"].tolist() == [2001, 2002] * 3
        assert set(years["year_status"]) == {"whole_from_start_of_record", "whole"}
        total = days["GPP [g C m-2 d-1]"].to_numpy().reshape(3, 730)[:, 365:].sum(axis=1)
        np.testing.assert_allclose(total, years["GPP [g C m-2]"][1::2], rtol=1e-5)


def test_a_known_site_is_predicted_as_with_its_tower(predicted, calibrated_run, world, tmp_path):
    predicted("--strategy", "ftbsc")
    towers = world.isel(time=slice(0, 730)).drop_vars(["soil_temperature", "grain_yield"])
    towers.to_netcdf(tmp_path / "towers.nc")
    sites = kgml_jax.read_sites(tmp_path / "towers.nc")
    assert "NEE" in sites.site.targets
    fluxes = kgml_jax.predict(kgml_jax.load(calibrated_run, "ftbsc"), sites)
    with xr.open_dataset(tmp_path / "out" / "predictions.nc") as daily:
        known, same, other = str(world["site"].values[0]), daily["NEE"], fluxes["NEE"]
        np.testing.assert_array_equal(same.sel(site=known), other.sel(site=known))
        # Of the others the towers are calibrated, and the fields without are not.
        named = str(world["site"].values[1])
        assert abs(same.sel(site="field A").values - other.sel(site=named).values).max() > 0.01


def test_what_training_saw_is_kept_with_the_run(
    pretrained_run, world, weather, tmp_path, predicted
):
    base = saved.load_pretrained(pretrained_run)
    assert base.envelope is not None
    assert base.envelope.measured
    hot = weather.isel(site=[0]).copy(deep=True)
    hot["air_temperature_mean"][:, 200] = 49.0
    hot.to_netcdf(tmp_path / "hot.nc")
    status, out, _ = predicted(run=pretrained_run, data=tmp_path / "hot.nc")
    assert status == 0
    assert "air_temperature_mean" in out
    with xr.open_dataset(tmp_path / "out" / "predictions.nc") as daily:
        assert daily["outside"].values[0, 200] & FLAGS["weather"]
        assert daily.attrs["training_ranges"].startswith("smallest and largest")


def test_a_run_of_an_older_version_says_what_stands_for_its_ranges(predicted, tmp_path):
    old = shutil.copytree(OLD_RUNS, tmp_path / "runs") / "pretrain"
    status, _, err = predicted(run=old)
    assert status == 0
    assert "did not keep the ranges" in err
    with xr.open_dataset(tmp_path / "out" / "predictions.nc") as daily:
        assert "4 standard deviations" in daily.attrs["training_ranges"]


def test_the_nearest_calibrated_site_is_named_with_its_distance(
    predicted, calibrated_run, fields, tmp_path
):
    fitted = saved.load(calibrated_run, "ftbsc")
    names = list(fitted.unit_of)
    places = {name: Place(40.0 + row, -90.0) for row, name in enumerate(names)}
    saved.save(replace(fitted, places=places), tmp_path / "placed")
    where = "site,lat,lon\nfield A,41.9,-90\nfield B,40,-90\n"
    (tmp_path / "places.csv").write_text(where)
    with xr.open_dataset(fields) as written:
        written.drop_vars("latitude").load().to_netcdf(tmp_path / "unplaced.nc")
    status, out, err = predicted(
        *("--unknown", "nearest", "--metadata", tmp_path / "places.csv"),
        run=tmp_path / "placed",
        data=tmp_path / "unplaced.nc",
    )
    assert status == 0, err
    assert "1 by their own parameters, 0 by the pretrained model, 2 by those of others" in out
    table = pd.read_csv(tmp_path / "out" / "fields.csv").set_index("site")
    assert table.loc["field A", "parameters_from"] == names[2]
    assert table.loc["field A", "distance [km]"] == pytest.approx(11.1, abs=0.1)
    assert table.loc["field B", "distance [km]"] == 0


def refuse(predicted, tmp_path, *words, **call):
    options = call.pop("options", ("--strategy", "ftbsc"))
    status, _, err = predicted(*options, **call)
    assert status == 2
    assert err.startswith("error: ")
    assert not [word for word in words if word not in err], err
    assert not (tmp_path / "out").exists()


def test_a_wrong_path_is_one_message_and_nothing_is_written(predicted, tmp_path):
    refuse(predicted, tmp_path, "no such file", "nowhere.nc", data=tmp_path / "nowhere.nc")
    refuse(predicted, tmp_path, "nowhere", run=tmp_path / "nowhere", options=())


def test_damaged_weather_is_one_message_and_nothing_is_written(predicted, weather, tmp_path):
    bad = weather.drop_vars(["wind_speed"]).copy(deep=True)
    bad["precipitation"].attrs["units"] = "furlong"
    bad.to_netcdf(tmp_path / "bad.nc")
    refuse(predicted, tmp_path, "wind_speed", "bad.nc", data=tmp_path / "bad.nc")


def test_several_strategies_are_to_be_chosen_from(predicted, tmp_path):
    refuse(predicted, tmp_path, "choose one: ftbsc, group-only", options=())


def test_a_synthetic_place_has_no_neighbour(predicted, tmp_path):
    options = ("--strategy", "ftbsc", "--unknown", "nearest")
    refuse(predicted, tmp_path, "where the calibrated sites lie", options=options)


def test_a_folder_in_use_is_not_touched(predicted, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("all of it")
    for options in ((), ("--overwrite",)):
        status, _, err = predicted("--strategy", "ftbsc", *options)
        assert status == 2
        assert "out" in err
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_bad_fields_are_left_out_when_told(predicted, weather, tmp_path):
    bad = weather.isel(time=slice(0, 730)).copy(deep=True)
    bad["precipitation"][1] = np.nan
    bad.to_netcdf(tmp_path / "bad.nc")
    refuse(predicted, tmp_path, "precipitation", "--skip-bad-sites", data=tmp_path / "bad.nc")
    options = ("--strategy", "ftbsc", "--skip-bad-sites")
    status, out, err = predicted(*options, data=tmp_path / "bad.nc")
    assert status == 0
    assert "left out: " in err
    assert "precipitation" in err
    assert "Predicted 2 fields" in out
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["skip_bad_sites"] is True
