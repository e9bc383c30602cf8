"""Whether priors of the process model get better by being refit on all crop towers.

Usage: `python experiments/refit_priors.py [--data DIR]`
"""

from dataclasses import dataclass, field
from pathlib import Path

import jax

from kgml_jax.cli.console import say, show
from studies.measured_fields import readers
from studies.towers import data as towers_data
from studies.towers import shared_priors
from studies.towers.data import Towers
from studies.towers.models import PROCESS

ASSUMED = ("IT-BCi",)
"""Crop towers whose calendar is a guess: what they ask for may be its fault."""

MODEL_ERROR = (0.5, 8.0)
"""Share of the spread of a site's days, and days that it lasts: as long as the means of European
towers, so that a year of days and one of means weigh the same."""


@dataclass(frozen=True)
class RefitConfig:
    """Refit priors of the process model on crop towers, and judge that at left-out ones."""

    data: Path = field(default_factory=readers.default_folder)
    """The project's real data (`KGML_JAX_DATA`, else `../shared/data`), or towers in any form that
    `kgml-jax check` takes."""
    management: Path | None = None
    """Table of events; by default that of the real data, or `management.csv` beside other data."""
    years: int = 8
    """Years at the end of a record that are read; the last two are not used."""
    debug: bool = False
    """Show tracebacks."""


def main(config: RefitConfig) -> None:
    """Reads, refits, judges and prints."""
    towers = crops(towers_data.read(config.data, config.years, (), config.management))
    weighed = towers_data.with_model_errors(towers, *MODEL_ERROR)
    problem = shared_priors.problem(towers.observed_as(PROCESS))
    weights, data = PROCESS.init(jax.random.key(0)), weighed.data
    say(f"Refitting {len(problem.names)} parameters at {len(data)} towers.")
    found = shared_priors.misfit(problem, weights, data)
    sets = shared_priors.SETS | {"all": shared_priors.ALL}
    ratios = dict(shared_priors.at_left_out(problem, weights, data, found, sets))
    show(
        [
            shared_priors.shift_grid(problem, found, sets),
            shared_priors.left_out_grid(towers.sites.names, ratios),
        ]
    )


def crops(towers: Towers) -> Towers:
    """Returns the crop towers whose calendar is known.

    Raises:
      ValueError: there are fewer than two.
    """
    kept = [
        row
        for row, name in enumerate(towers.sites.names)
        if not towers.is_grass[row] and name not in ASSUMED
    ]
    if len(kept) < 2:
        raise ValueError(f"{len(kept)} crop towers; expected two or more")
    return towers_data.assembled([towers.fields[row] for row in kept])
