"""Calibrates every site at once; run as `python experiments/calibrate.py --from runs/pretrain`."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import command_line
import inputs
import jax
import numpy as np
import pretrain
import pretrained as stored
import reporting
import run_directory
import tyro
import xarray as xr

from kgml_jax.adaptation import trained_share
from kgml_jax.data.splits import Split
from kgml_jax.evaluation import physics
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.fit import Settings
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import calibrate, validation_errors
from kgml_jax.training.strategies import STRATEGIES, Strategy
from kgml_jax.training.windows import Unit, make_units

REFERENCE = "zero-shot"


@dataclass(frozen=True)
class CalibrateConfig:
    """Calibrate every site in one compiled program, by one or more strategies."""

    from_run: Annotated[Path, tyro.conf.arg(name="from")] = Path("runs/pretrain")
    """Finished run of pretrain.py."""
    run: Path = Path("runs/calibrate")
    """Folder for everything this run writes."""
    data: Path | None = None
    """Other sites than those of the pretraining run."""
    metadata: Path | None = None
    """CSV of site metadata for `--data`."""
    split: inputs.SplitChoice = field(default_factory=inputs.SplitChoice)
    """Used with `--data`; without, the split of the pretraining run is kept."""
    strategy: tuple[str, ...] = ("bias", "ftbsc", "site-only")
    """Any of bias, affine, head, low-rank, full, full-l2sp, ftbsc, site-only, group-only."""
    seed: int = 0
    """Seed of batches, dropout and fresh weights."""
    steps: int = 120
    """Most gradient steps a site takes; strategies from scratch take up to twice as many."""
    batch: int = 4
    """Site-years of a site a step looks at; 0 takes all."""
    patience: int = 6
    """Validations without improvement after which a site stops."""
    validate_every: int = 10
    """Steps between validations."""
    site_batch: int = 1
    """Sites a device advances at once; bounds memory, does not change results."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


@dataclass(frozen=True)
class Arm:
    """What one strategy did: predictions of all sites and per-site outcome."""

    fluxes: dict[str, np.ndarray]
    validation: np.ndarray
    healthy: np.ndarray
    steps: np.ndarray
    trained_share: float
    seconds: float


def data_and_split(
    config: CalibrateConfig, base: stored.Pretrained
) -> tuple[Sites, Split, inputs.Data]:
    """Returns the sites to calibrate and their split, with no test day the pretrained model saw."""
    choice = base.data
    if config.data is not None:
        choice = inputs.Data(data=config.data, metadata=config.metadata)
    sites, _ = inputs.load(choice)
    if config.data is None and base.split.kind in ("last_years", "blocked"):
        base.split.assert_covers(sites)
        return sites, base.split, choice
    split = inputs.make_split(config.split, sites)
    stored.assert_unseen(base.split, split, sites)
    return sites, split, choice


def members(strategy: Strategy, sites: Sites) -> list[list[int]]:
    """Returns the site rows of each unit a strategy fits."""
    if strategy.unit == "site":
        return [[row] for row in range(len(sites))]
    rows = [[row for row, g in enumerate(sites.groups) if g == name] for name in sites.group_names]
    return [group for group in rows if group]


