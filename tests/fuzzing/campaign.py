"""Cases, one after the other: a fresh folder, a damage, a reading, a verdict."""

import gc
import logging
import shutil
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

import hypothesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fuzzing import archive_damage, bytes_damage, table_damage
from fuzzing.archive_damage import RAN
from fuzzing.bytes_damage import Damage
from fuzzing.effects import Effect
from fuzzing.judgement import (
    FAULTS,
    FOREIGN,
    HANG,
    MEMORY,
    OTHER,
    REFUSED,
    Verdict,
    of_error,
    of_loaded,
)
from fuzzing.loaded import Loaded
from fuzzing.sources import Source
from kgml_jax.errors import DataError

LONGEST, LONGEST_WAIT = 20.0, 120.0
"""Seconds of computing, and of the clock, after which a reading hangs."""

UNSUSPICIOUS_MEMORY, MOST_PLAIN, MOST_PACKED = 2**27, 30, 450
"""What a reading may take beyond what was taken before it: 128 MiB, for libraries that are loaded
and the copies of a small table, and 30 times the size of the input. What is packed may unpack to
400 times its size (`kgml_jax.data.packed`) before it is refused."""

_ROOT = tempfile.TemporaryDirectory()


class Hanging(BaseException):
    """A reading takes too long; no Exception, which a reader might turn into an error."""


@dataclass
class Counts:
    """What came of the cases of one reader."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Damage, Verdict]] = field(default_factory=list)
    slowest: float = 0.0
    memory: float = 0.0
    """Most bytes that a reading took beyond those before it."""

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.outcomes.values())


def damages(source: Source) -> st.SearchStrategy[Damage]:
    """Returns what may be done to the input of a reader."""
    common = [bytes_damage.FLIPS, bytes_damage.BLOCKS, bytes_damage.TEXT, bytes_damage.ELSEWHERE]
    if source.columns:
        table = [
            table_damage.COLUMNS,
            table_damage.LINES,
            table_damage.SCALED,
            table_damage.CELLS,
            table_damage.LAYOUT,
        ]
        common += [*table, *table]
    if source.name == "fluxnet zip":
        common += [archive_damage.MEMBERS] * 2
    if source.name in ("csv", "fluxnet csv", "fluxdatakit"):
        common.append(archive_damage.PACKED)
    if source.name == "fluxnet csv":
        common.append(archive_damage.OVERLAPS)
    if source.name in ("sav", "torch", "torch legacy"):
        common += [archive_damage.HOSTILES] * 2
    return st.one_of(common)


def run(source: Source, cases: int, seed: int, keep: Path | None = None) -> Counts:
    """Runs cases of one reader.

    Args:
      source: the reader and its whole input.
      cases: how many.
      seed: of what is drawn.
      keep: folder in which the inputs of faults are kept.
    """
    counts = Counts()

    @hypothesis.seed(seed)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(damages(source))
    def tried(damage: Damage) -> None:
        verdict, seconds, memory = case(source, damage, keep)
        counts.outcomes[verdict.outcome] += 1
        counts.slowest = max(counts.slowest, seconds)
        counts.memory = max(counts.memory, memory)
        if verdict.outcome in FAULTS:
            counts.faults.append((damage, verdict))

    tried()
    return counts


def case(source: Source, damage: Damage, keep: Path | None = None) -> tuple[Verdict, float, float]:
    """Damages a whole input and reads it; returns the verdict, seconds, and bytes of memory."""
    original, before = whole(source)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        shutil.copytree(original.parent, folder)
        path = folder / original.name
        names = {file.name for file in folder.iterdir()} | {f"{path.name}.gz", str(folder)}
        effect = damage.apply(path, source)
        files = _listed(Path(place))
        with _measured() as measured:
            verdict = _read(source, folder, before, effect, names | {*before.sites} - {""})
        seconds, memory = measured
        if seconds > LONGEST:
            verdict = Verdict(HANG, f"{seconds:.0f} s")  # the signal met a callback
        if (folder / RAN).exists():
            verdict = Verdict(OTHER, "code of the input was run")
        elif _listed(Path(place)) != files:
            verdict = Verdict(OTHER, "the reader made or changed files")
        elif memory > _allowed(folder):
            size = sum(size for _, size in files)
            verdict = Verdict(MEMORY, f"{memory / 2**20:.0f} MiB of an input of {size} bytes")
        if keep is not None and verdict.outcome in FAULTS:
            kept = keep / f"{source.name} {abs(hash(damage))}"
            shutil.copytree(folder, kept, symlinks=True, ignore=_pipes, dirs_exist_ok=True)
    return verdict, seconds, memory


def _allowed(folder: Path) -> float:
    packed = any(file.suffix in (".gz", ".zip") for file in folder.iterdir())
    size = sum(size for _, size in _listed(folder))
    return UNSUSPICIOUS_MEMORY + (MOST_PACKED if packed else MOST_PLAIN) * size


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


@cache
def whole(source: Source) -> tuple[Path, Loaded]:
    """Returns the whole input, which stays until the end, and what the reader makes of it."""
    folder = Path(_ROOT.name) / source.name.replace(".", " ")  # sites.csv is looked for beside it
    folder.mkdir()
    path = source.write(folder)
    loaded = source.load(folder)
    assert not loaded.errors, loaded.errors
    return path, loaded


def _read(source: Source, folder: Path, before: Loaded, effect: Effect, names: set[str]) -> Verdict:
    with _heard() as heard:
        verdict = _ended(source, folder, before, effect, names)
        if source.name.startswith("zarr"):
            gc.collect(1)  # what fails in a task of asyncio is told when that is freed
    return Verdict(FOREIGN, heard[0]) if heard else verdict


def _ended(
    source: Source, folder: Path, before: Loaded, effect: Effect, names: set[str]
) -> Verdict:
    try:
        with _limited():
            after = source.load(folder)
    except DataError as error:
        verdict = of_error(error, names)
        if effect.must_load and verdict.outcome == REFUSED:
            return Verdict(OTHER, f"good content refused: {error}")
        return verdict
    except Hanging:
        return Verdict(HANG)
    except Exception as error:
        return Verdict(FOREIGN, f"{type(error).__name__}: {error}")
    return of_loaded(before, after, effect, source, names)


@contextmanager
def _limited() -> Iterator[None]:
    """Within, what computes or waits for too long is stopped."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hanging

    waiting = ((signal.SIGALRM, signal.ITIMER_REAL), (signal.SIGPROF, signal.ITIMER_PROF))
    handlers = [signal.signal(one, stop) for one, _ in waiting]
    signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        for (one, timer), handler in zip(waiting, handlers, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(one, handler)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Yields what libraries warn of and log within, which would stand on a user's screen."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(f"{record.name} logs {record.getMessage()}")
    logging.getLogger().addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield heard
        heard += [f"warning {one.category.__name__}: {one.message}" for one in warned]
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def _measured() -> Iterator[list[float]]:
    """Yields a list that afterwards holds seconds and bytes: 0 where the system does not tell."""
    status, peak = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    found: list[float] = []
    if status.exists():
        peak.write_text("5")
    first, start = _status(status, "VmRSS"), time.process_time()
    try:
        yield found
    finally:
        found += [time.process_time() - start, _status(status, "VmHWM") - first]


def _status(path: Path, name: str) -> float:
    if not path.exists():
        return 0.0
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return float(line.split()[1]) * 1024


def _listed(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(file), file.lstat().st_size) for file in folder.rglob("*"))
