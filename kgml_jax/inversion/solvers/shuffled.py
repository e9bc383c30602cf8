"""Shuffled complex evolution (SCE-UA), the hydrologists' reference, through spotpy in memory."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kgml_jax.inversion.solvers.solution import HostSolver, Residuals, Solution
from kgml_jax.records import Field

TRACE_POINTS = 100
"""Entries of a solution's trace, evenly spaced in simulations."""


@dataclass(frozen=True)
class ShuffledComplex(HostSolver):
    """SCE-UA (Duan, Sorooshian and Gupta 1994), as spotpy has it (Houska et al. 2015).

    Needs the extra `calib`.

    Attributes:
      evaluations: simulations after which no more are begun; the last complexes are finished.
      reach: half the width of the box that is searched, about the start, in unbounded space.
      complexes: number of complexes; spotpy advises more than there are parameters.
      tolerance: normalised range of the population at which it has converged.
    """

    evaluations: int = 4000
    reach: float = 1.5
    complexes: int = 5
    tolerance: float = 1e-5

    def solve(self, residuals: Residuals, start: Field, key: jax.Array) -> Solution:
        """Searches a box about `start`, (p,); `key` seeds spotpy, which uses NumPy's global state.

        Raises:
          ImportError: spotpy is not installed.
        """
        spotpy = require_spotpy()
        begin = np.asarray(start)
        asked = _Asked(residuals, begin.dtype)
        if not np.isfinite(asked(begin)):
            return asked.solution(begin, converged=False)
        setup = _Setup(spotpy, asked, begin, self.reach)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        with contextlib.redirect_stdout(io.StringIO()):
            sampler = spotpy.algorithms.sceua(
                setup, dbname="", dbformat="ram", save_sim=False, random_state=seed
            )
            sampler.sample(self.evaluations, ngs=self.complexes, peps=self.tolerance)
        return asked.solution(begin, converged=len(asked.costs) < self.evaluations)


class _Asked:
    """The cost of one site, which remembers what it was asked."""

    def __init__(self, residuals: Residuals, dtype: np.dtype) -> None:
        self.residuals = residuals
        self.dtype = dtype
        self.offsets: list[np.ndarray] = []
        self.costs: list[float] = []

    def __call__(self, offsets: np.ndarray) -> float:
        point = np.asarray(offsets, self.dtype)
        cost = 0.5 * float(np.sum(np.square(self.residuals(point), dtype=np.float64)))
        self.offsets.append(point)
        self.costs.append(cost if np.isfinite(cost) else np.inf)
        return self.costs[-1]

    def solution(self, start: np.ndarray, converged: bool) -> Solution:
        """Returns the best of what was asked."""
        costs = np.array(self.costs, self.dtype)
        count = len(costs)
        row = int(np.argmin(costs))
        healthy = bool(np.isfinite(costs[0]))
        marks = np.ceil(count * np.arange(1, TRACE_POINTS + 1) / TRACE_POINTS).astype(np.int32)
        best = np.array([np.argmin(costs[:mark]) for mark in marks])
        return Solution(
            offsets=self.offsets[row] if healthy else start,
            cost=costs[row],
            evaluations=np.int32(count),
            healthy=np.bool_(healthy),
            converged=np.bool_(converged),
            trace_offsets=np.stack(self.offsets)[best],
            trace_cost=costs[best],
            trace_evaluations=marks,
        )


class _Setup:
    """What spotpy wants to know of a problem."""

    def __init__(self, spotpy: Any, asked: _Asked, start: np.ndarray, reach: float) -> None:
        self.asked = asked
        self.priors = [
            spotpy.parameter.Uniform(f"z{row}", centre - reach, centre + reach, optguess=centre)
            for row, centre in enumerate(start.tolist())
        ]
        self.generate = spotpy.parameter.generate

    def parameters(self) -> Any:
        """Draws a point of the box."""
        return self.generate(self.priors)

    def simulation(self, point: Any) -> list[float]:
        """Returns the cost as if it were the simulation."""
        return [self.asked(np.array(list(point)))]

    def evaluation(self) -> list[float]:
        """Returns what there is to compare with: nothing."""
        return [0.0]

    def objectivefunction(self, simulation: list[float], evaluation: list[float]) -> float:
        """Returns the cost."""
        return simulation[0]


def require_spotpy() -> Any:
    """Returns the module.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import spotpy
    except ImportError as error:
        raise ImportError(
            "ShuffledComplex needs spotpy: install the extra with pip install 'kgml_jax[calib]'"
        ) from error
    return spotpy
