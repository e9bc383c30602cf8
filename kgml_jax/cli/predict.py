"""The command `predict`: daily fluxes and annual sums of fields, with towers or without."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from kgml_jax.cli import console, notes
from kgml_jax.data.choices import OtherData
from kgml_jax.data.schema import CropCodes
from kgml_jax.errors import listed
from kgml_jax.runs import directory, files, saved
from kgml_jax.runs.fitted import Calibrated
from kgml_jax.sites import PREDICTABLE
from kgml_jax.workflows import field_tables, fields
from kgml_jax.workflows.annual import annual_sums
from kgml_jax.workflows.borrowing import PRETRAINED, Unknown
from kgml_jax.workflows.fields import FieldPredictions
from kgml_jax.workflows.sites import fingerprints, load, require_unchanged


@dataclass(frozen=True)
class PredictConfig:
    """Predict fields that have weather, and need no fluxes, with a finished run."""

    data: Path
    """Fields: FLUXNET file, zip or folder; NetCDF, Zarr or CSV with dims (site, time). Fluxes are
    not needed and not read; models with the process model need a crop calendar."""
    out: Path
    """Folder for everything this program writes."""
    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/calibrate")
    """Finished run of calibrate or pretrain."""
    strategy: str | None = None
    """Which of the run's strategies; needed where it holds several."""
    unknown: Unknown = "pretrained"
    """What predicts fields that were not calibrated: the pretrained model; what the nearest
    calibrated site owns; the mean of what the calibrated sites of their group own."""
    metadata: Path | None = None
    """CSV of site metadata (site, lat, lon, elev, igbp); default: `sites.csv` beside the data."""
    management: Path | None = None
    """Table of events (site, date, event, crop, amount, unit, method); default: `management.csv`
    beside the data."""
    skip_bad_sites: bool = False
    """Leave out sites that `check` blocks, and years at the ends of a record whose weather lacks
    a variable, and list them; otherwise one of them stops the run."""
    crop_codes: CropCodes | None = None
    """Whose codes name the crops of the fields: rows of the crop table, the Cropland Data Layer's,
    or KGML-ag's. None: as of the run."""
    csv: bool = True
    """Write tables beside the NetCDF files."""
    overwrite: bool = False
    """Replace the folder if it holds an earlier run."""
    debug: bool = False
    """Show tracebacks."""


def main(config: PredictConfig) -> None:
    """Predicts all fields, writes series, sums and tables, and says what is doubtful."""
    directory.require_finished(config.from_run)
    with directory.claimed(
        *(config.out, config, config.overwrite, "predict"), source=config.from_run, option="--out"
    ) as run:
        predict(config, run.folder)


def predict(config: PredictConfig, out: Path) -> None:
    """Predicts and writes in a claimed folder."""
    fitted = saved.load(config.from_run, config.strategy)
    base = fitted.base if isinstance(fitted, Calibrated) else fitted
    other = OtherData(
        config.data,
        config.metadata,
        config.management,
        skip_bad_sites=config.skip_bad_sites,
        crop_codes=config.crop_codes,
    )
    require_unchanged(config.from_run, other, base.origin)
    sites = load(other.after(base.origin), fluxes=False)
    notes.tell(sites.notes)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    found = fields.predict_fields(fitted, sites, config.unknown, command)
    write(config, found, out, fingerprints(sites))
    tell(config, found)


def write(config: PredictConfig, found: FieldPredictions, out: Path, data: dict[str, Any]) -> None:
    """Writes the folder; each file appears whole or not at all.

    Args:
      config: of the program.
      found: what is written.
      out: the claimed folder.
      data: fingerprints of what was read.
    """
    files.record_data(out, data)
    annual = annual_sums(found.daily)
    files.write_dataset(out / "predictions.nc", found.daily)
    files.write_dataset(out / "annual.nc", annual)
    if not config.csv:
        return
    tables = {
        "predictions.csv": field_tables.daily_table(found.daily),
        "annual.csv": field_tables.annual_table(annual),
        "fields.csv": field_tables.field_table(found),
    }
    for name, table in tables.items():
        files.write_table(out / name, table)


def tell(config: PredictConfig, found: FieldPredictions) -> None:
    """Prints what was predicted, by whose parameters, and what lies outside of the training."""
    daily = found.daily
    console.show([field_tables.field_grid(found), field_tables.year_grid(annual_sums(daily))])
    if not found.envelope.measured:
        console.warn(
            "the run is of a version that did not keep the ranges of its inputs: their mean +- 4 "
            "standard deviations stand for them, and of crops and vegetation nothing is known"
        )
    present = daily[fields.OUTSIDE].values & fields.FLAGS["no_record"] == 0
    if broken := _not_finite(found, present):
        console.warn(f"predictions are not finite at {listed(broken, 12)}")
    own = sum(name == "its own" for name in found.lenders.names)
    base = sum(name == PRETRAINED for name in found.lenders.names)
    beyond = (found.outside.days != 0).sum() / present.sum()
    files_written = "predictions.nc, annual.nc" + (", and the same as .csv" if config.csv else "")
    others = len(daily["site"]) - own - base
    console.say(
        f"Predicted {len(daily['site'])} fields on {present.sum()} days: {own} by their own "
        f"parameters, {base} by the pretrained model, {others} by those of others. {beyond:.0%} of "
        f"the days lie outside of what the model was trained on (flag `outside`).\n"
        f"Everything is in {config.out}: {files_written}."
    )


def _not_finite(found: FieldPredictions, present: np.ndarray) -> list[str]:
    fluxes = [found.daily[name].values for name in found.daily.data_vars if name in PREDICTABLE]
    broken = present & ~np.isfinite(np.stack(fluxes)).all(axis=0)
    return [str(name) for name in found.daily["site"].values[broken.any(axis=1)]]
