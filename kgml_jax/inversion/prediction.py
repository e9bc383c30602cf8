"""Predictions of every calibrated site with intervals: Gaussian, and calibrated on held-out days.

The Gaussian interval holds what the posterior and the stated errors hold. The conformal one
stretches it until it covers days of the site that the estimate did not see, whatever is wrong with
the model: the validation days, or all days that folds held out, by what each fold said of its own
(cross-conformal; Vovk 2015, Barber et al. 2021).
Sums over held-out years have the Gaussian one alone: there are too few years to calibrate on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.inversion import intervals, lasting
from kgml_jax.inversion.intervals import Interval, IntervalScore
from kgml_jax.inversion.problem import Problem, observed
from kgml_jax.mapping import over_sites
from kgml_jax.records import Field, record
from kgml_jax.sites import PREDICTABLE, TEST, TRAIN, VALIDATION, Site, leap
from kgml_jax.split import DividedSites

LEAST_NOISE = 0.2
"""Smallest standard deviation of an observation error, over that of the mean training day."""


LEAST_DAYS = 183
"""Observed days of a year from which their sum is compared: half of it."""


@record
class AnnualSums:
    """Sums of a flux of one site over its calendar years, (years,).

    Attributes:
      value: predicted sum of all days, units of the flux times a day.
      sd: of the sum that is true, from the parameters and the errors that last: these add up.
      whole: whether all days of the calendar year are test days; the other sums mean nothing.
      observed: how Gaussian intervals of the sum of the *observed* test days meet the sum of the
        observations, over years with `LEAST_DAYS` of them. Nothing is filled: gaps are left out of
        both sums.
    """

    value: Field
    sd: Field
    whole: Field
    observed: IntervalScore


@record
class Prediction:
    """One variable of one site; of many, with a leading site axis.

    Attributes:
      value: at the estimate, (time,).
      sd: of what will be observed: parameters and observation error, (time,).
      factor: by which `sd` becomes the half-width of the conformal interval; inf where the
        held-out days are too few.
      gaussian: how the Gaussian intervals meet the test days.
      conformal: how the conformal intervals do.
      annual: sums over years; None of what is no daily flux.
    """

    value: Field
    sd: Field
    factor: Field
    gaussian: IntervalScore
    conformal: IntervalScore
    annual: AnnualSums | None


def predict_with_intervals(
    problem: Problem,
    weights: Weights,
    data: DividedSites,
    unbounded: np.ndarray,
    factor: np.ndarray,
    *,
    held_out: tuple[dict[str, np.ndarray], np.ndarray] | None = None,
    probability: float = 0.9,
    site_batch: int = 1,
    devices: Sequence[Any] | None = None,
) -> dict[str, Prediction]:
    """Predicts the streams of every site with intervals, and judges these on its test days.

    Args:
      problem: what was estimated.
      weights: shared by all sites.
      data: all sites with their split.
      unbounded: estimated offsets from the weights, (site, p).
      factor: L with L L^T the posterior covariance of each site, (site, p, p).
      held_out: what folds predicted of days they did not see, by variable, and which days these
        are, all (site, time); None takes the prediction itself on the validation days.
      probability: of the intervals.
      site_batch: sites a device advances at once.
      devices: to spread the sites over, by default all local ones.

    Returns:
      A prediction by variable, leaves (site, ...), NumPy arrays.
    """
    years = int(np.max(data.sites.site.calendar.year_index)) + 1
    return over_sites(
        _predict_site,
        (unbounded, factor, data.sites.site, data.roles, held_out),
        static=(problem, probability, years),
        shared=(weights,),
        site_batch=site_batch,
        devices=devices,
    )


class _Linear(NamedTuple):
    # One variable of one site at its estimate: days, their derivative by the offsets, what the
    # observations add to their errors, variances of its slow and its fast error, and the factor of
    # the posterior.
    name: str
    value: Field
    sensitivity: Field
    noise_sd: Field
    lasting: Field
    factor: Field


def _predict_site(
    problem: Problem,
    probability: float,
    years: int,
    weights: Weights,
    unbounded: Field,
    factor: Field,
    site: Site,
    roles: Field,
    held_out: tuple[dict[str, Field], Field] | None,
) -> dict[str, Prediction]:
    unseen, days = held_out or ({}, roles == VALIDATION)
    names = [stream.variable for stream in problem.streams if stream.variable in site.targets]

    def twice(offsets: Field) -> tuple[dict[str, Field], dict[str, Field]]:
        fluxes = problem.predict(weights, offsets, site)
        kept = {name: fluxes[name] for name in names}
        return kept, kept

    sensitivity, values = jax.jacfwd(twice, has_aux=True)(unbounded)
    inflation = {stream.variable: stream.inflation for stream in problem.streams}
    predicted = {}
    for row, name in enumerate(names):
        noise_sd = inflation[name] * _noise_sd(name, values[name], site, roles)
        own = _lasting(site, row, noise_sd.dtype)
        linear = _Linear(name, values[name], sensitivity[name], noise_sd, own, factor)
        judged = unseen.get(name, values[name]), observed(site, days).mask[name]
        predicted[name] = _predict_variable(linear, judged, probability, years, site, roles)
    return predicted


def _noise_sd(name: str, value: Field, site: Site, roles: Field) -> Field:
    # Of the day's prediction alone: what is stated of an observation may grow with it, and would
    # widen the interval just where it is to be judged. A line through the training days.
    training = observed(site, roles == TRAIN).mask[name]
    count = jnp.maximum(jnp.sum(training), 1)
    mean = lambda values: jnp.sum(jnp.where(training, values, 0.0)) / count
    stated, size = site.uncertainty[name], jnp.abs(value)
    usual, centre = mean(stated), mean(size)
    varied = mean((size - centre) ** 2)
    slope = mean((stated - usual) * (size - centre)) / jnp.where(varied > 0, varied, 1.0)
    line = usual + jnp.maximum(slope, 0.0) * (size - centre)
    return jnp.maximum(line, LEAST_NOISE * usual)


def _predict_variable(
    found: _Linear,
    judged: tuple[Field, Field],
    probability: float,
    years: int,
    site: Site,
    roles: Field,
) -> Prediction:
    # `judged`: what was predicted without having seen the day, and of which days.
    value, truth = found.value, site.targets[found.name]
    noise_sd = jnp.sqrt(found.noise_sd**2 + jnp.sum(found.lasting))
    sd = intervals.predictive_sd(found.sensitivity, found.factor, noise_sd)
    tested = observed(site, roles == TEST).mask[found.name]
    # By days, not by months: with the twelve of one validation year these would have to promise
    # 97.5 % to be sure of 90.
    unseen, days = judged
    stretched = intervals.conformal_factor(unseen - truth, sd, days, probability)
    score = lambda interval: intervals.interval_score(interval, truth, tested, probability)
    conformal: Interval = intervals.symmetric_interval(value, stretched * sd)
    is_flux = PREDICTABLE[found.name].units.endswith(" d-1")
    return Prediction(
        value=value,
        sd=sd,
        factor=stretched,
        gaussian=score(intervals.gaussian_interval(value, sd, probability)),
        conformal=score(conformal),
        annual=_annual(found, probability, years, site, roles) if is_flux else None,
    )


def _annual(found: _Linear, probability: float, years: int, site: Site, roles: Field) -> AnnualSums:
    year, number = site.calendar.year, site.calendar.year_index
    summed = lambda daily, mask: intervals.annual_sums(daily, mask, number, years)
    test, one = (roles == TEST) & site.valid, jnp.ones_like(found.value)
    seen = observed(site, roles == TEST).mask[found.name]
    # Each day weighs its share of the calendar year; shares of a whole one add up to 1.
    share = summed(one / (365 + leap(year)), test)
    noise_sd = intervals.annual_noise_sd(found.noise_sd, seen, number, years)
    noise_sd = jnp.sqrt(noise_sd**2 + _annual_lasting(found, seen, number, years))
    sd = intervals.predictive_sd(summed(found.sensitivity, seen), found.factor, noise_sd)
    return AnnualSums(
        value=summed(found.value, test),
        sd=jnp.hypot(
            intervals.parameter_sd(summed(found.sensitivity, test), found.factor),
            jnp.sqrt(_annual_lasting(found, test, number, years)),
        ),
        whole=share > 1 - 0.5 / 366,
        observed=intervals.interval_score(
            intervals.gaussian_interval(summed(found.value, seen), sd, probability),
            summed(site.targets[found.name], seen),
            summed(one, seen) >= LEAST_DAYS,
            probability,
        ),
    )


def _lasting(site: Site, row: int, dtype: Any) -> Field:
    # Variances of the slow and the fast error of a stream, (2,).
    if site.errors is None:
        return jnp.zeros(2, dtype)
    return jnp.stack([site.errors.slow[row, row], site.errors.fast[row, row]])


def _annual_lasting(found: _Linear, days: Field, number: Field, years: int) -> Field:
    # Variance of the sum of the lasting errors over some days of each year, (years,).
    of_year = lambda year: lasting.sum_variance(found.lasting, days & (number == year))
    return jax.lax.map(of_year, jnp.arange(years))
