import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop, compiled
from strategies import corn_soy_forcing, random_params

from kgml_jax.process import crops, photosynthesis, radiation
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")
SUFFICIENT = np.asarray(1.0)
SUMMER = jax.device_get(photosynthesis.acclimation(24.0))
INTERCELLULAR = np.asarray([100.0, 200.0, 280.0, 400.0, 700.0, 1000.0])


def summer_day(row=0, **values):
    forcing = jax.tree.map(lambda leaf: np.asarray(leaf)[190], corn_soy_forcing(1, row))
    return dataclasses.replace(forcing, **{k: np.asarray(v) for k, v in values.items()})


def canopy(params, forcing, leaf_area, nitrogen_factor=SUFFICIENT):
    air = radiation.atmosphere(Attributes(), forcing)
    crop = crops.lookup(forcing.crop)
    return photosynthesis.step(params, crop, forcing, air, leaf_area, nitrogen_factor)


@compiled
def prescribed(params, forcing, leaf_area):
    air = radiation.atmosphere(Attributes(), forcing)
    return photosynthesis.prescribed(params, crops.lookup(forcing.crop), forcing, air, leaf_area)


simulated = compiled(canopy)
compensation_point = compiled(photosynthesis.compensation_point)
michaelis_constant = compiled(photosynthesis.michaelis_constant)
rubisco_limited = compiled(photosynthesis.rubisco_limited)
light_limited = compiled(photosynthesis.light_limited)
assimilation = compiled(photosynthesis.assimilation)
c3, c4 = compiled(photosynthesis.c3), compiled(photosynthesis.c4)
sun_and_shade = compiled(photosynthesis.sun_and_shade)


@pytest.fixture(scope="module")
def at_a_hundred_instants():
    nodes, weights = np.polynomial.legendre.leggauss(100)
    with pytest.MonkeyPatch.context() as patch, jax.enable_x64(True):
        patch.setattr(radiation, "NODES", nodes)
        for module in (radiation, photosynthesis):
            patch.setattr(module, "WEIGHTS", 0.5 * weights)
        program = jax.jit(lambda *day: canopy(*day))
        return program.lower(Params(), summer_day(), np.asarray(4.0)).compile()


def test_farquhar_at_25_degrees_has_its_tabulated_values():
    kelvin = 298.15
    compensation = compensation_point(kelvin)
    michaelis = michaelis_constant(kelvin)
    np.testing.assert_allclose(michaelis, 710.32, atol=5e-3)
    rubisco = 100.0 * rubisco_limited(INTERCELLULAR, compensation, michaelis)
    np.testing.assert_allclose(rubisco, [7.065, 17.274, 23.957, 32.175, 46.603, 55.969], atol=6e-4)
    light = 180.0 * light_limited(INTERCELLULAR, compensation)
    np.testing.assert_allclose(light, [13.888, 24.785, 29.210, 33.113, 37.653, 39.683], atol=6e-4)
    # At these capacities the two limits meet here.
    limits = [
        100.0 * rubisco_limited(425.7, compensation, michaelis),
        180.0 * light_limited(425.7, compensation),
    ]
    np.testing.assert_allclose(*limits, rtol=1e-4)


@pytest.mark.parametrize(
    ("celsius", "compensation", "carbon", "oxygen", "michaelis"),
    [(15.0, 25.173, 133.17, 167.29, 300.34), (35.0, 70.148, 1145.35, 448.23, 1681.96)],
)
def test_rubisco_kinetics_follow_bernacchi(celsius, compensation, carbon, oxygen, michaelis):
    kelvin = celsius + 273.15
    np.testing.assert_allclose(compensation_point(kelvin), compensation, atol=6e-4)
    np.testing.assert_allclose(404.9 * photosynthesis.arrhenius(kelvin, 79430.0), carbon, atol=6e-3)
    np.testing.assert_allclose(278.4 * photosynthesis.arrhenius(kelvin, 36380.0), oxygen, atol=6e-3)
    np.testing.assert_allclose(michaelis_constant(kelvin), michaelis, atol=6e-2)


