"""Closure: a recurrent network inside the daily step that sees the state of the process model."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.models.control import (
    Controller,
    Memory,
    bounded,
    constrained,
    constrained_some,
    offsets_of,
    require_parameters,
)
from kgml_jax.models.features import standardise
from kgml_jax.models.hybrid import Hybrid
from kgml_jax.nets.functional import Network
from kgml_jax.nets.neutral import NeutralGRU
from kgml_jax.process import layers, soil_water
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.ecosystem import State
from kgml_jax.process.organic_matter import OrganicMatter
from kgml_jax.process.plant import Plant
from kgml_jax.process.soil_water import Hydraulics
from kgml_jax.records import Field, quantities
from kgml_jax.sites import Site

MODULATED = (
    "metabolic_decay_rate",
    "structural_decay_rate",
    "particulate_decay_rate",
    "mineral_associated_decay_rate",
    "root_allocation_multiplier",
    "grain_onset_shift",
    "stomatal_slope_multiplier",
)
"""Decay of the four pools, allocation to roots and grain, stomata: what is least known."""

LOG_CARBON_SCALE = 5.0  # 1; logarithms of pools run from 0 to 10
TEMPERATURE_SCALE = 20.0  # degC
STATE_FEATURES = len(quantities(OrganicMatter)) + len(quantities(Plant)) + 2 * layers.SOIL + 1


@dataclass(frozen=True)
class ClosureModel(Hybrid):
    """Process model whose rates a recurrent network modulates day by day.

    At the start of a day gated recurrent units read the standardised inputs of the day and the
    state; each chosen parameter moves in unbounded space by 1.5 tanh of an output. The network
    remembers as long as the record lasts.

    Attributes:
      scaling, process: see `Hybrid`.
      parameters: what the network modulates.
      hidden: units of the recurrent layer; it runs inside the scan over days.
      stop_state_gradient: treat what the network sees of the state as given, so that no derivative
        runs in a circle through network and state.

    Raises:
      ValueError: a parameter does not exist.
    """

    parameters: tuple[str, ...] = MODULATED
    hidden: int = 16
    stop_state_gradient: bool = False

    def __post_init__(self) -> None:
        require_parameters(self.parameters)

    @property
    def moved_daily(self) -> tuple[str, ...]:
        """All that the network modulates."""
        return self.parameters

    @property
    def networks(self) -> tuple[Network, ...]:
        """The one inside the scan."""
        return (self.network,)

    @property
    def network(self) -> Network:
        """From the inputs and the state of a day to offsets of `parameters`."""
        return Network.of(
            NeutralGRU,
            features=len(self.scaling.inputs) + STATE_FEATURES,
            hidden=self.hidden,
            outputs=len(self.parameters),
        )

    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what sets the parameters of one site at the start of each day."""
        offsets = offsets_of(weights)
        params = constrained(offsets, {})
        hydraulic = soil_water.hydraulics(params, site.attributes)

        def act(memory: Memory, state: State, forcing: Forcing, inputs: Field) -> tuple:
            seen = state_features(state, hydraulic)
            if self.stop_state_gradient:
                seen = jax.lax.stop_gradient(seen)
            joined = jnp.concatenate([inputs, seen])
            raw, memory = self.network.apply(weights, joined, memory, method="day")
            changes = dict(zip(self.parameters, bounded(raw), strict=True))
            return (
                dataclasses.replace(params, **constrained_some(offsets, changes)),
                None,
                memory,
            )

        inputs = standardise(self.scaling, site)
        return Controller(params, act, self.network.apply(weights, method="start"), inputs)


def state_features(state: State, hydraulic: Hydraulics) -> Field:
    """Returns what a network sees of the state of one site, of order one, (STATE_FEATURES,).

    Logarithms of the carbon of each kind of pool, summed over layers; water of the soil layers
    relative to the available range, their temperatures; development stage.
    """
    kinds = [getattr(state.organic, name) for name in quantities(OrganicMatter)]
    organs = [getattr(state.plant, name) for name in quantities(Plant)]
    carbon = jnp.stack([jnp.sum(pool[layers.CARBON]) for pool in kinds + organs])
    return jnp.concatenate(
        [
            jnp.log1p(carbon) / LOG_CARBON_SCALE,
            soil_water.relative(state.water.soil, hydraulic),
            state.soil_temperature / TEMPERATURE_SCALE,
            state.phenology.development_stage[None],
        ]
    )
