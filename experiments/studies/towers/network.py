"""A small recurrent network for a dozen towers: one set of weights, an ensemble of seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from kgml_jax.adaptation import Weights
from kgml_jax.models.protocol import Model
from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag import drop
from kgml_jax.nets.recurrent import GRU
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.records import Field
from kgml_jax.sites import TRAIN, Site
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Descent, Direct, Settings
from kgml_jax.training.windows import make_fit_data
from studies.towers.data import Towers
from studies.towers.periods import DAYS, PeriodModel

PREDICTED = ("GPP", "Reco", "ET")
"""Outputs of the network, not negative; NEE := Reco - GPP."""

FLUXES = ("NEE", *PREDICTED)

SCALES = {"NEE": 3.0, "GPP": 4.0, "Reco": 2.5, "ET": 1.5}
"""Standard deviations of fluxes in temperate fields, g C m-2 d-1 and mm d-1: units of the outputs
and of their errors. Fixed, so that every fold runs the same program."""

WARMUP = 60
"""d before a year that only bring the state up to date; the inputs tell what is longer ago."""


OBJECTIVE = Total((Term("error", MaskedError(tuple(SCALES.items()), inverse_variance=True)),))
"""Masked error of all fluxes, towers weighed as `weighed` says."""


@dataclass(frozen=True)
class Descending:
    """How an ensemble descends; chosen on validation years of training towers."""

    steps: int = 300
    batch: int = 16
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    seeds: int = 5
    validations: int = 15
    """Over all steps."""
    patience: int = 15
    """Validations without improvement after which a member stops."""

    @property
    def settings(self) -> Settings:
        """Of the descent of each member."""
        return Settings(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            warmup_steps=self.steps // 10,
            cosine=True,
            weight_decay=self.weight_decay,
            validate_every=max(self.steps // self.validations, 1),
            patience=self.patience,
        )


@dataclass(frozen=True)
class NetworkChoice(Descending):
    """Size of the network, and how it descends."""

    hidden: int = 16
    dropout: float = 0.2


class FluxNetwork(nnx.Module):
    """Gated recurrent units and a linear layer on their states and the inputs of the day."""

    def __init__(self, features: int, hidden: int, dropout: float, *, rngs: nnx.Rngs):
        self.dropout = dropout
        self.gru = GRU(features, hidden, rngs=rngs)
        self.to_fluxes = nnx.Linear(hidden + features, len(PREDICTED), rngs=rngs)

    def __call__(self, inputs: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Returns the fluxes of each day, (time, flux), at least 0; `inputs` (time, features)."""
        keys = (None, None) if key is None else jax.random.split(key)
        seen = drop(inputs, 0.5 * self.dropout, keys[0])
        states = drop(self.gru(seen)[0], self.dropout, keys[1])
        return jax.nn.softplus(self.to_fluxes(jnp.concatenate([states, seen], axis=1)))


@dataclass(frozen=True)
class TowerNetwork:
    """`FluxNetwork` in physical units, for sites whose `forcing` holds standardised inputs.

    Attributes:
      features: inputs a day.
      hidden: recurrent units.
      dropout: share of the states hidden in training; half of it of the inputs.
    """

    features: int
    hidden: int
    dropout: float

    @property
    def network(self) -> Network:
        """The network as a pair of pure functions."""
        options = {"hidden": self.hidden, "dropout": self.dropout}
        return Network.of(FluxNetwork, features=self.features, **options)

    def init(self, key: jax.Array) -> Weights:
        """Draws the weights."""
        return self.network.init(key)

    def predict(self, weights: Weights, site: Site, key: Any = None) -> dict[str, Field]:
        """Returns `FLUXES` of one site, each (time,), in physical units."""
        raw = self.network.apply(weights, site.forcing, key)
        fluxes = {name: SCALES[name] * raw[:, place] for place, name in enumerate(PREDICTED)}
        return {"NEE": fluxes["Reco"] - fluxes["GPP"], **fluxes}