def test_kinetics_agree_with_pyrealm_at_30_degrees_and_its_air_pressure():
    kelvin, pressure = 303.15, 123456.0
    compensation = 4.332 * pressure / 101325.0 * photosynthesis.arrhenius(kelvin, 37830.0)
    np.testing.assert_allclose(compensation, 6.78882, rtol=1e-4)
    oxygen = 0.209476 * pressure / (27480.0 * photosynthesis.arrhenius(kelvin, 36380.0))
    michaelis = 39.97 * photosynthesis.arrhenius(kelvin, 79430.0) * (1.0 + oxygen)
    np.testing.assert_allclose(michaelis, 117.89375, rtol=1e-4)
    # The same point in its units: its constants differ from Bernacchi's in the fourth digit.
    own = compensation_point(kelvin) * 1e-6 * pressure
    np.testing.assert_allclose(own, 6.78882, rtol=3e-4)


def test_capacities_follow_kattge_and_knorr_for_plants_grown_at_24_degrees():
    kinetics = c3(25.0, 300.0, photosynthesis.USUAL_CO2, SUMMER)
    np.testing.assert_allclose(kinetics.capacity, 1.75, rtol=1e-12)
    for activation, entropy, optimum in (
        (65330.0, SUMMER.carboxylation_entropy, 35.1),
        (43900.0, SUMMER.transport_entropy, 33.5),
    ):
        # The maximum of the response lies at H / (S - R log(E / (H - E))).
        kelvin = 200000.0 / (entropy - 8.3143 * np.log(activation / (200000.0 - activation)))
        np.testing.assert_allclose(kelvin - 273.15, optimum, atol=0.1)
        rate = lambda kelvin, activation=activation, entropy=entropy: (
            photosynthesis.arrhenius(kelvin, activation)
            * photosynthesis.heat_deactivation(kelvin, entropy)
        )
        np.testing.assert_allclose(jax.jit(jax.grad(rate))(kelvin), 0.0, atol=1e-12)


def test_leaves_of_a_cool_season_transport_more_per_carboxylation():
    """Kattge and Knorr (2007), fig. 3: 2.59 less 0.035 a degree; 1.75 at 24, 2.1 at 14 degC."""
    cool = photosynthesis.acclimation(14.0)
    np.testing.assert_allclose(cool.transport_ratio, 2.10, rtol=1e-6)
    assert cool.carboxylation_entropy > SUMMER.carboxylation_entropy  # their optimum lies lower


def test_assimilation_vanishes_at_the_compensation_point_and_rises_with_carbon_dioxide():
    gamma = compensation_point(298.15)
    assert rubisco_limited(gamma, gamma, 710.0) == 0.0
    assert light_limited(gamma, gamma) == 0.0
    leaf = c3(25.0, INTERCELLULAR, 400.0, SUMMER)
    assert np.all(np.diff(assimilation(leaf, 80.0, 1000.0)) > 0.0)


def test_elevated_carbon_dioxide_lowers_carboxylation_but_not_electron_transport():
    usual, elevated = (c3(25.0, 300.0, ambient, SUMMER) for ambient in (372.0, 552.0))
    np.testing.assert_allclose(elevated.carboxylation / usual.carboxylation, 0.95, rtol=1e-12)
    np.testing.assert_allclose(elevated.capacity, usual.capacity, rtol=1e-15)


def test_collatz_c4_has_its_tabulated_values():
    light = np.asarray([0.0, 100.0, 500.0, 1000.0, 2000.0])
    rates = assimilation(c4(25.0, 150.0), 48.0, light)
    np.testing.assert_allclose(rates, [0.0, 5.836, 24.591, 35.594, 40.970], atol=1e-3)


@pytest.mark.parametrize("row", [0, 1])
def test_six_instants_integrate_the_day_as_a_hundred_do(at_a_hundred_instants, row):
    day = Params(), summer_day(row), np.asarray(4.0)
    few, many = simulated(*day), at_a_hundred_instants(*day)
    np.testing.assert_allclose(
        few.potential_photosynthesis, many.potential_photosynthesis, rtol=2e-3
    )


def test_leaves_absorb_all_light_once_and_never_less_than_none():
    for leaf_area in (0.0, 1e-3, 0.5, 4.0, 16.0):
        for sine in (0.01, 0.3, 1.0):
            leaves = sun_and_shade(leaf_area, 800.0, 300.0, sine, 0.9)
            assert np.all(np.asarray(leaves) >= 0.0)
            (sunlit, in_sun), (shaded, in_shade) = leaves
            assert sunlit + shaded <= 1100.0
            profile = -np.expm1(-0.3 * leaf_area) / 0.3
            np.testing.assert_allclose(in_sun + in_shade, profile, rtol=1e-12)
    # A deep canopy reflects 0.029 of a beam and 0.036 of the light of the sky.
    np.testing.assert_allclose(sunlit + shaded, 0.971 * 800.0 + 0.964 * 300.0, rtol=5e-3)


