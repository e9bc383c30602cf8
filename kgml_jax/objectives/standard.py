"""The loss that networks and hybrids are trained with unless a study says otherwise."""

from collections.abc import Mapping

from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import MassBalance, NonNegativity


def standard(scales: Mapping[str, float], balance_weight: float, weighting: str) -> Total:
    """Returns masked standardised error, mass balance and non-negativity.

    Args:
      scales: standard deviation of each target, in its units.
      balance_weight: of the two knowledge terms.
      weighting: "equal", or "inverse-variance" for 1/sigma^2 of each observation.
    """
    error = MaskedError(
        scales=tuple(scales.items()), inverse_variance=weighting == "inverse-variance"
    )
    return Total(
        terms=(
            Term("error", error),
            Term("mass_balance", MassBalance(), balance_weight),
            Term("non_negativity", NonNegativity(), balance_weight),
        )
    )
