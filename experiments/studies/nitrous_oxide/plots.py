"""Plots of nitrous oxide: fields at several nitrogen rates, and chambers with few measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from kgml_jax.data.assemble import assemble
from kgml_jax.data.schema import expected_units
from kgml_jax.data.synthetic import SyntheticConfig, draw
from kgml_jax.data.synthetic.observation import Noise
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.errors import DataError
from kgml_jax.models.nitrous_oxide import EMISSION, INTERMEDIATE
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.process.ecosystem import Params
from kgml_jax.records import quantities
from kgml_jax.sites import TEST, TRAIN, VALIDATION, Sites
from kgml_jax.split import DividedSites

TARGETS = (*INTERMEDIATE, EMISSION)

OUTPUTS = {
    "nitrate": "nitrate",
    "ammonium": "ammonium",
    "soil_water_content": "soil_water_content",
    EMISSION: "nitrous_oxide",
}
"""Targets beside the carbon fluxes by the process model's names."""

FERTILISER = ("fertiliser_ammonium", "fertiliser_nitrate")

NOISE = {
    "Rh": Noise(0.15, 0.08),
    "nitrate": Noise(0.1, 0.15),
    "ammonium": Noise(0.1, 0.15),
    "soil_water_content": Noise(0.02, 0.0),
    EMISSION: Noise(5e-5, 0.2),
}
"""Errors of chambers and soil samples, by order of magnitude."""

SEASON = (91, 243)
"""First and last day of the year on which chambers are measured, April to August."""

