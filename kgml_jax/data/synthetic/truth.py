"""What calibration is to find: true parameters of every site, and an optional missing process."""

import math
from dataclasses import dataclass

import numpy as np

from kgml_jax.process.parameters import Params
from kgml_jax.records import Quantity, quantities


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a parameter's offset from its prior, in unbounded space."""

    state: float
    """Of the part that the sites of a state share."""
    site: float
    """Of the site's own part."""


SPREAD = {
    "vcmax_multiplier": Spread(0.25, 0.30),
    "stomatal_slope_multiplier": Spread(0.20, 0.30),
    "specific_leaf_area_multiplier": Spread(0.25, 0.30),
    "vegetative_duration_multiplier": Spread(0.40, 0.40),
    "reproductive_duration_multiplier": Spread(0.40, 0.40),
    "maintenance_respiration_rate": Spread(0.40, 0.40),
    "water_stress_sensitivity": Spread(0.30, 0.40),
    "senescence_multiplier": Spread(0.30, 0.40),
    "curve_number": Spread(0.20, 0.40),
    "soil_evaporation_exponent": Spread(0.30, 0.40),
    "metabolic_decay_rate": Spread(0.30, 0.40),
    "structural_decay_rate": Spread(0.30, 0.40),
    "particulate_decay_rate": Spread(0.25, 0.30),
    "mineral_associated_decay_rate": Spread(0.20, 0.25),
    "carbon_use_efficiency": Spread(0.40, 0.40),
    "microbial_mortality_rate": Spread(0.25, 0.35),
    "necromass_stabilised_fraction": Spread(0.25, 0.35),
    "tillage_effect": Spread(0.30, 0.40),
}
"""Parameters whose truth differs between sites; all others keep their priors everywhere."""


def parameters(regional: np.random.Generator, local: np.random.Generator) -> dict[str, float]:
    """Draws the true parameters of one site, all fields of `Params`.

    Args:
      regional: a stream that is the same at all sites of the state.
      local: the site's own stream.
    """
    values = {}
    for name, quantity in quantities(Params).items():
        spread = SPREAD.get(name, Spread(0.0, 0.0))
        offset = regional.normal(0.0, spread.state) + local.normal(0.0, spread.site)
        values[name] = displaced(quantity, offset)
    return values


def displaced(quantity: Quantity, offset: float) -> float:
    """Returns the value at an unbounded `offset` from the prior, inside the bounds.

    Raises:
      ValueError: the quantity has no bounds or no prior.
    """
    if quantity.bounds is None or quantity.default is None:
        raise ValueError(f"{quantity.doc!r} is no parameter: it needs bounds and a prior")
    logarithmic = quantity.transform == "log"
    low, high, prior = (
        math.log(value) if logarithmic else value for value in (*quantity.bounds, quantity.default)
    )
    odds = (prior - low) / (high - prior) * math.exp(offset)
    value = low + (high - low) * odds / (1.0 + odds)
    return math.exp(value) if logarithmic else value


TEMPERATURE_SHIFT_SD = 0.03
"""degC-1, between states."""

TEMPERATURE_MEMORY = 10.0
"""Days over which the soil follows the air."""


def shifted_respiration(respiration: np.ndarray, air: np.ndarray, slope: float) -> np.ndarray:
    """Returns heterotrophic respiration of a site with another temperature response.

    A response that no parameter of the process model can produce. The carbon respired over the
    whole record stays the same, so that the site's carbon budget still closes; only its timing
    moves towards warm (`slope` > 0) or cold days.

    Args:
      respiration: g C m-2 d-1, shape (time,).
      air: mean air temperature, degC, shape (time,).
      slope: relative change of respiration with temperature, degC-1.
    """
    soil, follow = np.empty_like(air), 1.0 / TEMPERATURE_MEMORY
    value = float(air[:30].mean())
    for day, temperature in enumerate(air.tolist()):
        value += follow * (temperature - value)
        soil[day] = value
    moved = respiration * np.exp(slope * (soil - soil.mean()))
    return moved * (respiration.sum() / moved.sum())
