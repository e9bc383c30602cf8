"""What a descent of all sites together does when a loss or gradient is not finite.

A site that is not finite at the best weights is at fault itself: it is left out, and the others go
on. Where all are finite there, the descent went astray: it goes on from its best weights at a lower
rate. Both follow from the state alone, so a run that is killed and resumed does the same.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.records import Field, record
from kgml_jax.training import health
from kgml_jax.training.fit import Descent, Fit
from kgml_jax.training.windows import FitData, without_sites

RESTARTS = 3
"""Most restarts of a descent at a lower rate."""

SLOWER = 0.25
"""Factor on the learning rate at each."""

NEVER = -1


@record
class Guarded(Fit):
    """A fit of all sites together, and what was done to keep it going.

    Attributes:
      restarted: step of each restart at a lower rate, int32 (RESTARTS,); `NEVER` of those left.
      left_out: step at which each site was left out, int32 (site,) in the order of their
        identities; `NEVER` of those that stay.
    """

    restarted: Field
    left_out: Field

    @property
    def restarts(self) -> list[int]:
        """Returns the steps of the restarts."""
        return np.asarray(self.restarted)[_done(self.restarted)].tolist()


def guarded(fit: Fit, sites: int) -> Guarded:
    """Returns a fit to some sites before anything was done to keep it going.

    Without sites that may be left out there is one place all the same: no checkpoint holds an empty
    array.
    """
    own = {field.name: getattr(fit, field.name) for field in dataclasses.fields(fit)}
    never = lambda count: jax.device_put(np.full(max(count, 1), NEVER, np.int32), fit.step.sharding)
    return Guarded(**own, restarted=never(RESTARTS), left_out=never(sites))


def identities_of(data: FitData) -> np.ndarray:
    """Returns the identities of all sites, in order."""
    return np.union1d(data.training.identity, data.validation.identity)


@dataclass(frozen=True)
class WindowedSites:
    """The sites that a descent in windows learns from.

    Attributes:
      descent: of the weights themselves.
      data: windows of all sites.
    """

    descent: Descent
    data: FitData

    @cached_property
    def identities(self) -> np.ndarray:
        """Returns the identities of all sites, in order."""
        return identities_of(self.data)

    def not_finite(self, weights: Weights, gone: np.ndarray) -> np.ndarray:
        """Returns which sites are not finite at some weights, beside those that are gone."""
        found = health.sites_not_finite(self.descent, weights, weights, self.data)
        return np.setdiff1d(found, gone)

    def without(self, gone: np.ndarray) -> FitData | None:
        """Returns the windows without those of some sites; None if the others do not suffice."""
        if 2 * gone.size > self.identities.size:
            return None  # where most sites are not finite it is the model that fails
        return without_sites(self.data, gone)


@dataclass(frozen=True)
class Recovery:
    """Keeps one descent going.

    Attributes:
      sites: which may be left out; None: none.
      start: (weights, data) -> a fit that begins there.
      place: puts data where the descent is.
    """

    sites: WindowedSites | None
    start: Callable[[Weights, Any], Fit]
    place: Callable[[Any], Any]

    def given(self, fit: Guarded, data: Any) -> Any:
        """Returns the data that a fit goes on with, of those that it began with."""
        gone = self._gone(fit)
        return self.place(self.sites.without(gone)) if self.sites and gone.size else data

    def mend(self, fit: Guarded, data: Any) -> tuple[Guarded, Any]:
        """Returns a fit that goes on, and with what data; as they are where nothing helps."""
        if bool(fit.healthy):
            return fit, data
        if self.sites is not None:
            bad = self.sites.not_finite(fit.best, self._gone(fit))
            if bad.size:
                return self._leave_out(fit, data, bad)
        return self._slow_down(fit, data), data

    def _gone(self, fit: Guarded) -> np.ndarray:
        none = np.zeros(0, np.uint32)
        return none if self.sites is None else self.sites.identities[_done(fit.left_out)]

    def _leave_out(self, fit: Guarded, data: Any, bad: np.ndarray) -> tuple[Guarded, Any]:
        assert self.sites is not None
        steps = np.array(fit.left_out)
        steps[np.isin(self.sites.identities, bad)] = int(fit.step)
        rest = self.sites.without(self.sites.identities[_done(steps)])
        if rest is None:
            return fit, data
        rest = self.place(rest)
        return self._go_on(fit, rest, left_out=steps), rest

    def _slow_down(self, fit: Guarded, data: Any) -> Guarded:
        steps = np.array(fit.restarted)
        if _done(steps).all():
            return fit
        steps[int(_done(steps).sum())] = int(fit.step)
        return self._go_on(fit, data, restarted=steps, rate=fit.rate * SLOWER)

    def _go_on(self, fit: Guarded, data: Any, **changes: Any) -> Guarded:
        # From the best weights, judged on the sites that are left; steps are not taken again.
        again = self.start(fit.best, data)
        changes = {
            name: jax.device_put(value, fit.step.sharding) for name, value in changes.items()
        }
        return fit.replace(  # type: ignore[attr-defined]
            parameters=again.parameters,
            optimiser=again.optimiser,
            best_error=again.start_error,
            validation_error=again.validation_error,
            stale=again.stale,
            healthy=again.healthy,
            active=again.active & (fit.step < fit.limit),
            **changes,
        )


def _done(steps: Any) -> np.ndarray:
    return np.asarray(steps) != NEVER
