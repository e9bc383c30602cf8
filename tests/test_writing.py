"""Files where there is no room for them; `RLIMIT_FSIZE` stands for the disk."""

from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from kgml_jax.runs import files
from kgml_jax.training import checkpoint
from kgml_jax.workflows.daily_file import DailyFile, Variable
from kgml_jax.writing import ABOUT, in_one_step, require_room

resource = pytest.importorskip("resource", reason="no limits of files on this system")
VALUES = np.random.default_rng(0).normal(size=(200, 1000)).astype(np.float32)


@contextmanager
def at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_has_no_room_is_named_and_leaves_nothing(tmp_path):
    path = tmp_path / "text"
    with at_most(1000), pytest.raises(OSError, match=r"text'$"), in_one_step(path) as partial:
        partial.write_text("x" * 2000)
    assert not list(tmp_path.iterdir())


def test_what_has_no_room_is_refused_before_it_is_begun(tmp_path):
    with at_most(ABOUT + 1000):
        require_room(tmp_path, 1000)
        require_room(tmp_path, 600, behind=400)
        for size, behind in ((1001, 0), (601, 400)):
            with pytest.raises(OSError, match=f"File too large: '{tmp_path}'"):
                require_room(tmp_path, size, behind)
    assert not list(tmp_path.iterdir())


def test_a_data_set_that_has_no_room_is_one_error(tmp_path):
    dataset = xr.Dataset({f"flux_{n}": (("site", "time"), VALUES) for n in range(3)})
    with at_most(10**6), pytest.raises(OSError, match="File too large"):
        files.write_dataset(tmp_path / "fluxes.nc", dataset)
    assert not list(tmp_path.iterdir())


def test_days_that_find_no_more_room_are_one_error_and_leave_nothing(tmp_path, capfd):
    dates = np.arange(1000).astype("datetime64[D]")
    variable = {"GPP": Variable(("site", "time"), "float32", {})}
    names = tuple(f"S{n:03d}" for n in range(200))
    path = tmp_path / "days.nc"

    def write():
        with DailyFile(path, names, dates, variable, 50, {}) as file:
            for start in range(0, 200, 50):
                rows = slice(start, start + 50)
                file.write(rows, {"GPP": VALUES[rows]})

    with at_most(1_500_000), pytest.raises(OSError, match="File too large"):
        write()
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    write()
    with xr.open_dataset(path) as found:
        np.testing.assert_array_equal(found["GPP"], VALUES)


def test_a_checkpoint_that_has_no_room_is_one_error(tmp_path, capfd):
    with (
        at_most(10**5),
        pytest.raises(OSError, match=r"a checkpoint cannot be written in .*: File too large"),
        checkpoint.cannot_write(tmp_path, {"weights": VALUES}),
    ):
        raise AssertionError("it began all the same")
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
