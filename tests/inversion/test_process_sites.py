"""Estimation with the process model itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.models.process import ProcessModel
from kgml_jax.split import DividedSites

NAMES = ("vcmax_multiplier", "maintenance_respiration_rate", "metabolic_decay_rate")
TRUTH = np.array([[0.5, -0.4, 0.6], [-0.6, 0.5, -0.3]], np.float32)
PROBLEM = Problem(
    ProcessModel(), NAMES, default_prior_sd(NAMES), tuple(map(Stream, ("NEE", "ET", "Reco")))
)


def nothing(parameters, attributes, forcing, *, outputs):
    """In place of a simulation, whose fluxes are replaced anyway."""
    fluxes = ("GPP", "Ra", "Rh", "ET", "grain_carbon", *outputs)
    return {name: np.zeros(forcing["crop"].shape) for name in fluxes}


@pytest.fixture(scope="module")
def twin():
    """Two sites of a year, whose observations are exact predictions at `TRUTH`."""
    config = SyntheticConfig(sites=2, years=1, spin_up_years=0)
    sites = assemble(per_site(generate(config, nothing)))
    weights = PROBLEM.model.init(jax.random.key(0))
    predict = jax.jit(lambda z, site: PROBLEM.predict(weights, z, site))
    rows = [
        predict(truth, jax.tree.map(jnp.asarray, sites.one(name)))
        for truth, name in zip(TRUTH, sites.names, strict=True)
    ]
    variables = [stream.variable for stream in PROBLEM.streams]
    exact = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in variables}
    mask = {name: sites.site.mask[name] for name in variables}
    targets = {name: np.where(mask[name], exact[name], 0.0) for name in variables}
    # A hundredth of what towers state, so that the prior hardly pulls.
    sigma = {name: 0.01 * sites.site.uncertainty[name] for name in variables}
    site = sites.site.replace(targets=targets, mask=mask, uncertainty=sigma)
    return dataclasses.replace(sites, site=site), weights


@pytest.mark.slow
def test_exact_observations_give_back_the_parameters_of_each_site(twin):
    sites, weights = twin
    found = estimate(
        PROBLEM, weights, DividedSites.undivided(sites), LevenbergMarquardt(), jax.random.key(0)
    )
    np.testing.assert_allclose(found.offsets, TRUTH, atol=5e-3)
    assert found.accepted.all()
    assert found.solutions.converged.all()
    # Gauss-Newton needs few passes, each a simulation with three tangents.
    assert (found.evaluations <= 4 * 15).all()
    assert (found.estimate.training_error < 1e-3 * found.prior.training_error).all()
