"""The wheel by itself, in an environment with nothing but what it requires."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RELOAD = """
import kgml_jax, numpy, sys, xarray
from pathlib import Path
assert "site-packages" in kgml_jax.__file__, kgml_jax.__file__
again = kgml_jax.load(sys.argv[1])
sites = kgml_jax.synthetic_sites(sites=3, years=4)
fluxes = kgml_jax.predict(again, sites)
fluxes.to_netcdf("fluxes.nc")
with xarray.open_dataset("fluxes.nc") as stored:
    numpy.testing.assert_array_equal(stored["NEE"], fluxes["NEE"])
    assert stored["NEE"].attrs["units"] == "g m-2 d-1"
    assert stored.indexes["time"].equals(fluxes.indexes["time"])
    assert list(stored["site"].values) == list(sites.names)
for name in ("h5netcdf", "h5py", "zarr", "pyarrow", "matplotlib", "sklearn", "pytest"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise AssertionError(f"{name} is here, but is no requirement")
"""


def example():
    """The lines under "In Python" in the README."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"^## In Python$.*?^```python\n(.*?)^```$", readme, re.M | re.S)
    assert block, "README has no python block under '## In Python'"
    return block[1]


def run(*command, where):
    # Without the paths of this process: what is not in the wheel must not be found.
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(where)}
    result = subprocess.run(
        [str(part) for part in command], cwd=where, env=clean, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder outside the checkout, with `bin/` of an environment that holds the wheel alone."""
    place = tmp_path_factory.mktemp("elsewhere")
    venv.create(place / "environment", with_pip=True)
    pip = [place / "environment" / "bin" / "pip", "install", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True, cwd=place)
    return place


@pytest.mark.tutorial
def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"kgml_jax"}
    assert "kgml_jax/api/__init__.py" in names
    parts = {part for name in names for part in name.split("/")}
    assert not parts & {"tests", "experiments", "studies", "benchmarks", "docs"}
    assert not [part for part in parts if part.startswith("test_")]


@pytest.mark.tutorial
def test_the_command_is_installed_with_the_wheel(installed):
    command = installed / "environment" / "bin" / "kgml-jax"
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run(command, "--version", where=installed))
    assert "calibrate" in run(command, "--help", where=installed)
    assert "--strategy" in run(command, "calibrate", "--help", where=installed)


@pytest.mark.tutorial
def test_the_ten_lines_of_the_readme_run_from_the_wheel_and_are_loaded_again(installed):
    text = example()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 10
    (folder,) = re.findall(r'kgml_jax\.save\(\w+, "(.+?)"\)', text)
    python = installed / "environment" / "bin" / "python"
    printed = run(python, "-c", text, where=installed)
    assert "NEE" in printed
    run(python, "-c", RELOAD, folder, where=installed)
