"""The process model by itself: the uncalibrated baseline, and what generates synthetic truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax import bijections, integrate
from kgml_jax.adaptation import Weights
from kgml_jax.process import ecosystem
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes, Params
from kgml_jax.records import Field, quantities
from kgml_jax.sites import Site

NAMES = {
    "GPP": "gross_primary_productivity",
    "Ra": "autotrophic_respiration",
    "Rh": "heterotrophic_respiration",
    "Reco": "ecosystem_respiration",
    "NEE": "net_ecosystem_exchange",
    "ET": "evapotranspiration",
}
"""Fields of the process model's fluxes by the names of the variables they predict."""

GRAIN = "grain_carbon"
"""Carbon exported with grain, g C m-2 d-1: beside the variables, what `simulate_sites` returns."""


@dataclass(frozen=True)
class ProcessModel:
    """The process model with parameters that differ from their priors by unbounded offsets.

    Attributes:
      spin_up_cycles: passes through the first days of the record before it starts; 0 starts from
        the site's attributes alone. No gradient flows through them.
      spin_up_days: length of a pass; the default is a whole corn-soybean rotation.
      segment: days that the backward pass recomputes together; see `integrate.rollout`.
    """

    spin_up_cycles: int = 0
    spin_up_days: int = 730
    segment: int | None = None

    def init(self, key: jax.Array) -> Weights:
        """Returns the priors: zero offsets, whatever the key."""
        zero = jnp.zeros((), jnp.result_type(float))
        return {"process": dict.fromkeys(quantities(Params), zero)}

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns daily fluxes of one site, each of shape (time,), in physical units.

        Args:
          weights: nested dict as from `init`.
          site: one site; only forcing and attributes are read.
          key: not used.
        """
        params = bijections.constrain_offsets(Params, weights["process"])  # type: ignore[arg-type]
        state = ecosystem.initial_state(params, site.attributes)
        step = lambda state, day: ecosystem.step(params, site.attributes, state, day)
        if self.spin_up_cycles:
            first = jax.tree.map(lambda leaf: leaf[: self.spin_up_days], site.forcing)
            state = integrate.spin_up(step, state, first, self.spin_up_cycles)
        _, fluxes = integrate.rollout(step, state, site.forcing, self.segment)
        return _named(fluxes)


def simulate_sites(
    parameters: Mapping[str, np.ndarray],
    attributes: Mapping[str, np.ndarray],
    forcing: Mapping[str, np.ndarray],
    site_batch: int = 32,
) -> dict[str, np.ndarray]:
    """Runs the process model at many sites, from the state their attributes imply.

    Args:
      parameters: fields of `Params` in physical units, each of shape (site,).
      attributes: fields of `Attributes`, each of shape (site,).
      forcing: all fields of `Forcing`, each of shape (site, time).
      site_batch: sites simulated at once; bounds memory.

    Returns:
      Daily fluxes by name, and `grain_carbon`, each of shape (site, time).
    """
    records = (
        _as_record(Params, parameters),
        _as_record(Attributes, attributes),
        _as_record(Forcing, forcing),
    )
    count = len(next(iter(parameters.values())))
    size = min(site_batch, count)
    parts = []
    for start in range(0, count, size):
        # The last batch is filled up with the last site, so that all have one compiled shape.
        rows = np.minimum(np.arange(start, start + size), count - 1)
        batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], records)
        parts.append(jax.tree.map(np.asarray, _simulate_batch(*batch)))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


@jax.jit
def _simulate_batch(params: Params, attributes: Attributes, forcing: Forcing) -> dict[str, Field]:
    return jax.vmap(_simulate)(params, attributes, forcing)


def _simulate(params: Params, attributes: Attributes, forcing: Forcing) -> dict[str, Field]:
    def day(state: Any, drivers: Forcing) -> tuple[Any, dict[str, Field]]:
        state, fluxes = ecosystem.step(params, attributes, state, drivers)
        return state, _named(fluxes) | {GRAIN: fluxes.grain_carbon_harvested}

    _, fluxes = jax.lax.scan(day, ecosystem.initial_state(params, attributes), forcing)
    return fluxes


def _named(fluxes: Fluxes) -> dict[str, Field]:
    return {name: getattr(fluxes, field) for name, field in NAMES.items()}


def _as_record(cls: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    real, whole = np.dtype(jnp.result_type(float)), np.dtype(jnp.result_type(int))
    as_stored = lambda v: v.astype(whole if np.issubdtype(v.dtype, np.integer) else real)
    return cls(**{name: as_stored(np.asarray(arrays[name])) for name in quantities(cls)})
