import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(scope="module", autouse=True)
def fresh_traces():
    """Forgets what other modules traced.

    JAX keeps a NumPy constant of a function as it was converted first: after a test in float32, the
    same function in float64 would meet a float32 constant (jax 0.10.1, 0.12.0.1). Afterwards too:
    fixtures of the session are set up before those of the module that first asks for them.
    """
    jax.clear_caches()
    yield
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
