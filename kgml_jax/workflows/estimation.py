"""Estimation: process parameters of every site, with intervals and predictions."""

import time
from dataclasses import dataclass, replace
from typing import Literal

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.data import folds
from kgml_jax.inversion.diagnosis import diagnose
from kgml_jax.inversion.groups import group_priors
from kgml_jax.inversion.increments import keep_books
from kgml_jax.inversion.lasting_sites import lasting_errors, with_errors
from kgml_jax.inversion.levels import Levels, estimate_levels
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.searches import prior_means
from kgml_jax.models import updates
from kgml_jax.models.hybrid import with_updates
from kgml_jax.models.measured import CONCERNED, MeasuredModel, with_ratio
from kgml_jax.models.parameter_learning import learnt_offsets
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.process.parameters import DEFAULT_SUBSET, ENERGY_BALANCE_RATIO, Params, parted
from kgml_jax.records import quantities
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.sites import VARIABLES, Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.watch import Watch, unwatched
from kgml_jax.workflows.crop_levels import concerned, grown, levels_of_crops, traits, with_crops
from kgml_jax.workflows.estimated import Estimated
from kgml_jax.workflows.fitting import Gate
from kgml_jax.workflows.searches import search, search_and_judge


@dataclass(frozen=True)
class EstimateSettings:
    """What is estimated, from what, and how."""

    parameters: tuple[str, ...] = DEFAULT_SUBSET
    """Fields of `process.Params` to estimate; any subset by name."""
    streams: tuple[str, ...] = ("NEE", "Reco", "ET")
    """Observed variables that inform; one that no site has is left out."""
    errors: Literal["lasting", "independent"] = "lasting"
    """lasting: what is left of a day is a slow (45 d), a fast (2.5 d) and an independent error, the
    first two estimated from the residuals and shared by the streams; independent: only the last."""
    inflation: float = 1.0
    """Factor on the stated uncertainties of the independent errors."""
    consider: bool = True
    """Parameters that are not estimated keep the uncertainty of their priors in all intervals."""
    energy_balance_ratio: bool = False
    """Estimate by how much the ET of each tower is measured too low, a factor with a prior of 0.84;
    all ET that is compared and written is then as measured. For ET as measured, not corrected."""
    updates: tuple[str, ...] = ()
    """Pools to move at the start of a day, POOL@DATE such as soil_carbon@2005-01-01: by how much is
    estimated with the parameters, and what was added is a term of the budgets."""
    base: Literal["defaults", "groups", "crops"] = "defaults"
    """Means of the priors: the defaults; shifts that the sites of a group share; or traits that
    each crop has at all sites and soil that sites have in common, with the spread among sites."""
    gate: Gate = "years"
    """On which days an estimate must be better than its start to be kept. years: on whole crop-
    years that folds hold out in turn, then an estimate from all days that are not tested;
    validation: on the validation days alone, which then never inform."""
    folds: int = 3
    """Folds of the gate by years; each costs one more search of every site."""
    solver: Literal[
        "levenberg-marquardt", "l-bfgs", "adam", "cma-es", "differential-evolution", "sce-ua"
    ] = "levenberg-marquardt"
    """How the best parameters are searched."""
    starts: int = 1
    """Searches a site: from the mean of the prior, and from draws."""
    spin_up_cycles: int = 2
    """Passes through the first two years before the record starts; a hybrid has its own."""
    site_batch: int = 8
    """Sites a device advances at once; bounds memory. Results with another number, or with other
    devices, are equal within 1e-5 of the largest value (single precision)."""

    @property
    def further(self) -> tuple[str, ...]:
        """Streams that are no flux, of which data may hold few values."""
        return tuple(name for name in self.streams if name not in VARIABLES)

    @property
    def of_towers(self) -> tuple[str, ...]:
        """Parameters of what towers measure that are estimated."""
        return (ENERGY_BALANCE_RATIO,) if self.energy_balance_ratio else ()


