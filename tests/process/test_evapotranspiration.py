import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import assert_vmap_equals_loop, corn_soy_forcing, random_attributes, random_params

from kgml_jax.process import evapotranspiration, layers, radiation, soil_water
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params
from kgml_jax.process.photosynthesis import Canopy

pytestmark = pytest.mark.usefixtures("x64")


def demand(params, forcing, conductance, leaf_area, residue, snow):
    canopy = Canopy(
        potential_photosynthesis=jnp.asarray(0.0),
        conductance=conductance,
        vapour_pressure_deficit=jnp.asarray(1.2),
        day_length=jnp.asarray(50000.0),
    )
    air = radiation.atmosphere(Attributes(), forcing)
    cover = (leaf_area, residue, snow)
    return evapotranspiration.demand(params, forcing, air, canopy, cover)


def july(**values):
    forcing = jax.tree.map(lambda leaf: leaf[190], corn_soy_forcing(1))
    return dataclasses.replace(forcing, **{k: jnp.asarray(v) for k, v in values.items()})


def soil_at(relative, hydraulic):
    available = hydraulic.field_capacity - hydraulic.wilting_point
    content = hydraulic.wilting_point + relative * available
    return content * jnp.asarray(layers.MILLIMETRES)


def test_soil_demand_is_priestley_taylor_on_bare_ground():
    forcing = july()
    air = radiation.atmosphere(Attributes(), forcing)
    energy = radiation.net_radiation(forcing, air, 0.20)
    slope, gamma = air.vapour_slope, air.psychrometric_constant
    found = demand(Params(), forcing, 0.0, 0.0, 0.0, 0.0)
    expected = 1.26 * slope / (slope + gamma) * energy / 2.45
    np.testing.assert_allclose(found.soil_evaporation, expected, rtol=1e-6)
    assert found.transpiration == 0.0


def test_cover_conductance_and_snow_move_demand_the_right_way():
    bare = demand(Params(), july(), 0.01, 0.5, 0.0, 0.0)
    closed = demand(Params(), july(), 0.01, 5.0, 0.0, 0.0)
    assert closed.transpiration > bare.transpiration
    assert closed.soil_evaporation < bare.soil_evaporation
    for residue, snow in ((300.0, 0.0), (0.0, 30.0)):
        covered = demand(Params(), july(), 0.01, 0.5, residue, snow)
        assert covered.soil_evaporation < bare.soil_evaporation
    open_stomata = demand(Params(), july(), 0.02, 5.0, 0.0, 0.0)
    assert open_stomata.transpiration > closed.transpiration


def test_interception_never_exceeds_rain_or_storage():
    leaf_area, rain = jnp.asarray([0.0, 3.0, 5.0, 5.0]), jnp.asarray([10.0, 0.0, 0.2, 50.0])
    caught = evapotranspiration.interception(leaf_area, rain, 5.0)
    assert np.all(caught <= np.minimum(rain, 0.2 * leaf_area))
    assert caught[0] == caught[1] == 0.0


@pytest.mark.parametrize("depth", [0.0, 0.1, 0.5, 1.5])
def test_root_shares_sum_to_one_and_stay_above_the_front(depth):
    shares = evapotranspiration.root_shares(jnp.asarray(depth))
    np.testing.assert_allclose(shares.sum(), 1.0, rtol=1e-14)
    assert np.all(shares[depth + 0.5 < layers.TOP] < 1e-3)


def test_moist_soil_meets_the_demand_and_dry_soil_transpires_nothing():
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    shares = evapotranspiration.root_shares(jnp.asarray(1.0))
    for relative, low, high in ((1.0, 0.95, 1.0), (-0.3, 0.0, 1e-3)):
        _, uptake = evapotranspiration.transpire(
            Params(), hydraulic, soil_at(relative, hydraulic), shares, 5.0
        )
        assert low <= uptake.supply_ratio <= high


def test_stress_is_undefined_without_demand_and_reads_as_none():
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    shares = evapotranspiration.root_shares(jnp.asarray(1.0))
    _, uptake = evapotranspiration.transpire(
        Params(), hydraulic, soil_at(0.1, hydraulic), shares, 0.0
    )
    np.testing.assert_allclose(uptake.supply_ratio, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_evaporated_and_transpired_water_leaves_the_soil_and_no_layer_below_zero(seed):
    params, attributes = random_params(seed), random_attributes(seed)
    hydraulic = soil_water.hydraulics(params, attributes)
    before = soil_at(jnp.asarray(0.02 * seed), hydraulic)
    shares = evapotranspiration.root_shares(jnp.asarray(0.3 * seed))
    soil, uptake = evapotranspiration.transpire(params, hydraulic, before, shares, 30.0)
    soil, evaporated = evapotranspiration.evaporate(params, hydraulic, soil, 30.0)
    lost = before.sum() - soil.sum()
    np.testing.assert_allclose(uptake.transpiration + evaporated, lost, atol=1e-12)
    assert np.all(soil >= 0.0)


def test_soil_evaporation_falls_as_the_surface_dries():
    hydraulic = soil_water.hydraulics(Params(), Attributes())
    rates = [
        evapotranspiration.evaporate(Params(), hydraulic, soil_at(r, hydraulic), 5.0)[1]
        for r in (-0.2, 0.2, 0.6, 1.0)
    ]
    assert np.all(np.diff(rates) > 0.0)


def test_gradients_agree_with_finite_differences():
    forcing = july()

    def water(params, relative):
        hydraulic = soil_water.hydraulics(params, Attributes())
        wanted = demand(params, forcing, 0.01, 3.0, 50.0, 1.0)
        shares = evapotranspiration.root_shares(jnp.asarray(0.8))
        soil = soil_at(relative, hydraulic)
        soil, uptake = evapotranspiration.transpire(
            params, hydraulic, soil, shares, wanted.transpiration
        )
        left, _ = evapotranspiration.evaporate(params, hydraulic, soil, wanted.soil_evaporation)
        return uptake.supply_ratio + left.sum()

    check_grads(water, (Params(), jnp.asarray(0.35)), order=1, modes=["rev"])


def test_vmapped_uptake_equals_looped():
    def left(params, attributes, relative):
        hydraulic = soil_water.hydraulics(params, attributes)
        shares = evapotranspiration.root_shares(relative)
        soil = soil_at(relative, hydraulic)
        return evapotranspiration.transpire(params, hydraulic, soil, shares, 4.0)

    sites = [(random_params(i), random_attributes(i), jnp.asarray(0.2 + 0.2 * i)) for i in range(3)]
    assert_vmap_equals_loop(left, sites)
