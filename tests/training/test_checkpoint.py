import json

import jax
import numpy as np
import pytest

from kgml_jax.training import checkpoint
from kgml_jax.training.checkpoint import CheckpointError

TREE = {"gru": {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "bias": np.ones(1)}


@pytest.fixture
def folder(tmp_path):
    checkpoint.save(tmp_path / "run", "pretrained", TREE, {"note": "x"})
    return tmp_path / "run"


def test_a_checkpoint_comes_back_to_the_bit(folder):
    template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), TREE)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.restore(folder, template), TREE)
    assert checkpoint.read_header(folder, "pretrained")["note"] == "x"


def test_a_checkpoint_is_never_written_over(folder):
    with pytest.raises(CheckpointError, match="already"):
        checkpoint.save(folder, "pretrained", TREE, {})


def test_another_schema_is_refused(folder):
    header = folder / checkpoint.HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {"schema": 99}))
    with pytest.raises(CheckpointError, match="schema 99, this version reads schema 1"):
        checkpoint.read_header(folder, "pretrained")


def test_another_kind_is_refused(folder):
    with pytest.raises(CheckpointError, match="holds 'pretrained', expected 'calibrated'"):
        checkpoint.read_header(folder, "calibrated")


def test_an_unfinished_checkpoint_is_refused(folder):
    (folder / checkpoint.HEADER).unlink()
    with pytest.raises(CheckpointError, match="no finished checkpoint"):
        checkpoint.read_header(folder, "pretrained")


def test_a_broken_header_is_refused(folder):
    (folder / checkpoint.HEADER).write_text('{"schema": 1')
    with pytest.raises(CheckpointError, match="not valid JSON"):
        checkpoint.read_header(folder, "pretrained")


@pytest.mark.parametrize(
    "template", [{"gru": {"w": np.zeros((2, 3))}}, {**TREE, "bias": np.ones(2)}]
)
def test_arrays_of_another_model_are_refused(folder, template):
    with pytest.raises(CheckpointError):
        checkpoint.restore(folder, template)
