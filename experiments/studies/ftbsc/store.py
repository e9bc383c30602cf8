"""Finished cells on disk: written at once or not at all, and found again by a later run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights, flatten, unflatten
from kgml_jax.runs import directory, files
from kgml_jax.sites import Sites
from studies.ftbsc.cells import Cell
from studies.ftbsc.settings import FtbscConfig, Setting

FREE = (*directory.FREE, "quick", "seeds")
"""Options that may differ between a run and the one that goes on with it."""


@dataclass(frozen=True)
class Store:
    """The cells below one run directory."""

    folder: Path

    @classmethod
    @contextmanager
    def open(cls, config: FtbscConfig) -> Iterator["Store"]:
        """Claims the run directory, or goes on with the cells of the same configuration in it.

        Raises:
          ValueError: the cells there are of another configuration, it is no run directory, or
            another process has it.
        """
        with directory.claimed(
            *(config.run, config, config.overwrite, "ftbsc"), free=FREE, extendable=True
        ) as run:
            (run.folder / "cells").mkdir(exist_ok=True)
            yield cls(run.folder)

    def holds(self, sites: Sites) -> None:
        """Remembers the data of the cells, or checks that they are still the same.

        Raises:
          ValueError: the cells there were trained on other data.
        """
        found = {"sites": files.fingerprint(sites)}
        written = self.folder / "data.json"
        if not written.is_file():
            files.write_json(written, found)
            files.record_data(self.folder, found)
        elif files.read_json(written) != found:
            raise ValueError(
                f"the data of --data are not those of the cells in {self.folder}; choose another "
                "--run, or add --overwrite to start anew"
            )

    def has(self, setting: Setting, seed: int) -> bool:
        """Returns whether a cell is finished."""
        return self._path(setting, seed).is_file()

    def save(self, setting: Setting, seed: int, cell: Cell) -> None:
        """Writes a cell; first stages with their weights, from which others start."""
        if setting.training == "scratch":
            path = self._path(setting, seed, ".npz")
            leaves: dict[str, Any] = dict(flatten(cell.weights))
            # To an open file: NumPy would put its own ending behind another name.
            with files.in_one_step(path) as partial, partial.open("wb") as file:
                np.savez(file, **leaves)
        path = self._path(setting, seed)
        files.write_dataset(path, cell.scores, f"Scores of {setting.name}, seed {seed}", small=True)

    def scores(self, setting: Setting, seed: int) -> xr.Dataset:
        """Returns the scores of a finished cell."""
        with xr.open_dataset(self._path(setting, seed), engine="scipy") as found:
            return found.load()

    def weights(self, setting: Setting, seed: int) -> Weights:
        """Returns the weights of a finished first stage."""
        with np.load(self._path(setting, seed, ".npz")) as leaves:
            return unflatten({name: leaves[name] for name in leaves.files})

    def _path(self, setting: Setting, seed: int, suffix: str = ".nc") -> Path:
        return self.folder / "cells" / f"{setting.name}-seed{seed}{suffix}"
