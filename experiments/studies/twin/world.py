"""Twin sites: true parameters drawn from the prior, simulated, and observed as a tower would."""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from kgml_jax.adaptation import shifted_parameters
from kgml_jax.data.assemble import LEAST_UNCERTAINTY, assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, observation, per_site
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.sites import Sites
from kgml_jax.training.predict import predict_sites

MODEL = ProcessModel(observables=("yield", "soil_carbon_stock"))
"""Makes the truth, and is what is calibrated: the twin has no error of structure."""

OBSERVED_AS = {
    "NEE": "NEE",
    "ET": "ET",
    "Reco": "Reco",
    "Rh": "Rh",
    "yield": "grain_yield",
    "soil_carbon_stock": "soil_carbon_stock",
}
"""Observed variables, and the names under which `observation.NOISE` knows their errors."""


@dataclass(frozen=True)
class Twins:
    """Sites whose parameters are known.

    Attributes:
      sites: weather, management, soils; no targets.
      truth: offsets of the true parameters from their priors, (site, parameter).
      fluxes: true daily values by variable, (site, time).
      scored: days that may be observed, bool (site, time): those after the first years.
    """

    sites: Sites
    truth: np.ndarray
    fluxes: dict[str, np.ndarray]
    scored: np.ndarray


def make_twins(
    count: int,
    years: int,
    unobserved_years: int,
    seed: int,
    names: tuple[str, ...],
    prior_sd: tuple[float, ...],
) -> Twins:
    """Draws sites and their true parameters, and simulates them.

    Args:
      count: number of sites, in Illinois, Iowa and Indiana.
      years: that may be observed.
      unobserved_years: before them; in these litter and soil water find their balance.
      seed: of soils, weather, management and truth.
      names: parameters whose truth is drawn; the others have their priors.
      prior_sd: standard deviations of their offsets in unbounded space.
    """
    length = years + unobserved_years
    world = generate(
        SyntheticConfig(sites=count, years=length, seed=seed, spread=0.0, spin_up_years=0),
        simulate_sites,
    )
    sites = assemble(per_site(world), targets=())
    random = [np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in sites.names]
    truth = np.stack([stream.normal(size=len(names)) for stream in random]) * np.array(prior_sd)
    adaptation, phi = shifted_parameters(names, truth.astype(np.float32))
    weights = MODEL.init(None)  # type: ignore[arg-type]
    fluxes = predict_sites(MODEL, weights, sites, adaptation, phi, site_batch=32)
    year = np.asarray(sites.site.calendar.year_index)
    return Twins(sites, truth, fluxes, scored=(year >= unobserved_years) & sites.site.valid)


def observe(twins: Twins, noisy: bool, seed: int) -> Sites:
    """Returns the sites with observations of `OBSERVED_AS`.

    Args:
      twins: the truth.
      noisy: whether values have random errors and gaps of 30 to 60 % of the days; without, every
        day is seen as it is. The uncertainty that is stated is the same.
      seed: of errors and gaps.
    """
    rows = [_observed(twins, row, noisy, seed) for row in range(len(twins.sites))]
    parts = {
        part: {name: np.stack([row[name][place] for row in rows]) for name in OBSERVED_AS}
        for place, part in enumerate(("targets", "mask", "uncertainty"))
    }
    return replace(twins.sites, site=twins.sites.site.replace(**parts))  # type: ignore[attr-defined]


def _observed(
    twins: Twins, row: int, noisy: bool, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    # Value, mask and uncertainty of every variable of one site, (time,).
    site, name = twins.sites.site, twins.sites.names[row]
    dates = np.asarray(site.calendar.date)[row].astype("datetime64[D]")
    scored = twins.scored[row]
    first = int(np.argmax(scored))
    occasions = {
        known: np.pad(days, (first, 0))
        for known, days in observation.occasions(
            dates[first:], np.asarray(site.forcing.harvest)[row, first:]
        ).items()
    }
    true = {
        known: twins.fluxes[variable][row].astype(float) for variable, known in OBSERVED_AS.items()
    }
    random = np.random.default_rng([seed, zlib.crc32(f"{name} observed".encode())])
    seen = observation.observe(random, true, occasions, noise=noisy, gaps=noisy)
    found = {}
    for variable, known in OBSERVED_AS.items():
        mask = np.isfinite(seen[known]) & scored
        spread = np.maximum(observation.NOISE[known].sd(true[known]), LEAST_UNCERTAINTY)
        values = np.where(mask, seen[known], 0.0).astype(np.float32)
        found[variable] = values, mask, np.where(mask, spread, 1.0).astype(np.float32)
    return found
