"""Training plans: stages as data, run one after the other, each kept when it is done.

A stage starts from the best weights of the one before. What it needs of chance is seeded by its
place in the plan, so a plan that was stopped and resumed gives the weights of one that was not.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.split import DividedSites
from kgml_jax.training import checkpoint
from kgml_jax.training.joint import train_along
from kgml_jax.training.series import Course, Recurrent, make_series
from kgml_jax.training.watch import SILENT, Observer


@dataclass(frozen=True)
class StageHeader:
    """What lies beside the weights of a finished stage.

    Attributes:
      stage: its name.
      identity: of the run it belongs to.
      outcome: fields of `StageResult`.
    """

    kind: ClassVar[str] = "stage"
    stage: str
    identity: str
    outcome: dict[str, Any]


Watched = Callable[["Stage"], AbstractContextManager[Observer]]


@dataclass(frozen=True)
class Stage:
    """One stage of a training plan.

    Attributes:
      name: names its folder; unique in the plan.
      dataset: key of the sites it learns from.
      targets: what is observed there as far as this stage is concerned; all else is masked.
      course: trainable weights with their rates, objective, schedule and stopping rule.
    """

    name: str
    dataset: str
    targets: tuple[str, ...]
    course: Course


@dataclass(frozen=True)
class StageResult:
    """What became of a stage; errors are those of its validation days."""

    epochs: int
    best_epoch: int
    start_error: float
    best_error: float
    healthy: bool
    seconds: float
    """Of training, compilation included."""
    resumed: bool = False


def run_plan(
    model: Recurrent,
    plan: tuple[Stage, ...],
    weights: Weights,
    datasets: Mapping[str, DividedSites],
    key: jax.Array,
    folder: Path,
    identity: str,
    watched: Watched = lambda stage: nullcontext(SILENT),
) -> Iterator[tuple[Stage, Weights, StageResult]]:
    """Runs the stages of a plan in order; those found finished in `folder` are read instead.

    Args:
      model: predicts one site and hands on its state.
      plan: the stages.
      weights: where the first stage starts.
      datasets: by the names that stages use.
      key: seeds batches and dropout.
      folder: holds one checkpoint a stage.
      identity: tells this run from others (data, model, seed, plan); a checkpoint with another one
        is refused.
      watched: makes the context of a stage's training, which gives what observes it.

    Yields:
      Each stage with the weights after it and what became of it.

    Raises:
      ValueError: two stages share a name, or a stage names data, a target or weights there are not.
      CheckpointError: a stage in `folder` belongs to another run.
      DivergedError: a loss was not finite before anything was learnt.
    """
    check(plan, weights, datasets)
    for number, stage in enumerate(plan):
        place = folder / f"{number + 1}-{stage.name}"
        if checkpoint.is_complete(place):
            weights, result = _read_finished(place, identity, weights)
        else:
            own_key = jax.random.fold_in(key, number)
            data = with_targets(datasets[stage.dataset], stage.targets)
            with watched(stage) as observer:
                weights, result = train(model, stage.course, weights, data, own_key, observer)
            checkpoint.save(place, weights, StageHeader(stage.name, identity, asdict(result)))
        yield stage, weights, result


def train(
    model: Recurrent,
    course: Course,
    weights: Weights,
    data: DividedSites,
    key: jax.Array,
    observer: Observer = SILENT,
) -> tuple[Weights, StageResult]:
    """Takes one course and returns the weights that are best on validation.

    Raises:
      ValueError: the roles leave no training or no validation day.
      DivergedError: the loss was not finite before validation ever improved.
    """
    started = time.perf_counter()
    series = make_series(data)
    fit = train_along(model, course, weights, series, key, observer)
    result = StageResult(
        epochs=int(fit.step),
        best_epoch=int(fit.best_step),
        start_error=float(fit.start_error),
        best_error=float(fit.best_error),
        healthy=bool(fit.healthy),
        seconds=time.perf_counter() - started,
    )
    return fit.best, result


def with_targets(data: DividedSites, targets: tuple[str, ...]) -> DividedSites:
    """Returns the data with all targets masked but those named."""
    site = data.sites.site
    masks = {
        name: mask if name in targets else np.zeros_like(mask) for name, mask in site.mask.items()
    }
    return replace(data, sites=replace(data.sites, site=replace(site, mask=masks)))


def check(plan: tuple[Stage, ...], weights: Weights, datasets: Mapping[str, DividedSites]) -> None:
    """Refuses a plan that cannot run to its end.

    Raises:
      ValueError: naming the stage, what it asks for, and what there is.
    """
    names = [stage.name for stage in plan]
    if len(set(names)) < len(names):
        raise ValueError(f"two stages of one name among {', '.join(names)}")
    for stage in plan:
        if stage.dataset not in datasets:
            raise ValueError(
                f"stage {stage.name!r} learns from {stage.dataset!r}; there is only "
                f"{', '.join(datasets)}"
            )
        seen = datasets[stage.dataset].sites.site.targets
        absent = [name for name in stage.targets if name not in seen]
        if absent:
            raise ValueError(
                f"stage {stage.name!r} learns {absent[0]!r} from {stage.dataset!r}, where is only "
                f"{', '.join(seen)}"
            )
        stage.course.check(weights)


def _read_finished(place: Path, identity: str, like: Weights) -> tuple[Weights, StageResult]:
    header = checkpoint.read_header(place, StageHeader)
    if header.identity != identity:
        raise checkpoint.belongs_elsewhere(place, header.identity, identity)
    return checkpoint.restore(place, like), StageResult(**{**header.outcome, "resumed": True})
