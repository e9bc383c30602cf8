from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop, compiled
from strategies import random_params

from kgml_jax.process import crops, plant
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Environment, Plant
from kgml_jax.records import constant

pytestmark = pytest.mark.usefixtures("x64")
POOLS = ("nonstructural", "leaf", "stem", "root", "grain", "standing_dead")
ORGANS = ("leaf", "stem", "root", "grain")
ROWS = range(len(crops.TABLE))
SOYBEAN, WHEAT = 1, 2


advance = compiled(plant.step)
allocation, tissue_cost = compiled(plant.allocation), compiled(plant.tissue_cost)
maintenance_demand = compiled(plant.maintenance_demand)
leaf_nitrogen_factor = compiled(plant.leaf_nitrogen_factor)
leaf_area, storage_factor = compiled(plant.leaf_area), compiled(plant.storage_factor)
senescence_rate = compiled(plant.senescence_rate)
lookup = compiled(crops.lookup)


def crop(row=0):
    return lookup(np.asarray(row))


def standing(carbon, row=0, richness=0.8, labile=0.5):
    """A plant of the given carbon, its organs with `richness` of their target nitrogen."""
    targets = [crops.TABLE[row][f"{organ}_nitrogen"] for organ in ORGANS]
    nitrogen = [labile, *(richness * t * c for t, c in zip(targets, carbon[1:5], strict=True)), 0.1]
    pools = zip(POOLS, carbon, nitrogen, strict=True)
    return Plant(**{name: np.asarray([c, n]) for name, c, n in pools})


def at(stage):
    return Phenology(
        development_stage=np.asarray(stage),
        emergence_progress=np.asarray(3.0),
        root_depth=np.asarray(0.8),
        vernalisation=np.asarray(0.0),
    )


def day(photosynthesis=15.0, temperature=22.0, active=1.0, **values):
    usual = {
        "photosynthesis": photosynthesis,
        "temperature": temperature,
        "lowest_temperature": temperature - 6.0,
        "supply_ratio": 0.9,
        "leaf_area": 3.0,
        "active": active,
        "occupied": 1.0,
        "nitrogen_supply": 0.5,
    }
    return Environment(**{k: np.asarray(v) for k, v in (usual | values).items()})


GROWN = (20.0, 80.0, 120.0, 60.0, 30.0, 5.0)
EMPTY = Plant(**dict.fromkeys(POOLS, np.zeros(2)))


def amount(tree):
    return sum(jax.tree.leaves(tree))


def respired(fluxes):
    costs = fluxes.growth_respiration + fluxes.nitrogen_respiration
    return fluxes.maintenance_respiration + costs


def net_input(day, fluxes):
    litter = fluxes.litterfall + fluxes.root_litter
    carbon = day.photosynthesis - respired(fluxes) - fluxes.exudation
    nitrogen = fluxes.nitrogen_uptake + fluxes.nitrogen_fixation
    return np.stack([carbon, nitrogen]) - litter


