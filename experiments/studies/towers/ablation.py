"""All arms on the same days: medians over towers, tower by tower, and what no model could reach."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from kgml_jax.evaluation.scores import score as score_days
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.sites import PREDICTABLE, VALIDATION
from studies.towers.data import GRASS, GROUPS
from studies.towers.folder import DAYTIME
from studies.towers.models import AFTER, BEFORE, ESTIMATED, HELD_OUT
from studies.towers.network import FLUXES
from studies.towers.protocols import Trial

METRICS = ("r2", "rmse", "bias")
PARTITIONED = ("GPP", "Reco")
NOTHING = "-"
CROPS, GRASSES, DAILY = "crops", "grasslands", "crops with NEE by day"
ALL_DAILY = "all with NEE by day"
"""Kinds of towers that medians are over."""


def score(arms: Mapping[str, xr.Dataset], trial: Trial) -> xr.Dataset:
    """Scores all arms on the days of a trial.

    Args:
      arms: by name, as of `arms.predict`.
      trial: whose scored days count.

    Returns:
      `METRICS`, dims (arm, strategy, site, variable); `<metric>_daytime` against the daytime
      partition where towers have it; `r2_member`, dims (arm, member, site, variable), of ensembles;
      `ceiling`, dims (site, variable): the R2 of a prediction without error, NaN where no
      uncertainty is stated; `accepted`, dims (arm, site); `r2_validation`, dims (arm, site,
      variable), of ensembles in their validation years, where the towers scored have any.
    """
    sites, days = trial.towers.sites, trial.scored
    parts, of_members = [], {}
    for name, arm in arms.items():
        fluxes = _strategies(arm)
        own = score_days(fluxes, sites, days, METRICS).drop_vars("variable_units")
        own = own.reindex(variable=list(FLUXES)).assign(_daytime(fluxes, trial))
        if members := _members(arm):
            if trial.calibrates:
                own = own.assign(r2_validation=_validation(fluxes, trial))
            seen = score_days(members, sites, days, ("r2",))["r2"].drop_vars("variable_units")
            seen = seen.rename(strategy="member").reindex(variable=list(FLUXES))
            of_members[name] = seen.assign_coords(member=np.arange(len(members)))
        parts.append(own.assign(accepted=("site", arm["accepted"].to_numpy())))
    label = xr.DataArray(list(arms), dims="arm", name="arm")
    scores = xr.concat(parts, dim=label, join="outer", data_vars="all", coords="minimal")
    if of_members:
        together = xr.concat([*of_members.values()], xr.DataArray([*of_members], dims="arm"))
        together = together.reindex(arm=list(arms))
        scores["r2_member"] = together.assign_coords(arm=scores["arm"])
    scores["ceiling"] = (("site", "variable"), ceiling(trial))
    return scores.assign_coords(variable_units=("variable", [PREDICTABLE[v].units for v in FLUXES]))


def _validation(fluxes: Mapping[str, Mapping[str, np.ndarray]], trial: Trial) -> xr.DataArray:
    """Returns R2 on the validation years, which networks stop by and no weight is fitted to."""
    days = trial.towers.data.roles == VALIDATION
    found = score_days({BEFORE: fluxes[BEFORE]}, trial.towers.sites, days, ("r2",))["r2"]
    return (
        found.drop_vars("variable_units")
        .squeeze("strategy", drop=True)
        .reindex(variable=list(FLUXES))
    )


def _strategies(arm: xr.Dataset) -> dict[str, dict[str, np.ndarray]]:
    names = [name for name in FLUXES if name in arm]
    return {
        str(one): {name: arm[name].sel(strategy=one).to_numpy() for name in names}
        for one in arm["strategy"].to_numpy()
        # Of days that are scored it is no further prediction.
        if one != HELD_OUT
    }


def _members(arm: xr.Dataset) -> dict[str, dict[str, np.ndarray]]:
    names = [name for name in FLUXES if f"{name}_member" in arm]
    return {
        str(one): {name: arm[f"{name}_member"].isel(member=one).to_numpy() for name in names}
        for one in range(arm.sizes.get("member", 0))
    }


def _daytime(fluxes: Mapping[str, Mapping[str, np.ndarray]], trial: Trial) -> xr.Dataset:
    """Returns scores of GPP and Reco against the daytime partition of the towers that have it."""
    shape = np.shape(trial.towers.sites.site.valid)
    targets, mask = {}, {}
    for name in PARTITIONED:
        values = np.full(shape, np.nan, np.float32)
        for row, field in enumerate(trial.towers.fields):
            if (key := f"{name}{DAYTIME}") in field.dataset:
                values[row, : field.dataset.sizes["time"]] = field.dataset[key].to_numpy()
        mask[name], targets[name] = np.isfinite(values), np.where(np.isfinite(values), values, 0.0)
    own = {
        one: {name: values for name, values in of.items() if name in PARTITIONED}
        for one, of in fluxes.items()
    }
    if not any(own.values()) or not any(seen.any() for seen in mask.values()):
        return xr.Dataset()
    sites = trial.towers.sites
    site = sites.site.replace(targets=targets, mask=mask)  # type: ignore[attr-defined]
    found = score_days(own, replace(sites, site=site), trial.scored, METRICS)
    found = found[list(METRICS)].drop_vars("variable_units").reindex(variable=list(FLUXES))
    return found.rename({name: f"{name}_daytime" for name in METRICS})


def ceiling(trial: Trial) -> np.ndarray:
    """Returns the R2 that the stated uncertainties leave to a prediction without error.

    1 - mean(sigma^2) / var(observed) on the scored days, (site, variable); NaN where a tower states
    no uncertainty of a flux.
    """
    site = trial.towers.sites.site
    found = np.full((len(trial.towers.sites), len(FLUXES)), np.nan)
    for row, field in enumerate(trial.towers.fields):
        for column, name in enumerate(FLUXES):
            if f"{name}_uncertainty" not in field.dataset or name not in site.targets:
                continue
            days = np.asarray(site.mask[name])[row] & trial.scored[row]
            if days.sum() > 1:
                sigma = np.asarray(site.uncertainty[name])[row][days]
                observed = np.asarray(site.targets[name])[row][days]
                found[row, column] = 1 - np.mean(sigma**2) / max(np.var(observed), 1e-9)
    return found


def kinds_of_towers(trial: Trial) -> dict[str, np.ndarray]:
    """Returns which towers a median is over, bool (site,), by kind."""
    groups = np.array(trial.towers.sites.groups)
    grass, daily = groups == GRASS, groups == GROUPS[0]
    found = {CROPS: ~grass, DAILY: daily, GRASSES: grass, ALL_DAILY: daily | grass}
    if (daily == ~grass).all():
        del found[DAILY]
    if not grass.any() or not daily.any():
        del found[ALL_DAILY]
    return {name: rows for name, rows in found.items() if rows.any()}


def grids(scores: xr.Dataset, trial: Trial) -> list[Grid]:
    """Returns all tables of a trial."""
    tables = [median_grid(scores, trial, "r2"), median_grid(scores, trial, "rmse")]
    tables += [site_grid(scores, str(name)) for name in FLUXES]
    if trial.calibrates:
        tables.append(harm_grid(scores, trial))
    if "r2_validation" in scores:
        tables.append(validation_grid(scores, trial))
    if "r2_daytime" in scores:
        tables.append(partition_grid(scores, trial))
    if "r2_member" in scores:
        tables.append(member_grid(scores, trial))
    return tables


def best_known(scores: xr.Dataset) -> xr.Dataset:
    """Returns the scores of the last strategy of each arm: after calibration, if there is any."""
    last = AFTER if AFTER in scores["strategy"] else BEFORE
    return scores.sel(strategy=last)


def _order(scores: xr.Dataset) -> list[str]:
    return [one for one in (BEFORE, ESTIMATED, AFTER) if one in scores["strategy"]]


def median_grid(scores: xr.Dataset, trial: Trial, metric: str) -> Grid:
    """Tabulates medians over the towers of a kind: an arm a row, a flux a column."""
    rows = []
    for kind, chosen in kinds_of_towers(trial).items():
        for arm in scores["arm"].to_numpy():
            cells = []
            for name in FLUXES:
                own = scores[metric].sel(arm=arm, variable=name).isel(site=chosen)
                steps = [_median(own.sel(strategy=one)) for one in _order(scores)]
                cells.append(" > ".join(step for step in steps if step != NOTHING) or NOTHING)
            rows.append((kind, str(arm), *cells))
    arrows = ""
    if AFTER in scores["strategy"]:
        arrows = "; before (> with estimated parameters) > after the correction at the tower"
    title = f"Median {'R2' if metric == 'r2' else 'RMSE'} over towers{arrows}"
    units = [f", {PREDICTABLE[name].units}" if metric == "rmse" else "" for name in FLUXES]
    columns = [f"{name}{unit}" for name, unit in zip(FLUXES, units, strict=True)]
    return Grid(title, ("towers", "arm", *columns), tuple(rows), 2)


def site_grid(scores: xr.Dataset, variable: str) -> Grid:
    """Tabulates R2 of one flux, tower by tower, with its ceiling."""
    own = best_known(scores)["r2"].sel(variable=variable)
    arms = [str(arm) for arm in own["arm"].to_numpy()]
    rows = []
    for site in own["site"].to_numpy():
        cells = [number(own.sel(site=site, arm=arm).item()) for arm in arms]
        group = str(scores["group"].sel(site=site).item())
        limit = scores["ceiling"].sel(site=site, variable=variable).item()
        rows.append((str(site), group, *cells, number(limit) if np.isfinite(limit) else "-"))
    title = f"R2 of {variable}, tower by tower; ceiling: what the stated random error leaves"
    return Grid(title, ("tower", "kind", *arms, "ceiling"), tuple(rows), 2)


def harm_grid(scores: xr.Dataset, trial: Trial) -> Grid:
    """Tabulates what correcting at the towers did to the RMSE of NEE on the scored days."""
    before, after = (scores["rmse"].sel(strategy=one, variable="NEE") for one in (BEFORE, AFTER))
    change = after / before - 1
    rows = []
    for kind, chosen in kinds_of_towers(trial).items():
        for arm in scores["arm"].to_numpy():
            own = change.sel(arm=arm).isel(site=chosen).to_numpy()
            own = own[np.isfinite(own)]
            if own.size:
                worse = f"{int((own > 0.03).sum())} of {own.size}"
                rows.append((kind, str(arm), f"{np.median(own):+.1%}", f"{own.max():+.1%}", worse))
    columns = ("towers", "arm", "median", "worst", "grown by more than 3 %")
    return Grid("Change of the RMSE of NEE by calibration at the tower", columns, tuple(rows), 2)


def validation_grid(scores: xr.Dataset, trial: Trial) -> Grid:
    """Tabulates median R2 of networks in validation years: which inputs are worth their place."""
    rows = []
    for kind, chosen in kinds_of_towers(trial).items():
        for arm in scores["arm"].to_numpy():
            own = scores["r2_validation"].sel(arm=arm).isel(site=chosen)
            if own.notnull().any():
                rows.append((kind, str(arm), *(_median(own.sel(variable=v)) for v in FLUXES)))
    title = "Median R2 in the validation years, by which inputs and sizes are chosen"
    return Grid(title, ("towers", "arm", *FLUXES), tuple(rows), 2)


def partition_grid(scores: xr.Dataset, trial: Trial) -> Grid:
    """Tabulates median R2 against both partitions, at the towers that have both."""
    own = best_known(scores)
    both = own["r2_daytime"].sel(variable="GPP").notnull().any("arm").to_numpy()
    rows = []
    for kind, chosen in kinds_of_towers(trial).items():
        for arm in own["arm"].to_numpy():
            here = own.sel(arm=arm).isel(site=chosen & both)
            cells = [
                _median(here[key].sel(variable=name))
                for name in PARTITIONED
                for key in ("r2", "r2_daytime")
            ]
            rows.append((kind, str(arm), *cells))
    columns = ("towers", "arm", "GPP, NT", "GPP, DT", "Reco, NT", "Reco, DT")
    title = "Median R2 against the night-time (NT) and daytime (DT) partition"
    return Grid(title, columns, tuple(rows), 2)


def member_grid(scores: xr.Dataset, trial: Trial) -> Grid:
    """Tabulates median R2 of ensembles seed by seed: mean and standard deviation over seeds."""
    rows = []
    own = scores["r2_member"]
    for kind, chosen in kinds_of_towers(trial).items():
        for arm in own["arm"].to_numpy():
            medians = own.sel(arm=arm).isel(site=chosen).median("site")
            if not np.isfinite(medians).any():
                continue
            cells = [
                f"{medians.sel(variable=name).mean().item():.3f} ± "
                f"{medians.sel(variable=name).std(ddof=1).item():.3f}"
                for name in FLUXES
            ]
            rows.append((kind, str(arm), *cells))
    title = "Median R2 over towers of single members: mean ± standard deviation over seeds"
    return Grid(title, ("towers", "arm", *FLUXES), tuple(rows), 2)


def _median(values: xr.DataArray) -> str:
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    return number(float(np.median(finite))) if finite.size else NOTHING
