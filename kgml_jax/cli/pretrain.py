"""The command `pretrain`: one global model from all sites."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import command, console, report
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models import kinds
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
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Finished run of pretrain whose model is trained further on these data, such as one of
    synthetic sites on towers; its inputs and sizes are kept."""
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
    if config.from_run is not None:
        directory.require_finished(config.from_run)
        if config.model != ModelChoice():
            raise ValueError(
                "with --from the model is that of the run; leave out --model, its inputs and sizes"
            )
    with directory.claimed(
        config.run, config, config.overwrite, "pretrain", source=config.from_run
    ) as run:
        pretrain(config, run)


def pretrain(config: PretrainConfig, run: Run) -> None:
    """Trains, scores and writes in a claimed folder, or goes on with what is there."""
    start = None if config.from_run is None else saved.load_pretrained(config.from_run)
    reads_gpp = config.model.resolved().reads_gpp if start is None else kinds.reads_gpp(start.model)
    prescribed = reads_gpp or config.data.prescribe_gpp
    data = sites.divide(sites.load(replace(config.data, prescribe_gpp=prescribed)), config.split)
    model = start.model if start is not None else pretraining.make_model(config.model, data)
    told = ("prescribed_gpp",) if reads_gpp else ()
    if warning := leaky_inputs(told, tuple(data.sites.site.targets)):
        console.warn(warning)
    before = () if start is None else (start.fingerprint,)
    kept = open_progress(
        *(run, config, data, *before),
        seconds=config.checkpoint_every,
        tell=console.note,
    )
    report.write_inputs(run.folder, data)
    if saved.is_saved(run.folder):
        base = saved.load_pretrained(run.folder)
    else:
        watch = console.logged(run.folder, kept=kept)
        base = pretraining.pretrain(model, data, config.seed, config.settings, watch, start)
        saved.save(base, run.folder)
    report.finish_pretraining(run, evaluation.assess_pretraining(base, data), config.figures)