def random_day(seed):
    generator = np.random.default_rng(100 + seed)
    temperature = generator.uniform(-45.0, 45.0)
    return day(
        photosynthesis=generator.uniform(0.0, 30.0),
        temperature=temperature,
        lowest_temperature=temperature - generator.uniform(0.0, 15.0),
        supply_ratio=generator.uniform(0.0, 1.0),
        leaf_area=generator.uniform(0.0, 15.0),
        active=float(generator.random() < 0.8),
        occupied=float(generator.random() < 0.7),
        nitrogen_supply=generator.lognormal(-2.0, 2.0) * (generator.random() < 0.8),
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("row", ROWS)
def test_budgets_close_and_no_pool_falls_below_zero(seed, row):
    generator = np.random.default_rng(seed)
    pools = generator.lognormal([1.0, -2.0], 3.0, (6, 2)) * (generator.random((6, 1)) < 0.8)
    before = Plant(**{name: np.asarray(p) for name, p in zip(POOLS, pools, strict=True)})
    weather = random_day(seed)
    stage = at(generator.uniform(0.0, 2.0))
    after, fluxes = advance(random_params(seed), crop(row), before, stage, weather)
    scale = amount(before) + weather.photosynthesis
    unexplained = amount(after) - amount(before) - net_input(weather, fluxes)
    np.testing.assert_allclose(unexplained / scale, 0.0, atol=1e-14)
    assert all(np.all(pool >= 0.0) for pool in jax.tree.leaves(after))
    assert all(np.all(flux >= 0.0) for flux in jax.tree.leaves(fluxes))
    assert fluxes.nitrogen_uptake <= weather.nitrogen_supply


def test_budgets_close_over_a_year_of_random_days():
    params, state = random_params(3), standing(GROWN)
    for seed in range(365):
        before, today = state, random_day(seed)
        state, fluxes = advance(params, crop(SOYBEAN), before, at(0.9), today)
        unexplained = amount(state) - amount(before) - net_input(today, fluxes)
        np.testing.assert_allclose(unexplained, 0.0, atol=1e-12)
        assert min(float(pool.min()) for pool in jax.tree.leaves(state)) >= 0.0


def test_allocation_sums_to_one_and_turns_from_roots_to_grain():
    stage = np.linspace(0.0, 2.0, 41)
    for row in ROWS:
        share = allocation(Params(), crop(row), stage)
        np.testing.assert_allclose(share.leaf + share.stem + share.root + share.grain, 1.0)
        if crops.TABLE[row]["perennial"]:
            assert share.grain[-1] < 1e-3  # tillers of a sward do not ripen
            continue
        assert share.root[0] > 0.15  # WOFOST FRTB of rapeseed, beet and potato: 0.2
        assert share.grain[0] < 1e-3
        assert share.grain[-1] > 0.95


def test_tissue_costs_its_yield_and_its_transport():
    made = lambda *share: tissue_cost(crop(SOYBEAN), np.asarray(share))
    np.testing.assert_allclose(made(1.0, 0.0, 0.0, 0.0), 1.0 / 0.72)
    np.testing.assert_allclose(made(0.0, 0.0, 0.0, 1.0), 1.058 / 0.65)
    np.testing.assert_allclose(made(0.5, 0.0, 0.5, 0.0), (0.5 + 0.5 * 1.058) / 0.72)


def test_growth_respiration_is_what_the_yields_do_not_keep():
    before = standing(GROWN)
    after, fluxes = advance(Params(), crop(), before, at(1.8), day(lowest_temperature=20.0))
    # At stage 1.8 nearly all growth is grain: 0.73 of the carbon used, less transport, stays.
    gained = (after.grain - before.grain)[CARBON]
    kept = gained / (gained + fluxes.growth_respiration)
    np.testing.assert_allclose(kept, 0.73 / 1.058, atol=0.003)


def test_maintenance_follows_tissue_nitrogen_and_temperature():
    before = standing(GROWN, richness=1.0)
    needed = maintenance_demand(Params(), before, 25.0)
    nitrogen = 80 * 0.072 + 120 * 0.022 + 60 * 0.022 + 0.3 * 30 * 0.032
    np.testing.assert_allclose(needed, 24 * 0.0135 * nitrogen, rtol=1e-3)
    poor = maintenance_demand(Params(), standing(GROWN, richness=0.5), 25.0)
    np.testing.assert_allclose(poor, 0.5 * needed)
    warm = maintenance_demand(Params(), before, 35.0)
    assert 2.0 < warm / needed < 3.0


def test_leaf_nitrogen_factor_is_that_of_its_concentration():
    for richness, factor in ((0.0, 0.1), (0.25, 0.1), (0.625, 0.55), (1.0, 1.0), (1.5, 1.0)):
        found = leaf_nitrogen_factor(crop(), standing(GROWN, richness=richness))
        # The smooth clip rounds its corners by log(2) / 50 of its width.
        np.testing.assert_allclose(found, factor, atol=0.9 * np.log(2) / 50 + 1e-6)
    slope = jax.jit(jax.grad(plant.leaf_nitrogen_factor, argnums=1))(crop(), EMPTY)
    assert np.all(np.isfinite(slope.leaf))


def test_leaves_of_c3_plants_grow_thicker_in_more_carbon_dioxide():
    area = lambda row, co2: float(leaf_area(Params(), crop(row), standing(GROWN, row), co2))
    np.testing.assert_allclose(area(0, 372.0), 0.047 * 80.0, rtol=1e-6)
    np.testing.assert_allclose(area(0, 567.0), 0.047 * 80.0, rtol=1e-6)
    np.testing.assert_allclose(area(SOYBEAN, 567.0) / area(SOYBEAN, 372.0), 0.94, rtol=1e-6)


def test_a_full_reserve_slows_photosynthesis():
    carbon = lambda reserve: standing((reserve, *GROWN[1:]))
    factors = [float(storage_factor(carbon(reserve))) for reserve in (0.0, 40.0, 121.5, 400.0)]
    np.testing.assert_allclose(factors, [1.0, 0.988, 0.5, 0.0085], rtol=2e-3, atol=2e-4)
    assert storage_factor(EMPTY) == 1.0


def test_nitrogen_in_the_soil_keeps_a_legume_from_fixing():
    fixed = [
        advance(Params(), crop(SOYBEAN), standing(GROWN, SOYBEAN), at(0.8), day(nitrogen_supply=n))[
            1
        ].nitrogen_fixation
        for n in (0.0, 1.0, 10.0)
    ]
    assert fixed[0] > fixed[1] > fixed[2] > 0.0
    assert fixed[2] < 0.6 * fixed[0]


def test_starving_plants_respire_only_what_they_have():
    empty = standing((0.5, 500.0, 500.0, 300.0, 0.0, 0.0))
    _, fluxes = advance(Params(), crop(), empty, at(0.8), day(photosynthesis=0.0))
    assert 0.0 < respired(fluxes) <= 0.5


def test_uptake_costs_carbon_and_fixation_more():
    corn, soy = (
        advance(Params(), crop(row), standing(GROWN, row), at(0.8), day())[1]
        for row in (0, SOYBEAN)
    )
    assert corn.nitrogen_fixation == 0.0
    np.testing.assert_allclose(corn.nitrogen_respiration, 1.2 * corn.nitrogen_uptake)
    paid = 1.2 * soy.nitrogen_uptake + 5.0 * soy.nitrogen_fixation
    np.testing.assert_allclose(soy.nitrogen_respiration, paid)
    assert soy.nitrogen_fixation > 0.1


def test_fixation_fails_in_drought_and_cold():
    fixed = lambda **values: float(
        advance(Params(), crop(SOYBEAN), standing(GROWN, SOYBEAN), at(0.8), day(**values))[
            1
        ].nitrogen_fixation
    )
    wet, dry = fixed(supply_ratio=1.0), fixed(supply_ratio=0.2)
    np.testing.assert_allclose(dry, 0.2 * wet, rtol=0.1)  # the payment is not quite linear
    assert fixed(temperature=12.0) < 0.6 * wet
    assert fixed(temperature=-30.0) < 1e-4


@pytest.mark.parametrize("row", ROWS)
def test_growth_rises_with_nitrogen_supply_and_falls_short_without(row):
    def tissue(supply):
        before = standing(GROWN, row, richness=0.5, labile=0.01)
        # Drought, in which legumes fix nothing.
        weather = day(nitrogen_supply=supply, photosynthesis=25.0, supply_ratio=0.0)
        after, fluxes = advance(Params(), crop(row), before, at(0.6), weather)
        return sum(getattr(after, organ) for organ in ORGANS), fluxes.nitrogen_uptake

    found = [tissue(supply) for supply in (0.0, 0.02, 0.1, 0.5, 3.0)]
    carbon = [float(tissue[CARBON]) for tissue, _ in found]
    nitrogen = [float(tissue[NITROGEN]) for tissue, _ in found]
    assert np.all(np.diff([taken for _, taken in found]) > 0.0)
    assert np.all(np.diff(nitrogen) > 0.0)
    # Once growth has what it needs, more nitrogen only costs the carbon of its uptake.
    assert carbon[0] < carbon[1] < carbon[2]
    assert min(carbon[3:]) > carbon[2] - 0.3


def test_new_tissue_is_never_poorer_than_the_lowest_nor_richer_than_the_target():
    for supply in (0.0, 0.05, 0.3, 3.0):
        state = standing((1.0, 0.0, 0.0, 0.0, 0.0, 0.0), labile=0.03)
        for number in range(60):
            weather = day(photosynthesis=6.0, nitrogen_supply=supply, lowest_temperature=15.0)
            state, _ = advance(Params(), crop(), state, at(number / 30), weather)
        for organ, lowest in zip(ORGANS, plant.LOWEST_NITROGEN, strict=True):
            carbon, nitrogen = getattr(state, organ)
            relative = nitrogen / (carbon * crops.TABLE[0][f"{organ}_nitrogen"])
            # A percent: the smooth limiters move a little nitrogen beyond the limits.
            assert 0.99 * lowest < relative < 1.01


def test_stored_nitrogen_lowers_uptake():
    taken = [
        advance(Params(), crop(), standing(GROWN, labile=labile), at(0.6), day())[1].nitrogen_uptake
        for labile in (0.0, 0.5, 5.0)
    ]
    assert taken[0] > taken[1] > 2.0 * taken[2] > 0.0


@pytest.mark.parametrize(("stage", "active"), [(0.0, 0.0), (2.1, 1.0)], ids=["not emerged", "ripe"])
def test_sleeping_plants_take_up_no_nitrogen(stage, active):
    before = standing(GROWN, SOYBEAN, richness=0.5)
    _, fluxes = advance(Params(), crop(SOYBEAN), before, at(stage), day(active=active))
    assert fluxes.nitrogen_uptake + fluxes.nitrogen_fixation < 1e-6


def test_filling_grain_draws_on_leaves_in_proportion_to_the_rate():
    def leaves(rate, stage):
        before = standing((120.0, *GROWN[1:]), richness=1.0, labile=0.0)
        params = Params(nitrogen_mobilisation_rate=np.asarray(rate))
        weather = day(nitrogen_supply=0.0, lowest_temperature=15.0, supply_ratio=1.0, leaf_area=0.0)
        after, _ = advance(params, crop(), before, at(stage), weather)
        return float(before.leaf[NITROGEN] - after.leaf[NITROGEN]), after

    (usual, _), (more, after) = leaves(0.01, 1.3), leaves(0.02, 1.3)
    np.testing.assert_allclose(more - usual, 0.01 * 0.7 * 80 * 0.072, rtol=0.02)
    assert after.grain[NITROGEN] > 30 * 0.032
    assert leaves(0.02, 0.3)[0] < 0.01 * more


def test_senescence_has_the_rates_of_its_causes():
    rate = lambda stage=0.5, **values: float(
        senescence_rate(
            Params(), crop(), stage, 1.0, day(**({"supply_ratio": 1.0, "leaf_area": 0.5} | values))
        )
    )
    np.testing.assert_allclose(rate(), 0.0, atol=1e-5)
    np.testing.assert_allclose(rate(supply_ratio=0.0), 0.02, atol=1e-5)
    onset = 1.0 / (1.0 + np.exp(-(2.0 - 1.65) / 0.08))
    np.testing.assert_allclose(rate(stage=2.0), 2.0 * 0.020 * onset, rtol=1e-3)
    critical = plant.CRITICAL_LEAF_AREA
    np.testing.assert_allclose(rate(leaf_area=1.5 * critical), 0.015, rtol=0.01)
    assert rate(leaf_area=0.8 * critical) < 1e-4
    assert 0.029 < rate(leaf_area=3.0 * critical) <= 0.0301


def test_frost_kills_corn_but_not_hardened_wheat():
    lost = lambda row, lowest: float(
        1.0
        - advance(
            Params(),
            crop(row),
            standing(GROWN, row),
            at(0.2),
            day(0.0, 1.0, 0.0, lowest_temperature=lowest),
        )[0].leaf[CARBON]
        / GROWN[1]
    )
    np.testing.assert_allclose(lost(0, -2.0), 1.0 - np.exp(-0.302), rtol=0.01)
    assert lost(0, -6.0) > 0.4
    assert lost(WHEAT, -10.0) < 0.005
    np.testing.assert_allclose(lost(WHEAT, -18.0), 1.0 - np.exp(-0.302), rtol=0.01)


def test_dying_leaves_give_back_a_share_of_their_nitrogen():
    before = standing((0.0, 80.0, 0.0, 0.0, 0.0, 0.0), labile=0.0)
    weather = day(0.0, lowest_temperature=-30.0, active=0.0)
    after, _ = advance(Params(), crop(), before, at(0.5), weather)
    lost = before.leaf - after.leaf
    np.testing.assert_allclose(after.nonstructural[NITROGEN], 0.5 * lost[NITROGEN])
    fallen = before.standing_dead * (1.0 - np.exp(-0.02))
    shed = after.standing_dead - before.standing_dead + fallen
    np.testing.assert_allclose(shed, lost * np.array([1.0, 0.5]))


def test_abandoned_crops_die():
    before = standing(GROWN)
    abandoned, _ = advance(Params(), crop(), before, at(1.2), day(occupied=0.0, active=0.0))
    np.testing.assert_allclose(abandoned.stem, before.stem * np.exp(-0.1))


@jax.jit
def weighted(crop, params, weather, before):
    after, fluxes = plant.step(params, crop, before, at(1.05), weather)
    weights = jax.tree.map(lambda pool: pool @ constant([1.0, 20.0]), after)
    return weights.leaf + 2.0 * weights.grain + weights.nonstructural + 3.0 * respired(fluxes)


@pytest.mark.parametrize("row", ROWS)
def test_gradients_agree_with_finite_differences(row):
    grown = partial(weighted, crop(row))
    inputs = (Params(), day(photosynthesis=14.0, leaf_area=5.4), standing(GROWN, row))
    check_grads(grown, inputs, order=1, modes=["rev"])


def total(stage, crop, params, state, weather):
    after, fluxes = plant.step(params, crop, state, at(stage), weather)
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves((after, fluxes)))


