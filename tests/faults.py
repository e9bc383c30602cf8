"""A campaign of faults: programs are killed in many ways, resumed, and compared with whole runs.

`python tests/faults.py` runs five programs on small synthetic sites, each once to its end, and then
again and again with kills at random times: SIGKILL, SIGTERM, Ctrl-C, the newest checkpoint cut or
with a changed byte after a kill, and a file system that takes no more. After every kill the same
command is given again. At the end each run must equal the undisturbed one to the bit.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import xarray as xr

from kgml_jax.training import digests

SMALL = ("--synthetic-sites", "4", "--synthetic-years", "4")
WAYS = ("kill", "terminate", "interrupt", "cut", "flip", "full")
UNLIKE = ("seconds", "finished_at", "history", "written_at", "provenance", "date_created")
"""What two equal runs differ in: times of the clock."""
LONGEST = 900
"""Seconds after which a program counts as hanging."""


@dataclass(frozen=True)
class Campaign:
    """What is tried."""

    kills: int = 50
    """Kills of all programs together."""
    programs: tuple[str, ...] = ("pretrain", "calibrate", "estimate", "simulate", "evaluate")
    """Which programs."""
    kills_a_run: int = 4
    """Kills of a run before it is let to its end."""
    seed: int = 0
    """Of times and ways."""
    folder: Path | None = None
    """Where the runs lie; None takes a temporary folder, deleted at the end."""


@dataclass
class Found:
    """What came out."""

    kills: int = 0
    resumes: int = 0
    differences: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Ends of processes that are not as promised."""
    lost: float = 0.0
    """Most seconds from the last checkpoint to a kill."""
    answered: float = 0.0
    """Most seconds from a signal to the end of the process."""
    checkpointing: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of checkpoints, and of the descents they are of."""


def command(program: str, run: Path, source: Path) -> list[str]:
    """Returns the command of a program that writes `run` and reads runs beside `source`."""
    base = [sys.executable, "-m", "kgml_jax.cli", program]
    options = {
        "pretrain": [*SMALL, "--steps", "150", "--hidden", "8", "--run", str(run)],
        "calibrate": [
            *("--from", str(source / "pretrain"), "--run", str(run)),
            *("--strategy", "ftbsc", "bias", "--steps", "60", "--refit"),
        ],
        "estimate": [
            *("--synthetic-sites", "2", "--synthetic-years", "3", "--spin-up-cycles", "0"),
            *("--run", str(run), "--parameters", "vcmax_multiplier", "curve_number"),
        ],
        "simulate": [*SMALL, "--out", str(run), "--site-batch", "1"],
        "evaluate": ["--from", str(source / "calibrate"), "--run", str(run)],
    }[program]
    plain = ["--no-figures"] if program != "simulate" else []
    often = ["--checkpoint-every", "0"] if program in ("pretrain", "calibrate", "estimate") else []
    return [*base, *options, *plain, *often]


def place(folder: Path, program: str, name: str) -> Path:
    """Returns where a run of a program lies."""
    return folder / name / (f"{program}.nc" if program == "simulate" else program)


def start(arguments: list[str], folder: Path, limited: bool = False) -> subprocess.Popen[str]:
    """Starts a program, with no room for large files if `limited`."""
    environment = os.environ | {
        # What is compiled runs once, on little: a third of the time to compile.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    return subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit if limited else None,
    )


def finish(arguments: list[str], folder: Path, found: Found) -> float:
    """Runs a program to its end and returns its seconds."""
    began = time.perf_counter()
    process = start(arguments, folder)
    said = process.communicate(timeout=LONGEST)[1]
    if process.returncode:
        found.wrong.append(f"{' '.join(arguments[3:])}: status {process.returncode}: {said[-300:]}")
    for line in said.splitlines():
        if "checkpoints took" in line:
            words = line.split()
            found.checkpointing.append((float(words[-5]), float(words[-2])))
    return time.perf_counter() - began


def disturb(
    way: str, arguments: list[str], folder: Path, after: float, progress: Path, found: Found
) -> None:
    """Starts a program and ends it in one of the `WAYS`."""
    process = start(arguments, folder, limited=way == "full")
    number = {"terminate": signal.SIGTERM, "interrupt": signal.SIGINT}.get(way, signal.SIGKILL)
    try:
        process.wait(LONGEST if way == "full" else after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    sent = time.time()
    said = process.communicate(timeout=LONGEST)[1]
    if process.returncode == 0:
        return  # it had ended before
    found.kills += 1
    if number != signal.SIGKILL:
        found.answered = max(found.answered, time.time() - sent)
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    expected = 2 if way == "full" else expected
    told = len(said.strip().splitlines()) if way == "full" else 1
    if process.returncode != expected or "Traceback" in said or told > 3:
        found.wrong.append(f"{way}: status {process.returncode}, not {expected}: {said[-500:]}")
    newest = [path.stat().st_mtime for path in progress.rglob("commit_success.txt")]
    if way == "kill" and newest:
        found.lost = max(found.lost, sent - max(newest))
    if way in ("cut", "flip"):
        damage(progress, way)


def damage(progress: Path, way: str) -> None:
    """Cuts the largest file of the newest checkpoint, or changes a byte in the middle of it."""
    whole = [path.parent for path in progress.rglob("commit_success.txt")]
    numbered = [path for path in whole if path.name.isdigit()]
    pieces = list(progress.glob("*.npz"))
    if not numbered and not pieces:
        return
    newest = max(numbered or pieces, key=lambda path: path.stat().st_mtime)
    files = [path for path in newest.rglob("*") if path.is_file()] or [newest]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    if way == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def differences(one: Path, other: Path) -> Iterator[str]:
    """Yields what differs between two runs, other than times of the clock."""
    if one.is_file():
        yield from _of_datasets(one, other)
        return
    names = lambda run: {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    written = {name for name in names(one) ^ names(other) if "/tree/" not in name}
    yield from (f"{name} is in one of the runs alone" for name in sorted(written))
    for path in sorted(one.rglob("*.nc")):
        yield from _of_datasets(path, other / path.relative_to(one))
    for path in sorted([*one.rglob("*.json"), *one.rglob("*.jsonl")]):
        if path.name not in ("config.json", "provenance.json", "_METADATA"):
            yield from _of_json(path, other / path.relative_to(one))


def _of_datasets(one: Path, other: Path) -> Iterator[str]:
    with xr.open_dataset(one) as a, xr.open_dataset(other) as b:
        if set(a.variables) != set(b.variables):
            yield f"{one.name}: other variables"
            return
        for name in a.variables:
            same = digests.of_named([("", _bytes(a[name]))]) == digests.of_named(
                [("", _bytes(b[name]))]
            )
            if not same and name not in UNLIKE:
                yield f"{one.name}: {name}"


def _bytes(array: xr.DataArray) -> np.ndarray:
    values = array.to_numpy()
    return values.astype("U") if values.dtype == object else values


def _of_json(one: Path, other: Path) -> Iterator[str]:
    read = lambda path: [json.loads(line) for line in path.read_text().splitlines()]
    if one.suffix == ".json":
        read = lambda path: json.loads(path.read_text())
    if _timeless(read(one)) != _timeless(read(other)):
        yield one.name


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        # Checksums of files that hold seconds; arrays have one of their own.
        unlike = (*UNLIKE, "header", "files")
        return {name: _timeless(item) for name, item in value.items() if name not in unlike}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def run(campaign: Campaign, say: Callable[[str], None] = print) -> Found:
    """Runs the campaign and returns what came out."""
    folder = campaign.folder or Path(tempfile.mkdtemp())
    found, chance = Found(), random.Random(campaign.seed)
    reference, seconds = folder / "reference", {}
    for program in ("pretrain", "calibrate", *campaign.programs):
        if program not in seconds:
            path = place(folder, program, "reference")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Twice: the second has nothing to compile, as those that are killed.
            for _ in range(2):
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True)
                seconds[program] = finish(command(program, path, reference), folder, found)
            say(f"{program}: {seconds[program]:.1f} s undisturbed")
    number = 0
    while found.kills < campaign.kills and not found.wrong:
        program = campaign.programs[number % len(campaign.programs)]
        _disturbed(campaign, folder, program, number, seconds[program], chance, found, say)
        number += 1
    if campaign.folder is None:
        shutil.rmtree(folder)
    return found


def _disturbed(
    campaign: Campaign,
    folder: Path,
    program: str,
    number: int,
    seconds: float,
    chance: random.Random,
    found: Found,
    say: Callable[[str], None],
) -> None:
    path = place(folder, program, f"disturbed-{number}")
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = command(program, path, folder / "reference")
    progress = path / "progress"
    if program == "simulate":
        progress = path.with_name(f".{path.name}.progress")
    ways = []
    for _ in range(campaign.kills_a_run):
        ways.append(chance.choice(WAYS))
        after = chance.uniform(0.2, 1.0) * seconds
        disturb(ways[-1], arguments, folder, after, progress, found)
        if path.exists() and not progress.exists() and _ended(path):
            break
        found.resumes += 1
    if not _ended(path):
        finish(arguments, folder, found)
    different = list(differences(place(folder, program, "reference"), path))
    found.differences += [f"{program} {number}: {one}" for one in different]
    for one in found.differences[-len(different) :] if different else ():
        say(one)
    say(f"{program} {', '.join(ways)}: {len(different)} differences, {found.kills} kills so far")
    shutil.rmtree(path.parent)


def _ended(path: Path) -> bool:
    if path.is_file():
        return True
    marker = path / "run.json"
    return marker.is_file() and json.loads(marker.read_text())["finished"]


def main(campaign: Campaign) -> None:
    """Runs the campaign, prints what came out, and fails where a promise is not kept."""
    found = run(campaign)
    for line in [*found.wrong, *found.differences]:
        print(line)
    spent, lasted = (sum(column) for column in zip(*found.checkpointing, strict=True))
    print(
        f"{found.kills} kills, {found.resumes} resumes, {len(found.differences)} differences, "
        f"{len(found.wrong)} wrong ends; at most {found.lost:.1f} s lost, {found.answered:.1f} s "
        f"to answer a signal; checkpoints after every round took {spent / lasted:.1%} of descents"
    )
    sys.exit(bool(found.wrong or found.differences))


if __name__ == "__main__":
    main(tyro.cli(Campaign))
