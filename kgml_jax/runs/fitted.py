"""Fitted models as values: the pretrained one, and what calibrated sites own beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Adaptation, Weights, trained_share
from kgml_jax.data.choices import DataChoice
from kgml_jax.display import Shown, counted
from kgml_jax.models.envelope import Envelope
from kgml_jax.models.features import Scaling
from kgml_jax.models.protocol import model_to_json
from kgml_jax.objectives.compose import Total
from kgml_jax.objectives.standard import standard
from kgml_jax.runs import files
from kgml_jax.sites import Place
from kgml_jax.split import Split
from kgml_jax.training.strategies import STRATEGIES


@dataclass(frozen=True)
class Training:
    """How pretraining went.

    Attributes:
      sites: sites it learnt from.
      steps: gradient steps taken.
      best_step: step with the best validation error, whose weights are kept.
      best_error: that error, in units of the training variance.
      seconds: of training, compilation included.
      healthy: False where a loss that was not finite ended it at last.
      restarted_at: steps at which it went on from its best weights at a lower rate.
      troubles: of each site that was left out, what was not finite and from which step, in words.
    """

    sites: int
    steps: int
    best_step: int
    best_error: float
    seconds: float
    healthy: bool = True
    restarted_at: list[int] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Pretrained(Shown):
    """A model trained on all sites together.

    Attributes:
      model: predicts one site; see `models.protocol.Model`.
      weights: shared by all sites.
      scaling: standardisation of inputs and targets on the training days.
      split: which days it learnt from.
      balance_weight: of the mass-balance term in its loss.
      weighting: of a day within its target, "equal" or "inverse-variance".
      warmup_days: days before 1 January that bring the state of a window up to date.
      origin: the data it was trained on; None if they were not read by `read_sites`.
      training: how training went; None of runs of older versions.
      envelope: what it saw on the training days; None of runs of older versions.
      learnt: fingerprints of the site-years it learnt from (`runs.learnt`); None of runs of older
        versions.
      stored_fingerprint: that of the files it was read from.
    """

    model: Any
    weights: Weights
    scaling: Scaling
    split: Split
    balance_weight: float
    weighting: str
    warmup_days: int
    origin: DataChoice | None = None
    training: Training | None = None
    envelope: Envelope | None = None
    learnt: tuple[str, ...] | None = None
    stored_fingerprint: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Tells this model and these weights from any others."""
        return self.stored_fingerprint or files.fingerprint(self.weights, model_to_json(self.model))

    @property
    def objective(self) -> Total:
        """The loss it was trained with, which calibration descends too."""
        scales = {scale.name: scale.sd for scale in self.scaling.targets}
        return standard(scales, self.balance_weight, self.weighting)

    def _title(self) -> str:
        return f"pretrained {type(self.model).__name__}"

    def _facts(self) -> Mapping[str, object]:
        count = sum(leaf.size for leaf in jax.tree.leaves(self.weights))
        facts: dict[str, object] = {
            "weights": f"{count:,}",
            "observed": ", ".join(scale.name for scale in self.scaling.targets),
            "split": f"{self.split.kind.replace('_', ' ')}, {len(self.split.periods)} sites",
        }
        if (made := self.training) is not None:
            facts["trained on"] = (
                f"{counted(made.sites, 'site')}, {made.steps} steps in {made.seconds:.0f} s"
            )
            facts["validation error"] = (
                f"{made.best_error:.3g} of the training variance, at step {made.best_step}"
            )
            facts |= made.troubles
        return facts


@dataclass(frozen=True)
class SiteFits:
    """How calibration went at each site; arrays are (site,), in the order of `names`.

    Attributes:
      names: of the sites.
      validation_error: of what the site ended with, in units of the training variance.
      accepted: whether it is better on the validation days than the pretrained model.
      healthy: False where a loss or gradient was not finite; the last good state is kept.
      steps: gradient steps taken.
      seconds: of all sites together, compilation included.
      troubles: of sites that could not be calibrated, or not to the end: what was wrong first, and
        what was done about it, in words.
    """

    names: tuple[str, ...]
    validation_error: np.ndarray
    accepted: np.ndarray
    healthy: np.ndarray
    steps: np.ndarray
    seconds: float
    troubles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Calibrated(Shown):
    """What calibrated sites, or groups of sites, own beside the pretrained model.

    Attributes:
      base: the pretrained model.
      strategy: name in `training.strategies.STRATEGIES`.
      units: names of the sites of each unit; with most strategies one site each.
      phi: what each unit owns, leaves (unit, ...); see `adaptation`.
      moved: bool (unit,), whether a unit left where it started.
      start: where strategies from scratch start; None for the pretrained weights.
      fits: how it went; None of runs of older versions.
      places: where each calibrated site lies, as far as it was given, by name.
      groups: group of each calibrated site, by name; empty of runs of older versions.
      learnt: fingerprints of the site-years it learnt from beside the pretrained model; None of
        runs of older versions.
    """

    base: Pretrained
    strategy: str
    units: tuple[tuple[str, ...], ...]
    phi: Any
    moved: np.ndarray
    start: Weights | None = None
    fits: SiteFits | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    learnt: tuple[str, ...] | None = None

    @property
    def adaptation(self) -> Adaptation:
        """How `phi` changes the weights."""
        return STRATEGIES[self.strategy].adaptation

    @property
    def unit_of(self) -> dict[str, int]:
        """Row of the unit of every calibrated site, by name."""
        return {name: row for row, names in enumerate(self.units) for name in names}

    @property
    def trained_share(self) -> float:
        """Numbers a unit owns, as a share of the numbers of the model."""
        return trained_share(self.adaptation, self.base.weights)

    def _title(self) -> str:
        return f"{counted(len(self.unit_of), 'site')} calibrated by {self.strategy}"

    def _facts(self) -> Mapping[str, object]:
        facts: dict[str, object] = {
            "model": type(self.base.model).__name__,
            "a site owns": STRATEGIES[self.strategy].doc,
            "share of the model": f"{self.trained_share:.2%}",
        }
        if (fits := self.fits) is not None:
            if STRATEGIES[self.strategy].gated:
                facts["accepted"] = f"{int(fits.accepted.sum())} of {len(fits.names)} sites, better"
                facts["accepted"] += " on their validation days than the pretrained model"
            facts["not finite"] = f"{int((~fits.healthy).sum())} sites"
            facts |= fits.troubles
            facts["steps"] = f"{int(fits.steps.min())} to {int(fits.steps.max())}"
            facts["seconds"] = f"{fits.seconds:.0f}"
        return facts
