"""The command `pretrain`: one global model from all sites."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from kgml_jax.cli import command, console, report
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models.features import INPUT_SETS
from kgml_jax.runs import directory, saved
from kgml_jax.runs.directory import Run
from kgml_jax.runs.resume import CHECKPOINT_EVERY, open_progress
from kgml_jax.workflows import evaluation, pretraining, sites
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings


@dataclass(frozen=True)
class PretrainConfig:
    """Pretrain one global model on all sites together."""

    run: Path = Path("runs/pretrain")
    """Folder for everything this run writes."""
    data: Annotated[DataChoice, command.FLAT] = field(default_factory=DataChoice)
    split: Annotated[SplitChoice, command.FLAT] = field(default_factory=SplitChoice)
    model: Annotated[ModelChoice, command.FLAT] = field(default_factory=ModelChoice)
    settings: Annotated[PretrainSettings, command.FLAT] = field(default_factory=PretrainSettings)
    seed: int = 0
    """Seed of the weights, batches and dropout."""
    figures: bool = True
    """Draw figures, with matplotlib; the numbers are written without them too."""
    checkpoint_every: float = CHECKPOINT_EVERY
    """Seconds between two checkpoints, from which the same command goes on."""
    overwrite: bool = False
    """Replace a finished run in the folder when this one has finished."""
    debug: bool = False
    """Show tracebacks."""


def main(config: PretrainConfig) -> None:
    """Trains, scores the held-out days, and writes the run directory."""
    with directory.claimed(config.run, config, config.overwrite, "pretrain") as run:
        pretrain(config, run)


def pretrain(config: PretrainConfig, run: Run) -> None:
    """Trains, scores and writes in a claimed folder, or goes on with what is there."""
    choice = config.model.resolved()
    prescribed = choice.reads_gpp or config.data.prescribe_gpp
    data = sites.divide(sites.load(replace(config.data, prescribe_gpp=prescribed)), config.split)
    model = pretraining.make_model(choice, data)
    told = (*INPUT_SETS[choice.inputs], *(["prescribed_gpp"] if choice.reads_gpp else []))
    if warning := leaky_inputs(told, tuple(data.sites.site.targets)):
        console.warn(warning)
    kept = open_progress(run, config, data, seconds=config.checkpoint_every, tell=console.note)
    report.write_inputs(run.folder, data)
    if saved.is_saved(run.folder):
        base = saved.load_pretrained(run.folder)
    else:
        watch = console.logged(run.folder, kept=kept)
        base = pretraining.pretrain(model, data, config.seed, config.settings, watch)
        saved.save(base, run.folder)
    report.finish_pretraining(run, evaluation.assess_pretraining(base, data), config.figures)
