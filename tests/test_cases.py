"""Cases of input that were once misread; they lie in the folder that KGML_JAX_CASES names."""

import os
from pathlib import Path

import cases
import pytest

FOLDER = os.environ.get("KGML_JAX_CASES")


@pytest.mark.parametrize("name", cases.KNOWN)
def test_a_case_is_read_or_refused_as_is_right(name, tmp_path):
    if FOLDER is None:
        pytest.skip("KGML_JAX_CASES names no folder of cases")
    case = Path(FOLDER) / name
    if not case.is_dir():
        pytest.skip(f"{case} is not there")
    cases.KNOWN[name](cases.tried(case, tmp_path / name))
