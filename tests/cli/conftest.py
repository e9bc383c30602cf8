import pytest
from programs import generated_once

from kgml_jax.cli import calibrate, evaluate, pretrain
from kgml_jax.data import choices
from kgml_jax.workflows import sites
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings

WORLD = choices.DataChoice(synthetic_sites=3, synthetic_years=4)
SMALL = {"steps": 6, "validate_every": 3}


def pretrain_config(folder, **changes):
    model = ModelChoice(hidden=4, basis_layers=1, rh_layers=1)
    settings = PretrainSettings(batch=2, warmup_days=10, **SMALL)
    return pretrain.PretrainConfig(
        run=folder, data=WORLD, model=model, settings=settings, figures=False, **changes
    )


@pytest.fixture(scope="session", autouse=True)
def worlds():
    """Commands that start from one synthetic world find it generated already."""
    with generated_once(sites):
        yield


@pytest.fixture(scope="session")
def pretrained_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pretrain"
    pretrain.main(pretrain_config(folder))
    return folder


@pytest.fixture(scope="session")
def calibrated_run(pretrained_run):
    folder = pretrained_run.parent / "calibrate"
    config = calibrate.CalibrateConfig(
        from_run=pretrained_run,
        run=folder,
        strategy=("ftbsc", "group-only"),
        settings=CalibrateSettings(**SMALL),
        figures=False,
    )
    calibrate.main(config)
    return folder


@pytest.fixture(scope="session")
def evaluated_run(calibrated_run):
    folder = calibrated_run.parent / "evaluate"
    evaluate.main(evaluate.EvaluateConfig(from_run=calibrated_run, run=folder, figures=False))
    return folder
