import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled, stacked
from strategies import corn_soy_forcing, random_attributes, random_forcing, random_params

from kgml_jax import integrate
from kgml_jax.process import ecosystem, radiation
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.ecosystem import Params

DAYS = 3 * 365
RANDOM = 8
CORN, SOYBEAN, FALLOW, COLD = range(RANDOM, RANDOM + 4)


def stocks(state):
    return state.plant, state.organic, state.mineral, state.water


def starved(state):
    """The same state without any carbon or nitrogen in the soil."""
    empty = lambda pools: jax.tree.map(jnp.zeros_like, pools)
    return dataclasses.replace(state, organic=empty(state.organic), mineral=empty(state.mineral))


def simulate(params, attributes, forcing, empty):
    """Fluxes, budgets, smallest pool and total water of every day, and the last state."""

    def day(state, drivers):
        after, fluxes = ecosystem.step(params, attributes, state, drivers)
        residual = ecosystem.imbalance(attributes, state, after, drivers, fluxes)
        smallest = jnp.min(jnp.stack([leaf.min() for leaf in jax.tree.leaves(stocks(after))]))
        return after, (fluxes, residual, smallest, after.water.soil.sum() + after.water.snow)

    start = ecosystem.initial_state(params, attributes)
    start = jax.tree.map(lambda full, none: jnp.where(empty, none, full), start, starved(start))
    return integrate.rollout(day, start, forcing)


def worlds():
    """Random sites under adversarial weather, one without soil carbon and nitrogen; then corn,
    soybean, fallow and an icy site.
    """
    usual, fallow = corn_soy_forcing(3), corn_soy_forcing(3)
    bare = {"crop": fallow.crop * 0 - 1, "occupied": 0.0 * fallow.occupied}
    fallow = dataclasses.replace(fallow, **bare, planting=fallow.occupied * 0.0)
    frost = {name: 0.0 * usual.wind_speed - 30.0 for name in vars(usual) if "temperature" in name}
    cold = dataclasses.replace(usual, **frost, precipitation=0.0 * usual.wind_speed)
    forcing = [random_forcing(seed, DAYS) for seed in range(RANDOM)]
    params = [random_params(seed) for seed in range(RANDOM)] + 4 * [Params()]
    attributes = [random_attributes(seed) for seed in range(RANDOM)] + 3 * [Attributes()]
    attributes += [Attributes(mean_annual_temperature=jnp.asarray(-20.0))]
    forcing += [usual, corn_soy_forcing(3, first=1), fallow, cold]
    empty = np.arange(len(params)) == 0
    return stacked(params), stacked(attributes), stacked(forcing), empty


def simulated(double):
    with jax.enable_x64(double):
        end, outputs = jax.jit(jax.vmap(simulate))(*worlds())
        return jax.tree.map(np.asarray, (end, outputs))


@pytest.fixture(scope="module")
def exact():
    return simulated(double=True)


def annual(exact, name, site):
    return getattr(exact[1][0], name)[site].reshape(3, 365).sum(axis=1)


@pytest.mark.parametrize("budget", ["carbon", "nitrogen", "water", "heat"])
def test_budgets_close_in_float64(exact, budget):
    # Rounding of up to 1e5 g C m-2, 1e4 g N m-2 and 2e3 mm; a leak would show as 1e-8.
    np.testing.assert_allclose(getattr(exact[1][1], budget), 0.0, atol=1e-9)


def test_budgets_from_daily_fluxes_explain_the_change_of_stocks(exact):
    _, (fluxes, _, _, water) = exact
    with jax.enable_x64(True):
        forcing = jax.tree.map(np.asarray, worlds()[2])
    gained = fluxes.seed_carbon - fluxes.net_ecosystem_exchange - fluxes.harvested_carbon
    gained = gained + forcing.manure_carbon
    explained = lambda change, stock: np.testing.assert_allclose(
        change[:, 1:].sum(axis=1), stock[:, -1] - stock[:, 0], atol=1e-7
    )
    explained(gained, fluxes.ecosystem_carbon)
    arriving = ("seed_nitrogen", "nitrogen_fertiliser", "nitrogen_deposition", "nitrogen_fixation")
    leaving = ("harvested_nitrogen", "nitrous_oxide", "dinitrogen", "ammonia_volatilisation")
    total = lambda names: sum(getattr(fluxes, name) for name in names)
    gained = total(arriving) - total((*leaving, "nitrate_leaching")) + forcing.manure_nitrogen
    explained(gained, fluxes.ecosystem_nitrogen)
    arrived = forcing.precipitation + forcing.irrigation
    left = fluxes.evapotranspiration + fluxes.runoff + fluxes.drainage
    np.testing.assert_allclose(
        (arrived - left)[:, 1:].sum(axis=1), water[:, -1] - water[:, 0], atol=1e-7
    )


