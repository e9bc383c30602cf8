"""Sites without a day to test on are trained and calibrated, and it is said that none was kept."""

import json

import numpy as np
import pytest
import toys
import xarray as xr

from kgml_jax.cli import calibrate, evaluate, pretrain
from kgml_jax.cli.calibrate import CalibrateConfig
from kgml_jax.cli.evaluate import EvaluateConfig
from kgml_jax.cli.pretrain import PretrainConfig
from kgml_jax.models.features import DYNAMIC_INPUTS, fit_scaling
from kgml_jax.split import DividedSites
from kgml_jax.workflows.evaluation import assess

TINY = ("--hidden", 4, "--basis-layers", 1, "--rh-layers", 1, "--steps", 2, "--validate-every", 1)
TARGETS = ("NEE", "Reco", "GPP", "Ra", "Rh", "ET")


@pytest.fixture(scope="module")
def world(pretrained_run):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as stored:
        return stored.drop_vars([n for n in stored if str(n).endswith("_truth")]).load()


@pytest.fixture
def one_year(world, tmp_path):
    """Two sites of one year: nothing can be kept for testing."""
    world.isel(site=[0, 1], time=slice(0, 365)).to_netcdf(tmp_path / "one_year.nc")
    return tmp_path / "one_year.nc"


@pytest.mark.slow
def test_a_year_is_trained_calibrated_and_evaluated_without_a_test(one_year, run_program, tmp_path):
    options = ("--data", one_year, "--batch", 2, "--warmup-days", 10, *TINY)
    status, out, err = run_program(pretrain, PretrainConfig, *options, "--run", tmp_path / "base")
    assert status == 0, err
    assert "nothing was tested" in err
    assert "Pretrained one model on 2 of 2 sites" in out
    # Without test days the course of training is all that can be drawn.
    drawn = [path.name for path in (tmp_path / "base" / "figures").iterdir()]
    assert drawn == ["learning_pretraining.png"]
    summary = json.loads((tmp_path / "base" / "summary.json").read_text())
    assert summary["median_mse"] is None
    assert len(summary["sites_untested"]) == 2

    options = ("--from", tmp_path / "base", "--strategy", "bias", *TINY[-4:])
    status, out, err = run_program(calibrate, CalibrateConfig, *options, "--run", tmp_path / "cal")
    assert status == 0, err
    assert "nothing was tested" in err
    assert "Calibrated 2 sites" in out
    assert [path.name for path in (tmp_path / "cal" / "figures").iterdir()] == ["learning_bias.png"]
    with xr.open_dataset(tmp_path / "cal" / "sites.nc") as results:
        assert np.isnan(results["mse"]).all()
        assert np.isnan(results["harmed"]).all()
        assert np.isfinite(results["validation_error"]).all()

    options = ("--from", tmp_path / "cal", "--run", tmp_path / "scores", "--no-figures")
    status, out, err = run_program(evaluate, EvaluateConfig, *options)
    assert status == 0, err
    assert "nothing was tested" in err
    assert "predicting 0 sites on 0 observed days" in out
    with xr.open_dataset(tmp_path / "scores" / "predictions.nc") as predictions:
        assert np.isfinite(predictions["NEE"]).all()

    # A plausible number in place of another one shows by the checksum of the file alone.
    with xr.open_dataset(one_year) as stored:
        changed = stored.load()
    day = int(np.flatnonzero(np.isfinite(changed["NEE"][0]))[0])
    changed["NEE"][0, day] = 1.01 * changed["NEE"][0, day]
    changed.to_netcdf(one_year)
    options = ("--from", tmp_path / "cal", "--run", tmp_path / "again", "--no-figures")
    status, out, err = run_program(evaluate, EvaluateConfig, *options)
    assert status == 2
    assert "one_year.nc: is not as it was when the run read it (found 1 file changed" in err


def test_only_sites_with_observed_test_days_count_as_scored(
    world, pretrained_run, run_program, tmp_path
):
    (new,) = json.loads((pretrained_run / "split.json").read_text())["options"]["new_sites"]
    gone = world.copy(deep=True)
    row, name = next((n, str(v)) for n, v in enumerate(gone["site"].values) if str(v) != new)
    for target in [target for target in TARGETS if target in gone]:
        gone[target][row, 730:] = np.nan
    gone.to_netcdf(tmp_path / "gone.nc")
    options = ("--from", pretrained_run, "--data", tmp_path / "gone.nc", "--no-figures")
    status, out, err = run_program(evaluate, EvaluateConfig, *options, "--run", tmp_path / "run")
    assert status == 0, err
    assert f"not tested, for no observed day was kept for testing: {name} (1 of 3 sites)" in err
    assert "Scored 1 way of predicting 2 sites" in out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["sites_untested"] == [name]
    with xr.open_dataset(tmp_path / "run" / "evaluation.nc") as scores:
        assert np.isnan(scores["r2"].sel(site=name)).all()
        assert np.isfinite(scores["r2"].drop_sel(site=name)).all()


def test_the_scores_of_tested_sites_do_not_depend_on_untested_ones():
    data = toys.divided(toys.sites(count=3))
    scaling = fit_scaling(DYNAMIC_INPUTS, data)
    fluxes = {name: 0.9 * values for name, values in data.sites.site.targets.items()}
    whole = assess({"one": fluxes}, data, scaling)
    roles = np.where(np.arange(3)[:, None] == 1, 1, data.roles)
    part = assess({"one": fluxes}, DividedSites.of_roles(data.sites, roles), scaling)
    assert whole.untested == []
    assert part.untested == [data.sites.names[1]]
    kept = [data.sites.names[0], data.sites.names[2]]
    # The error of all days together is one of all sites.
    by_site = [found.results.drop_vars("pooled_mse").sel(site=kept) for found in (part, whole)]
    xr.testing.assert_equal(*by_site)
