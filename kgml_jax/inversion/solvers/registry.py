"""Ways of searching the best parameters, by name."""

from kgml_jax.inversion.solvers.evolution import CovarianceAdaptation, DifferentialEvolution
from kgml_jax.inversion.solvers.gradient import Adam, LimitedMemory
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.inversion.solvers.shuffled import ShuffledComplex
from kgml_jax.inversion.solvers.solution import Solver

SOLVERS: dict[str, Solver] = {
    "levenberg-marquardt": LevenbergMarquardt(),
    "l-bfgs": LimitedMemory(),
    "adam": Adam(),
    "cma-es": CovarianceAdaptation(),
    "differential-evolution": DifferentialEvolution(),
    "sce-ua": ShuffledComplex(),
}
"""Ways of searching by name; the last needs the extra `calib`."""
