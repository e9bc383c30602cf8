"""Recurrent model: the KGML-ag network over standardised inputs, in physical units and signs."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.models.features import Scaling, standardise
from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag import KGMLAg
from kgml_jax.records import Field
from kgml_jax.sites import Site


@dataclass(frozen=True)
class RecurrentModel:
    """KGML-ag-Carbon (Liu et al. 2024, Nat. Commun. 15:357) for one site.

    Ra, Rh and GPP are non-negative by construction. With `balance="hard"` NEE := Ra + Rh - GPP and
    carbon balances exactly; with `"soft"` NEE has a network of its own, as published.

    Attributes:
      scaling: standardisation of inputs and targets, fitted on training days.
      hidden: width of every GRU.
      gpp: `"predicted"` from the inputs, or `"input"`: taken from `forcing.prescribed_gpp`.
      balance: `"hard"` or `"soft"`.
      backward: derivative of the recurrences: `"fused"`, or `"plain"` to compare with.
      dropout: share of the basis units dropped in training.
    """

    scaling: Scaling
    hidden: int = 64
    basis_layers: int = 2
    gpp_layers: int = 1
    ra_layers: int = 1
    rh_layers: int = 2
    nee_layers: int = 1
    gpp: str = "predicted"
    balance: str = "hard"
    backward: str = "fused"
    dropout: float = 0.2

    @property
    def network(self) -> Network:
        """The network as a pair of pure functions."""
        return Network.of(
            KGMLAg,
            features=len(self.scaling.inputs),
            hidden=self.hidden,
            basis_layers=self.basis_layers,
            gpp_layers=self.gpp_layers,
            ra_layers=self.ra_layers,
            rh_layers=self.rh_layers,
            nee_layers=self.nee_layers,
            dropout=self.dropout,
            gpp=self.gpp,
            balance=self.balance,
            backward=self.backward,
        )

    def init(self, key: jax.Array) -> Weights:
        """Draws weights; the calibration head starts neutral."""
        return self.network.init(key)

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns daily fluxes of one site, each of shape (time,), in g C m-2 d-1.

        Args:
          weights: nested dict as from `init`.
          site: one site; only forcing, attributes and calendar are read.
          key: dropout key; None predicts without dropout.
        """
        raw = self.network.apply(weights, standardise(self.scaling, site), key=key)
        respiration = {name: raw[name] * self._scale(name) for name in ("Ra", "Rh")}
        given = self.gpp == "input"
        gpp = site.forcing.prescribed_gpp if given else raw["GPP"] * self._scale("GPP")
        reco = respiration["Ra"] + respiration["Rh"]
        hard = self.balance == "hard"
        nee = reco - gpp if hard else self._scaled_nee(raw["NEE"])
        return {"GPP": gpp, **respiration, "Reco": reco, "NEE": nee}

    def _scale(self, name: str) -> float:
        known = {scale.name: scale.sd for scale in self.scaling.targets}
        if name in known:
            return known[name]
        # Towers see neither Ra nor Rh: each then has half the scale of what they do see.
        return 0.5 * known.get("Reco", known.get("NEE", 2.0))

    def _scaled_nee(self, raw: Field) -> Field:
        scales = {scale.name: scale for scale in self.scaling.targets}
        nee = scales.get("NEE")
        return raw * nee.sd + nee.mean if nee else raw * jnp.asarray(self._scale("NEE"))
