"""A run of the schema before the product moved into the package is read, and says the same.

`tests/stored_runs/82928d3` was written by that revision: `pretrain.py --synthetic-sites 3
--synthetic-years 4 --hidden 4 --basis-layers 1 --rh-layers 1 --steps 6 --validate-every 3 --batch 2
--warmup-days 10`, `calibrate.py --strategy ftbsc group-only --steps 6 --validate-every 3`; figures,
scores and the synthetic world are left out. `predictions.nc` is every tenth day of what its
`evaluate.py` predicted.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import kgml_jax
from kgml_jax.cli import calibrate, evaluate
from kgml_jax.cli.calibrate import CalibrateConfig
from kgml_jax.cli.evaluate import EvaluateConfig
from kgml_jax.runs import saved
from kgml_jax.runs.fitted import Calibrated
from kgml_jax.workflows.calibration import CalibrateSettings

STORED = Path(__file__).parents[1] / "stored_runs" / "82928d3"
STRATEGIES = ("ftbsc", "group-only")


@pytest.fixture(scope="module")
def old_runs(tmp_path_factory):
    """The old runs side by side, at another place than `config.json` names."""
    return shutil.copytree(STORED, tmp_path_factory.mktemp("moved") / "runs")


@pytest.fixture(scope="module")
def old_predictions():
    with xr.open_dataset(STORED / "predictions.nc") as stored:
        return stored.load()


@pytest.fixture(scope="module")
def old_sites():
    return kgml_jax.synthetic_sites(sites=3, years=4)


def assert_as_before(fluxes, stored):
    for name in ("GPP", "Ra", "Rh", "Reco", "NEE"):
        # Equal to the bit on the processor that wrote them. Another one rounds float32 (1e-7) in
        # another order, through four years of weather, the scaling and the recurrent layers.
        found = fluxes[name].values[:, ::10]
        np.testing.assert_allclose(found, stored[name].values, rtol=1e-4, atol=1e-4)


def test_old_runs_are_read_where_they_were_moved_to(old_runs):
    base = kgml_jax.load(old_runs / "pretrain")
    for strategy in STRATEGIES:
        fitted = kgml_jax.load(old_runs / "calibrate", strategy)
        assert fitted.base.fingerprint == base.fingerprint
        assert sorted(fitted.unit_of) == ["IA-01", "IL-01", "IN-01"]


@pytest.mark.slow
def test_an_old_pretrained_model_predicts_what_it_did(old_runs, old_sites, old_predictions):
    base = kgml_jax.load(old_runs / "pretrain")
    assert_as_before(kgml_jax.predict(base, old_sites), old_predictions.isel(strategy=0))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_old_calibrated_sites_predict_what_they_did(old_runs, old_sites, old_predictions, strategy):
    fluxes = kgml_jax.predict(kgml_jax.load(old_runs / "calibrate", strategy), old_sites)
    assert_as_before(fluxes, old_predictions.sel(strategy=strategy))
    # The comparison can fail: calibration moved the fluxes further than it allows.
    moved = abs(fluxes["NEE"].values[:, ::10] - old_predictions["NEE"].isel(strategy=0).values)
    assert moved.max() > 0.01


@pytest.mark.slow
def test_an_old_run_is_evaluated_where_it_was_moved_to(old_runs, old_predictions, tmp_path):
    evaluate.main(EvaluateConfig(from_run=old_runs / "calibrate", run=tmp_path / "evaluate"))
    with xr.open_dataset(tmp_path / "evaluate" / "evaluation.nc") as scores:
        assert scores.sizes["strategy"] == 1 + len(STRATEGIES)
        assert np.isfinite(scores["rmse"]).all()


@pytest.mark.slow
def test_an_old_pretraining_is_calibrated_from(old_runs, tmp_path):
    settings = CalibrateSettings(steps=2, validate_every=1)
    calibrate.main(
        CalibrateConfig(
            from_run=old_runs / "pretrain",
            run=tmp_path / "calibrate",
            strategy=("bias",),
            settings=settings,
        )
    )
    fitted = saved.load(tmp_path / "calibrate")
    assert isinstance(fitted, Calibrated)
    assert fitted.base.fingerprint == saved.load_pretrained(old_runs / "pretrain").fingerprint


def test_a_calibration_whose_pretraining_is_gone_says_where_it_looked(tmp_path):
    alone = shutil.copytree(STORED / "calibrate", tmp_path / "calibrate")
    named = json.loads((alone / "config.json").read_text())["from_run"]
    with pytest.raises(ValueError, match="was calibrated from") as raised:
        kgml_jax.load(alone, "ftbsc")
    assert named in str(raised.value)
    assert str(tmp_path / "pretrain") in str(raised.value)
