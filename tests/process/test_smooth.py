import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import assert_vmap_equals_loop

from kgml_jax.process import smooth

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1.0, 1.0, 0.8761), (1.0, 10.0, 0.9978), (0.0, 1.0, 0.0), (1e-6, 1.0, 1e-6)],
)
def test_smooth_minimum_has_its_tabulated_values(a, b, expected):
    found = smooth.smin(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(found, expected, atol=5e-5 * max(expected, 1e-3))


@pytest.mark.parametrize(
    ("demand", "expected"), [(0.1, 0.0995), (1.0, 0.9516), (10.0, 6.321), (100.0, 9.99955)]
)
def test_donor_gives_small_demands_and_at_most_the_pool(demand, expected):
    np.testing.assert_allclose(smooth.donor(jnp.asarray(10.0), demand), expected, rtol=1e-4)


def test_constant_rate_loss_is_the_exponential_decay_exactly():
    pool = jnp.asarray(100.0)
    for _ in range(50):
        pool = pool - pool * smooth.frac(0.3)
    np.testing.assert_allclose(pool, 100.0 * np.exp(-15.0), rtol=1e-12)


def test_limiters_never_exceed_what_they_limit():
    a, b = jnp.asarray(np.random.default_rng(0).lognormal(0.0, 4.0, (2, 2000)))
    assert np.all(smooth.smin(a, b, 0.999) <= np.minimum(a, b))
    assert np.all(smooth.above(a, b) <= a * (1 + 1e-12))
    assert np.all(smooth.above(a, b) >= np.maximum(a - b, 0.0) * (1 - 1e-12))
    assert np.all((smooth.donor(a, b) >= 0.0) & (smooth.donor(a, b) <= a))


def test_saturating_ramp_tends_to_its_limits():
    np.testing.assert_allclose(smooth.sat01(jnp.asarray([-1.0, 0.5, 2.0])), [0, 0.5, 1], atol=1e-9)


def test_limiters_have_finite_gradients_at_empty_pools():
    for limiter in (smooth.smin, smooth.donor):
        for at in ((0.0, 0.0), (0.0, 5.0), (5.0, 0.0)):
            gradient = jax.grad(limiter, argnums=(0, 1))(*map(jnp.asarray, at))
            assert np.all(np.isfinite(gradient))


def test_gradients_agree_with_finite_differences():
    everything = lambda a, b: (
        smooth.smin(a, b) + smooth.donor(a, b) + smooth.above(a, b) + smooth.sat01(a - b, 0.3)
    )
    check_grads(everything, (jnp.asarray(1.3), jnp.asarray(0.9)), order=1, modes=["rev"])


def test_vmapped_limiters_equal_looped():
    pairs = [(jnp.asarray(a), jnp.asarray(a**2)) for a in (0.1, 1.0, 30.0)]
    assert_vmap_equals_loop(smooth.donor, pairs)
