"""What compiling a descent once saves: calibrations of the embedded sites, one after the other.

`python benchmarks/compiling.py` pretrains, then prints seconds of the wall clock, and of all cores
together, of each calibration in a row: a strategy, the same again, and two strategies that differ
in rate, steps and gate alone. All in one run, after one calibration of another kind.
"""

import time
from dataclasses import dataclass

import tyro
from timing import report

import kgml_jax
from kgml_jax.backend import use_cpu_cores

ROW = ("ftbsc", "ftbsc", "full", "site-only")
"""Strategies in their order; the last two share a program."""


@dataclass(frozen=True)
class CompilingConfig:
    """Sizes of the measurement; the defaults are those of a calibration of the embedded sites."""

    sites: int = 30
    """Synthetic sites."""
    years: int = 8
    """Years of each record."""
    steps: int = 120
    """Most steps a site takes."""
    pretrain_steps: int = 200
    """Steps of the pretraining before."""
    cores: int = 2
    """CPU devices."""


def main(config: CompilingConfig) -> None:
    """Calibrates, prints and writes the seconds, then the ratios that matter."""
    use_cpu_cores(config.cores)
    data = kgml_jax.divide(kgml_jax.synthetic_sites(config.sites, config.years))
    model = kgml_jax.make_model("recurrent", data)
    base = kgml_jax.pretrain(model, data, steps=config.pretrain_steps)
    kgml_jax.calibrate(base, data, "bias", steps=config.steps)
    rows = []
    for strategy in ROW:
        began, computed = time.perf_counter(), time.process_time()
        fits = kgml_jax.calibrate(base, data, strategy, steps=config.steps).fits
        wall, cores = time.perf_counter() - began, time.process_time() - computed
        steps = float("nan") if fits is None else float(fits.steps.mean())
        rows.append({"strategy": strategy, "s": wall, "s of all cores": cores, "steps": steps})
    report("compiling", rows)
    first, again = (row["s of all cores"] for row in rows[:2])
    print(f"The same again took {again / first:.2f} of the time of all cores of the first.")


if __name__ == "__main__":
    main(tyro.cli(CompilingConfig))
