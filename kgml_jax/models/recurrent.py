"""Recurrent model: the KGML-ag network over standardised inputs, in physical units and signs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.models.features import Scale, Scaling, standardise
from kgml_jax.nets import kgml_ag
from kgml_jax.nets.functional import Network
from kgml_jax.records import Field
from kgml_jax.sites import HALF_A_YEAR, Site, day_of_season

State = kgml_ag.State
PAPER, PUBLIC_CODE = (
    MappingProxyType({name: value for name, value in preset.items() if name != "features"})
    for preset in (kgml_ag.PAPER, kgml_ag.PUBLIC_CODE)
)
"""Arguments of `RecurrentModel` for the networks of Liu et al. (2024); inputs `KGML_AG_INPUTS`."""

RESIDUE_SCALE = 500.0  # g C m-2; brings the annual residue near 1, which the paper standardises
RESIDUE_DAYS = (299, 300)  # d; days of the year on which the residue enters, as in the public code
UNOBSERVED_SCALE = Scale("unobserved", 0.0, 2.0)


@dataclass(frozen=True)
class RecurrentModel:
    """KGML-ag-Carbon (Liu et al. 2024, Nat. Commun. 15:357) for one site.

    With `link="softplus"` Ra, Rh, GPP and yield are non-negative by construction. With
    `balance="hard"` NEE := Ra + Rh - GPP and carbon balances exactly; with `"soft"` NEE has a
    network of its own, as published.

    Attributes:
      scaling: standardisation of inputs and targets, fitted on training days.
      hidden: width of every GRU.
      gpp: `"predicted"` from the inputs, or `"input"`: taken from `forcing.prescribed_gpp`.
      balance: `"hard"` or `"soft"`.
      link: `"softplus"`, or `"linear"`: outputs are standard scores of the targets, as published.
      residue_channel: whether the year's crop residue, what GPP leaves after Ra and yield, enters
        the network of Rh around day 300.
      yield_head: whether the yield of every calendar year is predicted by attention to its days.
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
    link: str = "softplus"
    residue_channel: bool = False
    yield_head: bool = False
    backward: str = "fused"
    dropout: float = 0.2

    @property
    def network(self) -> Network:
        """The network as a pair of pure functions."""
        return Network.of(
            kgml_ag.KGMLAg,
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
            link=self.link,
            residue_channel=self.residue_channel,
            yield_head=self.yield_head,
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

        Returns:
          GPP, Ra, Rh, Reco and NEE; with a yield head also `"yield"`, each day holding that of its
          calendar year, g C m-2 yr-1.
        """
        return self.advance(weights, site, None, key)[0]

    def advance(
        self,
        weights: Weights,
        site: Site,
        state: State | None,
        key: jax.Array | None = None,
        last: Field | int = -1,
    ) -> tuple[dict[str, Field], State]:
        """Predicts as `predict`, from a given state.

        Args:
          weights: nested dict as from `init`.
          site: one site, or a part of its record.
          state: hidden states before its first day; None starts from zero.
          key: dropout key.
          last: day after which the state is returned.

        Returns:
          The fluxes, and the hidden states after day `last`.
        """
        index = site.calendar.year_index - site.calendar.year_index[0]
        years = -(-index.shape[0] // 365) + 1
        raw, kept = self.network.apply(
            weights,
            standardise(self.scaling, site),
            key=key,
            residue=lambda known: self._residue(known, site, index, years),
            year_index=index,
            years=years,
            initial=state,
            last=last,
        )
        fluxes = self._physical(raw, site)
        if self.yield_head:
            fluxes["yield"] = self._scaled("yield", raw["yield"])[index]
        return fluxes, kept

    def _physical(self, raw: Mapping[str, Field], site: Site) -> dict[str, Field]:
        respiration = {name: self._scaled(name, raw[name]) for name in ("Ra", "Rh")}
        gpp = self._gpp(raw, site)
        reco = respiration["Ra"] + respiration["Rh"]
        hard = self.balance == "hard"
        nee = reco - gpp if hard else self._scaled("NEE", raw["NEE"])
        return {"GPP": gpp, **respiration, "Reco": reco, "NEE": nee}

    def _gpp(self, raw: Mapping[str, Field], site: Site) -> Field:
        if self.gpp == "input":
            return site.forcing.prescribed_gpp
        return self._scaled("GPP", raw["GPP"])

    def _residue(self, known: Mapping[str, Field], site: Site, index: Field, years: int) -> Field:
        # Carbon that the crop of a year leaves: GPP less Ra and what is taken away as grain. South
        # of the equator a crop's year begins in July before the year of its harvest.
        late = site.calendar.day_of_year > HALF_A_YEAR
        index = index + (late & (site.attributes.latitude < 0))
        by_day = self._gpp(known, site) - self._scaled("Ra", known["Ra"])
        left = jax.ops.segment_sum(by_day, index, num_segments=years + 1)
        if self.yield_head:
            left = left - jnp.pad(self._scaled("yield", known["yield"]), (0, 1))
        day = day_of_season(site)
        enters = (day >= RESIDUE_DAYS[0]) & (day <= RESIDUE_DAYS[-1])
        return jnp.where(enters, jax.nn.relu(left)[index] / RESIDUE_SCALE, 0.0)

    def _scaled(self, name: str, raw: Field) -> Field:
        scale = self._scale(name)
        signed = self.link == "linear" or name == "NEE"
        return raw * scale.sd + scale.mean if signed else raw * scale.sd

    def _scale(self, name: str) -> Scale:
        known = {scale.name: scale for scale in self.scaling.targets}
        if name in known or name == "NEE":
            return known.get(name, UNOBSERVED_SCALE)
        # Towers see neither Ra nor Rh: each then has half the scale of what they do see.
        seen = known.get("Reco", known.get("NEE", UNOBSERVED_SCALE))
        mean = 0.5 * seen.mean if seen.name == "Reco" else 0.0
        return Scale(name, mean, 0.5 * seen.sd)
