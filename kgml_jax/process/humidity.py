"""Saturation of air with water vapour: FAO-56 (Allen et al. 1998).

The only place of these coefficients; takes Python and NumPy numbers (at the door) as well as JAX
arrays.
"""

from kgml_jax import arrays
from kgml_jax.records import Field


def saturation_pressure(temperature: Field) -> Field:
    """Saturation vapour pressure over water at `temperature` (degC), kPa (eq. 11)."""
    exp = arrays.library(temperature).exp
    return 0.6108 * exp(17.27 * temperature / (temperature + 237.3))


def saturation_slope(temperature: Field) -> Field:
    """Slope of the saturation vapour pressure, kPa degC-1 (eq. 13)."""
    return 4098.0 * saturation_pressure(temperature) / (temperature + 237.3) ** 2
