"""Is the hand-written backward pass of the recurrent layer faster than the automatic one?

Value and gradient of the weights, one layer, windows of 460 days (a year and a quarter of spin-up).
"""

from functools import partial

import jax
import jax.numpy as jnp
from timing import measure, report

from kgml_jax.nets.recurrent import Backward, gru

DAYS = 460


def main() -> None:
    """Measures both passes, and the forward pass alone, for batches of 1, 8 and 16 windows."""
    report("gru_backward", [_row(b, hidden) for hidden in (32, 64) for b in (1, 8, 16)])


def _row(batch: int, hidden: int) -> dict[str, float]:
    w_ih_key, w_hh_key, b_ih_key, b_hh_key, input_key = jax.random.split(jax.random.key(0), 5)
    draw = partial(jax.random.uniform, minval=-(hidden**-0.5), maxval=hidden**-0.5)
    weights = {
        "w_ih": draw(w_ih_key, (hidden, 3 * hidden)),
        "w_hh": draw(w_hh_key, (hidden, 3 * hidden)),
        "b_ih": draw(b_ih_key, (3 * hidden,)),
        "b_hh": draw(b_hh_key, (3 * hidden,)),
    }
    inputs = jax.random.normal(input_key, (batch, DAYS, hidden))

    def loss(backward: Backward, weights: dict, inputs: jax.Array) -> jax.Array:
        one = lambda series: gru(weights, series, jnp.zeros(hidden), backward=backward)
        return jnp.mean(jax.vmap(one)(inputs) ** 2)

    row: dict[str, float] = {"hidden": hidden, "batch": batch}
    for backward in ("plain", "fused"):
        value = partial(loss, backward)
        row[f"{backward}_value_ms"] = 1e3 * measure(value, weights, inputs).median_s
        row[f"{backward}_gradient_ms"] = (
            1e3 * measure(jax.value_and_grad(value), weights, inputs).median_s
        )
    row["gradient_speedup"] = row["plain_gradient_ms"] / row["fused_gradient_ms"]
    return row


if __name__ == "__main__":
    main()
