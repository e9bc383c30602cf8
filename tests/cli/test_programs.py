import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from kgml_jax.cli import calibrate, command, evaluate, pretrain
from kgml_jax.cli.calibrate import CalibrateConfig
from kgml_jax.cli.commands import COMMANDS
from kgml_jax.cli.evaluate import EvaluateConfig
from kgml_jax.data.choices import OtherData, SplitChoice
from kgml_jax.runs import saved
from kgml_jax.training.checkpoint import HEADER
from kgml_jax.workflows import calibration
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.sites import divide_after

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
    assert {"checkpoint", "sites.nc", "synthetic_world.nc"} <= files
    assert "figures" not in files  # as asked for
    summary = json.loads((pretrained_run / "summary.json").read_text())
    assert summary["sites"] == 3
    assert set(summary["variables"]) == {"GPP", "Ra", "Rh", "Reco", "NEE"}
    lines = (pretrained_run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == [3, 6]


def test_the_truth_lies_beside_the_synthetic_observations(pretrained_run):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as world:
        assert {"NEE", "NEE_truth", "true_vcmax_multiplier"} <= set(world)


def test_a_calibration_summary_has_the_promised_keys(calibrated_run):
    summary = json.loads((calibrated_run / "summary.json").read_text())
    assert summary["sites"] == 3
    assert set(summary["strategies"]) == {"pretrained", "ftbsc", "group-only"}
    for row in summary["strategies"].values():
        assert set(row) >= SUMMARY_KEYS
        assert row["sites_not_finite"] == 0
        assert row["balance_residual"] < 1e-5  # float32, fluxes of 10 g C m-2 d-1
    found = summary["strategies"]
    assert found["pretrained"]["sites_harmed_on_test"] == 0
    # Only what has a gate accepts.
    assert [found[name]["sites_accepted"] for name in ("pretrained", "group-only")] == [None, None]
    assert 0 <= found["ftbsc"]["sites_accepted"] <= 3


def test_a_rejected_site_keeps_the_pretrained_predictions_to_the_bit(calibrated_run):
    with xr.open_dataset(calibrated_run / "sites.nc") as results:
        own, base = results.sel(strategy="ftbsc"), results.sel(strategy="pretrained")
        rejected = own["accepted"].values == 0
        same = own["mse"].values[rejected] == base["mse"].values[rejected]
        assert same.all()
        # Two programs compute the same error: they differ by float32 rounding.
        worse = own["validation_error"] > base["validation_error"] * (1 + 1e-6)
        assert not worse.any()


@pytest.mark.slow
def test_a_refit_moves_the_sites_that_moved_and_no_others(calibrated_run, pretrained_run):
    gated = saved.load_calibrated(calibrated_run, "ftbsc")
    base = saved.load_pretrained(pretrained_run)
    settings = CalibrateSettings(steps=6, validate_every=3, refit=True)
    data = divide_after(base, OtherData(), SplitChoice())
    again = calibration.calibrate(base, data, "ftbsc", settings=settings)
    np.testing.assert_array_equal(again.moved, gated.moved)
    np.testing.assert_array_equal(again.fits.validation_error, gated.fits.validation_error)
    for path, owned in again.phi.items():
        shift, before = owned["shift"], gated.phi[path]["shift"]
        np.testing.assert_array_equal(shift[~gated.moved], before[~gated.moved])
        assert (shift[gated.moved] != before[gated.moved]).any() == gated.moved.any(), path


def test_evaluation_repeats_what_calibration_found(calibrated_run, evaluated_run):
    assert not (evaluated_run / "figures").exists()
    with (
        xr.open_dataset(calibrated_run / "sites.nc") as before,
        xr.open_dataset(evaluated_run / "evaluation.nc") as after,
    ):
        shared = after.sel(strategy=before["strategy"].values)
        np.testing.assert_allclose(shared["mse"], before["mse"], rtol=1e-5)  # float32, two programs
    with xr.open_dataset(evaluated_run / "predictions.nc") as predictions:
        assert predictions["NEE"].dims == ("strategy", "site", "time")
        assert predictions["NEE"].attrs["units"] == "g m-2 d-1"
        assert predictions.attrs["Conventions"].startswith("CF")
        assert {"NEE_observed", "scored"} <= set(predictions)
        # Synthetic records of 2001 to 2004, the last two years of which are test.
        scored = predictions["scored"].groupby("time.year").mean(("site", "time"))
        assert scored.values.tolist() == [0, 0, 1, 1]
        rmse = after["rmse"].sel(strategy="ftbsc", variable="NEE")
        off = (predictions["NEE"].sel(strategy="ftbsc") - predictions["NEE_observed"]) ** 2
        off = off.where(predictions["scored"] == 1).mean("time") ** 0.5
        np.testing.assert_allclose(off, rmse, rtol=1e-5)  # float32 in the file


@pytest.mark.slow
def test_reference_arms_stand_beside_the_model(pretrained_run, tmp_path):
    config = EvaluateConfig(from_run=pretrained_run, run=tmp_path / "evaluate", references=True)
    evaluate.main(replace(config, figures=False))
    with xr.open_dataset(tmp_path / "evaluate" / "evaluation.nc") as results:
        arms = set(results["strategy"].values.astype(str))
        assert {"pretrained", "climatology", "boosting-pooled", "process-prior"} <= arms
        # What is fitted site by site has nothing to say of the site that is held out.
        unknown = results["standardised_mse"].isnull()
        own = ["climatology", "boosting-per-site"]
        assert unknown.sel(strategy=own).sum("site").values.tolist() == [1, 1]
        assert not unknown.drop_sel(strategy=own).any()


def test_a_pretraining_run_can_be_evaluated_too(pretrained_run, tmp_path):
    folder = tmp_path / "evaluate"
    site = json.loads((pretrained_run / "split.json").read_text())["options"]["new_sites"][0]
    evaluate.main(EvaluateConfig(from_run=pretrained_run, run=folder, draw=(site,)))
    with xr.open_dataset(folder / "evaluation.nc") as results:
        assert results["strategy"].values.astype(str).tolist() == ["pretrained"]
    drawn = {path.name for path in (folder / "figures").iterdir()}
    scatter = {f"scatter_{name}.png" for name in ("GPP", "Ra", "Rh", "Reco", "NEE")}
    assert drawn == scatter | {f"series_{name}_{site}.png" for name in ("NEE", "Reco")} | {
        "errors.png"
    }


def test_what_is_not_installed_is_said_before_anything_is_written(
    calibrated_run, tmp_path, monkeypatch
):
    config = EvaluateConfig(from_run=calibrated_run, run=tmp_path / "evaluate", references=True)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sklearn.ensemble", None)
        with pytest.raises(ImportError, match=r"kgml_jax\[bench\]"):
            evaluate.main(config)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ImportError, match=r"kgml_jax\[plot\].*--no-figures"):
            evaluate.main(EvaluateConfig(from_run=calibrated_run, run=config.run, draw=("all",)))
    none = replace(config, references=False, draw=("all",), figures=False)
    with pytest.raises(ValueError, match=r"--draw .* --no-figures .* leave one out"):
        evaluate.main(none)
    with pytest.raises(ValueError, match="--draw names sites that are not there"):
        evaluate.main(EvaluateConfig(from_run=calibrated_run, run=config.run, draw=("XX-1",)))
    assert not config.run.exists()


