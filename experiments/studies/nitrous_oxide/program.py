"""Pretrains KGML-ag for N2O on simulated plots and leaves chambers out one by one.

Usage: `python experiments/nitrous_oxide.py [--run DIR] [--soils shared own]`

The network of Liu et al. (2022, GMD 15:2839) is pretrained in two phases on fields of the process
model at several nitrogen rates: first the intermediate variables, then all with N2O. Then each
chamber is left out in turn, and models that learnt from the others predict it. The chambers are
simulated too, with parameters the pretraining never saw, errors of measurement and few days.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import numpy as np

from kgml_jax.cli import console
from kgml_jax.data.synthetic import SyntheticConfig
from kgml_jax.evaluation.tables import Grid, markdown
from kgml_jax.models.features import fit_scaling
from kgml_jax.models.nitrous_oxide import EMISSION, INPUTS, NitrousOxideModel
from kgml_jax.models.protocol import model_to_json
from kgml_jax.runs import directory, files
from kgml_jax.sites import Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.fit import Settings
from kgml_jax.training.strategies import STRATEGIES
from studies.nitrous_oxide import plots as n2o_plots
from studies.nitrous_oxide import report
from studies.nitrous_oxide.training import (
    Arm,
    leave_one_out,
    predict_years,
    pretrain_phases,
    pretraining_data,
    tune,
    two_phases,
)

FIRST_YEAR = 2001
PROCESS, PRETRAINED, HEAD, TUNED, SCRATCH, PLAIN = (
    "process model, priors",
    "pretrained",
    "calibration head",
    "fine-tuned",
    "from scratch",
    "plain GRU from scratch",
)
"""Arms that are compared. The plain GRU has no intermediate variables and no initial values."""
DRAWN = (PRETRAINED, TUNED, SCRATCH)
LEAST = {
    "fields": 3,
    "rates": 2,
    "years": 1,
    "spin_up_years": 0,
    "validation_fields": 1,
    "test_fields": 1,
    "chambers": 3,
    "measured_days": 1,
    "seed": 0,
    "hidden": 1,
    "steps": 1,
    "pretraining_patience": 1,
    "batch": 0,
    "tune_steps": 1,
    "validate_every": 1,
    "patience": 1,
}
"""Smallest values of options that are whole numbers."""

Soil = Literal["shared", "own"]


@dataclass(frozen=True)
class NitrousOxideConfig:
    """Pretrain KGML-ag for N2O on simulated plots and leave chambers out one by one."""

    run: Path = Path("runs/nitrous_oxide")
    """Folder for everything this run writes."""
    fields: int = 40
    """Simulated fields in Illinois, Iowa and Indiana, divided into plots by nitrogen."""
    rates: int = 3
    """Nitrogen rates of a field, evenly from 0 to 2 times what its farmer applies."""
    years: int = 3
    """Years of every plot and chamber."""
    spin_up_years: int = 3
    """Years simulated before the first, and dropped."""
    validation_fields: int = 6
    """Fields that decide when pretraining stops."""
    test_fields: int = 6
    """Fields that only score the pretrained network."""
    stations: Path | None = None
    """Table of CLIGEN stations whose climates the fields take. None: state climates."""
    chambers: int = 6
    """Chambers, at a nitrogen rate of their own; each is left out in turn."""
    measured_days: int = 40
    """Days from April to August on which a chamber is measured each year."""
    soils: tuple[Soil, ...] = ("shared", "own")
    """shared: all chambers hold one soil, as in one experiment; own: each that of its field."""
    spread: float = 1.0
    """How far the chambers' true parameters lie from the priors of the pretraining fields."""
    seed: int = 0
    """Seed of fields, chambers, weights, batches and dropout."""
    hidden: int = 64
    """Width of every recurrent layer."""
    dropout: float = 0.2
    """Share of the units of each module dropped in training."""
    emission_weight: float = 4.0
    """Weight of N2O; each of the four intermediate variables weighs 1."""
    steps: int = 600
    """Most gradient steps of each of the two phases of pretraining."""
    pretraining_patience: int = 16
    """Validations without improvement before a phase of the pretraining stops."""
    batch: int = 16
    """Plot-years a step of pretraining looks at."""
    learning_rate: float = 3e-3
    """Peak learning rate of pretraining; rises over up to 40 steps, then falls along a cosine."""
    tune_steps: int = 80
    """Most gradient steps on the other chambers; from scratch up to twice as many."""
    validate_every: int = 10
    """Steps between validations."""
    patience: int = 8
    """Validations without improvement before a fit to chambers stops."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""


@dataclass(frozen=True)
class PhasesHeader:
    """What lies beside the weights after both phases: the model, and how each phase went."""

    kind: ClassVar[str] = "pretrained-nitrous-oxide"
    model: dict[str, Any]
    history: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Station:
    """Chambers of one set-up and what the uncalibrated process model says of them."""

    soil: Soil
    chambers: Sites
    process_model: np.ndarray


def check(config: NitrousOxideConfig) -> None:
    """Refuses options that make no sense, before anything is simulated.

    Raises:
      ValueError: names the option, its value and what was expected.
    """
    for name, least in LEAST.items():
        if (found := getattr(config, name)) < least:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {found}; expected at least {least}")
    if not 0.0 <= config.dropout < 1.0:
        raise ValueError(f"--dropout {config.dropout}; expected 0 to below 1")
    for name in ("emission_weight", "learning_rate"):
        if not (found := getattr(config, name)) > 0.0:
            raise ValueError(f"--{name.replace('_', '-')} {found}; expected above 0")
    if not config.soils or len(set(config.soils)) < len(config.soils):
        raise ValueError(f"--soils {' '.join(config.soils)}; expected shared, own, or both")
    n2o_plots.check_measured_days(config.measured_days)
    n2o_plots.check_fields(config.fields, config.validation_fields, config.test_fields)


def worlds(config: NitrousOxideConfig) -> tuple[n2o_plots.Plots, dict[Soil, n2o_plots.Plots]]:
    """Draws the plots for pretraining, at the priors, and the chambers of each set-up."""
    common = SyntheticConfig(
        years=config.years,
        first_year=FIRST_YEAR,
        spin_up_years=config.spin_up_years,
        stations=config.stations,
    )
    fields = replace(common, sites=config.fields, seed=config.seed, spread=0.0)
    chambers = replace(
        common,
        sites=config.chambers,
        seed=config.seed + 1,
        spread=config.spread,
        states=(("IL", 1),),
    )
    plots = n2o_plots.lay_out(fields, np.linspace(0.0, 2.0, config.rates).tolist())
    lay_out = n2o_plots.lay_out_chambers
    return plots, {soil: lay_out(chambers, soil == "shared") for soil in config.soils}


def simulate(
    config: NitrousOxideConfig,
    plots: n2o_plots.Plots,
    chambers: dict[Soil, n2o_plots.Plots],
) -> tuple[Sites, list[Station]]:
    """Simulates plots and chambers, and measures the chambers."""
    uncalibrated = [n2o_plots.at_priors(one) for one in chambers.values()]
    truth, *found = n2o_plots.simulate(FIRST_YEAR, plots, *chambers.values(), *uncalibrated)
    stations = []
    for number, (soil, one) in enumerate(chambers.items()):
        dates = one.dates[-found[number][EMISSION].shape[1] :]
        measured = n2o_plots.measure(
            one.names, dates, found[number], config.measured_days, config.seed
        )
        sites = n2o_plots.to_sites(one, measured, FIRST_YEAR)
        stations.append(Station(soil, sites, found[len(chambers) + number][EMISSION]))
    return n2o_plots.to_sites(plots, truth, FIRST_YEAR), stations


def pretrained(
    config: NitrousOxideConfig, sites: Sites, folder: Path
) -> tuple[Arm, dict[str, dict[str, float]], Grid]:
    """Pretrains in two phases, saves the weights, and scores fields that were not trained on."""
    data = n2o_plots.divide_fields(sites, config.validation_fields, config.test_fields)
    scaling = fit_scaling(INPUTS, data)
    model = NitrousOxideModel(scaling, hidden=config.hidden, dropout=config.dropout)
    settings = Settings(
        steps=config.steps,
        batch=config.batch,
        learning_rate=config.learning_rate,
        warmup_steps=min(40, config.steps // 10),
        cosine=True,
        validate_every=config.validate_every,
        patience=config.pretraining_patience,
    )
    init_key, fit_key = jax.random.split(jax.random.key(config.seed))
    weights, history = pretrain_phases(
        model,
        model.init(init_key),
        pretraining_data(data),
        two_phases(settings, config.emission_weight),
        fit_key,
        console.logged(folder, key="phase"),
    )
    header = PhasesHeader(model=model_to_json(model), history=history)
    checkpoint.save(folder / "checkpoint", weights, PhasesHeader(**files.plain(header)))
    test = sites.take([int(row) for row in np.flatnonzero(data.test_days.any(axis=1))])
    grid = report.pretraining_grid(test, predict_years(model, weights, test))
    return Arm(model, weights, STRATEGIES["pretrained"]), history, grid


def arms(start: Arm, seed: int) -> dict[str, Arm]:
    """Returns what is fitted to the other chambers, by name."""
    key = jax.random.key(seed)
    plain = replace(start.model, intermediate=())
    scratch = STRATEGIES["site-only"]
    return {
        HEAD: replace(start, strategy=STRATEGIES["affine"]),
        TUNED: replace(start, strategy=STRATEGIES["full"]),
        SCRATCH: Arm(start.model, start.model.init(key), scratch),
        PLAIN: Arm(plain, plain.init(key), scratch),
    }


def leave_chambers_out(
    config: NitrousOxideConfig, stations: Sequence[Station], start: Arm, folder: Path
) -> tuple[list[dict[str, np.ndarray]], dict[str, dict[str, list]]]:
    """Predicts each chamber by models that saw only others of its set-up.

    Returns:
      For each set-up N2O by arm, g N m-2 d-1, (chamber, time); and what the fits did, by arm, the
      chambers of all set-ups in a row.
    """
    # All fits of an arm are one program, compiled once.
    apart = [leave_one_out(station.chambers) for station in stations]
    windows = jax.tree.map(lambda *leaves: np.concatenate(leaves), *apart)
    settings = Settings(
        steps=config.tune_steps, validate_every=config.validate_every, patience=config.patience
    )
    key = jax.random.key(config.seed)
    predicted, fits = [uncalibrated(station, start) for station in stations], {}
    for name, arm in arms(start, config.seed).items():
        steps = arm.strategy.settings(settings).steps
        with console.logged(folder, key="arm")(name, steps) as observer:
            fit = tune(arm, windows, settings, config.emission_weight, key, observer)
        for number, station in enumerate(stations):
            own = slice(number * config.chambers, (number + 1) * config.chambers)
            phi = jax.tree.map(lambda leaf, own=own: leaf[own], fit.phi)
            predicted[number][name] = predict_years(
                arm.model, arm.weights, station.chambers, arm.strategy.adaptation, phi
            )[EMISSION]
        kept = ("start_error", "best_error", "best_step", "healthy", "accepted")
        fits[name] = {part: np.asarray(getattr(fit, part)).tolist() for part in kept}
    return predicted, fits


def uncalibrated(station: Station, start: Arm) -> dict[str, np.ndarray]:
    """Returns N2O by the arms that learn nothing from chambers."""
    found = predict_years(start.model, start.weights, station.chambers)
    return {PROCESS: station.process_model, PRETRAINED: found[EMISSION]}


def write(
    folder: Path,
    grids: Sequence[Grid],
    stations: Sequence[Station],
    predicted: Sequence[dict[str, np.ndarray]],
) -> None:
    """Writes tables and daily predictions, and draws the chambers of each set-up."""
    text = "\n".join(map(markdown, grids))
    files.write_text(folder / "tables.md", text)
    console.say(text)
    soils = [station.soil for station in stations]
    results = report.daily(soils, [station.chambers for station in stations], predicted)
    title = "Nitrous oxide of chambers, observed and predicted"
    files.write_dataset(folder / "predictions.nc", results, title)
    if not console.can_draw():
        return
    for soil in soils:
        report.draw(folder / "figures" / f"chambers_{soil}_soil.png", results, soil, DRAWN)


def main(config: NitrousOxideConfig) -> None:
    """Simulates, pretrains, leaves chambers out, and writes the run directory."""
    check(config)
    with directory.claimed(config.run, config, config.overwrite, "nitrous_oxide") as run:
        leave_all_out(config, run.folder)


def leave_all_out(config: NitrousOxideConfig, folder: Path) -> None:
    """Does all of it in a claimed folder."""
    plots, chambers = worlds(config)
    started = time.perf_counter()
    count = len(plots.names) + sum(len(one.names) for one in chambers.values())
    console.say(f"Simulating {count} plots and chambers ...")
    sites, stations = simulate(config, plots, chambers)
    start, history, grid = pretrained(config, sites, folder)
    predicted, fits = leave_chambers_out(config, stations, start, folder)
    grids = [
        report.chamber_grid(station.soil, station.chambers, series)
        for station, series in zip(stations, predicted, strict=True)
    ]
    write(folder, [grid, *grids], stations, predicted)
    seconds = time.perf_counter() - started
    scores = {
        station.soil: {arm: report.n2o_scores(station.chambers, v) for arm, v in one.items()}
        for station, one in zip(stations, predicted, strict=True)
    }
    summary = {"seconds": seconds, "pretraining": history, "scores": scores, "fits": fits}
    files.write_json(folder / "summary.json", summary)
    place = directory.final_name(folder)
    console.say(f"Done in {seconds:.0f} s. Tables, predictions and figures are in {place}")
