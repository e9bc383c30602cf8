import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from studies.daycent import program, training
from studies.daycent.schedule import FIRST_YEAR, history
from studies.daycent.settings import DaycentConfig
from studies.measured_fields.management import management

from kgml_jax.data.assemble import assemble
from kgml_jax.data.formats import daycent as door
from kgml_jax.data.read import read
from kgml_jax.errors import DataError
from kgml_jax.runs import saved
from kgml_jax.sites import TEST, TRAIN, VALIDATION

SMALL = {
    "first_year": 1950,
    "test_years": 2,
    "validation_years": 1,
    "block_years": 1,
    "hidden": 4,
    "warmup_days": 30,
    "steps": 4,
    "batch": 2,
    "validate_every": 2,
}


@pytest.fixture
def folder(tmp_path):
    """A folder of DayCent output: 1950 to 1956 with a season and a rising mean."""
    days = pd.date_range("1950-01-01", "1956-12-31", freq="D")
    season = np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 200) / 365)
    table = pd.DataFrame(
        {
            "run": "ag1",
            "year": days.year,
            "dayofyr": days.day_of_year,
            "tmax": 15.0 + 13.0 * season,
            "tmin": 5.0 + 11.0 * season,
            "ppt": 0.2,
            "N2Oflux": 20.0,
            "CO2resp": (6000.0 + 4000.0 * season) * (1.0 + 0.1 * (days.year - 1950)),
        }
    )
    out = tmp_path / "output"
    out.mkdir()
    table.to_csv(out / "a_daily.csv", index=False)
    return out


@pytest.fixture
def field(folder, tmp_path):
    config = DaycentConfig(run=tmp_path / "run", data=folder, **SMALL)
    return config, assemble([program.load(config)[0]], ("Rh",))


@pytest.fixture
def finished(run_program, folder, tmp_path):
    """A run of the last years alone: its folder, what it printed, and its configuration."""
    config = DaycentConfig(run=tmp_path / "run", data=folder, splits=("last-years",), **SMALL)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    options += ["--splits", "last-years", "--data", folder, "--run", config.run]
    status, out, _ = run_program(program, DaycentConfig, *options)
    assert status == 0
    return config, out


@pytest.mark.slow
def test_the_program_writes_what_it_prints_and_a_start_for_others(finished):
    config, out = finished
    for text in ("last years: Rh", "731 days of 1955-1956", "from scratch"):
        assert text in out
    assert (config.run / "scores.md").read_text().count("day of year x trend") == 1
    for name in ("series.png", "scatter.png"):
        assert (config.run / "last-years" / name).stat().st_size > 1000
    written = xr.load_dataset(config.run / "daycent_rh.nc").isel(split=0)
    assert dict(written.sizes) == {"time": 2557, "prediction": 3, "bnds": 2}
    held = written["role"].to_numpy() == TEST
    error = (written["Rh"] - written["Rh_daycent"]).to_numpy()[:, held]
    np.testing.assert_allclose(written["rmse"], np.sqrt((error**2).mean(axis=1)), rtol=1e-4)
    before = saved.load(config.run / "last-years" / "from-scratch")
    assert [scale.name for scale in before.model.scaling.targets] == ["Rh"]
    # The file beside it is in the project's own schema.
    assert read(before.origin.data).sites[0].sizes["time"] == 2557


@pytest.mark.slow
def test_a_finished_run_is_a_start_for_the_next(finished):
    first, _ = finished
    source = first.run / "last-years" / "from-scratch"
    second = dataclasses.replace(first, run=first.run.parent / "second", from_checkpoint=source)
    program.main(second)
    written = xr.load_dataset(second.run / "daycent_rh.nc").isel(split=0)
    assert {training.UNTUNED, training.SCRATCH, training.TUNED} <= set(written["prediction"].values)
    again = xr.load_dataset(first.run / "daycent_rh.nc")["Rh"].isel(split=0)
    blocked = dataclasses.replace(second, splits=("blocked-years",), run=first.run.parent / "third")
    with pytest.raises(DataError, match="the pretrained model saw test days"):
        program.main(blocked)
    # Before it is tuned, a checkpoint predicts what its own run predicted.
    np.testing.assert_allclose(
        written["Rh"].sel(prediction=training.UNTUNED),
        again.sel(prediction=training.SCRATCH),
        rtol=1e-4,
    )


def test_references_never_see_the_days_they_are_scored_on(field):
    config, sites = field
    roles = program.make_splits(config, sites)["last-years"].roles(sites)
    seen = (roles == TRAIN) | (roles == VALIDATION)
    before = training.seasonal_references(sites, seen)
    sites.site.targets["Rh"][roles == TEST] = 1e6
    after = training.seasonal_references(sites, seen)
    for name in before:
        np.testing.assert_array_equal(before[name]["Rh"], after[name]["Rh"])


def test_the_trend_continues_what_rises_by_the_same_every_year(field):
    config, sites = field
    roles = program.make_splits(config, sites)["last-years"].roles(sites)
    found = training.seasonal_references(sites, (roles == TRAIN) | (roles == VALIDATION))
    observed = sites.site.targets["Rh"]
    test = roles == TEST
    bias = {name: float((found[name]["Rh"] - observed)[test].mean()) for name in found}
    # The mean rises by 0.06 g C m-2 d-1 a year, and the test years are 3 to 4 from the middle.
    assert bias[training.CLIMATOLOGY] < -0.15
    assert abs(bias[training.TREND]) < 0.02


def test_no_test_year_is_used_otherwise(field):
    config, sites = field
    for split in program.make_splits(config, sites).values():
        roles = split.roles(sites)
        years = np.asarray(sites.site.calendar.year)
        held, used = (set(years[np.isin(roles, kind)]) for kind in ((TEST,), (TRAIN, VALIDATION)))
        assert held
        assert not held & used


def test_a_missing_folder_is_one_message(run_program, tmp_path):
    status, _, err = run_program(
        program, DaycentConfig, "--data", tmp_path / "none", "--run", tmp_path / "run"
    )
    assert status == 2
    assert err.startswith("error: no single table of daily DayCent output")
    assert not (tmp_path / "run").exists()


def test_the_schedule_harvests_when_the_run_did(data_folder):
    path = data_folder / "daycent_demo" / "daycent_champaign_harvest_1868_2000.csv"
    if not path.exists():
        pytest.skip(f"no file {path}")
    table = pd.read_csv(path)
    table = table[table["time"] >= FIRST_YEAR]
    reaped = [
        np.datetime64(f"{int(time)}-01-01") + np.timedelta64(int(day) - 1, "D")
        for time, day in zip(table["time"], table["dayofyr"], strict=True)
    ]
    seasons = {
        np.datetime64(season.harvested): season.row
        for season in history().seasons
        if season.name != "pasture"
    }
    assert sorted(seasons) == sorted(reaped)
    rows = [door.CROPS[int(code)][1] for code in table["crpval"]]
    assert [seasons[day] for day in reaped] == rows


def test_the_schedule_gives_a_full_calendar():
    dates = np.arange(np.datetime64("1889-01-01"), np.datetime64("2001-01-01"))
    given = management(history(), dates)
    nitrogen = given["fertiliser_ammonium"] + given["fertiliser_nitrate"]
    year = dates.astype("datetime64[Y]").astype(int) + 1970
    assert nitrogen[year < 1935].sum() == 0
    assert nitrogen[year == 1980].sum() == pytest.approx(15.7)
    assert given["tillage"].max() <= 1.0
