import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from conventions_check import assert_follows_conventions, grave_faults, needs_checker

from kgml_jax.cli import simulate
from kgml_jax.cli.simulate import SimulateConfig
from kgml_jax.data import choices
from kgml_jax.data.synthetic import SyntheticConfig, generate
from kgml_jax.errors import DataError
from kgml_jax.models.observables import NAMES
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import priors, simulate_sites
from kgml_jax.process import crops, layers
from kgml_jax.process.budgets import BUDGETS
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.workflows import simulation, simulation_outputs, simulation_sources, simulation_years
from kgml_jax.workflows.daily_file import DailyFile, Variable, check_path

WORLD = choices.DataChoice(synthetic_sites=3, synthetic_years=2)
# Three sites in batches of two: the second batch is filled up.
TRUTH = {"data": WORLD, "parameters": "truth", "spin_up_cycles": 0, "site_batch": 2}
UNIT = re.compile(r"^(1|degrees?_north|([A-Za-z]+\d*(-\d+)?)( [A-Za-z]+(-\d+)?)*)$")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture(scope="module")
def written(folder):
    simulate.main(SimulateConfig(out=folder / "days.nc", **TRUTH))
    return folder / "days.nc"


@pytest.fixture(scope="module")
def days(written):
    with xr.open_dataset(written) as opened:
        return opened.load()


def test_the_truth_is_that_of_the_synthetic_world(days):
    world = generate(SyntheticConfig(sites=3, years=2), simulate_sites)
    for name, field in NAMES.items():
        # Another program around the same step: rounding of ten years of feedbacks.
        np.testing.assert_allclose(days[field], world[f"{name}_truth"], atol=5e-3, err_msg=name)
    np.testing.assert_allclose(days["vcmax_multiplier"], world["true_vcmax_multiplier"], rtol=1e-6)
    assert days["site"].values.tolist() == world["site"].values.tolist()
    assert (days["time"].values == world["time"].values).all()


def test_zarr_holds_what_netcdf_holds(days, folder):
    simulate.main(SimulateConfig(out=folder / "days.zarr", **TRUTH))
    with xr.open_zarr(folder / "days.zarr") as opened:
        xr.testing.assert_equal(opened.load(), days)
        for name in days.variables:
            assert set(opened[name].attrs) == set(days[name].attrs), name
        assert opened.attrs["Conventions"] == days.attrs["Conventions"] == "CF-1.8"


def test_every_variable_says_what_it_is_in_units_that_udunits_reads(days):
    for name in (*simulation_outputs.OUTPUTS, *quantities(Params)):
        attributes = days[name].attrs
        assert attributes["long_name"].startswith(name.replace("_", " ")), name
        if name != "crop":
            assert UNIT.match(attributes["units"]), f"{name}: {attributes['units']}"
            assert not re.search(r"\b[CN]\b|\bg[CN]", attributes["units"]), name
    assert days["gross_primary_productivity"].attrs["units"] == "g m-2 d-1"
    assert days["gross_primary_productivity"].attrs["cell_methods"] == "time: mean"
    assert days["nitrate"].attrs["cell_methods"] == "time: point"
    assert days["grain_yield"].attrs["cell_methods"] == "time: sum"
    assert days["crop"].attrs["flag_meanings"].split() == ["unknown", *simulation_outputs.CROPS]
    assert len(simulation_outputs.CROPS) == len(crops.TABLE)
    assert "simulated" in days.attrs["title"]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+", days.attrs["history"])


def test_the_file_follows_the_conventions(written):
    assert_follows_conventions(written, of_run=False)
    with xr.open_dataset(written) as opened:
        assert len(opened.attrs["configuration_sha256"]) == 64


@pytest.mark.slow
@needs_checker
def test_the_checker_of_ioos_finds_no_grave_fault_in_simulated_days(written):
    assert grave_faults([written]) == ""


def test_time_and_depth_are_cf_coordinates_with_bounds(days):
    assert days["time"].encoding["calendar"] == "standard"
    assert days["time"].attrs["bounds"] == "time_bnds"
    one_day = np.diff(days["time_bnds"].values, axis=1)
    assert (one_day == np.timedelta64(1, "D")).all()
    assert days["layer"].attrs["positive"] == "down"
    np.testing.assert_allclose(np.diff(days["layer_bnds"])[:, 0], layers.THICKNESS)
    assert days["layer_temperature"].dims == ("site", "time", "layer")
    assert {"latitude", "elevation"} <= set(days["nitrate"].coords)


