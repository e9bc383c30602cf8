"""Pretrains one global model on all sites; run as `python experiments/pretrain.py --help`."""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import command_line
import inputs
import jax
import numpy as np
import reporting
import run_directory

from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models import kinds
from kgml_jax.models.features import INPUT_SETS, Scaling, fit_scaling
from kgml_jax.models.observables import FURTHER_NAMES
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import model_to_json
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import MassBalance, NonNegativity
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.fit import Settings
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import pretrain
from kgml_jax.training.windows import make_units


@dataclass(frozen=True)
class PretrainConfig:
    """Pretrain one global model on all sites together."""

    run: Path = Path("runs/pretrain")
    """Folder for everything this run writes."""
    data: Annotated[inputs.Data, command_line.FLAT] = field(default_factory=inputs.Data)
    split: Annotated[inputs.SplitChoice, command_line.FLAT] = field(
        default_factory=inputs.SplitChoice
    )
    model: kinds.Name = "recurrent"
    """recurrent: network alone; emulator: with GPP as input; process: one set of parameters;
    gpp-forced: with GPP as input; dpl, dpl-dynamic: attributes, and weather, set parameters;
    closure: a network in the daily step moves rates; residual: outputs are corrected, and do not
    close with stocks; residual-conserving: fluxes are scaled in the daily step."""
    seed: int = 0
    """Seed of the weights, batches and dropout."""
    inputs: Literal["default", "dynamic", "legacy"] = "default"
    """dynamic: without place and soil; legacy: with GPP, as KGML-ag (tower GPP leaks NEE)."""
    hidden: int | None = None
    """Width of every layer. None: 32, of networks beside the process model 16."""
    basis_layers: int = 2
    """Recurrent layers all outputs share (recurrent, emulator)."""
    rh_layers: int = 2
    """Recurrent layers of heterotrophic respiration; GPP, Ra and NEE have one each (same)."""
    balance: Literal["hard", "soft"] = "hard"
    """hard: NEE := Ra + Rh - GPP; soft: NEE has a network of its own (same)."""
    dropout: float = 0.2
    """Share of the shared units dropped in training (same)."""
    parameters: tuple[str, ...] = ()
    """Process parameters that a dpl or closure sets. Empty: those of the model."""
    steps: int = 1500
    """Most gradient steps."""
    batch: int = 16
    """Site-years a step looks at."""
    learning_rate: float = 3e-3
    """Peak learning rate; rises over up to 50 steps, then falls along a cosine."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    warmup_days: int | None = None
    """Days before 1 January that bring the state up to date and are not scored. None: 60; 365 where
    the process model is part, which starts on a 1 January."""
    validate_every: int = 25
    """Steps between validations."""
    patience: int = 20
    """Validations without improvement before training stops."""
    weighting: Literal["equal", "inverse-variance"] = "equal"
    """Weight of a day within its target: equal, or 1/sigma^2 of its observation."""
    balance_weight: float = 1.0
    """Weight of the mass-balance term (g C m-2 d-1 beyond 1 % of respiration)."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def make_objective(scaling: Scaling, balance_weight: float, weighting: str) -> Total:
    """Returns masked standardised error, mass balance and non-negativity."""
    error = MaskedError(
        scales=tuple((scale.name, scale.sd) for scale in scaling.targets),
        inverse_variance=weighting == "inverse-variance",
    )
    return Total(
        terms=(
            Term("error", error),
            Term("mass_balance", MassBalance(), balance_weight),
            Term("non_negativity", NonNegativity(), balance_weight),
        )
    )


def resolved(config: PretrainConfig) -> PretrainConfig:
    """Returns the config with what follows from the model filled in.

    Raises:
      ValueError: the inputs do not suit the model.
    """
    kind = kinds.KINDS[config.model]
    if config.model == "emulator":
        config = replace(config, inputs="legacy")
    elif config.inputs == "legacy" and config.model != "recurrent":
        raise ValueError(f"--inputs legacy tells GPP, which model {config.model} is to predict")
    given = kind.gpp_given or config.inputs == "legacy" or config.data.prescribe_gpp
    return replace(
        config,
        data=replace(config.data, prescribe_gpp=given),
        hidden=kind.hidden if config.hidden is None else config.hidden,
        warmup_days=kind.warmup_days if config.warmup_days is None else config.warmup_days,
    )


