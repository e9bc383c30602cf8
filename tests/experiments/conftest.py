import sys

import pytest

from kgml_jax.cli import calibrate, command, pretrain
from kgml_jax.data import choices
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings

WORLD = choices.DataChoice(synthetic_sites=3, synthetic_years=4)
SMALL = {"steps": 6, "validate_every": 3}


@pytest.fixture
def run_program(monkeypatch, capsys):
    """Runs a program as its command line would and returns (status, stdout, stderr)."""

    def run(module, config_type, *arguments):
        # The devices of this process are set already.
        monkeypatch.setattr(command, "use_cpu_cores", lambda count: None)
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            command.run(module.main, config_type)
        output = capsys.readouterr()
        return stop.value.code, output.out, output.err

    return run


def pretrain_config(folder, **changes):
    model = ModelChoice(hidden=4, basis_layers=1, rh_layers=1)
    settings = PretrainSettings(batch=2, warmup_days=10, **SMALL)
    return pretrain.PretrainConfig(
        run=folder, data=WORLD, model=model, settings=settings, **changes
    )


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
    )
    calibrate.main(config)
    return folder
