"""A progress bar over the steps of a descent, in a terminal or a notebook."""

import time
from html import escape
from importlib import import_module
from types import TracebackType
from typing import Any, Self

import numpy as np
import rich.progress
from rich.console import Console


class Progress:
    """A bar over steps with the median validation error and the sites that still descend.

    Used as a context manager; called with the report of each round (`training.watch.OnRound`).

    Args:
      label: what descends.
      steps: most steps it takes.
      console: where the bar is drawn; by default stderr.
    """

    def __init__(self, label: str, steps: int, console: Console | None = None) -> None:
        columns = (
            rich.progress.TextColumn("{task.description:<24}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[state]}"),
        )
        self._bar = rich.progress.Progress(*columns, console=console or Console(stderr=True))
        self._task = self._bar.add_task(label, total=steps, state="compiling")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, report: dict[str, np.ndarray]) -> None:
        """Shows one round."""
        self._bar.update(self._task, completed=_step(report), state=_state(report))


class NotebookProgress:
    """The same as one output of a notebook cell, drawn anew in place; no widgets are needed.

    What is stored with the notebook is the last state, in a line.

    Args:
      label: what descends.
      steps: most steps it takes.
    """

    INTERVAL = 0.5
    """Seconds between two drawings: a browser needs no more."""

    def __init__(self, label: str, steps: int) -> None:
        self._label, self._steps = label, steps
        self._step, self._state = 0, "compiling"
        self._began = self._drawn = time.perf_counter()
        self._output: Any = None

    def __enter__(self) -> Self:
        # IPython is there where a notebook is, and is no dependency of the package.
        display = import_module("IPython.display").display
        self._output = display(self._shown(), raw=True, display_id=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._output.update(self._shown(), raw=True)

    def __call__(self, report: dict[str, np.ndarray]) -> None:
        """Shows one round, unless the last drawing was just before."""
        self._step, self._state = _step(report), _state(report)
        if time.perf_counter() - self._drawn >= self.INTERVAL:
            self._drawn = time.perf_counter()
            self._output.update(self._shown(), raw=True)

    def _shown(self) -> dict[str, str]:
        seconds = time.perf_counter() - self._began
        words = f"{self._step} of {self._steps} steps, {seconds:.0f} s, {self._state}"
        bar = f"<progress value='{self._step}' max='{self._steps}'></progress>"
        return {
            "text/plain": f"{self._label}: {words}",
            "text/html": f"{escape(self._label)} {bar} {escape(words)}",
        }


def _step(report: dict[str, np.ndarray]) -> int:
    return int(np.max(report["step"]))


def _state(report: dict[str, np.ndarray]) -> str:
    if "best_error" not in report:
        return ""
    best = np.atleast_1d(report["best_error"])
    active = int(np.sum(report["active"]))
    state = f"validation {np.nanmedian(best):.3f}"
    return state + (f", {active} of {best.size} sites active" if best.size > 1 else "")
