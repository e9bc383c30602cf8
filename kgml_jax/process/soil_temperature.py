"""Soil temperature: implicit diffusion of heat and freezing, below air, canopy, litter and snow.

The heat of a layer is that of its soil and liquid water, and what freezing has released: between
0 degC and `FREEZING_RANGE` below it water freezes in proportion to the temperature (the apparent
heat capacity of freezing soil; Hansson et al. 2004, Vadose Zone J. 3, 693-704). The day's diffusion
is solved for temperatures, the flows they make are then exact changes of heat, and the new
temperature is that of the new heat: what comes in, goes out and is stored always agree.
"""

import jax.numpy as jnp
import numpy as np

from kgml_jax.process import layers
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.smooth import above
from kgml_jax.records import Field, constant, record, var

DEEP = 2.4  # m; where the soil keeps the mean annual temperature
SECONDS = 86400.0  # s; one day
SPACING = np.diff(np.concatenate([[0.0], layers.CENTRE, [DEEP]]))  # m; between centres
FUSION_HEAT = 3.34e8  # J m-3; of water
FREEZING_RANGE = 2.0  # degC; below 0, over which the water of loam freezes
BOUND = 0.5  # 1; water that stays liquid over that at the wilting point
ITERATIONS = 3  # 1; Newton steps of the implicit day
AIR_RESISTANCE = 0.06  # m2 K W-1; of the air over bare soil: 70 s m-1 over 1200 J m-3 K-1
CANOPY_RESISTANCE = 0.03  # m2 K W-1; added by each unit of leaf area, as above
# Straw of 0.45 carbon lies at 40 kg m-3 and conducts 0.1 W m-1 K-1.
LITTER_RESISTANCE = 1.0 / (450.0 * 40.0 * 0.1)  # m2 K W-1; per g C m-2 of residue
# Snow of 250 kg m-3 conducts 0.16 W m-1 K-1 (Yen 1981).
SNOW_RESISTANCE = 1.0 / (250.0 * 0.16)  # m2 K W-1; per mm of water in the snow


@record
class Soil:
    """What holds heat in the soil layers, each of shape (5,)."""

    capacity: Field = var(units="1", doc="Heat capacity without freezing, J m-3 K-1")
    freezable: Field = var(units="m3 m-3", doc="Water that freezes")


def surface_temperature(
    mean: Field, maximum: Field, shortwave: Field, leaf_area: Field, residue: Field
) -> Field:
    """Temperature of the air at the ground, degC, warmed by the sun where it is not covered.

    Args:
      mean: mean air temperature, degC.
      maximum: highest air temperature, degC.
      shortwave: global radiation, MJ m-2 d-1.
      leaf_area: leaf area index.
      residue: carbon of the residue on the surface, g C m-2.
    """
    cover = jnp.exp(-0.5 * (leaf_area + 0.008 * residue))
    return mean + 0.12 * (maximum - mean) * jnp.minimum(shortwave / 20.0, 1.0) * cover


def resistance(leaf_area: Field, residue: Field, snow: Field) -> Field:
    """Resistance to heat between the air and the soil surface, m2 K W-1.

    Args:
      leaf_area: leaf area index.
      residue: carbon of the residue on the surface, g C m-2.
      snow: water in the snow, mm.
    """
    air = AIR_RESISTANCE + CANOPY_RESISTANCE * leaf_area
    return air + LITTER_RESISTANCE * residue + SNOW_RESISTANCE * snow


def conductivity(wetness: Field, multiplier: Field) -> Field:
    """Thermal conductivity at `wetness` (content over saturation), W m-1 K-1."""
    return multiplier * (0.25 + 1.0 * wetness)


def heat_capacity(bulk_density: Field, content: Field) -> Field:
    """Volumetric heat capacity of soil with water `content` (m3 m-3), J m-3 K-1."""
    return 1.94e6 * bulk_density / 2.65 + 4.18e6 * content


def soil(attributes: Attributes, content: Field) -> Soil:
    """Returns what holds heat in layers with water `content` (m3 m-3, (5,)).

    All water freezes but what is bound to the soil.
    """
    return Soil(
        capacity=heat_capacity(attributes.bulk_density, content),
        freezable=above(content, BOUND * attributes.wilting_point),
    )


def heat(temperature: Field, soil: Soil) -> Field:
    """Heat of soil layers at `temperature` (degC), above that at 0 degC with all water liquid.

    Returns:
      J m-3, shape (5,).
    """
    frozen = jnp.clip(-temperature / FREEZING_RANGE, 0.0, 1.0)
    return soil.capacity * temperature - FUSION_HEAT * soil.freezable * frozen


def temperature_of(heat: Field, soil: Soil) -> Field:
    """Temperature of soil layers that hold `heat` (J m-3), degC; the inverse of `heat`."""
    thaw = FUSION_HEAT * soil.freezable
    whole = soil.capacity * FREEZING_RANGE + thaw  # J m-3; given off until all is frozen
    liquid = jnp.maximum(heat, 0.0) + jnp.minimum(heat + whole, 0.0)
    freezing = jnp.clip(heat, -whole, 0.0)
    return liquid / soil.capacity + freezing * FREEZING_RANGE / whole


def diffuse(
    temperature: Field,
    surface: Field,
    deep: Field,
    soil: Soil,
    conductivity: Field,
    resistance: Field,
) -> tuple[Field, Field, Field]:
    """Advances the temperature of the layers by one day with backward Euler.

    Args:
      temperature: of the layers, degC, (5,).
      surface: temperature of the air at the ground, degC.
      deep: temperature at `DEEP`, degC.
      soil: what holds heat in the layers.
      conductivity: of the layers, W m-1 K-1, (5,).
      resistance: between the air and the soil surface, m2 K W-1.

    Returns:
      The new temperature (5,), heat in at the top and out at the bottom, J m-2 per day.
    """
    conductance = _conductances(conductivity, resistance)
    thickness = constant(layers.THICKNESS)
    start, guess = heat(temperature, soil), temperature
    upper, below = conductance[:-1], conductance[1:]
    last = layers.SOIL - 1
    boundary = jnp.pad(upper[:1] * surface, (0, last)) + jnp.pad(below[-1:] * deep, (last, 0))
    for _ in range(ITERATIONS):
        freezing = (guess < 0.0) & (guess > -FREEZING_RANGE)
        latent = jnp.where(freezing, FUSION_HEAT / FREEZING_RANGE * soil.freezable, 0.0)
        storage = thickness * (soil.capacity + latent)
        known = thickness * (start - heat(guess, soil)) + storage * guess
        guess = _solve(storage + upper + below, below, known + boundary)
    padded = jnp.concatenate([jnp.stack([surface]), guess, jnp.stack([deep])])
    flow = conductance * (padded[:-1] - padded[1:])  # J m-2; downward
    stored = start + (flow[:-1] - flow[1:]) / thickness
    return temperature_of(stored, soil), flow[0], flow[-1]


def _conductances(conductivity: Field, resistance: Field) -> Field:
    # Between air, centres of the layers and `DEEP`, J m-2 K-1 a day, (6,).
    spacing = constant(SPACING)
    inner = 0.5 * (conductivity[1:] + conductivity[:-1]) / spacing[1:-1]
    top = 1.0 / (resistance + spacing[:1] / conductivity[:1])
    return SECONDS * jnp.concatenate([top, inner, conductivity[-1:] / spacing[-1:]])


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