SAMPLED = ("nitrate", "ammonium")
"""What takes a soil sample, on every third day of measurement."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Plots:
    """Plots as the process model takes and answers them; leaves (plot,) or (plot, time)."""

    names: tuple[str, ...]
    fields: tuple[str, ...]
    """The field of each plot; plots of one field differ in their nitrogen alone."""
    dates: np.ndarray
    """Days that are simulated, spin-up first, datetime64[D], (time,)."""
    parameters: Arrays
    attributes: Arrays
    forcing: Arrays


def lay_out(config: SyntheticConfig, rates: Sequence[float]) -> Plots:
    """Draws fields and divides each into plots whose fertiliser is that of the field times a rate.

    Args:
      config: the fields; its `names` become theirs.
      rates: factors of the field's fertiliser, at least 0.
    """
    drawn = draw(config)
    count, each = len(drawn.names), len(rates)
    repeat = lambda arrays: {name: np.repeat(v, each, axis=0) for name, v in arrays.items()}
    forcing = repeat(drawn.forcing)
    factor = np.tile(np.asarray(rates, float), count)[:, None]
    forcing |= {name: forcing[name] * factor for name in FERTILISER}
    return Plots(
        names=tuple(f"{name} N x{rate:g}" for name in drawn.names for rate in rates),
        fields=tuple(name for name in drawn.names for _ in rates),
        dates=drawn.dates,
        parameters=repeat(drawn.parameters),
        attributes=repeat(drawn.attributes),
        forcing=forcing,
    )


def lay_out_chambers(config: SyntheticConfig, one_station: bool) -> Plots:
    """Draws fields with one chamber each, at a nitrogen rate of its own, 0.5 to 1.5 of the field's.

    Each is a field of its own, so that leaving a chamber out leaves its weather and management out.

    Args:
      config: the fields; `spread` says how far the true parameters lie from the priors.
      one_station: all chambers hold the soil of the first field, with its true parameters.
    """
    plots = lay_out(config, (1.0,))
    draw_rate = lambda name: generator(config.seed, name, "rate").uniform(0.5, 1.5)
    factor = np.array([draw_rate(name) for name in plots.fields])[:, None]
    names = tuple(f"chamber-{row}" for row in range(1, len(plots.names) + 1))
    nitrogen = {name: plots.forcing[name] * factor for name in FERTILISER}
    chambers = replace(plots, names=names, fields=names, forcing=plots.forcing | nitrogen)
    if not one_station:
        return chambers
    alike = lambda arrays: {name: np.full_like(v, v[0]) for name, v in arrays.items()}
    return replace(chambers, parameters=alike(plots.parameters), attributes=alike(plots.attributes))


def at_priors(plots: Plots) -> Plots:
    """Returns the plots as the uncalibrated process model sees them."""
    known = quantities(Params)
    priors = {name: np.full_like(v, known[name].default) for name, v in plots.parameters.items()}
    return replace(plots, parameters=priors)


def simulate(first_year: int, *groups: Plots, plots_at_once: int = 16) -> tuple[Arrays, ...]:
    """Simulates plots of the same days together; returns the targets of each group, (plot, time).

    Args:
      first_year: days before it are spin-up and left out.
      groups: plots over the same days.
      plots_at_once: bounds memory.
    """
    joined = lambda part: {
        name: np.concatenate([getattr(group, part)[name] for group in groups])
        for name in getattr(groups[0], part)
    }
    parts = [joined(part) for part in ("parameters", "attributes", "forcing")]
    asked = tuple(OUTPUTS.values())
    found = simulate_sites(*parts, site_batch=plots_at_once, outputs=asked)
    kept = groups[0].dates >= np.datetime64(f"{first_year}-01-01")
    true = {name: found[OUTPUTS.get(name, name)][:, kept] for name in TARGETS}
    ends = np.cumsum([len(group.names) for group in groups])
    starts = ends - [len(group.names) for group in groups]
    return tuple(
        {name: values[start:end] for name, values in true.items()}
        for start, end in zip(starts, ends, strict=True)
    )


def check_measured_days(days: int) -> None:
    """Refuses a number of days of measurement a year that a season does not have.

    Raises:
      DataError: states what a season has.
    """
    whole = SEASON[1] - SEASON[0] + 1
    if not 1 <= days <= whole:
        raise DataError("days of measurement a year", found=days, expected=f"1 to {whole}")


def measure(names: Sequence[str], dates: np.ndarray, true: Arrays, days: int, seed: int) -> Arrays:
    """Measures chambers on some days of each season, with errors; NaN on all other days.

    The intermediate variables are also measured on every 1 January, their initial values.

    Args:
      names: of the chambers; each has its own random stream.
      dates: datetime64[D], (time,).
      true: values by name, (plot, time).
      days: days of measurement a year.
      seed: of the days and errors.

    Raises:
      DataError: more days are asked for than a season has.
    """
    check_measured_days(days)
    measured = {name: np.full(values.shape, np.nan) for name, values in true.items()}
    for row, chamber in enumerate(names):
        random = generator(seed, chamber, "chamber")
        visited, sampled = _visits(random, dates, days)
        for name, values in true.items():
            seen = sampled if name in SAMPLED else visited
            if name != EMISSION:
                seen = seen | _new_year(dates)
            errors = random.normal(size=len(dates)) * NOISE[name].sd(values[row])
            measured[name][row] = np.where(seen, values[row] + errors, np.nan)
    return measured


def _visits(
    random: np.random.Generator, dates: np.ndarray, days: int
) -> tuple[np.ndarray, np.ndarray]:
    # Days of measurement, and those on which a soil sample is taken too, bool (time,).
    visited = np.zeros(len(dates), bool)
    sampled = np.zeros(len(dates), bool)
    for start in np.flatnonzero(_new_year(dates)):
        chosen = np.sort(random.choice(np.arange(SEASON[0], SEASON[1] + 1), days, replace=False))
        visited[start + chosen - 1] = True
        sampled[start + chosen[::3] - 1] = True
    return visited, sampled


def _new_year(dates: np.ndarray) -> np.ndarray:
    return dates == dates.astype("datetime64[Y]")


def to_sites(plots: Plots, values: Arrays, first_year: int) -> Sites:
    """Assembles plots and the values of their targets; the group of a plot is its field.

    Args:
      plots: with the spin-up, which is left out.
      values: targets by name, (plot, time), NaN where there is none.
      first_year: of the values.
    """
    kept = plots.dates >= np.datetime64(f"{first_year}-01-01")
    time = plots.dates[kept].astype("datetime64[ns]")
    given = [name for name in plots.forcing if expected_units(name) is not None]
    datasets = []
    for row, name in enumerate(plots.names):
        series = {key: plots.forcing[key][row, kept] for key in given}
        series |= {key: observed[row] for key, observed in values.items()}
        dataset = xr.Dataset(
            {key: ("time", daily) for key, daily in series.items()}, coords={"time": time}
        )
        dataset = dataset.assign({key: v[row] for key, v in plots.attributes.items()})
        datasets.append(dataset.assign_attrs(site=name, group=plots.fields[row]))
    return assemble(datasets, TARGETS)


def check_fields(fields: int, validation: int, test: int) -> None:
    """Refuses a division of fields that leaves none to train, to validate or to test.

    Raises:
      DataError: states what was found and expected.
    """
    if validation < 1 or test < 1 or validation + test >= fields:
        raise DataError(
            "fields that validate and test",
            found=f"{validation} and {test} of {fields}",
            expected="at least 1 each, and fewer than all",
        )


def divide_fields(sites: Sites, validation: int, test: int) -> DividedSites:
    """Divides plots by their fields, of which whole ones train, validate and test.

    Fields are taken in the order of a hash of their names, so that the states mix.

    Raises:
      DataError: no field would be left to train on.
    """
    fields = sorted(set(sites.groups), key=lambda name: generator(0, name, "role").random())
    check_fields(len(fields), validation, test)
    role = dict.fromkeys(fields, TRAIN)
    role |= dict.fromkeys(fields[:validation], VALIDATION)
    role |= dict.fromkeys(fields[validation : validation + test], TEST)
    of_plot = np.array([role[field] for field in sites.groups], np.int8)
    roles = np.broadcast_to(of_plot[:, None], np.shape(sites.site.valid))
    return DividedSites.of_roles(sites, roles, "whole fields")
