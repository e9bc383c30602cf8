"""Predictions of many sites, each with its own adaptation, as NumPy arrays."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgml_jax.adaptation import Adaptation, Weights
from kgml_jax.mapping import map_sites, pad_sites, site_mesh
from kgml_jax.models.protocol import Model
from kgml_jax.sites import Sites


def predict_sites(
    model: Model,
    weights: Weights,
    sites: Sites,
    adaptation: Adaptation | None = None,
    phi: Any = None,
    site_batch: int = 8,
) -> dict[str, np.ndarray]:
    """Predicts the whole record of every site.

    Args:
      model: predicts one site.
      weights: shared by all sites.
      sites: all sites, leaves (site, time, ...).
      adaptation: how `phi` changes the weights; None predicts with the weights as they are.
      phi: one adaptation a site, leading site axis.
      site_batch: sites a device predicts at once; bounds memory.

    Returns:
      Daily fluxes by name, each of shape (site, time), in physical units.
    """
    mesh = site_mesh()
    padded = pad_sites((sites.site, {} if phi is None else phi), mesh.size)
    # Weights that were trained on fewer devices, because those divided the batch, are spread.
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
    fluxes = _predict(model, adaptation, mesh, site_batch, weights, *padded)
    return {name: np.asarray(values)[: len(sites)] for name, values in fluxes.items()}


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _predict(
    model: Model,
    adaptation: Adaptation | None,
    mesh: Mesh,
    site_batch: int,
    weights: Weights,
    site: Any,
    phi: Any,
) -> dict[str, jax.Array]:
    def one(weights: Weights, site: Any, own: Any) -> dict[str, jax.Array]:
        adapted = weights if adaptation is None else adaptation.apply(weights, own)
        return model.predict(adapted, site, None)

    return map_sites(one, mesh, site_batch, shared=1)(weights, site, phi)
