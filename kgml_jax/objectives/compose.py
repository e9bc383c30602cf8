"""Composition of named objectives into one loss and its terms."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp

from kgml_jax.objectives.errors import Fluxes
from kgml_jax.records import Field
from kgml_jax.sites import Site

Objective = Callable[[Fluxes, Site], Field]


@dataclass(frozen=True)
class Term:
    """One objective with its name and weight in the total."""

    name: str
    objective: Objective
    weight: float = 1.0


@dataclass(frozen=True)
class Total:
    """Weighted sum of named terms; the terms themselves are returned unweighted."""

    terms: tuple[Term, ...]

    def __call__(self, fluxes: Fluxes, site: Site) -> tuple[Field, dict[str, Field]]:
        """Returns the loss and each term by name."""
        terms = {term.name: term.objective(fluxes, site) for term in self.terms}
        loss = jnp.zeros(())
        for term in self.terms:
            loss = loss + term.weight * terms[term.name]
        return loss, terms
