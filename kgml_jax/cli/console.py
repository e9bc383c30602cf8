"""What commands print: messages, tables, progress."""

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from kgml_jax.evaluation import tables
from kgml_jax.inversion.searches import Searching
from kgml_jax.progress import Progress
from kgml_jax.runs import files, resume
from kgml_jax.runs.interruption import INTERRUPTION
from kgml_jax.training.fit import Fit
from kgml_jax.training.watch import Observer, OnRound, Watch, report

# In a file or a pipe rich knows no width, and its guess of 80 columns breaks the tables.
PIPED_WIDTH = None if sys.stdout.isatty() else 130


OUT = Console(width=PIPED_WIDTH, soft_wrap=True)


ERR = Console(stderr=True, soft_wrap=True)


def warn(message: str) -> None:
    """Prints a warning to stderr."""
    ERR.print(f"[yellow]warning:[/] {escape(message)}", highlight=False)


def note(message: str) -> None:
    """Prints a line to stderr on what the program found and does."""
    ERR.print(message, highlight=False, markup=False)


def say(message: str) -> None:
    """Prints a line to stdout as it is."""
    OUT.print(message, highlight=False, markup=False)


def can_draw(otherwise: str = "") -> bool:
    """Returns whether figures can be drawn; warns where they cannot.

    Args:
      otherwise: ends the warning: what else can be done.
    """
    if importlib.util.find_spec("matplotlib") is not None:
        return True
    warn(f"no figures: matplotlib is not installed (pip install 'kgml_jax[plot]'{otherwise})")
    return False


def show(grids: Iterable[tables.Grid]) -> None:
    """Prints tables, an empty line after each."""
    for grid in grids:
        OUT.print(tables.terminal(grid))
        OUT.print()


def publish(folder: Path, grids: Sequence[tables.Grid]) -> None:
    """Writes tables to `tables.md` and prints them."""
    files.write_text(folder / "tables.md", "\n".join(map(tables.markdown, grids)))
    show(grids)


def logged(folder: Path, key: str | None = None, kept: resume.Progress | None = None) -> Watch:
    """Returns what shows a progress bar, logs each round to `metrics.jsonl` and keeps the state.

    Args:
      folder: the run directory.
      key: under which the name of the descent is logged; None logs no name.
      kept: where the state is kept; None keeps none.
    """

    @contextmanager
    def watch(name: str, steps: int) -> Iterator[Observer]:
        context = {} if key is None else {key: name}
        checkpoints = None if kept is None else kept.checkpoints(name)
        with Progress(name, steps, ERR) as bar, INTERRUPTION.held():
            yield Logged(folder, context, bar, checkpoints)
            if checkpoints is not None:
                checkpoints.close()

    return watch


def searched(kept: resume.Progress) -> Watch:
    """Returns what shows how many searches have ended, and keeps the state of all.

    Args:
      kept: where the state is kept.
    """

    @contextmanager
    def watch(name: str, searches: int) -> Iterator[Observer]:
        checkpoints = kept.checkpoints(name)
        with Progress(name, searches, ERR) as bar, INTERRUPTION.held():
            yield Searched(bar, searches, checkpoints)
            checkpoints.close()

    return watch


@dataclass(frozen=True)
class Searched:
    """Observes searches: shows how many have ended, and keeps the state of all.

    Attributes:
      show: takes the report of a round.
      searches: how many there are.
      checkpoints: keep the state.
    """

    show: OnRound
    searches: int
    checkpoints: Observer

    def begin(self, state: Searching, rows: int | None = None) -> Searching:
        """Returns the state that was kept, if any."""
        return self.checkpoints.begin(state, rows)

    def round(self, state: Searching, rows: int | None = None) -> None:
        """Shows and keeps the state."""
        self.show({"step": np.asarray(min(state.ended, self.searches))})
        self.checkpoints.round(state, rows)


@dataclass(frozen=True)
class Logged:
    """Observes a descent: shows it, logs it, and keeps its state.

    Attributes:
      folder: the run directory.
      context: names the descent in its lines of the log.
      show: takes the report of a round.
      checkpoints: keep the state; None keeps none.
    """

    folder: Path
    context: dict[str, str]
    show: OnRound
    checkpoints: Observer | None = None

    def begin(self, state: Fit, rows: int | None = None) -> Fit:
        """Returns the state that was kept, if any, and forgets what was logged after it."""
        if self.checkpoints is not None:
            state = self.checkpoints.begin(state, rows)
        files.forget_metrics(self.folder, self.context, int(np.max(state.step)))
        return state

    def round(self, state: Fit, rows: int | None = None) -> None:
        """Shows, logs and keeps the state."""
        found = report(state, rows)
        self.show(found)
        files.append_metrics(self.folder, {**self.context, **_metrics(found)})
        if self.checkpoints is not None:
            self.checkpoints.round(state, rows)


def _metrics(report: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "step": int(np.max(report["step"])),
        "train_loss": report["training_loss"],
        "validation_loss": report["validation_error"],
        "best_validation_loss": report["best_error"],
        "learning_rate": report["rate"],
        "active": int(np.sum(report["active"])),
    }


def spoken(seconds: float) -> str:
    """Returns a time span in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