def test_sunlit_leaves_are_those_the_beam_meets_first():
    thin = sun_and_shade(0.01, 800.0, 0.0, 1.0, 1.0)
    (sunlit, in_sun), (_, in_shade) = thin
    # Of a thin canopy under a vertical beam all leaves are in the sun, and half the area is met.
    assert in_shade < 0.005 * in_sun
    # The light they scatter, as in a deep canopy, adds a twentieth (de Pury and Farquhar, eq. 20).
    own, scattered = 0.85 * 0.5, 0.971 * 0.85**0.5 * 0.5 - 0.85 * 0.5
    np.testing.assert_allclose(sunlit, 800.0 * (own + scattered) * 0.01, rtol=0.01)


def test_no_leaves_no_photosynthesis():
    for row in (0, 1):
        bare = simulated(Params(), summer_day(row), np.asarray(0.0))
        np.testing.assert_allclose(bare.potential_photosynthesis, 0.0, atol=1e-12)
        np.testing.assert_allclose(bare.conductance, 0.0, atol=1e-12)


@compiled
def slopes(forcing, *state):
    def total(leaf_area, factor, params):
        found = canopy(params, forcing, leaf_area, factor)
        return found.potential_photosynthesis + found.conductance.sum()

    return jax.grad(total, argnums=(0, 1, 2))(*state)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("leaf_area", [0.0, 1e-6, 4.0])
@pytest.mark.parametrize(
    "weather",
    [
        {},
        {"shortwave_radiation": 0.0},
        {"air_temperature_mean": -38.0, "air_temperature_max": -30.0, "air_temperature_min": -46.0},
        {"air_temperature_mean": 44.0, "air_temperature_max": 54.0, "vapour_pressure_deficit": 9.0},
    ],
)
def test_gradients_are_finite_where_nothing_grows(row, leaf_area, weather):
    found = slopes(summer_day(row, **weather), leaf_area, 1.0, Params())
    assert all(np.isfinite(slope) for slope in jax.tree.leaves(found))


def test_polar_night_has_no_photosynthesis_and_finite_gradients():
    forcing = summer_day(1, shortwave_radiation=0.0, day_of_year=355.0)

    def rate(leaf_area):
        air = radiation.atmosphere(Attributes(latitude=np.asarray(80.0)), forcing)
        crop = crops.lookup(forcing.crop)
        found = photosynthesis.step(Params(), crop, forcing, air, leaf_area, 1.0)
        return found.potential_photosynthesis

    value, slope = jax.jit(jax.value_and_grad(rate))(4.0)
    np.testing.assert_allclose([value, slope], 0.0, atol=1e-12)


@pytest.mark.parametrize("row", [0, 1])
def test_nothing_grows_at_thirty_degrees_of_frost(row):
    cold = {f"air_temperature_{k}": -30.0 + v for k, v in (("mean", 0), ("max", 4), ("min", -4))}
    frozen, usual = (
        simulated(Params(), summer_day(row, **air), np.asarray(4.0)).potential_photosynthesis
        for air in (cold, {})
    )
    assert 0.0 <= frozen < 5e-3 * usual


@pytest.mark.parametrize(("row", "low", "high"), [(0, 15.0, 32.0), (1, 10.0, 25.0)])
def test_full_canopies_reach_the_peak_rates_of_mead(row, low, high):
    rate = simulated(Params(), summer_day(row), np.asarray(5.0)).potential_photosynthesis
    assert low < rate < high


