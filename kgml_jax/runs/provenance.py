"""Where results come from: configuration, code, packages and data, as each file says it.

A program keeps it once, in `provenance.json` of its run directory; whatever is written below that
folder carries it too, netCDF in attributes and JSON in an entry.
"""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

FILE = "provenance.json"
ENTRY = "provenance"
"""Name of the entry of JSON files."""

PACKAGES = ("kgml_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray")

CHUNK = 1 << 20
"""Bytes of a file hashed at once."""


def gathered(configuration: Mapping[str, Any], free: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what is known when a program starts.

    Args:
      configuration: its options as JSON values.
      free: options that do not count: where is written, not what.
    """
    counted = {name: value for name, value in configuration.items() if name not in free}
    text = json.dumps(counted, sort_keys=True)
    return {
        "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "configuration": hashlib.sha256(text.encode()).hexdigest(),
        "code": code(),
        "versions": versions(),
        "data": {},
    }


@cache
def code() -> str:
    """Returns the git commit of the checkout this runs from, else the version of the package.

    A commit ends in `-dirty` where a file that git tracks was changed since.
    """
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # The package may be installed inside of a checkout of something else.
        git("ls-files", "--error-unmatch", here.name)
        return f"git {git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')}"
    except (OSError, subprocess.CalledProcessError):
        return f"version {version('kgml_jax')}"


def versions() -> dict[str, str]:
    """Returns the versions of the packages that numbers depend on."""
    return {name: version(name) for name in PACKAGES}


def of_files(paths: Sequence[Path]) -> dict[str, str]:
    """Returns the SHA-256 of files, by their paths as given; of folders those of all files in them.

    A file that cannot be read has none.
    """
    found = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found |= {str(one): _sha256(one) for one in inside if one.is_file()}
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def of_run(path: Path) -> dict[str, Any] | None:
    """Returns the provenance of the run that a path lies in; None if it lies in none.

    A run of an earlier version keeps none.
    """
    for folder in path.resolve().parents:
        if (folder / FILE).is_file():
            return json.loads((folder / FILE).read_text())
        if (folder / "config.json").is_file():
            return None
    return None


def short(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns what every file says: of many data files one fingerprint; without a run the code."""
    if found is None:
        return {"code": code(), "versions": versions()}
    data = dict(found["data"])
    files = data.pop("files", None)
    if files:
        # By name alone: data may lie elsewhere the next time.
        text = json.dumps(sorted((Path(name).name, digest) for name, digest in files.items()))
        data["files"] = f"{len(files)}, sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    return {**found, "data": data}


def attributes(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the same as attributes of a netCDF file, which hold text."""
    said = short(found)
    result = {
        "code_version": said["code"],
        "package_versions": ", ".join(f"{name} {one}" for name, one in said["versions"].items()),
    }
    if found is not None:
        result["history"] = f"{said['made']} {said['command']}"
        result["configuration_sha256"] = said["configuration"]
        result["data_fingerprint"] = "; ".join(
            f"{name}: {value}" for name, value in said["data"].items()
        )
    return {name: text for name, text in result.items() if text}
