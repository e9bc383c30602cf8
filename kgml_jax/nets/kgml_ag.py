"""KGML-ag-Carbon: a recurrent basis with one recurrent head for every carbon flux."""

from functools import partial
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from kgml_jax.nets.attention import Perceptron, yearly_attention
from kgml_jax.nets.calibration import CalibrationHead
from kgml_jax.nets.recurrent import GRU, Backward

GppSource = Literal["predicted", "input"]
Balance = Literal["hard", "soft"]

_PUBLISHED = {
    "features": 19,
    "hidden": 64,
    "ra_layers": 1,
    "rh_layers": 2,
    "nee_layers": 1,
    "gpp": "input",
    "balance": "soft",
    "residue_channel": True,
    "yield_head": True,
}
PAPER = MappingProxyType({**_PUBLISHED, "basis_layers": 1})
"""Arguments of `KGMLAg` as in the text of Liu et al. (2024): 136,453 parameters."""
PUBLIC_CODE = MappingProxyType({**_PUBLISHED, "basis_layers": 2})
"""Arguments as in the code published with it: 161,413 parameters, the number the paper gives."""


def output_names(
    gpp: GppSource = "predicted", balance: Balance = "hard", yield_head: bool = False
) -> tuple[str, ...]:
    """Returns the outputs of `KGMLAg` in the order of the calibration head's output leaves."""
    chosen = {
        "GPP": gpp == "predicted",
        "Ra": True,
        "Rh": True,
        "NEE": balance == "soft",
        "yield": yield_head,
    }
    return tuple(name for name, present in chosen.items() if present)


