"""What `estimate.py` writes and prints: parameters with flags, scores, coverage."""

from pathlib import Path
from typing import TYPE_CHECKING

import inputs
import numpy as np
import reporting
import run_directory
import xarray as xr
from estimate_intervals import annual_grid, coverage_grid, prediction_table

from kgml_jax.data.splits import Split
from kgml_jax.evaluation.tables import Grid, markdown, number
from kgml_jax.inversion.increments import Books
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.sites import Estimates
from kgml_jax.models.features import INPUT_SETS, fit_scaling
from kgml_jax.models.hybrid import process_of
from kgml_jax.process.ecosystem import Imbalance
from kgml_jax.process.state_update import Increment
from kgml_jax.records import quantities
from kgml_jax.sites import Sites

if TYPE_CHECKING:
    from estimate import Outcome

BEFORE, AFTER = "prior", "estimated"


def write(folder: Path, loaded: inputs.Loaded, split: Split, outcome: "Outcome") -> None:
    """Writes `parameters.nc`, `sites.nc`, `predictions.nc`, `tables.md`, and prints the tables."""
    sites, days = loaded.sites, inputs.test_days(split, loaded.sites)
    scaling = fit_scaling(INPUT_SETS["dynamic"], sites, split.roles(sites))
    results = reporting.score_all(outcome.fluxes, sites, days, scaling)
    error = results["standardised_mse"]
    results["harmed"] = (error > error.sel(strategy=BEFORE)).astype(float)
    # A run on top of a hybrid may look at some of the sites alone.
    world = None if loaded.world is None else loaded.world.sel(site=list(sites.names))
    parameters = parameter_table(sites, outcome, world)
    reporting.write_dataset(folder / "parameters.nc", parameters)
    reporting.write_dataset(folder / "sites.nc", results)
    reporting.write_dataset(folder / "predictions.nc", prediction_table(sites, outcome))
    grids = [parameter_grid(parameters), coverage_grid(outcome)]
    grids += [annual_grid(sites, outcome, days, world), outcome_grid(results, outcome)]
    grids += [] if outcome.books is None else [update_grid(parameters, outcome.books)]
    scores = reporting.markdown(results)
    (folder / "tables.md").write_text("\n".join([*map(markdown, grids), scores]))
    reporting.print_medians(results)
    reporting.show(grids)
    run_directory.write_json(folder / "summary.json", summary(results, parameters, outcome))
    shown = results.sel(variable=drawable(results["variable"].values, sites, days))
    reporting.draw(folder / "figures", sites, split, outcome.fluxes, shown, days)
    reporting.say(f"Everything is in {folder}: parameters.nc, predictions.nc, sites.nc, tables.md.")


def drawable(variables: np.ndarray, sites: Sites, days: np.ndarray) -> list[str]:
    """Returns which variables have a test day: a stock that was sampled once may have none."""
    return [str(name) for name in variables if np.any(sites.site.mask[str(name)] & days)]


def parameter_table(sites: Sites, outcome: "Outcome", world: xr.Dataset | None) -> xr.Dataset:
    """Returns every parameter of every site in its own units, with its flags.

    Dims (site, parameter); the units, bounds and priors are coordinates of the parameters.
    """
    found, known = outcome.found, outcome.known
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
        "simulations": (outcome.simulations, "simulations of the record spent"),
    }
    for name, (values, text) in per_site.items():
        table[name] = ("site", np.asarray(values, np.float32), {"long_name": text})
    describe(table, found.problem)
    if outcome.books is not None:
        _keep_books(table, found.problem, outcome.books)
    if world is not None:
        # Nothing moved the pools of the synthetic sites.
        none = np.zeros(len(sites))
        true = [world.get(f"true_{name}", none) for name in names]
        truth = np.stack([np.asarray(one) for one in true], axis=1)
        table["truth"] = (both, truth, {"long_name": "parameter of the synthetic site"})
    return table


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


