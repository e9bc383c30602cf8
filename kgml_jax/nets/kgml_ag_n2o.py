"""KGML-ag for nitrous oxide: a recurrent module for what lies between, one for the emission."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from kgml_jax.nets.calibration import CalibrationHead
from kgml_jax.nets.kgml_ag import drop
from kgml_jax.nets.recurrent import GRU, Backward

LEAST_LEVEL = 1e-3
"""Smallest mean, in standard deviations, at which an output starts."""


class KGMLAgN2O(nnx.Module):
    """The network of KGML-ag for N2O (Liu et al. 2022, GMD 15:2839) for one plot.

    The first module reads the inputs and the initial values of the intermediate variables, repeated
    on every day, and predicts these variables; the second reads the inputs and what the first
    predicts, and predicts the emission. With 16 inputs, four intermediate variables and two layers
    of 64 units each this makes 83,269 parameters, the published number. Without intermediate
    variables only the second module is left: the plain recurrent network the paper compares with.

    Every output is a softplus, non-negative by construction, that starts at the output's mean.

    Args:
      features: inputs a day.
      outputs: pairs of an output's name and its mean in standard deviations, the emission last.
      hidden: units of every recurrent layer.
      layers: of each module.
      dropout: share of the units of each module hidden from what follows in training.
      backward: derivative of the recurrences, see `recurrent.gru`.
      rngs: stream `params` draws the weights.

    Raises:
      ValueError: there is no output.
    """

    def __init__(
        self,
        features: int,
        outputs: tuple[tuple[str, float], ...],
        hidden: int = 64,
        *,
        layers: int = 2,
        dropout: float = 0.2,
        backward: Backward = "fused",
        rngs: nnx.Rngs,
    ):
        if not outputs:
            raise ValueError("a network without outputs; the last one is the emission")
        self.output_names = tuple(name for name, _ in outputs)
        self.levels = tuple(max(level, LEAST_LEVEL) for _, level in outputs)
        self.dropout = dropout
        self.calibration = CalibrationHead(features, len(outputs))
        intermediate = len(outputs) - 1
        recurrent = partial(GRU, hidden=hidden, layers=layers, rngs=rngs, backward=backward)
        if intermediate:
            self.gru_intermediate = recurrent(features + intermediate)
            self.to_intermediate = nnx.Linear(hidden, intermediate, rngs=rngs)
        self.gru_n2o = recurrent(features + intermediate)
        self.to_n2o = nnx.Linear(hidden, 1, rngs=rngs)

    def __call__(
        self, inputs: jax.Array, initial: jax.Array, key: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """Predicts the intermediate variables and the emission of one plot.

        Args:
          inputs: standardised drivers and attributes, (time, features).
          initial: standard scores of the intermediate variables on the first day, (intermediate,);
            0 where not known.
          key: of the dropout masks; without it nothing is dropped.

        Returns:
          The series of each output (time,), in standard deviations of the target.

        Raises:
          ValueError: there is not one initial value for each intermediate variable.
        """
        *intermediate, emission = self.output_names
        if initial.shape != (len(intermediate),):
            raise ValueError(
                f"initial values have the shape {initial.shape}; expected ({len(intermediate)},)"
            )
        inputs = self.calibration.inputs(inputs)
        first, second = (None, None) if key is None else jax.random.split(key)
        predicted, known = {}, inputs
        if intermediate:
            repeated = jnp.broadcast_to(initial, (inputs.shape[0], *initial.shape))
            states, _ = self.gru_intermediate(jnp.concatenate([inputs, repeated], axis=1))
            raw = self.to_intermediate(drop(states, self.dropout, first))
            predicted = {name: self._link(i, raw[:, i]) for i, name in enumerate(intermediate)}
            scores = [predicted[name] - self.levels[i] for i, name in enumerate(intermediate)]
            known = jnp.concatenate([inputs, jnp.stack(scores, axis=1)], axis=1)
        states, _ = self.gru_n2o(known)
        raw = self.to_n2o(drop(states, self.dropout, second))[:, 0]
        return {**predicted, emission: self._link(len(intermediate), raw)}

    def _link(self, index: int, raw: jax.Array) -> jax.Array:
        level = self.levels[index]
        # The inverse of softplus at the level, so that a raw output of 0 is the mean.
        start = level + math.log(-math.expm1(-level))
        return jax.nn.softplus(self.calibration.output(index, raw) + start)
