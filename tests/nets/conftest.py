import jax
import pytest


@pytest.fixture
def draw_gru():
    """Weights of one recurrent layer, with biases large enough to matter."""

    def draw(key, features, hidden):
        shapes = {
            "w_ih": (features, 3 * hidden),
            "w_hh": (hidden, 3 * hidden),
            "b_ih": (3 * hidden,),
            "b_hh": (3 * hidden,),
        }
        keys = jax.random.split(key, len(shapes))
        return {
            name: 0.6 * jax.random.normal(each, shape)
            for each, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    return draw
