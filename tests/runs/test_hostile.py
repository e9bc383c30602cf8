"""Nothing of a run can run code: each file of it is replaced by a pickle that would."""

import json
import os
import pickle
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import kgml_jax
from kgml_jax.data.choices import data_from_json
from kgml_jax.runs import directory, files
from kgml_jax.runs.resume import Progress
from kgml_jax.split import Split
from kgml_jax.training import checkpoint
from kgml_jax.training.checkpoint import CheckpointError

STORED = Path(__file__).parents[1] / "stored_runs" / "82928d3"
HEADER = "checkpoint/ftbsc/checkpoint.json"
READ = ("config.json", "data.json", "split.json", HEADER)


class Running:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@dataclass(frozen=True)
class Noted:
    kind: ClassVar[str] = "calibrated"


@pytest.fixture
def hostile(tmp_path):
    """What would make a folder when unpickled, and that folder, which must not be there."""
    mark = tmp_path / "ran"
    content = pickle.dumps(Running(mark))
    pickle.loads(content)
    mark.rmdir()  # it would
    yield content
    assert not mark.exists()


def read(run):
    """Reads all that programs read of a run."""
    directory.require_finished(run)
    kgml_jax.load(run, "ftbsc")
    data_from_json(files.read_json(run / "data.json"))
    Split.from_json(json.dumps(files.read_json(run / "split.json")))


@pytest.mark.parametrize("name", READ)
def test_a_hostile_file_in_place_of_json_is_an_error_that_names_it(tmp_path, hostile, name):
    run = shutil.copytree(STORED, tmp_path / "runs") / "calibrate"
    read(run)
    (run / name).write_bytes(hostile)
    with pytest.raises(ValueError, match=re.escape(name.split("/")[-1])):
        read(run)


def test_hostile_files_in_place_of_arrays_are_errors(tmp_path, hostile):
    folder, tree = tmp_path / "calibrated", {"weights": np.arange(6.0)}
    checkpoint.save(folder, tree, Noted())
    paths = [path for path in (folder / "tree").rglob("*") if path.is_file()]
    assert len(paths) > 3
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(hostile)
        with pytest.raises(CheckpointError, match="calibrated"):
            checkpoint.restore(folder, tree)
        path.write_bytes(content)
    np.testing.assert_array_equal(checkpoint.restore(folder, tree)["weights"], np.arange(6.0))


def test_a_hostile_piece_of_a_run_that_goes_on_is_not_unpickled(tmp_path):
    progress, mark = Progress(tmp_path, "identity"), tmp_path / "ran"
    np.savez(tmp_path / "a.npz", NEE=np.array([Running(mark)], dtype=object))
    files.write_json(tmp_path / "a.json", progress._sealed(tmp_path / "a.npz"))
    with pytest.raises(ValueError, match="allow_pickle"):
        progress.piece("a", dict)
    assert not mark.exists()
