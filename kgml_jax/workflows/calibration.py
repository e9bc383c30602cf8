"""Calibration: what every site, or group of sites, owns beside the pretrained model."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.runs.fitted import Calibrated, Pretrained, SiteFits
from kgml_jax.runs.learnt import learnt
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.split import DividedSites
from kgml_jax.training import run
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.run import Calibration
from kgml_jax.training.strategies import STRATEGIES, Strategy, present_name
from kgml_jax.training.watch import Watch, unwatched
from kgml_jax.training.windows import FitData, make_fit_data

REFERENCE = "pretrained"
"""The pretrained model as it is, to which strategies are compared."""


@dataclass(frozen=True)
class CalibrateSettings:
    """How sites are calibrated."""

    steps: int = 120
    """Most gradient steps a site takes; strategies from scratch take up to twice as many."""
    batch: int = 2
    """Site-years of a site a step looks at; 0 takes all."""
    patience: int = 6
    """Validations without improvement after which a site stops."""
    validate_every: int = 10
    """Steps between validations."""
    site_batch: int = 1
    """Sites a device advances at once; bounds memory, does not change results."""
    refit: bool = False
    """End with a fit on training and validation days together, of as many steps as were best on
    validation. Validation errors stay those before it."""

    def of(self, strategy: Strategy) -> Settings:
        """Returns how a strategy descends; a group looks at more windows a step than a site."""
        base = Settings(
            steps=self.steps,
            batch=self.batch if strategy.per == "site" else 4 * self.batch,
            validate_every=self.validate_every,
            patience=self.patience,
            rate_patience=max(self.patience // 2, 1),
        )
        return strategy.settings(base)


def require_strategies(names: tuple[str, ...], base: Pretrained) -> None:
    """Refuses strategies that are not known, or move weights that the model does not have.

    Raises:
      ValueError: naming them, and those there are.
    """
    names = tuple(map(present_name, names))
    if unknown := sorted(set(names) - set(STRATEGIES)):
        raise ValueError(f"no strategy {', '.join(unknown)}; there are {', '.join(STRATEGIES)}")
    offered = [name for name in STRATEGIES if _fits(name, base.weights)]
    if unfit := [name for name in names if name not in offered]:
        raise ValueError(
            f"{type(base.model).__name__} has no weights for strategy {', '.join(unfit)}; "
            f"it can take {', '.join(offered)}"
        )


def _fits(name: str, weights: Weights) -> bool:
    try:
        jax.eval_shape(STRATEGIES[name].adaptation.init, weights)
    except ValueError:
        return False
    return True


def members(strategy: Strategy, sites: Sites) -> list[list[int]]:
    """Returns the site rows of each fit of a strategy."""
    if strategy.per == "site":
        return [[row] for row in range(len(sites))]
    rows = [[row for row, g in enumerate(sites.groups) if g == name] for name in sites.group_names]
    return [group for group in rows if group]


def windows_of_sites(base: Pretrained, data: DividedSites) -> FitData:
    """Returns the windows of each site, for a fit of its own."""
    rows = [[row] for row in range(len(data))]
    return make_fit_data(data, rows, base.warmup_days)


def descent_of(base: Pretrained, strategy: Strategy, settings: CalibrateSettings) -> Descent:
    """Returns the descent of one fit of a strategy."""
    return Descent(
        base.model,
        base.objective,
        strategy.adaptation,
        settings.of(strategy),
        start_counts=not strategy.scratch,
    )


def pretrained_errors(base: Pretrained, data: DividedSites) -> np.ndarray:
    """Returns the error of the pretrained model on each site's validation days, (site,)."""
    still = descent_of(base, STRATEGIES[REFERENCE], CalibrateSettings())
    return run.validation_errors(still, base.weights, windows_of_sites(base, data), {})


def calibrate(
    base: Pretrained,
    data: DividedSites,
    strategy: str = "ftbsc",
    seed: int = 0,
    settings: CalibrateSettings | None = None,
    watch: Watch = unwatched,
) -> Calibrated:
    """Calibrates every site, or group, in one compiled program.

    A site that finds nothing better than the pretrained model on its validation days keeps it;
    strategies from scratch have no such gate. With `refit` a site that found something descends
    again, from the same start to training and validation days, as many steps as that took.

    Args:
      base: the pretrained model.
      data: sites with their split; see `workflows.sites.divide_after`.
      strategy: name in `training.strategies.STRATEGIES`.
      seed: of batches, dropout and fresh weights.
      settings: the descent.
      watch: makes the context of a descent, which gives what observes it.

    Raises:
      ValueError: there is no such strategy, the model has no weights for it, or a site has no day
        to train or to validate on.
    """
    strategy = present_name(strategy)
    require_strategies((strategy,), base)
    settings, way = settings or CalibrateSettings(), STRATEGIES[strategy]
    fresh_key, fit_key = jax.random.split(jax.random.key(seed))
    weights = base.model.init(fresh_key) if way.scratch else base.weights
    rows, descent = members(way, data.sites), descent_of(base, way, settings)
    shared: Any = {"site_batch": settings.site_batch}
    windows = make_fit_data(data, rows, base.warmup_days)
    started = time.perf_counter()
    with watch(strategy, descent.settings.steps) as observer:
        found = run.calibrate(descent, weights, windows, fit_key, observer=observer, **shared)
    phi = found.phi
    if settings.refit:
        windows = make_fit_data(data, rows, base.warmup_days, learn_from=(TRAIN, VALIDATION))
        with watch(f"{strategy}, refit", int(found.best_step.max())) as observer:
            shared["observer"] = observer
            again = run.refit(descent, weights, windows, fit_key, found, **shared)
        phi, found = again.phi, found.replace(healthy=again.healthy)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    return Calibrated(
        base=base,
        strategy=strategy,
        units=tuple(tuple(data.sites.names[row] for row in fit) for fit in rows),
        phi=phi,
        moved=np.asarray(found.best_step > 0),
        start=weights if way.scratch else None,
        fits=_site_fits(base, data, way, rows, weights, found, seconds),
        places={name: data.sites.place(row) for row, name in enumerate(data.sites.names)},
        groups=dict(zip(data.sites.names, data.sites.groups, strict=True)),
        learnt=learnt(data),
    )


def _site_fits(
    base: Pretrained,
    data: DividedSites,
    way: Strategy,
    rows: list[list[int]],
    weights: Weights,
    found: Calibration,
    seconds: float,
) -> SiteFits:
    fit_of = [next(u for u, own in enumerate(rows) if row in own) for row in range(len(data))]
    spread = jax.tree.map(lambda leaf: leaf[np.array(fit_of)], found)
    validation, accepted = spread.best_error, spread.accepted
    if way.per == "group":
        descent = descent_of(base, way, CalibrateSettings())
        own = windows_of_sites(base, data)
        validation = run.validation_errors(descent, weights, own, spread.phi)
    if way.scratch:
        accepted = validation < pretrained_errors(base, data)
    return SiteFits(
        names=data.sites.names,
        validation_error=validation,
        accepted=accepted,
        healthy=spread.healthy,
        steps=spread.steps,
        seconds=seconds,
    )
