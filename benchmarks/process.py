"""How fast the process model runs and compiles, forward and with its gradient.

`python benchmarks/process.py` prints site-years a second on all cores, the price of a gradient and
of its memory-saving variants, the memory they take, and how often batches of sites compile.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import AxisType, Mesh, PartitionSpec
from timing import Timing, measure, report

from kgml_jax import bijections
from kgml_jax.backend import use_cpu_cores
from kgml_jax.data.synthetic.drawing import Drawn, SyntheticConfig, draw
from kgml_jax.models.observables import NAMES
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import as_record, simulate, simulate_batches
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities

OUTPUTS = tuple(NAMES.values())
DRAWN = 16
"""Different sites; more are these again, as what a site holds does not change its cost."""
BATCHES = (1, 40, 64, 100)
"""Numbers of sites that one compilation has to serve."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Sizes of the measurement."""

    sites: tuple[int, ...] = (1, 16, 64, 256)
    """Numbers of sites simulated at once."""
    years: int = 18
    """Length of a record."""
    gradient_sites: int = 64
    """Sites whose gradient is taken."""
    segments: tuple[int, ...] = (73, 365)
    """Days that a nested backward pass recomputes together."""
    site_batch: int = 64
    """Sites of a batch in the test of compilations."""
    cores: int = 2
    """CPU devices."""
    repeats: int = 3
    """Runs of each compiled function; the median counts."""


def records(drawn: Drawn, count: int) -> tuple[Params, Attributes, Forcing]:
    """Returns `count` sites."""
    rows = np.arange(count) % len(drawn.names)
    parts = ((Params, drawn.parameters), (Attributes, drawn.attributes), (Forcing, drawn.forcing))
    params, attributes, forcing = (as_record(cls, arrays, rows) for cls, arrays in parts)
    return params, attributes, forcing


def row(what: str, sites: int, years: int, timing: Timing) -> dict[str, Any]:
    """Returns one line of the table."""
    return {
        "what": what,
        "sites": sites,
        "compile s": timing.compile_s,
        "run s": timing.median_s,
        "site-years a second": sites * years / timing.median_s,
        "temporary MB a device": timing.temporary_mb,
    }


def forward(config: BenchmarkConfig, drawn: Drawn) -> list[dict[str, Any]]:
    """Measures the forward run on all devices; one site runs on one."""
    rows = []
    for sites in config.sites:
        padded = sites + -sites % jax.local_device_count()
        run = lambda *arrays: simulate(*arrays, outputs=OUTPUTS)
        arrays = records(drawn, padded)
        days = jnp.full(padded, arrays[2].crop.shape[1])
        timing = measure(run, *arrays, days, repeats=config.repeats)
        rows.append(row("forward", sites, config.years, timing))
    return rows


def on_all_devices(one: Callable[..., Any]) -> Callable[..., Any]:
    """Maps a function of one site over sites, an equal share on each device."""
    mesh = Mesh(np.array(jax.local_devices()), ("site",), axis_types=(AxisType.Auto,))
    by_site = PartitionSpec("site")
    return jax.shard_map(
        jax.vmap(one), mesh=mesh, in_specs=by_site, out_specs=by_site, check_vma=False
    )


def gradients(config: BenchmarkConfig, drawn: Drawn) -> list[dict[str, Any]]:
    """Measures the value of a loss, and its gradient with the memory-saving variants."""
    sites = config.gradient_sites + -config.gradient_sites % jax.local_device_count()
    _, attributes, forcing = records(drawn, sites)
    offsets = {name: np.zeros(sites, np.float32) for name in quantities(Params)}

    def loss(model: ProcessModel) -> Callable[..., jax.Array]:
        squares = lambda day: [getattr(day, name) ** 2 for name in OUTPUTS]
        length = forcing.crop.shape[1]

        def of_site(offsets: Any, attributes: Attributes, forcing: Forcing) -> jax.Array:
            params = bijections.constrain_offsets(Params, offsets)
            return jnp.mean(jnp.stack(model.run(params, attributes, forcing, squares, length)))

        return of_site

    arguments = (offsets, attributes, forcing)
    value = measure(on_all_devices(loss(ProcessModel())), *arguments, repeats=config.repeats)
    rows = [row("value of a loss", sites, config.years, value)]
    variants = {"gradient": ProcessModel()} | {
        f"gradient, {days} days": ProcessModel(segment=days) for days in config.segments
    }
    for what, model in variants.items():
        both = on_all_devices(jax.value_and_grad(loss(model)))
        timing = measure(both, *arguments, repeats=config.repeats)
        rows.append(row(what, sites, config.years, timing))
    return rows


def compilations(config: BenchmarkConfig, drawn: Drawn) -> tuple[int, float]:
    """Returns how often batches of `BATCHES` sites compiled, and the rate of the last, warm."""
    counted: list[float] = []

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counted.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    rate = 0.0
    for count in BATCHES:
        rows = np.arange(count) % len(drawn.names)
        parameters, attributes, forcing = (
            {name: values[rows] for name, values in part.items()}
            for part in (drawn.parameters, drawn.attributes, drawn.forcing)
        )
        start = time.perf_counter()
        list(simulate_batches(parameters, attributes, forcing, OUTPUTS, config.site_batch))
        rate = count * config.years / (time.perf_counter() - start)
    return len(counted), rate


def main(config: BenchmarkConfig) -> None:
    """Measures, prints and writes the table, then the numbers that have a target."""
    use_cpu_cores(config.cores)
    drawn = draw(SyntheticConfig(sites=DRAWN, years=config.years, spin_up_years=0))
    compiled, rate = compilations(config, drawn)
    rows = forward(config, drawn) + gradients(config, drawn)
    report("process", rows)
    fastest = rows[len(config.sites) - 1]
    value, gradient = (line["run s"] for line in rows[len(config.sites) :][:2])
    print(
        f"{fastest['sites']} sites x {config.years} years: "
        f"{fastest['site-years a second']:.0f} site-years a second (target 1000)\n"
        f"compilation: {fastest['compile s']:.1f} s forward (target 10), "
        f"{compiled} for batches of {', '.join(map(str, BATCHES))} sites (target 1)\n"
        f"gradient at {config.gradient_sites} sites: {gradient / value:.1f} times the value "
        f"(target 5)\n"
        f"batches, warm, host included: {rate:.0f} site-years a second"
    )


if __name__ == "__main__":
    main(tyro.cli(BenchmarkConfig))
