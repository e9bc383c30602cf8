"""Residuals: a recurrent network corrects what the process model gets wrong.

Two kinds. Added to what is observed, corrections reach any value and break the link of fluxes and
stocks. As factors on fluxes inside the daily step they keep every budget closed.
"""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.models.control import (
    Controller,
    Memory,
    bounded,
    constrained,
    offsets_of,
)
from kgml_jax.models.features import standardise
from kgml_jax.models.hybrid import Hybrid
from kgml_jax.nets.functional import Network
from kgml_jax.nets.neutral import NeutralGRU
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.ecosystem import State
from kgml_jax.process.factors import Factors
from kgml_jax.records import Field, quantities
from kgml_jax.sites import Site

SPREAD = {"GPP": 6.0, "Ra": 2.5, "Rh": 1.0}
"""g C m-2 d-1; a correction is a multiple of it, about the standard deviation over days."""


@dataclass(frozen=True)
class _Corrected(Hybrid):
    """A recurrent network reads the inputs and says a number a day for each of `corrected`.

    Attributes:
      scaling, process: see `Hybrid`.
      hidden: units of the recurrent layer.
    """

    hidden: int = 16

    @property
    @abc.abstractmethod
    def corrected(self) -> tuple[str, ...]:
        """Names of what the outputs of the network correct."""

    @property
    def networks(self) -> tuple[Network, ...]:
        """The recurrent network."""
        return (
            Network.of(
                NeutralGRU,
                features=len(self.scaling.inputs),
                hidden=self.hidden,
                outputs=len(self.corrected),
            ),
        )

    def raw(self, weights: Weights, site: Site) -> Field:
        """Returns what the network says, (corrected, time); 0 corrects nothing."""
        return self.networks[0].apply(weights, standardise(self.scaling, site)).T


@dataclass(frozen=True)
class ResidualModel(_Corrected):
    """Process model plus a recurrent network that corrects GPP, Ra and Rh.

    NEE and Reco follow from the corrected fluxes, so these agree with each other; outputs do not
    close with stocks, which stay those of the process model, and fluxes may be negative.

    Attributes:
      scaling, process: see `Hybrid`.
      hidden: units of the recurrent layer.
    """

    @property
    def conserves(self) -> tuple[str, ...]:
        """No budget closes: what is added comes from nowhere."""
        return ()

    @property
    def corrected(self) -> tuple[str, ...]:
        """Fluxes the network corrects; GPP is not corrected where it is given."""
        names = tuple(SPREAD)
        return names if self.process.gpp == "simulated" else names[1:]

    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what sets the parameters: nothing does after the first day."""
        return self.process.controller(weights, site)

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns daily fluxes of one site, as `Hybrid.predict`, corrected."""
        daily = super().predict(weights, site)
        for name, correction in zip(self.corrected, self.raw(weights, site), strict=True):
            daily[name] = daily[name] + SPREAD[name] * correction
        reco = daily["Ra"] + daily["Rh"]
        return daily | {"Reco": reco, "NEE": reco - daily["GPP"]}


@dataclass(frozen=True)
class ConservingResidualModel(_Corrected):
    """Process model whose fluxes a recurrent network scales inside the daily step.

    Gross photosynthesis, maintenance and the pace of decomposition are multiplied by
    exp(1.5 tanh(o)) of an output each; every flux still leaves one pool and enters another.

    Attributes:
      scaling, process: see `Hybrid`.
      hidden: units of the recurrent layer.
    """

    @property
    def corrected(self) -> tuple[str, ...]:
        """Fields of `Factors`."""
        return tuple(quantities(Factors))

    def controller(self, weights: Weights, site: Site) -> Controller:
        """Returns what scales the fluxes of one site on each day."""
        params = constrained(offsets_of(weights), {})
        factors = jnp.exp(bounded(self.raw(weights, site)))

        def act(memory: Memory, state: State, forcing: Forcing, today: Factors) -> tuple:
            return params, today, memory

        daily = Factors(**dict(zip(self.corrected, factors, strict=True)))
        return Controller(params, act, inputs=daily)