def make_scaling(config: PretrainConfig, sites: Sites, roles: np.ndarray) -> Scaling:
    """Returns the standardisation, fitted on the training days."""
    names = INPUT_SETS[config.inputs]
    given = config.inputs == "legacy" or kinds.KINDS[config.model].gpp_given
    told = (*names, "prescribed_gpp") if given else names
    warning = leaky_inputs(told, tuple(sites.site.targets))
    if warning:
        reporting.warn(warning)
    scaling = fit_scaling(names, sites, roles)
    if given:
        # What is given is neither learnt nor scored.
        targets = tuple(scale for scale in scaling.targets if scale.name != "GPP")
        scaling = replace(scaling, targets=targets)
    return scaling


def make_model(config: PretrainConfig, scaling: Scaling) -> Any:
    """Returns the model; a process model in it predicts every target that it can."""
    observed = {scale.name for scale in scaling.targets}
    observables = tuple(name for name in FURTHER_NAMES if name in observed)
    options: dict[str, Any] = {
        "hidden": config.hidden,
        "basis_layers": config.basis_layers,
        "rh_layers": config.rh_layers,
        "balance": config.balance,
        "dropout": config.dropout,
        "observables": observables,
        "process": ProcessModel(observables=observables),
    }
    own = kinds.KINDS[config.model].options
    options = {name: value for name, value in options.items() if name in own}
    if config.model == "recurrent" and config.inputs == "legacy":
        options["gpp"] = "input"
    if config.parameters:
        options["parameters"] = config.parameters
    return kinds.build(config.model, scaling, **options)


def main(config: PretrainConfig) -> None:
    """Trains, scores the held-out days, and writes the run directory."""
    config = resolved(config)
    warmup = config.warmup_days or 0
    loaded = inputs.load(config.data)
    sites = loaded.sites
    if kinds.KINDS[config.model].has_process:
        inputs.require_crops(sites)
    split = inputs.make_split(config.split, sites)
    if config.split.split == "last-years":
        unseen = config.split.new_sites
        default = len(sites) // 3 if config.data.data is None else 0
        split = inputs.hide_new_sites(split, sites, default if unseen is None else unseen)
    roles = split.roles(sites)
    scaling = make_scaling(config, sites, roles)
    model = make_model(config, scaling)
    objective = make_objective(scaling, config.balance_weight, config.weighting)
    folder = run_directory.create(config.run, config, config.overwrite)
    reporting.write_inputs(folder, config.data, loaded, split)

    everyone = [[int(row) for row in np.flatnonzero((roles == TRAIN).any(axis=1))]]
    units = make_units(sites, roles, everyone, warmup, TRAIN, VALIDATION)
    unit = jax.tree.map(lambda leaf: leaf[0], units)
    init_key, fit_key = jax.random.split(jax.random.key(config.seed))
    settings = Settings(
        steps=config.steps,
        batch=config.batch,
        learning_rate=config.learning_rate,
        warmup_steps=min(50, config.steps // 10),
        cosine=True,
        weight_decay=config.weight_decay,
        validate_every=config.validate_every,
        patience=config.patience,
        dropout=config.dropout > 0,
    )
    started = time.perf_counter()
    with reporting.Progress("pretraining", config.steps, folder) as progress:
        weights, fit = pretrain(
            model, objective, model.init(init_key), unit, settings, fit_key, progress
        )
    seconds = time.perf_counter() - started
    header = {
        "model": model_to_json(model),
        "scaling": asdict(scaling),
        "split": json.loads(split.to_json()),
        "balance_weight": config.balance_weight,
        "weighting": config.weighting,
        "warmup_days": warmup,
    }
    checkpoint.save(folder / "checkpoint", "pretrained", weights, run_directory.plain(header))
    predictions = {"pretrained": predict_sites(model, weights, sites)}
    summary: dict[str, Any] = {
        "sites": len(sites),
        "sites_trained_on": len(everyone[0]),
        "split": split.kind,
        "steps": int(fit.step),
        "best_step": int(fit.best_step),
        "best_validation_error": float(fit.best_error),
        "seconds": seconds,
    }
    reporting.finish_pretraining(folder, sites, split, predictions, scaling, summary)


if __name__ == "__main__":
    command_line.run(main, PretrainConfig)
