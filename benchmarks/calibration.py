"""What a step of calibrating a site costs: mapping modes, a Python loop, the plain backward pass.

`python benchmarks/calibration.py` prints milliseconds a site-step, all measured in one run.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from timing import report

from kgml_jax.adaptation import PRESETS
from kgml_jax.backend import use_cpu_cores
from kgml_jax.mapping import map_sites, pad_sites, site_mesh
from kgml_jax.models.features import DEFAULT_INPUTS, Scale, Scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import quantities
from kgml_jax.sites import Calendar, Site
from kgml_jax.training.fit import Descent, Settings
from kgml_jax.training.windows import FitData

TARGETS = ("GPP", "Ra", "Rh", "Reco", "NEE")
STEPS = 2


@dataclass(frozen=True)
class BenchmarkConfig:
    """Sizes of the measurement."""

    sites: tuple[int, ...] = (1, 16, 100)
    """Numbers of sites."""
    windows: int = 4
    """Site-years a step looks at."""
    days: int = 426
    """Days of a window, warm-up included."""
    hidden: int = 32
    """Width of the recurrent layers."""
    cores: int = 2
    """CPU devices; the mode "all devices" uses them all."""
    repeats: int = 5
    """Runs of each compiled function; the median counts."""


def random_windows(config: BenchmarkConfig, sites: int) -> Site:
    """Returns windows of random numbers, leaves (site, window, time)."""
    rng = np.random.default_rng(0)
    axes = (sites, config.windows, config.days)
    daily = lambda: rng.uniform(0, 1, axes).astype(np.float32)
    count = lambda: np.zeros(axes, np.int32)
    drivers = {name: daily() for name in quantities(Forcing)} | {"crop": count()}
    fixed = rng.uniform(0, 1, axes[:-1]).astype(np.float32)
    return Site(
        forcing=Forcing(**drivers),
        attributes=Attributes(**dict.fromkeys(quantities(Attributes), fixed)),
        targets={name: daily() for name in TARGETS},
        mask={name: daily() < 0.7 for name in TARGETS},
        uncertainty={name: daily() for name in TARGETS},
        calendar=Calendar(**{name: count() for name in quantities(Calendar)}),
        valid=np.ones(axes, bool),
        identity=np.zeros(axes[:-1], np.uint32),
        group=np.zeros(axes[:-1], np.int32),
    )


def random_data(config: BenchmarkConfig, sites: int) -> FitData:
    """Returns what fits see; validation is one window, so that steps dominate a round."""
    training = random_windows(config, sites)
    return FitData(
        training=training,
        training_count=np.full(sites, config.windows, np.int32),
        validation=jax.tree.map(lambda leaf: leaf[:, :1], training),
        validation_count=np.ones(sites, np.int32),
        identity=np.arange(sites, dtype=np.uint32),
    )


def make_descent(config: BenchmarkConfig, backward: str) -> Descent:
    """Returns FTBSC calibration of the default network."""
    neutral = lambda names: tuple(Scale(name, 0.0, 1.0) for name in names)
    scaling = Scaling(inputs=neutral(DEFAULT_INPUTS), targets=neutral(TARGETS))
    error = MaskedError(scales=tuple((name, 1.0) for name in TARGETS))
    settings = Settings(steps=10**6, validate_every=STEPS, patience=10**6)
    model = RecurrentModel(scaling=scaling, hidden=config.hidden, backward=backward)
    objective = Total(terms=(Term("error", error),))
    return Descent(model, objective, PRESETS["ftbsc"], settings)


def seconds_a_round(function: Callable[..., Any], arguments: tuple, repeats: int) -> float:
    """Returns the median time of a compiled round, warmed up and waited for."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_a_loop(one: Callable[..., Any], weights: Any, fits: list, data: list) -> list:
    """Advances one site after the other, as a user of a single-site program would."""
    return [one(weights, fit, own) for fit, own in zip(fits, data, strict=True)]


def measure(config: BenchmarkConfig, sites: int) -> list[dict[str, Any]]:
    """Measures all modes at one number of sites."""
    descent = make_descent(config, "fused")
    weights = descent.model.init(jax.random.key(0))
    data = pad_sites(random_data(config, sites), jax.local_device_count())
    held = len(data.identity)
    start = jax.vmap(lambda own: descent.init(weights, own, jax.random.key(0)))
    fits = jax.jit(start)(jax.tree.map(jnp.asarray, data))
    one_device, all_devices = site_mesh(jax.local_devices()[:1]), site_mesh()
    row = lambda tree, index: jax.tree.map(lambda leaf: leaf[index], tree)
    modes = {
        "lax.map, all devices": (descent, all_devices, 1),
        "lax.map, one device": (descent, one_device, 1),
        "vmap of 4, one device": (descent, one_device, 4),
        "vmap of all, one device": (descent, one_device, held),
        "lax.map, plain backward": (make_descent(config, "plain"), one_device, 1),
    }
    rows = []
    for name, (chosen, mesh, batch) in modes.items():
        function = jax.jit(map_sites(chosen.round, mesh, batch, shared=1))
        seconds = seconds_a_round(function, (weights, fits, data), config.repeats)
        rows.append({"sites": sites, "mode": name, "ms a site-step": 1e3 * seconds / STEPS / held})
    one = jax.jit(descent.round)
    loop = lambda *arguments: in_a_loop(one, *arguments)
    single = [row(fits, i) for i in range(held)], [row(data, i) for i in range(held)]
    seconds = seconds_a_round(loop, (weights, *single), config.repeats)
    rows.append(
        {"sites": sites, "mode": "Python loop", "ms a site-step": 1e3 * seconds / STEPS / held}
    )
    return rows


def main(config: BenchmarkConfig) -> None:
    """Measures, prints and writes the table, then the ratios that matter."""
    use_cpu_cores(config.cores)
    rows = [row for sites in config.sites for row in measure(config, sites)]
    report("calibration", rows)
    cost = {(row["sites"], row["mode"]): row["ms a site-step"] for row in rows}
    for sites in config.sites:
        plain = cost[sites, "lax.map, plain backward"] / cost[sites, "lax.map, one device"]
        loop = cost[sites, "Python loop"] / cost[sites, "lax.map, all devices"]
        print(
            f"{sites} sites: own backward pass {plain:.2f} times as fast as the plain one; "
            f"mapped over devices {loop:.2f} times as fast as a Python loop"
        )


if __name__ == "__main__":
    main(tyro.cli(BenchmarkConfig))
