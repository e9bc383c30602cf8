"""A computation that is stopped and resumed ends as one that never was."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import toys

from kgml_jax.adaptation import PRESETS
from kgml_jax.training.checkpoint import CheckpointError
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.joint import left_out, pretrain
from kgml_jax.training.run import descend_together
from kgml_jax.training.state_checkpoints import Cadence, StateCheckpoints
from kgml_jax.training.windows import make_fit_data, make_joint_data

MODEL = toys.ToyModel()
SETTINGS = Settings(steps=40, learning_rate=0.05, validate_every=10, patience=4, dropout=True)
EVERY_ROUND = Cadence(seconds=0)


class LeftError(Exception):
    """Stands for the end of a process."""


class After:
    """Asks to end after some rounds; None never."""

    def __init__(self, rounds=None):
        self.rounds = rounds

    @property
    def asked(self):
        self.rounds = None if self.rounds is None else self.rounds - 1
        return self.rounds == 0

    def leave(self):
        raise LeftError


@pytest.fixture(scope="module")
def sites():
    return toys.sites(count=3)


@pytest.fixture
def said():
    return []


@pytest.fixture
def keep(tmp_path, said):
    def make(rounds=None, identity="run", **options):
        options = {"cadence": EVERY_ROUND, "tell": said.append} | options
        return StateCheckpoints(tmp_path / "state", identity, After(rounds), **options)

    return make


def calibrated(sites, **options):
    data = make_fit_data(toys.divided(sites), [[row] for row in range(len(sites))], 30)
    descent = Descent(MODEL, replace(toys.OBJECTIVE), replace(PRESETS["full"]), SETTINGS)
    weights, key = MODEL.init(jax.random.key(5)), jax.random.key(1)
    return descend_together(descent, weights, data, key, **options)


def plain(tree):
    typed = lambda leaf: jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.tree.map(
        lambda leaf: np.asarray(jax.random.key_data(leaf) if typed(leaf) else leaf), tree
    )


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, plain(found), plain(expected))


def stop(compute, checkpoints):
    with pytest.raises(LeftError):
        compute(observer=checkpoints)


@pytest.mark.parametrize("rounds", [1, 3])
def test_calibration_ends_as_if_it_had_never_been_stopped(sites, keep, rounds, said):
    whole = calibrated(sites)
    stop(lambda **options: calibrated(sites, **options), keep(rounds))
    assert_equal(calibrated(sites, observer=keep()), whole)
    assert f"goes on after round {rounds}" in said


def test_pretraining_ends_as_if_it_had_never_been_stopped(sites, keep):
    data = make_joint_data(toys.divided(sites), list(range(len(sites))), 30)

    def trained(**options):
        init = MODEL.init(jax.random.key(0))
        settings = replace(SETTINGS, batch=2, cosine=True, warmup_steps=5)
        key = jax.random.key(2)
        return pretrain(MODEL, toys.OBJECTIVE, init, data, settings, key, **options)

    whole = trained()
    stop(trained, keep(2))
    assert_equal(trained(observer=keep()), whole)


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_run_that_leaves_out_a_site_and_restarts_ends_as_if_it_had_never_been_stopped(
    sites, keep, rounds
):
    identities = np.asarray(sites.site.identity).tolist()
    data = make_joint_data(toys.divided(sites), list(range(len(sites))), 30)
    data, _ = toys.spoilt(data, identities[1], np.nan)
    model = toys.BrittleModel()

    def trained(**options):
        init, names = model.init(jax.random.key(0)), dict(zip(identities, sites.names, strict=True))
        settings = replace(SETTINGS, batch=2, learning_rate=2.0)
        key = jax.random.key(2)
        return pretrain(model, toys.OBJECTIVE, init, data, settings, key, names=names, **options)

    whole = trained()
    assert whole[1].restarts
    assert list(left_out(whole[1], data)) == identities[1:2]
    stop(trained, keep(rounds))
    assert_equal(trained(observer=keep()), whole)


def newest(folder: Path) -> Path:
    return max(
        (path for path in folder.iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(sites, keep, said, tmp_path, damage):
    whole = calibrated(sites)
    stop(lambda **options: calibrated(sites, **options), keep(3))
    files = [path for path in newest(tmp_path / "state" / "steps").rglob("*") if path.is_file()]
    damage(max(files, key=lambda path: path.stat().st_size))
    assert_equal(calibrated(sites, observer=keep()), whole)
    left_out, goes_on = said[1:3]
    assert left_out.startswith("checkpoint 3 is left out, and the one before taken: ")
    assert "is not as it was written (checksum)" in left_out
    assert goes_on == "goes on after round 2"


def test_a_checkpoint_of_another_run_is_never_gone_on_with(sites, keep):
    stop(lambda **options: calibrated(sites, **options), keep(1))
    with pytest.raises(CheckpointError, match="belongs to another run"):
        calibrated(sites, observer=keep(identity="other"))


def test_only_the_newest_are_kept_and_each_says_what_it_is(sites, keep, tmp_path):
    checkpoints = keep(described={"configuration": {"steps": 40}})
    calibrated(sites, observer=checkpoints)
    checkpoints.close()
    rounds = checkpoints.rounds
    kept = {path.name for path in (tmp_path / "state" / "steps").iterdir() if path.name.isdigit()}
    assert kept == {str(rounds - 1), str(rounds)}
    header = (newest(tmp_path / "state" / "steps") / "header" / "metadata").read_text()
    assert '"steps": 40' in header


def test_what_is_slow_to_write_is_written_less_often(sites, keep):
    # Writing takes some milliseconds: with a thousandth of a thousandth of the time it is not
    # done twice.
    checkpoints = keep(cadence=Cadence(seconds=1e-6, share=1e-6))
    calibrated(sites, observer=checkpoints)
    assert checkpoints.written == 1
