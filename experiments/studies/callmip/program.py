"""Writes a run's predictions as files of CalLMIP Phase 1; see `export_callmip.py --help`."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import xarray as xr

from kgml_jax.cli.console import say
from kgml_jax.errors import DataError
from kgml_jax.runs import directory
from kgml_jax.runs.files import record_data, write_dataset
from kgml_jax.runs.provenance import of_files
from studies.callmip.files import Experiment, files, stages


@dataclass(frozen=True)
class CallmipConfig:
    """Write predictions as files of CalLMIP Phase 1, one a site and stage.

    See https://callmip-org.github.io. Variables that are not predicted are there, without values.
    """

    predictions: Path
    """predictions.nc of evaluate, predict or estimate, or a netCDF file of simulate."""
    out: Path
    """Folder for the files."""
    prior: str = "pretrained"
    """Strategy of evaluate's predictions that stands for the prior, if they hold it."""
    posterior: str = "ftbsc"
    """Strategy of evaluate's predictions that stands for the posterior."""
    validation: tuple[str, ...] = ()
    """Sites that were not calibrated; the others are called calibration sites."""
    model: str = f"kgml_jax.v{version('kgml_jax')}"
    """Name and version of the model in CalLMIP."""
    phase: str = "Phase1b"
    """Phase of CalLMIP."""
    scenario: str = "Scen1"
    """Scenario of the calibration."""
    overwrite: bool = False
    """Replace the folder if it holds an earlier export."""
    debug: bool = False
    """Show tracebacks."""


def main(config: CallmipConfig) -> None:
    """Reads the predictions, writes the files and says how many."""
    try:
        with xr.open_dataset(config.predictions) as opened:
            predictions = opened.load()
    except (ValueError, OSError) as error:
        raise DataError(f"cannot be read as netCDF: {error}", file=config.predictions) from error
    experiment = Experiment(
        config.model, config.phase, config.scenario, frozenset(config.validation)
    )
    by_stage = stages(predictions, config.prior, config.posterior)
    written = list(files(by_stage, experiment))
    with directory.claimed(
        config.out, config, config.overwrite, "export_callmip", option="--out"
    ) as run:
        record_data(run.folder, {"files": of_files([config.predictions])})
        for name, content in written:
            write_dataset(run.folder / name, content)
    say(f"Wrote {len(written)} files of {', '.join(by_stage).lower()} to {config.out}.")
