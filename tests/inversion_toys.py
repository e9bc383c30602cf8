"""Small models of one site whose best parameters are known, for tests of `kgml_jax.inversion`."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import toys

from kgml_jax.inversion.problem import Problem, Stream
from kgml_jax.models.process import ProcessModel
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import Sites

NAMES = ("albedo", "growth_rate", "curve_number")
"""Three parameters, of which `SlopeModel` makes slopes."""


@dataclass(frozen=True)
class SlopeModel:
    """NEE and Reco are linear in the offsets: a problem with a solution in closed form."""

    def init(self, key):
        zero = jnp.zeros((), jnp.result_type(float))
        return {"process": dict.fromkeys(quantities(Params), zero)}

    def predict(self, weights, site, key=None):
        first, second, third = (weights["process"][name] for name in NAMES)
        reco = first * site.forcing.air_temperature_mean / 10 + second
        gpp = third * site.forcing.shortwave_radiation / 10
        return {"Reco": reco, "NEE": reco - gpp, "GPP": gpp}


@dataclass(frozen=True)
class RespiringModel(SlopeModel):
    """With the parts of respiration, of which only the sum can be observed."""

    process = ProcessModel()  # what of it is asked for by name: nothing moves pools, no spin-up

    def predict(self, weights, site, key=None):
        fluxes = super().predict(weights, site, key)
        hidden = weights["process"]["degree_day_factor"]
        return {**fluxes, "Ra": fluxes["Reco"] / 2 + hidden, "Rh": fluxes["Reco"] / 2 - hidden}


@dataclass(frozen=True)
class ValleyModel(SlopeModel):
    """NEE is a cubic of one offset: its square has a minimum near 0.6 and a lower one near -1.3."""

    def predict(self, weights, site, key=None):
        z = weights["process"][NAMES[0]]
        return {"NEE": (z**3 - 1.2 * z + 0.7) * jnp.ones_like(site.forcing.co2)}


def problem(model=None, names=NAMES, prior_sd=0.5, streams=("NEE", "Reco")) -> Problem:
    return Problem(
        model=model or SlopeModel(),
        names=names,
        prior_sd=(prior_sd,) * len(names),
        streams=tuple(Stream(variable) for variable in streams),
    )


def known_sites(problem: Problem, truth: np.ndarray, noise: float = 0.0, years: int = 3) -> Sites:
    """Some years of sites whose observations are what the model predicts at `truth`, (site, p)."""
    table = toys.sites(count=len(truth), years=years)
    weights = problem.model.init(jax.random.key(0))
    real = jnp.result_type(float)
    fluxes = jax.jit(jax.vmap(problem.predict, in_axes=(None, 0, 0)))(
        weights, jnp.asarray(truth, real), table.site
    )
    rng = np.random.default_rng(1)
    seen = {name: table.site.mask.get(name, table.site.valid) for name in fluxes}
    stated = {name: table.site.uncertainty["NEE"] for name in fluxes} | table.site.uncertainty
    noisy = {
        name: np.asarray(fluxes[name]) + noise * rng.normal(size=m.shape)
        for name, m in seen.items()
    }
    targets = {name: np.where(mask, noisy[name], 0.0).astype(real) for name, mask in seen.items()}
    site = changed(table.site, targets=targets, mask=seen, uncertainty=stated)
    return dataclasses.replace(table, site=site)


def changed(site, **parts):
    return site.replace(**parts)


def linear_solution(problem: Problem, site) -> np.ndarray:
    """The maximum a posteriori offsets of a problem that is linear, by the normal equations."""
    weights = problem.model.init(jax.random.key(0))
    zero = problem.start()
    residuals = jax.jit(lambda z: problem.residuals(weights, zero, z, site))
    value = np.asarray(residuals(zero), np.float64)
    design = np.stack(
        [np.asarray(residuals(z), np.float64) - value for z in np.eye(len(zero), dtype=zero.dtype)],
        1,
    )
    return np.linalg.solve(design.T @ design, -design.T @ value)
