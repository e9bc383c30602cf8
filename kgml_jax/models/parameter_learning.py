"""Differentiable parameter learning: networks that set parameters of the process model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.models.control import (
    Controller,
    bounded,
    constant,
    constrained,
    constrained_some,
    offsets_of,
    require_parameters,
    scheduled,
)
from kgml_jax.models.features import standardise
from kgml_jax.models.hybrid import Hybrid
from kgml_jax.nets.functional import Network
from kgml_jax.nets.neutral import NeutralGRU, NeutralPerceptron
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.records import Field, quantities
from kgml_jax.sites import Site, Sites

DYNAMIC = (
    "vcmax_multiplier",
    "water_stress_sensitivity",
    "metabolic_decay_rate",
    "carbon_use_efficiency",
)
"""Parameters that `dpl-dynamic` moves from day to day."""


@dataclass(frozen=True)
class ParameterLearningModel(Hybrid):
    """dPL (Tsai et al. 2021, Nat. Commun. 12:5988): attributes, and weather, set the parameters.

    In unbounded space a parameter is prior + `weights["process"]` + what the perceptron makes of
    the site's attributes + what the recurrent network makes of the weather until that day. The
    second is 0 unless a site is calibrated on top of the learnt parameters.

    Attributes:
      scaling: standardisation of the inputs; those that are attributes feed the perceptron, all of
        them the recurrent network.
      process: see `Hybrid`.
      parameters: set once for a site, from its attributes.
      dynamic: set anew each day; none leaves the recurrent network out.
      hidden: units of each layer.

    Raises:
      ValueError: a parameter does not exist, or no input is an attribute.
    """

    parameters: tuple[str, ...] = DEFAULT_SUBSET
    dynamic: tuple[str, ...] = ()
    hidden: int = 16

    def __post_init__(self) -> None:
        require_parameters(self.parameters)
        require_parameters(self.dynamic)
        if not self._columns:
            names = ", ".join(scale.name for scale in self.scaling.inputs)
            raise ValueError(f"no input is an attribute of the site, only {names}")

    @property
    def moved_daily(self) -> tuple[str, ...]:
        """Those that follow the weather."""
        return self.dynamic

    @property
    def networks(self) -> tuple[Network, ...]:
        """The perceptron, and the recurrent network where parameters are dynamic."""
        return (self.static_network, self.daily_network)[: 2 if self.dynamic else 1]

    @property
    def static_network(self) -> Network:
        """From standardised attributes to unbounded offsets of `parameters`."""
        return Network.of(
            NeutralPerceptron,
            features=len(self._columns),
            hidden=self.hidden,
            outputs=len(self.parameters),
        )

    @property
    def daily_network(self) -> Network:
        """From standardised inputs until a day to unbounded offsets of `dynamic` on it."""
        return Network.of(
            NeutralGRU,
            features=len(self.scaling.inputs),
            hidden=self.hidden,
            outputs=len(self.dynamic),
        )

    def site_offsets(self, weights: Weights, site: Site) -> dict[str, Field]:
        """Returns what the perceptron adds to each of `parameters`, unbounded, `()`."""
        today = standardise(self.scaling, site)[0]
        found = self.static_network.apply(weights, today[jnp.array(self._columns)])
        return dict(zip(self.parameters, found, strict=True))

    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what sets the parameters of one site on each day."""
        offsets = offsets_of(weights)
        learnt = self.site_offsets(weights, site)
        params = constrained(offsets, learnt)
        if not self.dynamic:
            return constant(params)
        daily = self._daily_offsets(weights, site)
        moved = {name: learnt.get(name, 0.0) + change for name, change in daily.items()}
        return scheduled(params, constrained_some(offsets, moved))

    def _daily_offsets(self, weights: Weights, site: Site) -> Mapping[str, Field]:
        found = bounded(self.daily_network.apply(weights, standardise(self.scaling, site)))
        return dict(zip(self.dynamic, found.T, strict=True))

    @property
    def _columns(self) -> tuple[int, ...]:
        names = [scale.name for scale in self.scaling.inputs]
        return tuple(row for row, name in enumerate(names) if name in quantities(Attributes))


def learnt_offsets(
    model: Any, names: Sequence[str], weights: Weights, sites: Sites
) -> np.ndarray | None:
    """Returns what the network of a dPL model adds to parameters, unbounded, (site, parameter).

    None for other models. What wraps a model, to change no more than what its predictions mean,
    has it as `model`.
    """
    model = getattr(model, "model", model)
    if not isinstance(model, ParameterLearningModel):
        return None
    learnt = jax.vmap(model.site_offsets, in_axes=(None, 0))(weights, sites.site)
    none = np.zeros(len(sites), np.float32)
    return np.stack([np.asarray(learnt.get(name, none)) for name in names], axis=1)
