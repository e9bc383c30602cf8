"""Solvers on functions whose minimum is known, in double precision."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.inversion.solvers.evolution import CovarianceAdaptation, DifferentialEvolution
from kgml_jax.inversion.solvers.gradient import GRADIENT_COST, Adam, LimitedMemory
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt, value_and_jacobian
from kgml_jax.inversion.solvers.solution import half_square

pytestmark = pytest.mark.usefixtures("x64")

EXACT = LevenbergMarquardt(
    iterations=60, cost_tolerance=0.0, step_tolerance=1e-12, gradient_tolerance=0.0
)
SOLVERS = (
    LevenbergMarquardt(),
    Adam(iterations=300),
    LimitedMemory(iterations=40),
    CovarianceAdaptation(evaluations=3000),
    DifferentialEvolution(evaluations=6000),
)
NAMES = [type(solver).__name__ for solver in SOLVERS]


@functools.partial(jax.jit, static_argnums=(0, 1))
def compiled(solver, residuals, start, key):
    return solver.solve(residuals, start, key)


def solve(solver, residuals, start, seed=0):
    return compiled(solver, residuals, jnp.asarray(start), jax.random.key(seed))


def design(parameters=4, rows=30, spread=1.0):
    """A matrix whose columns' lengths differ by `10 ** spread` at most, and data."""
    rng = np.random.default_rng(3)
    scales = np.logspace(-spread / 2, spread / 2, parameters)
    return rng.normal(size=(rows, parameters)) * scales, rng.normal(size=rows)


def regularised(matrix, data, sd=0.5):
    return lambda z: jnp.concatenate([jnp.asarray(matrix) @ z - data, z / sd])


def rosenbrock(z):
    return jnp.concatenate([10 * (z[1:] - z[:-1] ** 2), 1 - z[:-1]])


def decay(z):
    """An exponential curve through exact points; both rates are parameters."""
    times = jnp.linspace(0, 4, 25)
    curve = lambda z: jnp.exp(z[0]) * jnp.exp(-jnp.exp(z[1]) * times)
    return curve(z) - curve(jnp.array([0.4, -0.6]))


def test_levenberg_marquardt_finds_the_solution_of_the_normal_equations():
    matrix, data = design(parameters=18, rows=40, spread=3.0)
    found = solve(EXACT, regularised(matrix, data), np.zeros(18))
    normal = matrix.T @ matrix + 4.0 * np.eye(18)
    # Double precision, condition of the scaled matrix below 100.
    np.testing.assert_allclose(found.offsets, np.linalg.solve(normal, matrix.T @ data), atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS, ids=NAMES)
def test_every_solver_finds_the_least_cost_of_a_linear_problem(solver):
    matrix, data = design()
    residuals = regularised(matrix, data)
    expected = np.linalg.solve(matrix.T @ matrix + 4.0 * np.eye(4), matrix.T @ data)
    found = solve(solver, residuals, np.full(4, 0.2))
    least = half_square(residuals(jnp.asarray(expected)))
    assert found.healthy
    assert float(found.cost / least) < 1 + 1e-3
    assert float(half_square(residuals(found.offsets))) == pytest.approx(float(found.cost))


@pytest.mark.parametrize(
    "solver", [EXACT, LimitedMemory(), CovarianceAdaptation(cost_tolerance=1e-12)]
)
def test_the_valley_of_rosenbrock_is_followed_to_its_end(solver):
    found = solve(solver, rosenbrock, [-1.2, 1.0])
    np.testing.assert_allclose(found.offsets, 1.0, atol=1e-3)
    assert found.converged


def test_levenberg_marquardt_fits_a_curve_to_rounding():
    found = solve(EXACT, decay, [0.0, 0.0])
    np.testing.assert_allclose(found.offsets, [0.4, -0.6], atol=1e-9)


def test_damping_saves_steps_that_gauss_newton_would_lose():
    # From 3, undamped steps on arctan overshoot ever farther.
    found = solve(EXACT, jnp.arctan, [3.0])
    np.testing.assert_allclose(found.offsets, 0.0, atol=1e-9)


def logarithm(z):
    return jnp.log(z)


