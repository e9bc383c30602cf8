"""Predictions of many sites, each with its own adaptation, as NumPy arrays."""

from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Adaptation, Weights
from kgml_jax.mapping import over_sites
from kgml_jax.models.protocol import Model
from kgml_jax.sites import Site, Sites


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
    return over_sites(
        _predict_site,
        (sites.site, {} if phi is None else phi),
        static=(model, adaptation),
        shared=(weights,),
        site_batch=site_batch,
    )


def _predict_site(
    model: Model, adaptation: Adaptation | None, weights: Weights, site: Site, phi: Any
) -> dict[str, jax.Array]:
    adapted = weights if adaptation is None else adaptation.apply(weights, phi)
    return model.predict(adapted, site, None)
