"""Calibrates every site at once; run as `python experiments/calibrate.py --from runs/pretrain`."""

import time
from dataclasses import dataclass, field, replace
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

from kgml_jax.adaptation import PRESETS, Adaptation, Weights, trained_share
from kgml_jax.evaluation import physics, scores
from kgml_jax.objectives.compose import Total
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.fit import Settings
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import Calibration, calibrate, validation_errors
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
    split: Annotated[inputs.SplitChoice, command_line.FLAT] = field(
        default_factory=inputs.SplitChoice
    )
    """Used with `--data`; without, the split of the pretraining run is kept."""
    strategy: tuple[str, ...] = ("bias", "ftbsc", "site-only")
    """Any of bias, affine, head, low-rank, process, full, full-l2sp, ftbsc, site-only, group-only
    that has weights of the model to move."""
    seed: int = 0
    """Seed of batches, dropout and fresh weights."""
    steps: int = 120
    """Most gradient steps a site takes; strategies from scratch take up to twice as many."""
    batch: int = 2
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
    accepted: np.ndarray
    healthy: np.ndarray
    steps: np.ndarray
    trained_share: float
    seconds: float


def members(strategy: Strategy, sites: Sites) -> list[list[int]]:
    """Returns the site rows of each unit a strategy fits."""
    if strategy.unit == "site":
        return [[row] for row in range(len(sites))]
    rows = [[row for row, g in enumerate(sites.groups) if g == name] for name in sites.group_names]
    return [group for group in rows if group]


