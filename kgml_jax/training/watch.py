"""What watches a computation that goes on round after round: shows it, logs it, keeps it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kgml_jax.training.fit import Fit

OnRound = Callable[[dict[str, np.ndarray]], None]
"""Called after every round with the step, losses, health and activity of each fit."""


class Observer(Protocol):
    """Sees the state of a computation before its first round and after every one.

    A state is all that is needed to go on: a `fit.Fit`, or a queue of searches. `rows` is how many
    rows of its leading axis count, where others only fill up the devices; None: all of it.
    """

    def begin(self, state: Any, rows: int | None = None) -> Any:
        """Returns the state to go on from: the one given, or a later one that was kept."""
        ...

    def round(self, state: Any, rows: int | None = None) -> None:
        """Is told the state after a round, and must not hold on to its arrays."""
        ...


@dataclass(frozen=True)
class Reporting:
    """Observes a descent with a function of what is known of each fit after a round."""

    on_round: OnRound

    def begin(self, state: Fit, rows: int | None = None) -> Fit:
        """Returns the state as it is."""
        return state

    def round(self, state: Fit, rows: int | None = None) -> None:
        """Reports."""
        self.on_round(report(state, rows))


@dataclass(frozen=True)
class Silent:
    """Shows nothing and keeps nothing."""

    def begin(self, state: Any, rows: int | None = None) -> Any:
        """Returns the state as it is."""
        return state

    def round(self, state: Any, rows: int | None = None) -> None:
        """Looks away."""


SILENT = Silent()

Watch = Callable[[str, int], AbstractContextManager[Observer]]
"""Makes the context of a descent from its name and its most steps; it gives what observes it."""


def unwatched(name: str, steps: int) -> AbstractContextManager[Observer]:
    """Watches nothing."""
    return nullcontext(SILENT)


@contextmanager
def reporting(shown: AbstractContextManager[OnRound]) -> Iterator[Observer]:
    """Gives an observer that reports to what a context gives, such as a progress bar."""
    with shown as on_round:
        yield Reporting(on_round)


def report(fit: Fit, rows: int | None = None) -> dict[str, np.ndarray]:
    """Returns what is known of each fit after a round, by name."""
    names = (
        *("step", "training_loss", "validation_error", "best_error"),
        *("rate", "healthy", "active"),
    )
    whole = {name: np.asarray(getattr(fit, name)) for name in names}
    return whole if rows is None else {name: value[:rows] for name, value in whole.items()}
