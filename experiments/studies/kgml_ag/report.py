"""What `kgml_ag.py` shows and writes: scores of the held-out years after every step."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.cli import console
from kgml_jax.evaluation import comparison_figures, tables
from kgml_jax.evaluation.canvas import save
from kgml_jax.evaluation.metrics import METRICS
from kgml_jax.evaluation.physics import balance
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.runs import files
from kgml_jax.sites import PREDICTABLE
from kgml_jax.split import DividedSites
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.stages import Stage, StageResult

SCORES = ("r2", "rmse", "bias", "n_observed")
Predicted = dict[str, np.ndarray]


@dataclass
class Report:
    """Collects what the steps lead to."""

    model: RecurrentModel
    datasets: Mapping[str, DividedSites]
    folder: Path
    plan: tuple[Stage, ...]
    parts: list[xr.Dataset] = field(default_factory=list)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, Predicted] = field(default_factory=dict)

    def open(self, weights: Weights) -> None:
        """Says what is about to be trained."""
        head = {"calibration": weights["calibration"]}
        size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
        counts = ", ".join(f"{len(data.sites)} {name}" for name, data in self.datasets.items())
        console.say(
            f"A network of {size(weights) - size(head):,} parameters, beside {size(head)} neutral "
            f"ones of the calibration head; {counts}; {len(self.plan)} steps."
        )

    def add(self, stage: Stage, weights: Weights, result: StageResult) -> None:
        """Scores the test days of all data after a step."""
        self.last = {
            name: predict_sites(self.model, weights, data.sites)
            for name, data in self.datasets.items()
        }
        scored = [scores(data, self.last[name], name) for name, data in self.datasets.items()]
        self.parts.append(xr.concat(scored, "dataset", join="outer").expand_dims(step=[stage.name]))
        self.outcomes[stage.name] = asdict(result)
        how = "read from an earlier run" if result.resumed else "trained"
        console.say(
            f"{stage.name}: {how}, {result.epochs} epochs, best {result.best_epoch}; validation "
            f"error {result.start_error:.3f} -> {result.best_error:.3f}"
        )

    def finish(self) -> None:
        """Prints and writes the tables, the scores and the figures."""
        result = xr.concat(self.parts, "step", join="outer")
        files.write_dataset(self.folder / "scores.nc", result, "Scores after each step of KGML-ag")
        grid = score_grid(result)
        files.write_text(self.folder / "scores.md", tables.markdown(grid))
        seconds = sum(outcome["seconds"] for outcome in self.outcomes.values())
        summary = {"seconds": seconds, "steps": self.outcomes}
        files.write_json(self.folder / "summary.json", summary)
        self._draw()
        console.OUT.print(tables.terminal(grid))
        console.say(f"{seconds:.0f} s of training. Everything is in {self.folder}.")

    def _draw(self) -> None:
        if not console.can_draw():
            return
        for name, data in self.datasets.items():
            days = data.test_days
            for variable in data.sites.site.targets:
                if variable in self.last[name] and variable != "GPP":
                    path = self.folder / "figures" / f"scatter_{name}_{variable}.png"
                    predictions = {"kgml-ag": self.last[name]}
                    save(comparison_figures.scatter(data.sites, predictions, variable, days), path)


def scores(data: DividedSites, predicted: Predicted, name: str) -> xr.Dataset:
    """Scores the test days of all sites together, as the published R2 are.

    Returns:
      Dims (dataset, variable): `SCORES`; dims (dataset,): `balance_residual`, the mean over sites
      of |NEE - (Ra + Rh - GPP)|, g C m-2 d-1.
    """
    days, site = data.test_days, data.sites.site
    variables = [key for key in site.targets if key in predicted and key != "GPP"]
    rows = [
        [
            METRICS[score].function(
                np.asarray(site.targets[key]), predicted[key], np.asarray(site.mask[key]) & days
            )
            for key in variables
        ]
        for score in SCORES
    ]
    described = {
        score: (("dataset", "variable"), [row]) for score, row in zip(SCORES, rows, strict=True)
    }
    residual = balance({"kgml-ag": predicted}, data.sites, days)["balance_residual"]
    return xr.Dataset(
        {**described, "balance_residual": ("dataset", [float(residual.mean())])},
        {"dataset": [name], "variable": variables},
    )


def score_grid(result: xr.Dataset) -> tables.Grid:
    """Tabulates the scores: a row per step, data and variable."""
    rows = []
    for step in result["step"].values:
        for name in result["dataset"].values:
            part = result.sel(step=step, dataset=name)
            for variable in result["variable"].values:
                cell = part.sel(variable=variable)
                if np.isnan(cell["n_observed"].item()):
                    continue
                numbers = [tables.number(cell[key].item()) for key in ("r2", "rmse", "bias")]
                units = PREDICTABLE[str(variable)].units
                residual = f"{part['balance_residual'].item():.2g}"
                rows.append((str(step), str(name), str(variable), units, *numbers, residual))
    header = ("after step", "data", "variable", "unit", "R2", "RMSE", "bias", "balance residual")
    title = "Held-out years, all sites together; balance residual in g C m-2 d-1"
    return tables.Grid(title, header, tuple(rows), text_columns=4)
