import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import calibrate
import evaluate
import numpy as np
import pytest
import xarray as xr
from calibrate import CalibrateConfig
from evaluate import EvaluateConfig

from kgml_jax.training.checkpoint import HEADER

ROOT = Path(__file__).parents[2]
SUMMARY_KEYS = {
    "median_mse",
    "median_rmse",
    "median_r2",
    "sites_accepted",
    "sites_harmed_on_test",
    "sites_not_finite",
    "balance_residual",
    "trained_share",
    "seconds",
    "variables",
}


def program(name, *arguments):
    command = [sys.executable, ROOT / "experiments" / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_pretraining_run_holds_all_it_needs(pretrained_run):
    files = {path.name for path in pretrained_run.iterdir()}
    assert {"config.json", "versions.json", "split.json", "metrics.jsonl", "summary.json"} <= files
    assert {"checkpoint", "figures", "sites.nc", "synthetic_world.nc"} <= files
    summary = json.loads((pretrained_run / "summary.json").read_text())
    assert summary["sites"] == 3
    assert set(summary["variables"]) == {"GPP", "Ra", "Rh", "Reco", "NEE"}
    lines = (pretrained_run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == [3, 6]
    assert list((pretrained_run / "figures").glob("learning_*.png"))


def test_the_truth_lies_beside_the_synthetic_observations(pretrained_run):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as world:
        assert {"NEE", "NEE_truth", "true_vcmax_multiplier"} <= set(world)


def test_a_calibration_summary_has_the_promised_keys(calibrated_run):
    summary = json.loads((calibrated_run / "summary.json").read_text())
    assert summary["sites"] == 3
    assert set(summary["strategies"]) == {"zero-shot", "bias", "ftbsc", "group-only"}
    for row in summary["strategies"].values():
        assert set(row) >= SUMMARY_KEYS
        assert row["sites_not_finite"] == 0
        assert row["balance_residual"] < 1e-5  # float32, fluxes of 10 g C m-2 d-1
    assert summary["strategies"]["zero-shot"]["sites_harmed_on_test"] == 0


def test_a_rejected_site_keeps_the_pretrained_predictions_to_the_bit(calibrated_run):
    with xr.open_dataset(calibrated_run / "sites.nc") as results:
        for name in ("bias", "ftbsc"):
            own, zero = results.sel(strategy=name), results.sel(strategy="zero-shot")
            rejected = own["accepted"].values == 0
            same = own["mse"].values[rejected] == zero["mse"].values[rejected]
            assert same.all()
            worse = own["validation_error"] > zero["validation_error"] * (1 + 1e-6)
            assert not worse.any()


def test_evaluation_repeats_what_calibration_found(calibrated_run, tmp_path):
    config = EvaluateConfig(from_run=calibrated_run, run=tmp_path / "evaluate", references=True)
    evaluate.main(config)
    with (
        xr.open_dataset(calibrated_run / "sites.nc") as before,
        xr.open_dataset(tmp_path / "evaluate" / "evaluation.nc") as after,
    ):
        shared = after.sel(strategy=before["strategy"].values)
        np.testing.assert_allclose(shared["mse"], before["mse"], rtol=1e-5)  # float32, two programs
        assert {"climatology", "boosting-pooled"} <= set(after["strategy"].values.astype(str))
    with xr.open_dataset(tmp_path / "evaluate" / "predictions.nc") as predictions:
        assert predictions["NEE"].attrs["units"] == "g C m-2 d-1"
        assert {"NEE_observed", "date", "scored"} <= set(predictions)


def test_a_pretraining_run_can_be_evaluated_too(pretrained_run, tmp_path):
    evaluate.main(EvaluateConfig(from_run=pretrained_run, run=tmp_path / "evaluate"))
    with xr.open_dataset(tmp_path / "evaluate" / "evaluation.nc") as results:
        assert results["strategy"].values.astype(str).tolist() == ["zero-shot"]


def test_a_run_is_not_overwritten_unless_told(pretrained_run):
    with pytest.raises(ValueError, match="exists already"):
        calibrate.main(CalibrateConfig(from_run=pretrained_run, run=pretrained_run))


def test_only_a_run_directory_is_overwritten(pretrained_run, tmp_path):
    precious = tmp_path / "thesis.txt"
    precious.write_text("all of it")
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="not a run directory"):
        calibrate.main(config)
    assert precious.read_text() == "all of it"


def test_sites_the_pretrained_model_saw_are_not_scored_on_those_days(pretrained_run, tmp_path):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as world:
        first_years = world.isel(time=slice(0, 1096)).load()
    path = tmp_path / "early.nc"
    keep = [n for n in first_years if not re.search("_truth$|^true_", str(n))]
    first_years[keep].to_netcdf(path)
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path / "run", data=path)
    with pytest.raises(ValueError, match=r"saw test days.*IA-01"):
        calibrate.main(config)
    assert not (tmp_path / "run").exists()


def test_an_unknown_strategy_is_named(pretrained_run, tmp_path):
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path / "x", strategy=("magic",))
    with pytest.raises(ValueError, match="no strategy magic; there are zero-shot"):
        calibrate.main(config)


def test_a_wrong_path_is_one_message_and_status_2():
    for name, option in (("pretrain.py", "--data"), ("calibrate.py", "--from")):
        result = program(name, option, "nowhere")
        assert result.returncode == 2
        assert result.stderr.startswith("error: ")
        assert "nowhere" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_checkpoint_of_another_schema_is_one_message_and_status_2(pretrained_run, tmp_path):
    copy = shutil.copytree(pretrained_run, tmp_path / "old")
    header = copy / "checkpoint" / HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {"schema": 0}))
    result = program("calibrate.py", "--from", copy, "--run", tmp_path / "new")
    assert result.returncode == 2
    assert "schema 0, this version reads schema 1" in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["pretrain.py", "calibrate.py", "evaluate.py", "check_data.py"])
def test_help_says_what_every_option_means(name):
    result = program(name, "--help")
    assert result.returncode == 0
    assert "default:" in result.stdout