slopes = compiled(jax.value_and_grad(partial(total, 0.0), argnums=(1, 2, 3)))


@pytest.mark.parametrize("row", ROWS)
def test_an_absent_plant_does_nothing_and_every_gradient_is_finite(row):
    for temperature in (-45.0, 0.0, 20.0, 45.0):
        for active, supply in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)):
            nothing = day(
                0.0, temperature, active, leaf_area=0.0, occupied=active, nitrogen_supply=supply
            )
            value, found = slopes(crop(row), Params(), EMPTY, nothing)
            assert value == 0.0
            assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))


def test_single_precision_survives_extremes():
    with jax.enable_x64(False):
        grown = partial(total, 0.9, crop(SOYBEAN), Params())
        slope = compiled(jax.value_and_grad(grown, argnums=(0, 1)))
        for scale in (0.0, 1e-12, 1e-6, 1.0, 30.0):
            state = jax.tree.map(lambda pool, scale=scale: scale * pool, standing(GROWN))
            for temperature in (-45.0, 45.0):
                weather = day(20.0 * scale, temperature, nitrogen_supply=scale)
                found = slope(state, weather)
                assert found[0].dtype == jnp.float32
                assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))


def test_nitrogen_follows_just_the_parameters_it_should():
    def taken(params, crop):
        weather, before = day(), standing(GROWN, richness=0.6)
        _, fluxes = plant.step(params, crop, before, at(0.6), weather)
        return fluxes.nitrogen_uptake + 2.0 * fluxes.nitrogen_fixation

    slope = compiled(jax.grad(taken))
    found = lambda row: vars(slope(Params(), crop(row)))
    acting = lambda row: {name for name, value in found(row).items() if value != 0.0}
    common = {"growth_rate", "maintenance_respiration_rate", "root_allocation_multiplier"}
    # Grain takes a share of some 1e-5 even at this stage.
    common |= {"grain_onset_shift", "nitrogen_mobilisation_rate"}
    assert acting(0) == common
    assert acting(SOYBEAN) == common | {"nitrogen_fixation_fraction"}


