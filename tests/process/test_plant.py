import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop, random_params

from kgml_jax.process import crops, plant
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Environment, Plant

pytestmark = pytest.mark.usefixtures("x64")
POOLS = ("nonstructural", "leaf", "stem", "root", "grain", "standing_dead")


@pytest.fixture(scope="module")
def advance():
    return jax.jit(plant.step)


def crop(row=0):
    return crops.lookup(jnp.asarray(row))


def standing(*pools):
    return Plant(**{name: jnp.asarray(p) for name, p in zip(POOLS, pools, strict=True)})


def at(stage):
    return Phenology(
        development_stage=jnp.asarray(stage),
        emergence_progress=jnp.asarray(3.0),
        root_depth=jnp.asarray(0.8),
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
    }
    return Environment(**{k: jnp.asarray(v) for k, v in (usual | values).items()})


GROWN = (20.0, 80.0, 120.0, 60.0, 30.0, 5.0)


def released(fluxes):
    return sum(jax.tree.leaves(fluxes))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("row", [0, 1])
def test_carbon_budget_closes_and_no_pool_falls_below_zero(advance, seed, row):
    generator = np.random.default_rng(seed)
    before = standing(*generator.lognormal(1.0, 3.0, 6))
    weather = day(
        photosynthesis=generator.uniform(0.0, 30.0),
        temperature=generator.uniform(-40.0, 45.0),
        active=float(generator.random() < 0.7),
        occupied=float(generator.random() < 0.7),
    )
    stage = at(generator.uniform(0.0, 2.0))
    after, fluxes = advance(random_params(seed), crop(row), before, stage, weather)
    gained = sum(jax.tree.leaves(after)) - sum(jax.tree.leaves(before))
    np.testing.assert_allclose(gained, weather.photosynthesis - released(fluxes), atol=1e-10)
    assert all(pool >= 0.0 for pool in jax.tree.leaves(after))
    assert all(flux >= 0.0 for flux in jax.tree.leaves(fluxes))


def test_allocation_sums_to_one_and_turns_from_roots_to_grain():
    stage = jnp.linspace(0.0, 2.0, 41)
    for row in (0, 1):
        share = plant.allocation(Params(), crop(row), stage)
        np.testing.assert_allclose(share.leaf + share.stem + share.root + share.grain, 1.0)
        assert share.root[0] > 0.3
        assert share.grain[0] < 1e-3
        assert share.grain[-1] > 0.95


def test_growth_respiration_is_what_the_yields_do_not_keep(advance):
    before = standing(*GROWN)
    after, fluxes = advance(Params(), crop(), before, at(1.8), day())
    # At stage 1.8 nearly all growth is grain: 0.73 of the carbon used stays.
    gained = after.grain - before.grain
    kept = gained / (gained + fluxes.growth_respiration)
    np.testing.assert_allclose(kept, 0.73, atol=0.005)


def test_maintenance_follows_tissue_nitrogen_and_temperature():
    needed = plant.maintenance_demand(Params(), crop(), standing(*GROWN), 25.0)
    nitrogen = 80 * 0.072 + 120 * 0.014 + 60 * 0.022 + 0.3 * 30 * 0.032
    np.testing.assert_allclose(needed, 24 * 0.011 * nitrogen, rtol=1e-3)
    warm = plant.maintenance_demand(Params(), crop(), standing(*GROWN), 35.0)
    assert 2.0 < warm / needed < 3.0


def test_starving_plants_respire_only_what_they_have(advance):
    empty = standing(0.5, 500.0, 500.0, 300.0, 0.0, 0.0)
    _, fluxes = advance(Params(), crop(), empty, at(0.8), day(photosynthesis=0.0))
    assert fluxes.maintenance_respiration + fluxes.growth_respiration <= 0.5


def test_an_absent_plant_does_nothing_with_finite_gradient():
    absent = standing(*[0.0] * 6)
    nothing = day(photosynthesis=0.0, active=0.0, occupied=0.0, leaf_area=0.0)
    total = lambda params: released(plant.step(params, crop(), absent, at(0.0), nothing)[1])
    assert total(Params()) == 0.0
    assert all(np.isfinite(g) for g in jax.tree.leaves(jax.jit(jax.grad(total))(Params())))


def test_frost_kills_leaves_and_abandoned_crops_die(advance):
    before = standing(*GROWN)
    frosted, _ = advance(Params(), crop(), before, at(1.2), day(temperature=-4.0))
    assert frosted.leaf < 0.6 * before.leaf
    abandoned, _ = advance(Params(), crop(), before, at(1.2), day(occupied=0.0, active=0.0))
    assert abandoned.stem < 0.92 * before.stem


@pytest.mark.parametrize("row", [0, 1])
def test_gradients_agree_with_finite_differences(row):
    def grown(params, photosynthesis):
        weather = day(photosynthesis=photosynthesis, leaf_area=4.4)
        after, fluxes = plant.step(params, crop(row), standing(*GROWN), at(1.05), weather)
        return after.leaf + 2.0 * after.grain + after.nonstructural + 3.0 * released(fluxes)

    check_grads(grown, (Params(), jnp.asarray(14.0)), order=1, modes=["rev"])


def test_vmapped_step_equals_looped():
    sites = [
        (random_params(i), crop(i % 2), standing(*GROWN), at(0.6 * i), day()) for i in range(3)
    ]
    assert_vmap_equals_loop(plant.step, sites)
