"""Observations that are means of periods stand on the last day, and models predict the same."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.models.protocol import Model
from kgml_jax.records import Field
from kgml_jax.sites import Calendar, Site, leap

DAY, EIGHT_DAYS, MONTH = "day", "8 days", "month"
"""Periods that observations may be means of; eight days count from the first of January on."""

DAYS = {DAY: 1, EIGHT_DAYS: 8, MONTH: 30}
"""Days that an observation stands for."""

_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])


@dataclass(frozen=True)
class PeriodModel:
    """A model whose fluxes, at sites of some groups, are means of the period so far.

    On the last day of a period that is the mean of the period, which its observations stand on. So
    sites observed by days, eight days and months are fitted and scored in one program.

    Attributes:
      model: predicts days.
      periods: by index of the group in `Sites.group_names`, (flux, period) of those that are means.
    """

    model: Model
    periods: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]

    def init(self, key: jax.Array) -> Weights:
        """Draws the weights of the model."""
        return self.model.init(key)

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns fluxes of one site, each of shape (time,), in physical units."""
        fluxes: dict[str, Any] = dict(self.model.predict(weights, site, key))
        for group, of_fluxes in self.periods:
            for name, period in of_fluxes:
                if name in fluxes:
                    mean = so_far(fluxes[name], site.calendar, period)
                    fluxes[name] = jnp.where(site.group == group, mean, fluxes[name])
        return fluxes


def _elapsed(calendar: Calendar, period: str) -> Field:
    """Returns how many days of the period have passed, the day itself included, (time,)."""
    of_year = calendar.day_of_year
    if period == EIGHT_DAYS:
        return (of_year - 1) % 8 + 1
    longer = leap(calendar.year)
    before = jnp.asarray(_BEFORE_MONTH) + longer[:, None] * jnp.asarray(_BEFORE_MONTH > 31)
    return of_year - jnp.max(jnp.where(of_year[:, None] > before, before, 0), axis=1)


def so_far(daily: Field, calendar: Calendar, period: str) -> Field:
    """Returns the mean over the days of the period up to each day, (time,).

    A record that begins within a period has the mean of its days from there.
    """
    daily = jnp.asarray(daily)
    end = jnp.arange(1, daily.shape[0] + 1)
    count = jnp.minimum(_elapsed(calendar, period), end)
    # Sums of the few days of a period, not differences of sums over years, which float32 blurs.
    total = jnp.concatenate([jnp.zeros(1, daily.dtype), jnp.cumsum(daily - jnp.mean(daily))])
    return (total[end] - total[end - count]) / count + jnp.mean(daily)


def last_days(starts: np.ndarray, period: str) -> np.ndarray:
    """Returns the last day of each period; the last eight days of a year end with it.

    Args:
      starts: first days, datetime64[D].
      period: `EIGHT_DAYS` or `MONTH`.
    """
    if period == MONTH:
        following = (starts.astype("datetime64[M]") + 1).astype("datetime64[D]")
    else:
        new_year = (starts.astype("datetime64[Y]") + 1).astype("datetime64[D]")
        following = np.minimum(starts + np.timedelta64(8, "D"), new_year)
    return following - np.timedelta64(1, "D")


def on_last_days(
    values: np.ndarray, starts: np.ndarray, dates: np.ndarray, period: str
) -> np.ndarray:
    """Returns means of periods on their last days, NaN elsewhere, (time,).

    Args:
      values: of each period.
      starts: first days of the periods, datetime64[D].
      dates: datetime64[D], every day once and in order, (time,).
      period: `EIGHT_DAYS` or `MONTH`.
    """
    last = last_days(starts, period)
    inside = (last >= dates[0]) & (last <= dates[-1])
    laid = np.full(len(dates), np.nan)
    laid[(last[inside] - dates[0]).astype(int)] = values[inside]
    return laid
