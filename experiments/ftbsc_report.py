"""What the FTBSC experiment writes and prints once its cells are finished."""

from collections.abc import Sequence

import ftbsc_results
import ftbsc_tables
from ftbsc_results import Results
from ftbsc_settings import FtbscConfig, Plan
from ftbsc_store import Store
from reporting import can_draw, publish, say, warn, write_dataset


def write(config: FtbscConfig, wanted: Plan, store: Store, seeds: Sequence[int]) -> None:
    """Writes `ftbsc.nc`, `tables.md` and figures, and prints the tables; the verdicts come last."""
    results = Results(ftbsc_results.gather(store, wanted.settings(), seeds), wanted)
    write_dataset(config.run / "ftbsc.nc", results.cells)
    arm = results.chosen()
    judged = ftbsc_results.verdicts(results, arm)
    grids = [
        ftbsc_tables.arms(results, arm),
        ftbsc_tables.variables(results, arm),
        ftbsc_tables.cross_state(results, arm),
        ftbsc_tables.variants(results, arm),
        ftbsc_tables.physics(results, arm),
        ftbsc_tables.response_grid(results, arm),
        ftbsc_tables.requirements(judged),
        ftbsc_tables.verdict_grid(judged),
    ]
    publish(config.run, grids)
    unhealthy = int((results.cells["healthy"] == 0).sum())
    if unhealthy:
        warn(f"{unhealthy} descents met a loss that is not finite and kept their last good weights")
    if can_draw():
        import ftbsc_figures

        ftbsc_figures.draw(config.run / "figures", results, arm)
    say(f"Everything is in {config.run}: ftbsc.nc, tables.md, figures/, cells/.")
