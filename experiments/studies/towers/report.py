"""Scores and tables of the tower experiment."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.evaluation.references import day_of_year_climatology
from kgml_jax.evaluation.scores import score as score_days
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.models.features import Scaling, standardise
from kgml_jax.process.drivers import Attributes
from kgml_jax.records import quantities
from kgml_jax.sites import PREDICTABLE
from studies.towers.data import GRASS, STREAMS, Towers
from studies.towers.models import AFTER, BEFORE
from studies.towers.parameters import FLAGS, INTERVALS

HARM = 0.01
"""Share by which the error of NEE must grow for a site to count as harmed."""

HEADLINE = "NEE"
METRICS = ("rmse", "r2", "bias")
CLIMATOLOGY = "climatology"


def score(predictions: Mapping[str, xr.Dataset], towers: Towers) -> xr.Dataset:
    """Scores every model on the test days, before and after.

    Args:
      predictions: by model, as of `models.calibrate`.
      towers: observations; those of a month count on its last day.

    Returns:
      `METRICS`, dims (model, strategy, site, variable); `climatology_rmse`, of the mean of the
      other years at the day of the year, dims (site, variable); `accepted` and `harmed`, dims
      (model, site); and what `parameters.described` says, NaN for models without process
      parameters.
    """
    data = towers.data
    predicted = {name for model in predictions.values() for name in _predicted(model)}
    variables = [name for name in STREAMS if name in predicted]
    parts: list[xr.Dataset] = []
    for model in predictions.values():
        fluxes = {
            str(name): {str(v): model[v].sel(strategy=name).values for v in _predicted(model)}
            for name in model["strategy"].values
        }
        part = score_days(fluxes, data.sites, data.test_days, METRICS).drop_vars("variable_units")
        extra = [name for name in model.data_vars if name not in _predicted(model)]
        part = part.assign(harmed=_harmed(part["rmse"])).reindex(variable=variables)
        parts.append(part.merge(model[extra]))
    names = xr.DataArray(list(predictions), dims="model", name="model")
    scores = xr.concat(parts, dim=names, join="outer", data_vars="all", coords="minimal")
    seasonal = {CLIMATOLOGY: day_of_year_climatology(data.sites, data.learning_days)}
    reference = score_days(seasonal, data.sites, data.test_days, METRICS)["rmse"].squeeze(drop=True)
    scores["climatology_rmse"] = reference.drop_vars("variable_units").sel(variable=variables)
    units = [PREDICTABLE[name].units for name in variables]
    return scores.assign_coords(variable_units=("variable", units))


def _predicted(model: xr.Dataset) -> list[str]:
    return [str(name) for name, values in model.data_vars.items() if "day" in values.dims]


def _harmed(rmse: xr.DataArray) -> xr.DataArray:
    nee = rmse.sel(variable=HEADLINE)
    before, after = nee.sel(strategy=BEFORE), nee.sel(strategy=AFTER)
    return (_grown(before, after) & np.isfinite(before)).astype(float).drop_vars("variable")


def _grown(before: Any, after: Any) -> Any:
    # An error that is not finite any more has grown.
    return np.logical_not(after <= (1 + HARM) * before)


def gain(scores: xr.Dataset) -> xr.DataArray:
    """Returns by how much the RMSE falls, as a share of that before, (model, site, variable)."""
    before, after = (scores["rmse"].sel(strategy=name, drop=True) for name in (BEFORE, AFTER))
    return 1 - after / before


def grids(scores: xr.Dataset) -> list[Grid]:
    """Returns all tables: overview, errors by variable, what was identified."""
    errors = [error_grid(scores, str(name)) for name in scores["variable"].values]
    tables = [overview_grid(scores), *errors]
    if "identified" in scores:
        tables += [count_grid(scores), parameter_grid(scores), interval_grid(scores)]
    return tables


def kinds_of_sites(scores: xr.Dataset) -> dict[str, np.ndarray]:
    """Returns which sites are crops and which the stress test, bool (site,)."""
    grass = scores["group"].values == GRASS
    every = {"crops": ~grass, "grasslands": grass}
    return {name: rows for name, rows in every.items() if rows.any()}


def overview_grid(scores: xr.Dataset) -> Grid:
    """Tabulates by kind of site and model: skill, gain, gate, harm, parameters identified."""
    rows = []
    variables = [str(name) for name in scores["variable"].values]
    for kind, chosen in kinds_of_sites(scores).items():
        for model in scores["model"].values:
            own = scores.sel(model=model).isel(site=chosen)
            skill = own["r2"].sel(variable=HEADLINE).median("site")
            gains = [
                _percent(gain(own).sel(variable=name).median("site").item()) for name in variables
            ]
            share = lambda name, of=own: f"{int(of[name].sum())} of {of.sizes['site']}"
            better = gain(own).sel(variable=HEADLINE) > HARM
            rows.append(
                (
                    kind,
                    str(model),
                    *(number(skill.sel(strategy=name).item()) for name in (BEFORE, AFTER)),
                    *gains,
                    share("accepted"),
                    f"{int(better.sum())} of {own.sizes['site']}",
                    share("harmed"),
                    _mean_count(own),
                )
            )
    named = ("sites", "model", f"R2 of {HEADLINE}, before", "after")
    gained = [f"gain {name}" for name in variables]
    columns = (*named, *gained, "accepted", "better", "harmed", "parameters identified")
    title = (
        "Held-out years: median R2 over sites; median gain: fall of the RMSE, % of that before; "
        "sites accepted by the gate; sites whose error of NEE falls or grows by more than "
        f"{HARM:.0%}; mean number of parameters identified"
    )
    return Grid(title, columns, tuple(rows), 2)


def error_grid(scores: xr.Dataset, variable: str) -> Grid:
    """Tabulates the RMSE of one variable at every site, before and after, by model."""
    own = scores.sel(variable=variable)
    rows = []
    for site in own["site"].values:
        here = own.sel(site=site)
        cells = [_pair(here.sel(model=model)) for model in own["model"].values]
        name = (str(site), str(here["group"].item()))
        rows.append((*name, *cells, number(here["climatology_rmse"].item())))
    title = (
        f"RMSE of {variable}, {own['variable_units'].item()}, on the held-out years before and "
        f"after; =: the gate kept the model as it was; !: grown by more than {HARM:.0%}"
    )
    models = [str(name) for name in own["model"].values]
    return Grid(title, ("site", "kind", *models, CLIMATOLOGY), tuple(rows), 2)


def _pair(here: xr.Dataset) -> str:
    before, after = (here["rmse"].sel(strategy=name).item() for name in (BEFORE, AFTER))
    if not np.isfinite(before):
        return "-"
    if not here["accepted"].item():
        return f"{number(before)} ="
    mark = "!" if _grown(before, after) else ""
    return f"{number(before)} > {number(after)}{mark}"


def count_grid(scores: xr.Dataset) -> Grid:
    """Tabulates how many parameters of every site have which flag."""
    counts = scores[list(FLAGS)].sum("parameter")
    models = _with_parameters(scores)
    rows = []
    for site in counts["site"].values:
        cells = []
        for name in models:
            own = counts.sel(site=site, model=name)
            kept = "" if scores["accepted"].sel(site=site, model=name).item() else " ="
            cells.append(", ".join(f"{own[flag].item():.0f}" for flag in FLAGS) + kept)
        rows.append((str(site), str(scores["group"].sel(site=site).item()), *cells))
    title = (
        "Parameters identified, beyond two standard deviations of their prior, at a bound, of "
        f"{scores.sizes['parameter']}; =: the gate kept the prior"
    )
    return Grid(title, ("site", "kind", *models), tuple(rows), 2)


def interval_grid(scores: xr.Dataset) -> Grid:
    """Tabulates the share of held-out days and years that 90 % intervals hold."""
    rows = []
    for kind, chosen in kinds_of_sites(scores).items():
        for model in _with_parameters(scores):
            for stream in scores["stream"].values:
                own = scores.sel(model=model, stream=stream).isel(site=chosen)
                cells = [_inside(own.sel(interval=name)) for name in INTERVALS]
                rows.append((kind, model, str(stream), *cells))
    title = (
        "Share of the held-out observations inside 90 % intervals, pooled, and of how many: days "
        "by the error model; days with intervals stretched by held-out crop-years of the learning "
        "years; sums over the observed days of a year by the error model"
    )
    columns = ("sites", "model", "stream", "days", "days, conformal", "years")
    return Grid(title, columns, tuple(rows), 3)


def _inside(own: xr.Dataset) -> str:
    counted = own["counted"].sum().item()
    if not counted:
        return "-"
    return f"{(own['inside'] * own['counted']).sum().item() / counted:.0%} of {counted:.0f}"


def parameter_grid(scores: xr.Dataset) -> Grid:
    """Tabulates at how many sites of each kind a parameter is identified."""
    kinds, models = kinds_of_sites(scores), _with_parameters(scores)
    rows = []
    for parameter in scores["parameter"].values:
        cells = []
        for model in models:
            own = scores.sel(parameter=parameter, model=model)
            counts = [own["identified"].isel(site=some).sum().item() for some in kinds.values()]
            largest = own["shrinkage"].max().item()
            cells.append(f"{' + '.join(f'{count:.0f}' for count in counts)} ({largest:.2f})")
        rows.append((str(parameter), *cells))
    named = " + ".join(f"{name} (of {some.sum()})" for name, some in kinds.items())
    title = f"Sites at which a parameter is identified: {named}; in brackets the largest shrinkage"
    return Grid(title, ("parameter", *models), tuple(rows), 1)


def distance_grid(towers: Towers, scaling: Scaling) -> Grid:
    """Tabulates how far the attributes of every tower lie from those that dPL learnt from."""
    inputs = np.array([scale.name for scale in scaling.inputs])
    fixed = np.isin(inputs, list(quantities(Attributes)))
    site = towers.sites.site
    first = jax.vmap(lambda own: standardise(scaling, own)[0])(site)
    distance = np.abs(np.asarray(first))[:, fixed]
    rows = []
    for name, own in zip(towers.sites.names, distance, strict=True):
        farthest = np.argmax(own)
        rows.append((name, str(inputs[fixed][farthest]), number(own[farthest])))
    title = (
        "Attributes of the towers against those of the synthetic sites that dPL learnt from: the "
        "farthest from their mean, in standard deviations"
    )
    return Grid(title, ("site", "attribute", "distance"), tuple(rows), 2)


def _with_parameters(scores: xr.Dataset) -> list[str]:
    has = scores["identified"].notnull().any(("site", "parameter"))
    return [str(name) for name in scores["model"].values[has.values]]


def _mean_count(own: xr.Dataset) -> str:
    if "identified" not in own or not own["identified"].notnull().any():
        return "-"
    return number(own["identified"].sum("parameter").mean("site").item())


def _percent(share: float) -> str:
    return f"{share:+.0%}" if np.isfinite(share) else "-"