def test_vmapped_step_equals_looped():
    sites = [
        (random_params(i), crop(i), standing(GROWN, i), at(0.6 * i), random_day(i)) for i in ROWS
    ]
    assert_vmap_equals_loop(plant.step, sites)


def test_roots_of_a_perennial_feed_its_regrowth_after_a_cut():
    row = crops.NAMES.index("alfalfa")
    bare, leafy = (
        advance(Params(), crop(row), standing(GROWN, row), at(0.1), day(leaf_area=area))[0].root
        for area in (0.2, 3.0)
    )
    fed = leafy[CARBON] - bare[CARBON]
    # 0.020 d-1 at 25 degC; roots lose besides what they turn over.
    assert 0.008 < fed / GROWN[3] < 0.020
    corn = [
        advance(Params(), crop(0), standing(GROWN), at(0.1), day(leaf_area=area))[0].root
        for area in (0.2, 3.0)
    ]
    np.testing.assert_array_equal(*corn)


def test_stems_of_a_perennial_die_with_its_tillers():
    row = crops.NAMES.index("temperate grass")
    cold = day(photosynthesis=0.0, temperature=-5.0)
    left = advance(Params(), crop(row), standing(GROWN, row), at(0.1), cold)[0].stem[CARBON]
    np.testing.assert_allclose(left / GROWN[2], np.exp(-1.0 / 60.0), rtol=1e-3)
