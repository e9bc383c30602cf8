"""Where the searches of a site begin, and which of them is kept."""

import jax
import jax.numpy as jnp

from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.solvers.solution import Solution
from kgml_jax.records import Field


def starting_points(problem: Problem, key: jax.Array, count: int) -> Field:
    """Returns the prior mean and `count - 1` draws from the prior, (count, p).

    A draw depends on the key and its rank alone, so that more starts repeat the first ones.
    """
    mean = problem.start()
    ranks = jnp.arange(count)
    draw = lambda rank: jax.random.normal(jax.random.fold_in(key, rank), mean.shape, mean.dtype)
    draws = jax.vmap(draw)(ranks) * jnp.asarray(problem.prior_sd, mean.dtype)
    return jnp.where((ranks == 0)[:, None], mean, draws)


def best_start(solutions: Solution) -> Field:
    """Returns the index of the healthy solution with the least cost, leaves (start, ...).

    It is 0, the search from the prior mean, where none is healthy.
    """
    return jnp.argmin(jnp.where(solutions.healthy, solutions.cost, jnp.inf), axis=-1)
