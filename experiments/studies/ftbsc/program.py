"""Tests the claims of FTBSC-KGML; run as `python experiments/ftbsc.py --help`.

Zeng et al. (2025, arXiv 2512.16013): one model of all states, one of each state alone, and one
calibrated in each state. See `docs/ftbsc.md`.
"""

import time
from functools import lru_cache, partial

from kgml_jax.cli import console
from kgml_jax.cli.console import say, warn
from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models.features import INPUT_SETS
from studies.ftbsc import clock, report
from studies.ftbsc import worlds as ftbsc_worlds
from studies.ftbsc.cells import Laboratory
from studies.ftbsc.settings import FtbscConfig, Plan, Setting, plan, resolved, scratch_of, seeds
from studies.ftbsc.store import Store


def main(config: FtbscConfig) -> None:
    """Runs all cells that are not finished, then writes and prints what came out."""
    config = resolved(config)
    wanted = plan(config)
    store = Store.open(config)
    every = [(setting, seed) for seed in seeds(config) for setting in wanted.settings()]
    missing = [cell for cell in every if not store.has(*cell)]
    say(f"{len(every)} cells, of which {len(every) - len(missing)} are finished in {config.run}.")
    if missing:
        run_cells(config, wanted, store, missing)
    report.write(config, wanted, store, seeds(config))


def run_cells(
    config: FtbscConfig, wanted: Plan, store: Store, missing: list[tuple[Setting, int]]
) -> None:
    """Runs cells one after the other and says before and after each how long the rest will take.

    Args:
      config: resolved.
      wanted: which settings there are.
      store: takes the finished cells.
      missing: cells to run, seed by seed, each after the one it starts from.
    """
    laboratory = make_laboratory(config, wanted, store)
    # Two, as many as a seed has: cells come seed by seed.
    worlds = lru_cache(maxsize=2)(partial(ftbsc_worlds.make_world, config))
    make = partial(worlds, wanted.scratch.counts, missing[0][1])
    pace = clock.measure(laboratory, wanted.scratch, make)
    say(clock.forecast(config, pace, missing))
    work = [clock.rounds(config, setting) for setting, _ in missing]
    started = time.perf_counter()
    for done, (setting, seed) in enumerate(missing, start=1):
        stage = scratch_of(setting, wanted.scratch)
        before = None if setting == stage else store.weights(stage, seed)
        store.save(
            setting, seed, laboratory.run(setting, worlds(setting.counts, seed), seed, before)
        )
        elapsed = time.perf_counter() - started
        left = console.spoken(elapsed / sum(work[:done]) * sum(work[done:]))
        spent = console.spoken(elapsed)
        say(f"[{done}/{len(missing)}] seed {seed} {setting.name}; {spent} spent, about {left} left")


def make_laboratory(config: FtbscConfig, wanted: Plan, store: Store) -> Laboratory:
    """Returns the laboratory with the standardisation of the first seed's sites.

    Raises:
      ValueError: files changed since the finished cells were trained.
    """
    sites = ftbsc_worlds.load_sites(config, wanted.scratch.counts, config.seed)
    if config.data.data is not None:
        store.holds(sites)
    leak = leaky_inputs(INPUT_SETS[config.inputs], tuple(sites.site.targets))
    if leak and config.data.data is not None:
        warn(f"{leak}; --inputs default predicts GPP")
    return Laboratory(config, ftbsc_worlds.scaling(config, sites))
