"""What is known of carbon fluxes without observing them: balance, signs, ranges, responses."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.objectives.compose import Predict
from kgml_jax.objectives.errors import Predicted
from kgml_jax.objectives.responses import Probe, curve, curves
from kgml_jax.records import Field
from kgml_jax.sites import Site, day_of_season


@dataclass(frozen=True)
class MassBalance:
    """Mean carbon-balance residual beyond a tolerance, in g C m-2 d-1.

    `mean ReLU(|GPP - Ra - Rh + NEE| - tolerance |Ra + Rh|)` (Liu et al. 2024, Methods; signs here).
    """

    tolerance: float = 0.01

    def __call__(self, fluxes: Predicted, site: Site) -> Field:
        """Returns the mean over the valid days of one site or of a stack of its windows."""
        respired = fluxes["Ra"] + fluxes["Rh"]
        residual = jnp.abs(fluxes["GPP"] - respired + fluxes["NEE"])
        excess = jax.nn.relu(residual - self.tolerance * jnp.abs(respired))
        return _mean_over_valid(excess, site)


@dataclass(frozen=True)
class NonNegativity:
    """Mean amount by which fluxes that cannot be negative are, in g C m-2 d-1."""

    names: tuple[str, ...] = ("GPP", "Ra", "Rh")

    def __call__(self, fluxes: Predicted, site: Site) -> Field:
        """Returns the sum over fluxes of the mean over valid days."""
        shortfalls = [_mean_over_valid(jax.nn.relu(-fluxes[name]), site) for name in self.names]
        return jnp.sum(jnp.stack(shortfalls))


@dataclass(frozen=True)
class YieldRange:
    """Mean excess of the yield over a share of the year's GPP, and shortfall below 0.

    `ReLU(yield - share GPP_annual) + ReLU(-yield)` in g C m-2 yr-1 (Liu et al. 2024, step 3). Years
    of which a window holds fewer than `least_days` do not count.
    """

    share: float = 0.5
    least_days: int = 360

    def __call__(self, fluxes: Predicted, site: Site) -> Field:
        """Returns the mean over the valid days of whole years of one site or of its windows."""
        if site.valid.ndim > 1:
            stacked = lambda fluxes, site: self._outside(fluxes, site)
            outside, whole = jax.vmap(stacked)(fluxes, site)
        else:
            outside, whole = self._outside(fluxes, site)
        return jnp.sum(jnp.where(whole, outside, 0.0)) / jnp.maximum(jnp.sum(whole), 1)

    def _outside(self, fluxes: Predicted, site: Site) -> tuple[Field, Field]:
        index = site.calendar.year_index - site.calendar.year_index[0]
        years = -(-index.shape[0] // 365) + 1
        annual = lambda values: jax.ops.segment_sum(
            jnp.where(site.valid, values, 0.0), index, num_segments=years
        )[index]
        most = self.share * annual(fluxes["GPP"])
        harvest = fluxes["yield"]
        whole = site.valid & (annual(jnp.ones_like(harvest)) >= self.least_days)
        return jax.nn.relu(harvest - most) + jax.nn.relu(-harvest), whole


@dataclass(frozen=True)
class WinterRespiration:
    """Squared standardised error of Rh against observed Reco while nothing grows.

    Before day 105 and after day 300 respiration is heterotrophic (Liu et al. 2024, step 5), half a
    year later south of the equator; days with a crop on the field, such as winter wheat, are left
    out.

    Attributes:
      sd: training standard deviation of Reco, g C m-2 d-1.
    """

    sd: float
    before: int = 105
    after: int = 300

    def __call__(self, fluxes: Predicted, site: Site) -> Field:
        """Returns the mean over observed winter days; 0 if there is none."""
        day = day_of_season(site)
        winter = (day < self.before) | (day > self.after)
        seen = site.mask["Reco"] & winter & (site.forcing.occupied == 0.0)
        error = jnp.where(seen, fluxes["Rh"] - site.targets["Reco"], 0.0) / self.sd
        return jnp.sum(error**2) / jnp.maximum(jnp.sum(seen), 1)


@dataclass(frozen=True)
class MonotoneResponse:
    """Sum of the steps of a response curve in the wrong direction (Liu et al. 2024, steps 2-3).

    `sum ReLU(-sign Delta)`, in the units of the flux: Rh rises with soil organic carbon, yield with
    GPP, year and soil organic carbon.
    """

    probe: Probe
    flux: str
    sign: float = 1.0

    def __call__(self, predict: Predict, reference: Predict, site: Site) -> Field:
        """Returns the mean over windows of what falls where it should rise."""
        steps = jnp.diff(curve(predict, site, self.probe, self.flux), axis=-1)
        return jnp.mean(jnp.sum(jax.nn.relu(-self.sign * steps), axis=-1))


@dataclass(frozen=True)
class PreservedResponse:
    """How far response curves stray from those of the model that training started from.

    `mean ReLU(least - r)` over inputs and fluxes, r being the correlation of both curves (Liu et
    al. 2024, step 5: 0.8 for weather, 0.9 for soil). A curve that is flat in the model of the start
    is not preserved.
    """

    probes: tuple[Probe, ...]
    fluxes: tuple[str, ...] = ("Ra", "Rh")
    least: float = 0.8

    def __call__(self, predict: Predict, reference: Predict, site: Site) -> Field:
        """Returns the mean over inputs, fluxes and windows."""
        lacking = []
        for probe in self.probes:
            before = jax.lax.stop_gradient(curves(reference, site, probe, self.fluxes))
            after = curves(predict, site, probe, self.fluxes)
            for flux in self.fluxes:
                r = correlation(before[flux], after[flux])
                lacking.append(jnp.mean(jax.nn.relu(self.least - r)))
        return jnp.mean(jnp.stack(lacking))


def correlation(first: Field, second: Field) -> Field:
    """Pearson correlation along the last axis; 1 where `first` varies by rounding alone."""
    a, b = (values - jnp.mean(values, -1, keepdims=True) for values in (first, second))
    spread = jnp.sum(a**2, -1)
    varies = spread > 1e-8 * jnp.sum(first**2, -1) + 1e-12
    product = jnp.where(varies, spread, 1.0) * (jnp.sum(b**2, -1) + 1e-12)
    return jnp.where(varies, jnp.sum(a * b, -1) / jnp.sqrt(product), 1.0)


def _mean_over_valid(values: Field, site: Site) -> Field:
    return jnp.sum(jnp.where(site.valid, values, 0.0)) / jnp.maximum(jnp.sum(site.valid), 1)