@pytest.mark.parametrize(
    ("row", "mean", "low", "high"),
    [(0, 24.0, 0.0, 0.08), (0, 28.0, 0.0, 0.08), (1, 24.0, 0.15, 0.23), (1, 28.0, 0.18, 0.27)],
)
def test_carbon_dioxide_helps_soybean_as_at_soyface_and_corn_hardly(row, mean, low, high):
    # Leaves at SoyFACE gained 15 to 20 % in full sun (Bernacchi et al. 2005), and canopies do not
    # gain more; days of 24 degC are those of July in Illinois, of 28 degC a heat wave.
    air = {f"air_temperature_{k}": mean + v for k, v in (("mean", 0), ("max", 6), ("min", -6))}
    weather = {"shortwave_radiation": 22.0, "vapour_pressure_deficit": 1.1} | air
    rates = [
        simulated(Params(), summer_day(row, co2=c, **weather), np.asarray(5.0))
        for c in (375.0, 550.0)
    ]
    gain = rates[1].potential_photosynthesis / rates[0].potential_photosynthesis - 1.0
    assert low <= gain <= high
    # Stomata close as carbon dioxide rises.
    assert rates[1].conductance.mean() < rates[0].conductance.mean()


@pytest.mark.parametrize("row", [0, 1])
def test_leaf_nitrogen_scales_capacity(row):
    rates = [
        simulated(Params(), summer_day(row), np.asarray(4.0), factor).potential_photosynthesis
        for factor in np.asarray([0.0, 0.1, 0.5, 1.0])
    ]
    np.testing.assert_allclose(rates[0], 0.0, atol=1e-12)
    # Light limits too: the last half of capacity brings less than the first.
    assert 0.0 < rates[3] - rates[2] < rates[2]
    halved = dataclasses.replace(Params(), vcmax_multiplier=np.asarray(0.5))
    same = simulated(halved, summer_day(row), np.asarray(4.0)).potential_photosynthesis
    np.testing.assert_allclose(rates[2], same, rtol=1e-12)


@pytest.mark.parametrize("row", [0, 1])
def test_prescribed_photosynthesis_is_kept_and_opens_the_stomata_it_needs(row):
    forcing = summer_day(row, prescribed_gpp=15.0)
    found = prescribed(Params(), forcing, np.asarray(4.0))
    assert found.potential_photosynthesis == 15.0
    crop = compiled(crops.lookup)(forcing.crop)
    light = compiled(radiation.atmosphere)(Attributes(), forcing).daylight
    mean = 15.0 / (12.0e-6 * 86400.0 * light.length)
    opening = 1.6 * (1.0 + crop.stomatal_slope / np.sqrt(light.vapour_pressure_deficit))
    expected = (opening * mean * light.intensity / float(forcing.co2) + 0.04) / 41.0
    np.testing.assert_allclose(found.conductance, expected, rtol=1e-12)
    usual = simulated(Params(), forcing, np.asarray(4.0))
    forced = dataclasses.replace(forcing, prescribed_gpp=usual.potential_photosynthesis)
    same = prescribed(Params(), forced, np.asarray(4.0))
    # The same photosynthesis needs the same stomata, whichever way it came.
    np.testing.assert_allclose(same.conductance.mean(), usual.conductance.mean(), rtol=0.06)


def test_prescribed_photosynthesis_below_nothing_is_nothing():
    found = prescribed(Params(), summer_day(0, prescribed_gpp=-0.3), np.asarray(0.0))
    assert found.potential_photosynthesis == 0.0
    assert np.all(found.conductance == 0.0)


def test_frost_and_dry_air_reduce_photosynthesis():
    usual = simulated(Params(), summer_day(1), np.asarray(4.0))
    dry = simulated(Params(), summer_day(1, vapour_pressure_deficit=2.5), np.asarray(4.0))
    frost = simulated(Params(), summer_day(1, air_temperature_min=-8.0), np.asarray(4.0))
    assert dry.potential_photosynthesis < usual.potential_photosynthesis
    assert frost.potential_photosynthesis < 0.2 * usual.potential_photosynthesis


@jax.jit
def weighted(forcing, params, leaf, factor):
    found = canopy(params, forcing, leaf, factor)
    return found.potential_photosynthesis + 100.0 * found.conductance.sum()


@pytest.mark.parametrize("row", [0, 1])
def test_gradients_agree_with_finite_differences(row):
    total = partial(weighted, summer_day(row))
    arguments = (Params(), np.asarray(3.0), np.asarray(0.8))
    check_grads(total, arguments, order=1, modes=["rev"], rtol=1e-4)


def test_vmapped_canopy_equals_looped():
    sites = [(random_params(i), summer_day(i % 2), np.asarray(1.0 + i)) for i in range(3)]
    assert_vmap_equals_loop(canopy, sites)