def test_a_trial_that_is_not_finite_is_a_rejected_step():
    # The first step from 4 leads below 0, where the logarithm is not a number.
    found = solve(EXACT, logarithm, [4.0])
    assert found.healthy
    np.testing.assert_allclose(found.offsets, 1.0, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS, ids=NAMES)
def test_a_start_that_is_not_finite_is_unhealthy_and_ends_the_search(solver):
    found = solve(solver, logarithm, [-1.0])
    assert not found.healthy
    assert not found.converged
    np.testing.assert_array_equal(found.offsets, [-1.0])
    # At most one generation, or one line search, is spent.
    assert int(found.evaluations) <= 16 * GRADIENT_COST


FEW = {
    LevenbergMarquardt: {"iterations": 7},
    Adam: {"iterations": 7},
    LimitedMemory: {"iterations": 4},
    CovarianceAdaptation: {"evaluations": 50},
    DifferentialEvolution: {"evaluations": 50},
}
"""Budgets that end the search early."""


@pytest.mark.parametrize("solver", SOLVERS, ids=NAMES)
def test_a_search_counts_what_it_spends_and_stops_at_its_budget(solver):
    made = []

    def residuals(z):
        jax.debug.callback(lambda _: made.append(1), z)
        return rosenbrock(z)

    start = jnp.array([-1.2, 1.0, 0.5])
    found = solve(dataclasses.replace(solver, **FEW[type(solver)]), residuals, start)
    jax.effects_barrier()
    # A pass of forward mode simulates once and carries three tangents along.
    price = {LevenbergMarquardt: 4, Adam: GRADIENT_COST, LimitedMemory: GRADIENT_COST}
    assert int(found.evaluations) == len(made) * price.get(type(solver), 1)
    assert len(made) > 5
    assert found.healthy
    assert not found.converged
    costs, spent = np.asarray(found.trace_cost), np.asarray(found.trace_evaluations)
    assert costs.shape == spent.shape
    assert (np.diff(costs) <= 0).all()
    assert (np.diff(spent) >= 0).all()
    assert (costs[-1], spent[-1]) == (found.cost, found.evaluations)
    assert costs[0] <= half_square(rosenbrock(start))
    along = jax.vmap(lambda z: half_square(rosenbrock(z)))(found.trace_offsets)
    np.testing.assert_allclose(along, costs, rtol=1e-12)


def test_cma_reaches_the_minimum_of_an_ellipsoid_in_the_evaluations_of_the_tutorial():
    scales = np.logspace(0, 2, 6)
    solver = CovarianceAdaptation(evaluations=20_000, cost_tolerance=0.0, step_tolerance=0.0)
    found = solve(solver, lambda z: scales * (z - 0.5), np.zeros(6))
    reached = np.asarray(found.trace_cost) < 1e-8
    spent = int(np.asarray(found.trace_evaluations)[np.argmax(reached)])
    # Condition 1e4 in 6 dimensions: about 2,500 evaluations in the literature (Hansen and
    # Ostermeier 2001, fig. 6); without adaptation of the covariance more than 20,000.
    assert reached.any()
    assert spent < 4000


def test_cma_does_not_depend_on_the_scale_of_the_cost(key):
    solver = CovarianceAdaptation(evaluations=300)
    small, large = jax.jit(
        jax.vmap(lambda scale: solver.solve(lambda z: scale * rosenbrock(z), jnp.zeros(2), key))
    )(jnp.array([1e-3, 1e3])).offsets
    np.testing.assert_allclose(small, large, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS[3:], ids=NAMES[3:])
def test_random_searches_repeat_with_their_key_and_differ_without(solver):
    few = dataclasses.replace(solver, **FEW[type(solver)])
    runs = [solve(few, rosenbrock, [-1.2, 1.0], seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0].offsets, runs[1].offsets)
    assert not np.array_equal(runs[0].offsets, runs[2].offsets)


def test_value_and_jacobian_are_those_of_the_function():
    value, jacobian = value_and_jacobian(rosenbrock, jnp.array([0.3, -0.2]))
    np.testing.assert_allclose(value, [10 * (-0.2 - 0.09), 0.7])
    np.testing.assert_allclose(jacobian, [[-6.0, 10.0], [-1.0, 0.0]])
