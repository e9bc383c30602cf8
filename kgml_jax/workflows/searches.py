"""The searches of an estimation, with the gate that decides what is kept of them."""

from typing import Protocol

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.folds import HeldOut, estimate_by_folds
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.sites import Estimates, estimate
from kgml_jax.inversion.solvers.registry import SOLVERS
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import Watch, unwatched


class Searching(Protocol):
    """What a search is told: see `estimation.EstimateSettings`."""

    @property
    def folds(self) -> int:
        """Folds of the gate by years."""
        ...

    @property
    def solver(self) -> str:
        """Name of the solver."""
        ...

    @property
    def starts(self) -> int:
        """Searches a site."""
        ...

    @property
    def site_batch(self) -> int:
        """Sites a device advances at once."""
        ...


def search_and_judge(
    settings: Searching,
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    fold: np.ndarray | None,
    seed: int,
    base: np.ndarray | None,
    watch: Watch = unwatched,
) -> tuple[Estimates, HeldOut | None]:
    """Searches the best parameters of all sites, with the gate that `fold` stands for.

    Args:
      settings: how.
      problem: what is estimated.
      weights: shared by all sites.
      data: sites with their split.
      fold: in which each day is held out, (site, time); None for the validation days.
      seed: of starts and of searches that draw.
      base: means of the priors, (site, p).
      watch: makes the context of the searches.
    """
    if fold is None:
        return search(settings, problem, weights, data, seed, base, watch), None
    with watch("search", len(data) * settings.starts * (settings.folds + 1)) as observer:
        return estimate_by_folds(
            problem,
            weights,
            data,
            fold,
            SOLVERS[settings.solver],
            jax.random.key(seed),
            base=base,
            starts=settings.starts,
            site_batch=settings.site_batch,
            observer=observer,
        )


def search(
    settings: Searching,
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    seed: int,
    base: np.ndarray | None,
    watch: Watch = unwatched,
    name: str = "search",
) -> Estimates:
    """Searches the best parameters of all sites; `base` are the means of the priors, (site, p)."""
    with watch(name, len(data) * settings.starts) as observer:
        return estimate(
            problem,
            weights,
            data,
            SOLVERS[settings.solver],
            jax.random.key(seed),
            base=base,
            starts=settings.starts,
            site_batch=settings.site_batch,
            observer=observer,
        )
