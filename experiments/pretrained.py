"""Reading back what `pretrain.py` and `calibrate.py` wrote."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import inputs
import jax
import numpy as np
import run_directory

from kgml_jax.adaptation import Weights
from kgml_jax.data.schema import DataError
from kgml_jax.data.splits import Split
from kgml_jax.models import kinds
from kgml_jax.models.features import Scaling
from kgml_jax.models.protocol import model_from_json, scaling_from_json
from kgml_jax.sites import TEST, TRAIN, VALIDATION, Sites
from kgml_jax.training import checkpoint
from kgml_jax.training.strategies import STRATEGIES


@dataclass(frozen=True)
class Pretrained:
    """A finished pretraining run: model, standardisation, weights, split and data."""

    model: Any
    scaling: Scaling
    weights: Weights
    split: Split
    data: inputs.Data
    header: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Tells this model and these weights from any others."""
        return run_directory.fingerprint(self.weights, self.header["model"])


def load(run: Path) -> Pretrained:
    """Reads a pretraining run.

    Raises:
      ValueError: the folder is no finished pretraining run, or of another schema.
    """
    header = checkpoint.read_header(run / "checkpoint", "pretrained")
    model = model_from_json(kinds.CLASSES, header["model"])
    # A network carries its standardisation; a process model by itself has none of its own.
    scaling = header["scaling"] if "scaling" in header else header["model"]["scaling"]
    template = jax.eval_shape(model.init, jax.random.key(0))
    return Pretrained(
        model=model,
        scaling=scaling_from_json(scaling),
        weights=checkpoint.restore(run / "checkpoint", template),
        split=Split.from_json(json.dumps(header["split"])),
        data=inputs.data_from_json(run_directory.read_json(run / "data.json")),
        header=header,
    )


def require_strategies(names: Sequence[str], base: Pretrained) -> None:
    """Refuses strategies that are not known, or move weights that the model does not have.

    Raises:
      ValueError: naming them, and those there are.
    """
    if unknown := sorted(set(names) - set(STRATEGIES)):
        raise ValueError(f"no strategy {', '.join(unknown)}; there are {', '.join(STRATEGIES)}")
    offered = [name for name in STRATEGIES if _fits(name, base.weights)]
    if unfit := [name for name in names if name not in offered]:
        raise ValueError(
            f"{type(base.model).__name__} has no weights for strategy {', '.join(unfit)}; "
            f"it can take {', '.join(offered)}"
        )


def _fits(name: str, weights: Weights) -> bool:
    try:
        jax.eval_shape(STRATEGIES[name].adaptation.init, weights)
    except ValueError:
        return False
    return True


def keep_where_unmoved(
    fluxes: dict[str, np.ndarray], zero_shot: dict[str, np.ndarray], moved: np.ndarray
) -> dict[str, np.ndarray]:
    """Gives sites that kept the pretrained model its predictions, to the bit.

    Args:
      fluxes: predictions of the calibrated sites, each (site, time).
      zero_shot: predictions of the pretrained model.
      moved: bool (site,), whether calibration found something better.
    """
    return {
        name: np.where(moved[:, None], values, zero_shot[name]) for name, values in fluxes.items()
    }


def data_and_split(
    base: Pretrained, data: Path | None, metadata: Path | None, choice: inputs.SplitChoice
) -> tuple[inputs.Loaded, Split, inputs.Data]:
    """Returns the sites to calibrate and their split, with no test day the pretrained model saw.

    On the data of the pretraining run its split is kept, but sites it never saw are divided anew.

    Args:
      base: the pretraining run.
      data: other sites than those of the run.
      metadata: CSV of metadata for `data`.
      choice: how the days of sites that the run did not see are divided.

    Raises:
      ValueError: an option has no meaning here.
    """
    if data is None and metadata is not None:
        raise ValueError("--metadata has no meaning without --data")
    source = base.data if data is None else replace(base.data, data=data, metadata=metadata)
    loaded = inputs.load(source)
    if "process" in base.weights:
        inputs.require_crops(loaded.sites)
    if data is not None:
        split = inputs.make_split(choice, loaded.sites)
        assert_unseen(base.split, split, loaded.sites)
        return loaded, split, source
    base.split.assert_covers(loaded.sites)
    unseen = ~seen_in_pretraining(base, loaded.sites)
    if not unseen.any() and choice != inputs.SplitChoice():
        raise ValueError("the split of the pretraining run is kept; --split needs --data")
    split = inputs.divide_unseen(base.split, choice, loaded.sites)
    if base.split.kind.startswith("leave"):
        # The sites it was trained on have no test days in such a split.
        held_out = [int(row) for row in np.flatnonzero(unseen)]
        loaded = replace(loaded, sites=loaded.sites.take(held_out))
    return loaded, split, source


def seen_in_pretraining(base: Pretrained, sites: Sites) -> np.ndarray:
    """Returns which sites the pretraining learnt from, bool (site,)."""
    known = [name in base.split.intervals for name in sites.names]
    roles = base.split.roles(sites.take([int(row) for row in np.flatnonzero(known)]))
    seen = np.zeros(len(sites), bool)
    seen[known] = ((roles == TRAIN) | (roles == VALIDATION)).any(axis=1)
    return seen


def assert_unseen(pretrained: Split, split: Split, sites: Sites) -> None:
    """Refuses to score days the pretrained weights were trained or stopped on.

    Raises:
      DataError: naming the site and the first such day.
    """
    known = [row for row, name in enumerate(sites.names) if name in pretrained.intervals]
    if not known:
        return
    shared = sites.take(known)
    before, now = pretrained.roles(shared), split.roles(shared)
    seen = ((before == TRAIN) | (before == VALIDATION)) & (now == TEST)
    for row in np.flatnonzero(seen.any(axis=1)):
        dates = np.asarray(shared.site.calendar.date)[row, seen[row]].astype("datetime64[D]")
        raise DataError(
            "the pretrained model saw test days of this split",
            site=shared.names[row],
            found=f"{len(dates)} days from {dates[0]}",
            expected="test days outside its training and validation years",
        )
