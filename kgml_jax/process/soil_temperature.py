"""Soil temperature: implicit diffusion of heat between the surface and a deep constant."""

import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.records import Field, constant

DEEP = 2.4  # m; where the soil keeps the mean annual temperature
SECONDS = 86400.0  # s; one day
SPACING = np.diff(np.concatenate([[0.0], layers.CENTRE, [DEEP]]))  # m; between centres


def surface_temperature(
    mean: Field, maximum: Field, shortwave: Field, leaf_area: Field, residue: Field
) -> Field:
    """Temperature of the soil surface, degC, warmed by the sun where it is not covered.

    Args:
      mean: mean air temperature, degC.
      maximum: highest air temperature, degC.
      shortwave: global radiation, MJ m-2 d-1.
      leaf_area: leaf area index.
      residue: carbon of the residue on the surface, g C m-2.
    """
    cover = jnp.exp(-0.5 * (leaf_area + 0.008 * residue))
    return mean + 0.12 * (maximum - mean) * jnp.minimum(shortwave / 20.0, 1.0) * cover


def conductivity(wetness: Field, multiplier: Field) -> Field:
    """Thermal conductivity at `wetness` (content over saturation), W m-1 K-1."""
    return multiplier * (0.25 + 1.0 * wetness)


def heat_capacity(bulk_density: Field, content: Field) -> Field:
    """Volumetric heat capacity of soil with water `content` (m3 m-3), J m-3 K-1."""
    return 1.94e6 * bulk_density / 2.65 + 4.18e6 * content


def diffuse(
    temperature: Field,
    surface: Field,
    deep: Field,
    conductivity: Field,
    capacity: Field,
    insulation: Field,
) -> tuple[Field, Field, Field]:
    """Advances the temperature of the layers by one day with backward Euler.

    Args:
      temperature: of the layers, degC, (5,).
      surface: temperature of the surface, degC.
      deep: temperature at `DEEP`, degC.
      conductivity: of the layers, W m-1 K-1, (5,).
      capacity: of the layers, J m-3 K-1, (5,).
      insulation: factor on the conductance between surface and first layer, 1 without snow.

    Returns:
      The new temperature (5,), heat in at the top and out at the bottom, J m-2 per day.
    """
    inner = 0.5 * (conductivity[1:] + conductivity[:-1])
    outer = jnp.concatenate([conductivity[:1] * insulation, inner, conductivity[-1:]])
    conductance = outer / constant(SPACING) * SECONDS
    storage = capacity * constant(layers.THICKNESS)
    above, below = conductance[:-1], conductance[1:]
    last = layers.SOIL - 1
    boundary = jnp.pad(above[:1] * surface, (0, last)) + jnp.pad(below[-1:] * deep, (last, 0))
    new = _solve(storage + above + below, below, storage * temperature + boundary)
    return new, above[0] * (surface - new[0]), below[-1] * (new[-1] - deep)


def _solve(diagonal: Field, coupling: Field, right: Field) -> Field:
    # Thomas algorithm for the symmetric matrix with off-diagonals -coupling, unrolled: for five
    # layers it is faster under vmap than the general solver.
    pivot, load = [diagonal[0]], [right[0]]
    for i in range(1, layers.SOIL):
        ratio = coupling[i - 1] / pivot[-1]
        pivot.append(diagonal[i] - ratio * coupling[i - 1])
        load.append(right[i] + ratio * load[-1])
    solution = [load[-1] / pivot[-1]]
    for i in reversed(range(layers.SOIL - 1)):
        solution.append((load[i] + coupling[i] * solution[-1]) / pivot[i])
    return jnp.stack(solution[::-1])
