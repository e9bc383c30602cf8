"""What calibration is to find: true parameters of every site, and an optional missing process."""

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np

from kgml_jax import bijections
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
    "grain_onset_shift": Spread(0.25, 0.30),
    "nitrogen_mobilisation_rate": Spread(0.20, 0.30),
    "nitrogen_uptake_rate": Spread(0.25, 0.40),
    "nitrogen_fixation_fraction": Spread(0.20, 0.30),
    "senescence_multiplier": Spread(0.30, 0.40),
    "curve_number": Spread(0.20, 0.40),
    "tile_drainage_rate": Spread(0.30, 0.40),
    "soil_evaporation_exponent": Spread(0.30, 0.40),
    "metabolic_decay_rate": Spread(0.30, 0.40),
    "structural_decay_rate": Spread(0.30, 0.40),
    "particulate_decay_rate": Spread(0.25, 0.30),
    "mineral_associated_decay_rate": Spread(0.20, 0.25),
    "carbon_use_efficiency": Spread(0.40, 0.40),
    "microbial_mortality_rate": Spread(0.25, 0.35),
    "necromass_stabilised_fraction": Spread(0.25, 0.35),
    "tillage_effect": Spread(0.30, 0.40),
    "nitrification_rate": Spread(0.25, 0.40),
    "denitrification_multiplier": Spread(0.25, 0.40),
}
"""Parameters whose truth differs between sites; all others keep their priors everywhere, such as
the share of nitrification lost as nitrous oxide, about which no observation tells anything."""


def parameters(
    regional: np.random.Generator, local: np.random.Generator, scale: float = 1.0
) -> dict[str, float]:
    """Draws the true parameters of one site, all fields of `Params`.

    Args:
      regional: a stream that is the same at all sites of the state.
      local: the site's own stream.
      scale: multiplies `SPREAD`; 0 leaves the priors.
    """
    values = {}
    for name, quantity in quantities(Params).items():
        spread = SPREAD.get(name, Spread(0.0, 0.0))
        offset = regional.normal(0.0, spread.state) + local.normal(0.0, spread.site)
        values[name] = displaced(quantity, scale * offset)
    return values


def displaced(quantity: Quantity, offset: float) -> float:
    """Returns the value at an unbounded `offset` from the prior, inside the bounds.

    Raises:
      ValueError: the quantity has no bounds or no prior.
    """
    if quantity.bounds is None or quantity.default is None:
        raise ValueError(f"{quantity.doc!r} is no parameter: it needs bounds and a prior")
    prior = bijections.unconstrain(quantity.default, quantity)
    return float(bijections.constrain(prior + offset, quantity))


Twist = Literal["temperature", "priming"]
"""What heterotrophic respiration does that no parameter of the process model can produce.

`temperature`: it follows temperature more or less steeply, by state. `priming`: fresh carbon from
roots, which follows photosynthesis, speeds it up."""

TEMPERATURE_SHIFT_SD = 0.03
"""degC-1, between states."""

TEMPERATURE_MEMORY = 10.0
"""Days over which the soil follows the air."""

PRIMING_SD = 0.15
"""Of the normal whose magnitude is a state's relative rise of respiration at mean root carbon."""

PRIMING_MEMORY = 15.0
"""Days over which root carbon follows photosynthesis."""


def twisted(
    twist: Twist, respiration: np.ndarray, air: np.ndarray, gpp: np.ndarray, strength: float
) -> np.ndarray:
    """Returns heterotrophic respiration of a site with a process the model does not know.

    The carbon respired over the whole record stays the same, so that the site's carbon budget still
    closes; only its timing moves.

    Args:
      twist: which process.
      respiration: g C m-2 d-1, shape (time,).
      air: mean air temperature, degC, shape (time,).
      gpp: gross primary productivity, g C m-2 d-1, shape (time,).
      strength: a standard normal draw, the same at all sites of a state.
    """
    match twist:
        case "temperature":
            soil = _followed(air, TEMPERATURE_MEMORY)
            factor = np.exp(TEMPERATURE_SHIFT_SD * strength * (soil - soil.mean()))
        case "priming":
            fresh = _followed(gpp, PRIMING_MEMORY)
            factor = 1.0 + PRIMING_SD * abs(strength) * fresh / max(float(fresh.mean()), 1e-9)
        case other:
            assert_never(other)
    moved = respiration * factor
    return moved * (respiration.sum() / moved.sum())


def _followed(driver: np.ndarray, memory: float) -> np.ndarray:
    # Exponentially weighted past of a daily series.
    followed, follow = np.empty_like(driver), 1.0 / memory
    value = float(driver[:30].mean())
    for day, today in enumerate(driver.tolist()):
        value += follow * (today - value)
        followed[day] = value
    return followed
