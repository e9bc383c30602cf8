"""What the commands write can be read by others: CF files that say where they come from."""

import json
import subprocess
from pathlib import Path

import pytest
import xarray as xr
from conventions_check import assert_follows_conventions, grave_faults, needs_checker

from kgml_jax.cli import predict
from kgml_jax.runs import files, provenance


@pytest.fixture(scope="module")
def run_folders(pretrained_run, calibrated_run, evaluated_run, tmp_path_factory):
    """Everything from pretraining to evaluation and prediction, in folders of their own."""
    folder = tmp_path_factory.mktemp("read by others")
    fields = predict.PredictConfig(
        data=pretrained_run / "synthetic_world.nc",
        out=folder / "fields",
        from_run=calibrated_run,
        strategy="ftbsc",
    )
    predict.main(fields)
    return [pretrained_run, calibrated_run, evaluated_run, folder / "fields"]


def test_every_file_of_every_run_follows_the_conventions(run_folders):
    written = [path for folder in run_folders for path in folder.glob("*.nc")]
    assert {path.name for path in written} >= {"predictions.nc", "synthetic_world.nc", "sites.nc"}
    for path in written:
        assert_follows_conventions(path)


@pytest.mark.slow
@needs_checker
def test_the_checker_of_ioos_finds_no_grave_fault(run_folders):
    assert grave_faults([path for folder in run_folders for path in folder.glob("*.nc")]) == ""


def test_every_file_of_a_run_says_from_what_it_was_made(run_folders):
    for folder in run_folders:
        full = json.loads((folder / provenance.FILE).read_text())
        for path in folder.glob("*.json"):
            content = json.loads(path.read_text())
            if isinstance(content, dict) and path.name != provenance.FILE:
                assert content["provenance"]["configuration"] == full["configuration"], path
        for path in folder.glob("*.nc"):
            with xr.open_dataset(path) as stored:
                assert stored.attrs["configuration_sha256"] == full["configuration"]
                assert full["data"]["arrays"] in stored.attrs["data_fingerprint"]
                assert stored.attrs["code_version"] == full["code"]


def test_the_fields_that_were_predicted_are_known_again_by_their_file(pretrained_run, run_folders):
    full = json.loads((run_folders[-1] / provenance.FILE).read_text())
    read_from = pretrained_run / "synthetic_world.nc"
    assert full["data"]["files"] == provenance.of_files([read_from])
    assert "1, sha256 " in provenance.attributes(full)["data_fingerprint"]


def test_the_signs_and_units_of_fluxes_are_stated(run_folders):
    with xr.open_dataset(run_folders[-1] / "predictions.nc") as daily:
        exchange = daily["NEE"].attrs
        assert "standard_name" not in exchange
        assert exchange["sign_convention"].startswith("positive upwards")
        assert exchange["units"] == "g m-2 d-1"
        assert exchange["units_in_full"] == "g C m-2 d-1"
        assert exchange["ancillary_variables"] == "outside"
        assert daily["outside"].attrs["flag_meanings"].split()[-1] == "no_record"


def test_code_is_named_by_its_commit_where_there_is_one():
    here = Path(provenance.__file__).parent
    command = ["git", "-C", str(here), "ls-files", "provenance.py"]
    try:
        tracked = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        tracked = ""
    assert provenance.code().startswith("git " if tracked else "version ")


def test_what_does_not_count_does_not_change_the_hash_of_a_configuration():
    made = lambda **options: provenance.gathered(options, ("run",))["configuration"]
    assert made(run="a", steps=4) == made(steps=4, run="b")
    assert made(run="a", steps=4) != made(run="a", steps=5)


def test_a_file_outside_of_a_run_names_its_code_alone(tmp_path):
    files.write_json(tmp_path / "a.json", {"steps": 4})
    files.write_json(tmp_path / "b.json", [1, 2])
    stored = json.loads((tmp_path / "a.json").read_text())
    assert set(stored["provenance"]) == {"code", "versions"}
    assert files.read_json(tmp_path / "a.json") == {"steps": 4}
    assert files.read_json(tmp_path / "b.json") == [1, 2]
    (tmp_path / "config.json").write_text("{}")  # a run of an earlier version
    assert provenance.of_run(tmp_path / "a.json") is None
