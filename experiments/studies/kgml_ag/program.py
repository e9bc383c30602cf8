"""Trains KGML-ag-Carbon in its five steps; run as `python experiments/kgml_ag.py --help`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import jax

from kgml_jax.cli import command, console
from kgml_jax.models.features import KGML_AG_INPUTS, fit_scaling
from kgml_jax.models.recurrent import PAPER, PUBLIC_CODE, RecurrentModel
from kgml_jax.runs import directory, files
from kgml_jax.split import DividedSites
from kgml_jax.training.stages import Stage, run_plan
from studies.kgml_ag import data as kgml_ag_data
from studies.kgml_ag import plan as kgml_ag_plan
from studies.kgml_ag import report as kgml_ag_report


@dataclass(frozen=True)
class KgmlAgConfig:
    """Train KGML-ag-Carbon in the five published steps; a stopped run goes on where it was."""

    run: Path = Path("runs/kgml-ag")
    """Folder for everything this run writes; finished steps found there are not repeated."""
    sources: Annotated[kgml_ag_data.Sources, command.FLAT] = field(
        default_factory=kgml_ag_data.Sources
    )
    steps: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Steps to take, in their order."""
    epochs: int | None = 40
    """Most epochs of a step; its patience and epochs between decays shrink alike. None: as many as
    published (1000, 80, 1000, 40, 120)."""
    layers: Literal["public-code", "paper"] = "public-code"
    """Two layers of the basis (161,413 parameters), or one (136,453)."""
    hidden: int = 64
    """Width of every recurrent layer."""
    balance: Literal["soft", "hard", "none"] = "soft"
    """soft: NEE has a network, knowledge terms act; hard: NEE := Ra + Rh - GPP; none: no terms."""
    knowledge: float = 1.0
    """Factor on every knowledge term."""
    batch: int = 8
    """Series a gradient step looks at."""
    dropout: float = 0.2
    """Share of the shared units dropped in training."""
    seed: int = 0
    """Seed of the weights, batches and dropout."""
    overwrite: bool = False
    """Start anew if the run directory exists."""
    debug: bool = False
    """Show tracebacks."""


def check(config: KgmlAgConfig) -> None:
    """Refuses what no plan can be made of.

    Raises:
      ValueError: a step is not among the five, or there is no epoch or batch.
    """
    if not config.steps or not set(config.steps) <= set(range(1, 6)):
        given = " ".join(map(str, config.steps)) or "without a number"
        raise ValueError(f"--steps {given}; expected some of 1 to 5")
    if config.epochs is not None and config.epochs < 1:
        raise ValueError(f"--epochs {config.epochs}; expected at least 1, or None")
    if config.batch < 1:
        raise ValueError(f"--batch {config.batch}; expected at least 1")


def make_plan(config: KgmlAgConfig, model: RecurrentModel) -> tuple[Stage, ...]:
    """Returns the chosen steps."""
    weight = 0.0 if config.balance == "none" else config.knowledge
    nee = () if model.balance == "hard" else kgml_ag_plan.NEE
    published = kgml_ag_plan.five_steps(kgml_ag_plan.Losses(model.scaling, weight), nee)
    return tuple(
        kgml_ag_plan.shortened(published[step - 1], config.epochs, batch=config.batch)
        for step in sorted(set(config.steps))
    )


def make_model(config: KgmlAgConfig, synthetic: DividedSites) -> RecurrentModel:
    """Returns the published network, its standardisation fitted on the simulated training days."""
    preset = PUBLIC_CODE if config.layers == "public-code" else PAPER
    chosen = {
        **preset,
        "hidden": config.hidden,
        "balance": "hard" if config.balance == "hard" else "soft",
        "dropout": config.dropout,
    }
    scaling = fit_scaling(KGML_AG_INPUTS, synthetic)
    return RecurrentModel(scaling, **chosen)


def identity(
    config: KgmlAgConfig, datasets: Mapping[str, DividedSites], plan: Iterable[Stage]
) -> str:
    """Returns what tells this run from others with the same folder."""
    plain = files.plain(replace(config, run=Path(), overwrite=False, debug=False))
    records = {name: (data.sites.site, data.roles) for name, data in datasets.items()}
    return files.fingerprint(plain, [repr(stage) for stage in plan], records)


def main(config: KgmlAgConfig) -> None:
    """Takes the steps, scores the held-out years after each, and writes the run directory."""
    check(config)
    with directory.claimed(config.run, config, config.overwrite, "kgml_ag", extendable=True) as run:
        take_steps(replace(config, run=run.folder))


def take_steps(config: KgmlAgConfig) -> None:
    """Takes the steps that are not finished in a claimed folder, and reports after each."""
    datasets = kgml_ag_data.load(config.sources)
    model = make_model(config, datasets[kgml_ag_plan.SYNTHETIC])
    plan = make_plan(config, model)
    folder = config.run
    prints = {name: files.fingerprint(data.sites.site) for name, data in datasets.items()}
    files.record_data(folder, prints)
    init_key, fit_key = jax.random.split(jax.random.key(config.seed))
    fresh = model.init(init_key)
    report = kgml_ag_report.Report(model, datasets, folder, plan)
    report.open(fresh)
    log = console.logged(folder, key="stage")
    watched = lambda stage: log(stage.name, stage.course.epochs)
    own = identity(config, datasets, plan)
    done = run_plan(model, plan, fresh, datasets, fit_key, folder / "steps", own, watched)
    for stage, weights, result in done:
        report.add(stage, weights, result)
    report.finish()
