"""One cell of the FTBSC experiment: descend, predict the test years, score."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.evaluation import responses
from kgml_jax.evaluation.claims import POOLED
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.mapping import one_of, repeated
from kgml_jax.models.features import Scaling
from kgml_jax.models.protocol import Model
from kgml_jax.models.recurrent import PAPER, RecurrentModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import MassBalance, NonNegativity
from kgml_jax.objectives.responses import Probe
from kgml_jax.training.fit import Descent, Settings
from studies.ftbsc.replicates import Replicate, reads_gpp
from studies.ftbsc.scores import scored
from studies.ftbsc.settings import FtbscConfig, Setting
from studies.ftbsc.training import FitResults, Held, descend, predictor

DESCENT = {
    "start_error": "validation error of the start, sum over variables",
    "best_error": "lowest validation error, sum over variables",
    "best_step": "step at which it was reached",
    "steps": "steps taken",
    "healthy": "1 where no loss or gradient was other than finite",
}

PROBED_WINDOWS = 6
"""Test years of a state over which its response curves are averaged."""


@dataclass(frozen=True)
class Cell:
    """What a cell found.

    Attributes:
      weights: of all fits, leaves (fit, ...).
      scores: with dims out of (train, site, state, variable, ...): of every fit's model, named
        by `train`, in the test years of every site and state; its physics, its responses and what
        its descent came to.
    """

    weights: Weights
    scores: xr.Dataset


def narrowed(config: FtbscConfig, scaling: Scaling, setting: Setting) -> RecurrentModel:
    """Returns the network of Liu et al. (2024), narrower and without its yield head."""
    published = {
        **PAPER,
        "hidden": config.hidden,
        "yield_head": False,
        "gpp": "input" if reads_gpp(config) else "predicted",
        "balance": setting.balance,
    }
    return RecurrentModel(scaling=scaling, **published, dropout=config.dropout)


@dataclass(frozen=True)
class Laboratory:
    """Trains and predicts what cells need, with one standardisation for all.

    Attributes:
      config: resolved.
      scaling: inputs and targets of every model.
      build: returns the model of a setting.
    """

    config: FtbscConfig
    scaling: Scaling
    build: Callable[[FtbscConfig, Scaling, Setting], Model] = narrowed

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """Which inputs are changed to see how the models answer."""
        return responses.probes(self.scaling)

    def model(self, setting: Setting) -> Model:
        """Returns the model of a setting."""
        return self.build(self.config, self.scaling, setting)

    def descent(self, setting: Setting) -> Descent:
        """Returns the descent of all fits of a setting; all but its knobs."""
        config = self.config
        sds = tuple((scale.name, scale.sd) for scale in self.scaling.targets)
        signed = ("Ra", "Rh") if reads_gpp(config) else ("GPP", "Ra", "Rh")
        terms = (
            Term("error", MaskedError(sds)),
            Term("mass_balance", MassBalance(), setting.knowledge),
            Term("non_negativity", NonNegativity(signed), setting.knowledge),
        )
        settings = Settings(
            steps=config.steps,
            batch=setting.batch,
            learning_rate=setting.rate,
            validate_every=config.validate_every,
            patience=config.patience,
            dropout=config.dropout > 0,
        )
        return Descent(self.model(setting), Total(terms), Held(), settings)

    def fit(
        self,
        setting: Setting,
        replicate: Replicate,
        seed: int,
        before: Weights | None,
        rounds: int | None = None,
    ) -> FitResults:
        """Lets all fits of a cell descend.

        Args:
          setting: what is run.
          replicate: the sites of the seed.
          seed: of weights and batches.
          before: weights of the first stage, leaves (fit, ...); None for the first stage itself.
          rounds: most rounds of `config.validate_every` steps; None for as many as configured.
        """
        count, descent = len(replicate.fit_names), self.descent(setting)
        steps = descent.settings.steps if rounds is None else rounds * self.config.validate_every
        limits = np.full(count, steps)
        first, second = jax.random.split(jax.random.key(seed))
        if before is None:
            start = repeated(self.model(setting).init(first), count)
        elif setting.training == "continued":
            start = before
        else:
            start = repeated(one_of(before, replicate.fit_names.index(POOLED)), count)
            limits[-1] = 0
        # All cells of a seed draw the same batches, so that they differ by their setting alone.
        key = jax.random.fold_in(second, int(before is not None))
        return descend(descent, start, replicate.fit_data, setting.knobs, key, limits)

    def predictions(self, setting: Setting, replicate: Replicate, weights: Weights) -> Predictions:
        """Predicts the test windows with the model of every fit."""
        predict = predictor(self.model(setting))
        fits = enumerate(replicate.fit_names)
        predicted = {name: predict(one_of(weights, row), replicate.windows) for row, name in fits}
        return jax.tree.map(np.asarray, predicted)

    def curves(self, setting: Setting, replicate: Replicate, weights: Weights) -> np.ndarray:
        """Returns the response curves of every state, (state, probe, flux, point).

        Of the model a state uses: until calibration, that is the one of all states.
        """
        predict = predictor(self.model(setting))
        pooled = replicate.fit_names.index(POOLED)
        curves = []
        for row, state in enumerate(replicate.states):
            used = one_of(weights, row if setting.training == "calibrated" else pooled)
            every = replicate.windows_of(state)
            chosen = every[np.linspace(0, len(every) - 1, PROBED_WINDOWS).astype(int)]
            windows = jax.tree.map(lambda leaf, rows=chosen: leaf[rows], replicate.windows)
            answer = lambda site, used=used: predict(used, site)
            curves.append(responses.curves(answer, windows, self.probes))
        return np.stack(curves)


def run(
    laboratory: Laboratory,
    setting: Setting,
    replicate: Replicate,
    seed: int,
    before: Weights | None,
) -> Cell:
    """Runs one cell.

    Args:
      laboratory: trains and predicts.
      setting: what is run.
      replicate: the sites of the seed.
      seed: of weights and batches.
      before: weights of the first stage, leaves (fit, ...); None for the first stage itself.
    """
    fits = laboratory.fit(setting, replicate, seed, before)
    predictions = laboratory.predictions(setting, replicate, fits.weights)
    scores = scored(replicate, laboratory.scaling, predictions)
    curves = laboratory.curves(setting, replicate, fits.weights)
    described = {"units": "g C m-2 d-1", "long_name": "response to a changed input"}
    scores["response"] = (("state", "probe", "flux", "point"), curves, described)
    for name, long_name in DESCENT.items():
        values = np.asarray(getattr(fits, name), dtype=float)
        scores[name] = ("train", values, {"units": "1", "long_name": long_name})
    labels = {
        "probe": [probe.name for probe in laboratory.probes],
        "flux": list(responses.PROBED_FLUXES),
        "bound": ("probe", [responses.bound(probe) for probe in laboratory.probes]),
    }
    return Cell(fits.weights, scores.assign_coords(labels))