def estimate(
    data: DividedSites,
    base: Pretrained | None = None,
    seed: int = 0,
    settings: EstimateSettings | None = None,
    watch: Watch = unwatched,
) -> Estimated:
    """Estimates process parameters at every site on its training days, or on all it may learn from.

    Args:
      data: sites with their split; targets for the streams.
      base: hybrid whose parameters are the means of the priors; None takes the process model with
        its defaults.
      seed: of starts and of searches that draw.
      settings: what is estimated, and how.
      watch: makes the context of the searches, which gives what observes them.

    Raises:
      ValueError: a name is not known, no site observes a stream, an option has no meaning beside
        another, or the base has no process parameters.
    """
    settings = settings or EstimateSettings()
    informing(settings.streams, data.sites)
    model, weights = starting_model(settings, base, seed)
    if moved := tuple(updates.parse(text) for text in settings.updates):
        require_dates(moved, data.sites)
        model, weights = with_updates(model, weights, moved)
    if settings.energy_balance_ratio:
        model, weights = MeasuredModel(model), with_ratio(weights)
    return estimate_from(model, weights, data, seed, settings, watch)


def estimate_from(
    model: Model,
    weights: Weights,
    data: DividedSites,
    seed: int,
    settings: EstimateSettings,
    watch: Watch = unwatched,
) -> Estimated:
    """Estimates from given weights: searches and diagnoses all sites."""
    problem = make_problem(settings, model, data.sites)
    weights = with_crops(weights, problem)
    began, base, spent = time.perf_counter(), None, np.zeros(len(data), int)
    fold = folds.deal(data, settings.folds) if settings.gate == "years" else None
    informing = data if fold is None else data.holding_out(np.zeros_like(fold, bool))
    if settings.errors == "lasting":
        informing, spent = with_lasting_errors(settings, problem, weights, informing, seed, watch)
    levels = None
    if settings.base != "defaults":
        problem, base, more, levels = from_others(
            settings, problem, weights, informing, seed, watch
        )
        spent = spent + more
    found, held_out = search_and_judge(
        settings, problem, weights, informing, fold, seed, base, watch
    )
    considered = considered_beside(problem) if settings.consider else ()
    seconds = time.perf_counter() - began
    sites, site_batch = informing.sites, settings.site_batch
    known = diagnose(
        problem,
        weights,
        informing,
        found.base,
        found.offsets,
        learnt=learnt_offsets(model, problem.names, weights, sites),
        kept=found.accepted,
        considered=considered,
        site_batch=site_batch,
    )
    moved = found.base + found.offsets
    return Estimated(
        data=replace(data, sites=sites),
        informing=informing,
        weights=weights,
        found=found,
        known=known,
        held_out=held_out,
        levels=levels,
        simulations=spent + found.evaluations,
        seconds=seconds,
        books=keep_books(problem, weights, sites, moved, site_batch=site_batch)
        if settings.updates
        else None,
        site_batch=site_batch,
        considered=considered,
    )


def with_lasting_errors(
    settings: EstimateSettings,
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    seed: int,
    watch: Watch,
) -> tuple[DividedSites, np.ndarray]:
    """Estimates how long the errors of every site last, in two steps.

    The residuals of the prior hold what its parameters have wrong; under their errors the
    parameters are estimated once, and what these leave is the errors.

    Returns:
      The sites with their errors, and the simulations spent on each, (site,).
    """
    batch = settings.site_batch
    mean = prior_means(problem, data, None)
    first = with_errors(data, lasting_errors(problem, weights, data, mean, site_batch=batch))
    found = search(settings, problem, weights, first, seed, None, watch, "search for errors")
    left = lasting_errors(problem, weights, data, mean + found.offsets, site_batch=batch)
    return with_errors(data, left), found.evaluations + 2


def considered_beside(problem: Problem) -> tuple[str, ...]:
    """Returns the parameters of the process that a problem does not estimate, of no crop either."""
    estimated = {parted(name)[0] for name in problem.parameters}
    return tuple(name for name in quantities(Params) if name not in estimated)


