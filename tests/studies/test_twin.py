import itertools

import jax
import numpy as np
import pytest
import xarray as xr
from studies.twin import program, report
from studies.twin import world as twin_world
from studies.twin.program import TwinConfig
from studies.twin.world import MODEL, OBSERVED_AS

from kgml_jax.runs import files

NAMES = ("vcmax_multiplier", "carbon_use_efficiency")


@pytest.fixture(scope="module")
def world():
    return twin_world.make_twins(2, 1, 1, 0, NAMES, (0.5, 0.5))


@pytest.mark.slow
def test_the_truth_is_what_the_model_makes_of_the_true_parameters(world):
    assert world.truth.shape == (2, 2)
    weights, predict = MODEL.init(jax.random.key(0)), jax.jit(MODEL.predict)
    prior = predict(weights, world.sites.one(world.sites.names[0]))
    for row, name in enumerate(NAMES):
        weights["process"][name] = weights["process"][name] + world.truth[0, row]
    true = predict(weights, world.sites.one(world.sites.names[0]))
    for variable in ("GPP", "Rh", "yield"):
        np.testing.assert_allclose(world.fluxes[variable][0], true[variable], rtol=1e-3, atol=1e-3)
        assert np.abs(true[variable] - prior[variable]).max() > 0.05


@pytest.mark.slow
def test_without_noise_every_day_after_the_first_years_is_seen_as_it_is(world):
    site = twin_world.observe(world, noisy=False, seed=0).site
    observed = np.asarray(world.sites.site.calendar.year_index) >= 1
    for variable in ("NEE", "ET", "Reco", "Rh"):
        np.testing.assert_array_equal(site.mask[variable], observed)
        np.testing.assert_allclose(
            site.targets[variable][observed], world.fluxes[variable][observed], rtol=1e-6
        )
    harvest = np.asarray(world.sites.site.forcing.harvest) > 0
    np.testing.assert_array_equal(site.mask["yield"], observed & harvest)
    assert (site.mask["soil_carbon_stock"].sum(axis=1) == 1).all()


@pytest.mark.slow
def test_noise_is_as_large_as_is_stated(world):
    site = twin_world.observe(world, noisy=True, seed=0).site
    seen = site.mask["NEE"]
    assert 0.3 < 1 - seen[:, 366:].mean() < 0.75
    error = (site.targets["NEE"] - world.fluxes["NEE"])[seen] / site.uncertainty["NEE"][seen]
    assert error.std() == pytest.approx(1, abs=0.12)
    assert abs(error.mean()) < 0.15


@pytest.mark.slow
def test_a_stream_shows_its_variables_alone(world):
    sites = twin_world.observe(world, noisy=False, seed=0)
    kept = program.informed(sites, program.STREAMS["NEE, ET"]).site.mask
    assert {name for name, mask in kept.items() if mask.any()} == {"NEE", "ET"}
    assert set(kept) == set(OBSERVED_AS)


def test_every_stream_adds_to_the_one_before():
    streams = [set(variables) for variables in program.STREAMS.values()]
    assert all(less < more for less, more in itertools.pairwise(streams))
    assert streams[-1] == set(OBSERVED_AS)


@pytest.mark.parametrize("name", ["sites", "iterations", "site_batch"])
def test_empty_sizes_are_refused(name):
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(ValueError, match=rf"{option} 0; expected >= 1"):
        program.resolved(TwinConfig(**{name: 0}))


def test_quick_leaves_what_was_chosen():
    quick = program.resolved(TwinConfig(quick=True, sites=4, seed=3))
    assert (quick.sites, quick.seed) == (4, 3)
    assert quick.iterations == program.QUICK["iterations"] != TwinConfig().iterations
    assert program.resolved(TwinConfig(sites=4)).iterations == TwinConfig().iterations


@pytest.fixture
def results():
    """Outcomes of 40 sites and two parameters, of which 12 sites declare the first alone."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 2))
    known = np.zeros((40, 2))
    known[:12, 0] = 1.0
    both, site = ("site", "parameter"), ("site",)
    columns = {
        "truth": (both, truth),
        "estimate": (both, np.where(known > 0, truth, -truth)),
        "sd": (both, np.ones((40, 2))),
        "identified": (both, known),
    }
    numbers = ("degrees_of_freedom", "condition_number", "respiration_trade_off", "prior_error")
    for name in (*numbers, "prior_respiration_trade_off", "error", "evaluations", "converged"):
        columns[name] = (site, np.ones(40))
    coordinates = {"site": np.arange(40), "parameter": list(NAMES)}
    cell = xr.Dataset(columns, coordinates, {"seconds": 1.0})
    return {(setting, "NEE"): cell for setting in (report.EXACT, report.NOISY)}


def test_tables_tell_recovery_where_identified_and_coverage_of_drawn_errors(results):
    joined = report.join(results)
    grid = report.recovery_grid(joined, report.NOISY)
    first, second = (row[1] for row in grid.rows)
    assert first.endswith("(30%, 1.00)")
    assert second.startswith("-1.00 (0%, -)")
    summary = report.summary_grid(joined)
    column = summary.columns.index("coverage")
    exact, noisy = (row[column] for row in summary.rows)
    assert exact == "-"
    assert noisy.endswith("%")


@pytest.mark.slow
def test_the_experiment_recovers_two_parameters(tmp_path, capsys):
    folder = tmp_path / "run"
    sizes = {"sites": 6, "years": 1, "unobserved_years": 0, "iterations": 8}
    starts = {"noise_free_starts": 2, "starts": 2, "start_sites": 2}
    config = TwinConfig(quick=True, parameters=NAMES, run=folder, **sizes, **starts)
    program.main(config)
    first = capsys.readouterr().out
    assert "carbon_use_efficiency" in first
    with xr.open_dataset(folder / "twin.nc") as joined:
        last = joined.isel(stream=-1)
        assert (last["r"].sel(setting=report.EXACT) > 0.99).all()
        assert (last["r"].sel(setting=report.NOISY) > 0.7).all()
        assert (joined["identified"].mean("site").isel(stream=-1) > 0.5).all()
        assert not joined["misjudged"].any()
        spread = joined["spread_of_starts"].isel(stream=-1)
        assert int(spread.sel(setting=report.NOISY).notnull().any("parameter").sum()) == 2
        assert (spread.sel(setting=report.NOISY).dropna("site") < 0.05).all()
        assert (spread.sel(setting=report.EXACT) < 0.05).all()
    assert {path.name for path in (folder / "figures").iterdir()} == {"recovery.png", "truth.png"}
    # A second run reads what the first left.
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    program.main(config)
    assert {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()} == before
    assert files.read_json(folder / "config.json")["sites"] == 6
