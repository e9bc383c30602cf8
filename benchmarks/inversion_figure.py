"""Draws the comparison of solvers: `python benchmarks/inversion_figure.py` after `inversion.py`.

Left: how far the mean cost of the sites is above the least that any solver found, over simulations.
Right: the mean held-out error over seconds. Both read `results/inversion_traces.json`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure
from timing import RESULTS

from kgml_jax.evaluation.figures import COLOURS

NAMES = {
    "lm": "Levenberg-Marquardt",
    "lbfgs": "L-BFGS",
    "adam": "Adam",
    "cma": "CMA-ES",
    "de": "differential evolution",
    "sce": "SCE-UA",
}
LEAST_EXCESS = 1e-5
"""Relative distance to the least cost at which the axis ends."""


@dataclass(frozen=True)
class FigureConfig:
    """What is drawn and where to."""

    traces: Path = RESULTS / "inversion_traces.json"
    """Written by `benchmarks/inversion.py`."""
    out: Path = Path("docs/figures/solvers.png")
    """PNG file."""


def draw(rows: list[dict]) -> Figure:
    """Returns the figure of the traces of all solvers."""
    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    costs, errors = figure.subplots(1, 2)
    least = min(row["cost"] for row in rows)
    for name, colour in zip(NAMES, COLOURS, strict=True):
        own = [row for row in rows if row["solver"] == name]
        if not own:
            continue
        column = lambda what, own=own: np.array([row[what] for row in own])
        excess = np.maximum(column("cost") / least - 1, LEAST_EXCESS)
        costs.loglog(column("simulations"), excess, color=colour, label=NAMES[name])
        errors.semilogx(column("seconds"), column("held-out error"), color=colour)
    costs.set_xlabel("simulations a site (a tangent counts as one)")
    costs.set_ylabel("cost above the least, relative")
    errors.set_xlabel("seconds, all sites")
    errors.set_ylabel("mean squared standardised error, held-out year")
    figure.legend(loc="outside lower center", ncols=len(NAMES), fontsize=8)
    return figure


def main(config: FigureConfig) -> None:
    """Reads the traces and writes the figure."""
    draw(json.loads(config.traces.read_text())["rows"]).savefig(config.out)
    print(f"wrote {config.out}")


if __name__ == "__main__":
    main(tyro.cli(FigureConfig))
