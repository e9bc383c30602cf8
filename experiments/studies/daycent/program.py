"""Emulates heterotrophic respiration of another process model; see `docs/daycent.md`.

Run as `python experiments/daycent.py --help`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.cli import console
from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.choices import DataChoice
from kgml_jax.data.formats import daycent
from kgml_jax.data.schema import Note, expected_units
from kgml_jax.evaluation import references, tables
from kgml_jax.models.features import DYNAMIC_INPUTS, Scaling, fit_scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.runs import directory, files, saved
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites, Split
from kgml_jax.training.fit import Settings
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import pretrain
from kgml_jax.training.windows import make_joint_data
from kgml_jax.workflows.sites import assert_unseen
from studies.daycent.report import TARGET, as_dataset, draw, score_table
from studies.daycent.schedule import FIRST_YEAR, SITE_ATTRIBUTES, plan
from studies.measured_fields import readers

INPUTS = (*DYNAMIC_INPUTS, "fertiliser_ammonium", "co2")
"""What changes on one field: weather, management, and carbon dioxide, the global mean of the year.

The last also stands for what rises with it: cultivars of the schedule and, with them, residue.
"""

CLIMATOLOGY, TREND, SCRATCH = "day of year", "day of year x trend", "from scratch"
UNTUNED, TUNED = "checkpoint as it is", "from the checkpoint"


@dataclass(frozen=True)
class DaycentConfig:
    """Train a network on heterotrophic respiration of a DayCent run and score held-out years."""

    run: Path = Path("runs/daycent")
    """Folder for everything this run writes."""
    data: Path | None = None
    """Folder with the daily table and the table of harvests. None: the folder `daycent_demo` of the
    real data (`KGML_JAX_DATA`, else `../shared/data`)."""
    from_checkpoint: Path | None = None
    """A pretraining run to start from too; its network is then also trained from scratch."""
    splits: tuple[Literal["last-years", "blocked-years"], ...] = (
        "last-years",
        "blocked-years",
    )
    """Which years are held out: the last, or every fifth block."""
    first_year: int = FIRST_YEAR
    """First year used; years before 1889 of the demonstration repeat later weather."""
    test_years: int = 20
    """Years held out at the end of the record (last years)."""
    validation_years: int = 10
    """Years before those that stop the training (last years)."""
    block_years: int = 5
    """Length of the blocks of which every fifth is held out (blocked years)."""
    hidden: int = 32
    """Width of every recurrent layer."""
    warmup_days: int = 365
    """Days before 1 January that bring the state up to date and are not scored."""
    steps: int = 400
    """Most gradient steps."""
    batch: int = 16
    """Years a step looks at."""
    learning_rate: float = 1e-2
    """Peak learning rate from scratch; it falls along a cosine."""
    tuning_rate: float = 2e-3
    """Peak learning rate from the checkpoint."""
    validate_every: int = 25
    """Steps between validations."""
    patience: int = 10
    """Validations without improvement before training stops."""
    seed: int = 0
    """Seed of the weights, batches and dropout."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def load(config: DaycentConfig) -> tuple[xr.Dataset, tuple[Note, ...]]:
    """Returns the field of the run with management, soil and targets, and notes.

    Raises:
      DataError: the folder or its tables are absent, or cannot be used.
    """
    folder = config.data or readers.default_folder() / "daycent_demo"
    daily, harvests = daycent.find(folder)
    latitude = SITE_ATTRIBUTES["latitude"]
    reading = daycent.read(daily, latitude, harvests=harvests, first_year=config.first_year)
    ready = readers.field(plan(), reading.sites[0], reading.notes)
    named = {str(name): array for name, array in ready.dataset.data_vars.items()}
    with_units = {
        name: array.assign_attrs(units=expected_units(name)) for name, array in named.items()
    }
    return ready.dataset.assign(with_units), ready.notes


def make_splits(config: DaycentConfig, sites: Sites) -> dict[str, Split]:
    """Returns the splits asked for: the last years, or every fifth block of years, held out."""
    known = {
        "last-years": lambda: splits.last_years(sites, config.test_years, config.validation_years),
        "blocked-years": lambda: splits.blocked(sites, config.block_years),
    }
    return {name: known[name]() for name in config.splits}


