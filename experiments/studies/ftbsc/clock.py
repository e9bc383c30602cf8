"""How long the FTBSC experiment takes: measured before it begins, and corrected while it runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kgml_jax.cli.console import spoken
from studies.ftbsc.cells import Laboratory
from studies.ftbsc.replicates import Replicate
from studies.ftbsc.settings import FtbscConfig, Setting

Result = TypeVar("Result")

SCORING = 1.0
"""Rounds that the scoring of a cell takes about as long as."""


@dataclass(frozen=True)
class Pace:
    """Measured seconds of the parts of the experiment.

    Attributes:
      sites: generating or reading the sites of a seed.
      program: compiling a descent with its first round.
      round: one round of the reference descent, all fits.
    """

    sites: float
    program: float
    round: float


def seconds_of(function: Callable[[], Result]) -> tuple[float, Result]:
    """Returns how long a call took, and its result."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def measure(laboratory: Laboratory, setting: Setting, make: Callable[[], Replicate]) -> Pace:
    """Compiles the first descent, which the experiment needs anyway, and times a round of it.

    Args:
      laboratory: runs cells.
      setting: a first stage.
      make: makes the sites of a seed.
    """
    seconds, replicate = seconds_of(make)
    one_round = lambda: laboratory.fit(setting, replicate, 0, None, rounds=1)
    program, _ = seconds_of(one_round)
    each, _ = seconds_of(one_round)
    return Pace(sites=seconds, program=program, round=each)


def rounds(config: FtbscConfig, setting: Setting) -> float:
    """Returns the most rounds a cell takes, in those of the reference batch, with its scoring."""
    share = setting.batch / config.batch
    return share * -(-config.steps // config.validate_every) + SCORING


def forecast(config: FtbscConfig, pace: Pace, cells: Sequence[tuple[Setting, int]]) -> str:
    """Says how long `cells` take at most; those that stop early take less."""
    settings = {setting for setting, _ in cells}
    programs = {(setting.balance, setting.knowledge, setting.batch) for setting in settings}
    replicates = {(setting.counts, seed) for setting, seed in cells}
    # The first program and the first replicate are there already.
    making = pace.program * (len(programs) - 1) + pace.sites * (len(replicates) - 1)
    descending = pace.round * sum(rounds(config, setting) for setting, _ in cells)
    return (
        f"Measured: {pace.sites:.1f} s to make the sites of a seed, {pace.program:.0f} s to "
        f"compile a descent, {pace.round:.1f} s a round of {config.validate_every} steps. "
        f"The {len(cells)} cells to run take at most about {spoken(making + descending)}."
    )
