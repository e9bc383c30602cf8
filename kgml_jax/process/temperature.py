"""Temperature responses of growth, decomposition and maintenance.

Modified Arrhenius functions of the ecosys family (EcoSIM, MicrobMathFuncMod), 1 at 25 degC, with
low- and high-temperature deactivation.
"""

import jax.numpy as jnp

from kgml_jax.process.smooth import sstep
from kgml_jax.records import Field

GAS_CONSTANT = 8.3143  # J mol-1 K-1; molar gas constant
FREEZING = 273.15  # K; at 0 degC


def _deactivated(temperature: Field, offset: float, cold: float, hot: float) -> Field:
    kelvin = temperature + FREEZING
    energy = GAS_CONSTANT * kelvin
    entropy = 710.0 * kelvin
    inactive = jnp.exp((cold - entropy) / energy) + jnp.exp((entropy - hot) / energy)
    return jnp.exp(offset - 62500.0 / energy) / (1.0 + inactive)


def growth_factor(temperature: Field) -> Field:
    """Response of growth and decomposition to temperature (degC), 1 at 25 degC."""
    return _deactivated(temperature, 25.229, 197500.0, 222500.0)


def maintenance_factor(temperature: Field) -> Field:
    """Response of maintenance respiration to temperature (degC), 1 at 25 degC."""
    return _deactivated(temperature, 25.214, 195000.0, 232500.0)


def decomposition_factor(temperature: Field) -> Field:
    """Response of soil respiration to temperature (degC), 1 at 25 degC (Lloyd and Taylor 1994).

    Kept finite at the temperatures that air over residue can have.
    """
    above = jnp.maximum(temperature, -40.0) + 46.02
    return jnp.exp(308.56 * (1.0 / 71.02 - 1.0 / above))


def thawed(temperature: Field) -> Field:
    """Share of microbial activity left by frost: 0 in frozen, 1 in thawed soil (degC)."""
    return sstep(temperature + 2.0, 1.0)


def nitrification_factor(temperature: Field) -> Field:
    """Response of nitrification to temperature (degC), 1 at 30 degC (DayCent).

    A generalised Poisson density with its optimum at 35 degC, which DayCent shifts by 35 degC less
    the mean maximum of the warmest month: about 5 degC in the Midwest.
    """
    # From 0 at -10 degC to 1; its smooth positive part keeps the root real and differentiable.
    scaled = (temperature + 10.0) / 40.0
    scaled = 0.5 * (scaled + jnp.sqrt(scaled**2 + 1e-8)) + 1e-6
    return jnp.exp(4.5 * (1.0 - scaled**7) / 7.0) * scaled**4 * jnp.sqrt(scaled)
