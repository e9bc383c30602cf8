"""Calibration: what every site, or group of sites, owns beside the pretrained model."""

import time
from dataclasses import dataclass

import jax
import numpy as np

from kgml_jax.adaptation import PRESETS, Weights
from kgml_jax.runs.saved import Calibrated, Pretrained, SiteFits
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.training import run
from kgml_jax.training.fit import Settings
from kgml_jax.training.run import Calibration, Watch, unwatched
from kgml_jax.training.strategies import STRATEGIES, Strategy
from kgml_jax.training.windows import FitData, make_fit_data

REFERENCE = "zero-shot"
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

    def descent(self, strategy: Strategy) -> Settings:
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


def zero_shot_errors(base: Pretrained, data: DividedSites) -> np.ndarray:
    """Returns the error of the pretrained model on each site's validation days, (site,)."""
    return run.validation_errors(
        base.model,
        base.objective,
        base.weights,
        windows_of_sites(base, data),
        PRESETS[REFERENCE],
        {},
    )


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
    strategies from scratch have no such gate.

    Args:
      base: the pretrained model.
      data: sites with their split; see `workflows.sites.divide_after`.
      strategy: name in `training.strategies.STRATEGIES`.
      seed: of batches, dropout and fresh weights.
      settings: the descent.
      watch: makes the context of a descent, which gives its progress callback.

    Raises:
      ValueError: there is no such strategy, the model has no weights for it, or a site has no day
        to train or to validate on.
    """
    require_strategies((strategy,), base)
    settings, way = settings or CalibrateSettings(), STRATEGIES[strategy]
    fresh_key, fit_key = jax.random.split(jax.random.key(seed))
    weights = base.model.init(fresh_key) if way.scratch else base.weights
    rows = members(way, data.sites)
    windows = make_fit_data(data, rows, base.warmup_days)
    descent = settings.descent(way)
    started = time.perf_counter()
    with watch(strategy, descent.steps) as on_round:
        found = run.calibrate(
            base.model,
            base.objective,
            weights,
            windows,
            way.adaptation,
            descent,
            fit_key,
            start_counts=not way.scratch,
            site_batch=settings.site_batch,
            on_round=on_round,
        )
    seconds = time.perf_counter() - started
    return Calibrated(
        base=base,
        strategy=strategy,
        units=tuple(tuple(data.sites.names[row] for row in fit) for fit in rows),
        phi=found.phi,
        moved=np.asarray(found.best_step > 0),
        start=weights if way.scratch else None,
        fits=_site_fits(base, data, way, rows, weights, found, seconds),
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
        own = windows_of_sites(base, data)
        validation = run.validation_errors(
            base.model, base.objective, weights, own, way.adaptation, spread.phi
        )
    if way.scratch:
        accepted = validation < zero_shot_errors(base, data)
    return SiteFits(
        names=data.sites.names,
        validation_error=validation,
        accepted=accepted,
        healthy=spread.healthy,
        steps=spread.steps,
        seconds=seconds,
    )
