"""Priors of the process model refit on towers together, and judged at towers that are left out.

Around the priors the misfit of every tower is quadratic in a few shared parameters; one damped step
of Gauss and Newton on the sum over towers is a refit. Whether it would be a better prior shows at a
tower that it has not seen. The last two years of a tower are never used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.bijections import constrain, unconstrain
from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd, observed
from kgml_jax.mapping import over_sites
from kgml_jax.models.protocol import Model
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, VALIDATION, Site
from kgml_jax.split import DividedSites

SETS: dict[str, tuple[str, ...]] = {
    "soil": (
        "metabolic_decay_rate",
        "structural_decay_rate",
        "particulate_decay_rate",
        "mineral_associated_decay_rate",
        "carbon_use_efficiency",
    ),
    "plant": (
        "maintenance_respiration_rate",
        "growth_rate",
        "vcmax_multiplier",
        "specific_leaf_area_multiplier",
        "senescence_multiplier",
    ),
    "water": (
        "stomatal_slope_multiplier",
        "water_stress_sensitivity",
        "critical_available_water",
        "soil_evaporation_exponent",
    ),
}
"""Parameters that are refit together, by name of the set."""

ALL = tuple(name for of_set in SETS.values() for name in of_set)

STREAMS = ("NEE", "Reco")
"""What informs. Not ET: towers close their energy balance by different amounts."""

DAMPING = 1.0
"""Of a step, as a share of the curvature: the model is far from linear."""


@dataclass(frozen=True)
class Misfit:
    """Half the sum of squares of a site around the priors, to second order."""

    cost: np.ndarray
    """(site,)"""
    gradient: np.ndarray
    """(site, p)"""
    curvature: np.ndarray
    """Of Gauss and Newton, (site, p, p)."""


def problem(model: Model) -> Problem:
    """Returns what is estimated: all parameters of `SETS`."""
    streams = tuple(Stream(name) for name in STREAMS)
    return Problem(model, ALL, default_prior_sd(ALL), streams)


def _misfits(problem: Problem, weights: Weights, offsets: Field, site: Site, roles: Field) -> Field:
    seen = observed(site, (roles == TRAIN) | (roles == VALIDATION))
    return problem.misfits(problem.predict(weights, offsets, site), seen)


def _quadratic(problem: Problem, weights: Weights, site: Site, roles: Field) -> tuple[Field, ...]:
    def of(offsets: Field) -> Field:
        return _misfits(problem, weights, offsets, site, roles)

    left, slope = jax.linearize(of, problem.start())
    jacobian = jax.vmap(slope)(jnp.eye(len(problem.names), dtype=left.dtype))
    return 0.5 * jnp.sum(left**2), jacobian @ left, jacobian @ jacobian.T


def _cost(problem: Problem, weights: Weights, offsets: Field, site: Site, roles: Field) -> Field:
    return 0.5 * jnp.sum(_misfits(problem, weights, offsets, site, roles) ** 2)


def misfit(problem: Problem, weights: Weights, data: DividedSites) -> Misfit:
    """Returns the misfit of all sites around the priors."""
    sites = (data.sites.site, data.roles)
    parts = over_sites(_quadratic, sites, static=(problem,), shared=(weights,))
    return Misfit(*map(np.asarray, parts))


def costs(
    problem: Problem, weights: Weights, data: DividedSites, offsets: np.ndarray
) -> np.ndarray:
    """Returns half the sum of squares of every site at offsets of its own, (site, p)."""
    sites = (offsets, data.sites.site, data.roles)
    return np.asarray(over_sites(_cost, sites, static=(problem,), shared=(weights,)))


def refit(
    problem: Problem, found: Misfit, sites: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the offsets that some sites ask for, and their standard deviations, both (p,).

    Args:
      problem: whose priors hold.
      found: of all sites.
      sites: which of them speak, bool (site,).
      names: of the parameters that move; others have 0 in both.
    """
    moved = np.array([name in names for name in problem.names])
    gradient = found.gradient[sites].sum(axis=0)[moved]
    curvature = found.curvature[sites].sum(axis=0)[np.ix_(moved, moved)]
    prior = np.diag(np.asarray(problem.prior_sd)[moved] ** -2.0)
    damped = curvature + prior + DAMPING * (np.diag(np.diag(curvature)) + prior)
    offsets, sd = np.zeros(moved.size), np.zeros(moved.size)
    offsets[moved] = -np.linalg.solve(damped, gradient)
    sd[moved] = np.sqrt(np.diag(np.linalg.inv(curvature + prior)))
    return offsets, sd


def at_left_out(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    found: Misfit,
    sets: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields, by set, the misfit of every site at what the others ask for, over that of the priors.

    Below 1 the refit is the better prior at the site.
    """
    everyone = np.arange(len(data))
    for name, members in sets.items():
        steps = [refit(problem, found, everyone != site, members)[0] for site in everyone]
        offsets = np.stack(steps).astype(np.float32)
        yield name, costs(problem, weights, data, offsets) / found.cost


def left_out_grid(names: Sequence[str], ratios: Mapping[str, np.ndarray]) -> Grid:
    """Tabulates what a refit on the other towers is worth at each."""
    rows = tuple(
        (of_set, *map(number, values), number(values.mean()), number(np.median(values)))
        for of_set, values in ratios.items()
    )
    title = "Misfit of a tower at priors refit on the others, over that of today's priors"
    return Grid(title, ("parameters", *names, "mean", "median"), rows, 1)


def shift_grid(problem: Problem, found: Misfit, sets: Mapping[str, Sequence[str]]) -> Grid:
    """Tabulates what all towers together ask for."""
    everyone = np.ones(len(found.cost), bool)
    rows = []
    for of_set, members in sets.items():
        offsets, sd = refit(problem, found, everyone, members)
        for at in [at for at, name in enumerate(problem.names) if name in members]:
            quantity = problem.quantities[problem.names[at]]
            before = np.float64(quantity.default)
            value = constrain(unconstrain(before, quantity) + offsets[at], quantity)
            in_sd = offsets[at] / problem.prior_sd[at], sd[at] / problem.prior_sd[at]
            cells = map(number, (before, value, *in_sd))
            rows.append((of_set, problem.names[at], *cells, quantity.units))
    columns = ("set", "parameter", "prior", "refit", "moved, prior sd", "left, prior sd", "unit")
    return Grid("What all towers together ask for", columns, tuple(rows), 2)
