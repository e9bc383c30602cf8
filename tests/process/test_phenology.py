import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop
from strategies import random_params

from kgml_jax.process import crops, phenology, radiation
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology

pytestmark = pytest.mark.usefixtures("x64")
WHEAT = 2


def at(stage=0.0, progress=0.0, depth=0.0, cold=0.0):
    return Phenology(
        development_stage=jnp.asarray(stage),
        emergence_progress=jnp.asarray(progress),
        root_depth=jnp.asarray(depth),
        vernalisation=jnp.asarray(cold),
    )


def crop(row=0):
    return crops.lookup(jnp.asarray(row))


def course(temperature, day_length, occupied, row=0, params=None, start=None):
    def advance(state, day):
        after = phenology.step(params or Params(), crop(row), state, *day)
        return after, after

    days = jnp.broadcast_arrays(*map(jnp.asarray, (temperature, day_length, occupied)))
    return jax.lax.scan(advance, start or at(), tuple(days))[1]


def season(temperature, days, row=0, params=None, day_length=15.0):
    return course(jnp.full(days, temperature), day_length, 1.0, row, params)


def calendar(latitude, mean, amplitude, sown, row=WHEAT):
    # Days of the year of emergence, anthesis and maturity in a sinusoidal climate.
    day = sown + np.arange(340)
    sun = radiation.sun(jnp.asarray(latitude), jnp.asarray((day - 1.0) % 365 + 1))
    temperature = mean - amplitude * np.cos(2 * np.pi * (day - 20) / 365)
    path = course(temperature, radiation.daylight_hours(sun), 1.0, row)
    events = (path.emergence_progress > 1.0, path.development_stage > 1.0)
    events += (path.development_stage > 1.98,)
    assert all(event.any() for event in events)
    return [day[np.argmax(event)] % 365 for event in events]


def test_thermal_time_is_linear_above_the_base_and_flat_in_heat():
    gain = phenology.thermal_time(jnp.asarray([-20.0, 18.0, 30.0, 50.0]), 8.0)
    np.testing.assert_allclose(gain[:2], [0.0, 10.0], rtol=0.03, atol=1e-6)
    assert gain[2] < gain[3] <= 22.0


def test_photoperiod_factor_is_that_of_wofost():
    factor = phenology.photoperiod_factor(crop(WHEAT), jnp.asarray([7.0, 9.65, 11.3, 12.95, 17.0]))
    # The smooth clip rounds its ends by about exp(-6 / 0.5) of its width.
    np.testing.assert_allclose(factor, [0.0, 0.25, 0.5, 0.75, 1.0], atol=2e-5)
    np.testing.assert_array_equal(phenology.photoperiod_factor(crop(), 8.0), 1.0)


def test_warmth_brings_anthesis_after_the_thermal_time_of_the_crop():
    stage = season(20.0, 160).development_stage
    emergence, anthesis = 70.0 / 12.0, 820.0 / 12.0
    np.testing.assert_allclose(np.argmax(stage > 1.0), emergence + anthesis, atol=4.0)


def test_short_days_slow_wheat_but_not_its_ripening():
    cold = at(cold=80.0, progress=1.2)
    early = [
        course(jnp.full(60, 15.0), hours, 1.0, WHEAT, start=cold).development_stage[-1]
        for hours in (9, 11, 14)
    ]
    assert 0.0 < early[0] < early[1] < early[2]
    ripe = [course(jnp.full(9, 15.0), hours, 1.0, WHEAT, None, at(1.2, 9.0)) for hours in (9, 14)]
    np.testing.assert_allclose(*[path.development_stage[-1] for path in ripe], rtol=1e-3)


def test_cold_counts_as_in_wofost():
    rate = phenology.vernalisation_rate(jnp.asarray([-20.0, -4.0, -0.5, 6.0, 13.5, 17.0, 30.0]))
    # The smooth clips round the corners by a few hundredths.
    np.testing.assert_allclose(rate, [0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0], atol=0.02)


def test_without_cold_winter_crops_stay_in_leaf_and_spring_crops_flower():
    last = lambda name: season(18.0, 150, crops.NAMES.index(name)).development_stage[-1]
    assert all(last(name) < 0.1 for name in ("winter wheat", "winter barley", "rapeseed"))
    assert all(last(name) > 1.9 for name in ("spring wheat", "spring barley", "sunflower"))


def test_a_perennial_ages_in_the_warm_season_and_is_young_again_after_winter():
    grass = crops.NAMES.index("temperate grass")
    warmth = jnp.asarray([0.0] * 90 + [16.0] * 180 + [-3.0] * 180)
    stage = course(warmth, 12.0, 1.0, grass, start=at(0.0, 3.0, 0.5)).development_stage
    assert 0.4 < stage[269] < 1.2
    assert stage[-1] < 0.1 * stage[269]


