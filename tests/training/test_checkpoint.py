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
    [
        ({"note": None}, "note missing"),
        ({"colour": 1}, "colour not known to this version"),
        ({"digests": {"header": "x"}}, "not as it was written"),
    ],
)
def test_a_header_with_other_fields_is_refused(folder, change, message):
    header = folder / checkpoint.HEADER
    # Older versions wrote no checksums.
    described = json.loads(header.read_text()) | {"digests": None} | change
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


def test_a_changed_byte_is_an_error_or_nothing_never_another_number(folder):
    chance = np.random.default_rng(0)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    read = lambda: (checkpoint.read_header(folder, Noted), checkpoint.restore(folder, TREE))
    note, refused = read()[0].note, 0
    for path in paths:
        content = path.read_bytes()
        for place in chance.choice(len(content), min(len(content), 6), replace=False):
            flipped = bytearray(content)
            flipped[place] ^= 1 << int(chance.integers(8))
            path.write_bytes(flipped)
            try:
                header, tree = read()
            except CheckpointError:
                refused += 1
            else:
                assert header.note == note
                jax.tree.map(np.testing.assert_array_equal, tree, TREE)
        path.write_bytes(content)
    assert refused > 10
    read()
