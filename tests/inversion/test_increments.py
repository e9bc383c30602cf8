"""Parameters, pools at the start and an increment of pools, estimated together at a twin site."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.inversion.increments import books_of_site, keep_books
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.updates import ScheduledUpdate
from kgml_jax.records import quantities
from kgml_jax.split import DividedSites

UPDATE = ScheduledUpdate("soil_carbon", "2001-07-01")
MODEL = ProcessModel(updates=(UPDATE,), observables=("soil_carbon_stock",))
NAMES = (
    "vcmax_multiplier",
    "particulate_decay_rate",
    "initial_carbon_multiplier",
    "initial_water_fraction",
    UPDATE.name,
)
STREAMS = ("NEE", "ET", "Rh", "soil_carbon_stock")
PROBLEM = Problem(MODEL, NAMES, default_prior_sd(NAMES), tuple(map(Stream, STREAMS)))
TRUTH = np.array([[0.4, -0.3, 0.5, -0.4, 0.15]], np.float32)
SAMPLED = (20, 250, 360)
"""Days on which the soil was sampled: once before the update, twice after it."""


def nothing(parameters, attributes, forcing, *, outputs):
    """In place of a simulation, whose fluxes are replaced anyway."""
    fluxes = ("GPP", "Ra", "Rh", "ET", "grain_carbon", *outputs)
    return {name: np.zeros(forcing["crop"].shape) for name in fluxes}


@pytest.fixture(scope="module")
def twin():
    """A site of one year, whose observations are exact predictions at `TRUTH`."""
    sites = assemble(
        per_site(generate(SyntheticConfig(sites=1, years=1, spin_up_years=0), nothing)), targets=()
    )
    year = int(np.asarray(sites.site.calendar.year)[0, 0])
    shift = (np.datetime64("2001-01-01") - np.datetime64(f"{year}-01-01")).astype(int)
    calendar = sites.site.calendar.replace(date=sites.site.calendar.date + shift)
    site = sites.site.replace(calendar=calendar)
    weights = MODEL.init(jax.random.key(0))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), site)
    true = jax.jit(PROBLEM.predict)(weights, TRUTH[0], one)
    days = np.arange(site.valid.shape[1])
    sampled = np.isin(days, SAMPLED)[None]
    mask = {name: sampled if name == STREAMS[-1] else site.valid for name in STREAMS}
    site = site.replace(
        targets={name: np.asarray(true[name])[None] for name in STREAMS},
        mask=mask,
        uncertainty={
            name: np.full(mask[name].shape, 20.0 if name == STREAMS[-1] else 0.05, np.float32)
            for name in STREAMS
        },
    )
    return dataclasses.replace(sites, site=site), weights


@pytest.mark.slow
def test_parameters_initial_pools_and_an_increment_are_found_together(twin):
    sites, weights = twin
    found = estimate(
        PROBLEM, weights, DividedSites.undivided(sites), LevenbergMarquardt(), jax.random.key(0)
    )
    assert found.accepted.all()
    np.testing.assert_allclose(found.offsets, TRUTH, atol=0.03)


@pytest.mark.slow
def test_the_increment_is_in_the_books_and_they_close(twin):
    sites, weights = twin
    single = keep_books(PROBLEM, weights, sites, TRUTH)
    assert single.added.carbon.shape == (1, 1)
    with jax.enable_x64(True):
        real = lambda leaf: jnp.asarray(leaf, float if np.asarray(leaf).dtype.kind == "f" else None)
        site = jax.tree.map(lambda leaf: real(leaf[0]), sites.site)
        exact = jax.jit(books_of_site, static_argnums=0)(
            PROBLEM, jax.tree.map(real, weights), real(TRUTH[0]), site
        )
        exact = jax.device_get(exact)
    # float64, stocks of 1e4 g C m-2.
    for name in quantities(exact.imbalance):
        assert getattr(exact.imbalance, name) < 1e-9, name
    assert exact.added.carbon > 100
    np.testing.assert_allclose(single.added.carbon[0], exact.added.carbon, rtol=1e-3)