def test_the_factor_of_vernalisation_goes_from_nothing_to_one():
    need = crop(WHEAT).vernalisation_days
    days = jnp.asarray([0.0, 0.1, 0.6, 1.0, 2.0]) * need
    factor = lambda row, stage: phenology.vernalisation_factor(crop(row), days, stage)
    np.testing.assert_allclose(factor(WHEAT, 0.0), [0.0, 0.0, 0.5, 1.0, 1.0], atol=0.02)
    np.testing.assert_allclose(factor(WHEAT, 0.5), 1.0, atol=1e-4)
    np.testing.assert_array_equal(factor(0, 0.0), 1.0)


@pytest.mark.parametrize(
    ("latitude", "climate", "sown", "anthesis", "maturity"),
    # Central Oklahoma, Ohio and England or northern Germany.
    [
        (36.0, (15.0, 12.5), 278, (118, 135), (158, 175)),
        (41.0, (10.8, 13.2), 275, (138, 152), (180, 195)),
        (51.0, (9.5, 8.8), 280, (148, 168), (195, 215)),
    ],
)
def test_winter_wheat_keeps_its_calendar(latitude, climate, sown, anthesis, maturity):
    dates = calendar(latitude, *climate, sown)
    assert sown + 5 <= dates[0] <= sown + 15
    assert anthesis[0] <= dates[1] <= anthesis[1]
    assert maturity[0] <= dates[2] <= maturity[1]


def test_development_stops_at_maturity_and_roots_at_their_limit():
    path = season(25.0, 400)
    assert 1.98 < path.development_stage[-1] < 2.1
    assert 1.5 <= path.root_depth[-1] < 1.7
    assert np.all(np.diff(path.development_stage) >= 0.0)


def test_nothing_develops_in_the_cold_and_all_is_forgotten_without_a_crop():
    for temperature in (-45.0, -10.0):
        cold = phenology.step(Params(), crop(1), at(0.4, 2.0, 0.3), temperature, 12.0, 1.0)
        np.testing.assert_allclose(cold.development_stage, 0.4, atol=1e-6)
    bare = phenology.step(Params(), crop(1), at(1.9, 20.0, 1.2), 20.0, 12.0, 0.0)
    assert max(jax.tree.leaves(bare)) < 1e-12


def test_a_second_season_begins_from_nothing():
    occupied = jnp.asarray([1.0] * 150 + [0.0] * 30 + [1.0] * 150)
    stage = course(jnp.full(330, 20.0), 15.0, occupied).development_stage
    assert stage[149] > 1.9
    np.testing.assert_allclose(stage[180:], stage[:150], atol=1e-12)


def test_a_crop_is_forgotten_only_when_most_of_it_is_gone():
    found = phenology.abandonment(jnp.asarray([0.0, 0.5, 0.9, 1.0]))
    np.testing.assert_allclose(found, [1.0, 0.125, 0.001, 0.0])


def test_longer_durations_delay_development():
    slow = Params(vegetative_duration_multiplier=jnp.asarray(1.2))
    late, usual = (season(20.0, 60, params=p).development_stage[-1] for p in (slow, Params()))
    assert late < usual


@pytest.mark.parametrize(("row", "stage"), [(0, 0.97), (WHEAT, 0.97), (WHEAT, 0.29)])
def test_gradients_agree_with_finite_differences(row, stage):
    def end(params, warmth, hours, occupied):
        start = at(stage, 1.02, 0.4, 25.0)
        return phenology.step(params, crop(row), start, warmth, hours, occupied)

    inputs = (Params(), jnp.asarray(14.0), jnp.asarray(11.0), jnp.asarray(0.9))
    check_grads(jax.jit(end), inputs, order=1, modes=["rev"])


def test_values_and_gradients_are_finite_everywhere():
    def total(state, temperature, hours):
        after = phenology.step(Params(), crop(WHEAT), state, temperature, hours, 1.0)
        return sum(jax.tree.leaves(after))

    slope = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))
    for temperature in (-45.0, 0.0, 45.0):
        for hours in (0.5, 8.0, 23.5):
            found = slope(at(), jnp.asarray(temperature), jnp.asarray(hours))
            assert all(np.isfinite(value) for value in jax.tree.leaves(found))


def test_vmapped_step_equals_looped():
    sites = [(random_params(i), crop(i), at(0.3 * i, i), 20.0, 9.0 + i, 1.0) for i in range(3)]
    sites = [(p, c, s, *map(jnp.asarray, numbers)) for p, c, s, *numbers in sites]
    assert_vmap_equals_loop(phenology.step, sites)
