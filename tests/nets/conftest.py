import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture
def draw_gru():
    """Weights of one recurrent layer, with biases large enough to matter."""

    def draw(seed, features, hidden, sites=()):
        random = np.random.default_rng(seed)
        shapes = {
            "w_ih": (features, 3 * hidden),
            "w_hh": (hidden, 3 * hidden),
            "b_ih": (3 * hidden,),
            "b_hh": (3 * hidden,),
        }
        return {
            name: jnp.asarray(0.6 * random.normal(size=(*sites, *shape)))
            for name, shape in shapes.items()
        }

    return draw


@pytest.fixture
def draw_weights():
    """Normal weights of a network, all leaves alike; NumPy draws them without compiling."""

    def draw(network, seed=0, scale=0.3):
        random = np.random.default_rng(seed)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        return jax.tree.map(
            lambda leaf: jnp.asarray((scale * random.normal(size=leaf.shape)).astype(leaf.dtype)),
            shapes,
        )

    return draw