class KGMLAg(nnx.Module):
    """The network of KGML-ag-Carbon (Liu et al. 2024, Nat. Commun. 15:357) for one site.

    A basis of gated recurrent units reads the inputs; each flux has its own recurrent units on the
    basis and the inputs. GPP, Ra, Rh and yield pass a softplus and are non-negative by
    construction; NEE is linear. Every head is scaled and shifted by the calibration head before
    its softplus.

    Args:
      features: inputs a day.
      hidden: units of every recurrent layer.
      basis_layers: layers of `gru_basis`; likewise `gpp_layers`, `ra_layers`, `rh_layers` and
        `nee_layers` of the heads.
      dropout: share of the basis' units hidden from the heads in training.
      gpp: `"predicted"` by a head of its own, or an `"input"` among the features.
      balance: `"soft"` predicts NEE from the other fluxes and the inputs; `"hard"` leaves it to
        the caller as Ra + Rh - GPP.
      residue_channel: whether Rh also reads the annual crop residue.
      yield_head: whether the annual crop yield is predicted.
      backward: derivative of the recurrences, see `recurrent.gru`.
      rngs: stream `params` draws the weights.

    Raises:
      ValueError: for an unknown `gpp` or `balance`.
    """

    def __init__(
        self,
        features: int,
        hidden: int = 64,
        *,
        basis_layers: int = 2,
        gpp_layers: int = 1,
        ra_layers: int = 1,
        rh_layers: int = 2,
        nee_layers: int = 1,
        dropout: float = 0.2,
        gpp: GppSource = "predicted",
        balance: Balance = "hard",
        residue_channel: bool = False,
        yield_head: bool = False,
        backward: Backward = "fused",
        rngs: nnx.Rngs,
    ):
        if gpp not in ("predicted", "input") or balance not in ("hard", "soft"):
            raise ValueError(f"no network with gpp={gpp!r} and balance={balance!r}")
        self.output_names = output_names(gpp, balance, yield_head)
        self.dropout = dropout
        self.residue_channel = residue_channel
        self.calibration = CalibrationHead(features, len(self.output_names))
        recurrent = partial(GRU, hidden=hidden, rngs=rngs, backward=backward)
        self.gru_basis = recurrent(features, layers=basis_layers)
        joined = hidden + features
        head_inputs = {
            "GPP": (joined, gpp_layers),
            "Ra": (joined, ra_layers),
            "Rh": (joined + residue_channel, rh_layers),
            "NEE": (len({"GPP", "Ra", "Rh"} & {*self.output_names}) + features, nee_layers),
        }
        for name, (width, layers) in head_inputs.items():
            if name in self.output_names:
                setattr(self, f"gru_{name.lower()}", recurrent(width, layers=layers))
                setattr(self, f"to_{name.lower()}", nnx.Linear(hidden, 1, rngs=rngs))
        if yield_head:
            widths = (hidden, hidden, hidden, hidden // 2, 1)
            self.attention = Perceptron(widths, rngs=rngs)
            self.to_yield = Perceptron(widths, rngs=rngs)

    def __call__(
        self,
        inputs: jax.Array,
        key: jax.Array | None = None,
        *,
        residue: jax.Array | None = None,
        year_index: jax.Array | None = None,
        years: int = 0,
    ) -> dict[str, jax.Array]:
        """Predicts the fluxes of one site.

        Args:
          inputs: standardised drivers and attributes, (time, features).
          key: of the dropout mask; without it nothing is dropped.
          residue: standardised annual crop residue on the days it enters the soil, (time,); needed
            with `residue_channel`.
          year_index: year of each day counted from 0, int (time,); needed with `yield_head`.
          years: number of years, static; needed with `yield_head`.

        Returns:
          For each of `output_names` its series (time,), for `"yield"` one value a year (years,),
          in standard deviations of the target.
        """
        inputs = self.calibration.inputs(inputs)
        basis = drop(self.gru_basis(inputs), self.dropout, key)
        joined = jnp.concatenate([basis, inputs], axis=1)
        fluxes = {}
        if "GPP" in self.output_names:
            fluxes["GPP"] = jax.nn.softplus(self._head("GPP", joined))
        fluxes["Ra"] = jax.nn.softplus(self._head("Ra", joined))
        if self.residue_channel:
            joined = jnp.concatenate([_column(residue, "residue"), joined], axis=1)
        fluxes["Rh"] = jax.nn.softplus(self._head("Rh", joined))
        if "NEE" in self.output_names:
            balance = jnp.concatenate([jnp.stack([*fluxes.values()], axis=1), inputs], axis=1)
            fluxes["NEE"] = self._head("NEE", balance)
        if "yield" in self.output_names:
            fluxes["yield"] = self._yield(basis, year_index, years)
        return fluxes

    def attention_weights(self, basis: jax.Array, year_index: jax.Array, years: int) -> jax.Array:
        """Returns the share of each day in the yield of each year, (years, time)."""
        return yearly_attention(jnp.tanh(self.attention(basis)[:, 0]), year_index, years)

    def _head(self, name: str, sequence: jax.Array) -> jax.Array:
        states = getattr(self, f"gru_{name.lower()}")(sequence)
        value = getattr(self, f"to_{name.lower()}")(states)[:, 0]
        return self.calibration.output(self.output_names.index(name), value)

    def _yield(self, basis: jax.Array, year_index: jax.Array | None, years: int) -> jax.Array:
        if year_index is None or years < 1:
            raise ValueError("the yield head needs year_index and years")
        season = self.attention_weights(basis, year_index, years) @ basis
        value = self.to_yield(season)[:, 0]
        return jax.nn.softplus(self.calibration.output(self.output_names.index("yield"), value))


def drop(values: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Sets a random share `rate` of `values` to zero and scales the others to keep the mean.

    Without a key `values` are returned as they are.
    """
    if key is None or rate == 0.0:
        return values
    kept = jax.random.bernoulli(key, 1.0 - rate, values.shape)
    return jnp.where(kept, values / (1.0 - rate), 0.0)


def _column(values: jax.Array | None, name: str) -> jax.Array:
    if values is None:
        raise ValueError(f"the network has a {name} channel: pass `{name}`")
    return values[:, None]