def seasonal_references(sites: Sites, days: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Returns what needs no network, fitted to `days`, bool (site, time).

    The mean of the days around a day of the year, and the same times the linear trend, over the
    years, of the mean of a year.
    """
    seasonal = references.day_of_year_climatology(sites, days)[TARGET]
    year = np.asarray(sites.site.calendar.year).astype(float)
    observed = np.asarray(sites.site.targets[TARGET], dtype=float)
    known = np.unique(year[days])
    annual = np.array([observed[days & (year == one)].mean() for one in known])
    trend = np.polyval(np.polyfit(known, annual, 1), year) / annual.mean()
    return {CLIMATOLOGY: {TARGET: seasonal}, TREND: {TARGET: seasonal * trend}}


def train(
    config: DaycentConfig,
    model: RecurrentModel,
    start: Weights,
    data: DividedSites,
    sd: float,
    rate: float,
    report: tuple[str, Path],
) -> Weights:
    """Returns the weights that are best on the validation years.

    Args:
      config: steps, batch, warm-up, stopping.
      model: predicts one site.
      start: where the descent begins.
      data: the field with its split.
      sd: standard deviation of the target on training days.
      rate: peak learning rate.
      report: label of the progress bar, and the folder that logs it.
    """
    windows = make_joint_data(data, [0], config.warmup_days)
    objective = Total(terms=(Term("error", MaskedError(scales=((TARGET, sd),))),))
    settings = Settings(
        steps=config.steps,
        batch=config.batch,
        learning_rate=rate,
        warmup_steps=min(50, config.steps // 10),
        cosine=True,
        weight_decay=1e-4,
        validate_every=config.validate_every,
        patience=config.patience,
    )
    key = jax.random.key(config.seed + 1)
    with console.logged(report[1], key="arm")(report[0], config.steps) as progress:
        return pretrain(model, objective, start, windows, settings, key, progress)[0]


def arms(
    config: DaycentConfig, own: RecurrentModel, before: saved.Pretrained | None
) -> list[tuple[str, Any, Weights, float]]:
    """Returns name, model, start and rate of what is trained; a rate of 0 leaves the start."""
    key = jax.random.key(config.seed)
    if before is None:
        return [(SCRATCH, own, own.init(key), config.learning_rate)]
    model = before.model
    return [
        (UNTUNED, model, before.weights, 0.0),
        (SCRATCH, model, model.init(key), config.learning_rate),
        (TUNED, model, before.weights, config.tuning_rate),
    ]


def emulate(
    config: DaycentConfig,
    name: str,
    sites: Sites,
    split: Split,
    before: saved.Pretrained | None,
) -> dict[str, dict[str, np.ndarray]]:
    """Trains on one split and returns the predictions of every arm and reference.

    The references are fitted to training and validation years together; the network learns from
    the first and stops by the second.
    """
    data = split.divide(sites)
    predictions = seasonal_references(sites, data.learning_days)
    scaling = fit_scaling(INPUTS, data)
    sd = _target_sd(scaling)
    own = RecurrentModel(scaling=scaling, hidden=config.hidden)
    for arm, model, start, rate in arms(config, own, before):
        weights = start
        if rate:
            report = (f"{name}, {arm}", config.run)
            weights = train(config, model, start, data, sd, rate, report)
            _save(config, config.run / name / _slug(arm), model, weights, split)
        predictions[arm] = {TARGET: predict_sites(model, weights, sites)[TARGET]}
    return predictions


def _target_sd(scaling: Scaling) -> float:
    return next(scale.sd for scale in scaling.targets if scale.name == TARGET)


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _save(
    config: DaycentConfig, folder: Path, model: RecurrentModel, weights: Weights, split: Split
) -> None:
    """Writes what `kgml-jax calibrate --from` reads."""
    fitted = saved.Pretrained(
        model=model,
        weights=weights,
        scaling=model.scaling,
        split=split,
        balance_weight=0.0,
        weighting="equal",
        warmup_days=config.warmup_days,
        origin=DataChoice(data=config.run / "daycent.nc"),
    )
    saved.save(fitted, folder)


def main(config: DaycentConfig) -> None:
    """Trains, scores, draws and writes, once for each split."""
    started = time.perf_counter()
    dataset, notes = load(config)
    sites = assemble([dataset], (TARGET,))
    parts = make_splits(config, sites)
    source = config.from_checkpoint
    before = None if source is None else saved.load_pretrained(source)
    for split in parts.values():
        split.assert_disjoint()
        if before is not None:
            assert_unseen(before.split, split.divide(sites))
    folder = directory.create(config.run, config, config.overwrite, source)
    files.write_json(folder / "data_notes.json", notes)
    files.write_dataset(folder / "daycent.nc", dataset)
    predictions, roles, found, text = {}, {}, {}, []
    for name, split in parts.items():
        roles[name] = split.roles(sites)
        predictions[name] = emulate(config, name, sites, split, before)
        found[name], grid = score_table(predictions[name], sites, name, roles[name])
        text.append(tables.markdown(grid))
        console.say(text[-1])
        draw(folder / name, predictions[name], sites, roles[name])
    (folder / "scores.md").write_text("\n".join(text))
    files.write_dataset(folder / "daycent_rh.nc", as_dataset(predictions, sites, roles, found))
    console.say(f"wrote {folder} in {time.perf_counter() - started:.0f} s")
