"""The calibration head: a neutral affine map at the door and at every output of a network."""

import jax
import jax.numpy as jnp
from flax import nnx


class CalibrationHead(nnx.Module):
    """Scales and shifts of inputs and outputs, ones and zeros until a site calibrates them.

    It is the site head `h_s(.; phi_s)` of FTBSC-KGML (Zeng et al. 2025, eq. 3) in its lightest
    form, an ordinary part of the weights: leaves `input_scale` and `input_shift` (features,),
    `output_scale` and `output_shift` (outputs,).
    """

    def __init__(self, features: int, outputs: int):
        self.input_scale = nnx.Param(jnp.ones(features))
        self.input_shift = nnx.Param(jnp.zeros(features))
        self.output_scale = nnx.Param(jnp.ones(outputs))
        self.output_shift = nnx.Param(jnp.zeros(outputs))

    def inputs(self, inputs: jax.Array) -> jax.Array:
        """Returns `inputs` (time, features) scaled and shifted feature by feature."""
        return self.input_scale[...] * inputs + self.input_shift[...]

    def output(self, index: int, value: jax.Array) -> jax.Array:
        """Returns output number `index`, before its link function, scaled and shifted."""
        return self.output_scale[index] * value + self.output_shift[index]
