"""A thousand sites drawn at random, with weather and management meant to break them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import stacked
from strategies import random_attributes, random_forcing, random_params

from kgml_jax import integrate
from kgml_jax.process import ecosystem

SITES, YEARS, BATCH = 1000, 18, 50
STARVED = 10
"""One site in so many starts without carbon and nitrogen in its soil."""


def batch(first):
    """Sites `first`, `first + 1`, ... of one batch."""
    seeds = range(first, first + BATCH)
    return (
        stacked([random_params(seed) for seed in seeds]),
        stacked([random_attributes(seed) for seed in seeds]),
        stacked([random_forcing(seed, 365 * YEARS) for seed in seeds]),
        jnp.arange(first, first + BATCH) % STARVED == 0,
    )


def start(params, attributes, empty):
    state = ecosystem.initial_state(params, attributes)
    emptied = lambda pools: jax.tree.map(lambda leaf: jnp.where(empty, 0.0, leaf), pools)
    organic, mineral = emptied(state.organic), emptied(state.mineral)
    return dataclasses.replace(state, organic=organic, mineral=mineral)


def worst(params, attributes, forcing, empty):
    """Largest residual of each budget, and the smallest pool, over all days."""

    def day(carry, drivers):
        state, largest, smallest = carry
        after, fluxes = ecosystem.step(params, attributes, state, drivers)
        residual = ecosystem.imbalance(attributes, state, after, drivers, fluxes)
        pools = after.plant, after.organic, after.mineral, after.water
        lowest = jnp.min(jnp.stack([leaf.min() for leaf in jax.tree.leaves(pools)]))
        larger = jax.tree.map(lambda old, new: jnp.maximum(old, jnp.abs(new)), largest, residual)
        return (after, larger, jnp.minimum(smallest, lowest)), None

    none = ecosystem.Imbalance(**dict.fromkeys(("carbon", "nitrogen", "water", "heat"), 0.0))
    carry = start(params, attributes, empty), none, jnp.inf
    (_, largest, smallest), _ = jax.lax.scan(day, jax.tree.map(jnp.asarray, carry), forcing)
    return largest, smallest


def loss(params, attributes, forcing, empty):
    """A number every budget bears upon."""

    def day(state, drivers):
        after, fluxes = ecosystem.step(params, attributes, state, drivers)
        exchange = fluxes.net_ecosystem_exchange + 0.1 * fluxes.evapotranspiration
        return after, exchange + fluxes.nitrous_oxide + 1e-3 * fluxes.soil_organic_carbon

    return jnp.mean(integrate.rollout(day, start(params, attributes, empty), forcing)[1])


@pytest.mark.slow
def test_budgets_of_a_thousand_sites_close_over_18_years(x64):
    measure = jax.jit(jax.vmap(worst))
    for first in range(0, SITES, BATCH):
        largest, smallest = measure(*batch(first))
        for budget, residual in vars(largest).items():
            # NaN would fail too.
            assert np.all(np.asarray(residual) <= 1e-9), (budget, first, residual)
        assert np.all(np.asarray(smallest) >= 0.0), first


@pytest.mark.slow
def test_gradients_of_a_thousand_sites_are_finite_over_18_years(x64):
    slope = jax.jit(jax.vmap(jax.value_and_grad(loss)))
    for first in range(0, SITES, BATCH):
        value, gradient = slope(*batch(first))
        assert np.all(np.isfinite(value)), first
        for name, leaf in vars(gradient).items():
            assert np.all(np.isfinite(leaf)), (name, first)