@pytest.mark.parametrize("matter", ["carbon", "nitrogen", "water"])
def test_stored_days_close_the_budgets(days, matter):
    stocks, net = {
        "carbon": (
            days["ecosystem_carbon"],
            days["seed_carbon"]
            + days["manure_carbon"]
            - days["net_ecosystem_exchange"]
            - days["harvested_carbon"],
        ),
        "nitrogen": (
            days["ecosystem_nitrogen"],
            days["seed_nitrogen"]
            + days["nitrogen_fertiliser"]
            + days["manure_nitrogen"]
            + days["nitrogen_deposition"]
            + days["nitrogen_fixation"]
            - days["harvested_nitrogen"]
            - days["nitrous_oxide"]
            - days["dinitrogen"]
            - days["ammonia_volatilisation"]
            - days["nitrate_leaching"],
        ),
        "water": (
            days["soil_water"] + days["snow"],
            days["precipitation"]
            + days["irrigation"]
            - days["evapotranspiration"]
            - days["runoff"]
            - days["drainage"],
        ),
    }[matter]
    left = stocks.astype(float).diff("time") - net.astype(float).isel(time=slice(1, None))
    # The rounding that single precision allows a day's step and its stored total.
    assert float(abs(left).max()) < 16 * np.finfo(np.float32).eps * float(stocks.max())
    assert float(abs(net).max()) > 0.1


def test_a_file_gives_back_the_parameters_it_was_made_with(written, days, folder):
    again = folder / "again.nc"
    simulate.main(SimulateConfig(out=again, **{**TRUTH, "parameters": written}))
    with xr.open_dataset(again) as opened:
        # The truth was stored in single precision.
        found, expected = (one["net_ecosystem_exchange"] for one in (opened, days))
        np.testing.assert_allclose(found, expected, atol=5e-3)


def test_a_table_replaces_the_priors_of_its_columns_alone(tmp_path):
    table = tmp_path / "some.csv"
    rows = ["site,vcmax_multiplier,curve_number", "IN-01,1.2,70", "IL-01,0.9,75", "XX-01,1.0,75"]
    table.write_text("\n".join(rows))
    own = simulation_sources.read_parameters(table, ["IL-01", "IN-01"])
    assert {name: values.tolist() for name, values in own.items()} == {
        "vcmax_multiplier": [0.9, 1.2],
        "curve_number": [75.0, 70.0],
    }
    data = replace(WORLD, synthetic_sites=3, synthetic_years=1)
    source = simulation_sources.open_source(data, "prior", prescribed=False)
    prior = source.take([0])
    assert prior.parameters["vcmax_multiplier"] == quantities(Params)["vcmax_multiplier"].default


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("site,vcmax\nIL-01,1", "unknown parameter (found vcmax; expected site and some of vcmax"),
        ("site,curve_number\nIL-01,7000", "variable curve_number: out of bounds (found 7000.0"),
        ("site,curve_number\nIL-01,", "variable curve_number: no value"),
        ("site,curve_number\nIL-01,high", "is not a number (found 'high' in row 2"),
        ("site,curve_number\nIL-02,75", "site IL-01: no row of a site"),
        ("site,curve_number\nIL-01,75\nIL-01,75", "more than one row of a site"),
        ("place,curve_number\nIL-01,75", "no column of sites (found place"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, content, message):
    table = tmp_path / "wrong.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=re.escape(message)):
        simulation_sources.read_parameters(table, ["IL-01"])