def test_a_run_is_not_overwritten_unless_told(pretrained_run, calibrated_run):
    with pytest.raises(ValueError, match="exists already"):
        calibrate.main(CalibrateConfig(from_run=pretrained_run, run=calibrated_run))


def test_only_a_run_directory_is_overwritten(pretrained_run, tmp_path):
    precious = tmp_path / "thesis.txt"
    precious.write_text("all of it")
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="not a run directory"):
        calibrate.main(config)
    assert precious.read_text() == "all of it"


def test_sites_the_pretrained_model_saw_are_not_scored_on_those_days(
    pretrained_run, world, tmp_path
):
    path = tmp_path / "early.nc"
    world.isel(time=slice(0, 1096)).to_netcdf(path)
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path / "run", data=OtherData(path))
    with pytest.raises(ValueError, match="the pretrained model saw test days"):
        calibrate.main(config)
    assert not (tmp_path / "run").exists()


def test_an_unknown_strategy_is_named(pretrained_run, tmp_path):
    config = CalibrateConfig(from_run=pretrained_run, run=tmp_path / "x", strategy=("magic",))
    with pytest.raises(ValueError, match="no strategy magic; there are pretrained"):
        calibrate.main(config)


def shipped(world):
    """The synthetic data set without its truth: what a user would have on disk."""
    return world[[name for name in world if not re.search("_truth$|^true_", str(name))]]


DAMAGE = {
    "wrong units": (lambda d: d.NEE.attrs.update(units="furlong") or d, "furlong"),
    "missing column": (lambda d: d.drop_vars("wind_speed"), "wind_speed"),
    "all missing": (lambda d: d.assign(precipitation=d.precipitation * 0 - 9999), "precipitation"),
    "a day twice": (lambda d: d.isel(time=[0, 1, 1, *range(2, d.sizes["time"])]), "2001-01-02"),
    "a day absent": (lambda d: d.drop_isel(time=40), "2001-02-10"),
}


@pytest.fixture(scope="module")
def stored_world(pretrained_run):
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as stored:
        return shipped(stored.load())


@pytest.fixture
def world(stored_world):
    return stored_world.copy(deep=True)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_data_are_one_message_and_status_2(world, damage, tmp_path, run_program):
    change, named = DAMAGE[damage]
    units = {name: dict(values.attrs) for name, values in world.items()}
    damaged = change(world)
    for name in damaged:
        damaged[name].attrs = damaged[name].attrs or units[name]
    damaged.to_netcdf(tmp_path / "data.nc")
    run = tmp_path / "run"
    status, _, err = run_program(
        pretrain, pretrain.PretrainConfig, "--data", tmp_path / "data.nc", "--run", run
    )
    assert status == 2
    assert err.startswith("error: ")
    assert named in err
    assert not run.exists()