@dataclass(frozen=True)
class Task:
    """What all strategies of a run share."""

    config: CalibrateConfig
    base: stored.Pretrained
    objective: Total
    sites: Sites
    roles: np.ndarray
    own: Unit
    """Windows of each site."""

    def units(self, strategy: Strategy) -> tuple[list[list[int]], Unit]:
        """Returns the site rows of each unit a strategy fits, and their windows."""
        rows = members(strategy, self.sites)
        if strategy.unit == "site":
            return rows, self.own
        warmup = self.base.header["warmup_days"]
        return rows, make_units(self.sites, self.roles, rows, warmup, TRAIN, VALIDATION)

    def settings(self, strategy: Strategy) -> Settings:
        """Returns how a strategy descends; a group looks at more windows a step than a site."""
        config = self.config
        base = Settings(
            steps=config.steps,
            batch=config.batch if strategy.unit == "site" else 4 * config.batch,
            validate_every=config.validate_every,
            patience=config.patience,
            rate_patience=max(config.patience // 2, 1),
        )
        return strategy.settings(base)

    def validate(self, weights: Weights, adaptation: Adaptation, phi: Any) -> np.ndarray:
        """Returns the validation error of each site, given what each owns."""
        return validation_errors(
            self.base.model, self.objective, weights, self.own, adaptation, phi
        )


def zero_shot(task: Task) -> Arm:
    """Predicts every site with the pretrained model as it is."""
    started = time.perf_counter()
    none = np.zeros(len(task.sites), np.int32)
    return Arm(
        fluxes=predict_sites(task.base.model, task.base.weights, task.sites),
        validation=task.validate(task.base.weights, PRESETS[REFERENCE], {}),
        accepted=none > 0,
        healthy=none == 0,
        steps=none,
        trained_share=0.0,
        seconds=time.perf_counter() - started,
    )


def run_arm(name: str, task: Task, reference: Arm) -> Arm:
    """Fits one strategy at all sites and predicts with it; saves what each unit owns."""
    strategy, base, sites = STRATEGIES[name], task.base, task.sites
    fresh_key, fit_key = jax.random.split(jax.random.key(task.config.seed))
    weights = base.model.init(fresh_key) if strategy.scratch else base.weights
    rows, units = task.units(strategy)
    settings = task.settings(strategy)
    started = time.perf_counter()
    with reporting.Progress(name, settings.steps, task.config.run, strategy=name) as progress:
        outcome = calibrate(
            base.model,
            task.objective,
            weights,
            units,
            strategy.adaptation,
            settings,
            fit_key,
            start_counts=not strategy.scratch,
            site_batch=task.config.site_batch,
            on_round=progress,
        )
    seconds = time.perf_counter() - started
    save(name, task, rows, weights, outcome)
    unit_of = np.array([next(u for u, g in enumerate(rows) if r in g) for r in range(len(sites))])
    spread = jax.tree.map(lambda leaf: leaf[unit_of], outcome)
    fluxes = predict_sites(base.model, weights, sites, strategy.adaptation, spread.phi)
    if not strategy.scratch:
        fluxes = stored.keep_where_unmoved(fluxes, reference.fluxes, spread.best_step > 0)
    validation, accepted = spread.best_error, spread.accepted
    if strategy.unit == "group":
        validation = task.validate(weights, strategy.adaptation, spread.phi)
    if strategy.scratch:
        accepted = validation < reference.validation
    return Arm(
        fluxes=fluxes,
        validation=validation,
        accepted=accepted,
        healthy=spread.healthy,
        steps=spread.steps,
        trained_share=trained_share(strategy.adaptation, weights),
        seconds=seconds,
    )


def save(
    name: str, task: Task, rows: list[list[int]], weights: Weights, outcome: Calibration
) -> None:
    """Writes a strategy's checkpoint: what each unit owns, and the start where it is fresh."""
    header = {
        "strategy": name,
        "units": [[task.sites.names[row] for row in unit] for unit in rows],
        "moved": (outcome.best_step > 0).tolist(),
        "pretrained": task.base.fingerprint,
    }
    saved = {"phi": outcome.phi}
    if STRATEGIES[name].scratch:
        saved["start"] = weights
    checkpoint.save(task.config.run / "checkpoint" / name, "calibrated", saved, header)


def collect(
    arms: dict[str, Arm], sites: Sites, days: np.ndarray, base: stored.Pretrained
) -> xr.Dataset:
    """Scores all arms on the test days and adds acceptance, health and effort per site."""
    predictions = {name: arm.fluxes for name, arm in arms.items()}
    results = reporting.score_all(predictions, sites, days, base.scaling)
    per_site = {
        "validation_error": ([arm.validation for arm in arms.values()], "1", "validation error"),
        "accepted": (
            [arm.accepted for arm in arms.values()],
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
    seen = stored.seen_in_pretraining(base, sites).astype(float)
    text = "the pretrained model was trained on this site"
    results["known"] = ("site", seen, {"units": "1", "long_name": text})
    return results


def summarise(name: str, arm: Arm, results: xr.Dataset) -> dict[str, Any]:
    """Returns the row of one strategy in `summary.json`."""
    own = results.sel(strategy=name)
    mse = own["standardised_mse"]
    return {
        "median_mse": float(mse.median()),
        "median_mse_known_sites": float(mse[own["known"] == 1].median()),
        "median_mse_new_sites": float(mse[own["known"] == 0].median()),
        "median_rmse": float((mse**0.5).median()),
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
    config = replace(config, from_run=config.from_run.resolve())
    base = stored.load(config.from_run)
    stored.require_strategies(config.strategy, base)
    loaded, split, choice = stored.data_and_split(base, config.data, config.metadata, config.split)
    sites = loaded.sites
    roles = split.roles(sites)
    run_directory.create(config.run, config, config.overwrite, source=config.from_run)
    reporting.write_inputs(config.run, choice, replace(loaded, world=None), split)
    names = (REFERENCE, *(name for name in config.strategy if name != REFERENCE))
    reporting.print_strategies(names, base.weights)
    rows = [[row] for row in range(len(sites))]
    own = make_units(sites, roles, rows, base.header["warmup_days"], TRAIN, VALIDATION)
    objective = pretrain.make_objective(
        base.scaling, base.header["balance_weight"], base.header["weighting"]
    )
    task = Task(config, base, objective, sites, roles, own)
    arms = {REFERENCE: zero_shot(task)}
    for name in names[1:]:
        arms[name] = run_arm(name, task, arms[REFERENCE])
    days = inputs.test_days(split, sites)
    results = collect(arms, sites, days, base)
    drift = physics.drift({name: arm.fluxes for name, arm in arms.items()}, REFERENCE, sites, days)
    reporting.write_dataset(config.run / "sites.nc", results)
    reporting.write_dataset(config.run / "drift.nc", drift)
    pairs = reporting.comparisons(results, REFERENCE)
    summary = {
        "sites": len(sites),
        "data": run_directory.plain(choice),
        "split": split.kind,
        "headline": reporting.HEADLINE,
        "strategies": {name: summarise(name, arm, results) for name, arm in arms.items()},
        "comparisons": pairs,
    }
    run_directory.write_json(config.run / "summary.json", summary)
    predictions = {name: arm.fluxes for name, arm in arms.items()}
    reporting.write_dataset(config.run / "groups.nc", scores.by_group(predictions, sites, days))
    reporting.draw(config.run / "figures", sites, split, predictions, results, days)
    reporting.finish_calibration(config.run, summary, results, pairs)


if __name__ == "__main__":
    command_line.run(main, CalibrateConfig)
