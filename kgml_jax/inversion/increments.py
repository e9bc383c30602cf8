"""What scheduled updates added to the pools of every site, and that the budgets close with it."""

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem
from kgml_jax.mapping import over_sites
from kgml_jax.models.hybrid import process_of
from kgml_jax.process import ecosystem
from kgml_jax.process.ecosystem import Imbalance
from kgml_jax.process.state_update import Increment
from kgml_jax.records import Field, record
from kgml_jax.sites import Site, Sites


@record
class Books:
    """Updates of one site in its budgets; of many, with a leading site axis.

    Attributes:
      added: on the day of each update of the model, (update,); updates of one day add together.
      imbalance: largest size over the days of what the budgets leave unexplained, what updates
        added included, ().
    """

    added: Increment
    imbalance: Imbalance


def keep_books(
    problem: Problem, weights: Weights, sites: Sites, offsets: np.ndarray, *, site_batch: int = 1
) -> Books:
    """Simulates every site at its estimate and keeps its books.

    Args:
      problem: of a model with updates.
      weights: shared by all sites.
      sites: all sites.
      offsets: from the weights, (site, p).
      site_batch: sites a device advances at once.

    Returns:
      Books with leaves (site, ...), NumPy arrays.
    """
    return over_sites(
        books_of_site,
        (offsets, sites.site),
        static=(problem,),
        shared=(weights,),
        site_batch=site_batch,
    )


def books_of_site(problem: Problem, weights: Weights, offsets: Field, site: Site) -> Books:
    """Returns the books of one site with `offsets`, (p,), from the weights."""
    moved, process = problem.weights(weights, offsets), process_of(problem.model)
    controller = problem.model.controller(moved, site)  # type: ignore[attr-defined]
    report = lambda day: (day.added, ecosystem.imbalance(site.attributes, *day))
    added, left = process.reported(moved, controller, site, report)
    days = jnp.stack([update.days(site) for update in process.updates])
    largest = lambda daily: jnp.max(jnp.abs(jnp.where(site.valid, daily, 0.0)))
    return Books(
        added=jax.tree.map(lambda daily: jnp.sum(jnp.where(days, daily, 0.0), axis=1), added),
        imbalance=jax.tree.map(largest, left),
    )
