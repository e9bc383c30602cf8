import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import Compiled, assert_vmap_equals_loop
from strategies import random_attributes, random_params

from kgml_jax.process import layers, mineral_nitrogen, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.mineral_nitrogen import MineralNitrogen
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")
ONES = np.ones(layers.SOIL)
DRY_SOIL = 1.385 * layers.THICKNESS  # Mg m-2: g m-2 over it is parts per million


minerals = Compiled(mineral_nitrogen)
advance = minerals.step


def start():
    return minerals.initial(np.asarray(0.0))


def fertilised(ammonium=3.0, nitrate=3.0):
    return MineralNitrogen(ammonium=ammonium * ONES, nitrate=nitrate * ONES)


def hydraulics():
    return Compiled(soil_water).hydraulics(Params(), Attributes())


def run(mineral, content=0.3, temperature=20.0, flow=0.0, respiration=1.0, **changed):
    attributes = dataclasses.replace(
        Attributes(), **{name: np.asarray(value) for name, value in changed.items()}
    )
    return advance(
        Params(),
        attributes,
        hydraulics(),
        mineral,
        content * layers.MILLIMETRES,
        temperature * ONES,
        respiration * ONES,
        flow * ONES,
    )


def test_deposition_of_a_year_follows_its_precipitation():
    # 0.70 g N m-2 a year and 0.007 g per cm, with 1000 mm.
    np.testing.assert_allclose(365.0 * minerals.deposition(1000.0 / 365.0), 0.70 + 0.70, rtol=1e-12)


def test_acidity_response_has_its_tabulated_values():
    at = np.asarray([4.5, 5.0, 6.0, 6.5, 7.0, 8.0])
    expected = [0.3641, 0.5600, 0.8640, 0.9197, 0.9518, 0.9863]
    np.testing.assert_allclose(minerals.acidity_factor(at), expected, atol=6e-5)


def test_gas_diffusivity_has_its_polynomial():
    found = [
        minerals.gas_diffusivity(density, capacity)
        for density, capacity in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    ]
    np.testing.assert_allclose(found, [0.490268, 0.000498, -0.189953], atol=1e-9)


def test_denitrification_is_the_lesser_of_its_limits_times_wetness():
    # At the inflection of wetness, 0.45; by nitrate 1.556 at 9.23 ppm, by carbon 0.1 at 1 ppm.
    filled = 0.1 * (9.0 - (0.145 - 1.25 * 0.113))
    potential, _ = minerals.denitrification(9.23, 1.0, filled, 0.113)
    np.testing.assert_allclose(potential, 0.45 * 0.1, rtol=0.01)
    filled = 0.1 * (9.0 - (0.145 - 1.25 * 0.113) * 100.0)
    potential, _ = minerals.denitrification(9.23, 100.0, filled, 0.2)
    np.testing.assert_allclose(potential, 0.45 * 1.556, rtol=0.01)


def test_ratio_of_denitrified_gases_has_its_limits():
    # k1 = 38.4 - 350 * 0.05 = 20.9 in soil that airs badly, 1.5 in soil that airs well; times 1 or
    # 0.16 with nitrate scarce or abundant; times 1.5 * 0.8 - 0.32 at 80 % of the pores filled.
    ratio = lambda *of: minerals.denitrification(*of)[1]
    np.testing.assert_allclose(ratio(0.0, 5.0, 0.8, 0.05), 20.9 * 0.88, rtol=1e-3)
    np.testing.assert_allclose(ratio(200.0, 5.0, 0.8, 0.05), 20.9 * 0.16 * 0.88, rtol=0.01)
    np.testing.assert_allclose(ratio(0.0, 5.0, 0.8, 0.20), 1.5 * 0.88, rtol=0.01)
    np.testing.assert_allclose(ratio(0.0, 5.0, 0.1, 0.05), 20.9 * 0.1, rtol=0.01)


