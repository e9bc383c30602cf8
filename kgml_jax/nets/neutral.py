"""Networks that say zero until they learn: their last layer starts as zeros.

What they are added to, or the exponential of what they say is multiplied with, is unchanged at the
start. The first gradient reaches the last layer alone; the second all of them.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from kgml_jax.nets.attention import Perceptron
from kgml_jax.nets.recurrent import GRU


class NeutralPerceptron(nnx.Module):
    """Rectified layers `mlp_static`, and a linear layer `to_static` of zeros.

    Args:
      features: inputs.
      hidden: units of each of the two layers below the last.
      outputs: numbers returned.
      rngs: stream `params` draws the weights.
    """

    def __init__(self, features: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.mlp_static = Perceptron((features, hidden, hidden), rngs=rngs)
        self.to_static = _zeros(hidden, outputs, rngs)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps (..., features) to (..., outputs)."""
        return self.to_static(jax.nn.relu(self.mlp_static(inputs)))


class NeutralGRU(nnx.Module):
    """Gated recurrent units `gru_daily`, and a linear layer `to_daily` of zeros.

    Args:
      features: inputs a day.
      hidden: units of the recurrent layer.
      outputs: numbers returned a day.
      rngs: stream `params` draws the weights.
    """

    def __init__(self, features: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        # The plain recurrence: forward derivatives, as of least squares, pass it.
        self.gru_daily = GRU(features, hidden, rngs=rngs, backward="plain")
        self.to_daily = _zeros(hidden, outputs, rngs)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps a sequence (time, features) to (time, outputs), from a hidden state of zeros."""
        return self.to_daily(self.gru_daily(inputs)[0])

    def day(self, inputs: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Advances by one day: `inputs` (features,) and what `start` or the last day returned.

        Returns:
          The outputs of the day (outputs,), and the hidden state after it (1, hidden).
        """
        top, state = self.gru_daily.day(inputs, state)
        return self.to_daily(top), state

    def start(self) -> jax.Array:
        """Returns the hidden state before the first day, (1, hidden)."""
        return jnp.zeros((1, self.gru_daily.hidden), jnp.result_type(float))


def _zeros(hidden: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    zeros, real = nnx.initializers.zeros_init(), jnp.result_type(float)
    return nnx.Linear(hidden, outputs, kernel_init=zeros, param_dtype=real, rngs=rngs)
