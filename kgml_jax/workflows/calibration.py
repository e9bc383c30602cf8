"""Calibration: what every site, or group of sites, owns beside the pretrained model."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.runs.fitted import Calibrated, Pretrained, SiteFits
from kgml_jax.runs.learnt import learnt
from kgml_jax.sites import TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training import health, run
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
    """Sites a device advances at once; bounds memory. Results with another number, or with other
    devices, are equal within 1e-5 of the largest value (single precision)."""
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


def members(strategy: Strategy, data: DividedSites) -> list[list[int]]:
    """Returns the site rows of each fit of a strategy.

    A fit without a day to train or to validate on, as of a site with a record of a few days, is not
    among them: the others do not need it.

    Raises:
      ValueError: there is no other.
    """
    sites = data.sites
    rows = [[row] for row in range(len(sites))]
    if strategy.per == "group":
        rows = [[r for r, g in enumerate(sites.groups) if g == name] for name in sites.group_names]
    has = {role: (data.roles == role).any(axis=1) for role in (TRAIN, VALIDATION)}
    able = [fit for fit in rows if fit and has[TRAIN][fit].any() and has[VALIDATION][fit].any()]
    if not able:
        raise ValueError(
            f"no site has days both to train and to validate on in this split ({data.split.kind})"
        )
    return able


def errors_of_sites(
    descent: Descent, weights: Weights, base: Pretrained, data: DividedSites, phi: Any
) -> np.ndarray:
    """Returns the error on each site's validation days, (site,); NaN of sites that cannot learn.

    Args:
      descent: of one fit.
      weights: where `phi` starts from.
      base: the pretrained model.
      data: sites with their split.
      phi: what each site has, leaves (site, ...).
    """
    able = [row for row, *_ in members(STRATEGIES[REFERENCE], data)]
    windows = make_fit_data(data, [[row] for row in able], base.warmup_days)
    own = jax.tree.map(lambda leaf: leaf[np.array(able)], phi)
    found = run.validation_errors(descent, weights, windows, own)
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


def pretrained_errors(base: Pretrained, data: DividedSites) -> np.ndarray:
    """Returns the error of the pretrained model on each site's validation days, (site,)."""
    still = descent_of(base, STRATEGIES[REFERENCE], CalibrateSettings())
    return errors_of_sites(still, base.weights, base, data, {})


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
    rows, descent = members(way, data), descent_of(base, way, settings)
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
        health_now = {"healthy": again.healthy, "last": again.last}
        phi, found = again.phi, found.replace(**health_now)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    troubles = _troubles(data, descent, weights, rows, windows, found)
    return Calibrated(
        base=base,
        strategy=strategy,
        units=tuple(tuple(data.sites.names[row] for row in fit) for fit in rows),
        phi=phi,
        moved=np.asarray(found.best_step > 0),
        start=weights if way.scratch else None,
        fits=_site_fits(base, data, way, rows, weights, found, seconds, troubles),
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
        validation = errors_of_sites(descent, weights, base, data, spread.phi)
    if way.scratch:
        accepted = validation < pretrained_errors(base, data)
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
