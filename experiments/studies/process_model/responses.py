"""Asks whether the process model responds as fields do; see `responses.py --help`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kgml_jax.writing import write_text
from studies.process_model import describe
from studies.process_model.response_scenarios import (
    CROPS,
    OUTPUTS,
    ROTATION,
    TODAY,
    UNITS,
    WFPS,
    Experiment,
    perform,
)

ANY = float("inf")
KNOWN, OK, FAILS, CURED = "known deficit", "ok", "FAILS", "CURED: drop the deficit"


@dataclass(frozen=True)
class ResponsesConfig:
    """Changes one thing at a time on corn-soybean fields and judges sign and size of the response.

    Exit status 1 if a response is neither as required nor a stated deficit.
    """

    years: int = 18
    """Years of a scenario, after as many of spin-up under today's conditions."""
    weathers: int = 2
    """Draws of the weather; each is used with corn first and with soybean first."""
    out: Path | None = None
    """Markdown file for the tables."""
    debug: bool = False
    """Show tracebacks."""


@dataclass(frozen=True)
class Check:
    """A response and what is required of it."""

    scenario: str
    crop: str
    quantity: str
    measure: Callable[[Experiment], float]
    low: float
    high: float
    """What is measured must lie above `low` and below `high`."""
    literature: str
    unit: str = "%"
    deficit: str = ""
    """Why it is known not to be as required; empty where it has to be."""

    @property
    def required(self) -> str:
        """The requirement in words."""
        if np.isfinite(self.low) and np.isfinite(self.high):
            return f"{self.low:+g} to {self.high:+g}"
        return f"> {self.low:g}" if np.isfinite(self.low) else f"< {self.high:g}"

    def verdict(self, experiment: Experiment) -> str:
        """Returns what to say of it: a stated deficit must be one, any other response must not."""
        as_required = self.low < self.measure(experiment) < self.high
        if self.deficit:
            return CURED if as_required else KNOWN
        return OK if as_required else FAILS


def change(
    scenario: str,
    crop: str,
    quantity: str,
    low: float,
    high: float,
    literature: str,
    against: str = TODAY,
) -> Check:
    """The change of an output over all years, percent of what it is in the scenario `against`."""

    def measure(experiment: Experiment) -> float:
        before, after = (experiment.mean(name, crop, quantity) for name in (against, scenario))
        return 100.0 * (after / before - 1.0)

    label = scenario if against == TODAY else f"{scenario} of {against}"
    return Check(label, crop, quantity, measure, low, high, literature)


def change_at_once(
    scenario: str,
    crop: str,
    quantity: str,
    low: float,
    high: float,
    literature: str,
    deficit: str = "",
) -> Check:
    """The change over the first rotation, before the soil has followed, percent of today's."""

    def measure(experiment: Experiment) -> float:
        before, after = (
            experiment.mean_at_once(name, crop, quantity) for name in (TODAY, scenario)
        )
        return 100.0 * (after / before - 1.0)

    label = f"{scenario}, first year"
    return Check(label, crop, quantity, measure, low, high, literature, deficit=deficit)


def bend(
    crop: str, quantity: str, low: float, high: float, literature: str, deficit: str = ""
) -> Check:
    """The gain of an output per nitrogen beyond today's rate, percent of that up to it."""

    def measure(experiment: Experiment) -> float:
        rates = ("N x0", TODAY, "N x1.5")
        none, usual, more = (experiment.mean(name, crop, quantity) for name in rates)
        above, below = 2.0 * (more - usual), usual - none
        return 100.0 * above / below if below else float("nan")

    label = "N: slope above over below"
    return Check(label, crop, quantity, measure, low, high, literature, "%", deficit)


def corn_over_soybean(quantity: str, low: float, high: float, literature: str) -> Check:
    """An output of corn, percent of that of soybean."""

    def measure(experiment: Experiment) -> float:
        corn, soybean = (experiment.mean(TODAY, crop, quantity) for crop in CROPS)
        return 100.0 * corn / soybean

    label = f"{quantity}, corn of soybean"
    return Check(TODAY, ROTATION, label, measure, low, high, literature)


