"""Monthly observations: means of months stand on their last days, and models predict the same."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from kgml_jax.adaptation import Weights
from kgml_jax.models.protocol import Model
from kgml_jax.records import Field
from kgml_jax.sites import Calendar, Site, leap

OBSERVED = ("NEE", "Reco", "GPP", "ET")

_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])


@dataclass(frozen=True)
class MonthlyModel:
    """A model whose fluxes, at sites of one group, are means of the calendar month so far.

    On the last day of a month that is the mean of the month, which observations of a month stand
    on. So daily and monthly sites are fitted and scored in one program.

    Attributes:
      model: predicts days.
      monthly: index of the group in `Sites.group_names`.
    """

    model: Model
    monthly: int

    def init(self, key: jax.Array) -> Weights:
        """Draws the weights of the model."""
        return self.model.init(key)

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns fluxes of one site, each of shape (time,), in physical units."""
        daily: dict[str, Any] = self.model.predict(weights, site, key)
        here = site.group == self.monthly
        return {
            name: jnp.where(here, month_so_far(values, site.calendar), values)
            for name, values in daily.items()
        }


def month_so_far(daily: Field, calendar: Calendar) -> Field:
    """Returns the mean over the days of the calendar month up to each day, (time,).

    A record that begins within a month has the mean of its days from there.
    """
    of_year, longer = calendar.day_of_year, leap(calendar.year)
    before = jnp.asarray(_BEFORE_MONTH) + longer[:, None] * jnp.asarray(_BEFORE_MONTH > 31)
    started = jnp.where(of_year[:, None] > before, before, 0)
    end = jnp.arange(1, daily.shape[0] + 1)
    count = jnp.minimum(of_year - jnp.max(started, axis=1), end)
    total = jnp.concatenate([jnp.zeros(1, daily.dtype), jnp.cumsum(daily)])
    return (total[end] - total[end - count]) / count


def on_last_days(fluxes: xr.Dataset, dates: np.ndarray, least_quality: float) -> dict[str, Any]:
    """Returns monthly means as observations of days, variables of dim `time`.

    Args:
      fluxes: dim `month` (its first day), with `quality`, the share that was measured or filled
        well.
      dates: datetime64[D], every day once and in order, (time,).
      least_quality: mean of a year below which its months are no observations.
    """
    months = fluxes["month"].to_numpy().astype("datetime64[M]")
    last = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    quality, years = fluxes["quality"].to_numpy(), months.astype("datetime64[Y]")
    good = np.array([quality[years == year].mean() >= least_quality for year in years])
    inside = good & (last >= dates[0]) & (last <= dates[-1])
    places = (last[inside] - dates[0]).astype(int)
    columns = {}
    for name in OBSERVED:
        values = np.full(len(dates), np.nan)
        values[places] = fluxes[name].to_numpy()[inside]
        columns[name] = ("time", values)
    return columns
