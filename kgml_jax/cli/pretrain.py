"""The command `pretrain`: one global model from all sites."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from kgml_jax.cli import command, console, report
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models.features import INPUT_SETS
from kgml_jax.runs import directory, saved
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
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


def main(config: PretrainConfig) -> None:
    """Trains, scores the held-out days, and writes the run directory."""
    choice = config.model.resolved()
    prescribed = choice.reads_gpp or config.data.prescribe_gpp
    data = sites.divide(sites.load(replace(config.data, prescribe_gpp=prescribed)), config.split)
    model = pretraining.make_model(choice, data)
    told = (*INPUT_SETS[choice.inputs], *(["prescribed_gpp"] if choice.reads_gpp else []))
    if warning := leaky_inputs(told, tuple(data.sites.site.targets)):
        console.warn(warning)
    folder = directory.create(config.run, config, config.overwrite)
    report.write_inputs(folder, data)
    watch = console.logged(folder)
    base = pretraining.pretrain(model, data, config.seed, config.settings, watch)
    saved.save(base, folder)
    report.finish_pretraining(folder, evaluation.assess_pretraining(base, data), config.figures)
