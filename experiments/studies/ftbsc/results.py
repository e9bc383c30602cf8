"""What the cells of the FTBSC experiment say together: errors of states, drift, and the claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from kgml_jax.evaluation import claims as claims_claims
from kgml_jax.evaluation import resampling, responses
from kgml_jax.evaluation.claims import POOLED, Claim
from kgml_jax.evaluation.resampling import Resample
from studies.ftbsc import claims
from studies.ftbsc.settings import GIVEN, Design, Setting, scratch_of
from studies.ftbsc.store import Store

KINDS = {"weather and GPP": responses.DYNAMIC_BOUND, "soil and place": responses.ATTRIBUTE_BOUND}
"""Kinds of inputs and the correlation of responses asked of each."""


def gather(store: Store, settings: Sequence[Setting], seeds: Sequence[int]) -> xr.Dataset:
    """Joins finished cells; sites that a setting does not have are NaN in it."""
    parts: list[xr.Dataset] = []
    for setting in settings:
        own = [store.scores(setting, seed) for seed in seeds]
        part = xr.concat(own, dim="seed", coords="minimal", compat="override")
        parts.append(part.assign_coords(setting=setting.name, seed=list(seeds)))
    joined = xr.concat(parts, dim="setting", join="outer", coords="minimal", compat="override")
    state_of: dict[str, str] = {}
    for part in parts:
        state_of |= dict(zip(_names(part["site"]), _names(part["state_of"]), strict=True))
    states = [state_of[site] for site in _names(joined["site"])]
    return joined.assign_coords(state_of=("site", states))


def _names(labels: xr.DataArray) -> list[str]:
    return [str(label) for label in labels.to_numpy()]


@dataclass(frozen=True)
class Results:
    """All cells.

    Attributes:
      cells: as of `gather`.
      design: the part each setting plays.
    """

    cells: xr.Dataset
    design: Design

    @property
    def states(self) -> list[str]:
        """Names of the states."""
        return _names(self.cells["state"])

    def of(self, setting: Setting) -> xr.Dataset:
        """Returns the cells of one setting with the sites it has."""
        return self._by_setting[setting.name]

    @cached_property
    def _by_setting(self) -> dict[str, xr.Dataset]:
        found = {}
        for name in _names(self.cells["setting"]):
            one = self.cells.sel(setting=name)
            held = (one["n_observed"].fillna(0.0) > 0).any(["seed", "variable"])
            found[name] = one.isel(site=np.flatnonzero(held.values))
        return found

    def sample(self, setting: Setting, resampled: bool) -> Resample:
        """Returns resamples of the seeds and sites of a setting, or the sample as it is."""
        found = self.of(setting)
        states, seeds = _names(found["state_of"]), found.sizes["seed"]
        if not resampled:
            return resampling.kept(states, seeds)
        return resampling.drawn(states, seeds, nested=setting.counts != GIVEN)

    def errors(self, setting: Setting, resampled: bool = False) -> xr.DataArray:
        """Returns the masked squared error, each variable in units of its variance, averaged.

        Returns:
          Dims (seed, train, state), or with resamples (seed, draw, train, state): of the model
          trained on `train`, on the pooled observed test days of `state`.
        """
        found = self.of(setting)
        amounts = found["n_observed"].fillna(0.0)
        relative = found["mse"] / found["target_sd"] ** 2
        means = self._means(setting, relative, amounts, resampled)
        seen = amounts.groupby("state_of").sum().sum("seed") > 0
        seen = seen.rename(state_of="state").sel(state=self.states)
        return means.where(seen, 0.0).sum("variable", skipna=False) / seen.sum("variable")

    def physics(self, setting: Setting, name: str, resampled: bool = False) -> xr.DataArray:
        """Returns `balance_residual` or `negative_share` with the dims of `errors`."""
        found = self.of(setting)[name].expand_dims("variable")
        return self._means(setting, found, found.notnull() * 1.0, resampled).isel(variable=0)

    def _means(
        self, setting: Setting, values: xr.DataArray, amounts: xr.DataArray, resampled: bool
    ) -> xr.DataArray:
        order = ("seed", "site", "train", "variable")
        values, amounts = xr.broadcast(values, amounts)
        sample = self.sample(setting, resampled)
        means = resampling.state_means(
            values.transpose(*order).values, amounts.transpose(*order).values, sample, self.states
        )
        dims = ("seed", "draw", "state", "train", "variable")
        labels = {"state": self.states, "train": values["train"].values}
        table = xr.DataArray(means, dims=dims, coords=labels)
        table = table.transpose("seed", "draw", "train", "state", "variable")
        return table if resampled else table.isel(draw=0)

    def correlations(self, setting: Setting) -> xr.DataArray:
        """Returns how alike the responses before and after calibration are.

        Returns:
          Pearson correlation of the response curves, dims (seed, state, probe, flux), with the
          bound asked of each probe as a coordinate.
        """
        before, after = (
            self.cells["response"].sel(setting=one.name)
            for one in (scratch_of(setting, self.design.scratch), setting)
        )
        dims = ("seed", "state", "probe", "flux", "point")
        curves = [one.transpose(*dims).to_numpy() for one in (before, after)]
        found = after.isel(point=0, drop=True).transpose(*dims[:-1])
        return found.copy(data=responses.correlations(curves[0], curves[1]))

    def compared(self, arm: Setting) -> list[tuple[Setting, Setting]]:
        """Returns, for each setting of the counts, the uncalibrated and the calibrated arm."""
        equal = self.design.equal
        pairs = [(self.design.continued, arm)]
        return [*pairs, (equal["continued"], equal["calibrated"])] if equal else pairs

    def chosen(self) -> Setting:
        """Returns the calibrated arm whose validation errors are lowest over seeds and states."""
        validation = {setting: self.validation(setting) for setting in self.design.sweep}
        return min(validation, key=lambda setting: validation[setting])

    def validation(self, setting: Setting) -> float:
        """Returns the geometric mean of the validation errors of a setting's own models."""
        errors = self.of(setting)["best_error"].sel(train=self.states)
        # The objective adds up the variables, the score averages them.
        return float(np.exp(np.log(errors).mean())) / len(self.cells["variable"])


