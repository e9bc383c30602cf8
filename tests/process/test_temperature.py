import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop

from kgml_jax.process import temperature

pytestmark = pytest.mark.usefixtures("x64")


def test_growth_response_has_its_tabulated_values():
    at = jnp.arange(0.0, 41.0, 5.0)
    expected = [0.0174, 0.0827, 0.2186, 0.4026, 0.6511, 1.0004, 1.4576, 1.8654, 1.7537]
    np.testing.assert_allclose(temperature.growth_factor(at), expected, atol=6e-5)


def test_maintenance_response_has_its_tabulated_values():
    at = jnp.asarray([0.0, 10.0, 20.0, 25.0, 30.0, 40.0])
    expected = [0.0384, 0.2445, 0.6483, 0.9999, 1.5155, 3.2838]
    np.testing.assert_allclose(temperature.maintenance_factor(at), expected, atol=6e-5)


def test_nitrification_response_has_its_tabulated_values_five_degrees_lower():
    # The table is of the density itself, which DayCent shifts.
    at = jnp.asarray([5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0]) - 5.0
    expected = [0.0037, 0.0230, 0.0836, 0.2240, 0.4783, 0.8102, 1.0000]
    np.testing.assert_allclose(temperature.nitrification_factor(at), expected, atol=6e-5)


@pytest.mark.parametrize(("low", "expected"), [(10.0, 2.978), (15.0, 2.485), (20.0, 2.239)])
def test_growth_doubles_to_triples_over_ten_degrees(low, expected):
    ratio = temperature.growth_factor(low + 10.0) / temperature.growth_factor(low)
    np.testing.assert_allclose(ratio, expected, atol=6e-4)


def test_responses_stay_bounded_in_extreme_cold_and_heat():
    at = jnp.linspace(-60.0, 60.0, 200)
    for response in (
        temperature.growth_factor,
        temperature.maintenance_factor,
        temperature.nitrification_factor,
    ):
        assert np.all((response(at) >= 0.0) & (response(at) < 6.0))
    assert temperature.growth_factor(-30.0) * temperature.thawed(-30.0) < 1e-9
    assert temperature.nitrification_factor(-20.0) < 1e-9


def test_gradients_agree_with_finite_differences():
    response = lambda t: (
        temperature.growth_factor(t)
        + temperature.maintenance_factor(t)
        + temperature.nitrification_factor(t)
    )
    for at in (-20.0, 12.0, 35.0):
        check_grads(response, (jnp.asarray(at),), order=1, modes=["rev"])


def test_vmapped_response_equals_looped():
    days = [(jnp.asarray(t),) for t in (-10.0, 5.0, 30.0)]
    assert_vmap_equals_loop(temperature.growth_factor, days)


def test_soil_respires_in_the_cold_as_lloyd_and_taylor_measured():
    """Lloyd and Taylor (1994), eq. 11: Q10 falls from 3.9 at 5 degC to 2.2 at 20 degC."""
    factor = lambda celsius: float(temperature.decomposition_factor(np.asarray(celsius)))
    np.testing.assert_allclose(factor(25.0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(factor(10.0), 1.0 / np.exp(308.56 * (1 / 56.02 - 1 / 71.02)))
    np.testing.assert_allclose(factor(0.0), 0.095, atol=0.001)
    assert np.isfinite(factor(-60.0))


def test_microbes_rest_in_hard_frost_only():
    left = np.asarray(temperature.thawed(np.asarray([2.0, 0.0, -2.0, -8.0])))
    np.testing.assert_allclose(left, [0.98, 0.88, 0.5, 0.0], atol=0.01)
