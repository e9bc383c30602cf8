"""Whether a site's year can be: sums and means against climate, water against energy.

Limits are wide: none of the 206 towers of FLUXNET2015 (Pastorello et al. 2020) is refused, and what
is warned of lies beyond nearly all of them. They find wrong units, factors and signs.
"""

from dataclasses import dataclass

import numpy as np

from kgml_jax.data import seasons
from kgml_jax.data.draft import Draft
from kgml_jax.errors import listed
from kgml_jax.process.humidity import saturation_pressure

DAYS = 365.25

LATENT_HEAT = 2.45
"""MJ kg-1 (Allen et al. 1998, FAO-56)."""


@dataclass(frozen=True)
class Limit:
    """What the mean of a year of a variable, times `factor`, usually is and can be."""

    variable: str
    what: str
    units: str
    factor: float
    usual: tuple[float, float]
    possible: tuple[float, float]


LIMITS = (
    # The wettest place, Mawsynram, has 11,900 mm a year (WMO).
    Limit("precipitation", "rain", "mm a year", DAYS, (50, 4500), (0, 13_000)),
    Limit("air_temperature_mean", "a mean", "degC", 1.0, (-18, 32), (-35, 38)),
    Limit("shortwave_radiation", "a mean", "MJ m-2 d-1", 1.0, (5, 24), (2, 29)),
    Limit("vapour_pressure_deficit", "a mean", "kPa", 1.0, (0.05, 3.5), (0, 6)),
    Limit("wind_speed", "a mean", "m s-1", 1.0, (0.3, 10), (0, 25)),
    Limit("GPP", "uptake", "g C m-2 a year", DAYS, (-250, 4500), (-1000, 9000)),
    Limit("Reco", "respiration", "g C m-2 a year", DAYS, (-100, 5500), (-1000, 10_000)),
    Limit("Ra", "respiration", "g C m-2 a year", DAYS, (10, 4000), (-1000, 9000)),
    Limit("Rh", "respiration", "g C m-2 a year", DAYS, (10, 3000), (-1000, 8000)),
    Limit("NEE", "exchange", "g C m-2 a year", DAYS, (-2500, 2500), (-6000, 6000)),
    Limit("ET", "evaporation", "mm a year", DAYS, (0, 1800), (-200, 4000)),
)
"""Of years; FLUXNET2015: rain 96 to 3116, temperature -13 to 28, radiation 6.1 to 22.6, deficit
0.08 to 2.64, wind 0.75 to 6.3, GPP -125 to 4325, Reco 20 to 5246, NEE -1835 to 824, ET 46 to 1443
(means of monthly files)."""

RAINY_DAYS, RAINY = 0.95, 0.1
"""Share of days with more than so many mm: at most 0.67 at the towers of FLUXNET2015 at hand, and
nearly 1 where carbon is taken for rain."""

RAIN_PER_ENERGY = 1.5
"""Rain as a multiple of what all shortwave radiation could evaporate; a tower in a rain forest of
FLUXNET2015 reaches it."""

RAIN_PER_EVAPORATION = 7.0
"""Rain as a multiple of evapotranspiration; above it one tower of FLUXNET2015, in the Arctic."""

EVAPORATION_PER_RAIN = 2.0
"""Evapotranspiration as a multiple of rain and irrigation; irrigated towers pass it."""

LEAST_EXCESS = 200.0
"""mm a year by which evapotranspiration must pass rain and irrigation, too."""

EVAPORATION_SHARE = (0.65, 1.2)
"""Latent heat as a share of shortwave radiation: unusual, impossible; in FLUXNET2015 up to 0.55."""

CLEARNESS = (0.2, 0.85, 1.05)
"""Share of the radiation at the top of the atmosphere: unusual below and above, impossible."""

DRYNESS = (0.08, 0.9)
"""Mean deficit as a share of the mean saturation pressure: 0.23 on a polder to 0.68 in a desert at
the towers of FLUXNET2015 at hand; hPa and kPa taken for one another are far outside."""

_WHOLE_YEAR = 365
_OPPOSITE, _SEASONAL_TEMPERATURE, _SEASONAL_RADIATION = -0.5, 3.0, 0.15


def judge(draft: Draft, potential: np.ndarray) -> None:
    """Warns of years that are not plausible; no value is changed.

    Args:
      draft: of one site, forcing filled, targets masked.
      potential: radiation at the top of the atmosphere, MJ m-2 d-1, shape `(time,)`.

    Raises:
      DataError: a year that cannot be: wrong units, a factor, a sign.
    """
    means = {}
    for name in {limit.variable for limit in LIMITS} & set(draft.values):
        mean = seasons.mean_of_months(draft.values[name], draft.time)
        if mean is not None:
            means[name] = mean
    for limit in LIMITS:
        if limit.variable in means:
            _against(draft, limit, means[limit.variable] * limit.factor)
    if "shortwave_radiation" not in means:
        return
    _clearness(draft, means["shortwave_radiation"], potential)
    _dryness(draft)
    _water(draft, means)
    _seasons(draft)