def own_models(table: xr.DataArray) -> xr.DataArray:
    """Returns, of a table by `train` and `state`, each state's own model in it."""
    own = [table.sel(train=state, state=state, drop=True) for state in table["state"].values]
    return xr.concat(own, dim=table["state"]).transpose(..., "state")


def pooled_model(table: xr.DataArray) -> xr.DataArray:
    """Returns, of a table by `train` and `state`, the model of all states."""
    return table.sel(train=POOLED, drop=True)


def verdicts(results: Results, arm: Setting) -> list[Claim]:
    """Judges T1 to T5 and the drift, over seeds and over resampled seeds and sites.

    Args:
      results: all cells.
      arm: the calibrated arm that stands for the method.
    """
    over_seeds, over_sites = (_claims(results, arm, resampled) for resampled in (False, True))
    pairs = zip(over_seeds, over_sites, strict=True)
    return [claims_claims.with_sites(claim, again) for claim, again in pairs]


def _claims(results: Results, arm: Setting, resampled: bool) -> list[Claim]:
    design = results.design
    table = results.errors(design.continued, resampled)
    independent = own_models(table)
    own = lambda setting: own_models(results.errors(setting, resampled))
    overall = lambda setting: own(setting).mean("state", skipna=False).values
    residual = lambda setting: _residual(results, setting, resampled)
    without = design.knowledge["soft, lambda=0"]
    return [
        claims.orderings(own(arm), independent, pooled_model(table)),
        _gain(results, own(arm), independent),
        claims.own_is_best(table),
        claims.insensitive(
            overall(design.reference),
            {name: overall(setting) for name, setting in design.sensitivity.items()},
            independent.mean("state", skipna=False).values,
        ),
        claims.knowledge_pays(
            residual(design.reference),
            residual(without),
            overall(design.reference),
            overall(without),
        ),
        drift(results, arm, resampled),
    ]


def _residual(results: Results, setting: Setting, resampled: bool) -> np.ndarray:
    table = results.physics(setting, "balance_residual", resampled)
    return own_models(table).mean("state").values


def _gain(results: Results, calibrated: xr.DataArray, independent: xr.DataArray) -> Claim:
    data = training_data(results, results.design.reference)
    if list(data.values()).count(max(data.values())) > 1:
        return Claim("T2", f"no single state has most data: {data}", ())
    return claims.least_gain(calibrated, independent, data)


def training_data(results: Results, setting: Setting) -> Mapping[str, float]:
    """Returns the training site-years by state."""
    years = results.of(setting)["site_years"].isel(seed=0)
    return {state: float(years.sel(state=state)) for state in results.states}


def drift(results: Results, setting: Setting, resampled: bool = False) -> Claim:
    """Judges whether a calibrated arm keeps the physics of the model it started from."""
    start = scratch_of(setting, results.design.scratch)
    pairs = []
    for name in ("balance_residual", "negative_share"):
        before = pooled_model(results.physics(start, name, resampled))
        after = own_models(results.physics(setting, name, resampled))
        pairs.append((before.mean("state").values, after.mean("state").values))
    # Response curves are of states as a whole, so that no sites can be drawn for them.
    alike = {} if resampled else responses_by_kind(results, setting)
    return claims.stays_physical(pairs[0], pairs[1], alike)


def responses_by_kind(results: Results, setting: Setting) -> dict[tuple[str, float], np.ndarray]:
    """Returns the mean correlation of responses by kind of input and bound, each (seed,)."""
    found = results.correlations(setting)
    mean = lambda bound: found.isel(probe=np.flatnonzero(found["bound"].values == bound)).mean(
        ["state", "probe", "flux"]
    )
    bounds = set(found["bound"].values)
    return {(kind, least): mean(least).values for kind, least in KINDS.items() if least in bounds}
