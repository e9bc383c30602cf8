"""The commands by name: what each does when it is called, and the configuration it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command; its module is imported when it is called.

    Attributes:
      doc: one line for the list of commands.
      module: in `kgml_jax.cli`, with a function `main`.
      config: name of the configuration in it.
    """

    doc: str
    module: str
    config: str

    def load(self) -> tuple[Callable[[Any], int | None], type[Any]]:
        """Returns what runs it, and the class of its configuration."""
        module = import_module(f"kgml_jax.cli.{self.module}")
        return module.main, getattr(module, self.config)


COMMANDS = {
    "check": Command("what is in a file or folder, and what blocks a run", "check", "CheckConfig"),
    "pretrain": Command("one global model from all sites", "pretrain", "PretrainConfig"),
    "calibrate": Command("every site at once, by strategies", "calibrate", "CalibrateConfig"),
    "predict": Command("fluxes of fields, with towers or without", "predict", "PredictConfig"),
    "evaluate": Command("scores of a run on days it never saw", "evaluate", "EvaluateConfig"),
    "estimate": Command("process parameters with intervals", "estimate", "EstimateConfig"),
    "simulate": Command("fields day by day by the process model", "simulate", "SimulateConfig"),
}
"""In the order of use."""
