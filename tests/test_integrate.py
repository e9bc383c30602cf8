import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax import integrate

pytestmark = pytest.mark.usefixtures("x64")


def decay(rate):
    """A pool that gains `gain` and loses a fraction a day."""

    def step(pool, day):
        lost = pool * -jnp.expm1(-rate * day["warmth"])
        return pool - lost + day["gain"], lost

    return step


def forcing(days):
    generator = np.random.default_rng(1)
    return {
        "warmth": jnp.asarray(generator.uniform(0.5, 1.5, days)),
        "gain": jnp.asarray(generator.uniform(0.0, 2.0, days)),
    }


def unrolled(rate, drivers):
    pool, losses = jnp.asarray(3.0), []
    for day in range(len(drivers["gain"])):
        pool, lost = decay(rate)(pool, jax.tree.map(lambda leaf, day=day: leaf[day], drivers))
        losses.append(lost)
    return pool, jnp.stack(losses)


@pytest.mark.parametrize("segment", [None, 1, 7, 10, 23, 40])
def test_rollout_equals_a_loop_over_days_for_any_segment(segment):
    drivers = forcing(23)
    end, losses = integrate.rollout(decay(0.3), jnp.asarray(3.0), drivers, segment)
    expected_end, expected = unrolled(0.3, drivers)
    np.testing.assert_allclose(end, expected_end, rtol=1e-14)
    np.testing.assert_allclose(losses, expected, rtol=1e-14)


@pytest.mark.parametrize("segment", [None, 5])
def test_gradient_does_not_depend_on_the_segment(segment):
    drivers = forcing(23)
    total = lambda rate: integrate.rollout(decay(rate), jnp.asarray(3.0), drivers, segment)[1].sum()
    expected = jax.grad(lambda rate: unrolled(rate, drivers)[1].sum())(0.3)
    np.testing.assert_allclose(jax.grad(total)(0.3), expected, rtol=1e-12)


def test_unforced_decay_is_the_exponential():
    drivers = {"warmth": jnp.ones(50), "gain": jnp.zeros(50)}
    end, _ = integrate.rollout(decay(0.1), jnp.asarray(8.0), drivers)
    np.testing.assert_allclose(end, 8.0 * np.exp(-5.0), rtol=1e-12)


def test_spin_up_repeats_the_forcing_and_has_no_gradient():
    drivers = forcing(10)
    step = decay(0.3)
    state = jnp.asarray(3.0)
    for _ in range(4):
        state, _ = integrate.rollout(step, state, drivers)
    np.testing.assert_allclose(
        integrate.spin_up(step, jnp.asarray(3.0), drivers, 4), state, rtol=1e-14
    )
    spun = lambda rate: integrate.spin_up(decay(rate), jnp.asarray(3.0), drivers, 4)
    assert jax.grad(spun)(0.3) == 0.0


def test_spin_up_has_a_gradient_where_it_is_asked_for(x64):
    drivers = forcing(10)
    spun = lambda rate: integrate.spin_up(decay(rate), jnp.asarray(3.0), drivers, 4, True)
    secant = (spun(0.3 + 1e-5) - spun(0.3 - 1e-5)) / 2e-5
    for slope in (jax.grad(spun)(0.3), jax.jvp(spun, (0.3,), (1.0,))[1]):
        assert float(slope) == pytest.approx(float(secant), rel=1e-6)
        assert abs(slope) > 1e-3
