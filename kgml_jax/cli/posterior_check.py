"""The check of `estimate` at few sites: draws from the posterior against the Gaussian."""

import time
from pathlib import Path

import jax
import numpy as np
import xarray as xr

from kgml_jax.cli import console
from kgml_jax.evaluation.tables import Grid, markdown, number
from kgml_jax.inversion.sampled_sites import Sampling, until_last_training_year
from kgml_jax.inversion.sampling import Comparison, Draws, NoUTurn, require_blackjax
from kgml_jax.inversion.sites import Estimates
from kgml_jax.models.hybrid import process_of
from kgml_jax.runs import files
from kgml_jax.sites import Sites
from kgml_jax.workflows.estimated import Estimated

LEAST_DRAWS = 50
"""Draws, and steps of warm-up, of a chain: 30 do not find the step size even of a Gaussian."""

CHAINS = 8
"""Chains side by side: on a CPU eight gradients at once cost little more than one."""

STEPS = (8, 16)
"""Gradients a draw takes where the Gaussian is about right: of eight chains the longest counts."""

MIXED = 1.05
"""R-hat above which the chains have not found each other and their moments say little."""

SHIFT, RATIO = 0.5, 1.5
"""Largest difference of means, in posterior sd, and of sd, as a factor, that count as agreement."""


def require(sites: int, draws: int) -> None:
    """Refuses a check that cannot be made, before anything else is done.

    Raises:
      ValueError: a size is too small.
      ImportError: blackjax is not installed.
    """
    if sites < 0 or draws < LEAST_DRAWS:
        raise ValueError(
            f"--check-sites {sites} --check-draws {draws}; expected at least 0 and {LEAST_DRAWS}"
        )
    if sites:
        require_blackjax()


def chosen(found: Estimates, sites: Sites, count: int) -> list[int]:
    """Returns the rows of the first `count` sites by identity whose estimate was kept."""
    order = np.argsort(np.asarray(sites.site.identity), kind="stable")
    return [int(row) for row in order if found.accepted[row]][:count]


def run(folder: Path, fitted: Estimated, count: int, draws: int, seed: int) -> None:
    """Samples some sites, prints the comparison, and adds it to what the run has written.

    Args:
      folder: of the run.
      fitted: whose posterior is checked.
      count: sites to sample.
      draws: kept of each chain, after as many of warm-up.
      seed: of the chains.
    """
    rows = chosen(fitted.found, fitted.data.sites, count)
    if len(rows) < count:
        console.warn(f"the estimate was kept at {len(rows)} sites; no other is checked")
    if not rows:
        return
    task = sampling(fitted, rows, draws)
    announce(task)
    began = time.perf_counter()
    drawn, comparison = task.draw(jax.random.key(seed))
    seconds = time.perf_counter() - began
    compared = table(task, drawn, comparison)
    path = folder / "parameters.nc"
    with xr.open_dataset(path) as written:
        before = written.load()
    files.write_dataset(path, xr.merge([before, compared], join="left"))
    report(folder, grid(compared, drawn, seconds))


def sampling(fitted: Estimated, rows: list[int], draws: int) -> Sampling:
    """Returns what is sampled at the chosen rows of the estimates."""
    found, sampled = fitted.found, fitted.informing.take(rows)
    process = process_of(found.problem.model)
    cycled = process.spin_up_days if process.spin_up_cycles else 0
    return Sampling(
        problem=found.problem,
        weights=fitted.weights,
        data=until_last_training_year(sampled, cycled),
        base=found.base[rows],
        offsets=found.offsets[rows],
        posterior=jax.tree.map(lambda leaf: leaf[rows], fitted.known.posterior),
        sampler=NoUTurn(CHAINS, warmup=draws, draws=draws),
    )