def test_parameters_that_change_from_day_to_day_are_refused(tmp_path):
    values = xr.DataArray(np.ones((1, 2)), dims=("site", "time"), coords={"site": ["IL-01"]})
    xr.Dataset({"vcmax_multiplier": values}).to_netcdf(tmp_path / "daily.nc")
    with pytest.raises(DataError, match="found site, time; expected site, with names"):
        simulation_sources.read_parameters(tmp_path / "daily.nc", ["IL-01"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "days.txt"], "days.txt: unknown suffix; expected one of .nc, .nc4, .zarr"),
        (["--out", "nowhere/days.nc"], "there is no folder"),
        (["--out", "there.nc"], "there.nc exists already; choose another or add --overwrite"),
        (["--out", "folder.zarr", "--overwrite"], "is not a Zarr store, so it is not overwritten"),
        (["--out", "there.zarr", "--overwrite"], "is a file, so it is not overwritten"),
        (["--out", "days.nc", "--outputs", "biomass"], "--outputs biomass: no such output"),
        (["--out", "there.nc", "--overwrite", "--parameters", "there.nc"], "the program reads"),
        (["--out", "days.nc", "--parameters", "none.csv"], "no such file"),
        (["--out", "days.nc", "--data", ".", "--parameters", "truth"], "only synthetic sites"),
        (["--out", "days.nc", "--site-batch", "0"], "expected at least 1"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(
    run_program, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.nc").write_text("kept")
    (tmp_path / "there.zarr").write_text("kept")
    (tmp_path / "folder.zarr").mkdir()
    before = sorted(tmp_path.iterdir())
    status, _, err = run_program(simulate, SimulateConfig, *options)
    assert status == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.nc").read_text() == "kept"


@pytest.mark.parametrize("name", ["days.nc", "days.zarr"])
def test_a_run_that_fails_leaves_the_earlier_file_and_no_part_of_its_own(
    tmp_path, monkeypatch, name
):
    def fail(*_):
        raise RuntimeError("no power")

    variables = {"nitrate": Variable(("site", "time"), "float32", {"units": "g m-2"})}
    dates = np.arange("2001-01-01", "2001-01-03", dtype="datetime64[D]")
    with DailyFile(tmp_path / name, ("a",), dates, variables, 1, {"history": "test"}) as file:
        file.write(slice(0, 1), {"nitrate": np.ones((1, 2), np.float32)})
    monkeypatch.setattr(simulation.Run, "simulate", fail)
    with pytest.raises(RuntimeError, match="no power"):
        simulate.main(SimulateConfig(out=tmp_path / name, overwrite=True, **TRUTH))
    assert {path.name for path in tmp_path.iterdir()} == {name, f".{name}.lock"}
    with xr.open_dataset(tmp_path / name) as kept:
        assert kept["nitrate"].values.tolist() == [[1.0, 1.0]]
    check_path(tmp_path / name, overwrite=True)


def test_records_keep_their_days_and_nothing_is_known_outside(tmp_path, monkeypatch):
    first = np.array(["2001-12-31", "2002-01-02"], dtype="datetime64[D]")
    days = np.array([2, 3])
    batch = simulation_sources.Batch(
        priors(2),
        {name: np.full(2, 40.0) for name in simulation_outputs.PLACE},
        {"crop": np.zeros((2, 3), np.int32)},
    )
    source = simulation_sources.Source(("a", "b"), first, days, 0, lambda rows: batch)
    values = {name: np.arange(6.0).reshape(2, 3) for name in simulation_years.NEEDED}
    values["crop"] = np.zeros((2, 3), np.int32)
    monkeypatch.setattr(simulation.Run, "simulate", lambda self, rows, batch: values)
    outputs = ("evapotranspiration", "crop")
    run = simulation.Run(source, ProcessModel(), outputs, 2)
    described = simulation_outputs.variables(outputs)
    with DailyFile(tmp_path / "a.nc", source.names, source.dates, described, 2, {}) as file:
        written = run.write(file, slice(0, 2), batch)
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        water = opened["evapotranspiration"]
        assert str(water["time"].values[0])[:10] == "2001-12-31"
        np.testing.assert_array_equal(water[0], [0, 1, np.nan, np.nan, np.nan])
        np.testing.assert_array_equal(water[1], [np.nan, np.nan, 3, 4, 5])
        assert opened["crop"][0].values.tolist() == [0, 0, -1, -1, -1]
    assert [(year.site, year.year, year.days) for year in written.years] == [
        ("a", 2001, 1),
        ("a", 2002, 1),
        ("b", 2002, 3),
    ]


def year_of_values(days):
    values = {name: np.zeros(days) for name in simulation_years.NEEDED}
    values["crop"] = np.zeros(days, int)
    return values


def test_years_sum_the_days_and_name_the_crop_that_was_harvested():
    dates = np.arange("2001-12-30", "2002-01-03", dtype="datetime64[D]")
    values = year_of_values(4)
    values["grain_yield"][3] = 11.0
    values["crop"][2:] = 1
    values["evapotranspiration"][:] = 2.0
    values["soil_water"][:] = [100.0, 98.0, 96.0, 93.0]
    first, second = simulation_years.of_site("IL-01", dates, values)
    columns = list(simulation_years.SUMS)
    assert (first.year, first.crop, second.crop) == (2001, "", "soybean")
    assert second.sums[columns.index("grain_yield")] == 11.0
    assert second.sums[columns.index("evapotranspiration")] == 4.0
    # A millimetre is lost on the last day; what was there before the first is not known.
    water = list(BUDGETS).index("water")
    assert (first.residuals[water], second.residuals[water]) == (0.0, -1.0)


def test_many_years_are_shown_as_means_by_crop():
    dates = np.arange("2001-01-01", "2001-01-03", dtype="datetime64[D]")
    values = year_of_values(2)
    years = [one for row in range(50) for one in simulation_years.of_site(str(row), dates, values)]
    assert len(simulation_years.grid(years[:3]).rows) == 3
    [row] = simulation_years.grid(years).rows
    assert row[:2] == ("none", "50")


def test_every_output_belongs_to_one_group_and_groups_can_be_mixed():
    kinds = list(simulation_outputs.UNITS_OF_GROUP)
    members = [name for kind in kinds for name in simulation_outputs.GROUPS[kind]]
    assert sorted(members) == sorted(simulation_outputs.OUTPUTS)
    mixed = simulation_outputs.chosen(("leaf_area_index", "fluxes", "snow"))
    assert set(mixed) == {"leaf_area_index", "snow", *NAMES.values()}
    assert not set(quantities(Params)) & set(simulation_outputs.OUTPUTS)
