"""The folds of one fit, which descend side by side and are judged together."""

from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.records import Field
from kgml_jax.training.fit import ERROR_TERM, Allowance, Descent, Fit, begin_fit, judge
from kgml_jax.training.windows import FitData


@dataclass(frozen=True)
class Folded:
    """Descents of one fit that each know nothing of the days of their fold.

    What all folds say of the days they held out decides how many steps are best, 0 among them, and
    when the fit stops: no fold by itself does, so that no strange year has its way. Their rates are
    never halved: what follows is a fit to all days, which nothing validates.

    Of the state `parameters`, `optimiser` and `best` have a leading axis of folds; all else is the
    fit's. Data have leaves (fold, window, time); see `windows.make_fold_data`.

    Attributes:
      descent: of one fold.
    """

    descent: Descent

    @property
    def allowance(self) -> Allowance:
        """Returns what each fold may do."""
        return self.descent.allowance

    @property
    def program(self) -> Self:
        """Returns the folds without their allowance: what has to be compiled for them."""
        return type(self)(self.descent.program)

    def init(self, weights: Weights, data: FitData, key: jax.Array, allowance: Allowance) -> Fit:
        """Returns the folds before their first step, all at the same start."""
        folds = data.training_count.shape[0]
        start = self.descent.parameters.init(weights)
        of_each = lambda leaf: jnp.broadcast_to(leaf, (folds, *jnp.shape(leaf)))
        phi, optimiser = jax.tree.map(of_each, (start, self.descent.optimiser().init(start)))
        error = self.validation_error(weights, phi, data)
        return begin_fit(
            phi, optimiser, jax.random.fold_in(key, data.identity[0]), error, allowance
        )

    def round(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        """Takes `validate_every` steps of every fold and validates on all days held out."""
        return jax.lax.cond(fit.active, lambda: self._advance(weights, fit, data), lambda: fit)

    def validation_error(self, weights: Weights, phi: Any, data: FitData) -> Field:
        """Returns the prediction error on the days held out, each by its own fold."""
        model, objective = self.descent.model, self.descent.objective

        def predict(phi: Any, windows: Any) -> Any:
            adapted = self.descent.parameters.apply(weights, phi)
            return jax.vmap(model.predict, in_axes=(None, 0, None))(adapted, windows, None)

        held_out = data.validation
        fluxes = jax.vmap(predict)(phi, held_out)
        # As one stack of windows: a day counts as much in a short fold as in a long one.
        together = lambda leaf: leaf.reshape(-1, *leaf.shape[2:])
        return objective(*jax.tree.map(together, (fluxes, held_out)))[1][ERROR_TERM]

    def _advance(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        def of_fold(parameters: Any, optimiser: Any, data: FitData) -> Fit:
            own = fit.replace(parameters=parameters, optimiser=optimiser)  # type: ignore[attr-defined]
            # The best is the fit's, and no matter of a fold.
            moved = self.descent.take_steps(weights, own, data)
            return moved.replace(best=None)  # type: ignore[attr-defined]

        moved = jax.vmap(of_fold)(fit.parameters, fit.optimiser, data)
        fit = fit.replace(  # type: ignore[attr-defined]
            parameters=moved.parameters,
            optimiser=moved.optimiser,
            key=moved.key[0],
            step=jnp.min(moved.step),
            training_loss=jnp.mean(moved.training_loss),
            healthy=jnp.all(moved.healthy),
        )
        error = self.validation_error(weights, fit.parameters, data)
        return judge(fit, error, self.descent.settings.patience)
