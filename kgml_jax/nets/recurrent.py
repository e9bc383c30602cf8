"""The gated recurrent unit in PyTorch's form, with a backward pass made for long daily series.

One sequence `(time, features)` at a time; batches of windows and sites are added by `jax.vmap` or
`jax.lax.map` outside.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

Weights = Mapping[str, jax.Array]
Backward = Literal["fused", "plain"]


def gru(
    weights: Weights, inputs: jax.Array, initial: jax.Array, *, backward: Backward = "fused"
) -> jax.Array:
    """Runs one layer of gated recurrent units over one sequence.

    The reset gate acts after the hidden product and each gate has two biases (Cho et al. 2014 in
    the variant of cuDNN and PyTorch), gates ordered reset, update, candidate:

        r, z = sigmoid(x W_ir + b_ir + h W_hr + b_hr), sigmoid(x W_iz + b_iz + h W_hz + b_hz)
        n = tanh(x W_in + b_in + r * (h W_hn + b_hn))
        h' = (1 - z) * n + z * h

    Args:
      weights: `w_ih` (features, 3 hidden), `w_hh` (hidden, 3 hidden), `b_ih` and `b_hh`
        (3 hidden,).
      inputs: (time, features).
      initial: hidden state before the first day, (hidden,).
      backward: `"fused"` forms the weight gradients with one product a gate after the reversed
        scan; `jax.jvp` cannot pass it. `"plain"` is the automatic derivative of the scan.

    Returns:
      Hidden states after each day, (time, hidden).

    Raises:
      KeyError: if `backward` is neither of the two.
    """
    run = {"fused": _recur_fused, "plain": _recur_plain}[backward]
    # The input half does not depend on the state: one product for all days, outside the scan.
    projected = inputs @ weights["w_ih"] + weights["b_ih"]
    return run(projected, weights["w_hh"], weights["b_hh"], initial)


def cell(weights: Weights, inputs: jax.Array, state: jax.Array) -> jax.Array:
    """Advances one layer by one day, where the inputs of a day depend on the days before.

    Args:
      weights: as in `gru`.
      inputs: of the day, (features,).
      state: hidden state before it, (hidden,).

    Returns:
      The hidden state after the day, (hidden,).
    """
    projected = inputs @ weights["w_ih"] + weights["b_ih"]
    return _advanced(weights["w_hh"], weights["b_hh"], state, projected)


def _gates(
    w_hh: jax.Array, b_hh: jax.Array, state: jax.Array, projected: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Returns one day's reset, update and candidate, and what the reset gate lets through."""
    hidden = state.shape[0]
    product = state @ w_hh + b_hh
    opened = jax.nn.sigmoid(projected[: 2 * hidden] + product[: 2 * hidden])
    reset, update = opened[:hidden], opened[hidden:]
    recalled = product[2 * hidden :]
    return reset, update, jnp.tanh(projected[2 * hidden :] + reset * recalled), recalled


def _mix(state: jax.Array, update: jax.Array, candidate: jax.Array) -> jax.Array:
    return candidate + update * (state - candidate)


def _advanced(
    w_hh: jax.Array, b_hh: jax.Array, state: jax.Array, projected: jax.Array
) -> jax.Array:
    _, update, candidate, _ = _gates(w_hh, b_hh, state, projected)
    return _mix(state, update, candidate)


