"""Calibration: what every site, or group of sites, owns beside the pretrained model."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.data.folds import deal
from kgml_jax.runs.fitted import Calibrated, Pretrained, SiteFits
from kgml_jax.runs.learnt import learnt
from kgml_jax.sites import TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training import health, run
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.folds import Folded
from kgml_jax.training.run import Calibration
from kgml_jax.training.strategies import STRATEGIES, Strategy, present_name
from kgml_jax.training.watch import Watch, unwatched
from kgml_jax.training.windows import FitData, make_fit_data, make_fold_data
from kgml_jax.workflows.fitting import Fitting, Gate

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
    """Sites a device advances at once; bounds memory. Results with another number, or with other
    devices, are equal within 1e-5 of the largest value (single precision)."""
    refit: bool = False
    """End with a fit on training and validation days together, of as many steps as were best on
    validation. Validation errors stay those before it. With the gate by years it always does."""
    gate: Gate = "validation"
    """Which days say how many steps are best, and whether a site is better off with them.
    validation: the validation days; years: whole crop-years that folds hold out in turn, then a fit
    to all days that are not tested. A pretrained model that has learnt from the sites' training
    days is at an advantage there."""
    folds: int = 3
    """Folds of the gate by years; each costs as many steps as a fit."""

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


def members(
    strategy: Strategy, data: DividedSites, fold: np.ndarray | None = None
) -> list[list[int]]:
    """Returns the site rows of each fit of a strategy.

    A fit without a day to train or to validate on, as of a site with a record of a few days, is not
    among them: the others do not need it.

    Args:
      strategy: of the fits.
      data: sites with their split.
      fold: in which a day is held out, (site, time); None where validation days decide.

    Raises:
      ValueError: there is no other.
    """
    sites = data.sites
    rows = [[row] for row in range(len(sites))]
    if strategy.per == "group":
        rows = [[r for r, g in enumerate(sites.groups) if g == name] for name in sites.group_names]
    judged = np.isin(data.roles, VALIDATION) if fold is None else fold > 0
    # What is held out in one fold is learnt from in another.
    learnt = np.isin(data.roles, TRAIN) if fold is None else data.learning_days
    able = [fit for fit in rows if fit and learnt[fit].any() and judged[fit].any()]
    if not able:
        raise ValueError(
            f"no site has days both to train and to validate on in this split ({data.split.kind})"
        )
    return able


def errors_of_sites(
    descent: Descent,
    weights: Weights,
    base: Pretrained,
    data: DividedSites,
    phi: Any,
    fold: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the error on each site's validation days, (site,); NaN of sites that cannot learn.

    Args:
      descent: of one fit.
      weights: where `phi` starts from.
      base: the pretrained model.
      data: sites with their split.
      phi: what each site has, leaves (site, ...), with `fold` (site, fold, ...).
      fold: in which a day is held out, (site, time): these days then take the place of validation.
    """
    rows = [[row] for row, *_ in members(STRATEGIES[REFERENCE], data, fold)]
    if fold is None:
        judge, windows = descent, make_fit_data(data, rows, base.warmup_days)
    else:
        judge, windows = Folded(descent), make_fold_data(data, rows, base.warmup_days, fold)
    able = np.array(rows)[:, 0]
    own = jax.tree.map(lambda leaf: leaf[able], phi)
    found = run.validation_errors(judge, weights, windows, own)
    errors = np.full(len(data), np.nan, found.dtype)
    errors[able] = found
    return errors


def descent_of(base: Pretrained, strategy: Strategy, settings: CalibrateSettings) -> Descent:
    """Returns the descent of one fit of a strategy."""
    return Descent(
        base.model,
        base.objective,
        strategy.adaptation,
        settings.of(strategy),
        start_counts=not strategy.scratch,
    )


