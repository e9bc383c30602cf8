"""Calibration strategies by name: what a site owns, where it starts, and how it descends."""

from dataclasses import dataclass, replace

from kgml_jax.adaptation import PRESETS, Adaptation, Frozen
from kgml_jax.training.fit import Settings


@dataclass(frozen=True)
class Strategy:
    """One way of making a site's weights from the pretrained ones, or without them.

    Attributes:
      doc: one line for tables and help.
      adaptation: what a fit moves.
      learning_rate: peak rate; few, well-scaled numbers bear larger steps than whole networks.
      scratch: start from fresh weights instead of the pretrained ones; no gate then.
      per: `"site"`, or `"group"` for one fit over all sites of a group.
      effort: steps allowed, as a multiple of what other strategies get.
    """

    doc: str
    adaptation: Adaptation
    learning_rate: float = 1e-3
    scratch: bool = False
    per: str = "site"
    effort: float = 1.0

    @property
    def gated(self) -> bool:
        """Whether a unit keeps the pretrained model unless it found something better."""
        return self._trains and not self.scratch

    @property
    def _trains(self) -> bool:
        return any(not isinstance(rule, Frozen) for _, rule in self.adaptation.rules)

    def settings(self, base: Settings) -> Settings:
        """Returns `base` with this strategy's rate and number of steps."""
        steps = round(base.steps * self.effort) if self._trains else 0
        return replace(base, steps=steps, learning_rate=self.learning_rate)


STRATEGIES: dict[str, Strategy] = {
    "pretrained": Strategy("nothing: the pretrained model as it is", PRESETS["pretrained"]),
    "bias": Strategy("a shift of each output", PRESETS["bias"], 1e-2),
    "affine": Strategy("scale and shift of inputs and outputs", PRESETS["affine"], 1e-2),
    "head": Strategy("the output layers; frozen encoder", PRESETS["head"], 3e-3),
    "low-rank": Strategy("rank-4 changes of the recurrent matrices", PRESETS["low-rank"], 3e-3),
    "full": Strategy("all weights", PRESETS["full"]),
    "full-l2sp": Strategy("all weights, held to the pretrained ones", PRESETS["full-l2sp"]),
    "ftbsc": Strategy("calibration head and held weights (FTBSC-KGML)", PRESETS["ftbsc"]),
    "process": Strategy(
        "process parameters, held to the pretrained ones", PRESETS["process"], 3e-2
    ),
    "site-only": Strategy(
        "each site from scratch, no transfer", PRESETS["full"], 3e-3, scratch=True, effort=2.0
    ),
    "group-only": Strategy(
        "each group from scratch, no transfer (SDSA-KGML)",
        PRESETS["full"],
        3e-3,
        scratch=True,
        per="group",
        effort=2.0,
    ),
}
"""Strategies `experiments/calibrate.py` knows."""

FORMER_NAMES = {"zero-shot": "pretrained"}
"""Names that options and stored runs may still use. Zero-shot is the pretrained model at sites that
it was not trained on, which most sites of a run are not."""


def present_name(name: str) -> str:
    """Returns the name in `STRATEGIES` of a strategy that may be called as it once was."""
    return FORMER_NAMES.get(name, name)