@dataclass(frozen=True)
class Ensemble:
    """Networks of several seeds with the same inputs."""

    model: PeriodModel
    weights: Weights
    validation_error: np.ndarray

    def predict(self, data: DividedSites, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """Returns means of the periods observed, of every member, (seed, site, time)."""
        sites = data.take(rows).sites.site
        found = _predict(self.model, self.weights, sites)
        return {name: np.asarray(values) for name, values in found.items()}


@partial(jax.jit, static_argnums=0)
def _predict(model: PeriodModel, weights: Weights, sites: Site) -> dict[str, jax.Array]:
    of_sites = jax.vmap(model.predict, in_axes=(None, 0))
    return jax.vmap(of_sites, in_axes=(0, None))(weights, sites)


def driven(data: DividedSites, inputs: np.ndarray) -> DividedSites:
    """Returns towers whose drivers are the inputs of a network, (site, time, input)."""
    site = data.sites.site.replace(forcing=inputs)  # type: ignore[attr-defined]
    return replace(data, sites=replace(data.sites, site=site))


def weighed(towers: Towers) -> DividedSites:
    """Returns towers whose uncertainties weigh their days for all to learn from.

    A day's error counts in standard deviations of the flux, halfway between those of its tower and
    `SCALES`, and a tower as the root of the days that its observations stand for: neither the
    largest fluxes nor the longest record decide alone. Only training days of a tower are looked at,
    for its own weight.

    Args:
      towers: with roles.
    """
    data = towers.data
    site, training = data.sites.site, data.roles == TRAIN
    uncertainty = dict(site.uncertainty)
    for name in [name for name in FLUXES if name in site.targets]:
        seen = np.asarray(site.mask[name]) & training
        own = [values[days] for values, days in zip(site.targets[name], seen, strict=True)]
        spread = np.array([np.std(one) if one.size > 1 else SCALES[name] for one in own])
        counts = np.array([max(one.size, 1) for one in own])
        lasts = np.array([DAYS[towers.period(row, name)] for row in range(len(own))])
        variance = SCALES[name] * np.maximum(spread, 0.1 * SCALES[name]) * np.sqrt(counts / lasts)
        wide = np.broadcast_to(np.sqrt(variance)[:, None], np.shape(seen))
        uncertainty[name] = wide.astype(np.float32)
    site = site.replace(uncertainty=uncertainty)  # type: ignore[attr-defined]
    return replace(data, sites=replace(data.sites, site=site))


def train(
    towers: Towers,
    learns: Sequence[int],
    inputs: np.ndarray,
    choice: NetworkChoice,
    seed: int = 0,
    longest: Sequence[int] = (),
) -> Ensemble:
    """Trains an ensemble on the training days of some towers.

    Each member keeps the weights that were best on their validation days.

    Args:
      towers: with roles.
      learns: rows of the towers that are looked at, no other is.
      inputs: standardised, (site, time, input).
      choice: size and descent.
      seed: of the first member.
      longest: rows with as many years, to whose number windows are filled up with empty ones, so
        that folds run one program.
    """
    data = driven(weighed(towers), inputs)
    model = TowerNetwork(inputs.shape[-1], choice.hidden, choice.dropout)
    keys = jax.random.split(jax.random.key(seed), choice.seeds)
    start = _starts(model)(keys)
    return descend(towers, data, learns, model, start, choice.settings, keys, WARMUP, longest)


def descend(
    towers: Towers,
    data: DividedSites,
    learns: Sequence[int],
    model: Model,
    start: Weights,
    settings: Settings,
    keys: jax.Array,
    warmup: int,
    longest: Sequence[int] = (),
) -> Ensemble:
    """Trains every member of an ensemble on the training days of some towers.

    Args:
      towers: with roles.
      data: the same as the model sees them, weighed.
      learns: rows of the towers that are looked at, no other is.
      model: predicts days.
      start: weights of each member, leaves (seed, ...).
      settings: the descent.
      keys: of batches and dropout, (seed,).
      warmup: d before a year that bring the state up to date.
      longest: see `train`.
    """
    rows = [row for row in learns if (data.roles[row] == TRAIN).any()]
    both = [rows, [*longest]] if longest else [rows]
    years = jax.tree.map(lambda leaf: leaf[0], make_fit_data(data, both, warmup))
    observed = towers.observed_as(model)
    begin, go_on = _programs(Descent(observed, OBJECTIVE, Direct(), settings))
    fit = begin(start, years, keys)
    while np.asarray(fit.active).any():
        fit = go_on(start, fit, years)
    return Ensemble(observed, fit.best, np.asarray(fit.best_error))


@lru_cache(maxsize=8)
def _starts(model: TowerNetwork) -> Any:
    return jax.jit(jax.vmap(model.init))


@lru_cache(maxsize=8)
def _programs(descent: Descent) -> tuple[Any, Any]:
    mapped = lambda function, axes: jax.jit(jax.vmap(function, in_axes=axes))
    return mapped(descent.init, (0, None, 0)), mapped(descent.round, (0, 0, None))