def _recur_plain(
    projected: jax.Array, w_hh: jax.Array, b_hh: jax.Array, initial: jax.Array
) -> jax.Array:
    def day(state: jax.Array, today: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = _advanced(w_hh, b_hh, state, today)
        return state, state

    return jax.lax.scan(day, initial, projected)[1]


def _recur_pipelined(
    projected: jax.Array, w_hh: jax.Array, b_hh: jax.Array, initial: jax.Array, unroll: int
) -> tuple[jax.Array, tuple]:
    # The carry holds yesterday's gates and the state is mixed on the next day. A state that is both
    # carried and stored makes XLA evaluate its gates once for each; this way they are evaluated
    # once (on CPU 2 to 3 times faster).
    def day(carry: tuple, today: jax.Array) -> tuple[tuple, tuple]:
        state = _mix(*carry)
        gates = _gates(w_hh, b_hh, state, today)
        _, update, candidate, _ = gates
        return (state, update, candidate), (state, gates)

    # Equal state and candidate mix to the initial state whatever the update gate.
    start = (initial, initial, initial)
    carry, (previous, gates) = jax.lax.scan(day, start, projected, unroll=unroll)
    states = jnp.concatenate([previous[1:], _mix(*carry)[None]])
    return states, (w_hh, previous, gates)


# Both forward passes are the same code, because under vmap of jit jax needs them to put the batch
# axis at the same place. Measured on CPU, unrolling helps only where the gates are kept.
@jax.custom_vjp
def _recur_fused(
    projected: jax.Array, w_hh: jax.Array, b_hh: jax.Array, initial: jax.Array
) -> jax.Array:
    return _recur_pipelined(projected, w_hh, b_hh, initial, unroll=1)[0]


_fused_forward = partial(_recur_pipelined, unroll=4)


def _fused_backward(
    saved: tuple, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    w_hh, previous, (reset, update, candidate, recalled) = saved
    # Every derivative of a day is the adjoint of its state times a factor known beforehand, so the
    # reversed scan is left with one product of a vector and a matrix.
    to_candidate = (1 - update) * (1 - candidate**2)
    to_recalled = to_candidate * reset
    to_reset = to_recalled * recalled * (1 - reset)
    to_update = (previous - candidate) * update * (1 - update)
    w_hh_transposed = w_hh.T

    def day(adjoint: jax.Array, today: tuple) -> tuple[jax.Array, jax.Array]:
        arriving, kept, *factors = today
        product = jnp.concatenate([adjoint * factor for factor in factors]) @ w_hh_transposed
        return arriving + adjoint * kept + product, adjoint

    arriving = jnp.concatenate([jnp.zeros_like(cotangent[:1]), cotangent[:-1]])
    days = (arriving, update, to_reset, to_update, to_recalled)
    to_initial, adjoints = jax.lax.scan(day, cotangent[-1], days, reverse=True)

    reset_update = (adjoints * to_reset, adjoints * to_update)
    hidden_side = (*reset_update, adjoints * to_recalled)
    to_projected = jnp.concatenate([*reset_update, adjoints * to_candidate], axis=1)
    # One product a gate over all days; joining the small results is cheaper than the long series.
    to_w_hh = jnp.concatenate([previous.T @ gate for gate in hidden_side], axis=1)
    to_b_hh = jnp.concatenate([gate.sum(axis=0) for gate in hidden_side])
    return to_projected, to_w_hh, to_b_hh, to_initial


_recur_fused.defvjp(_fused_forward, _fused_backward)


class GRULayer(nnx.Module):
    """One layer of gated recurrent units; weights and `backward` as in `gru`."""

    def __init__(
        self, in_features: int, hidden: int, *, rngs: nnx.Rngs, backward: Backward = "fused"
    ):
        bound = hidden**-0.5

        def uniform(*shape: int) -> nnx.Param:
            return nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound))

        self.hidden = hidden
        self.backward: Backward = backward
        self.w_ih = uniform(in_features, 3 * hidden)
        self.w_hh = uniform(hidden, 3 * hidden)
        self.b_ih = uniform(3 * hidden)
        self.b_hh = uniform(3 * hidden)

    def __call__(self, inputs: jax.Array, initial: jax.Array) -> jax.Array:
        """Returns the hidden states (time, hidden); `inputs` (time, features)."""
        return gru(self._weights(), inputs, initial, backward=self.backward)

    def day(self, inputs: jax.Array, state: jax.Array) -> jax.Array:
        """Returns the hidden state (hidden,) after a day; `inputs` (features,), see `cell`."""
        return cell(self._weights(), inputs, state)

    def _weights(self) -> Weights:
        return {name: getattr(self, name)[...] for name in ("w_ih", "w_hh", "b_ih", "b_hh")}


class GRU(nnx.Module):
    """Stacked layers of gated recurrent units, each reading the states of the one below.

    Args:
      in_features: inputs a day.
      hidden: units of every layer.
      rngs: stream `params` draws all weights from U(-1/sqrt(hidden), 1/sqrt(hidden)), as PyTorch.
      layers: number of layers, named `layer_0`, `layer_1`, ... from the inputs upwards.
      backward: derivative of the recurrence, as in `gru`.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        *,
        rngs: nnx.Rngs,
        layers: int = 1,
        backward: Backward = "fused",
    ):
        self.layers = layers
        self.hidden = hidden
        for layer in range(layers):
            width = in_features if layer == 0 else hidden
            own = GRULayer(width, hidden, rngs=rngs, backward=backward)
            setattr(self, f"layer_{layer}", own)

    def __call__(
        self, inputs: jax.Array, initial: jax.Array | None = None, last: jax.Array | int = -1
    ) -> tuple[jax.Array, jax.Array]:
        """Runs all layers over one sequence.

        Args:
          inputs: (time, in_features).
          initial: states of the layers before the first day, (layers, hidden); by default zero.
          last: day after which the states are returned.

        Returns:
          The top layer's states (time, hidden), and all layers' states after day `last`
          (layers, hidden).
        """
        if initial is None:
            initial = jnp.zeros_like(inputs, shape=(self.layers, self.hidden))
        kept = []
        for layer in range(self.layers):
            inputs = getattr(self, f"layer_{layer}")(inputs, initial[layer])
            kept.append(inputs[last])
        return inputs, jnp.stack(kept)

    def day(self, inputs: jax.Array, states: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Advances all layers by one day.

        Args:
          inputs: of the day, (in_features,).
          states: of the layers before it, (layers, hidden).

        Returns:
          The top layer's state (hidden,), and all layers' states (layers, hidden).
        """
        after = []
        for layer in range(self.layers):
            inputs = getattr(self, f"layer_{layer}").day(inputs, states[layer])
            after.append(inputs)
        return inputs, jnp.stack(after)
