"""What all models share that join networks with the process model."""

import abc
from dataclasses import dataclass, replace
from typing import Any

import jax

from kgml_jax.adaptation import Weights
from kgml_jax.models.control import CONSERVED, Controller
from kgml_jax.models.features import Scaling
from kgml_jax.models.process import FROM_ATTRIBUTES, ProcessModel
from kgml_jax.models.updates import ScheduledUpdate
from kgml_jax.nets.functional import Network
from kgml_jax.records import Field
from kgml_jax.sites import Site


@dataclass(frozen=True)
class Hybrid(abc.ABC):
    """Process model of which networks set parameters, or factors on fluxes.

    Its weights are those of the process model, `process/*`, and beside them those of the networks,
    whose last layers start at zero: the hybrid starts as the process model.

    Attributes:
      scaling: standardisation of the inputs of the networks.
      process: spin-up, source of photosynthesis and observables of the process model.
    """

    scaling: Scaling
    process: ProcessModel = FROM_ATTRIBUTES

    @property
    def conserves(self) -> tuple[str, ...]:
        """Budgets that close on every day, whatever the weights; see `ecosystem.imbalance`."""
        return CONSERVED

    @property
    def moved_daily(self) -> tuple[str, ...]:
        """Parameters that a network moves from day to day: what a site has of them is a base."""
        return ()

    @property
    @abc.abstractmethod
    def networks(self) -> tuple[Network, ...]:
        """The networks; no two have a weight of the same name."""

    @abc.abstractmethod
    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what sets the parameters of one site on each day."""

    def init(self, key: jax.Array) -> Weights:
        """Draws weights with which the model is the process model at its priors."""
        weights = self.process.init(key)
        for network, own in zip(
            self.networks, jax.random.split(key, len(self.networks)), strict=True
        ):
            weights |= network.init(own)
        return weights

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns daily fluxes of one site, each of shape (time,), in physical units.

        Args:
          weights: nested dict as from `init`.
          site: one site; read are forcing, attributes and calendar.
          key: not used.
        """
        return self.process.observe(weights, self.controller(weights, site), site)


def process_of(model: Any) -> ProcessModel:
    """Returns the process model that a model is, or has in it."""
    return model if isinstance(model, ProcessModel) else model.process


def with_updates(
    model: Any, weights: Weights, updates: tuple[ScheduledUpdate, ...]
) -> tuple[Any, Weights]:
    """Returns a model whose pools are moved on given dates, and its weights with amounts of 0.

    Args:
      model: the process model or a hybrid.
      weights: of `model`.
      updates: when and which pools.
    """
    process = replace(process_of(model), updates=updates)
    nothing = process.init(jax.random.key(0))["process"]
    changed = process if isinstance(model, ProcessModel) else replace(model, process=process)
    return changed, {**weights, "process": {**nothing, **weights["process"]}}  # type: ignore[dict-item]