@pytest.mark.parametrize("seed", range(12))
def test_nitrogen_lost_is_nitrogen_accounted_for(seed):
    generator = np.random.default_rng(seed)
    params, attributes = random_params(seed), random_attributes(seed)
    draw = lambda mean: generator.lognormal(np.log(mean), 2.0, 5) * (generator.random(5) > 0.2)
    mineral = MineralNitrogen(ammonium=draw(1.0), nitrate=draw(1.0))
    hydraulic = Compiled(soil_water).hydraulics(params, attributes)
    # From dry to saturated, frozen to hot; every second site has storms of 100 mm.
    content = float(hydraulic.saturation) * generator.choice([0.05, 0.6, 1.0], 5)
    flow = draw(3.0) if seed % 2 else 100.0 * ONES
    temperature = generator.uniform(-30, 40, 5)
    after, losses = advance(
        params,
        attributes,
        hydraulic,
        mineral,
        content * layers.MILLIMETRES,
        temperature,
        draw(0.3),
        flow,
    )
    lost = losses.n2o + losses.n2 + losses.volatilised + losses.leached
    kept = [getattr(after, name) - getattr(mineral, name) for name in ("ammonium", "nitrate")]
    np.testing.assert_allclose(np.sum(kept), -lost, atol=1e-12)
    np.testing.assert_allclose(np.sum(kept[0]), -losses.nitrified - losses.volatilised, atol=1e-12)
    assert all(np.all(leaf >= 0.0) for leaf in jax.tree.leaves((after, losses)))


def test_soil_without_nitrogen_loses_none_and_has_finite_gradients():
    hydraulic = hydraulics()

    def lost(mineral):
        after, losses = mineral_nitrogen.step(
            Params(),
            Attributes(),
            hydraulic,
            mineral,
            0.44 * layers.MILLIMETRES,
            20.0 * ONES,
            0.0 * ONES,
            5.0 * ONES,
        )
        return sum(leaf.sum() for leaf in jax.tree.leaves((after, losses)))

    value, slopes = jax.jit(jax.value_and_grad(lost))(fertilised(0.0 * ONES, 0.0 * ONES))
    assert value == 0.0
    assert all(np.all(np.isfinite(slope)) for slope in jax.tree.leaves(slopes))


def test_roots_are_supplied_within_what_is_there():
    params = dataclasses.replace(Params(), nitrogen_uptake_rate=np.asarray(5.0))
    supply = minerals.uptake_supply(params, fertilised(), 0.2 * ONES, ONES, 30.0 * ONES)
    assert supply.shape == (2, 5)
    assert np.all((supply > 0.0) & (supply < 3.0))
    assert np.all(supply[1] > supply[0])


def test_supply_rises_with_roots_water_warmth_and_nitrogen():
    def supply(nitrogen=1.0, share=0.2, available=0.5, temperature=15.0):
        mineral = fertilised(nitrogen, nitrogen)
        return minerals.uptake_supply(
            Params(), mineral, share * ONES, available * ONES, temperature * ONES
        ).sum()

    assert supply(nitrogen=2.0) > supply()
    assert supply(share=0.3) > supply()
    assert supply(available=0.9) > supply()
    assert supply(temperature=22.0) > supply()
    assert supply(available=0.0) == 0.0


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_what_roots_take_is_gone(part):
    mineral = fertilised(np.asarray([2.0, 0.0, 1e-9, 5.0, 0.1]), 0.5)
    supply = minerals.uptake_supply(
        Params(), mineral, 0.2 * ONES, np.asarray([1.0, 0.5, 0.2, 0.0, 1.0]), 20.0 * ONES
    )
    after = minerals.take(mineral, supply, part * supply.sum())
    left = sum(leaf.sum() for leaf in jax.tree.leaves(after))
    had = sum(leaf.sum() for leaf in jax.tree.leaves(mineral))
    np.testing.assert_allclose(had - left, part * supply.sum(), atol=1e-12)
    assert all(np.all(leaf >= 0.0) for leaf in jax.tree.leaves(after))


