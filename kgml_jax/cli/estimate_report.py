"""What the command `estimate` writes and prints: parameters with flags, scores, coverage."""

import numpy as np
import xarray as xr

from kgml_jax.cli import console, drawings, report, troubles
from kgml_jax.cli.interval_tables import annual_grid, coverage_grid
from kgml_jax.evaluation.headline import headline
from kgml_jax.evaluation.tables import Grid, markdown, number
from kgml_jax.inversion.increments import Books
from kgml_jax.models.features import INPUT_SETS, fit_scaling
from kgml_jax.process.state_update import Increment
from kgml_jax.records import quantities
from kgml_jax.runs import files
from kgml_jax.runs.directory import Run
from kgml_jax.workflows import evaluation, scoring
from kgml_jax.workflows.estimated import AFTER, BEFORE, Estimated
from kgml_jax.workflows.estimation_tables import converged, parameter_table, prediction_table
from kgml_jax.workflows.level_tables import level_table


def write(run: Run, fitted: Estimated, draw: tuple[str, ...] = (), figures: bool = True) -> None:
    """Writes `parameters.nc`, `sites.nc`, `predictions.nc`, `tables.md`, and prints the tables."""
    folder, data = run.folder, fitted.data
    scaling = fit_scaling(INPUT_SETS["dynamic"], data)
    predictions = {BEFORE: fitted.fluxes[BEFORE], AFTER: with_intervals(fitted)}
    found = evaluation.assess(predictions, data, scaling, reference=BEFORE)
    results = found.results
    error = results["standardised_mse"]
    results["harmed"] = (error > error.sel(strategy=BEFORE)).astype(float)
    parameters = parameter_table(fitted)
    files.write_dataset(folder / "parameters.nc", parameters)
    files.write_dataset(folder / "sites.nc", results, "Scores of predictions, by site")
    files.write_dataset(folder / "predictions.nc", prediction_table(fitted))
    grids = [parameter_grid(parameters), coverage_grid(fitted)]
    grids += [annual_grid(fitted), outcome_grid(results, fitted)]
    if fitted.levels is not None:
        levels = level_table(fitted.levels, fitted.found.problem)
        files.write_dataset(folder / "levels.nc", levels)
        grids.append(level_grid(levels))
    grids += [] if fitted.books is None else [update_grid(parameters, fitted.books)]
    scores = report.markdown(results)
    files.write_text(folder / "tables.md", "\n".join([*map(markdown, grids), scores]))
    report.print_medians(results)
    console.show(grids)
    files.write_json(folder / "summary.json", summary(results, parameters, fitted))
    if figures:
        drawings.draw(folder / "figures", found, draw)
    troubles.tell(fitted.troubles)
    report.say_remarks(found)
    console.say(f"Everything is in {run.path}: parameters.nc, predictions.nc, sites.nc, tables.md.")


def with_intervals(fitted: Estimated) -> dict[str, np.ndarray]:
    """Returns the fluxes after, and the 90 % intervals of the streams where they are calibrated.

    Conformal ones, for the Gaussian ones hold what the model says of itself; where validation days
    are too few for them there is none.
    """
    fluxes = dict(fitted.fluxes[AFTER])
    for name, one in fitted.predictions.items():
        factor = np.where(np.isfinite(one.factor), one.factor, np.nan)[:, None]
        half_width = factor * np.asarray(one.sd)
        fluxes[f"{name}_lower"] = np.asarray(one.value) - half_width
        fluxes[f"{name}_upper"] = np.asarray(one.value) + half_width
    return fluxes


