"""What every netCDF file that is written must have, by own code and by the checker of IOOS."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

SAID = ("Conventions", "title", "source", "history", "code_version", "package_versions")
"""Global attributes of every file."""

OF_A_RUN = ("configuration_sha256", "data_fingerprint")

CHECKER = """
import sys, warnings
warnings.simplefilter("ignore")
from compliance_checker.base import BaseCheck
from compliance_checker.suite import CheckSuite
CheckSuite.load_all_available_checkers()
for path in sys.argv[1:]:
    suite = CheckSuite()
    found = suite.run_all(suite.load_dataset(path), ["cf:1.8"], [])
    for results, _ in found.values():
        for one in results:
            value = one.value if isinstance(one.value, tuple) else (int(one.value), 1)
            if one.weight == BaseCheck.HIGH and value[0] < value[1]:
                print(path, one.name, *one.msgs)
"""


needs_checker = pytest.mark.skipif(
    importlib.util.find_spec("compliance_checker") is None,
    reason="compliance-checker is not installed",
)


def grave_faults(paths: list[Path]) -> str:
    """What the checker holds to be of high priority; in a process of its own, as it brings another
    library of HDF5.
    """
    command = [sys.executable, "-c", CHECKER, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def assert_follows_conventions(path: Path, of_run: bool = True) -> None:
    """Asserts the essential rules on a file as it lies there, undecoded."""
    with xr.open_dataset(path, decode_cf=False) as file:
        for name in (*SAID, *(OF_A_RUN if of_run else ())):
            assert file.attrs.get(name), f"{path.name}: {name}"
        assert file.attrs["Conventions"] == "CF-1.8"
        bounds = {values.attrs.get("bounds") for values in file.variables.values()}
        for name, values in file.variables.items():
            if name not in bounds:
                assert_described(f"{path.name}: {name}", values)
        if "time" in file.dims:
            assert_time(file)


def assert_described(name: str, values: xr.Variable) -> None:
    about = values.attrs
    assert about.get("long_name"), name
    assert values.dtype.itemsize < 8 or values.dtype.kind not in "iu", name
    if "flag_meanings" in about:
        codes = about["flag_masks" if "flag_masks" in about else "flag_values"]
        assert codes.dtype == values.dtype, name
        assert len(np.atleast_1d(codes)) == len(about["flag_meanings"].split()), name
    elif values.dtype.kind in "fiu":
        assert "units" in about or "units_in_full" in about, name


def assert_time(file: xr.Dataset) -> None:
    time, edges = file["time"], file[file["time"].attrs["bounds"]]
    assert time.dims == ("time",)
    assert time.attrs["standard_name"] == "time"
    assert (np.diff(time) > 0).all()
    assert (edges[:, 0] <= time).all()
    # No day is left out and none is there twice.
    assert (edges[1:, 0].values == edges[:-1, 1].values).all()
