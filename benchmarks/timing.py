"""Timing of compiled functions: compiling apart from running, and waiting for the device."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from kgml_jax.writing import write_text

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """Seconds to compile a function once, and the median and 90th percentile of running it."""

    compile_s: float
    median_s: float
    p90_s: float
    temporary_mb: float
    """Memory of a device beyond arguments and results, as the compiler plans it."""


def measure(function: Callable[..., Any], *args: Any, repeats: int = 20) -> Timing:
    """Times `jax.jit(function)(*args)`, after one warm-up run."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    compile_s = time.perf_counter() - start
    jax.block_until_ready(compiled(*args))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        seconds.append(time.perf_counter() - start)
    p90_s = statistics.quantiles(seconds, n=10, method="inclusive")[-1]
    planned = compiled.memory_analysis()
    temporary_mb = planned.temp_size_in_bytes / 1e6 if planned is not None else float("nan")
    return Timing(compile_s, statistics.median(seconds), p90_s, temporary_mb)


def report(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Prints `rows` as a table and writes them to `results/<name>.json`.

    Args:
      name: of the benchmark, the stem of the file.
      rows: one mapping a measurement, all with the same keys.

    Returns:
      The file, which also holds the kind of device, the version of jax and the commit.
    """
    table = Table(title=f"{name} ({', '.join(_origin().values())})")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    Console().print(table)
    return write(name, rows)


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes what `report` writes, without printing it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {**_origin(), "rows": [dict(row) for row in rows]}
    write_text(path, json.dumps(content, indent=2) + "\n")
    return path


def _origin() -> dict[str, str]:
    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "jax": jax.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "no commit"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
