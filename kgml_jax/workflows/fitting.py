"""The descents of a calibration, with what decides how far they go and whether that is kept."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.sites import TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training import run
from kgml_jax.training.fit import Descent
from kgml_jax.training.folds import Folded
from kgml_jax.training.run import Calibration
from kgml_jax.training.watch import Watch
from kgml_jax.training.windows import FitData, make_fit_data, make_fold_data

Gate = Literal["years", "validation"]
"""Which days decide whether what was found at a site is kept."""


@dataclass(frozen=True)
class Fitting:
    """The descents of one strategy at all sites.

    Attributes:
      name: of the strategy.
      descent: of one fit.
      weights: where all fits start.
      data: sites with their split.
      rows: of the sites of each fit.
      warmup: days before each window.
      key: seeds batches and dropout.
      site_batch: fits a device advances at once.
      watch: makes the context of a descent.
    """

    name: str
    descent: Descent
    weights: Weights
    data: DividedSites
    rows: list[list[int]]
    warmup: int
    key: jax.Array
    site_batch: int
    watch: Watch

    def by_validation(self, refit: bool) -> tuple[Any, Calibration, FitData]:
        """Lets validation days say how far to go.

        Args:
          refit: end with as many steps on training and validation days together.

        Returns:
          What each fit moved, leaves (fit, ...); the calibration, whose `phi` is what was judged;
          and the windows of the last descent.
        """
        windows = make_fit_data(self.data, self.rows, self.warmup)
        found = self._descend(self.descent, windows)
        if not refit:
            return found.phi, found, windows
        both = (TRAIN, VALIDATION)
        windows = make_fit_data(self.data, self.rows, self.warmup, learn_from=both)
        again = self._again(found, windows)
        return again.phi, replace(found, healthy=again.healthy, last=again.last), windows

    def by_folds(self, fold: np.ndarray) -> tuple[Any, Calibration, FitData]:
        """Lets days that are held out in turn say how far to go, and goes so far on all of them.

        Args:
          fold: in which a day is held out, (site, time).

        Returns:
          As `by_validation`; what was judged has leaves (fit, fold, ...).
        """
        parts = make_fold_data(self.data, self.rows, self.warmup, fold)
        found = self._descend(Folded(self.descent), parts)
        informing = self.data.holding_out(np.zeros_like(fold, bool))
        windows = make_fit_data(informing, self.rows, self.warmup, validate_on=TRAIN)
        again = self._again(run.unmoved(self.descent, self.weights, found), windows)
        kept = {"healthy": again.healthy, "last": again.last}
        kept["accepted"] = found.accepted & again.healthy
        kept["best_step"] = np.where(again.healthy, found.best_step, 0)
        return again.phi, replace(found, **kept), windows

    def _descend(self, descent: Descent | Folded, windows: FitData) -> Calibration:
        with self.watch(self.name, self.descent.settings.steps) as observer:
            return run.calibrate(
                *(descent, self.weights, windows, self.key),
                site_batch=self.site_batch,
                observer=observer,
            )

    def _again(self, found: Calibration, windows: FitData) -> Calibration:
        with self.watch(f"{self.name}, refit", int(found.best_step.max())) as observer:
            return run.refit(
                *(self.descent, self.weights, windows, self.key, found),
                site_batch=self.site_batch,
                observer=observer,
            )
