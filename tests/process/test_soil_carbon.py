import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop, random_attributes, random_params

from kgml_jax.process import layers, soil_carbon
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params

pytestmark = pytest.mark.usefixtures("x64")
ONES = np.ones(layers.BIOGEOCHEMICAL)


@pytest.fixture(scope="module")
def advance():
    return jax.jit(soil_carbon.step)


def climate(temperature=20.0, relative=0.8, air=0.2):
    return soil_carbon.climate(temperature * ONES, relative * ONES, air * ONES)


def amount(carbon):
    return sum(pool.sum() for pool in jax.tree.leaves(carbon))


def test_moisture_response_has_its_tabulated_values():
    relative = jnp.asarray([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    expected = [0.0323, 0.1678, 0.5495, 0.8807, 0.9781, 0.9963]
    np.testing.assert_allclose(soil_carbon.moisture_response(relative), expected, atol=6e-5)


def test_oxygen_response_is_michaelis_menten_in_diffusing_oxygen():
    # DAMM: 1.67 * 0.209 * 0.38**(4/3) = 0.0961 at an air-filled porosity of 0.38.
    oxygen = 1.67 * 0.209 * 0.38 ** (4.0 / 3.0)
    half = soil_carbon.OXYGEN_HALF_SATURATION
    found = soil_carbon.oxygen_response(jnp.asarray(0.38))
    np.testing.assert_allclose(found, oxygen / (oxygen + half), rtol=1e-3)
    assert soil_carbon.oxygen_response(jnp.asarray(0.0)) < 0.05


def test_start_holds_the_measured_carbon():
    carbon = soil_carbon.initial(Params(), Attributes())
    mass = 17.08 * 1385.0 * layers.THICKNESS[:3] * np.asarray([1.0, 1.0, 0.9])
    np.testing.assert_allclose(soil_carbon.total(carbon)[1:4], mass, rtol=1e-6)
    np.testing.assert_allclose(soil_carbon.topsoil(carbon), mass.sum(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_carbon_lost_is_carbon_respired(advance, seed):
    generator = np.random.default_rng(seed)
    params, attributes = random_params(seed), random_attributes(seed)
    carbon = soil_carbon.initial(params, attributes)
    if seed % 2:
        carbon = jax.tree.map(lambda p: p * generator.lognormal(0.0, 2.0, 6), carbon)
    around = climate(generator.uniform(-40, 45), generator.uniform(-0.5, 3), 0.1)
    after, respired = advance(params, attributes.clay, 0.7, carbon, around)
    change = sum((b - a).sum() for a, b in zip(*map(jax.tree.leaves, (carbon, after)), strict=True))
    np.testing.assert_allclose(change, -respired.sum(), atol=1e-10)  # of up to 1e5 g C m-2
    assert all(np.all(pool >= 0.0) for pool in jax.tree.leaves(after))
    assert np.all(respired >= 0.0)


def test_empty_soil_respires_nothing(advance):
    empty = soil_carbon.SoilCarbon(
        **{name: jnp.zeros(6) for name in vars(soil_carbon.initial(Params(), Attributes()))}
    )
    after, respired = advance(Params(), 0.2, 0.0, empty, climate())
    assert respired.sum() == 0.0
    assert amount(after) == 0.0


def test_mineral_associated_carbon_alone_decays_at_its_own_rate(advance):
    carbon = soil_carbon.initial(Params(), Attributes())
    around = climate()
    after, _ = advance(
        Params(necromass_stabilised_fraction=jnp.asarray(0.0)), 0.0, 0.0, carbon, around
    )
    activity = soil_carbon.biomass_activity(Params(), carbon)
    rate = 1.5e-4 * around.warmth * around.moisture * around.oxygen * activity
    np.testing.assert_allclose(
        after.mineral_associated[2:], (carbon.mineral_associated * np.exp(-rate))[2:], rtol=1e-9
    )


def test_warming_by_ten_degrees_doubles_to_triples_decomposition(advance):
    carbon = soil_carbon.initial(Params(), Attributes())
    loss = {}
    for temperature in (10.0, 20.0):
        after, _ = advance(Params(), 0.2, 0.0, carbon, climate(temperature))
        loss[temperature] = carbon.structural.sum() - after.structural.sum()
    assert 2.2 < loss[20.0] / loss[10.0] < 3.2


def test_decomposition_peaks_at_intermediate_wetness(advance):
    carbon = soil_carbon.initial(Params(), Attributes())
    rates = [
        advance(Params(), 0.2, 0.0, carbon, climate(20.0, relative, air))[1].sum()
        for relative, air in ((-0.2, 0.35), (0.8, 0.2), (2.5, 0.005))
    ]
    assert rates[0] < rates[1] > rates[2]


def test_tillage_speeds_up_the_plough_layer_only(advance):
    carbon = soil_carbon.initial(Params(), Attributes())
    still, _ = advance(Params(), 0.2, 0.0, carbon, climate())
    tilled, _ = advance(Params(), 0.2, 1.0, carbon, climate())
    faster = np.asarray(still.structural - tilled.structural)
    assert np.all(faster[1:3] > 0.0)
    np.testing.assert_allclose(faster[3:], 0.0, atol=1e-12)


def test_frozen_soil_respires_almost_nothing(advance):
    carbon = soil_carbon.initial(Params(), Attributes())
    _, respired = advance(Params(), 0.2, 0.0, carbon, climate(-30.0))
    assert respired.sum() < 1e-3


def test_gradients_agree_with_finite_differences():
    carbon = soil_carbon.initial(Params(), Attributes())

    def respired(params, temperature):
        after, flux = soil_carbon.step(params, 0.24, 0.4, carbon, climate(temperature))
        return flux.sum() + after.dissolved.sum() + after.microbial.sum()

    check_grads(respired, (Params(), jnp.asarray(18.0)), order=1, modes=["rev"])


def test_vmapped_step_equals_looped():
    def one(params, attributes):
        carbon = soil_carbon.initial(params, attributes)
        return soil_carbon.step(params, attributes.clay, 0.3, carbon, climate())

    assert_vmap_equals_loop(one, [(random_params(i), random_attributes(i)) for i in range(3)])