def announce(task: Sampling) -> None:
    """Measures a gradient and says how long sampling will take."""
    seconds, sampler = task.gradient_seconds(), task.sampler
    steps = sampler.warmup + sampler.draws
    low, high = (steps * each * task.rounds * seconds / 60 for each in STEPS)
    console.say(
        f"Checking the posterior of {', '.join(task.data.sites.names)} by NUTS: "
        f"{sampler.chains} chains of {sampler.warmup} + {sampler.draws} draws. A gradient of all "
        f"chains takes {seconds:.2f} s and a draw {STEPS[0]} to {STEPS[1]} of them where the "
        f"Gaussian is about right: {low:.0f} to {high:.0f} minutes, more where it is not, and a "
        "minute to compile."
    )


def table(task: Sampling, draws: Draws, comparison: Comparison) -> xr.Dataset:
    """Returns the comparison, dims (site, parameter), of the sites that were sampled."""
    both = ("site", "parameter")
    columns = {
        "sampled_mean_shift": (
            comparison.mean_shift,
            "mean of draws minus estimate, in posterior sd, unbounded space",
        ),
        "sampled_mean_shift_error": (comparison.mean_shift_error, "its Monte Carlo error"),
        "sampled_sd_ratio": (comparison.sd_ratio, "posterior sd over that of draws, unbounded"),
        "sampled_rhat": (draws.rhat, "rank-normalised split R-hat of the draws"),
        "sampled_effective_draws": (draws.effective_draws, "bulk effective sample size"),
    }
    compared = xr.Dataset(
        {
            name: (both, np.asarray(values, np.float32), {"long_name": text})
            for name, (values, text) in columns.items()
        },
        coords={"site": list(task.data.sites.names), "parameter": list(task.problem.names)},
    )
    compared["sampled_divergent"] = ("site", np.asarray(draws.divergent, np.float32))
    return compared


def grid(compared: xr.Dataset, draws: Draws, seconds: float) -> Grid:
    """Tabulates how far the Gaussian is from the draws, over the sites that were sampled."""
    rows = []
    for name in compared["parameter"].values:
        sampled = compared.sel(parameter=name)
        rows.append(
            (
                str(name),
                _range(sampled["sampled_mean_shift"]),
                number(float(sampled["sampled_mean_shift_error"].max())),
                _range(sampled["sampled_sd_ratio"]),
                number(float(sampled["sampled_rhat"].max())),
                number(float(sampled["sampled_effective_draws"].min())),
            )
        )
    mixed, agree = agreement(compared)
    divergent, gradients = float(np.mean(draws.divergent)), float(np.mean(draws.gradients))
    named = ", ".join(compared["site"].values)
    title = (
        f"NUTS against the Gaussian posterior, unbounded space, {compared.sizes['site']} sites "
        f"({named}): chains mixed for {mixed:.0%} of parameters (R-hat up to {MIXED}) and agree "
        f"with the Gaussian for {agree:.0%} (mixed, means within {SHIFT} posterior sd, sd within a "
        f"factor of {RATIO}); {divergent:.1%} of draws diverged; {gradients:.0f} gradients a site; "
        f"{seconds:.0f} s. Ranges are over sites"
    )
    columns = (
        "parameter",
        "mean of draws - estimate, sd",
        "Monte Carlo error",
        "Gaussian sd / sd of draws",
        "largest R-hat",
        "least effective draws",
    )
    return Grid(title, columns, tuple(rows), 1)


def agreement(compared: xr.Dataset) -> tuple[float, float]:
    """Returns the shares of parameters and sites whose chains have mixed, and agree as well."""
    mixed = compared["sampled_rhat"] <= MIXED
    near = np.abs(compared["sampled_mean_shift"]) <= SHIFT
    alike = np.abs(np.log(compared["sampled_sd_ratio"])) <= np.log(RATIO)
    return float(mixed.mean()), float((mixed & near & alike).mean())


def report(folder: Path, checked: Grid) -> None:
    """Prints the table and adds it to `tables.md`."""
    console.show([checked])
    with (folder / "tables.md").open("a") as file:
        file.write("\n" + markdown(checked))


def _range(values: xr.DataArray) -> str:
    low, high = float(values.min()), float(values.max())
    return number(low) if values.size == 1 else f"{number(low)} to {number(high)}"