def run_arm(
    name: str,
    config: CalibrateConfig,
    base: stored.Pretrained,
    sites: Sites,
    roles: np.ndarray,
    own: Unit,
) -> Arm:
    """Fits one strategy at all sites and predicts with it; saves what each unit owns."""
    strategy = STRATEGIES[name]
    fresh_key, fit_key = jax.random.split(jax.random.key(config.seed))
    weights = base.model.init(fresh_key) if strategy.scratch else base.weights
    rows = members(strategy, sites)
    warmup = base.header["warmup_days"]
    units = (
        own
        if strategy.unit == "site"
        else make_units(sites, roles, rows, warmup, TRAIN, VALIDATION)
    )
    settings = strategy.settings(
        Settings(
            steps=config.steps,
            batch=config.batch if strategy.unit == "site" else 4 * config.batch,
            validate_every=config.validate_every,
            patience=config.patience,
            rate_patience=max(config.patience // 2, 1),
        )
    )
    objective = pretrain.make_objective(base.model.scaling, base.header["balance_weight"])
    started = time.perf_counter()
    with reporting.Progress(name, settings.steps, config.run, strategy=name) as progress:
        outcome = calibrate(
            base.model,
            objective,
            weights,
            units,
            strategy.adaptation,
            settings,
            fit_key,
            start_counts=not strategy.scratch,
            site_batch=config.site_batch,
            on_round=progress,
        )
    seconds = time.perf_counter() - started
    header = {"strategy": name, "units": [[sites.names[row] for row in unit] for unit in rows]}
    saved = {"phi": outcome.phi, "start": weights} if strategy.scratch else {"phi": outcome.phi}
    checkpoint.save(config.run / "checkpoint" / name, "calibrated", saved, header)
    unit_of = np.array([next(u for u, g in enumerate(rows) if r in g) for r in range(len(sites))])
    spread = jax.tree.map(lambda leaf: leaf[unit_of], outcome)
    return Arm(
        fluxes=predict_sites(base.model, weights, sites, strategy.adaptation, spread.phi),
        validation=validation_errors(
            base.model, objective, weights, own, strategy.adaptation, spread.phi
        ),
        healthy=spread.healthy,
        steps=spread.steps,
        trained_share=trained_share(strategy.adaptation, weights),
        seconds=seconds,
    )


def collect(
    arms: dict[str, Arm], sites: Sites, days: np.ndarray, base: stored.Pretrained
) -> xr.Dataset:
    """Scores all arms on the test days and adds acceptance, health and effort per site."""
    predictions = {name: arm.fluxes for name, arm in arms.items()}
    results = reporting.score_all(predictions, sites, days, base.model.scaling)
    reference = arms[REFERENCE].validation
    per_site = {
        "validation_error": ([arm.validation for arm in arms.values()], "1", "validation error"),
        "accepted": (
            [arm.validation < reference for arm in arms.values()],
            "1",
            "better than the pretrained model on the validation days",
        ),
        "finite": ([arm.healthy for arm in arms.values()], "1", "loss and gradients were finite"),
        "steps": ([arm.steps for arm in arms.values()], "1", "gradient steps taken"),
    }
    for name, (values, units, text) in per_site.items():
        stacked = np.stack([np.asarray(value, dtype=float) for value in values])
        attributes = {"units": units, "long_name": text}
        results[name] = (("strategy", "site"), stacked, attributes)
    error = results["standardised_mse"]
    results["harmed"] = (error > error.sel(strategy=REFERENCE)).astype(float)
    text = "worse than the pretrained model on the test days"
    results["harmed"].attrs = {"units": "1", "long_name": text}
    return results


def summarise(name: str, arm: Arm, results: xr.Dataset) -> dict[str, Any]:
    """Returns the row of one strategy in `summary.json`."""
    own = results.sel(strategy=name)
    mse = own["standardised_mse"]
    return {
        "median_mse": float(mse.median()),
        "median_rmse": float(np.sqrt(mse).median()),
        "median_r2": float(own["r2"].mean("variable").median()),
        "sites_accepted": int(own["accepted"].sum()),
        "sites_harmed_on_test": int(own["harmed"].sum()),
        "sites_not_finite": int((~arm.healthy).sum()),
        "balance_residual": float(own["balance_residual"].mean()),
        "negative_share": float(own["negative_share"].mean()),
        "trained_share": arm.trained_share,
        "seconds": arm.seconds,
        "variables": reporting.variable_summaries(results, name),
    }


def main(config: CalibrateConfig) -> None:
    """Calibrates, scores the held-out days against the pretrained model, and writes the run."""
    unknown = sorted(set(config.strategy) - set(STRATEGIES))
    if unknown:
        raise ValueError(f"no strategy {', '.join(unknown)}; there are {', '.join(STRATEGIES)}")
    base = stored.load(config.from_run)
    sites, split, choice = data_and_split(config, base)
    roles = split.roles(sites)
    run_directory.create(config.run, config, config.overwrite)
    run_directory.write_json(config.run / "split.json", json.loads(split.to_json()))
    names = (REFERENCE, *(name for name in config.strategy if name != REFERENCE))
    reporting.print_strategies(names, base.weights)
    rows = [[row] for row in range(len(sites))]
    own = make_units(sites, roles, rows, base.header["warmup_days"], TRAIN, VALIDATION)
    arms = {name: run_arm(name, config, base, sites, roles, own) for name in names}
    days = inputs.test_days(split, sites)
    results = collect(arms, sites, days, base)
    drift = physics.drift({name: arm.fluxes for name, arm in arms.items()}, REFERENCE, sites, days)
    reporting.write_dataset(config.run / "sites.nc", results)
    reporting.write_dataset(config.run / "drift.nc", drift)
    summary = {
        "sites": len(sites),
        "data": run_directory.plain(choice),
        "split": split.kind,
        "headline": "mse and rmse in units of the training standard deviation, mean over variables "
        "of a site, median over sites; on the held-out test days",
        "strategies": {name: summarise(name, arm, results) for name, arm in arms.items()},
        "comparisons": reporting.comparisons(results, REFERENCE),
    }
    run_directory.write_json(config.run / "summary.json", summary)
    predictions = {name: arm.fluxes for name, arm in arms.items()}
    reporting.draw(config.run / "figures", sites, split, predictions, results, days)
    reporting.draw_learning(config.run / "figures", config.run)
    reporting.finish_calibration(config.run, summary, results)


if __name__ == "__main__":
    command_line.run(main, CalibrateConfig)
