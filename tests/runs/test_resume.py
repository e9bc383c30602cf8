import os
import signal

import numpy as np
import pytest
import toys

from kgml_jax.runs import directory, resume
from kgml_jax.runs.interruption import INTERRUPTION, Interrupted
from kgml_jax.runs.resume import Progress


@pytest.fixture
def said():
    return []


@pytest.fixture
def progress(tmp_path, said):
    return Progress(tmp_path, "run", tell=said.append)


def fluxes():
    return {"NEE": np.arange(6.0, dtype=np.float32).reshape(2, 3)}


def never():
    raise AssertionError("was computed again")


def test_a_piece_is_computed_once(progress):
    progress.piece("site-only, all", fluxes)
    found = progress.piece("site-only, all", never)
    np.testing.assert_array_equal(found["NEE"], fluxes()["NEE"])
    assert found["NEE"].dtype == np.float32


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_piece_is_computed_again_and_said(progress, tmp_path, said, damage):
    progress.piece("a", fluxes)
    damage(tmp_path / "a.npz")
    other = {"NEE": np.zeros(1)}
    assert progress.piece("a", lambda: other)["NEE"].tolist() == [0.0]
    assert len(said) == 1
    assert "computed again" in said[0]


def test_a_piece_of_another_run_is_computed_again(progress, tmp_path):
    progress.piece("a", fluxes)
    other = Progress(tmp_path, "another")
    assert other.piece("a", lambda: {"NEE": np.zeros(1)})["NEE"].tolist() == [0.0]


def test_a_signal_during_a_piece_keeps_it(progress):
    def asked_to_end():
        os.kill(os.getpid(), signal.SIGTERM)
        return fluxes()

    with pytest.raises(Interrupted), INTERRUPTION.listening():
        progress.piece("a", asked_to_end)
    progress.piece("a", never)


def opened(path, data, *further):
    with directory.claimed(path, {"steps": 3}, False, "pretrain") as run:
        (run.folder / "tables.md").write_text("half")
        resume.open_progress(run, {"steps": 3}, data, *further)
        raise KeyboardInterrupt


def test_a_run_is_not_gone_on_with_when_its_inputs_have_changed(tmp_path):
    data = toys.divided(toys.sites())
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path / "run", data, "weights")
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path / "run", data, "weights")
    with pytest.raises(ValueError, match=r"other inputs \(further changed since\)"):
        opened(tmp_path / "run", data, "other weights")
    with pytest.raises(ValueError, match=r"other inputs \(data changed since\)"):
        opened(tmp_path / "run", toys.divided(toys.sites(seed=1)), "weights")


def test_a_split_that_was_changed_is_told(tmp_path):
    (tmp_path / "split.json").write_text("{}")
    resume.seal(tmp_path, ("split.json",))
    resume.require_sealed(tmp_path)
    (tmp_path / "split.json").write_text('{"periods": {}}')
    with pytest.raises(ValueError, match=r"split\.json is not as the run wrote it"):
        resume.require_sealed(tmp_path)
