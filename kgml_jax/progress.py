"""A progress bar over the steps of a descent, in a terminal or a notebook."""

from types import TracebackType
from typing import Self

import numpy as np
import rich.progress
from rich.console import Console


class Progress:
    """A bar over steps with the median validation error and the sites that still descend.

    Used as a context manager; called with the report of each round (`training.run.OnRound`).

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
        best = np.atleast_1d(report["best_error"])
        active = int(np.sum(report["active"]))
        state = f"validation {np.nanmedian(best):.3f}"
        state += f", {active} of {best.size} sites active" if best.size > 1 else ""
        self._bar.update(self._task, completed=int(np.max(report["step"])), state=state)
