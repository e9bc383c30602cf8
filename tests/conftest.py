import os
import sys
from pathlib import Path

import jax
import pytest
from xdist.scheduler import LoadFileScheduling

from kgml_jax.cli import command

# Most of a test is compilation, and what is compiled runs once, on little: a third of the time to
# compile with a compiler that optimises little. XLA_FLAGS of one's own, even empty, replace these.
FLAGS = ["--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):  # later releases of XLA have only fast emitters
    FLAGS += [
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",  # parts repeat what they share
        "--xla_llvm_disable_expensive_passes=true",
    ]
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))  # read when the first array is made

# One core a test process: threads of scikit-learn that wait for a core burn what they wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

jax.config.update("jax_num_cpu_devices", 2)


ONE_RUN = tuple(
    f"tests/cli/test_{name}.py" for name in ("programs", "predict", "untested", "conventions")
)


class FilesOfOneRun(LoadFileScheduling):
    """A file's tests stay in one process, and so do the files that share a calibrated run."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "calibrated run" if file in ONE_RUN else file


def pytest_xdist_make_scheduler(config, log):
    return FilesOfOneRun(config, log) if config.getoption("dist") == "loadfile" else None


MAPS = Path("/proc/self/maps")
"""Of Linux: the memory maps of this process, at most 65,530 unless a machine says otherwise."""


@pytest.fixture(scope="module", autouse=True)
def forgets_programs():
    """A compiled program keeps memory maps; a process that has too many dies while it compiles."""
    yield
    if MAPS.exists() and MAPS.read_text().count("\n") > 20_000:
        jax.clear_caches()


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def data_folder() -> Path:
    folder = Path(os.environ.get("KGML_JAX_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set KGML_JAX_DATA")
    return folder


@pytest.fixture
def run_program(monkeypatch, capsys):
    """Runs a program as its command line would and returns (status, stdout, stderr)."""

    def run(module, config_type, *arguments):
        # The devices of this process are set already.
        monkeypatch.setattr(command, "use_cpu_cores", lambda count: None)
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            command.run(module.main, config_type)
        output = capsys.readouterr()
        return stop.value.code, output.out, output.err

    return run