def parameter_grid(table: xr.Dataset) -> Grid:
    """Tabulates every parameter over sites: median, spread, how often it is determined."""
    columns = ["parameter", "units", "prior", "median", "10 to 90 %", "shrinkage", "identified"]
    columns += ["conflicting", "at a bound", *(["r with truth"] if "truth" in table else [])]
    rows = []
    for name in table["parameter"].values:
        one = table.sel(parameter=name)
        low, high = np.quantile(one["value"], (0.1, 0.9))
        row = [str(name), str(one["units"].item()), number(one["prior"].item())]
        row += [number(float(one["value"].median())), f"{number(low)} to {number(high)}"]
        row += [number(float(one["shrinkage"].median()))]
        flags = ("identified", "conflicting", "at_bound")
        row += [f"{float(one[flag].mean()):.0%}" for flag in flags]
        if "truth" in table:
            row.append(number(float(xr.corr(one["value"], one["truth"]))))
        rows.append(tuple(row))
    title = (
        "Parameters over sites; identified, conflicting with the prior (2 standard deviations), "
        "at a bound: share of the sites"
    )
    if daily := [str(name) for name in table["parameter"].values[table["moves_daily"] > 0]]:
        title += f". A network moves {', '.join(daily)} from day to day: these are bases"
    return Grid(title, tuple(columns), tuple(rows), 2)


def level_grid(table: xr.Dataset) -> Grid:
    """Tabulates what crops have at all sites, and what a site that was not seen would have."""
    columns = ("parameter", "units", "prior", "level", "90 % of a new site", "spread", "sites")
    rows = []
    for name in table["parameter"].values:
        one = table.sel(parameter=name)
        ends = f"{number(float(one['lower']))} to {number(float(one['upper']))}"
        row = [str(name), str(one["units"].item()), number(one["prior"].item())]
        row += [number(float(one["value"])), ends, number(float(one["spread"]))]
        rows.append((*row, f"{int(one['sites'])}"))
    title = (
        "Levels: traits of crops (TRAIT:CROP) and what sites have in common; spread: standard "
        "deviation of sites about the level, unbounded space; sites: whose data inform it"
    )
    return Grid(title, columns, tuple(rows), 2)


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


def outcome_grid(results: xr.Dataset, fitted: Estimated) -> Grid:
    """Tabulates the errors before and after, and how the sites fared."""
    found, known = fitted.found, fitted.known
    rows = (
        *_before_and_after(results),
        ("sites accepted", f"{int(found.accepted.sum())} of {len(found.sites)}"),
        ("sites harmed on test days", str(int(results["harmed"].sel(strategy=AFTER).sum()))),
        ("sites whose search converged", f"{int(converged(found).sum())} of {len(found.sites)}"),
        ("sites not finite", str(int((~found.healthy).sum()))),
        ("parameters identified, mean", number(known.identification.identified.sum(1).mean())),
        ("degrees of freedom, mean", number(known.posterior.degrees_of_freedom.mean())),
        ("simulations a site", f"{fitted.simulations.mean():.0f}"),
        ("seconds", f"{fitted.seconds:.0f}"),
    )
    title = f"Outcome; error: {scoring.HEADLINE}"
    return Grid(title, ("", "value"), rows, 1)


def _before_and_after(results: xr.Dataset) -> list[tuple[str, str]]:
    found = headline(results)
    labels = {"median_error": "median error", "median_r2": "median R2"}
    labels["pooled_error"] = "error of all days of all sites"
    return [
        (f"{label} {when}", number(float(found[name].sel(strategy=strategy))))
        for name, label in labels.items()
        for when, strategy in (("before", BEFORE), ("after", AFTER))
    ]


def summary(results: xr.Dataset, parameters: xr.Dataset, fitted: Estimated) -> dict:
    """Returns the run in numbers, for `summary.json`."""
    error = results["standardised_mse"]
    shares = lambda name: {
        str(one): float(parameters[name].sel(parameter=one).mean())
        for one in parameters["parameter"].values
    }
    return {
        "sites": parameters.sizes["site"],
        "headline": scoring.HEADLINE,
        "median_mse": {str(n): float(error.sel(strategy=n).median()) for n in (BEFORE, AFTER)},
        "sites_accepted": int(fitted.found.accepted.sum()),
        "sites_harmed_on_test": int(results["harmed"].sel(strategy=AFTER).sum()),
        "sites_not_finite": int((~fitted.found.healthy).sum()),
        "troubles": fitted.troubles,
        "identified": shares("identified"),
        "at_bound": shares("at_bound"),
        "seconds": fitted.seconds,
        "variables": {name: scoring.variable_summaries(results, name) for name in (BEFORE, AFTER)},
    }
