"""What the FTBSC experiment writes and prints once its cells are finished."""

from collections.abc import Sequence

from kgml_jax.cli.console import can_draw, publish, say, warn
from kgml_jax.runs.files import write_dataset
from studies.ftbsc import results as ftbsc_results
from studies.ftbsc import tables
from studies.ftbsc.results import Results
from studies.ftbsc.settings import Design, FtbscConfig
from studies.ftbsc.store import Store


def write(config: FtbscConfig, design: Design, store: Store, seeds: Sequence[int]) -> None:
    """Writes `ftbsc.nc`, `tables.md` and figures, and prints the tables; the verdicts come last."""
    results = Results(ftbsc_results.gather(store, design.settings(), seeds), design)
    write_dataset(config.run / "ftbsc.nc", results.cells, "Scores of the FTBSC experiment")
    arm = results.chosen()
    judged = ftbsc_results.verdicts(results, arm)
    grids = [
        tables.arms(results, arm),
        tables.variables(results, arm),
        tables.cross_state(results, arm),
        tables.variants(results, arm),
        tables.physics(results, arm),
        tables.response_grid(results, arm),
        tables.requirements(judged),
        tables.verdict_grid(judged),
    ]
    publish(config.run, grids)
    unhealthy = int((results.cells["healthy"] == 0).sum())
    if unhealthy:
        warn(f"{unhealthy} descents met a loss that is not finite and kept their last good weights")
    if can_draw():
        from studies.ftbsc import figures

        figures.draw(config.run / "figures", results, arm)
    say(f"Everything is in {config.run}: ftbsc.nc, tables.md, figures/, cells/.")
