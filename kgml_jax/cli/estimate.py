"""The command `estimate`: process parameters of every site, with units, bounds and intervals."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from kgml_jax.cli import command, console, drawings, estimate_report, posterior_check, report
from kgml_jax.data.choices import (
    READ_ANEW,
    DataChoice,
    OtherData,
    SplitChoice,
    make_split,
    require_crops,
)
from kgml_jax.display import counted
from kgml_jax.inversion.solvers.shuffled import require_spotpy
from kgml_jax.runs import directory, saved
from kgml_jax.runs.directory import Run
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.runs.resume import CHECKPOINT_EVERY, open_progress
from kgml_jax.split import DividedSites
from kgml_jax.workflows import estimation, sites
from kgml_jax.workflows.estimation import EstimateSettings


@dataclass(frozen=True)
class EstimateConfig:
    """Estimate process parameters at every site in one compiled program."""

    run: Path = Path("runs/estimate")
    """Folder for everything this run writes."""
    data: Annotated[DataChoice, command.FLAT] = field(default_factory=DataChoice)
    split: Annotated[SplitChoice, command.FLAT] = field(default_factory=SplitChoice)
    settings: Annotated[EstimateSettings, command.FLAT] = field(default_factory=EstimateSettings)
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Pretrained hybrid (pretrain --model dpl, ...) whose parameters are the means instead."""
    check_sites: int = 0
    """Sites at which NUTS checks the Gaussian posterior; needs the extra `bayes`. Minutes for a
    short record, an hour for a long one: the program measures it and says before it starts."""
    check_draws: int = 100
    """Draws of each of eight chains that are kept in this check, after as many of warm-up."""
    seed: int = 0
    """Seed of starts and of searches that draw."""
    draw: tuple[str, ...] = ()
    """Sites whose days are drawn, by name, or `all`; none: the best, the median and the worst."""
    figures: bool = True
    """Draw figures, with matplotlib; the numbers are written without them too."""
    checkpoint_every: float = CHECKPOINT_EVERY
    """Seconds between two checkpoints, from which the same command goes on."""
    overwrite: bool = False
    """Replace a finished run in the folder when this one has finished."""
    debug: bool = False
    """Show tracebacks."""


def main(config: EstimateConfig) -> None:
    """Estimates the parameters, scores the held-out days, and writes the run."""
    drawings.require(config.draw, config.figures)
    if config.settings.solver == "sce-ua":
        require_spotpy()
    posterior_check.require(config.check_sites, config.check_draws)
    if config.settings.energy_balance_ratio and config.data.energy_balance == "closed":
        raise ValueError(
            "--energy-balance closed has corrected ET already; leave it, or "
            "--energy-balance-ratio, out"
        )
    if config.from_run is not None:
        directory.require_finished(config.from_run)
    with directory.claimed(
        config.run, config, config.overwrite, "estimate", source=config.from_run
    ) as run:
        estimate(config, run)


def estimate(config: EstimateConfig, run: Run) -> None:
    """Estimates, scores and writes in a claimed folder, or goes on with what is there."""
    settings = config.settings
    base = None if config.from_run is None else saved.load_pretrained(config.from_run)
    # What cannot be estimated is refused before the data are read.
    estimation.starting_model(settings, base, config.seed)
    data = divided(config, base)
    informs = estimation.informing(settings.streams, data.sites)
    for name in settings.streams:
        if name not in informs:
            console.warn(f"no site observes {name}; it informs nothing")
    drawings.require_sites(config.draw, data)
    kept = open_progress(
        *(run, config, data, "" if base is None else base.fingerprint),
        seconds=config.checkpoint_every,
        tell=console.note,
    )
    report.write_inputs(run.folder, data)
    names = (*settings.parameters, *settings.of_towers, *settings.updates)
    console.say(
        f"Estimating {counted(len(names), 'parameter')} at "
        f"{counted(len(data), 'site')} from {', '.join(informs)} by {settings.solver}."
    )
    fitted = estimation.estimate(data, base, config.seed, settings, console.searched(kept))
    estimate_report.write(run, fitted, config.draw, config.figures)
    if config.check_sites:
        posterior_check.run(run.folder, fitted, config.check_sites, config.check_draws, config.seed)


def divided(config: EstimateConfig, base: Pretrained | None) -> DividedSites:
    """Returns the sites with their split: those asked for, or those of the pretrained model.

    Raises:
      ValueError: an option has no meaning beside the pretrained model.
      DataError: the data cannot be used.
    """
    if base is not None:
        given = config.data
        usual = DataChoice()
        told = {
            name: getattr(given, name)
            for name in READ_ANEW
            if getattr(given, name) != getattr(usual, name)
        }
        files = {"metadata": given.metadata, "management": given.management}
        other = OtherData(given.data, **files, skip_bad_sites=given.skip_bad_sites, **told)
        if given != other.after(usual):
            raise ValueError(
                "with --from all options of the data but --data, --metadata, --management, "
                "--skip-bad-sites, --quality-scale, --worst-flag and --crop-codes are those of "
                "the pretraining run; leave them out"
            )
        assert config.from_run is not None
        sites.require_unchanged(config.from_run, other, base.origin)
        return sites.divide_after(base, other, config.split)
    loaded = sites.load(config.data, config.settings.further)
    require_crops(loaded)
    return make_split(config.split, loaded).divide(loaded)
