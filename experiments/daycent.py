"""Emulates heterotrophic respiration of another process model; see `docs/daycent.md`."""

from studies.daycent.program import main
from studies.daycent.settings import DaycentConfig

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, DaycentConfig)
