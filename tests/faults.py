"""A campaign of faults: programs are killed in many ways, resumed, and compared with whole runs.

`python tests/faults.py` runs five programs on small synthetic sites, each once to its end, and then
again and again with kills at random times: SIGKILL, SIGTERM, Ctrl-C, the newest checkpoint cut or
with a changed byte after a kill, and a file system that takes no more. After every kill the same
command is given again. At the end each run must equal the undisturbed one to the bit.
"""

import json
import os
import random
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
TIMES = (0.2, 1.0)
"""When a run is killed, as a share of the time that it takes undisturbed."""
UNLIKE = ("seconds", "finished_at", "history", "written_at", "provenance", "date_created")
"""What two equal runs differ in: times of the clock."""
LONGEST = 900
"""Seconds after which a program counts as hanging."""


LIMITED = """
import os, resource, sys
room = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program it is given, which can write no larger file."""


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


@dataclass(frozen=True)
class Kill:
    """One of the `WAYS` to end a run."""

    way: str
    after: float
    """Seconds until then."""
    room: int
    """Bytes that a file may hold where there is no room."""


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
    rare: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of checkpoints of one a second at most, and of the descents they are of."""
    often: list[tuple[float, float]] = field(default_factory=list)
    """The same of a checkpoint after every round."""


def command(program: str, run: Path, source: Path, often: bool = True) -> list[str]:
    """Returns the command of a program that writes `run` and reads runs beside `source`.

    Args:
      program: the program.
      run: what it writes.
      source: folder of the runs it reads.
      often: it keeps its state after every round, else once a second at most.
    """
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
    in_rounds = program in ("pretrain", "calibrate", "estimate")
    seconds = "0" if often else "1"
    return [*base, *options, *plain, *(["--checkpoint-every", seconds] if in_rounds else [])]


def place(folder: Path, program: str, name: str) -> Path:
    """Returns where a run of a program lies."""
    return folder / name / (f"{program}.nc" if program == "simulate" else program)


def start(arguments: list[str], folder: Path, room: int | None = None) -> subprocess.Popen[str]:
    """Starts a program that can write no file of more than `room` bytes, if given."""
    environment = os.environ | {
        # What is compiled runs once, on little: a third of the time to compile.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # reading that cache, XLA prints thousands of bytes
    }
    if room is not None:
        arguments = [sys.executable, "-c", LIMITED, str(room), *arguments]
    return subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(
    arguments: list[str], folder: Path, found: Found, spent: list[tuple[float, float]]
) -> float:
    """Runs a program to its end, adds to `spent`, and returns its seconds."""
    began = time.perf_counter()
    process = start(arguments, folder)
    said = process.communicate(timeout=LONGEST)[1]
    if process.returncode:
        found.wrong.append(f"{' '.join(arguments[3:])}: status {process.returncode}: {said[-300:]}")
    for line in said.splitlines():
        if "checkpoints took" in line:
            words = line.split()
            spent.append((float(words[-5]), float(words[-2])))
    return time.perf_counter() - began


def disturb(
    kill: Kill, arguments: list[str], folder: Path, run: Path, progress: Path, found: Found
) -> None:
    """Starts a program and ends it."""
    way, full = kill.way, kill.way == "full"
    process = start(arguments, folder, kill.room if full else None)
    number = {"terminate": signal.SIGTERM, "interrupt": signal.SIGINT}.get(way, signal.SIGKILL)
    try:
        said = process.communicate(timeout=LONGEST if full else kill.after)[1]
        sent, answers = time.time(), True
    except subprocess.TimeoutExpired:
        answers = number == signal.SIGKILL or _answers(process.pid)
        process.send_signal(number)
        sent = time.time()
        said = process.communicate(timeout=LONGEST)[1]
    if process.returncode == 0 or not answers or (process.returncode == -number and _ended(run)):
        return  # all was done before, or nothing begun
    found.kills += 1
    if number != signal.SIGKILL:
        found.answered = max(found.answered, time.time() - sent)
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    expected = 2 if full else expected
    told = said.count("error: ") if full else 1
    if process.returncode != expected or "Traceback" in said or told != 1:
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
            for often, spent in ((True, found.often), (False, found.rare)):
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True)
                arguments = command(program, path, reference, often)
                seconds[program] = finish(arguments, folder, found, spent)
            say(f"{program}: {seconds[program]:.1f} s undisturbed")
    number, ways = 0, {program: _ways(chance) for program in campaign.programs}
    while found.kills < campaign.kills and not found.wrong:
        program = campaign.programs[number % len(campaign.programs)]
        path = place(folder, program, f"disturbed-{number}")
        kills = [
            Kill(next(ways[program]), chance.uniform(*TIMES) * seconds[program], _room(chance))
            for _ in range(campaign.kills_a_run)
        ]
        _disturbed(folder, program, path, kills, found, say)
        number += 1
    if campaign.folder is None:
        shutil.rmtree(folder)
    return found


def _ways(chance: random.Random) -> Iterator[str]:
    """Yields ways without end; each of them comes as often as any other."""
    while True:
        yield from chance.sample(WAYS, len(WAYS))


def _room(chance: random.Random) -> int:
    return int(10 ** chance.uniform(4, 6))


def _disturbed(
    folder: Path,
    program: str,
    path: Path,
    kills: list[Kill],
    found: Found,
    say: Callable[[str], None],
) -> None:
    """Kills a run again and again, and compares how it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = command(program, path, folder / "reference")
    progress = path / "progress"
    if program == "simulate":
        progress = path.with_name(f".{path.name}.progress")
    done = []
    for kill in kills:
        done.append(kill.way)
        disturb(kill, arguments, folder, path, progress, found)
        if path.exists() and not progress.exists() and _ended(path):
            break
        found.resumes += 1
    if not _ended(path):
        finish(arguments, folder, found, found.often)
    different = list(differences(place(folder, program, "reference"), path))
    found.differences += [f"{program} in {path}: {one}" for one in different]
    for one in different:
        say(one)
    say(f"{program} {', '.join(done)}: {len(different)} differences, {found.kills} kills so far")
    shutil.rmtree(path.parent)


def _answers(process: int) -> bool:
    """Whether a process answers signals itself: not while it imports, nor when all is done."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _ended(path: Path) -> bool:
    if path.is_file():
        return True
    marker = path / "run.json"
    return marker.is_file() and json.loads(marker.read_text())["finished"]


def _share(spent: list[tuple[float, float]]) -> float:
    return sum(seconds for seconds, _ in spent) / sum(lasted for _, lasted in spent)


def main(campaign: Campaign) -> None:
    """Runs the campaign, prints what came out, and fails where a promise is not kept."""
    found = run(campaign)
    for line in [*found.wrong, *found.differences]:
        print(line)
    print(
        f"{found.kills} kills, {found.resumes} resumes, {len(found.differences)} differences, "
        f"{len(found.wrong)} wrong ends; at most {found.lost:.1f} s lost, {found.answered:.1f} s "
        f"to answer a signal; of descents, a checkpoint a second takes "
        f"{_share(found.rare):.1%}, after every round {_share(found.often):.1%}"
    )
    sys.exit(bool(found.wrong or found.differences))


if __name__ == "__main__":
    main(tyro.cli(Campaign))
