"""Perceptrons, and attention over the days of each calendar year."""

import jax
import jax.numpy as jnp
from flax import nnx


class Perceptron(nnx.Module):
    """Linear layers `layer_0`, `layer_1`, ... with rectifiers between them.

    Args:
      widths: of the input, the hidden layers and the output.
      rngs: stream `params` draws the kernels.
    """

    def __init__(self, widths: tuple[int, ...], *, rngs: nnx.Rngs):
        self.layers = len(widths) - 1
        for layer in range(self.layers):
            linear = nnx.Linear(widths[layer], widths[layer + 1], rngs=rngs)
            setattr(self, f"layer_{layer}", linear)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps (..., widths[0]) to (..., widths[-1]), the last layer linear."""
        for layer in range(self.layers - 1):
            inputs = jax.nn.relu(getattr(self, f"layer_{layer}")(inputs))
        return getattr(self, f"layer_{self.layers - 1}")(inputs)


def yearly_attention(scores: jax.Array, year_index: jax.Array, years: int) -> jax.Array:
    """Softmax of daily scores over the days of each calendar year.

    Args:
      scores: bounded scores, (time,).
      year_index: year of each day counted from 0, int (time,); days with an index outside
        `[0, years)` belong to no year.
      years: number of years, static.

    Returns:
      Weights (years, time): each row sums to one over its own days and is zero elsewhere, or zero
      everywhere for a year without days.
    """
    member = year_index == jnp.arange(years)[:, None]
    # Scores are those of a tanh, so exp needs no subtraction of the maximum.
    exponentials = jnp.where(member, jnp.exp(scores), 0.0)
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / jnp.where(total > 0, total, 1.0)
