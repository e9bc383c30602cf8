"""An empty figure, and how it becomes a file; no global state, no display, safe in threads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgml_jax.writing import in_one_step

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150


def require_matplotlib() -> None:
    """Refuses to draw where matplotlib is absent.

    Raises:
      ImportError: the message names the extra that brings it.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'kgml_jax[plot]'") from error


def empty_figure(width: float, height: float, layout: Any = "constrained") -> "Figure":
    """Returns an empty figure.

    Args:
      width: inches.
      height: inches.
      layout: of matplotlib.

    Raises:
      ImportError: matplotlib is absent.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: Path) -> Path:
    """Writes a figure as PNG in one step; the folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(path) as partial:
        figure.savefig(partial, format="png")
    return path


def legend_below(figure: "Figure", panels: "Sequence[Axes]", columns: int = 6) -> None:
    """Puts one legend for all panels below them, areas last; of equal labels the first counts."""
    from matplotlib.patches import Patch

    entries: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    ordered = sorted(entries.items(), key=lambda entry: isinstance(entry[1], Patch))
    labels, handles = zip(*ordered, strict=True) if ordered else ((), ())
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def logarithmic(axes: "Axes", *names: str) -> None:
    """Makes the axes `x`, `y` or both logarithmic, with plain numbers at their ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{name}scale": "log" for name in names})
    for name in names:
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def axis_label(name: str, units: str) -> str:
    """Returns a name with its units, exponents raised."""
    raised = re.sub(r"([A-Za-z)])\^?(-?[0-9]+)", r"\1$^{\2}$", units)
    return f"{name} ({raised})"