def starting_model(
    settings: EstimateSettings, base: Pretrained | None, seed: int
) -> tuple[Model, Weights]:
    """Returns the process model with its defaults, or a pretrained hybrid.

    Raises:
      ValueError: the base has no process parameters, or decides what the settings ask for.
    """
    if base is None:
        model = ProcessModel(
            spin_up_cycles=settings.spin_up_cycles,
            spin_up_differentiated=True,
            observables=settings.further,
        )
        return model, model.init(jax.random.key(seed))
    if settings.base != "defaults" or settings.further:
        raise ValueError(
            "on top of a pretrained model the priors and the streams are its own; leave out "
            f"{', '.join(settings.further) or f'the base {settings.base}'}"
        )
    if "process" not in base.weights:
        raise ValueError(
            f"a pretrained {type(base.model).__name__} has no process parameters; expected a "
            "hybrid or the process model"
        )
    return base.model, base.weights


def require_dates(moved: tuple[updates.ScheduledUpdate, ...], sites: Sites) -> None:
    """Refuses an update on a day that no record has.

    Raises:
      ValueError: naming it and the days there are.
    """
    dates = np.asarray(sites.site.calendar.date)[np.asarray(sites.site.valid)]
    known = dates.astype("datetime64[D]")
    for update in moved:
        if np.datetime64(update.date) not in known:
            raise ValueError(
                f"update {update.name}: no record has that day; they lie between {known.min()} "
                f"and {known.max()}"
            )


def informing(streams: tuple[str, ...], sites: Sites) -> tuple[str, ...]:
    """Returns the streams that some site observes.

    Raises:
      ValueError: there is none, or one has no such name.
    """
    seen = tuple(name for name in streams if np.any(sites.site.mask.get(name, False)))
    for name in streams:
        Stream(name)
    if not seen:
        raise ValueError(
            f"no site observes {', '.join(streams)}; there are {', '.join(sites.site.mask)}"
        )
    return seen


def make_problem(settings: EstimateSettings, model: Model, sites: Sites) -> Problem:
    """Returns what is estimated, from the streams that the sites have.

    Raises:
      ValueError: a parameter or stream has no such name, or no site has any of the streams.
    """
    streams = [Stream(name, settings.inflation) for name in informing(settings.streams, sites)]
    if settings.of_towers and CONCERNED not in {stream.variable for stream in streams}:
        raise ValueError(f"energy_balance_ratio needs observed {CONCERNED} among the streams")
    parameters = settings.parameters
    if settings.base == "crops":
        parameters = levels_of_crops(parameters, grown(sites))
    names = (*parameters, *settings.of_towers, *settings.updates)
    return Problem(model, names, default_prior_sd(names), tuple(streams))


def from_others(
    settings: EstimateSettings,
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    seed: int,
    watch: Watch = unwatched,
) -> tuple[Problem, np.ndarray, np.ndarray, Levels | None]:
    """Estimates every site by itself, to centre its prior on what other sites say of it.

    Returns:
      The problem with what is left of the prior's spread, the mean over sites of its variance; the
      mean of each site's prior, (site, p); the simulations spent on each site, (site,); and the
      levels of crops, None for groups.
    """
    first = search(settings, problem, weights, data, seed, None, watch, "search without others")
    best = first.solutions.offsets[np.arange(len(data)), first.chosen]
    usable = np.where(first.healthy[:, None], best, 0.0)
    known = diagnose(
        problem,
        weights,
        data,
        first.base,
        usable,
        kept=first.healthy,
        site_batch=settings.site_batch,
    )
    sound = np.where(first.healthy[:, None], best, np.nan)
    prior_sd, levels = np.array(problem.prior_sd), None
    if settings.base == "groups":
        group = np.asarray(data.sites.site.group).tolist()
        mean, spread = group_priors(sound, known.posterior.covariance, group, prior_sd)
    else:
        has = concerned(problem, data.sites)
        levels = estimate_levels(
            sound, known.posterior.covariance, prior_sd, traits(problem.names), has
        )
        mean = levels.site_mean
        # Of what a site does not have, nothing is said that another could mean.
        counts = np.where(has.any(axis=0), has, True)
        spread = np.where(counts, levels.site_sd, np.nan)
    left = np.sqrt(np.nanmean(spread**2, axis=0))
    return (
        replace(problem, prior_sd=tuple(left.tolist())),
        mean.astype(best.dtype),
        first.evaluations,
        levels,
    )
