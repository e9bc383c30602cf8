"""Soil hydraulics, snow, runoff and the downward cascade of water through the soil."""

import jax
import jax.numpy as jnp

from kgml_jax.process import layers
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import Params
from kgml_jax.process.pedotransfer import Hydraulics as Hydraulics
from kgml_jax.process.smooth import above, donor, frac, sat01, smin, spos
from kgml_jax.records import Field, constant, record, var


@record
class Water:
    """Water stored at a site."""

    soil: Field = var(units="mm", doc="Liquid water of the soil layers, shape (5,)")
    snow: Field = var(units="mm", doc="Snow, water equivalent")


def hydraulics(params: Params, attributes: Attributes) -> Hydraulics:
    """Returns the hydraulic state of a site: its attributes scaled by its parameters.

    Wilting point is kept below field capacity and saturation above it, whatever the multipliers.
    """
    capacity = params.field_capacity_multiplier * attributes.field_capacity
    wilting = params.wilting_point_multiplier * attributes.wilting_point
    porosity = 1.0 - attributes.bulk_density / 2.65
    return Hydraulics(
        saturation=capacity + 0.04 + spos(0.97 * porosity - capacity - 0.04, 50.0),
        field_capacity=capacity,
        wilting_point=smin(wilting, 0.85 * capacity, 0.999),
        conductivity=params.saturated_conductivity_multiplier * attributes.saturated_conductivity,
    )


def content(soil: Field) -> Field:
    """Volumetric water content of the layers, m3 m-3, shape (5,)."""
    return soil / constant(layers.MILLIMETRES)


def relative(soil: Field, hydraulic: Hydraulics) -> Field:
    """Water relative to the available range: 0 at wilting point, 1 at field capacity, (5,)."""
    available = hydraulic.field_capacity - hydraulic.wilting_point
    return (content(soil) - hydraulic.wilting_point) / available


def snow(
    params: Params, pack: Field, precipitation: Field, temperature: Field
) -> tuple[Field, Field, Field]:
    """Splits precipitation (mm) at mean air `temperature` and melts the snow pack.

    Returns:
      The new pack, rain and melt, each in mm.
    """
    rain = precipitation * jax.nn.sigmoid((temperature - 1.0) / 0.8)
    pack = pack + (precipitation - rain)
    melt = donor(pack, params.degree_day_factor * spos(temperature))
    return pack - melt, rain, melt


def runoff(curve_number: Field, arriving: Field) -> Field:
    """Surface runoff of the water `arriving` in a day, mm (smooth SCS curve number)."""
    retention = 25400.0 / curve_number - 254.0
    initial = 0.2 * retention
    excess = spos(arriving - initial) - spos(-initial)
    return excess**2 / (arriving + 4.0 * initial)


def _cascade(
    params: Params, soil: Field, infiltration: Field, hydraulic: Hydraulics
) -> tuple[list[Field], Field]:
    # Each layer passes on what it holds above field capacity, delayed by its travel time. Returns
    # the water held by each layer, and that leaving each downward (5,).
    depth = constant(layers.MILLIMETRES)
    capacity = hydraulic.field_capacity * depth
    free = (hydraulic.saturation - hydraulic.field_capacity) * depth
    leaving = frac(1.0 / (free / (24.0 * hydraulic.conductivity) + 0.05))
    flow, held, flows = infiltration, [], []
    for layer in range(layers.SOIL):
        water = soil[layer] + flow
        last = layer == layers.SOIL - 1
        share = frac(params.tile_drainage_rate) if last else leaving[layer]
        flow = share * above(water, capacity[layer])
        held.append(water - flow)
        flows.append(flow)
    return held, jnp.stack(flows)


def _overflow(held: list[Field], hydraulic: Hydraulics) -> tuple[Field, Field]:
    # Water above saturation rises layer by layer; what leaves the top layer runs off.
    saturation = hydraulic.saturation * constant(layers.MILLIMETRES)
    rising, kept = jnp.zeros_like(held[0]), []
    for layer in reversed(range(layers.SOIL)):
        water = held[layer] + rising
        rising = above(water, saturation[layer], 1e-6)
        kept.append(water - rising)
    return jnp.stack(kept[::-1]), rising


def step(
    params: Params, hydraulic: Hydraulics, soil: Field, arriving: Field
) -> tuple[Field, Field, Field, Field]:
    """Infiltrates the water `arriving` at the surface (mm), and drains the soil by one day.

    Returns:
      The soil water (5,), runoff, drainage below 1.2 m, and what left each layer downward (5,), of
      which the last is the drainage; in mm.
    """
    upper = layers.THICKNESS[: layers.TOPSOIL]
    available = sat01(relative(soil, hydraulic)[: layers.TOPSOIL])
    wetness = jnp.sum(available * constant(upper)) / upper.sum()
    surface = runoff(params.curve_number * (0.85 + 0.2 * wetness), arriving)
    held, outflow = _cascade(params, soil, arriving - surface, hydraulic)
    soil, overflow = _overflow(held, hydraulic)
    wet = relative(soil, hydraulic)
    upward = 0.01 * (wet[1:] - wet[:-1]) * jnp.minimum(soil[1:], soil[:-1])
    soil = soil + jnp.pad(upward, (0, 1)) - jnp.pad(upward, (1, 0))
    return soil, surface + overflow, outflow[-1], outflow
