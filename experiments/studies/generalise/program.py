"""Do hybrids generalise? Run as `python experiments/generalise.py --help`.

On synthetic sites, whose respiration does what no parameter of the process model can produce,
process-only, recurrent-only, dPL, closure and the nearest site's parameters predict sites, a state
and extreme years that no training saw. See `docs/generalisation.md`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import xarray as xr

from kgml_jax.cli.console import say, spoken
from kgml_jax.models.features import Scaling
from kgml_jax.runs import directory
from kgml_jax.runs.files import write_dataset
from studies.generalise import report
from studies.generalise.scores import scored
from studies.generalise.training import EFFORTS, PARTS, Laboratory, common_scaling
from studies.generalise.worlds import make_world


@dataclass(frozen=True)
class GeneraliseConfig:
    """Compare hybrids with their parts on sites, a state and years that no training saw."""

    run: Path = Path("runs/generalise")
    """Folder for everything this run writes; a run that was stopped goes on in it."""
    quick: bool = False
    """Fewer sites, years and steps, for a look, in place of those at their defaults."""
    synthetic_twist: Literal["priming", "temperature", "none"] = "priming"
    """What respiration at the sites does that the process model does not know."""
    sites: int = 27
    """Sites of a seed, a multiple of 9: each split trains on two thirds of them."""
    years: int = 6
    """Years that are learnt from or scored, after one that brings states up to date."""
    seed: int = 0
    """First seed: of world, weights and batches. It leaves out state `seed mod 3`."""
    seeds: int = 3
    """Number of seeds; more may be added to a finished run."""
    batch: int = 16
    """Site-years a step looks at."""
    steps: float = 1.0
    """Multiplies the steps of every model."""
    rate: float = 1.0
    """Multiplies the learning rate of every model."""
    iterations: int = 8
    """Most passes of the estimation of a site's parameters."""
    validate_every: int = 20
    """Steps between validations."""
    patience: int = 20
    """Validations without improvement after which training stops."""
    overwrite: bool = False
    """Begin anew where `run` holds a run of another configuration."""
    debug: bool = False
    """Show tracebacks."""


QUICK = {"sites": 9, "years": 4, "steps": 0.2, "iterations": 5}
"""What `quick` makes of the options that are left at their defaults."""

LEAST_YEARS = 3
"""One each to train on, to validate on and to test."""

PACE = {
    "references": (60.0, 0.05),
    "process": (60.0, 0.025),
    "dpl": (60.0, 0.03),
    "closure": (90.0, 0.045),
    "recurrent": (20.0, 0.009),
}
"""Seconds on two quiet cores: to compile a part, and a site-year of a step or pass takes after."""


def resolved(config: GeneraliseConfig) -> GeneraliseConfig:
    """Returns the configuration with the sizes of `quick` where none other was chosen.

    Raises:
      ValueError: a size is too small, or the sites do not divide.
    """
    if config.quick:
        defaults = {field.name: field.default for field in fields(GeneraliseConfig)}
        left = {name for name in QUICK if getattr(config, name) == defaults[name]}
        config = replace(config, **{name: QUICK[name] for name in left})
    if config.sites < 9 or config.sites % 9:
        raise ValueError(f"--sites {config.sites}; expected a multiple of 9")
    if config.years < LEAST_YEARS:
        raise ValueError(f"--years {config.years}; expected >= {LEAST_YEARS}")
    for name in ("seeds", "batch", "iterations", "validate_every", "patience", "steps", "rate"):
        if not getattr(config, name) > 0:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(config, name)}; expected > 0")
    return config


def make_laboratory(config: GeneraliseConfig, scaling: Scaling) -> Laboratory:
    """Returns what computes the parts of all seeds."""
    scaled = lambda effort: replace(
        effort, steps=max(1, round(config.steps * effort.steps)), rate=config.rate * effort.rate
    )
    return Laboratory(
        scaling=scaling,
        batch=config.batch,
        validate_every=config.validate_every,
        patience=config.patience,
        efforts={name: scaled(effort) for name, effort in EFFORTS.items()},
        iterations=config.iterations,
    )


def forecast(config: GeneraliseConfig, missing: list[tuple[int, str]]) -> float:
    """Returns the seconds that parts take at most on two quiet cores."""
    total = 0.0
    for part in {part for _, part in missing}:
        compiling, each = PACE[part]
        count = sum(1 for _, one in missing if one == part)
        work = config.sites * config.years * config.iterations
        if part in EFFORTS:
            work = config.batch * round(config.steps * EFFORTS[part].steps)
        total += compiling + count * each * work
    return total


def run_parts(config: GeneraliseConfig, missing: list[tuple[int, str]]) -> None:
    """Runs parts one after the other and saves each; `missing` holds seed and name."""
    twist = None if config.synthetic_twist == "none" else config.synthetic_twist
    # Two: that of the standardisation, and that of the seed at hand.
    worlds = lru_cache(maxsize=2)(partial(make_world, config.sites, config.years, twist))
    laboratory = make_laboratory(config, common_scaling(worlds(config.seed)))
    sd = {scale.name: scale.sd for scale in laboratory.scaling.targets}
    for done, (seed, part) in enumerate(missing, start=1):
        began = time.perf_counter()
        result = laboratory.run(part, worlds(seed), seed)
        found = scored(worlds(seed), result, sd)
        seconds = time.perf_counter() - began
        found["seconds"] = ("model", [seconds] * found.sizes["model"])
        write_dataset(path_of(config, seed, part), found, f"Scores of {part}, seed {seed}")
        left = spoken(forecast(config, missing[done:]))
        say(f"[{done}/{len(missing)}] seed {seed} {part}: {spoken(seconds)}; at most {left} left")


def path_of(config: GeneraliseConfig, seed: int, part: str) -> Path:
    """Returns where a finished part of a seed is saved."""
    return config.run / "cells" / f"{part}-seed{seed}.nc"


def main(config: GeneraliseConfig) -> None:
    """Runs all parts that are not finished, then writes and prints what came out."""
    config = resolved(config)
    seeds = range(config.seed, config.seed + config.seeds)
    free = (*directory.FREE, "seeds")
    with directory.claimed(
        *(config.run, config, config.overwrite, "generalise"), free=free, extendable=True
    ) as run:
        run_missing(replace(config, run=run.folder), seeds)
    report.write(config.run, joined(config, list(seeds)))


def run_missing(config: GeneraliseConfig, seeds: Iterable[int]) -> None:
    """Runs the parts of all seeds that are not finished, in a claimed folder."""
    (config.run / "cells").mkdir(exist_ok=True)
    every = [(seed, part) for seed in seeds for part in PARTS]
    missing = [cell for cell in every if not path_of(config, *cell).is_file()]
    if missing:
        expected = spoken(forecast(config, missing))
        say(
            f"{len(missing)} of {len(every)} parts to compute; at most about {expected} on two "
            "quiet cores."
        )
        run_parts(config, missing)


def joined(config: GeneraliseConfig, seeds: list[int]) -> xr.Dataset:
    """Returns all parts, dims (seed, question, basis, model, site, variable, split)."""
    rows = []
    for seed in seeds:
        parts = []
        for part in PARTS:
            with xr.open_dataset(path_of(config, seed, part)) as found:
                parts.append(found.load())
        rows.append(xr.concat(parts, "model", coords="minimal", compat="override"))
    return xr.concat(rows, "seed", coords="minimal", compat="override").assign_coords(seed=seeds)
