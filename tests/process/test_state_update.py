import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled
from strategies import corn_soy_forcing, random_attributes, random_params

from kgml_jax import integrate
from kgml_jax.process import ecosystem, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.ecosystem import Factors, Params
from kgml_jax.process.state_update import Update, update
from kgml_jax.records import constant, quantities

pytestmark = pytest.mark.usefixtures("x64")
DAYS = 365
NAMES = tuple(quantities(Update))


def world(seed=3):
    forcing = jax.tree.map(lambda leaf: np.asarray(leaf)[:DAYS], corn_soy_forcing(1))
    return random_params(seed), random_attributes(seed), forcing


@partial(jax.jit, static_argnames="moving")
def simulated(params, attributes, forcing, factors, updates, moving):
    """Fluxes, what updates added, what budgets leave, and wettest soil, on every day."""
    hydraulic = soil_water.hydraulics(params, attributes)

    def day(state, drivers):
        today, factor, moved = drivers
        before, added = state, None
        if moving:
            state, added = update(hydraulic, state, moved)
        after, fluxes = ecosystem.step(params, attributes, state, today, "simulated", factor)
        left = ecosystem.imbalance(attributes, before, after, today, fluxes, added, state)
        smallest = jnp.min(jnp.stack([leaf.min() for leaf in jax.tree.leaves(after.organic)]))
        over = jnp.max(soil_water.content(state.water.soil) / hydraulic.saturation)
        return after, (fluxes, added, left, smallest, over)

    start = ecosystem.initial_state(params, attributes)
    return integrate.rollout(day, start, (forcing, factors, updates))


def daily(record, names, values):
    columns = dict(zip(names, values, strict=True))
    return record(**{name: np.asarray(column) for name, column in columns.items()})


def neutral():
    factors = daily(Factors, quantities(Factors), np.ones((3, DAYS)))
    return factors, daily(Update, NAMES, np.zeros((len(NAMES), DAYS)))


@pytest.fixture(scope="module")
def doubled():
    """A year with random factors on fluxes and random updates, in double precision."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        factors = daily(Factors, quantities(Factors), np.exp(rng.normal(0, 0.5, (3, DAYS))))
        updates = daily(Update, NAMES, rng.normal(0, 0.05, (len(NAMES), DAYS)))
        _, outcome = simulated(*world(), factors, updates, moving=True)
        return jax.tree.map(np.asarray, outcome)


def test_budgets_close_with_scaled_fluxes_and_updates_of_the_state(doubled):
    fluxes, added, left, smallest, _ = doubled
    assert np.abs(left.heat).max() < 1e-9
    for name in ("carbon", "nitrogen", "water"):
        assert np.abs(getattr(left, name)).max() < 1e-9
        # The updates are not small beside what closes.
        assert np.abs(getattr(added, name)).max() > 1e-2
    assert smallest.min() >= 0
    assert fluxes.gross_primary_productivity.max() > 5


def test_without_the_increments_the_books_would_not_close(doubled):
    _, added, left, *_ = doubled
    assert np.abs(left.carbon + added.carbon).max() > 1.0


updated, content = compiled(update), compiled(soil_water.content)


@compiled
def start():
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    return hydraulic, ecosystem.initial_state(Params(), Attributes())


def test_no_update_wets_soil_beyond_saturation():
    hydraulic, state = start()
    for shift in (-30.0, 3.0, 30.0):
        after, added = updated(hydraulic, state, Update(soil_water=constant(shift)))
        share = content(after.water.soil) / hydraulic.saturation
        assert (np.asarray(share) <= 1 + 1e-6).all()
        assert (np.asarray(share) >= 0).all()
        assert np.sign(added.water) == np.sign(shift)


@pytest.mark.parametrize("name", NAMES)
def test_an_update_moves_its_pools_alone(name):
    hydraulic, state = start()
    crop = jax.tree.map(lambda pool: pool + np.asarray([50.0, 2.0]), state.plant)
    state = dataclasses.replace(
        state, plant=crop, water=dataclasses.replace(state.water, snow=np.asarray(12.0))
    )
    after, added = updated(hydraulic, state, Update(**{name: constant(np.log(2.0))}))
    factors = {
        jax.tree_util.keystr(path): np.unique(np.round(np.asarray(new / old)[old > 0], 5))
        for (path, new), old in zip(
            jax.tree.leaves_with_path(after), jax.tree.leaves(state), strict=True
        )
        if np.any(np.asarray(new != old))
    }
    assert factors, "nothing moved"
    if name == "soil_water":
        assert list(factors) == [".water.soil"]
        return
    assert all(np.allclose(values, 2.0) for values in factors.values())
    own = {
        "plant": {"nonstructural", "leaf", "stem", "root", "grain"},
        "litter": {"metabolic", "structural"},
        "microbial": {"dissolved", "microbial"},
        "mineral_nitrogen": {"ammonium", "nitrate"},
    }.get(name, {name})
    assert {path.split(".")[-1] for path in factors} == own
    assert float(added.carbon + added.nitrogen + added.water) > 0


def test_neutral_factors_and_updates_change_nothing():
    none = simulated(*world(), None, None, moving=False)[1][0]
    neutrally = simulated(*world(), *neutral(), moving=True)[1][0]
    for name in ("net_ecosystem_exchange", "evapotranspiration", "soil_organic_carbon"):
        np.testing.assert_allclose(
            getattr(neutrally, name), getattr(none, name), rtol=2e-5, atol=2e-4
        )


@pytest.mark.parametrize(
    ("factor", "flux"),
    [
        ("photosynthesis", "gross_primary_productivity"),
        ("maintenance", "maintenance_respiration"),
        ("decomposition", "heterotrophic_respiration"),
    ],
)
def test_a_factor_raises_its_flux(factor, flux):
    factors, updates = neutral()
    more = dataclasses.replace(factors, **{factor: jnp.asarray(np.full(DAYS, 1.2))})
    usual, raised = (
        np.asarray(getattr(simulated(*world(), each, updates, moving=True)[1][0], flux)).sum()
        for each in (factors, more)
    )
    assert 1.02 < raised / usual < 1.5


@pytest.mark.slow
def test_the_sum_of_carbon_moves_with_an_update_as_finite_differences_have_it():
    with jax.enable_x64(True):
        params, attributes, forcing = world()
        factors, updates = neutral()

        def end(size):
            moved = dataclasses.replace(
                updates, particulate=jnp.where(jnp.arange(DAYS) == 100, size, 0.0)
            )
            fluxes = simulated(params, attributes, forcing, factors, moved, moving=True)[1][0]
            return jnp.sum(fluxes.heterotrophic_respiration)

        both = jax.jit(lambda size: jax.jvp(end, (size,), (1.0,)))
        step = 1e-4
        (_, slope), (above, _), (below, _) = (both(0.1 + shift) for shift in (0.0, step, -step))
        assert float(slope) == pytest.approx(float(above - below) / (2 * step), rel=1e-6)
        assert slope > 0
