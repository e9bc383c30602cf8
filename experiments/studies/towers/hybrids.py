"""Hybrids that have seen towers: first synthetic sites, then the learning years of all towers.

The third stage, the tower itself, is the correction that all arms have.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from kgml_jax.models.hybrid import Hybrid
from kgml_jax.runs.fitted import Pretrained
from studies.towers import network
from studies.towers.learners import Predicted, empty, most_years
from studies.towers.models import SPUN_UP
from studies.towers.network import Descending
from studies.towers.protocols import Trial

WARMUP = 365
"""d before a year: the process model starts on a first of January."""


HybridChoice = partial(Descending, steps=60, batch=12, validations=10, patience=5)
"""Makes how hybrids descend on towers."""


def hybrid(trial: Trial, base: Pretrained, choice: Descending, seed: int = 0) -> Predicted:
    """Predicts with an ensemble of hybrids trained further on the towers of each fold.

    Args:
      trial: who learns from what.
      base: the hybrid as trained on synthetic sites, where all members start.
      choice: the descent.
      seed: of the batches of the first member.

    Returns:
      Means of the periods observed, (seed, site, time).
    """
    model: Hybrid = base.model
    # Windows of a year and the one before are too short to start from a state of the record.
    whole = replace(model, process=replace(model.process, **SPUN_UP))
    start = jax.tree.map(lambda leaf: jnp.stack([leaf] * choice.seeds), base.weights)
    towers, found = trial.towers, empty(trial, choice.seeds)
    data = network.weighed(towers)
    longest = most_years(trial)
    for number, fold in enumerate(trial.folds):
        keys = jax.random.split(jax.random.key(seed + number), choice.seeds)
        how = choice.settings, keys, WARMUP, longest
        ensemble = network.descend(towers, data, fold.learns, model, start, *how)
        ensemble = replace(ensemble, model=towers.observed_as(whole))
        members = ensemble.predict(towers.data, fold.scored)
        for name, predicted in found.items():
            predicted[:, list(fold.scored)] = members[name]
    return found
