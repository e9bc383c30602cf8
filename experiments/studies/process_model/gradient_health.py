"""Examines the gradients of the process model over years; see `gradient_health.py --help`."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kgml_jax.cli import console as reporting
from kgml_jax.evaluation import canvas
from kgml_jax.runs import files
from studies.process_model import describe, sensitivity

CAP = 0.3
"""Largest slope of all organic carbon, as a share of it, that a dynamic parameter may reach."""

AGREE = 1e-4
"""Relative difference to central differences that a slope may have."""

GROWS, MATTERS = 5.0, 0.05
"""Growth from the middle to the last third of the years that is a fault in a slope that matters;
what accumulates evenly less than doubles."""


@dataclass(frozen=True)
class HealthConfig:
    """Differentiates every output by every parameter over years of corn and soybean, in float64.

    Exit status 1 if a slope disagrees with finite differences, is dead, exceeds the cap of organic
    carbon or grows without bound.
    """

    years: int = 18
    """Years of the two fields, from the state their attributes imply."""
    threshold: float = 0.05
    """Normalised slope from which an output counts as telling something about a parameter."""
    out: Path | None = None
    """Folder for the tables (Markdown), all numbers (netCDF) and a map (PNG)."""
    debug: bool = False
    """Show tracebacks."""


@dataclass(frozen=True)
class Sheet:
    """A table of text with what it shows."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def main(config: HealthConfig) -> int:
    """Differentiates, prints and writes; returns the exit status."""
    if config.years < 2:
        raise ValueError("expected at least 2 years: a rotation")
    started = time.perf_counter()
    health = examine(config.years, config.threshold)
    return report(health, config, time.perf_counter() - started)


def report(health: xr.Dataset, config: HealthConfig, seconds: float) -> int:
    """Prints and writes the tables, names the faults and returns the exit status."""
    sheets = list(tabulated(health, config.threshold))
    console = Console()
    console = console if console.is_terminal else Console(width=170)
    for sheet in sheets:
        console.print(f"\n{sheet.title}", highlight=False)
        console.print(_terminal(sheet))
    faults = list(found_faults(health))
    for fault in faults:
        print(fault)
    if config.out:
        _write(config.out, health, sheets, config.threshold)
    pairs = health["normalised"].size
    print(
        f"{pairs} slopes over {config.years} years; {len(faults)} faults; {seconds:.0f} s."
        + (f" Everything is in {config.out}." if config.out else "")
    )
    return 1 if faults else 0


def examine(years: int, threshold: float) -> xr.Dataset:
    """Measures all slopes of `sensitivity.rotations`.

    Returns:
      By parameter and output: `normalised`, `zero_share`, `disagreement`, `late_over_early` and
      `growth`; by parameter `carbon_cap`; by output `directions`; by output and horizon `norm`; the
      annual means and slopes themselves.
    """
    situation = sensitivity.rotations(years)
    data = sensitivity.slopes(situation)
    annual = data.mean("day")
    return xr.Dataset(
        {
            "normalised": sensitivity.normalised(data),
            "zero_share": sensitivity.zero_share(data),
            "disagreement": sensitivity.disagreement(data, sensitivity.differences(situation)),
            "late_over_early": sensitivity.late_over_early(data),
            "growth": sensitivity.growth(data),
            "carbon_cap": sensitivity.carbon_cap(data),
            "directions": sensitivity.directions(data, threshold),
            "norm": sensitivity.by_horizon(data),
            "annual_mean": annual["value"],
            "annual_slope": annual["slope"],
        },
        attrs={"title": "Gradient health of the process model", "years": years},
    )


def found_faults(health: xr.Dataset) -> Iterator[str]:
    """Yields a line on every slope that is not as it should be."""
    stock = health["output"].isin(sensitivity.STOCKS)
    # Of stocks of carbon slopes grow for decades; the cap bounds them.
    matters = (health["normalised"] > MATTERS) & ~stock
    tests = {
        "disagrees with finite differences": health["disagreement"] > AGREE,
        "is not finite": ~(abs(health["normalised"]) < np.inf),
        "grows without bound": matters & (health["growth"] > GROWS),
        "is dead": health["normalised"] == 0.0,
    }
    for words, faulty in tests.items():
        for parameter in health["parameter"].values:
            row = faulty.sel(parameter=parameter)
            outputs = row["output"].values[row.values]
            if outputs.size:
                yield f"slope by {parameter} {words}: {', '.join(outputs)}"
    above = health["carbon_cap"].where(health["carbon_cap"] >= CAP, drop=True)
    for parameter in above["parameter"].values:
        yield f"{parameter} moves organic carbon by {above.sel(parameter=parameter).item():.2f}"


