"""Draws the comparison of solvers: `python benchmarks/inversion_figure.py` after `inversion.py`.

Left: how far the mean cost of the sites is above the least that any solver found, over simulations.
Right: the mean held-out error over seconds. Says again when each came near what CMA-ES ends with.
Reads `results/inversion_traces.json`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from inversion import against
from matplotlib.figure import Figure
from timing import RESULTS

from kgml_jax.evaluation import canvas
from kgml_jax.evaluation.styles import COLOURS

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


def draw(ways: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Returns the figure of the ways of all solvers, by name and what was found and spent."""
    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    costs, errors = figure.subplots(1, 2)
    least = min(way["cost"].min() for way in ways.values())
    for (name, way), colour in zip(ways.items(), COLOURS, strict=False):
        excess = np.maximum(way["cost"] / least - 1, LEAST_EXCESS)
        costs.loglog(way["simulations"], excess, color=colour, label=NAMES[name])
        errors.semilogx(way["seconds"], way["held-out error"], color=colour)
    costs.set_xlabel("simulations a site (a tangent counts as one)")
    costs.set_ylabel("cost above the least, relative")
    errors.set_xlabel("seconds, all sites")
    errors.set_ylabel("held-out error, mean square")
    figure.legend(loc="outside lower center", ncols=len(NAMES), fontsize=8)
    return figure


def read(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Returns the way of each solver of a file of traces."""
    rows = json.loads(path.read_text())["rows"]
    columns = [name for name in rows[0] if name != "solver"]
    return {
        solver: {
            name: np.array([row[name] for row in rows if row["solver"] == solver])
            for name in columns
        }
        for solver in dict.fromkeys(row["solver"] for row in rows)
    }


def main(config: FigureConfig) -> None:
    """Reads the traces and writes the figure."""
    ways = read(config.traces)
    canvas.save(draw(ways), config.out)
    print(f"wrote {config.out}")
    if "cma" in ways:
        print("\n".join(against(ways, "cma")))


if __name__ == "__main__":
    main(tyro.cli(FigureConfig))