def test_no_pool_and_no_gross_flux_falls_below_zero(exact):
    _, (fluxes, _, smallest, _) = exact
    assert smallest.min() >= 0.0
    signed = {"net_ecosystem_exchange", "net_mineralisation", "ground_heat", "deep_heat"}
    signed |= {"soil_temperature", "layer_temperature"}
    for name, values in vars(fluxes).items():
        assert np.all(np.isfinite(values)), name
        assert name in signed or values.min() >= 0.0, name


def test_either_precision_can_follow_the_other_in_one_process():
    # A NumPy constant would stay as it was first traced, and the second of them not lower.
    for double in (True, False, True):
        with jax.enable_x64(double):
            day = jax.tree.map(lambda leaf: np.asarray(leaf)[0], corn_soy_forcing(1))
            start = jax.eval_shape(ecosystem.initial_state, Params(), Attributes())
            jax.jit(ecosystem.step).lower(Params(), Attributes(), start, day)


@pytest.mark.slow
def test_budgets_close_to_rounding_in_float32():
    _, (fluxes, residual, smallest, water) = simulated(double=False)
    unit = 16 * np.finfo(np.float32).eps
    assert np.all(np.abs(residual.carbon) <= unit * fluxes.ecosystem_carbon)
    assert np.all(np.abs(residual.nitrogen) <= unit * fluxes.ecosystem_nitrogen)
    assert np.all(np.abs(residual.water) <= unit * water)
    assert smallest.min() >= 0.0


@pytest.mark.parametrize(
    ("name", "corn", "soybean"),
    [
        ("gross_primary_productivity", (1200, 2100), (750, 1400)),
        ("autotrophic_respiration", (400, 900), (330, 750)),
        ("heterotrophic_respiration", (250, 900), (250, 900)),
        ("grain_carbon_harvested", (280, 700), (110, 320)),
    ],
)
def test_annual_sums_lie_in_the_range_of_the_corn_belt(exact, name, corn, soybean):
    assert corn[0] < annual(exact, name, CORN)[0] < corn[1]
    assert corn[0] < annual(exact, name, CORN)[2] < corn[1]
    assert soybean[0] < annual(exact, name, CORN)[1] < soybean[1]


def test_evaporation_is_that_of_a_wet_climate_but_below_that_of_watered_grass(exact, x64):
    def reference(day):
        air = radiation.atmosphere(Attributes(), day)
        return radiation.reference_evapotranspiration(day, air, 0.0)

    # Rain every fourth day keeps the soil of this climate wet.
    watered = float(np.sum(jax.jit(jax.vmap(reference))(corn_soy_forcing(1))))
    for site in (CORN, SOYBEAN):
        share = annual(exact, "evapotranspiration", site) / watered
        assert np.all((share > 0.6) & (share < 0.95))


def test_seasons_follow_the_crop(exact):
    fluxes = exact[1][0]
    # Towers at Mead: -12 and -3 g C m-2 d-1 in July.
    for site, uptake in ((CORN, 6.0), (SOYBEAN, 2.5)):
        peaks = fluxes.leaf_area_index[site].reshape(3, 365).max(axis=1)
        assert np.all((peaks > 3.0) & (peaks < 7.0))
        july = slice(182, 212)
        assert fluxes.net_ecosystem_exchange[site, july].mean() < -uptake
        january = fluxes.net_ecosystem_exchange[site, 365 : 365 + 31]
        assert np.all((january >= 0.0) & (january < 1.0))
    corn = fluxes.gross_primary_productivity[CORN, :365].max()
    assert fluxes.gross_primary_productivity[SOYBEAN, :365].max() < corn


def test_fallow_loses_exactly_what_its_microbes_respire(exact):
    fluxes = exact[1][0]
    assert np.all(fluxes.gross_primary_productivity[FALLOW] == 0.0)
    assert np.all(fluxes.plant_carbon[FALLOW] == 0.0)
    carbon = fluxes.ecosystem_carbon[FALLOW]
    respired = fluxes.heterotrophic_respiration[FALLOW, 1:]
    np.testing.assert_allclose(np.diff(carbon), -respired, atol=1e-10)
    assert np.all(np.diff(carbon) < 0.0)


def test_permanent_frost_stops_life(exact):
    fluxes = exact[1][0]
    for name in ("gross_primary_productivity", "autotrophic_respiration"):
        assert getattr(fluxes, name)[COLD].max() < 1e-3
    assert fluxes.heterotrophic_respiration[COLD, -365:].max() < 1e-3


def test_prescribed_photosynthesis_is_what_grows_the_crop(x64):
    forcing = corn_soy_forcing(1)
    given = 15.0 * np.sin(np.pi * np.clip((forcing.day_of_year - 140) / 120, 0, 1)) - 0.5
    forcing = dataclasses.replace(forcing, prescribed_gpp=jnp.asarray(given))

    def day(state, drivers):
        after, fluxes = ecosystem.step(Params(), Attributes(), state, drivers, "prescribed")
        residual = ecosystem.imbalance(Attributes(), state, after, drivers, fluxes)
        smallest = jnp.min(jnp.stack([leaf.min() for leaf in jax.tree.leaves(stocks(after))]))
        return after, (fluxes, residual, smallest)

    @compiled
    def run():
        start = ecosystem.initial_state(Params(), Attributes())
        return integrate.rollout(day, start, forcing)[1]

    fluxes, residual, smallest = run()
    # Below 0, and without a crop, nothing is taken up.
    taken = np.where(forcing.occupied > 0, np.maximum(given, 0.0), 0.0)
    np.testing.assert_allclose(fluxes.gross_primary_productivity, taken, rtol=1e-12)
    np.testing.assert_allclose(residual.carbon, 0.0, atol=1e-10)
    np.testing.assert_allclose(residual.nitrogen, 0.0, atol=1e-10)
    assert smallest.min() >= 0.0
    assert fluxes.grain_carbon_harvested.sum() > 100.0
    assert fluxes.transpiration.max() > 2.0