def tabulated(health: xr.Dataset, threshold: float) -> Iterator[Sheet]:
    """Yields the tables, matrices first."""
    matrices: dict[str, tuple[str, Callable[[float], str]]] = {
        "normalised": (
            "Slope over the spread of the output, root mean square of days, %",
            _percent,
        ),
        "zero_share": ("Days on which the output flows and the slope is 0, %", _percent),
        "disagreement": ("Power of ten of the relative difference to finite differences", _power),
        "late_over_early": ("Slopes of the last over the first rotation", _ratio),
    }
    for name, (title, written) in matrices.items():
        values = health[name].transpose("parameter", "output")
        rows = [
            (str(row["parameter"].item()), *map(written, row.values.tolist())) for row in values
        ]
        yield Sheet(title, ("parameter", *map(str, values["output"].values)), rows)
    yield _by_parameter(health)
    yield _by_output(health, threshold)
    norms = [
        (str(row["output"].item()), *(f"{norm:.3g}" for norm in row.values.tolist()))
        for row in health["norm"]
    ]
    horizons = (f"year {years}" for years in health["horizon"].values)
    yield Sheet("Norm over parameters of the slopes of a year's mean", ("output", *horizons), norms)


def draw(path: Path, normalised: xr.DataArray) -> None:
    """Draws the normalised slopes as a map; white where a slope is exactly 0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = normalised.transpose("parameter", "output")
    figure = Figure(figsize=(11.0, 11.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = np.log10(values.where(values > 0.0).values)
    image = axes.imshow(shown, vmin=-4.0, vmax=0.5, cmap="cividis", aspect="auto")
    axes.set_xticks(range(values.sizes["output"]), values["output"].values, fontsize=8)
    axes.set_yticks(range(values.sizes["parameter"]), values["parameter"].values, fontsize=8)
    axes.xaxis.tick_top()
    axes.set_xlabel("slope over the spread of the output, % from 1 % on; white: exactly 0")
    for (row, column), value in np.ndenumerate(values.values):
        if value >= 0.01:
            colour = "black" if value > 0.1 else "white"
            axes.text(
                column, row, f"{100 * value:.0f}", color=colour, ha="center", va="center", size=6
            )
    figure.colorbar(image, label="power of ten", shrink=0.5)
    canvas.save(figure, path)


def _by_parameter(health: xr.Dataset) -> Sheet:
    rows = []
    for parameter in health["parameter"].values:
        one = health.sel(parameter=parameter)
        tellers = one["normalised"].sortby(one["normalised"], ascending=False)[:4]
        cap = one["carbon_cap"].item()
        told = ", ".join(f"{pair['output'].item()} {pair.item():.0%}" for pair in tellers)
        worst = one["disagreement"].max().item()
        rows.append((str(parameter), _power(worst), f"{cap:.3f}" if np.isfinite(cap) else "", told))
    title = f"Parameters; organic carbon may move by {CAP:g} of itself"
    return Sheet(title, ("parameter", "worst difference", "carbon cap", "seen best by"), rows)


def _by_output(health: xr.Dataset, threshold: float) -> Sheet:
    rows = []
    for output in health["output"].values:
        one = health.sel(output=output)
        told = one["normalised"].sortby(one["normalised"], ascending=False)
        told = told.where(told > threshold, drop=True)
        names = ", ".join(f"{pair['parameter'].item()} {pair.item():.0%}" for pair in told[:6])
        count, apart = str(told.size), str(one["directions"].item())
        rows.append((str(output), count, apart, names))
    title = f"Outputs; slopes above {threshold:.0%} of the spread"
    return Sheet(title, ("output", "parameters", "directions", "the first six"), rows)


def _write(folder: Path, health: xr.Dataset, sheets: Sequence[Sheet], threshold: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = [f"## {one.title}\n\n{describe.markdown(one.header, one.rows)}" for one in sheets]
    files.write_text(folder / "gradient_health.md", "\n".join(parts))
    described = health.assign_attrs(threshold=threshold)
    files.write_dataset(folder / "gradient_health.nc", described, "Slopes of the process model")
    if reporting.can_draw():
        draw(folder / "gradient_health.png", health["normalised"])


def _terminal(sheet: Sheet) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for index, name in enumerate(sheet.header):
        text = index == 0 or name in ("seen best by", "the first six")
        table.add_column(name, justify="left" if text else "right", no_wrap=not text)
    for row in sheet.rows:
        table.add_row(*row)
    return table


def _percent(share: float) -> str:
    if share == 0.0:
        return "0"
    return f"{100 * share:.0f}" if share >= 0.005 else "."


def _power(value: float) -> str:
    return f"{np.log10(value):.0f}" if value > 0.0 else "0"


def _ratio(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) and value < 1e3 else "-"
