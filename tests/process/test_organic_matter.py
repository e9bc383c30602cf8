import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import Compiled, assert_vmap_equals_loop, compiled
from scipy.linalg import expm
from strategies import random_attributes, random_params

from kgml_jax.process import layers, organic_matter
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.organic_matter import OrganicMatter
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")
ONES = np.ones(layers.BIOGEOCHEMICAL)
PLENTY, NOTHING = 10.0 * ONES, 0.0 * ONES
CARBON, NITROGEN = layers.CARBON, layers.NITROGEN
POOLS = tuple(field.name for field in dataclasses.fields(OrganicMatter))
RATES = {
    "metabolic_decay_rate": 0.06,
    "structural_decay_rate": 0.02,
    "particulate_decay_rate": 0.002,
    "mineral_associated_decay_rate": 2e-4,
    "carbon_use_efficiency": 0.5,
    "microbial_mortality_rate": 0.01,
    "microbial_maintenance_rate": 0.006,
    "microbial_half_saturation": 0.01,
    "necromass_stabilised_fraction": 0.45,
    "lignin_humification_fraction": 0.3,
    "sorption_rate": 0.25,
    "tillage_effect": 2.0,
}


matters = Compiled(organic_matter)
advance = matters.step


def settings(**changed):
    # Fixed here, so that what the tests expect does not move with the prior.
    values = RATES | changed
    return Params(**{name: np.asarray(value) for name, value in values.items()})


def climate(temperature=20.0, relative=0.8, air=0.2):
    return matters.climate(temperature * ONES, relative * ONES, air * ONES)


def best():
    # A climate in which nothing is slowed down.
    return organic_matter.Climate(warmth=ONES, maintenance=ONES, moisture=ONES, oxygen=ONES)


def start():
    return matters.initial(settings(), Attributes())


def only(**pools):
    return OrganicMatter(**{name: np.zeros((2, 6)) for name in POOLS} | pools)


def straw(carbon=100.0, carbon_to_nitrogen=80.0):
    # Soil with fresh litter on and in it.
    amount = np.stack([carbon * ONES, carbon / carbon_to_nitrogen * ONES])
    return matters.add_litter(start(), amount, NOTHING, np.asarray(0.1))


def change(before, after):
    # Pool by pool: the totals would hide a change below their last place.
    return np.sum([(getattr(after, n) - getattr(before, n)).sum(1) for n in POOLS], 0)


def decayed(before, after, name="structural"):
    return np.asarray(getattr(before, name) - getattr(after, name))[CARBON]


