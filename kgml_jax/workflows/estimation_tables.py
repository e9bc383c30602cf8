"""Estimates as data sets: parameters with units, intervals and flags, and daily predictions."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from kgml_jax.inversion.increments import Books
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.sites import Estimates
from kgml_jax.models.hybrid import process_of
from kgml_jax.process.ecosystem import Imbalance
from kgml_jax.process.state_update import Increment
from kgml_jax.records import quantities
from kgml_jax.sites import Sites

if TYPE_CHECKING:
    from kgml_jax.workflows.estimation import Estimated


def parameter_table(fitted: "Estimated") -> xr.Dataset:
    """Returns every parameter of every site in its own units, with its flags.

    Dims (site, parameter); the units, bounds and priors are coordinates of the parameters.
    """
    found, known, sites = fitted.found, fitted.known, fitted.data.sites
    both, names = ("site", "parameter"), found.problem.names
    flags = known.identification
    partner = np.array(names)[flags.partner]
    columns = {
        "value": (known.parameters.value, "estimate, also the median of the posterior"),
        "sd": (known.parameters.sd, "posterior standard deviation"),
        "lower": (known.parameters.lower, "5 % quantile of the posterior"),
        "upper": (known.parameters.upper, "95 % quantile of the posterior"),
        "shrinkage": (known.posterior.shrinkage, "1 - posterior sd over prior sd, unbounded"),
        "identified": (flags.identified, "1: the data determine the parameter"),
        "at_bound": (flags.at_bound, "1: the estimate lies at a bound"),
        "trade_off": (flags.trade_off, "largest posterior correlation with another parameter"),
    }
    table = xr.Dataset(
        {
            name: (both, np.asarray(values, np.float32), {"long_name": text})
            for name, (values, text) in columns.items()
        },
        coords={"site": list(sites.names), "parameter": list(names)},
    )
    table["trade_off_with"] = (both, partner.astype(str))
    per_site = {
        "accepted": (found.accepted, "1: better than the prior on the validation days"),
        "healthy": (found.healthy, "1: cost and derivatives were finite"),
        "converged": (converged(found), "1: the search ended before its budget did"),
        "degrees_of_freedom": (known.posterior.degrees_of_freedom, "parameters the data inform"),
        "condition_number": (known.posterior.condition_number, "of J^T J in units of the prior"),
        "respiration_trade_off": (known.partition.difference_to_sum, "sd(Ra - Rh) / sd(Ra + Rh)"),
        "simulations": (fitted.simulations, "simulations of the record spent"),
    }
    for name, (values, text) in per_site.items():
        table[name] = ("site", np.asarray(values, np.float32), {"long_name": text})
    describe(table, found.problem)
    if fitted.books is not None:
        _keep_books(table, found.problem, fitted.books)
    if (world := true_world(sites)) is not None:
        # Nothing moved the pools of the synthetic sites.
        none = np.zeros(len(sites))
        true = [world.get(f"true_{name}", none) for name in names]
        truth = np.stack([np.asarray(one) for one in true], axis=1)
        table["truth"] = (both, truth, {"long_name": "parameter of the synthetic site"})
    return table


def true_world(sites: Sites) -> xr.Dataset | None:
    """Returns the truth of synthetic sites; None of measured ones."""
    # The sites may be some of the world alone.
    return None if sites.truth is None else sites.truth.sel(site=list(sites.names))


def describe(table: xr.Dataset, problem: Problem) -> None:
    """Adds units, bounds and priors of the parameters, and which of them are no more than bases."""
    declared = problem.quantities.values()
    table.coords["units"] = ("parameter", [one.units for one in declared])
    table.coords["prior"] = ("parameter", [one.default for one in declared])
    for end, name in enumerate(("lower_bound", "upper_bound")):
        ends = [one.bounds[end] if one.bounds else np.nan for one in declared]
        table.coords[name] = ("parameter", ends)
    daily = getattr(problem.model, "moved_daily", ())
    text = "1: a network moves the parameter from day to day; its value is the base it moves about"
    flags = [float(name in daily) for name in problem.names]
    table["moves_daily"] = ("parameter", flags, {"long_name": text})


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
    """Returns predicted days of the streams with their intervals, dims (site, time).

    Days are counted from each site's first; the dates are in `date`. Days of padding are NaN.
    """
    sites = fitted.data.sites
    valid = np.asarray(sites.site.valid)
    date = np.asarray(sites.site.calendar.date).astype("datetime64[D]").astype("datetime64[ns]")
    table = xr.Dataset({"date": (("site", "day"), date)}, coords={"site": list(sites.names)})
    for name, one in fitted.predictions.items():
        kept = lambda values: np.where(valid, values, np.nan).astype(np.float32)
        table[name] = (("site", "day"), kept(one.value))
        table[f"{name}_sd"] = (("site", "day"), kept(one.sd))
        table[f"{name}_conformal_factor"] = ("site", np.asarray(one.factor, np.float32))
        if one.annual is not None:
            whole = lambda values, kept=one.annual.whole: np.where(kept, values, np.nan)
            about = {"long_name": "sum of all days of a held-out calendar year"}
            table[f"{name}_year"] = (("site", "year"), whole(one.annual.value), about)
            about = {"long_name": "its standard deviation, from the parameters alone"}
            table[f"{name}_year_sd"] = (("site", "year"), whole(one.annual.sd), about)
    first = np.asarray(sites.site.calendar.year)[:, :1]
    if "year" in table.dims:
        table["calendar_year"] = (("site", "year"), first + np.arange(table.sizes["year"]))
    return table
