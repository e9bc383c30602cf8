import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop

from kgml_jax.process import pedotransfer

pytestmark = pytest.mark.usefixtures("x64")

# Sand, clay (%), then wilting point, field capacity, saturation, conductivity (mm h-1) at 2.5 %
# organic matter: Saxton and Rawls (2006), Table 3.
TEXTURES = [
    (88, 5, 0.050, 0.103, 0.462, 108.1),
    (80, 5, 0.051, 0.120, 0.460, 96.7),
    (65, 10, 0.081, 0.179, 0.450, 50.3),
    (40, 20, 0.137, 0.280, 0.459, 15.5),
    (20, 15, 0.110, 0.305, 0.479, 16.1),
    (10, 5, 0.057, 0.305, 0.479, 22.0),
    (60, 25, 0.166, 0.267, 0.434, 11.3),
    (30, 35, 0.218, 0.358, 0.477, 4.3),
    (10, 35, 0.215, 0.382, 0.511, 5.7),
    (10, 45, 0.268, 0.409, 0.523, 3.7),
    (50, 40, 0.249, 0.361, 0.444, 1.4),
    (25, 50, 0.298, 0.421, 0.498, 1.1),
]


@pytest.mark.parametrize(("sand", "clay", "wilting", "capacity", "saturation", "rate"), TEXTURES)
def test_textures_have_their_tabulated_values(sand, clay, wilting, capacity, saturation, rate):
    found = pedotransfer.saxton_rawls(sand / 100.0, clay / 100.0, 2.5)
    np.testing.assert_allclose(found.wilting_point, wilting, atol=6e-4)
    np.testing.assert_allclose(found.field_capacity, capacity, atol=6e-4)
    np.testing.assert_allclose(found.saturation, saturation, atol=6e-4)
    np.testing.assert_allclose(found.conductivity, rate, atol=0.06)


def test_mean_soil_of_the_corn_belt_has_the_values_of_the_design():
    found = pedotransfer.from_carbon(0.1657, 0.2431, 17.08)
    contents = [found.wilting_point, found.field_capacity, found.saturation]
    np.testing.assert_allclose(contents, [0.161, 0.345, 0.503], atol=1e-3)
    np.testing.assert_allclose(found.conductivity, 11.0, atol=0.1)


def test_numpy_stays_numpy_and_jax_stays_jax_with_the_same_numbers():
    numbers = pedotransfer.saxton_rawls(np.float64(0.3), 0.25, 3.0)
    arrays = pedotransfer.saxton_rawls(jnp.asarray(0.3), jnp.asarray(0.25), jnp.asarray(3.0))
    for own, other in zip(jax.tree.leaves(numbers), jax.tree.leaves(arrays), strict=True):
        assert not isinstance(own, jax.Array)
        assert isinstance(other, jax.Array)
        np.testing.assert_allclose(own, other, rtol=1e-13)


def test_contents_keep_their_order_for_any_texture_and_carbon():
    sand, clay = np.meshgrid(np.linspace(0.0, 1.0, 41), np.linspace(0.0, 1.0, 41))
    possible = sand + clay <= 1.0
    for carbon in (0.5, 15.0, 45.0, 500.0):
        found = pedotransfer.from_carbon(sand[possible], clay[possible], carbon)
        assert np.all(found.wilting_point > 0.0)
        assert np.all(found.field_capacity > found.wilting_point)
        assert np.all(found.saturation > found.field_capacity)
        assert np.all(found.saturation < 1.0)
        assert np.all(found.conductivity > 0.0)


def test_clay_holds_water_back_and_organic_matter_holds_more():
    clay = np.linspace(0.05, 0.5, 10)
    assert np.all(np.diff(pedotransfer.saxton_rawls(0.2, clay, 2.5).wilting_point) > 0.0)
    rich = pedotransfer.saxton_rawls(0.6, 0.1, np.linspace(0.5, 8.0, 10))
    assert np.all(np.diff(rich.field_capacity) > 0.0)
    peat, rich = (pedotransfer.from_carbon(0.3, 0.2, carbon) for carbon in (400.0, 8.0 / 0.172))
    np.testing.assert_allclose(peat.field_capacity, rich.field_capacity, rtol=1e-12)


def test_gradients_agree_with_finite_differences():
    total = lambda *soil: sum(jax.tree.leaves(pedotransfer.from_carbon(*soil)))
    check_grads(total, (jnp.asarray(0.3), jnp.asarray(0.25), jnp.asarray(17.0)), 1, modes=["rev"])


def test_vmapped_pedotransfer_equals_looped():
    soils = [tuple(map(jnp.asarray, (0.1 * i, 0.1 + 0.05 * i, 10.0 * i))) for i in range(1, 4)]
    assert_vmap_equals_loop(pedotransfer.from_carbon, soils)
