import os
import socket
from dataclasses import dataclass

import pytest

from kgml_jax.runs import directory, files


@dataclass(frozen=True)
class Config:
    steps: int = 3


def test_a_run_that_failed_before_any_result_is_begun_anew(tmp_path):
    folder = directory.create(tmp_path / "run", Config(), overwrite=False)
    files.write_json(folder / "split.json", {})
    (folder / "sites.partial").write_text("half")
    assert directory.without_results(folder)
    directory.create(folder, Config(steps=4), overwrite=False)
    assert files.read_json(folder / "config.json") == {"steps": 4}
    assert not (folder / "split.json").exists()
    assert not (folder / "sites.partial").exists()


@pytest.mark.parametrize("name", ["checkpoint", "summary.json", "tables.md", "notes.txt"])
def test_what_may_be_a_result_is_never_deleted_unless_told(tmp_path, name):
    folder = directory.create(tmp_path / "run", Config(), overwrite=False)
    (folder / name).mkdir() if name == "checkpoint" else (folder / name).write_text("found")
    with pytest.raises(ValueError, match="exists already; choose another --run or add --overwrite"):
        directory.create(folder, Config(), overwrite=False)
    assert (folder / name).exists()
    directory.create(folder, Config(), overwrite=True)
    assert not (folder / name).exists()


@pytest.mark.parametrize(
    ("writer", "ended"),
    [
        ({"host": socket.gethostname(), "process": os.getppid()}, False),
        ({"host": "another computer", "process": 1}, False),
        # No process has this number: Linux allows 2^22 of them.
        ({"host": socket.gethostname(), "process": 2**22 + 1}, True),
        # As earlier versions wrote it.
        ({"host": None, "process": None}, True),
    ],
)
def test_a_run_that_may_still_be_going_on_is_left_alone(tmp_path, writer, ended):
    folder = directory.create(tmp_path / "run", Config(), overwrite=False)
    made = files.read_json(folder / "versions.json") | writer
    files.write_json(folder / "versions.json", made)
    assert directory.without_results(folder) is ended


def test_a_folder_that_is_no_run_is_never_taken_for_one(tmp_path):
    assert not directory.without_results(tmp_path / "absent")
    assert not directory.without_results(tmp_path)
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(ValueError, match="exists already"):
        directory.create(tmp_path, Config(), overwrite=False)
