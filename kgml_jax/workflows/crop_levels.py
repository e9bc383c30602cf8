"""Which traits of which crops are estimated, and where they are grown."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion.problem import Problem
from kgml_jax.process.crops import NAMES
from kgml_jax.process.parameters import CROP_TRAITS, parted, trait_of_crop
from kgml_jax.sites import Sites


def grown(sites: Sites) -> np.ndarray:
    """Returns whether each row of the crop table ever stands at each site, bool (site, row)."""
    forcing = sites.site.forcing
    stands = np.asarray(sites.site.valid) & (np.asarray(forcing.occupied) > 0)
    crop = np.where(stands, np.asarray(forcing.crop), -1)
    return np.stack([(crop == row).any(axis=1) for row in range(len(NAMES))], axis=1)


def levels_of_crops(parameters: Sequence[str], grows: np.ndarray) -> tuple[str, ...]:
    """Returns parameters of which every trait of crops is one of each crop that some site grows.

    Args:
      parameters: fields of `process.Params`.
      grows: see `grown`.
    """
    crops = [NAMES[row] for row in np.flatnonzero(grows.any(axis=0))]
    own = [trait_of_crop(name, crop) for crop in crops for name in parameters if _is_trait(name)]
    return (*own, *(name for name in parameters if not _is_trait(name)))


def concerned(problem: Problem, sites: Sites) -> np.ndarray:
    """Returns whether a site has each parameter: traits of the crops it grows, and its own."""
    grows = grown(sites)
    crops = [parted(name)[1] for name in problem.names]
    every = np.ones(len(sites), bool)
    has = [grows[:, NAMES.index(crop)] if crop else every for crop in crops]
    return np.stack(has, axis=1)


def traits(names: Sequence[str]) -> list[int]:
    """Returns a number for each parameter, equal where it is the same trait of different crops."""
    kinds = [parted(name)[0] for name in names]
    return [kinds.index(kind) for kind in kinds]


def with_crops(weights: Weights, problem: Problem) -> Weights:
    """Returns weights that also hold the traits of single crops of a problem, 0."""
    own = [name for name in problem.parameters if parted(name)[1]]
    nothing = dict.fromkeys(own, jnp.zeros((), jnp.result_type(float)))
    return {**weights, "process": {**nothing, **weights["process"]}} if own else weights  # type: ignore[dict-item]


def _is_trait(name: str) -> bool:
    return name in CROP_TRAITS
