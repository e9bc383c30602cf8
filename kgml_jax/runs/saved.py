"""How fitted models are kept in a folder.

A pretrained model is one checkpoint, `checkpoint/`. Calibrated sites are one checkpoint a strategy,
`checkpoint/STRATEGY/`, beside the pretrained model they start from, `pretrained/`.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from kgml_jax.data.choices import data_from_json
from kgml_jax.models import kinds
from kgml_jax.models.protocol import (
    envelope_from_json,
    model_from_json,
    model_to_json,
    scaling_from_json,
)
from kgml_jax.runs import files
from kgml_jax.runs.fitted import Calibrated, Pretrained, SiteFits, Training
from kgml_jax.sites import Place
from kgml_jax.split import Split
from kgml_jax.training import checkpoint
from kgml_jax.training.strategies import STRATEGIES, present_name

CHECKPOINT = "checkpoint"
BASE = "pretrained"
"""Folder of the pretrained model inside that of calibrated sites."""


@dataclass(frozen=True)
class PretrainedHeader:
    """What lies beside pretrained weights; see `Pretrained`."""

    kind: ClassVar[str] = "pretrained"
    model: dict[str, Any]
    split: dict[str, Any]
    balance_weight: float
    weighting: str
    warmup_days: int
    scaling: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    envelope: dict[str, Any] | None = None
    learnt: list[str] | None = None


@dataclass(frozen=True)
class CalibratedHeader:
    """What lies beside what calibrated units own; see `Calibrated`.

    Attributes:
      strategy: its name.
      units: names of the sites of each unit.
      moved: by unit, whether it left the starting point.
      pretrained: fingerprint of the model and weights it starts from.
      fits: fields of `SiteFits`.
      places: by site, fields of `sites.Place`.
      groups: by site.
      learnt: fingerprints of site-years.
    """

    kind: ClassVar[str] = "calibrated"
    strategy: str
    units: list[list[str]]
    moved: list[bool]
    pretrained: str
    fits: dict[str, Any] | None = None
    places: dict[str, Any] | None = None
    groups: dict[str, str] | None = None
    learnt: list[str] | None = None


def save(fitted: Pretrained | Calibrated, folder: Path) -> None:
    """Writes all that is needed to predict with a fitted model again.

    Raises:
      CheckpointError: there is one in the folder already.
    """
    if isinstance(fitted, Calibrated):
        if not is_saved(folder / BASE):
            save(fitted.base, folder / BASE)
        _save_calibrated(fitted, folder / CHECKPOINT / fitted.strategy)
        return
    header = PretrainedHeader(
        model=model_to_json(fitted.model),
        scaling=dataclasses.asdict(fitted.scaling),
        split=json.loads(fitted.split.to_json()),
        balance_weight=fitted.balance_weight,
        weighting=fitted.weighting,
        warmup_days=fitted.warmup_days,
        training=None if fitted.training is None else dataclasses.asdict(fitted.training),
        envelope=None if fitted.envelope is None else dataclasses.asdict(fitted.envelope),
        learnt=None if fitted.learnt is None else list(fitted.learnt),
    )
    folder.mkdir(parents=True, exist_ok=True)
    if fitted.origin is not None:
        files.write_json(folder / "data.json", fitted.origin)
    checkpoint.save(folder / CHECKPOINT, fitted.weights, _plain(header))


def _save_calibrated(fitted: Calibrated, folder: Path) -> None:
    header = CalibratedHeader(
        strategy=fitted.strategy,
        units=[list(names) for names in fitted.units],
        moved=np.asarray(fitted.moved).tolist(),
        pretrained=fitted.base.fingerprint,
        fits=None if fitted.fits is None else dataclasses.asdict(fitted.fits),
        places={name: dataclasses.asdict(place) for name, place in fitted.places.items()},
        groups=dict(fitted.groups),
        learnt=None if fitted.learnt is None else list(fitted.learnt),
    )
    tree = {"phi": fitted.phi}
    if fitted.start is not None:
        tree["start"] = fitted.start
    checkpoint.save(folder, tree, _plain(header))


def _plain(header: Any) -> Any:
    return type(header)(**files.plain(header))


def load(folder: Path, strategy: str | None = None) -> Pretrained | Calibrated:
    """Reads what `save`, `kgml-jax pretrain` or `kgml-jax calibrate` wrote.

    Args:
      folder: holds `checkpoint`.
      strategy: which, where sites were calibrated by several.

    Raises:
      CheckpointError: no fitted model there, of another schema, or calibrated from another one.
      ValueError: the strategy is needed, or not there.
    """
    if is_saved(folder):
        if strategy is not None:
            raise ValueError(f"{folder} holds a pretrained model; it has no strategy {strategy}")
        return load_pretrained(folder)
    stored = strategies(folder)
    if not stored:
        raise checkpoint.CheckpointError(
            f"{folder} holds no finished checkpoint; expected a folder that pretraining, "
            "calibration or kgml_jax.save has written"
        )
    if strategy is None and len(stored) > 1:
        raise ValueError(f"{folder} holds several strategies, choose one: {', '.join(stored)}")
    if strategy is not None and strategy not in stored:
        raise ValueError(f"{folder} holds no strategy {strategy!r}; there is {', '.join(stored)}")
    return load_calibrated(folder, strategy or stored[0])


def is_saved(folder: Path) -> bool:
    """Returns whether a folder holds a pretrained model, whole."""
    return checkpoint.is_complete(folder / CHECKPOINT)


def strategies(folder: Path) -> list[str]:
    """Returns the names of the strategies that were calibrated in a folder."""
    complete = filter(checkpoint.is_complete, sorted((folder / CHECKPOINT).glob("*")))
    return [path.name for path in complete]


def pretraining_folder(folder: Path) -> Path:
    """Returns where the pretrained model of a run of either kind lies.

    Raises:
      ValueError: the folder is no run, or the run it names is neither there nor beside it.
    """
    if (folder / BASE).is_dir():
        return folder / BASE
    if is_saved(folder):
        return folder
    config = files.read_json(folder / "config.json")
    return _named_run(folder, Path(config["from_run"])) if "from_run" in config else folder


def _named_run(folder: Path, named: Path) -> Path:
    # Runs of older versions name the pretraining run as it lay; both may have moved since.
    beside = folder.resolve().parent / named.name
    for place in (named, beside):
        if is_saved(place):
            return place
    raise checkpoint.CheckpointError(
        f"{folder} was calibrated from {named}, which holds no finished checkpoint any more; put "
        f"that run back, or beside as {beside}"
    )


def load_pretrained(folder: Path) -> Pretrained:
    """Reads a pretrained model.

    Raises:
      CheckpointError: the folder holds none, or one of another schema.
    """
    header = checkpoint.read_header(folder / CHECKPOINT, PretrainedHeader)
    model = model_from_json(kinds.CLASSES, header.model)
    template = jax.eval_shape(model.init, jax.random.key(0))
    weights = checkpoint.restore(folder / CHECKPOINT, template)
    described = folder / "data.json"
    return Pretrained(
        model=model,
        weights=weights,
        # A network carries its standardisation; a process model by itself has none of its own.
        scaling=scaling_from_json(header.scaling or header.model["scaling"]),
        split=Split.from_json(json.dumps(header.split)),
        balance_weight=header.balance_weight,
        weighting=header.weighting,
        warmup_days=header.warmup_days,
        origin=data_from_json(files.read_json(described)) if described.is_file() else None,
        training=None if header.training is None else Training(**header.training),
        envelope=None if header.envelope is None else envelope_from_json(header.envelope),
        learnt=None if header.learnt is None else tuple(header.learnt),
        # As it was described: a version that gives the model one more field reads the same.
        stored_fingerprint=files.fingerprint(weights, header.model),
    )


def load_calibrated(folder: Path, strategy: str, base: Pretrained | None = None) -> Calibrated:
    """Reads what sites calibrated by one strategy own.

    Args:
      folder: of the calibration.
      strategy: its name.
      base: the pretrained model, if it has been read already.

    Raises:
      CheckpointError: not there, or calibrated from other weights.
    """
    source = pretraining_folder(folder)
    base = load_pretrained(source) if base is None else base
    place = folder / CHECKPOINT / strategy
    header = checkpoint.read_header(place, CalibratedHeader)
    if header.pretrained != base.fingerprint:
        raise checkpoint.CheckpointError(
            f"{place} was calibrated from other weights than {source} holds; calibrate again"
        )
    name = present_name(header.strategy)
    way = STRATEGIES[name]
    template = jax.eval_shape(way.adaptation.init, base.weights)
    stacked = lambda leaf: jax.ShapeDtypeStruct((len(header.units), *leaf.shape), leaf.dtype)
    expected: dict[str, Any] = {"phi": jax.tree.map(stacked, template)}
    if way.scratch:
        expected["start"] = base.weights
    stored = checkpoint.restore(place, expected)
    return Calibrated(
        base=base,
        strategy=name,
        units=tuple(tuple(names) for names in header.units),
        phi=stored["phi"],
        moved=np.array(header.moved, bool),
        start=stored.get("start"),
        fits=None if header.fits is None else _site_fits(header.fits),
        places={name: Place(**described) for name, described in (header.places or {}).items()},
        groups=header.groups or {},
        learnt=None if header.learnt is None else tuple(header.learnt),
    )


def _site_fits(described: dict[str, Any]) -> SiteFits:
    return SiteFits(
        names=tuple(described["names"]),
        # JSON has no NaN; what was not finite is null there.
        validation_error=np.array(described["validation_error"], float),
        accepted=np.array(described["accepted"], bool),
        healthy=np.array(described["healthy"], bool),
        steps=np.array(described["steps"], int),
        seconds=described["seconds"],
        troubles=described.get("troubles", {}),
    )