def pretrained_errors(
    base: Pretrained, data: DividedSites, fold: np.ndarray | None = None
) -> np.ndarray:
    """Returns the error of the pretrained model on each site's validation days, (site,).

    Args:
      base: the pretrained model.
      data: sites with their split.
      fold: in which a day is held out; see `errors_of_sites`.
    """
    still = descent_of(base, STRATEGIES[REFERENCE], CalibrateSettings())
    return errors_of_sites(still, base.weights, base, data, {}, fold)


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
    again, from the same start to training and validation days, as many steps as that took. With
    the gate by years it is whole crop-years, held out in turn by folds, that decide.

    A site without a day to train or to validate on is set aside: it keeps the pretrained model, and
    `fits.troubles` says so, as it says what was not finite first where a descent ended for that.

    Args:
      base: the pretrained model.
      data: sites with their split; see `workflows.sites.divide_after`.
      strategy: name in `training.strategies.STRATEGIES`.
      seed: of batches, dropout and fresh weights.
      settings: the descent.
      watch: makes the context of a descent, which gives what observes it.

    Raises:
      ValueError: there is no such strategy, the model has no weights for it, or no site has days
        to train and to validate on.
    """
    strategy = present_name(strategy)
    require_strategies((strategy,), base)
    settings, way = settings or CalibrateSettings(), STRATEGIES[strategy]
    fresh_key, fit_key = jax.random.split(jax.random.key(seed))
    weights = base.model.init(fresh_key) if way.scratch else base.weights
    fold = deal(data, settings.folds) if settings.gate == "years" else None
    rows, descent = members(way, data, fold), descent_of(base, way, settings)
    started = time.perf_counter()
    place = (rows, base.warmup_days, fit_key, settings.site_batch, watch)
    fitting = Fitting(strategy, descent, weights, data, *place)
    phi, found, windows = (
        fitting.by_validation(settings.refit) if fold is None else fitting.by_folds(fold)
    )
    seconds = time.perf_counter() - started
    troubles = _troubles(data, descent, weights, rows, windows, found)
    return Calibrated(
        base=base,
        strategy=strategy,
        units=tuple(tuple(data.sites.names[row] for row in fit) for fit in rows),
        phi=phi,
        moved=np.asarray(found.best_step > 0),
        start=weights if way.scratch else None,
        fits=_site_fits(base, data, way, rows, weights, found, fold, seconds, troubles),
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
    fold: np.ndarray | None,
    seconds: float,
    troubles: dict[str, str],
) -> SiteFits:
    fit_of = {row: fit for fit, own in enumerate(rows) for row in own}
    # Sites that are set aside show those of another fit here, and nothing below.
    able = np.isin(np.arange(len(data)), list(fit_of))
    spread = jax.tree.map(
        lambda leaf: leaf[np.array([fit_of.get(row, 0) for row in range(len(data))])],
        found,
    )
    validation, accepted = spread.best_error, spread.accepted
    if way.per == "group":
        descent = descent_of(base, way, CalibrateSettings())
        validation = errors_of_sites(descent, weights, base, data, spread.phi, fold)
    if way.scratch:
        accepted = validation < pretrained_errors(base, data, fold)
    return SiteFits(
        names=data.sites.names,
        validation_error=np.where(able, validation, np.nan),
        accepted=accepted & able,
        healthy=spread.healthy | ~able,
        steps=np.where(able, spread.steps, 0),
        seconds=seconds,
        troubles=troubles,
    )


def _troubles(
    data: DividedSites,
    descent: Descent,
    weights: Weights,
    rows: list[list[int]],
    windows: FitData,
    found: Calibration,
) -> dict[str, str]:
    # What was wrong at sites, and what was done about it; looked for where a fit is not healthy.
    names, said = data.sites.names, {}
    inside = {row for fit in rows for row in fit}
    for row in sorted(set(range(len(data))) - inside):
        days = int(np.asarray(data.sites.site.valid)[row].sum())
        lacks = "train" if not (data.roles[row] == TRAIN).any() else "validate"
        said[names[row]] = (
            f"a record of {days} days, none to {lacks} on in this split; set aside, it keeps the "
            "pretrained model"
        )
    identities = dict(zip(np.asarray(data.sites.site.identity).tolist(), names, strict=True))
    for fit in np.flatnonzero(~np.asarray(found.healthy)):
        own = jax.tree.map(lambda leaf, fit=fit: leaf[fit], (found.last, windows))
        cause = next(iter(health.troubles(descent, weights, *own).items()), None)
        first = names[rows[fit][0]] if cause is None else identities[cause[0]]
        text = "a step was not finite, though all is at the weights before it"
        said[first] = (
            f"{text if cause is None else cause[1]}; stopped after step {int(found.steps[fit])}, "
            f"what was best, at step {int(found.best_step[fit])}, is kept"
        )
    return said