def parameter_grid(table: xr.Dataset) -> Grid:
    """Tabulates every parameter over sites: median, spread, how often it is determined."""
    columns = ["parameter", "units", "prior", "median", "10 to 90 %", "shrinkage", "identified"]
    columns += ["at a bound", *(["r with truth"] if "truth" in table else [])]
    rows = []
    for name in table["parameter"].values:
        one = table.sel(parameter=name)
        low, high = np.quantile(one["value"], (0.1, 0.9))
        row = [str(name), str(one["units"].item()), number(one["prior"].item())]
        row += [number(float(one["value"].median())), f"{number(low)} to {number(high)}"]
        row += [number(float(one["shrinkage"].median()))]
        row += [f"{float(one[flag].mean()):.0%}" for flag in ("identified", "at_bound")]
        if "truth" in table:
            row.append(number(float(xr.corr(one["value"], one["truth"]))))
        rows.append(tuple(row))
    title = "Parameters over sites; identified, at a bound: share of the sites"
    if daily := [str(name) for name in table["parameter"].values[table["moves_daily"] > 0]]:
        title += f". A network moves {', '.join(daily)} from day to day: these are bases"
    return Grid(title, tuple(columns), tuple(rows), 2)


def update_grid(table: xr.Dataset, found: Books) -> Grid:
    """Tabulates what updates added, medians over sites, and how well the budgets close with it."""
    names = tuple(quantities(Increment))
    rows = []
    for update in table["update"].values:
        one = table.sel(update=update, parameter=update)
        added = [number(float(one[f"added_{name}"].median())) for name in names]
        share = f"{float(one['identified'].mean()):.0%}"
        rows.append((str(update), number(float(one["value"].median())), *added, share))
    gaps = [f"{name} {np.max(getattr(found.imbalance, name)):.1e}" for name in names]
    title = (
        "Updates: amount and what it added, medians over sites; identified: share of the sites. "
        f"Largest daily gap of the budgets with them, single precision: {', '.join(gaps)}"
    )
    units = [f"{name} added, {one.units}" for name, one in quantities(Increment).items()]
    return Grid(title, ("update", "amount", *units, "identified"), tuple(rows), 1)


def outcome_grid(results: xr.Dataset, outcome: "Outcome") -> Grid:
    """Tabulates the errors before and after, and how the sites fared."""
    error = results["standardised_mse"]
    found, known = outcome.found, outcome.known
    rows = (
        ("median error before", number(float(error.sel(strategy=BEFORE).median()))),
        ("median error after", number(float(error.sel(strategy=AFTER).median()))),
        ("sites accepted", f"{int(found.accepted.sum())} of {len(found.sites)}"),
        ("sites harmed on test days", str(int(results["harmed"].sel(strategy=AFTER).sum()))),
        ("sites whose search converged", f"{int(converged(found).sum())} of {len(found.sites)}"),
        ("sites not finite", str(int((~found.healthy).sum()))),
        ("parameters identified, mean", number(known.identification.identified.sum(1).mean())),
        ("degrees of freedom, mean", number(known.posterior.degrees_of_freedom.mean())),
        ("simulations a site", f"{outcome.simulations.mean():.0f}"),
        ("seconds", f"{outcome.seconds:.0f}"),
    )
    title = f"Outcome; error: {reporting.HEADLINE}"
    return Grid(title, ("", "value"), rows, 1)


def summary(results: xr.Dataset, parameters: xr.Dataset, outcome: "Outcome") -> dict:
    """Returns the run in numbers, for `summary.json`."""
    error = results["standardised_mse"]
    shares = lambda name: {
        str(one): float(parameters[name].sel(parameter=one).mean())
        for one in parameters["parameter"].values
    }
    return {
        "sites": parameters.sizes["site"],
        "headline": reporting.HEADLINE,
        "median_mse": {str(n): float(error.sel(strategy=n).median()) for n in (BEFORE, AFTER)},
        "sites_accepted": int(outcome.found.accepted.sum()),
        "sites_harmed_on_test": int(results["harmed"].sel(strategy=AFTER).sum()),
        "sites_not_finite": int((~outcome.found.healthy).sum()),
        "identified": shares("identified"),
        "at_bound": shares("at_bound"),
        "seconds": outcome.seconds,
        "variables": {
            name: reporting.variable_summaries(results, name) for name in (BEFORE, AFTER)
        },
    }