def test_nothing_is_taken_from_nothing():
    empty = fertilised(0.0 * ONES, 0.0 * ONES)
    after = minerals.take(empty, np.zeros((2, 5)), np.asarray(0.0))
    assert all(np.all(leaf == 0.0) for leaf in jax.tree.leaves(after))


def test_residue_and_first_layer_share_what_microbes_reach():
    reach = minerals.immobilisable(fertilised(2.0, 1.0))
    full = 2.0 * -np.expm1(-0.5) + 1.0 * -np.expm1(-0.3)
    np.testing.assert_allclose(reach, full * np.asarray([0.5, 0.5, 1, 1, 1, 1]), rtol=1e-12)


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_exchange_with_microbes_conserves_nitrogen(part):
    mineral = fertilised(np.asarray([2.0, 0.0, 1e-9, 5.0, 0.1]), np.asarray([0, 0, 1, 2, 3.0]))
    immobilised = part * minerals.immobilisable(mineral)
    mineralised = np.asarray([0.1, 0.2, 0.0, 0.3, 0.0, 0.05])
    after = minerals.exchange(mineral, mineralised, immobilised)
    moved = sum(leaf.sum() for leaf in jax.tree.leaves(after))
    moved = moved - sum(leaf.sum() for leaf in jax.tree.leaves(mineral))
    np.testing.assert_allclose(moved, mineralised.sum() - immobilised.sum(), atol=1e-12)
    assert all(np.all(leaf >= 0.0) for leaf in jax.tree.leaves(after))


