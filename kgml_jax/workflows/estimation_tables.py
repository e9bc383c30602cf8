"""Estimates as data sets: parameters with units, intervals and flags, and daily predictions."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from kgml_jax.data import conventions
from kgml_jax.inversion.increments import Books
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.sites import Estimates
from kgml_jax.models.hybrid import process_of
from kgml_jax.models.measured import CONCERNED
from kgml_jax.process.ecosystem import Imbalance
from kgml_jax.process.parameters import ENERGY_BALANCE_RATIO, parted
from kgml_jax.process.state_update import Increment
from kgml_jax.records import quantities
from kgml_jax.sites import PREDICTABLE, Sites
from kgml_jax.workflows import prediction
from kgml_jax.workflows.prediction_file import with_observations
from kgml_jax.workflows.simulation_sources import measured

if TYPE_CHECKING:
    from kgml_jax.workflows.estimated import Estimated


def parameter_table(fitted: "Estimated") -> xr.Dataset:
    """Returns every parameter of every site in its own units, with its flags.

    Dims (site, parameter); the units, bounds and priors are coordinates of the parameters.
    """
    found, known, sites = fitted.found, fitted.known, fitted.data.sites
    both, names = ("site", "parameter"), found.problem.names
    flags = known.identification
    partner = np.array(names)[flags.partner]
    columns = {
        "value": (known.parameters.value, _own("estimate, also the median of the posterior")),
        "sd": (known.parameters.sd, _own("posterior standard deviation")),
        "lower": (known.parameters.lower, _own("5 % quantile of the posterior")),
        "upper": (known.parameters.upper, _own("95 % quantile of the posterior")),
        "shrinkage": (known.posterior.shrinkage, _plain("1 - posterior sd over prior sd")),
        "identified": (flags.identified, _flag("the data determine the parameter")),
        "conflicting": (flags.conflicting, _flag("more than 2 standard deviations from the prior")),
        "at_bound": (flags.at_bound, _flag("the estimate lies at a bound")),
        "trade_off": (
            flags.trade_off,
            _plain("largest posterior correlation with another parameter"),
        ),
    }
    table = xr.Dataset(
        {
            name: (both, np.asarray(values, np.float32), about)
            for name, (values, about) in columns.items()
        },
        coords={"site": list(sites.names), "parameter": list(names)},
        attrs={"title": "Parameters of sites, estimated"},
    )
    text = "the parameter that trade_off is with"
    table["trade_off_with"] = (both, partner.astype(str), {"long_name": text})
    per_site = {
        "accepted": (found.accepted, _flag("better than the prior on days held out")),
        "healthy": (found.healthy, _flag("cost and derivatives were finite")),
        "converged": (converged(found), _flag("the search ended before its budget did")),
        "degrees_of_freedom": (
            known.posterior.degrees_of_freedom,
            _plain("parameters the data inform"),
        ),
        "condition_number": (
            known.posterior.condition_number,
            _plain("of J^T J in units of the prior"),
        ),
        "respiration_trade_off": (
            known.partition.difference_to_sum,
            _plain("sd(Ra - Rh) / sd(Ra + Rh)"),
        ),
        "simulations": (fitted.simulations, _plain("simulations of the record spent")),
    }
    for name, (values, about) in per_site.items():
        table[name] = ("site", np.asarray(values, np.float32), about)
    beside = "sd lower upper identified conflicting at_bound accepted"
    table["value"].attrs["ancillary_variables"] = beside
    describe(table, found.problem)
    if fitted.books is not None:
        _keep_books(table, found.problem, fitted.books)
    if (world := true_world(sites)) is not None:
        # Nothing moved the pools of the synthetic sites.
        none = np.zeros(len(sites))
        true = [world.get(f"true_{parted(name)[0]}", none) for name in names]
        truth = np.stack([np.asarray(one) for one in true], axis=1)
        table["truth"] = (both, truth, _own("parameter of the synthetic site"))
    return table


def _own(text: str) -> dict[str, Any]:
    # Every parameter has its own units.
    return {conventions.IN_FULL: "as in the coordinate units", "long_name": text}


def _plain(text: str) -> dict[str, Any]:
    return {"units": "1", "long_name": text}


def _flag(text: str) -> dict[str, Any]:
    return conventions.flags(text, ("no", "yes"))


def true_world(sites: Sites) -> xr.Dataset | None:
    """Returns the truth of synthetic sites; None of measured ones."""
    # The sites may be some of the world alone.
    return None if sites.truth is None else sites.truth.sel(site=list(sites.names))


def describe(table: xr.Dataset, problem: Problem) -> None:
    """Adds units, bounds and priors of the parameters, and which of them are no more than bases."""
    declared = problem.quantities.values()
    about = {"long_name": "units of the parameter"}
    table.coords["units"] = ("parameter", [one.units for one in declared], about)
    table.coords["prior"] = ("parameter", [one.default for one in declared], _own("prior"))
    for end, name in enumerate(("lower_bound", "upper_bound")):
        ends = [one.bounds[end] if one.bounds else np.nan for one in declared]
        table.coords[name] = ("parameter", ends, _own(name.replace("_", " ")))
    daily = getattr(problem.model, "moved_daily", ())
    text = "a network moves the parameter from day to day; its value is the base it moves about"
    moved = [float(name in daily) for name in problem.names]
    table["moves_daily"] = ("parameter", moved, _flag(text))


def _keep_books(table: xr.Dataset, problem: Problem, found: Books) -> None:
    names = [update.name for update in process_of(problem.model).updates]
    table.coords["update"] = names
    for name, one in quantities(Increment).items():
        about = {"units": one.units, "long_name": "added to the site on the day of the update"}
        table[f"added_{name}"] = (("site", "update"), getattr(found.added, name), about)
    for name, one in quantities(Imbalance).items():
        about = {"units": one.units, "long_name": "largest daily gap of the budget with updates"}
        table[f"imbalance_{name}"] = ("site", getattr(found.imbalance, name), about)


def converged(found: Estimates) -> np.ndarray:
    """Returns whether the search that is kept ended by itself, bool (site,)."""
    return found.solutions.converged[np.arange(len(found.sites)), found.chosen]


def prediction_table(fitted: "Estimated") -> xr.Dataset:
    """Returns predicted days of the streams with their intervals, and what was observed.

    Dims (site, time), NaN outside of a record; sums over held-out years have dims (site, year), and
    are NaN in years of which a day is missing.
    """
    sites, source = fitted.data.sites, measured(fitted.data.sites)
    values = {name: np.asarray(one.value, np.float32) for name, one in fitted.predictions.items()}
    daily = prediction.as_dataset(values, sites, history="kgml_jax, estimation")
    table = with_observations(daily, fitted.data)
    year = np.asarray(sites.site.calendar.year)
    for name, one in fitted.predictions.items():
        text = f"Standard deviation of what is observed of {name}"
        about = _alike(table[name], text, "time: mean")
        table[name].attrs["ancillary_variables"] = f"{name}_sd {name}_conformal_factor"
        sd = source.placed(np.asarray(one.sd, np.float32))
        table[f"{name}_sd"] = (("site", "time"), sd, about)
        text = f"half-width of the conformal 90 % interval of {name} over its standard deviation"
        factor = np.asarray(one.factor, np.float32)
        table[f"{name}_conformal_factor"] = ("site", factor, {"units": "1", "long_name": text})
        if one.annual is not None:
            annual = {"": one.annual.value, "_sd": one.annual.sd}
            texts = {"": "sum of all days of a held-out calendar year"}
            texts["_sd"] = "its standard deviation, from the parameters alone"
            for part, sums in annual.items():
                whole = np.where(one.annual.whole, sums, np.nan)
                table[f"{name}_year{part}"] = (
                    ("site", "year"),
                    _by_calendar_year(whole, year[:, 0]),
                    _alike(table[name], texts[part], "year: sum"),
                )
    if ENERGY_BALANCE_RATIO in fitted.found.problem.names:
        text = f"as the tower measures it: that of the field times its {ENERGY_BALANCE_RATIO}"
        table[CONCERNED].attrs["comment"] = text
    if "year" in table.dims:
        years = year[:, 0].min() + np.arange(table.sizes["year"])
        table = table.assign_coords(year=("year", years, {"long_name": "calendar year"}))
    return table


def _alike(rate: xr.DataArray, text: str, method: str) -> dict[str, str]:
    # A sum of a rate over days is in its units without the day.
    full = PREDICTABLE[str(rate.name)].units
    canonical = full.removesuffix(" d-1") if method == "year: sum" else full
    return {**conventions.units(canonical), "long_name": text, "cell_methods": method}


def _by_calendar_year(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Moves (site, year), years counted from the first of each site, to a common axis of years."""
    late = first - first.min()
    moved = np.full((len(values), values.shape[1] + late.max()), np.nan, np.float32)
    for row, start in enumerate(late):
        moved[row, start : start + values.shape[1]] = values[row]
    return moved
