"""Worked examples and tables of FAO-56 (Allen et al. 1998)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.process.humidity import saturation_pressure, saturation_slope

pytestmark = pytest.mark.usefixtures("x64")


def test_saturation_pressure_and_slope_have_their_tabulated_values():
    # Example 3 and table 2.4, rounded to 1 Pa and 1 Pa degC-1.
    np.testing.assert_allclose(
        saturation_pressure(np.array([15.0, 24.5])), [1.705, 3.075], atol=1e-3
    )
    np.testing.assert_allclose(saturation_slope(30.2), 0.246, atol=5e-4)


def test_the_door_and_the_process_have_one_formula():
    temperature = np.linspace(-40.0, 50.0, 91)
    at_the_door = saturation_pressure(temperature)
    assert isinstance(at_the_door, np.ndarray)
    compiled = jax.jit(saturation_pressure)(jnp.asarray(temperature))
    # Rounding of one exponential in float64.
    np.testing.assert_allclose(at_the_door, compiled, rtol=1e-14)