def loss(forcing, params, attributes):
    """A number every part of the model bears upon."""
    step = partial(ecosystem.step, params, attributes)
    _, fluxes = integrate.rollout(step, ecosystem.initial_state(params, attributes), forcing)
    exchange = fluxes.net_ecosystem_exchange + 0.1 * fluxes.evapotranspiration
    return jnp.mean(exchange) + 1e-3 * fluxes.soil_organic_carbon[-1]


def test_gradients_are_finite_and_agree_with_finite_differences(x64):
    slope = jax.jit(jax.value_and_grad(loss, argnums=1))
    forcing = jax.tree.map(lambda leaf: np.asarray(leaf)[:300], corn_soy_forcing(1))
    generator = np.random.default_rng(0)
    # A relative step in every parameter (grain onset, which is 0, moves absolutely).
    direction = jax.tree.map(lambda p: generator.normal() * (p + 0.01 * (p == 0.0)), Params())
    moved = lambda size: jax.tree.map(lambda p, d: p + size * d, Params(), direction)
    _, gradient = slope(forcing, Params(), Attributes())
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))
    # Corn fixes no nitrogen; everything else bears on the loss.
    idle = [name for name, leaf in vars(gradient).items() if leaf == 0.0]
    assert idle == ["nitrogen_fixation_fraction"]
    along = sum(jax.tree.leaves(jax.tree.map(jnp.multiply, gradient, direction)))
    high, low = (slope(forcing, moved(size), Attributes())[0] for size in (1e-5, -1e-5))
    np.testing.assert_allclose(along, (high - low) / 2e-5, rtol=1e-5)


@pytest.mark.slow
def test_gradients_are_finite_under_adversarial_forcing(x64):
    params, attributes, forcing, _ = worlds()
    slope = jax.grad(loss, argnums=(0, 1, 2), allow_int=True)
    by_forcing, *rest = jax.jit(jax.vmap(slope))(forcing, params, attributes)
    by_forcing = dataclasses.replace(by_forcing, crop=jnp.zeros(()))  # an index has no gradient
    for leaf in jax.tree.leaves((by_forcing, rest)):
        assert np.all(np.isfinite(leaf))


def test_mapped_sites_equal_looped_sites(exact, x64):
    alone = jax.jit(simulate)
    sites = jax.device_get(worlds())
    for site in (0, CORN):
        looped = alone(*jax.tree.map(lambda leaf, site=site: leaf[site], sites))[0]
        mapped = jax.tree.map(lambda leaf, site=site: leaf[site], exact[0])
        for expected, found in zip(*map(jax.tree.leaves, (looped, mapped)), strict=True):
            # Rounding of three years: the compiler orders sums of the two programs differently.
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_manure_becomes_litter_of_its_own_quality_and_its_nitrogen_stays():
    params, attributes, forcing, _ = (jax.tree.map(lambda leaf: leaf[0], part) for part in worlds())
    day = jax.tree.map(lambda leaf: leaf[10], forcing)
    quiet = dict.fromkeys(("crop", "cut", "grazing", "tillage", "harvest", "planting"), 0)
    day = dataclasses.replace(day, **{name: jnp.zeros_like(getattr(day, name)) for name in quiet})
    day = dataclasses.replace(day, occupied=jnp.zeros_like(day.occupied))
    state = ecosystem.initial_state(params, attributes)
    run = jax.jit(ecosystem.step)

    def litter(carbon, nitrogen):
        amounts = {"manure_carbon": carbon, "manure_nitrogen": nitrogen}
        given = {name: jnp.full_like(day.wind_speed, value) for name, value in amounts.items()}
        after = run(params, attributes, state, dataclasses.replace(day, **given))[0].organic
        return np.stack([after.metabolic[:, 0], after.structural[:, 0]])

    # Slurry of C:N 8 and farmyard manure of C:N 25: the poorer in nitrogen, the more structural.
    none, slurry, farmyard = litter(0.0, 0.0), litter(200.0, 25.0), litter(200.0, 8.0)
    added = np.stack([slurry - none, farmyard - none])
    np.testing.assert_allclose(added[:, :, 0].sum(axis=1), 200.0, rtol=0.1)  # a day's decay
    assert 0.1 < added[0, 1, 0] / 200.0 < added[1, 1, 0] / 200.0 < 0.5
