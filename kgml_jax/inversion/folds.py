"""Estimation with a gate on days held out in turn: all folds of all sites in one program."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.searches import prior_means, search_sites
from kgml_jax.inversion.sites import Estimates, Review, improved, review_sites
from kgml_jax.inversion.solvers.solution import Solution, Solver
from kgml_jax.inversion.solvers.starts import best_start
from kgml_jax.mapping import over_sites
from kgml_jax.records import Field
from kgml_jax.sites import Site
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import SILENT, Observer


@dataclass(frozen=True)
class HeldOut:
    """What the folds of every site found; each knew nothing of the days it is judged on.

    Attributes:
      fold: in which each day was held out, -1 where in none, int8 (site, time).
      offsets: that each fold found from the base; 0 where the prior was kept, (site, fold, p).
    """

    fold: np.ndarray
    offsets: np.ndarray


def estimate_by_folds(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    fold: np.ndarray,
    solver: Solver,
    key: jax.Array,
    *,
    base: np.ndarray | None = None,
    starts: int = 1,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
    observer: Observer = SILENT,
) -> tuple[Estimates, HeldOut]:
    """Estimates the parameters of every site on all days that may be learnt from.

    Each fold is estimated once more without its days, and judged on these. A site of which the
    misfit of the held-out days, summed over the folds, is not below that of the prior keeps the
    prior. That takes as many further searches as there are folds, side by side with those of the
    whole records in one program: sites are repeated, and with them their records in memory.

    Args:
      problem: what is estimated.
      weights: shared by all sites.
      data: sites with their split, and targets for the streams.
      fold: in which each day is held out, from 0; -1 in none, int (site, time).
      solver: searches for the least cost of one site.
      key: seeds starts and solver; the folds of a site draw alike.
      base: means of the priors in unbounded space relative to `weights`, (site, p); zeros.
      starts: searches a site and fold.
      site_batch: searches a device advances at once.
      devices: to spread the sites over, by default all local ones.
      observer: sees the searches; see `search_sites`.

    Returns:
      Estimates, of which `validation_error` is that of all held-out days, and what the folds found.
    """
    folds, p = max(int(fold.max(initial=-1)) + 1, 1), len(problem.names)
    parts, means = tile(data, fold, folds), prior_means(problem, data, base)
    by_site = lambda leaf: np.asarray(leaf).reshape(len(data), folds + 1, *leaf.shape[1:])
    own: Any = {"base": np.repeat(means, folds + 1, axis=0)}
    own |= {"site_batch": site_batch, "devices": devices}
    points, solutions = search_sites(
        problem, weights, parts, solver, key, starts=starts, observer=observer, **own
    )
    chosen, rows = np.asarray(best_start(solutions)), np.arange(len(parts))
    healthy = solutions.healthy[rows, chosen]
    found = np.where(healthy[:, None], solutions.offsets[rows, chosen], 0)
    candidates = np.stack([np.zeros_like(found), found], axis=1)
    reviews = review_sites(problem, weights, parts, candidates, **own)
    whole = lambda leaf: by_site(leaf)[:, folds]
    # A fold that holds nothing out says nothing; one that is not finite says that.
    telling = by_site(reviews.validation_count)[:, :folds, 0] > 0
    sound = whole(healthy) & (by_site(healthy)[:, :folds] | ~telling).all(axis=1)
    joined = _joined(jax.tree.map(by_site, reviews), folds)
    accepted = sound & improved(joined)
    kept = np.where(accepted[:, None, None], by_site(found).reshape(len(data), -1, p), 0)
    site_rows = np.arange(len(data))
    estimates = Estimates(
        problem=problem,
        sites=data.sites.names,
        base=means,
        offsets=kept[:, folds],
        accepted=accepted,
        healthy=whole(healthy),
        prior=jax.tree.map(lambda leaf: leaf[:, 0], joined),
        estimate=jax.tree.map(lambda leaf: leaf[site_rows, accepted.astype(int)], joined),
        starts=whole(points),
        solutions=_of_whole(solutions, whole, by_site),
        chosen=whole(chosen),
    )
    return estimates, HeldOut(fold, kept[:, :folds])


def tile(data: DividedSites, fold: np.ndarray, folds: int) -> DividedSites:
    """Returns every site once for each fold, with its days held out, and then once with none.

    Args:
      data: sites with their split.
      fold: in which each day is held out, int (site, time).
      folds: how many there are.
    """
    parts = [data.holding_out(fold == one) for one in (*range(folds), folds)]
    rows = np.repeat(np.arange(len(data)), folds + 1)
    roles = np.stack([part.roles for part in parts], axis=1)
    return replace(data.take(rows.tolist()), roles=roles.reshape(-1, roles.shape[-1]))


def predict_held_out(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    base: np.ndarray,
    held_out: HeldOut,
    *,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> dict[str, np.ndarray]:
    """Predicts the streams of every day by the fold that did not see it; others by the first.

    Args:
      problem: what was estimated.
      weights: shared by all sites.
      data: sites with their split.
      base: means of the priors, (site, p).
      held_out: what the folds found.
      site_batch: sites a device advances at once.
      devices: to spread the sites over, by default all local ones.

    Returns:
      Values by variable, (site, time).
    """
    return over_sites(
        _predict_site,
        (base[:, None] + held_out.offsets, held_out.fold, data.sites.site),
        static=(problem,),
        shared=(weights,),
        site_batch=site_batch,
        devices=devices,
    )


def _predict_site(
    problem: Problem, weights: Weights, offsets: Field, fold: Field, site: Site
) -> dict[str, Field]:
    names = [stream.variable for stream in problem.streams if stream.variable in site.targets]

    def predict(offsets: Field) -> dict[str, Field]:
        fluxes = problem.predict(weights, offsets, site)
        return {name: fluxes[name] for name in names}

    own = jnp.maximum(fold, 0).astype(int)[None]
    pick = lambda values: jnp.take_along_axis(values, own, axis=0)[0]
    return jax.tree.map(pick, jax.lax.map(predict, offsets))


def _joined(reviews: Review, folds: int) -> Review:
    # Of the days of all folds, and of the training days of the whole record, (site, candidate).
    count = reviews.validation_count[:, :folds]
    # What no fold holds out adds nothing, be it a number or none.
    square = np.where(count > 0, reviews.validation_error[:, :folds] * count, 0.0)
    total = count.sum(axis=1)
    return Review(
        training_error=reviews.training_error[:, folds],
        validation_error=square.sum(axis=1) / np.maximum(total, 1),
        validation_count=total,
    )


def _of_whole(solutions: Solution, whole: Any, by_site: Any) -> Solution:
    # The searches of the whole record, which have cost those of the folds as well.
    spent = by_site(solutions.evaluations).sum(axis=1)
    return jax.tree.map(whole, solutions).replace(evaluations=spent)
