"""Composition of named objectives into one loss and its terms."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp

from kgml_jax.objectives.errors import Predicted
from kgml_jax.records import Field
from kgml_jax.sites import Site

Predict = Callable[[Site], Predicted]
"""A model with its weights: the fluxes of one site, or of a stack of windows."""

Objective = Callable[[Predicted, Site], Field]
"""Looks at what was predicted."""

Behaviour = Callable[[Predict, Predict, Site], Field]
"""Looks at how the model answers to changed inputs, beside the model it started from."""


@dataclass(frozen=True)
class Term:
    """One objective with its name and weight in the total."""

    name: str
    objective: Objective
    weight: float = 1.0


@dataclass(frozen=True)
class BehaviourTerm:
    """One demand on the behaviour of the model, with its name and weight in the total."""

    name: str
    behaviour: Behaviour
    weight: float = 1.0


@dataclass(frozen=True)
class Total:
    """Weighted sum of named terms; the terms themselves are returned unweighted.

    Attributes:
      terms: look at the prediction.
      behaviours: run the model again with changed inputs, in training only.
    """

    terms: tuple[Term, ...]
    behaviours: tuple[BehaviourTerm, ...] = ()

    def __call__(
        self,
        fluxes: Predicted,
        site: Site,
        predict: Predict | None = None,
        reference: Predict | None = None,
    ) -> tuple[Field, dict[str, Field]]:
        """Returns the loss and each term by name.

        Args:
          fluxes: prediction for `site`.
          site: one site, or a stack of windows.
          predict: the model; without it the behaviours are left out.
          reference: the model that training started from; by default `predict`.
        """
        terms = {term.name: term.objective(fluxes, site) for term in self.terms}
        weights = {term.name: term.weight for term in self.terms}
        if predict is not None:
            for term in self.behaviours:
                terms[term.name] = term.behaviour(predict, reference or predict, site)
                weights[term.name] = term.weight
        loss = jnp.zeros(())
        for name, weight in weights.items():
            loss = loss + weight * terms[name]
        return loss, terms