def _against(draft: Draft, limit: Limit, value: float) -> None:
    low, high = limit.possible
    found = f"{limit.what} of {value:.4g} {limit.units}"
    if not low <= value <= high:
        expected = f"{low:g} to {high:g}"
        problem = "cannot be; are the units right?"
        raise draft.error(problem, limit.variable, found=found, expected=expected)
    low, high = limit.usual
    if not low <= value <= high:
        message = f"{found} is not plausible (usual are {low:g} to {high:g}); are the units right?"
        draft.note(limit.variable, "warning", len(draft.time), message)


def _clearness(draft: Draft, radiation: float, potential: np.ndarray) -> None:
    name, share = "shortwave_radiation", radiation / float(potential.mean())
    low, high, impossible = CLEARNESS
    found = f"{share:.0%} of what reaches the top of the atmosphere"
    if share > impossible:
        problem = "cannot be; are the units and the latitude right?"
        raise draft.error(problem, name, found=found, expected=f"at most {high:.0%}")
    if not low <= share <= high:
        message = f"{found} is not plausible; are the units and the latitude right?"
        draft.note(name, "warning", len(draft.time), message)


def _dryness(draft: Draft) -> None:
    name = "vapour_pressure_deficit"
    saturated = np.asarray(saturation_pressure(draft.values["air_temperature_mean"]))
    share = float(draft.values[name].mean() / saturated.mean())
    if not DRYNESS[0] <= share <= DRYNESS[1]:
        low, high = (f"{limit:.0%}" for limit in DRYNESS)
        message = (
            f"{share:.0%} of the saturation pressure at the air temperature is not plausible "
            f"(usual are {low} to {high}); are the units of both right?"
        )
        draft.note(name, "warning", len(draft.time), message)


def _water(draft: Draft, means: dict[str, float]) -> None:
    rain = means["precipitation"] * DAYS
    evaporable = means["shortwave_radiation"] / LATENT_HEAT * DAYS
    count = len(draft.time)
    most = next(limit.usual[1] for limit in LIMITS if limit.variable == "precipitation")
    if RAIN_PER_ENERGY * evaporable < rain <= most:
        message = (
            f"rain of {rain:.0f} mm a year is {rain / evaporable:.1f} times what the sun could "
            "evaporate: not plausible on land with fields; are the units right?"
        )
        draft.note("precipitation", "warning", count, message)
    rainy = float((draft.values["precipitation"] > RAINY).mean())
    if rainy > RAINY_DAYS:
        message = f"rain on {rainy:.0%} of the days: not plausible; is it another variable?"
        draft.note("precipitation", "warning", count, message)
    if "ET" not in means:
        return
    evaporated = means["ET"] * DAYS
    watered = rain + float(np.mean(draft.values.get("irrigation", np.zeros(1)))) * DAYS
    if rain > RAIN_PER_EVAPORATION * max(evaporated, 1.0):
        message = f"rain of {rain:.0f} mm a year, but {evaporated:.0f} mm evaporate; "
        draft.note("precipitation", "warning", count, message + "are the units of both right?")
    if evaporated > max(EVAPORATION_PER_RAIN * watered, watered + LEAST_EXCESS):
        message = (
            f"{evaporated:.0f} mm a year evaporate, but rain and irrigation are {watered:.0f} mm: "
            "is there irrigation or groundwater that the data do not tell, or are the units wrong?"
        )
        draft.note("ET", "warning", count, message)
    share = evaporated / evaporable
    found = f"{share:.0%} of the energy of shortwave radiation evaporates water"
    unusual, impossible = EVAPORATION_SHARE
    if share > impossible:
        raise draft.error("cannot be; are the units right?", "ET", found=found, expected="50 %")
    if share > unusual:
        message = f"{found}: not plausible; are the units of both right?"
        draft.note("ET", "warning", count, message)


def _seasons(draft: Draft) -> None:
    year = draft.time.year.to_numpy()
    whole = [year == one for one in np.unique(year) if (year == one).sum() >= _WHOLE_YEAR]
    for days in [np.ones(len(year), dtype=bool), *whole]:
        _season(draft, days)


def _season(draft: Draft, days: np.ndarray) -> None:
    time = draft.time[days]
    radiation = draft.values["shortwave_radiation"][days]
    warmth = seasons.harmonic(draft.values["air_temperature_mean"][days], time)
    light = seasons.harmonic(radiation, time)
    if warmth is None or light is None or abs(warmth) < _SEASONAL_TEMPERATURE:
        return
    strong = abs(light) > _SEASONAL_RADIATION * float(radiation.mean())
    if strong and seasons.alignment(warmth, light) < _OPPOSITE:
        years = listed(sorted({*time.year.tolist()}))
        raise draft.error(
            "has its winter in the summer of the radiation; is the sign of one of them turned?",
            "air_temperature_mean",
            found=f"warmest in {seasons.peak(warmth)}, most radiation in {seasons.peak(light)} "
            f"(of {years})",
        )
