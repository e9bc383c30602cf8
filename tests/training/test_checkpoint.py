import json
from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np
import pytest

from kgml_jax.training import checkpoint
from kgml_jax.training.checkpoint import CheckpointError

TREE = {"gru": {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "bias": np.ones(1)}


@dataclass(frozen=True)
class Noted:
    kind: ClassVar[str] = "pretrained"
    note: str
    more: str | None = None


@dataclass(frozen=True)
class Other:
    kind: ClassVar[str] = "calibrated"


@pytest.fixture
def folder(tmp_path):
    checkpoint.save(tmp_path / "run", TREE, Noted("x"))
    return tmp_path / "run"


def test_a_checkpoint_comes_back_to_the_bit(folder):
    template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), TREE)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.restore(folder, template), TREE)
    assert checkpoint.read_header(folder, Noted).note == "x"


def test_a_checkpoint_is_never_written_over(folder):
    with pytest.raises(CheckpointError, match="already"):
        checkpoint.save(folder, TREE, Noted("y"))


def test_another_schema_is_refused(folder):
    header = folder / checkpoint.HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {"schema": 99}))
    with pytest.raises(CheckpointError, match="schema 99, this version reads schema 1"):
        checkpoint.read_header(folder, Noted)


def test_another_kind_is_refused(folder):
    with pytest.raises(CheckpointError, match="holds 'pretrained', expected 'calibrated'"):
        checkpoint.read_header(folder, Other)


def test_an_unfinished_checkpoint_is_refused(folder):
    (folder / checkpoint.HEADER).unlink()
    with pytest.raises(CheckpointError, match="no finished checkpoint"):
        checkpoint.read_header(folder, Noted)


def test_a_broken_header_is_refused(folder):
    (folder / checkpoint.HEADER).write_text('{"schema": 1')
    with pytest.raises(CheckpointError, match="not valid JSON"):
        checkpoint.read_header(folder, Noted)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"note": None}, "note missing"), ({"colour": 1}, "colour not known to this version")],
)
def test_a_header_with_other_fields_is_refused(folder, change, message):
    header = folder / checkpoint.HEADER
    described = json.loads(header.read_text()) | change
    kept = {name: value for name, value in described.items() if value is not None}
    header.write_text(json.dumps(kept))
    with pytest.raises(CheckpointError, match=message):
        checkpoint.read_header(folder, Noted)


@pytest.mark.parametrize(
    "template", [{"gru": {"w": np.zeros((2, 3))}}, {**TREE, "bias": np.ones(2)}]
)
def test_arrays_of_another_model_are_refused(folder, template):
    with pytest.raises(CheckpointError):
        checkpoint.restore(folder, template)