def test_residue_trades_with_the_first_layer():
    flux = np.asarray([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    gained = minerals.exchange(start(), flux, 0.0 * flux).ammonium - start().ammonium
    np.testing.assert_allclose(gained, [0.1, 0, 0, 0, 0], atol=1e-15)


def test_nitrification_slows_in_cold_dry_waterlogged_and_acid_soil():
    rate = lambda **of: run(fertilised(), **of)[1].nitrified
    usual = rate()
    assert usual > 0.0
    assert rate(temperature=28.0) > usual > rate(temperature=8.0) > rate(temperature=0.0)
    assert rate(content=0.18) < usual > rate(content=0.42) > rate(content=0.455)
    assert rate(ph=5.0) < usual < rate(ph=7.5)


def test_nitrified_nitrogen_becomes_nitrate_but_for_its_nitrous_oxide():
    # Too dry to denitrify, and nothing flows.
    before = fertilised(3.0, 0.0)
    after, losses = run(before, content=0.25)
    escaping = Params().nitrification_n2o_fraction
    np.testing.assert_allclose(after.nitrate.sum(), (1.0 - escaping) * losses.nitrified, rtol=1e-4)
    np.testing.assert_allclose(losses.n2o, escaping * losses.nitrified, rtol=0.03)


def test_nitrous_oxide_rises_with_nitrate_and_wetness_and_its_share_falls():
    gases = lambda **of: run(fertilised(0.0, of.pop("nitrate", 3.0)), **of)[1]
    by_nitrate = [gases(nitrate=n, content=0.42).n2o for n in (0.3, 1.0, 3.0, 10.0)]
    assert np.all(np.diff(by_nitrate) > 0.0)
    contents = (0.30, 0.34, 0.38, 0.42)
    wetter = [gases(content=content) for content in contents]
    assert np.all(np.diff([some.n2o for some in wetter]) > 0.0)
    share = [some.n2o / (some.n2o + some.n2) for some in wetter]
    assert np.all(np.diff(share) < 0.0)
    assert gases(content=0.42, respiration=3.0).n2 > wetter[-1].n2


def test_ammonia_escapes_from_the_surface_of_alkaline_soil():
    lost = [run(fertilised(), ph=ph)[1].volatilised for ph in (5.5, 7.0, 8.5)]
    assert np.all(np.diff(lost) > 0.0)
    deep = MineralNitrogen(ammonium=np.asarray([0, 9.0, 9, 9, 9]), nitrate=ONES)
    assert run(deep, ph=8.5)[1].volatilised == 0.0


def test_leaching_rises_with_flow_and_stops_without_it():
    lost = [run(start(), flow=flow)[1].leached for flow in (0.0, 1.0, 3.0, 10.0, 40.0)]
    assert lost[0] == 0.0
    assert np.all(np.diff(lost) > 0.0)


def test_nitrate_leaves_a_layer_mixed_into_its_water_above_wilting_point():
    hydraulic, flow = hydraulics(), np.asarray([0.0, 0.0, 0.0, 0.0, 12.0])
    soil = 0.3 * layers.MILLIMETRES
    _, leached = minerals.leach(hydraulic, ONES, soil, flow)
    mobile = 0.3 * 600.0 - 600.0 * hydraulic.wilting_point
    np.testing.assert_allclose(leached, 1.0 - np.exp(-12.0 / mobile), rtol=1e-3)


def test_water_that_flows_through_all_layers_carries_nitrate_through_them():
    pulse = np.asarray([1.0, 0.0, 0.0, 0.0, 0.0])
    soil = 0.3 * layers.MILLIMETRES
    left, leached = minerals.leach(hydraulics(), pulse, soil, 10.0 * ONES)
    np.testing.assert_allclose(left.sum() + leached, 1.0, rtol=1e-12)
    assert np.all(left > 0.0)
    assert leached > 0.0
    _, washed = minerals.leach(hydraulics(), ONES, soil, 1e4 * ONES)
    np.testing.assert_allclose(washed, 5.0, rtol=1e-12)


def test_a_leaching_season_carries_nitrate_down_as_far_as_its_drainage_displaces():
    # 1.2 m with 0.135 of mobile water hold 162 mm: half of it is displaced by 81 mm, and half of
    # what was spread evenly is gone, but for the stirring of the layers.
    nitrate, soil, leached = 1.0 * layers.THICKNESS, 0.3 * layers.MILLIMETRES, 0.0
    for _ in range(27):
        nitrate, out = minerals.leach(hydraulics(), nitrate, soil, 3.0 * ONES)
        leached = leached + out
    assert 0.40 < leached / 1.2 < 0.50


def test_gradients_agree_with_finite_differences():
    @jax.jit
    def lost(logarithms, mineral, content, temperature, flow):
        params = jax.tree.map(lambda value, log: value * jnp.exp(log), Params(), logarithms)
        hydraulic = soil_water.hydraulics(params, Attributes())
        after, losses = mineral_nitrogen.step(
            params,
            Attributes(),
            hydraulic,
            mineral,
            content * layers.MILLIMETRES,
            temperature * ONES,
            0.5 * ONES,
            flow * ONES,
        )
        return losses.n2o + losses.n2 + losses.leached + losses.nitrified + after.nitrate[1]

    logarithms = jax.tree.map(np.zeros_like, Params())
    for content, flow in ((0.25, 0.5), (0.41, 8.0)):
        arguments = (logarithms, fertilised(), np.asarray(content), np.asarray(18.0))
        check_grads(lost, (*arguments, np.asarray(flow)), order=1, modes=["rev"])


def test_vmapped_step_equals_looped():
    def one(params, attributes):
        hydraulic = soil_water.hydraulics(params, attributes)
        mineral = mineral_nitrogen.exchange(fertilised(), 0.1 * np.ones(6), 0.05 * np.ones(6))
        soil = 1.05 * hydraulic.field_capacity * layers.MILLIMETRES
        return mineral_nitrogen.step(
            params, attributes, hydraulic, mineral, soil, 18.0 * ONES, 0.4 * ONES, 3.0 * ONES
        )

    assert_vmap_equals_loop(one, [(random_params(i), random_attributes(i)) for i in range(3)])