def test_moisture_response_has_its_tabulated_values():
    relative = np.asarray([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    expected = [0.0323, 0.1678, 0.5495, 0.8807, 0.9781, 0.9963]
    np.testing.assert_allclose(matters.moisture_response(relative), expected, atol=6e-5)


def test_oxygen_response_is_michaelis_menten_in_diffusing_oxygen():
    # DAMM: 1.67 * 0.209 * 0.38**(4/3) = 0.0961 at an air-filled porosity of 0.38.
    oxygen = 1.67 * 0.209 * 0.38 ** (4.0 / 3.0)
    half = organic_matter.OXYGEN_HALF_SATURATION
    found = matters.oxygen_response(np.asarray(0.38))
    np.testing.assert_allclose(found, oxygen / (oxygen + half), rtol=1e-3)
    assert matters.oxygen_response(np.asarray(0.0)) < 0.05


def test_start_holds_the_measured_carbon_at_the_ratios_of_its_pools():
    matter = start()
    mass = 17.08 * 1385.0 * layers.THICKNESS[:3] * np.asarray([1.0, 1.0, 0.9])
    np.testing.assert_allclose(matters.total(matter)[CARBON, 1:4], mass, rtol=1e-6)
    ratios = [getattr(matter, name)[CARBON] / getattr(matter, name)[NITROGEN] for name in POOLS]
    expected = np.asarray([20.0, 80.0, 18.0, 10.5, 12.0, 8.0])
    np.testing.assert_allclose(ratios, expected[:, None] * ONES, rtol=1e-6)


def test_metabolic_share_of_litter_falls_with_lignin_to_nitrogen():
    found = matters.metabolic_fraction(np.asarray([10.0, 25.0, 40.0, 1e6]))
    np.testing.assert_allclose(found, [0.72, 0.525, 0.33, 0.15], atol=1e-3)


@pytest.mark.parametrize("nitrogen", [0.0, 0.2, 1.0, 5.0])
def test_litter_is_added_whole(nitrogen):
    litter = np.stack([60.0 * ONES, nitrogen * ONES])
    after = matters.add_litter(start(), litter, 0.5 * ONES, np.asarray(0.1))
    np.testing.assert_allclose(change(start(), after)[CARBON], 6 * 60.5, rtol=1e-12)
    np.testing.assert_allclose(change(start(), after)[NITROGEN], 6 * nitrogen, atol=1e-12)


@pytest.mark.parametrize("nitrogen", [0.05, 1.0])
def test_structural_litter_has_little_of_the_nitrogen(nitrogen):
    litter = np.stack([60.0 * ONES, nitrogen * ONES])
    after = matters.add_litter(only(), litter, NOTHING, np.asarray(0.1)).structural
    assert np.all(after[NITROGEN] <= 0.6 * nitrogen)
    assert np.all(after[NITROGEN] <= after[CARBON] / 150.0)
    least = np.minimum(0.6 * nitrogen, after[CARBON] / 150.0)
    assert np.all(after[NITROGEN] > 0.85 * least)


def random_state(seed):
    generator = np.random.default_rng(seed)
    scale = lambda: generator.lognormal(0.0, 2.0, (2, 6)) * (generator.random(6) > 0.2)
    matter = jax.tree.map(lambda pool: pool * scale(), start())
    around = climate(
        generator.uniform(-40, 45), generator.uniform(-0.5, 3), generator.uniform(0, 0.3)
    )
    available = generator.lognormal(-3.0, 2.0, 6) * (generator.random(6) > 0.3)
    return matter, around, np.asarray(available)


@pytest.mark.parametrize("seed", range(12))
def test_matter_lost_is_carbon_respired_and_nitrogen_mineralised(seed):
    matter, around, available = random_state(seed)
    params, attributes = random_params(seed), random_attributes(seed)
    after, fluxes = advance(params, attributes.clay, 0.7, matter, around, available)
    size = matters.total(matter).sum(1)  # up to 1e5 g m-2, summed over 36 pools
    moved = change(matter, after)
    assert abs(moved[CARBON] + fluxes.respiration.sum()) < 1e-12 + 1e-15 * size[CARBON]
    gained = (fluxes.immobilised - fluxes.mineralised).sum()
    assert abs(moved[NITROGEN] - gained) < 1e-12 + 1e-15 * size[NITROGEN]
    assert all(np.all(pool >= 0.0) for pool in jax.tree.leaves(after))
    assert np.all(fluxes.respiration >= 0.0)
    assert np.all(fluxes.mineralised >= 0.0)
    assert np.all((fluxes.immobilised >= 0.0) & (fluxes.immobilised <= available))


def test_empty_soil_exchanges_nothing():
    after, fluxes = advance(settings(), 0.2, 0.0, only(), climate(), PLENTY)
    assert matters.total(after).sum() == 0.0
    assert sum(flux.sum() for flux in jax.tree.leaves(fluxes)) == 0.0


def test_gradients_are_finite_in_empty_soil_without_nitrogen():
    around = climate()

    def exchanged(matter, available):
        after, fluxes = organic_matter.step(settings(), 0.2, 0.5, matter, around, available)
        return sum(leaf.sum() for leaf in jax.tree.leaves((after, fluxes)))

    slopes = jax.jit(jax.grad(exchanged, argnums=(0, 1)))(only(), NOTHING)
    assert all(np.all(np.isfinite(slope)) for slope in jax.tree.leaves(slopes))


def test_one_pool_decays_exponentially_whatever_the_rate():
    # Without microbes their activity is constant, 1.5 * 0.05 of full: k = 0.3 d-1.
    params = settings(
        mineral_associated_decay_rate=4.0,
        carbon_use_efficiency=0.0,
    )
    matter = only(mineral_associated=np.stack([1000.0 * ONES, 100.0 * ONES]))
    for _ in range(10):
        matter, _ = advance(params, 0.0, 0.0, matter, best(), PLENTY)
    expected = np.exp(-3.0) * np.asarray([[1000.0], [100.0]])
    np.testing.assert_allclose(matter.mineral_associated[:, 2:], expected * np.ones(4), rtol=1e-12)


def test_chain_of_two_pools_converges_at_first_order(monkeypatch):
    # Soil matter to dissolved matter to respiration, over one day cut into steps.
    def respired(steps):
        monkeypatch.setattr(organic_matter, "UPTAKE_RATE", 20.0 / steps)
        # Another function: one known already would not be traced again.
        advance = compiled(lambda *state: organic_matter.step(*state))
        params = settings(
            mineral_associated_decay_rate=8.0 / steps,
            carbon_use_efficiency=0.0,
        )
        matter, total = only(mineral_associated=np.stack([100.0 * ONES, 10.0 * ONES])), 0.0
        for _ in range(steps):
            matter, fluxes = advance(params, 0.0, 0.0, matter, best(), PLENTY)
            total = total + fluxes.respiration[3]
        return float(total)

    first, second = 0.075 * 8.0, 0.075 * 0.5 * 20.0 / np.sqrt(1.0 + 1e-4)
    exact = 100.0 * (1.0 - expm([[-first, 0.0], [first, -second]])[:, 0].sum())
    coarse, middle, fine = (respired(steps) for steps in (8, 16, 32))
    np.testing.assert_allclose((coarse - middle) / (middle - fine), 2.0, rtol=0.1)
    # What first-order steps extrapolate to is exact to second order.
    np.testing.assert_allclose(2.0 * fine - middle, exact, rtol=2e-3)


def test_carbon_at_steady_state_is_input_over_rate():
    params = settings(
        structural_decay_rate=1.0,  # 0.075 d-1 without microbes
        carbon_use_efficiency=0.0,
        lignin_humification_fraction=0.0,
    )
    matter, daily = only(), np.stack([2.0 * ONES, 0.02 * ONES])
    for _ in range(400):
        matter = dataclasses.replace(matter, structural=matter.structural + daily)
        matter, fluxes = advance(params, 0.0, 0.0, matter, best(), PLENTY)
    # Input at the start of a day: between the stocks before and after it lies input / rate.
    middle = matter.structural[CARBON, 2:] + 0.5 * daily[CARBON, 2:]
    np.testing.assert_allclose(middle, 2.0 / 0.075, rtol=1e-3)
    np.testing.assert_allclose(fluxes.respiration[2:], 2.0, rtol=1e-6)


def test_without_input_soil_loses_exactly_what_it_respires():
    before = start()
    matter, respired, stocks = before, 0.0, []
    for _ in range(200):
        matter, fluxes = advance(settings(), 0.2, 0.0, matter, climate(), PLENTY)
        respired = respired + fluxes.respiration.sum()
        stocks.append(matters.total(matter)[CARBON].sum())
    assert np.all(np.diff(stocks) < 0.0)
    np.testing.assert_allclose(change(before, matter)[CARBON], -respired, rtol=1e-9)


def test_microbes_keep_their_ratio_of_carbon_to_nitrogen():
    matter = straw()
    for day in range(60):
        available = PLENTY if day % 2 else NOTHING
        matter, _ = advance(settings(), 0.2, 0.0, matter, climate(), available)
    np.testing.assert_allclose(matter.microbial[CARBON] / matter.microbial[NITROGEN], 8.0)


def test_litter_poor_in_nitrogen_decays_slowly_where_there_is_none_to_take():
    litter, losses = only(structural=straw().structural, microbial=straw().microbial), []
    for amount in (0.0, 0.003, 0.03, 10.0):
        after, _ = advance(settings(), 0.2, 0.0, litter, climate(), amount * ONES)
        losses.append(decayed(litter, after)[2])
    assert np.all(np.diff(losses) > 0.0)
    np.testing.assert_allclose(losses[0] / losses[-1], organic_matter.STARVED, rtol=0.01)


def test_matter_rich_in_nitrogen_does_not_wait_for_it():
    def share(matter, name):
        # Of what decays with plenty of mineral nitrogen, what decays without any.
        starved, fed = (
            advance(settings(), 0.0, 0.0, matter, climate(), available)[0]
            for available in (NOTHING, PLENTY)
        )
        return decayed(matter, starved, name) / decayed(matter, fed, name)

    assert np.all(share(straw(100.0, 8.0), "metabolic")[1:] > 0.97)
    mixed = only(structural=straw().structural, mineral_associated=straw().mineral_associated)
    np.testing.assert_allclose(share(mixed, "mineral_associated")[2:], 1.0, rtol=1e-9)


def test_starved_microbes_respire_more_of_what_they_take_up():
    params = settings(microbial_maintenance_rate=0.0, microbial_mortality_rate=0.0)
    litter = only(structural=straw().structural, microbial=straw().microbial)
    respired = []
    for available in (NOTHING, PLENTY):
        after, fluxes = advance(params, 0.0, 0.0, litter, best(), available)
        grown = (after.microbial - litter.microbial)[CARBON]
        respired.append((fluxes.respiration / (fluxes.respiration + grown))[3])
    np.testing.assert_allclose(respired[1], 1.0 - 0.5, atol=0.01)  # efficiency 0.5
    assert respired[0] > 0.9


def test_poor_litter_immobilises_and_rich_litter_mineralises():
    _, poor = advance(settings(), 0.2, 0.0, straw(1000.0), climate(), PLENTY)
    _, rich = advance(settings(), 0.2, 0.0, straw(1000.0, 8.0), climate(), PLENTY)
    assert np.all((poor.immobilised - poor.mineralised)[:3] > 0.0)
    assert np.all((rich.immobilised - rich.mineralised)[:3] < 0.0)


def test_warming_by_ten_degrees_doubles_to_triples_decomposition():
    cold, _ = advance(settings(), 0.2, 0.0, start(), climate(10.0), PLENTY)
    warm, _ = advance(settings(), 0.2, 0.0, start(), climate(20.0), PLENTY)
    ratio = decayed(start(), warm).sum() / decayed(start(), cold).sum()
    assert 2.2 < ratio < 3.2


def test_decomposition_peaks_where_some_pores_hold_water():
    # Pores 0.46, field capacity 0.30 and wilting point 0.165 of the volume.
    filled = np.linspace(0.25, 1.0, 16)
    around = [
        climate(20.0, (0.46 * share - 0.165) / 0.135, 0.46 * (1.0 - share)) for share in filled
    ]
    rates = [
        advance(settings(), 0.2, 0.0, start(), some, PLENTY)[1].respiration.sum() for some in around
    ]
    best = int(np.argmax(rates))
    assert 0.5 <= filled[best] <= 0.7
    assert np.all(np.diff(rates[: best + 1]) > 0.0)
    assert np.all(np.diff(rates[best:]) < 0.0)


def test_tillage_speeds_up_soil_matter_in_the_plough_layer():
    # Soil matter three times, litter by 0.15 of that; other layers are left alone.
    matter = only(**{name: getattr(straw(), name) for name in POOLS[:4]})
    still, _ = advance(settings(), 0.0, 0.0, matter, climate(), PLENTY)
    tilled, _ = advance(settings(), 0.0, 1.0, matter, climate(), PLENTY)
    for name, faster in (("structural", 1.3), ("mineral_associated", 3.0)):
        ratio = decayed(matter, tilled, name) / decayed(matter, still, name)
        np.testing.assert_allclose(ratio[2], faster, rtol=0.01)
        np.testing.assert_allclose(ratio[3:], 1.0, rtol=1e-9)


def test_litter_on_the_surface_decays_more_slowly_than_litter_in_the_soil(monkeypatch):
    monkeypatch.setattr(organic_matter, "INCORPORATION_RATE", 0.0)
    litter = only(structural=np.full_like(straw().structural, 100.0))
    advance = compiled(lambda *state: organic_matter.step(*state))
    after, _ = advance(settings(), 0.0, 0.0, litter, climate(), PLENTY)
    lost = decayed(litter, after)
    np.testing.assert_allclose(lost[0] / lost[3], 0.4, rtol=1e-3)


def test_frozen_soil_respires_almost_nothing():
    _, fluxes = advance(settings(), 0.2, 0.0, start(), climate(-30.0), PLENTY)
    assert fluxes.respiration.sum() < 1e-3
    assert (fluxes.mineralised + fluxes.immobilised).sum() < 1e-3


@jax.jit
def exchanged(matter, logarithms, temperature, available):
    # Of multipliers, as rates differ by four orders of magnitude.
    params = jax.tree.map(lambda value, log: value * jnp.exp(log), settings(), logarithms)
    around = organic_matter.climate(temperature * ONES, 0.8 * ONES, 0.2 * ONES)
    after, fluxes = organic_matter.step(params, 0.24, 0.4, matter, around, available * ONES)
    return sum(leaf.sum() for leaf in jax.tree.leaves(fluxes)) + after.dissolved.sum()


@pytest.mark.parametrize("available", [0.01, 1.0])
def test_gradients_agree_with_finite_differences(available):
    logarithms = jax.tree.map(np.zeros_like, settings())
    arguments = (logarithms, np.asarray(18.0), np.asarray(available))
    # The balance of nitrogen bends within 2 % of itself: small steps.
    check_grads(partial(exchanged, straw()), arguments, order=1, modes=["rev"], eps=1e-6)


def test_vmapped_step_equals_looped():
    around = climate()

    def one(params, attributes):
        matter = organic_matter.initial(params, attributes)
        return organic_matter.step(params, attributes.clay, 0.3, matter, around, 0.05 * ONES)

    assert_vmap_equals_loop(one, [(random_params(i), random_attributes(i)) for i in range(3)])
