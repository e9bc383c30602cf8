import jax
import jax.numpy as jnp
import jaxlib
import pytest

from kgml_jax.backend import refuse_wrong_jaxlib


def test_the_jaxlib_with_wrong_cpu_results_is_refused_with_one_sentence():
    with pytest.raises(ImportError, match=r"0\.10\.2 returns wrong numbers on CPU.*install"):
        refuse_wrong_jaxlib("0.10.2")


@pytest.mark.parametrize("release", ["0.10.1", "0.11.2", jaxlib.__version__])
def test_other_releases_are_accepted(release):
    assert refuse_wrong_jaxlib(release) is None


def test_vmapped_matrix_products_are_right_here():
    # The reproducer of jax issue 39103: with jaxlib 0.10.2 the last row is 1065369600.
    matrix = jnp.eye(3, dtype=jnp.float32)
    rows = jnp.zeros((32769, 3), jnp.float32).at[:, 0].set(jnp.arange(32769.0))
    squares = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    assert float(squares[-1]) == 32768.0**2