def soil(
    scenario: str,
    quantity: str,
    measure: Callable[[Experiment], float],
    low: float,
    high: float,
    literature: str,
    unit: str,
) -> Check:
    """A response of the microbes by themselves."""
    return Check(scenario, "soil", quantity, measure, low, high, literature, unit)


def _q10(experiment: Experiment) -> float:
    return experiment.microbial_q10


def _best_wfps(experiment: Experiment) -> float:
    return float(WFPS[np.argmax(experiment.moisture)])


def _dry(experiment: Experiment) -> float:
    return 100.0 * float(np.interp(0.2, WFPS, experiment.moisture))


def _wet(experiment: Experiment) -> float:
    return 100.0 * float(experiment.moisture[-1])


WARMING = "Zhao 2017: maize -7.4, soy -3.1 % per degC"
DROUGHT = "Champaign 1988: corn -38, soy -33 % (NASS)"
TILLAGE = "residue shades the soil"
HUMP = "hump, DAMM: Davidson 2012"
UNDEMANDING = "corn grows less since less of the light counts, and its priors are not refit"
RESPIRING = "soils 2.3 (Lloyd and Taylor 1994), incubations 2 to 3 (Kirschbaum 1995)"
SATURATING = (
    "denitrification saturates in nitrate (arctan of Del Grosso et al. 2000) and the N2O of "
    "nitrification is a fixed share: neither bends upwards; the prototype was concave too"
)

CHECKS: tuple[Check, ...] = (
    change("+2 degC", "corn", "yield", -20, -2, WARMING),
    change("+2 degC", "soybean", "yield", -25, -2, WARMING),
    change("+2 degC", "corn", "ET", 0, ANY, "more energy"),
    change("+2 degC, same RH", "corn", "yield", -20, -2, WARMING),
    change("+2 degC, same RH", "soybean", "yield", -25, -2, WARMING),
    change("+2 degC, same RH", "corn", "ET", 0, ANY, "more energy, drier air"),
    *(
        change(scenario, crop, quantity, -ANY, 0, DROUGHT)
        for scenario in ("JJA rain x0.5", "JJA rain x0")
        for crop in CROPS
        for quantity in ("yield", "ET", "drainage")
    ),
    *(
        change("JJA rain x0", crop, "yield", -ANY, 0, "monotone", against="JJA rain x0.5")
        for crop in CROPS
    ),
    change("CO2 550", "corn", "GPP", 0, 8, "CERES maize 1.05 at 570 ppm"),
    change("CO2 550", "corn", "transpiration", -ANY, 0, "stomata close"),
    change("CO2 550", "soybean", "GPP", 10, 35, "SoyFACE: Dermody 2006, Gray 2016"),
    change_at_once(
        *("N x0", "corn", "yield", -50, -30, "ISU CROP 3073: 115 of 190-200 bu/ac"),
        deficit=UNDEMANDING,
    ),
    change("N x0", "corn", "yield", -ANY, -30, "the soil runs down"),
    change("N x0", "soybean", "yield", -10, 5, "fixes its own"),
    change("N x1.5", "corn", "yield", -1, 5, "plateau, Basso 2019"),
    bend("corn", "yield", -ANY, 100, "concave, Basso 2019"),
    bend("corn", "N2O", 100, ANY, "convex, Basso 2019", deficit=SATURATING),
    bend("corn", "N leaching", 100, ANY, "convex, Basso 2019"),
    corn_over_soybean("N2O", 100, ANY, "corn ranks above soybean, Basso 2019"),
    change("radiation x0.8", "corn", "GPP", -25, -10, "light use"),
    soil("10 to 20 degC", "Q10 of Rh on fixed pools", _q10, 2.0, 3.2, RESPIRING, "1"),
    soil("wetter soil", "WFPS of the largest Rh", _best_wfps, 0.5, 0.7, HUMP, "1"),
    soil("wetter soil", "Rh at WFPS 0.2 of largest", _dry, 0, 90, HUMP, "%"),
    soil("wetter soil", "Rh at saturation of largest", _wet, 0, 90, HUMP, "%"),
    *(
        change("no tillage", crop, quantity, low, high, literature)
        for crop in CROPS
        for quantity, low, high, literature in (
            ("residue", 0, ANY, TILLAGE),
            ("ET", -ANY, 0, TILLAGE),
            ("drainage", 0, ANY, TILLAGE),
        )
    ),
    change("no tillage", ROTATION, "Rh", -5, 5, "at steady state Rh is the input"),
    change("no tillage", "corn", "N2O", -ANY, 0, "less mineralised"),
)
"""Every response required of the model; each bracket is that of the source it names."""


