"""One formula for both kinds of arrays: NumPy's at the door, JAX's in what is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def library(*values: Any) -> Any:
    """Returns `jax.numpy` if one of the values is a JAX array, traced or not, else `numpy`."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np
