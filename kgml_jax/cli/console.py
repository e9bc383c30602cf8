"""What commands print: messages, tables, progress."""

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from kgml_jax.evaluation import tables
from kgml_jax.progress import Progress
from kgml_jax.runs import files
from kgml_jax.training.run import OnRound, Watch

# In a file or a pipe rich knows no width, and its guess of 80 columns breaks the tables.
PIPED_WIDTH = None if sys.stdout.isatty() else 130


OUT = Console(width=PIPED_WIDTH, soft_wrap=True)


ERR = Console(stderr=True, soft_wrap=True)


def warn(message: str) -> None:
    """Prints a warning to stderr."""
    ERR.print(f"[yellow]warning:[/] {escape(message)}", highlight=False)


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


def logged(folder: Path, key: str | None = None) -> Watch:
    """Returns what shows a progress bar and logs each round to `metrics.jsonl` of a run.

    Args:
      folder: the run directory.
      key: under which the name of the descent is logged; None logs no name.
    """

    @contextmanager
    def watch(name: str, steps: int) -> Iterator[OnRound]:
        context = {} if key is None else {key: name}
        with Progress(name, steps, ERR) as bar:

            def on_round(report: dict[str, np.ndarray]) -> None:
                bar(report)
                files.append_metrics(folder, {**context, **_metrics(report)})

            yield on_round

    return watch


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
