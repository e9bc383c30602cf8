import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from kgml_jax.runs import directory, files


@dataclass(frozen=True)
class Config:
    steps: int = 3
    overwrite: bool = False


def claimed(path, config=None, overwrite=False, **options):
    return directory.claimed(path, config or Config(), overwrite, "pretrain", **options)


def finished_run(path, text="first", **options):
    with claimed(path, **options) as run:
        (run.folder / "tables.md").write_text(text)
    return path


def stop_within(claim, names):
    with claim as run:
        for name in names:
            (run.folder / name).write_text("half")
        raise KeyboardInterrupt


def unfinished_run(path, names=("tables.md",), **options):
    with pytest.raises(KeyboardInterrupt):
        stop_within(claimed(path, **options), names)
    return path


def test_a_run_says_when_it_has_finished(tmp_path):
    with claimed(tmp_path / "run") as run:
        run.progress.mkdir()
        assert not directory.is_finished(run.folder)
        with pytest.raises(ValueError, match="unfinished run of pretrain"):
            directory.require_finished(run.folder)
        (run.folder / "tables.md").write_text("found")
    assert directory.is_finished(tmp_path / "run")
    directory.require_finished(tmp_path / "run")
    assert not run.progress.exists()


def test_the_same_command_goes_on_with_a_run_that_was_stopped(tmp_path):
    path = unfinished_run(tmp_path / "run")
    with claimed(path) as run:
        assert run.resumed
        assert (run.folder / "tables.md").read_text() == "half"
    assert directory.is_finished(path)


def test_another_configuration_does_not_go_on_with_it(tmp_path):
    path = unfinished_run(tmp_path / "run")
    expected = r"an unfinished run of another configuration \(steps 3 before, 4 now\)"
    with pytest.raises(ValueError, match=expected), claimed(path, Config(steps=4)):
        pass
    assert (path / "tables.md").read_text() == "half"


def test_what_failed_before_any_result_is_begun_anew(tmp_path):
    path = unfinished_run(tmp_path / "run", names=("split.json", "sites.nc.partial"))
    with claimed(path, Config(steps=4)) as run:
        assert not run.resumed
        assert {path.name for path in run.folder.iterdir()} == {
            "run.json",
            "config.json",
            "versions.json",
            "provenance.json",
        }


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="no such site"), claimed(tmp_path / "run"):
        raise ValueError("no such site")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_kept_unless_told(tmp_path):
    path = finished_run(tmp_path / "run")
    expected = "exists already; choose another --run or add --overwrite"
    with pytest.raises(ValueError, match=expected), claimed(path):
        pass
    assert (path / "tables.md").read_text() == "first"


def test_a_finished_run_is_replaced_only_by_one_that_has_finished(tmp_path):
    path = finished_run(tmp_path / "run")
    unfinished_run(path, overwrite=True)
    assert (path / "tables.md").read_text() == "first"
    with claimed(path, overwrite=True) as run:
        assert run.resumed
        assert directory.final_name(run.folder) == path
        assert (path / "tables.md").read_text() == "first"
    assert (path / "tables.md").read_text() == "half"
    assert {one.name for one in tmp_path.iterdir()} == {"run", ".run.lock"}


@pytest.mark.parametrize("new_is_finished", [True, False])
def test_a_process_killed_while_it_exchanged_loses_nothing(tmp_path, new_is_finished):
    path = finished_run(tmp_path / "run")
    path.rename(tmp_path / ".run.old")
    new = finished_run(tmp_path / "other", "second")
    if not new_is_finished:
        marker = json.loads((new / "run.json").read_text()) | {"finished": False}
        files.write_json(new / "run.json", marker)
    new.rename(tmp_path / ".run.new")
    with pytest.raises(ValueError, match="exists already"), claimed(path):
        pass
    assert (path / "tables.md").read_text() == ("second" if new_is_finished else "first")
    assert not (tmp_path / ".run.old").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["config.json", "notes.txt"])
def test_a_folder_of_another_program_is_never_replaced(tmp_path, name, overwrite):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("{}")
    expected = "is not a run directory of kgml_jax"
    with pytest.raises(ValueError, match=expected), claimed(tmp_path / "run", overwrite=overwrite):
        pass
    assert (tmp_path / "run" / name).read_text() == "{}"


def test_a_run_of_an_older_version_is_known_by_its_versions(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    files.write_json(path / "config.json", {"steps": 2})
    files.write_json(path / "versions.json", {"kgml_jax": "0.1"})
    (path / "tables.md").write_text("old")
    directory.require_finished(path)
    with claimed(path, overwrite=True) as run:
        (run.folder / "tables.md").write_text("new")
    assert (path / "tables.md").read_text() == "new"


def test_a_finished_study_takes_more_seeds_and_keeps_what_it_has(tmp_path):
    options = {"free": (*directory.FREE, "steps"), "extendable": True}
    path = finished_run(tmp_path / "run", **options)
    with claimed(path, Config(steps=4), **options) as run:
        assert run.resumed
        assert (run.folder / "tables.md").read_text() == "first"
    assert files.read_json(path / "config.json")["steps"] == 4


HOLD = """
import sys, time
from pathlib import Path
from kgml_jax.runs.directory import locked
with locked(Path(sys.argv[1]), "--run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_processes_never_write_one_folder_and_a_dead_one_keeps_nobody_out(tmp_path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="is being written by another"):
            finished_run(tmp_path / "run")
        other.kill()
    finished_run(tmp_path / "run")


def test_a_run_lies_neither_in_the_one_it_reads_nor_around_it(tmp_path):
    source = finished_run(tmp_path / "source")
    for path in (source, source / "inner", tmp_path):
        with pytest.raises(ValueError, match="overlaps with --from"), claimed(path, source=source):
            pass


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"--from .*nowhere: there is no such folder"):
        directory.require_finished(tmp_path / "nowhere")