def test_a_file_cut_in_half_is_one_message_and_status_2(world, tmp_path, run_program):
    whole = tmp_path / "whole.nc"
    world.to_netcdf(whole)
    cut = tmp_path / "cut.nc"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    arguments = ("--data", cut, "--run", tmp_path / "run")
    status, _, err = run_program(pretrain, pretrain.PretrainConfig, *arguments)
    assert status == 2
    assert "cut.nc" in err


def test_two_files_that_disagree_are_one_message_and_status_2(world, tmp_path, run_program):
    folder = tmp_path / "data"
    folder.mkdir()
    world.to_netcdf(folder / "a.nc")
    attributes = dict(world.NEE.attrs)
    world.assign(NEE=(world.NEE + 1).assign_attrs(attributes)).to_netcdf(folder / "b.nc")
    arguments = ("--data", folder, "--run", tmp_path / "run")
    status, _, err = run_program(pretrain, pretrain.PretrainConfig, *arguments)
    assert status == 2
    assert "NEE" in err
    assert "disagree" in err


def test_an_unknown_site_in_a_split_is_one_message_and_status_2(tmp_path, run_program):
    chosen = ("--split", "leave-site-out", "--leave-out", "XX-99", "--synthetic-sites", 3)
    arguments = (*chosen, "--synthetic-years", 4, "--run", tmp_path / "run")
    status, _, err = run_program(pretrain, pretrain.PretrainConfig, *arguments)
    assert status == 2
    assert "XX-99" in err
    assert not (tmp_path / "run").exists()


def test_a_run_never_overwrites_what_it_reads_from(pretrained_run, run_program):
    arguments = ("--from", pretrained_run, "--run", pretrained_run, "--overwrite")
    status, _, err = run_program(calibrate, CalibrateConfig, *arguments)
    assert status == 2
    assert "overlaps" in err
    assert (pretrained_run / "summary.json").exists()


def older(header, **changes):
    """A header of a version that wrote no checksums, which would tell the changes."""
    described = json.loads(header.read_text())
    del described["digests"]
    return json.dumps(described | changes)


def test_a_calibration_is_not_used_with_other_weights(calibrated_run, tmp_path):
    copy = shutil.copytree(calibrated_run, tmp_path / "copy")
    header = copy / "checkpoint" / "ftbsc" / HEADER
    header.write_text(older(header, pretrained="another"))
    with pytest.raises(ValueError, match="calibrated from other weights"):
        evaluate.main(EvaluateConfig(from_run=copy, run=tmp_path / "evaluate"))


def test_new_sites_are_never_seen_in_pretraining(pretrained_run, calibrated_run):
    split = json.loads((pretrained_run / "split.json").read_text())
    (new,) = split["options"]["new_sites"]
    assert {role for _, _, role in split["intervals"][new]} == {"test"}
    with xr.open_dataset(calibrated_run / "sites.nc") as results:
        known = dict(zip(results["site"].values.astype(str), results["known"].values, strict=True))
    assert known[new] == 0
    assert sum(known.values()) == 2
    after = json.loads((calibrated_run / "split.json").read_text())["intervals"][new]
    assert {role for _, _, role in after} == {"train", "validation", "test"}


def test_the_standardisation_is_never_refitted(pretrained_run, calibrated_run):
    before = json.loads((pretrained_run / "checkpoint" / HEADER).read_text())["model"]["scaling"]
    base = saved.load_pretrained(pretrained_run)
    assert [scale.mean for scale in base.model.scaling.inputs] == [
        scale["mean"] for scale in before["inputs"]
    ]
    for folder in (calibrated_run / "checkpoint").iterdir():
        assert "scaling" not in (folder / HEADER).read_text()


def test_a_wrong_path_is_one_message_and_status_2(run_program):
    result = program("pretrain.py", "--data", "nowhere")
    arguments = ("--from", "nowhere", "--run", "anywhere")
    calibration = run_program(calibrate, CalibrateConfig, *arguments)
    for status, err in ((result.returncode, result.stderr), calibration[::2]):
        assert status == 2
        assert err.startswith("error: ")
        assert "nowhere" in err
        assert "Traceback" not in err


def test_a_checkpoint_of_another_schema_is_one_message_and_status_2(
    pretrained_run, tmp_path, run_program
):
    copy = shutil.copytree(pretrained_run, tmp_path / "old")
    header = copy / "checkpoint" / HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {"schema": 0}))
    arguments = ("--from", copy, "--run", tmp_path / "new")
    status, _, err = run_program(calibrate, CalibrateConfig, *arguments)
    assert status == 2
    assert "this version reads schema 1" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_option_means(name, capsys):
    with pytest.raises(SystemExit) as stop:
        command.run(*COMMANDS[name].load(), arguments=["--help"])
    assert stop.value.code == 0
    assert "default:" in capsys.readouterr().out
