"""KGML-ag-Carbon: a recurrent basis with one recurrent head for every carbon flux."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx

from kgml_jax.nets.attention import Perceptron, yearly_attention
from kgml_jax.nets.calibration import CalibrationHead
from kgml_jax.nets.recurrent import GRU, Backward

GppSource = Literal["predicted", "input"]
Balance = Literal["hard", "soft"]
Link = Literal["softplus", "linear"]
State = Mapping[str, jax.Array]
"""Hidden states of every recurrent layer after a day, (layers, hidden) by name."""
Residue = Callable[[Mapping[str, jax.Array]], jax.Array]
"""The residue channel (time,) that follows from the outputs found before Rh."""

_PUBLISHED = {
    "features": 19,
    "hidden": 64,
    "ra_layers": 1,
    "rh_layers": 2,
    "nee_layers": 1,
    "gpp": "input",
    "balance": "soft",
    "link": "linear",
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
    basis and the inputs. With a softplus GPP, Ra, Rh and yield are non-negative by construction;
    NEE is linear. Every head is scaled and shifted by the calibration head before its link.

    Args:
      features: inputs a day.
      hidden: units of every recurrent layer.
      basis_layers: layers of `gru_basis`; likewise `gpp_layers`, `ra_layers`, `rh_layers` and
        `nee_layers` of the heads.
      dropout: share of the basis' units hidden from the heads in training.
      gpp: `"predicted"` by a head of its own, or an `"input"` among the features.
      balance: `"soft"` predicts NEE from the other fluxes and the inputs; `"hard"` leaves it to
        the caller as Ra + Rh - GPP.
      link: `"softplus"`, or `"linear"` as published: every output is a standard score.
      residue_channel: whether Rh also reads the annual crop residue.
      yield_head: whether the annual crop yield is predicted.
      backward: derivative of the recurrences, see `recurrent.gru`.
      rngs: stream `params` draws the weights.

    Raises:
      ValueError: for an unknown `gpp`, `balance` or `link`.
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
        link: Link = "softplus",
        residue_channel: bool = False,
        yield_head: bool = False,
        backward: Backward = "fused",
        rngs: nnx.Rngs,
    ):
        for choice, known in ((gpp, GppSource), (balance, Balance), (link, Link)):
            if choice not in get_args(known):
                raise ValueError(f"{choice!r}; expected one of {', '.join(get_args(known))}")
        self.rectified = link == "softplus"
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
        residue: Residue | None = None,
        year_index: jax.Array | None = None,
        years: int = 0,
        initial: State | None = None,
        last: jax.Array | int = -1,
    ) -> tuple[dict[str, jax.Array], State]:
        """Predicts the fluxes of one site.

        Args:
          inputs: standardised drivers and attributes, (time, features).
          key: of the dropout mask; without it nothing is dropped.
          residue: makes the residue channel from the outputs found before Rh (GPP, Ra, yield);
            needed with `residue_channel`.
          year_index: year of each day counted from 0, int (time,); needed with `yield_head`.
          years: number of years, static; needed with `yield_head`.
          initial: state before the first day; by default zero.
          last: day after which the state is returned.

        Returns:
          For each of `output_names` its series (time,), for `"yield"` one value a year (years,),
          in standard deviations of the target; and the state after day `last`.
        """
        inputs = self.calibration.inputs(inputs)
        run = partial(self._recur, initial or {}, last)
        states, kept = run("gru_basis", inputs)
        carried = {"gru_basis": kept}
        basis = drop(states, self.dropout, key)
        joined = jnp.concatenate([basis, inputs], axis=1)
        fluxes: dict[str, jax.Array] = {}

        def head(name: str, sequence: jax.Array) -> None:
            states, carried[f"gru_{name.lower()}"] = run(f"gru_{name.lower()}", sequence)
            raw = self._calibrated(name, getattr(self, f"to_{name.lower()}")(states)[:, 0])
            fluxes[name] = raw if name == "NEE" else self._linked(raw)

        for name in ("GPP", "Ra"):
            if name in self.output_names:
                head(name, joined)
        if "yield" in self.output_names:
            fluxes["yield"] = self._yield(basis, year_index, years)
        if self.residue_channel:
            if residue is None:
                raise ValueError("the network has a residue channel: pass `residue`")
            joined = jnp.concatenate([residue(fluxes)[:, None], joined], axis=1)
        head("Rh", joined)
        if "NEE" in self.output_names:
            known = [fluxes[name] for name in ("GPP", "Ra", "Rh") if name in fluxes]
            head("NEE", jnp.concatenate([jnp.stack(known, axis=1), inputs], axis=1))
        return fluxes, carried

    def attention_weights(self, basis: jax.Array, year_index: jax.Array, years: int) -> jax.Array:
        """Returns the share of each day in the yield of each year, (years, time)."""
        return yearly_attention(jnp.tanh(self.attention(basis)[:, 0]), year_index, years)

    def _recur(
        self, initial: State, last: jax.Array | int, name: str, sequence: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return getattr(self, name)(sequence, initial.get(name), last)

    def _linked(self, value: jax.Array) -> jax.Array:
        return jax.nn.softplus(value) if self.rectified else value

    def _calibrated(self, name: str, value: jax.Array) -> jax.Array:
        return self.calibration.output(self.output_names.index(name), value)

    def _yield(self, basis: jax.Array, year_index: jax.Array | None, years: int) -> jax.Array:
        if year_index is None or years < 1:
            raise ValueError("the yield head needs year_index and years")
        season = self.attention_weights(basis, year_index, years) @ basis
        return self._linked(self._calibrated("yield", self.to_yield(season)[:, 0]))


def drop(values: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Sets a random share `rate` of `values` to zero and scales the others to keep the mean.

    Without a key `values` are returned as they are.
    """
    if key is None or rate == 0.0:
        return values
    kept = jax.random.bernoulli(key, 1.0 - rate, values.shape)
    return jnp.where(kept, values / (1.0 - rate), 0.0)