def main(config: ResponsesConfig) -> int:
    """Simulates, judges and prints; returns the exit status."""
    if config.years < 2 or config.weathers < 1:
        raise ValueError("expected at least 2 years and 1 draw of the weather")
    started = time.perf_counter()
    experiment = perform(config.years, config.weathers)
    return report(experiment, config, time.perf_counter() - started)


def report(experiment: Experiment, config: ResponsesConfig, seconds: float) -> int:
    """Judges and prints what all scenarios gave; returns the exit status."""
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    tables = (levels(experiment), judged(experiment))
    for header, rows in tables:
        console.print(_terminal(header, rows))
    if config.out:
        write_text(config.out, "\n".join(describe.markdown(*table) for table in tables))
    verdicts = [check.verdict(experiment) for check in CHECKS]
    count = lambda verdict: verdicts.count(verdict)
    print(
        f"{count(OK)} of {len(CHECKS)} responses are as required, {count(KNOWN)} are known "
        f"deficits, {count(FAILS)} fail, {count(CURED)} deficits are cured. {2 * config.weathers} "
        f"fields, {config.years} years after {config.years} of spin-up; {seconds:.0f} s."
    )
    return 1 if count(FAILS) + count(CURED) else 0


Rows = list[tuple[str, ...]]


def levels(experiment: Experiment) -> tuple[tuple[str, ...], Rows]:
    """Tabulates what every scenario gives, a year of each crop: header and rows."""
    header = ("scenario", "crop", *(f"{name}, {UNITS[name]}" for name in OUTPUTS))
    rows = [
        (scenario, crop, *(f"{values[name]:#.3g}".rstrip(".") for name in OUTPUTS))
        for scenario, crops in experiment.means.items()
        for crop, values in crops.items()
    ]
    return header, rows


def judged(experiment: Experiment) -> tuple[tuple[str, ...], Rows]:
    """Tabulates the checks: header and rows."""
    header = ("scenario", "of", "response", "found", "required", "unit", "", "literature")
    rows = [
        (
            check.scenario,
            check.crop,
            check.quantity,
            f"{check.measure(experiment):+.3g}",
            check.required,
            check.unit,
            check.verdict(experiment),
            f"{check.literature}. Deficit: {check.deficit}" if check.deficit else check.literature,
        )
        for check in CHECKS
    ]
    return header, rows


def _terminal(header: Sequence[str], rows: Rows) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in header:
        number = "," in name or name in ("found", "required")
        heading = name.replace(", ", "\n")
        table.add_column(heading, justify="right" if number else "left", no_wrap=number)
    colours = {OK: "green", KNOWN: "yellow", FAILS: "bold red", CURED: "bold red"}
    for row, after in zip(rows, [*rows[1:], ("",)], strict=True):
        cells = (f"[{colours[cell]}]{cell}[/]" if cell in colours else cell for cell in row)
        table.add_row(*cells, end_section=row[0] != after[0])
    return table
