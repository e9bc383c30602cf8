"""Tests the claims of FTBSC-KGML; run as `python experiments/ftbsc.py --help`.

Zeng et al. (2025, arXiv 2512.16013): one model of all states, one of each state alone, and one
calibrated in each state. See `docs/ftbsc.md`.
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial

from kgml_jax.cli import console
from kgml_jax.cli.console import say, warn
from kgml_jax.data.splits import leaky_inputs
from kgml_jax.models.features import INPUT_SETS, Scaling
from kgml_jax.sites import Sites
from studies.ftbsc import cells, clock, report
from studies.ftbsc.cells import Laboratory
from studies.ftbsc.replicates import Load, Replicate, load_sites, make_replicate, scaling
from studies.ftbsc.settings import (
    Design,
    FtbscConfig,
    Setting,
    design_of,
    resolved,
    scratch_of,
    seeds,
)
from studies.ftbsc.store import Store

Equip = Callable[[FtbscConfig, Scaling], Laboratory]
"""Makes what trains and predicts, of a resolved configuration and the standardisation."""


def main(config: FtbscConfig) -> None:
    """Runs all cells that are not finished, then writes and prints what came out."""
    config = resolved(config)
    design, store = run_missing(config)
    report.write(config, design, store, seeds(config))


def run_missing(
    config: FtbscConfig, load: Load = load_sites, equip: Equip = Laboratory
) -> tuple[Design, Store]:
    """Runs all cells of a resolved configuration that are not finished.

    Args:
      config: resolved.
      load: reads or generates the sites of a seed.
      equip: makes the laboratory.

    Returns:
      The design, and the store with all its cells.
    """
    design = design_of(config)
    every = [(setting, seed) for seed in seeds(config) for setting in design.settings()]
    with Store.open(config) as store:
        missing = [cell for cell in every if not store.has(*cell)]
        done = len(every) - len(missing)
        say(f"{len(every)} cells, of which {done} are finished in {config.run}.")
        if missing:
            sites = load(config, design.scratch.counts, config.seed)
            check_data(config, store, sites)
            laboratory = equip(config, scaling(config, sites))
            make = partial(make_replicate, config, load=load)
            run_cells(laboratory, design, store, missing, make)
    return design, Store(config.run)


def check_data(config: FtbscConfig, store: Store, sites: Sites) -> None:
    """Refuses files that changed since the finished cells were trained, and warns of a leak.

    Raises:
      ValueError: the cells there were trained on other data.
    """
    if config.data.data is None:
        return
    store.holds(sites)
    if leak := leaky_inputs(INPUT_SETS[config.inputs], tuple(sites.site.targets)):
        warn(f"{leak}; --inputs default predicts GPP")


def run_cells(
    laboratory: Laboratory,
    design: Design,
    store: Store,
    missing: list[tuple[Setting, int]],
    make: Callable[[str, int], Replicate],
) -> None:
    """Runs cells one after the other and says before and after each how long the rest will take.

    Args:
      laboratory: trains and predicts.
      design: which settings there are.
      store: takes the finished cells.
      missing: cells to run, seed by seed, each after the one it starts from.
      make: makes the replicate of counts and a seed.
    """
    # Two, as many as a seed has: cells come seed by seed.
    replicates = lru_cache(maxsize=2)(make)
    first = partial(replicates, design.scratch.counts, missing[0][1])
    pace = clock.measure(laboratory, design.scratch, first)
    say(clock.forecast(laboratory.config, pace, missing))
    work = [clock.rounds(laboratory.config, setting) for setting, _ in missing]
    started = time.perf_counter()
    for done, (setting, seed) in enumerate(missing, start=1):
        stage = scratch_of(setting, design.scratch)
        before = None if setting == stage else store.weights(stage, seed)
        replicate = replicates(setting.counts, seed)
        store.save(setting, seed, cells.run(laboratory, setting, replicate, seed, before))
        elapsed = time.perf_counter() - started
        left = console.spoken(elapsed / sum(work[:done]) * sum(work[done:]))
        spent = console.spoken(elapsed)
        say(f"[{done}/{len(missing)}] seed {seed} {setting.name}; {spent} spent, about {left} left")
