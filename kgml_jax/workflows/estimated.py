"""What an estimation found: parameters with intervals, daily predictions, and sites in trouble."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights, shifted_parameters
from kgml_jax.display import Shown, counted
from kgml_jax.inversion.diagnosis import Diagnosis, widen
from kgml_jax.inversion.folds import HeldOut, predict_held_out
from kgml_jax.inversion.increments import Books
from kgml_jax.inversion.levels import Levels
from kgml_jax.inversion.prediction import Prediction, predict_with_intervals
from kgml_jax.inversion.problem import Problem
from kgml_jax.inversion.sites import Estimates
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.training import health
from kgml_jax.training.predict import predict_sites
from kgml_jax.workflows.estimation_tables import converged, parameter_table

BEFORE, AFTER = "prior", "estimated"


@dataclass(frozen=True, repr=False)
class Estimated(Shown):
    """Parameters found at all sites.

    Attributes:
      data: sites with their split.
      informing: the same, of which the days that inform train: with folds all that are not tested.
      weights: of the model before.
      found: estimates in unbounded space and how the searches went.
      known: physical values with intervals, and what the data determine.
      simulations: spent on each site by all searches, (site,).
      seconds: of the searches, compilation included.
      held_out: what the folds of the gate found; None where validation days decided.
      levels: what crops have at all sites, in unbounded space; None if it was not asked for.
      books: what updates added, leaves (site, ...); None without updates.
      site_batch: sites a device advances at once.
      considered: parameters that were not estimated and keep their prior uncertainty.
    """

    data: DividedSites
    informing: DividedSites
    weights: Weights
    found: Estimates
    known: Diagnosis
    simulations: np.ndarray
    seconds: float
    held_out: HeldOut | None = None
    levels: Levels | None = None
    books: Books | None = None
    site_batch: int = 1
    considered: tuple[str, ...] = ()

    @property
    def parameters(self) -> xr.Dataset:
        """Values, intervals and flags, dims (site, parameter), in the units of each parameter."""
        return parameter_table(self)

    # Predictions are made when they are first asked for: three further programs to compile.
    @cached_property
    def predictions(self) -> dict[str, Prediction]:
        """Predicted days of the streams with intervals, by variable."""
        found, considered = self.found, self.considered
        moved = np.asarray(widen(found.problem, considered, found.base + found.offsets))
        return predict_with_intervals(
            found.problem.widened(considered),
            self.weights,
            self.informing,
            moved,
            self.known.factor,
            held_out=self._predicted_by_folds(),
            site_batch=self.site_batch,
        )

    def _predicted_by_folds(self) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        # What was predicted of days that were not seen, and which days these are.
        if (held := self.held_out) is None:
            return None
        found = self.found
        values = predict_held_out(
            *(found.problem, self.weights, self.data, found.base, held), site_batch=self.site_batch
        )
        return values, held.fold >= 0

    @cached_property
    def fluxes(self) -> dict[str, dict[str, np.ndarray]]:
        """Daily fluxes `BEFORE` and `AFTER`, by strategy and variable, each (site, time)."""
        found, weights, sites = self.found, self.weights, self.data.sites
        return {
            BEFORE: predict_sites(found.problem.model, weights, sites),
            AFTER: predict_shifted(found.problem, weights, sites, found.base + found.offsets),
        }

    @cached_property
    def troubles(self) -> dict[str, str]:
        """Of each site whose searches were not finite from their start: what is not, in words."""
        said = {}
        for row in np.flatnonzero(~np.asarray(self.found.healthy)):
            own = jax.tree.map(lambda leaf, row=row: leaf[row], self.data.sites.site)
            name = self.found.sites[row]
            fluxes = {variable: values[row] for variable, values in self.fluxes[BEFORE].items()}
            cause = health.cause_in_prediction(own, health.first_days(fluxes, own))
            cause = cause or "the cost of the prior or its derivatives are not finite"
            said[name] = f"{cause}; it keeps the prior"
        return said

    def _title(self) -> str:
        names, sites = self.found.problem.names, self.found.sites
        return f"{counted(len(names), 'parameter')} of {counted(len(sites), 'site')}"

    def _facts(self) -> Mapping[str, object]:
        found, flags = self.found, self.known.identification
        sites = len(found.sites)
        return {
            "streams": ", ".join(stream.variable for stream in found.problem.streams),
            "accepted": f"{int(found.accepted.sum())} of {sites} sites, better on their "
            f"{'validation' if self.held_out is None else 'held-out'} days than the prior",
            "converged": f"{int(converged(found).sum())} of {sites} searches",
            "identified": f"{flags.identified.sum(axis=1).mean():.1f} parameters at the mean site",
            "at a bound": f"{flags.at_bound.sum(axis=1).mean():.1f} parameters at the mean site",
            "seconds": f"{self.seconds:.0f}",
        }


def predict_shifted(
    problem: Problem, weights: Weights, sites: Sites, offsets: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns daily fluxes of every site with its own parameters, (site, time)."""
    adaptation, phi = shifted_parameters(problem.names, offsets)
    return predict_sites(problem.model, weights, sites, adaptation, phi)
