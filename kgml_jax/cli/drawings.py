"""Which figures a run gets: sites year by year, scatter, errors and gains, learning curves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.cli.console import can_draw
from kgml_jax.errors import DataError, listed
from kgml_jax.evaluation import canvas, comparison_figures, figures
from kgml_jax.evaluation.canvas import save
from kgml_jax.runs import files
from kgml_jax.split import DividedSites
from kgml_jax.workflows.evaluation import Assessment
from kgml_jax.workflows.scoring import HEADLINE_VARIABLE

SERIES = (HEADLINE_VARIABLE, "Reco")
"""Variables whose days are drawn."""

EVERY_SITE = "all"

WITHOUT = "--no-figures"
"""The option that leaves figures out."""

MOST_LINES = 4
"""Strategies in one figure of days: the reference, and those with the least errors."""


def require(draw: tuple[str, ...], figures: bool = True) -> None:
    """Refuses to draw sites without figures, or without what draws them.

    Args:
      draw: names of sites, or `EVERY_SITE`.
      figures: whether there are figures at all.

    Raises:
      ValueError: sites are asked for, and no figures.
      ImportError: sites are asked for, and matplotlib is absent.
    """
    if draw and not figures:
        raise ValueError(f"--draw asks for sites and {WITHOUT} for no figures; leave one out")
    if draw:
        try:
            canvas.require_matplotlib()
        except ImportError as error:
            raise ImportError(f"{error}, or give {WITHOUT} and no --draw") from error


def require_sites(draw: tuple[str, ...], data: DividedSites) -> None:
    """Refuses to draw sites that there are not.

    Raises:
      DataError: naming them.
    """
    if unknown := [name for name in draw if name not in (EVERY_SITE, *data.sites.names)]:
        raise DataError(
            "--draw names sites that are not there",
            site=listed(unknown),
            expected=f"{EVERY_SITE}, or some of {listed(data.sites.names, 12)}",
        )


def draw(folder: Path, found: Assessment, sites: tuple[str, ...] = ()) -> None:
    """Draws days of sites, scatter plots, errors, gains, and learning curves if logged.

    Without matplotlib it only says so: the numbers are written already.

    Args:
      folder: for the figures.
      found: what was scored; of `found.predictions`, intervals are drawn where they are known.
      sites: names, or `EVERY_SITE`; none are the best, the median and the worst.
    """
    if not can_draw(f", or leave them out with {WITHOUT}"):
        return
    data, results = found.data, found.results
    draw_days(folder, found, sites)
    for name in seen_on_test_days(results["variable"].values, data):
        figure = comparison_figures.scatter(data.sites, found.predictions, name, data.test_days)
        save(figure, folder / f"scatter_{files.file_name(name)}.png")
    errors = results["standardised_mse"]
    if "known" in results:
        errors = errors.assign_coords(known=results["known"])
    if np.isfinite(errors).any():
        save(comparison_figures.errors_by_strategy(results), folder / "errors.png")
    for strategy in (str(name) for name in results["strategy"].values):
        if strategy != found.reference and np.isfinite(errors).any():
            figure = comparison_figures.gain_per_site(errors, found.reference, strategy)
            save(figure, folder / f"gain_{files.file_name(strategy)}.png")
    draw_learning(folder, folder.parent)


def draw_days(folder: Path, found: Assessment, sites: tuple[str, ...]) -> None:
    """Draws the days of sites, of the strategies with the least errors."""
    shown = telling_strategies(found.results, found.reference)
    predictions: Mapping = {name: found.predictions[name] for name in shown}
    for name in drawn_sites(found, sites):
        for variable in SERIES:
            if variable in found.data.sites.site.targets:
                figure = figures.time_series(found.data, predictions, name, variable)
                save(figure, folder / f"series_{variable}_{files.file_name(name)}.png")


def drawn_sites(found: Assessment, asked: tuple[str, ...]) -> list[str]:
    """Returns the sites asked for by name, or all, or those that tell most."""
    if EVERY_SITE in asked:
        return list(found.data.sites.names)
    return list(asked) or telling_sites(found.results)


def seen_on_test_days(variables: np.ndarray, data: DividedSites) -> list[str]:
    """Returns which variables have a test day: a stock that was sampled once may have none."""
    mask = data.sites.site.mask
    return [str(name) for name in variables if np.any(mask[str(name)] & data.test_days)]


def telling_sites(results: xr.Dataset) -> list[str]:
    """Returns the best, the median and the worst site of the last strategy."""
    errors = results["standardised_mse"].isel(strategy=-1)
    ranked = errors.where(np.isfinite(errors), drop=True).sortby(errors)
    names = [str(name) for name in ranked["site"].values]
    return list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])) if names else []


def telling_strategies(results: xr.Dataset, reference: str) -> list[str]:
    """Returns the reference and the strategies with the least median errors, as they stand."""
    names = [str(name) for name in results["strategy"].values]
    errors = dict(zip(names, results["standardised_mse"].median("site").values, strict=True))
    others = sorted((name for name in names if name != reference), key=lambda name: errors[name])
    kept = {reference, *others[: MOST_LINES - 1]}
    return [name for name in names if name in kept]


def draw_learning(folder: Path, run: Path) -> None:
    """Draws the learning curves of every strategy in `metrics.jsonl`."""
    rows = files.read_metrics(run)
    for strategy in dict.fromkeys(row.get("strategy", "pretraining") for row in rows):
        own = [row for row in rows if row.get("strategy", "pretraining") == strategy]
        if len(own) > 1:
            name = "pretrained" if strategy == "pretraining" else strategy
            path = folder / f"learning_{files.file_name(strategy)}.png"
            save(figures.learning_curves(own, name), path)
