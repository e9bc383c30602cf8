"""How a strategy, model or reference looks in every figure: one name, one colour, line and marker.

The hues are those of Okabe and Ito (2008), which colour-blind readers tell apart, with a grey for
what others are compared with and a brown for references without a model. Names of one hue are of
one kind and differ by line and marker. Black is what was observed, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgml_jax.sites import TEST, TRAIN, VALIDATION

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, GREY, BROWN = "#E69F00", "#56B4E9", "#606060", "#5C3A00"

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""For what has no name in `STYLES`, such as seeds, states or streams, in this order."""

OBSERVED: dict[str, Any] = {"color": "black", "marker": ".", "linestyle": "none"}
"""Observations, in every figure."""

SHADES = {
    TRAIN: ("training days", "#ffffff"),
    VALIDATION: ("validation days", "#f6e8c3"),
    TEST: ("test days", "#d9e8f2"),
}
NOT_USED = ("days not used", "#e5e5e5")


@dataclass(frozen=True)
class Style:
    """Colour, line and marker of one name."""

    colour: str
    line: str = "-"
    marker: str = "o"

    def as_line(self, width: float = 1.3) -> dict[str, Any]:
        """Returns the options of a line without markers."""
        return {"color": self.colour, "linestyle": self.line, "linewidth": width}

    def as_marker(self, size: float = 5.0, filled: bool = True) -> dict[str, Any]:
        """Returns the options of markers without a line."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": "none",
            "markersize": size,
            "markerfacecolor": self.colour if filled else "white",
        }


STYLES: dict[str, Style] = {
    # What calibration starts from.
    "pretrained": Style(GREY, "-", "o"),
    "prior": Style(GREY, "-", "o"),
    "before": Style(GREY, "-", "o"),
    "global": Style(GREY, "-", "o"),
    # Calibrated from there.
    "ftbsc": Style(BLUE, "-", "o"),
    "estimated": Style(BLUE, "-", "o"),
    "after": Style(BLUE, "-", "o"),
    "calibrated": Style(BLUE, "-", "o"),
    "bias": Style(SKY, "--", "v"),
    "affine": Style(SKY, "-", "^"),
    "head": Style(GREEN, "--", "v"),
    "low-rank": Style(GREEN, "-", "^"),
    "full": Style(ORANGE, "-", "s"),
    "full-l2sp": Style(ORANGE, "--", "D"),
    # From scratch.
    "site-only": Style(VERMILION, "-", "s"),
    "independent": Style(VERMILION, "-", "s"),
    "group-only": Style(VERMILION, "--", "D"),
    # References, and models other than the network alone.
    "climatology": Style(BROWN, ":", "*"),
    "boosting-pooled": Style(BROWN, "--", "P"),
    "boosting-per-site": Style(BROWN, "-", "X"),
    "process": Style(PURPLE, "-", "D"),
    "process-prior": Style(PURPLE, ":", "d"),
    "simulated": Style(PURPLE, "-", "d"),
    "recurrent": Style(BLUE, "-", "o"),
    "emulator": Style(BLUE, "--", "v"),
    "dpl": Style(GREEN, "-", "^"),
    "dpl-dynamic": Style(GREEN, "--", "v"),
    "closure": Style(ORANGE, "-", "s"),
    "residual": Style(SKY, "-", "P"),
    "residual-conserving": Style(SKY, "--", "X"),
    "gpp-forced": Style(PURPLE, "--", "d"),
}
"""By name of strategy (`training.strategies`), reference (`evaluation.references`), model
(`models.kinds`) and stage; names of one style never stand in one figure."""


def styles(names: Sequence[str]) -> dict[str, Style]:
    """Returns the style of every name.

    Names without one of their own take colours that the others leave, in the order they stand, so
    that they keep them as long as the figure shows the same names.
    """
    taken = {STYLES[name].colour for name in names if name in STYLES}
    free = [colour for colour in COLOURS if colour not in taken] or [*COLOURS]
    unknown = [name for name in names if name not in STYLES]
    given = {
        name: Style(free[place % len(free)], "-." if place >= len(free) else "-", "h")
        for place, name in enumerate(unknown)
    }
    return {name: STYLES.get(name) or given[name] for name in names}
