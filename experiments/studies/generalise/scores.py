"""Scores of the generalisation experiment: errors of every model, question, site and variable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from kgml_jax.evaluation import claims, scores, statistics
from kgml_jax.evaluation.claims import FAILS, HOLDS, OPEN, Requirement
from kgml_jax.evaluation.resampling import drawn, state_means
from kgml_jax.sites import VARIABLES, Sites
from studies.generalise.training import PartResult
from studies.generalise.worlds import QUESTIONS, SPLITS, World

OBSERVED, TRUTH = "observed", "truth"
"""What predictions are compared with: noisy observations with gaps, or all days without error."""

JUDGED = ("NEE", "Reco", "Rh")
"""Variables whose standardised squared errors are averaged to the error of a site."""

SHOWN = (*JUDGED, "ET")
"""Those with an error of their own in tables; the recurrent network does not predict the last."""

METRICS = ("rmse", "mse", "r2")

HYBRIDS = ("dpl", "closure")
RIVALS = ("process", "recurrent")
"""What a hybrid has to beat both of."""


def scored(world: World, result: PartResult, sd: dict[str, float]) -> xr.Dataset:
    """Scores the models of a part on the days that answer each question.

    Args:
      world: the sites of a seed.
      result: what the models predict.
      sd: standard deviation of the training observations by variable.

    Returns:
      `METRICS` and `n_observed` with dims (question, basis, model, site, variable), `error` (mean
      standardised squared error over `JUDGED`) without the last; NaN at sites a question leaves
      out. Of trained models, what their descents came to, (model, split).
    """
    rows = []
    for question, split in QUESTIONS.items():
        fluxes = {name: by_split[split] for name, by_split in result.fluxes.items()}
        bases = [
            _scored(fluxes, sites, world.scored[question], sd)
            for sites in (world.sites, world.truth)
        ]
        rows.append(xr.concat(bases, "basis", coords="minimal", compat="override"))
    found = xr.concat(rows, "question", coords="minimal", compat="override")
    found = found.assign_coords(question=list(QUESTIONS), basis=[OBSERVED, TRUTH])
    descent = {
        name: (("model", "split"), np.broadcast_to(values, (len(result.fluxes), len(SPLITS))))
        for name, values in result.descent.items()
    }
    return found.assign(descent).assign_coords(split=list(SPLITS))


def _scored(
    fluxes: scores.Predictions, sites: Sites, days: np.ndarray, sd: dict[str, float]
) -> xr.Dataset:
    found = scores.score(fluxes, sites, days, METRICS)
    error = scores.standardised_mse(found.sel(variable=list(JUDGED)), sd)
    found = found.assign(error=error).rename(strategy="model", group="state")
    units = [VARIABLES[name].units for name in VARIABLES]
    # All, so that models that predict fewer stand beside the others.
    return found.reindex(variable=list(VARIABLES)).assign_coords(variable_units=("variable", units))


@dataclass(frozen=True)
class Compared:
    """Is the error of one model less than that of another?

    Attributes:
      change: relative difference of errors (geometric mean over sites), with intervals over seeds
        and over resampled seeds and sites.
      sites: sites of all seeds at which the other has an error.
      wins: of these, where the error is less.
      p_value: of Wilcoxon's signed-rank test of the logarithms of the ratios.
    """

    change: Requirement
    sites: int
    wins: int
    p_value: float


FAILED = 100.0
"""Ratio of errors at a site where the candidate has no finite prediction and the reference does."""


def compared(values: xr.DataArray, candidate: str, reference: str) -> Compared:
    """Compares two models over seeds and sites.

    Args:
      values: positive errors, dims (seed, model, site), NaN at sites that are not asked.
      candidate: name of a model.
      reference: name of another.
    """
    ours, theirs = (values.sel(model=name).values for name in (candidate, reference))
    failed = np.isfinite(theirs) & ~np.isfinite(ours)
    ratios = np.where(failed, np.log(FAILED), np.log(ours) - np.log(theirs))
    by_seed, resampled = (claims.relative_difference(np.exp(one), 1.0) for one in means(ratios))
    return Compared(
        Requirement(f"{candidate} over {reference}", by_seed, below=0.0, resampled=resampled),
        sites=int(np.isfinite(theirs).sum()),
        wins=int((ratios < 0).sum()),
        p_value=statistics.signed_rank_p_value(ratios[np.isfinite(ratios)]),
    )


def means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages over the sites of each seed that have a value, (seed, site), as they are and drawn.

    Seeds have sites of their own, so that each draws them afresh.

    Returns:
      Means of the seeds, (seed,), and of resampled seeds and sites, (seed, draw).
    """
    own = [row[np.isfinite(row)] for row in values]
    packed = np.zeros((len(own), max(map(len, own))))
    amounts = np.zeros_like(packed)
    for row, here in enumerate(own):
        packed[row, : len(here)], amounts[row, : len(here)] = here, 1.0
    labels = ["all"] * packed.shape[1]
    sample = drawn(labels, len(own), nested=True)
    resampled = state_means(packed, amounts, sample, ["all"])[:, :, 0]
    return packed.sum(axis=1) / amounts.sum(axis=1), resampled


def judged(verdicts: Mapping[str, Sequence[str]]) -> tuple[str, tuple[str, ...]]:
    """Judges the claim that one of the hybrids beats all rivals.

    Args:
      verdicts: of the comparisons with every rival, by hybrid.

    Returns:
      `HOLDS` if all of one hybrid hold, `FAILS` if one of every hybrid fails, else `OPEN`; and
      the hybrids of which all hold.
    """
    holding = tuple(name for name, found in verdicts.items() if set(found) == {HOLDS})
    if holding:
        return HOLDS, holding
    return (FAILS if all(FAILS in found for found in verdicts.values()) else OPEN), ()
