"""The claims T1 to T5 of FTBSC-KGML (Zeng et al. 2025, arXiv 2512.16013), as requirements."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kgml_jax.evaluation.claims import (
    Claim,
    Requirement,
    greater,
    interval_of,
    relative_difference,
)

SENSITIVITY = 0.06
"""Relative change of the calibrated error that batch size and learning rate may cause (T4)."""


NEAR_ZERO = 0.1
"""Mean balance residual that counts as near zero (T5), g C m-2 d-1; 3 % of the sd of NEE."""


NEGATIVE_MARGIN = 0.01
"""Rise of the share of days with a negative flux that calibration may cause."""


SKILL_MARGIN = 0.05
"""Relative rise of the error up to which a knowledge term costs no skill (T5)."""


def orderings(calibrated: xr.DataArray, independent: xr.DataArray, pooled: xr.DataArray) -> Claim:
    """T1: in every state error(calibrated) < error(independent) < error(global).

    Args:
      calibrated: errors, dims (seed, state); likewise the others.
      independent: of models trained in the state alone.
      pooled: of one model trained on all states.
    """
    requirements = []
    for state in calibrated["state"].values:
        ours, alone, common = (
            errors.sel(state=state).values for errors in (calibrated, independent, pooled)
        )
        requirements.append(greater(f"{state}: independent over calibrated", alone, ours))
        requirements.append(greater(f"{state}: global over independent", common, alone))
    text = "in every state MSE(calibrated) < MSE(independent) < MSE(global)"
    return Claim("T1", text, tuple(requirements))


def least_gain(
    calibrated: xr.DataArray, independent: xr.DataArray, data: Mapping[str, float]
) -> Claim:
    """T2: the relative gain over independent training is smallest where there are most data.

    Args:
      calibrated: errors, dims (seed, state); likewise `independent`.
      independent: of models trained in the state alone.
      data: amount of training data by state.

    Raises:
      ValueError: no single state has most data.
    """
    most = max(data.values())
    richest = [state for state, amount in data.items() if amount == most]
    if len(richest) != 1:
        raise ValueError(f"no single state has most data: {dict(data)}")
    gain = 1.0 - calibrated / independent
    rich = gain.sel(state=richest[0]).values
    requirements = [
        Requirement(
            f"gain in {state} less that in {richest[0]}",
            interval_of(gain.sel(state=state).values - rich),
            above=0.0,
        )
        for state in data
        if state != richest[0]
    ]
    text = f"the gain over independent training is smallest in {richest[0]}, with most data"
    return Claim("T2", text, tuple(requirements))


def own_is_best(table: xr.DataArray) -> Claim:
    """T3: in the cross-state table every diagonal entry is the lowest of its column.

    Args:
      table: errors, dims (seed, train, state); `train` holds the states and `POOLED`.
    """
    requirements = []
    for state in table["state"].values:
        column = table.sel(state=state)
        own = column.sel(train=state).values
        for other in column["train"].values:
            if other != state:
                text = f"tested in {state}: trained on {other} over trained on {state}"
                requirements.append(greater(text, column.sel(train=other).values, own))
    text = "in the cross-state table every diagonal entry is the lowest of its column"
    return Claim("T3", text, tuple(requirements))


def insensitive(
    reference: ArrayLike, variants: Mapping[str, ArrayLike], independent: ArrayLike
) -> Claim:
    """T4: batch size and learning rate hardly move the calibrated error, below independent.

    Args:
      reference: errors of the calibrated models, mean over states, (seed,).
      variants: the same with another batch size or learning rate, by name.
      independent: errors of models trained in each state alone, (seed,).
    """
    requirements = []
    for name, errors in variants.items():
        change = relative_difference(errors, reference)
        requirements.append(
            Requirement(f"{name}: change of calibrated", change, -SENSITIVITY, SENSITIVITY)
        )
        requirements.append(greater(f"{name}: independent over calibrated", independent, errors))
    varied = " and ".join(variants)
    text = f"{varied} change MSE(calibrated) by < 6 % each, and leave it < MSE(indep.)"
    return Claim("T4", text, tuple(requirements))


def knowledge_pays(
    residual: ArrayLike, residual_without: ArrayLike, error: ArrayLike, error_without: ArrayLike
) -> Claim:
    """T5: knowledge terms bring the balance residual to near zero without costing skill.

    Args:
      residual: mean balance residual with the terms, g C m-2 d-1, (seed,).
      residual_without: the same without.
      error: errors with the terms, (seed,).
      error_without: the same without.
    """
    near = interval_of(residual)
    requirements = (
        greater("residual without over with the terms", residual_without, residual),
        Requirement("residual with the terms, g C m-2 d-1", near, below=NEAR_ZERO, relative=False),
        Requirement(
            "change of MSE by the terms",
            relative_difference(error, error_without),
            below=SKILL_MARGIN,
        ),
    )
    text = "knowledge terms bring the carbon-balance residual to near zero at no cost of skill"
    return Claim("T5", text, requirements)


def stays_physical(
    residual: tuple[ArrayLike, ArrayLike],
    negative: tuple[ArrayLike, ArrayLike],
    correlations: Mapping[tuple[str, float], ArrayLike],
) -> Claim:
    """D: calibration does not drift away from the physics of the pretrained model.

    Args:
      residual: mean balance residual, g C m-2 d-1, of the pretrained and of the calibrated models
        on the same days, (seed,).
      negative: share of days on which a flux that cannot be negative is, likewise.
      correlations: by kind of input and the bound asked of it, the mean correlation of the response
        curves with those of the pretrained model, (seed,).
    """
    limits = {
        "rise of the balance residual, g C m-2 d-1": (residual, NEAR_ZERO, False),
        "rise of the share of days with a negative flux": (negative, NEGATIVE_MARGIN, True),
    }
    requirements = []
    for text, ((before, after), below, relative) in limits.items():
        rise = interval_of(np.asarray(after, float) - np.asarray(before, float))
        requirements.append(Requirement(text, rise, below=below, relative=relative))
    for (kind, least), values in correlations.items():
        text = f"correlation of responses to {kind}"
        requirements.append(Requirement(text, interval_of(values), above=least, relative=False))
    text = "calibration keeps the carbon balance and the responses of the pretrained model"
    return Claim("D", text, tuple(requirements))
