"""What networks and trees are told of each day: weather, the calendar, the process model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from kgml_jax.evaluation.references import RUNNING_MEANS, running_mean
from kgml_jax.models.features import WEATHER, daily
from kgml_jax.models.season import CROP_TRAITS, PROGRESS
from kgml_jax.sites import TRAIN
from kgml_jax.split import DividedSites

Told = Literal["weather", "calendar", "process"]
"""Each holds what the one before it holds: weather and season; what was done on the field and what
grows; what the process model simulates with its priors."""

TOLD: tuple[Told, ...] = ("weather", "calendar", "process")

FORGOTTEN = 365
"""d; a harvest, a cut or a tillage longer ago than that is as long ago."""

MOST = 4.0
"""Standard deviations beyond which a standardised input is held, as no tower taught more."""

SIMULATED = ("GPP", "Reco", "NEE", "ET", "leaf_area_index")
"""Outputs of the process model that are inputs of others."""

Simulated = Mapping[str, np.ndarray]
"""Daily outputs of the process model, each (site, time)."""


@dataclass(frozen=True)
class Inputs:
    """Values of each day, (site, time, input), and their names.

    Nothing here is of a tower's fluxes, and no place or soil, which identify one of a dozen towers.
    """

    values: np.ndarray
    names: tuple[str, ...]

    def with_means(self) -> "Inputs":
        """Adds means of the days before, for what has no memory of its own."""
        weather = [self.names.index(name) for name in WEATHER]
        valid = np.ones(self.values.shape[:2], bool)
        columns, names = [self.values], list(self.names)
        for days in RUNNING_MEANS:
            means = [running_mean(self.values[..., column], valid, days) for column in weather]
            columns.append(np.stack(means, axis=-1).astype(np.float32))
            names += [f"{name}, mean of {days} d" for name in WEATHER]
        return Inputs(np.concatenate(columns, axis=-1), tuple(names))


def of_towers(data: DividedSites, told: Told, simulated: Simulated) -> Inputs:
    """Returns what is told of each day.

    Args:
      data: towers.
      told: how much.
      simulated: by the process model with its priors; needed for `"process"`.
    """
    site = data.sites.site
    columns = {name: daily(name, site) for name in (*WEATHER, "season_sine", "season_cosine")}
    if told in ("calendar", "process"):
        columns |= {name: daily(name, site) for name in (*PROGRESS, *CROP_TRAITS)}
        columns |= _done(data)
    if told == "process":
        columns |= {f"simulated {name}": np.asarray(simulated[name]) for name in SIMULATED}
    values = np.stack([*columns.values()], axis=-1).astype(np.float32)
    return Inputs(np.where(np.isfinite(values), values, 0.0), tuple(columns))


def _done(data: DividedSites) -> dict[str, np.ndarray]:
    """Returns what was done on the field: how long ago, and how much of late."""
    forcing, valid = data.sites.site.forcing, np.asarray(data.sites.site.valid)
    given = {name: np.asarray(getattr(forcing, name)) for name in ("harvest", "cut", "tillage")}
    irrigation, occupied = np.asarray(forcing.irrigation), np.asarray(forcing.occupied)
    return {
        "occupied": occupied,
        **{f"days since {name}": days_since(happened > 0) for name, happened in given.items()},
        "irrigation, mean of 7 d": running_mean(irrigation, valid, 7),
    }


def days_since(happened: np.ndarray) -> np.ndarray:
    """Returns days since something happened last, at most `FORGOTTEN`, also where it never did.

    Args:
      happened: bool (site, time).
    """
    day = np.arange(happened.shape[1])
    last = np.maximum.accumulate(np.where(happened, day, -FORGOTTEN), axis=1)
    return np.minimum(day - last, FORGOTTEN).astype(np.float32)


def standardised(inputs: Inputs, data: DividedSites, rows: list[int]) -> np.ndarray:
    """Returns inputs in standard deviations of the training days of some towers, held at `MOST`.

    Every tower weighs alike, however long its record is.

    Args:
      inputs: of all towers.
      data: with the role of each day.
      rows: of the towers that are learnt from.
    """
    days = (data.roles == TRAIN) & np.asarray(data.sites.site.valid)
    own = [inputs.values[row][days[row]] for row in rows if days[row].any()]
    mean = np.mean([one.mean(axis=0) for one in own], axis=0)
    square = np.mean([((one - mean) ** 2).mean(axis=0) for one in own], axis=0)
    spread = np.where(square > 1e-8, np.sqrt(square), 1.0)
    return np.clip((inputs.values - mean) / spread, -MOST, MOST).astype(np.float32)


def taken(tree: Any, row: int) -> Any:
    """Returns one site of a pytree with a leading site axis."""
    return jax.tree.map(lambda leaf: leaf[row], tree)
