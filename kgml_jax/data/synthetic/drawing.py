"""The sites of the synthetic world as the process model takes them, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgml_jax.data.schema import NEUTRAL_FORCING
from kgml_jax.data.synthetic import cligen, climate, management, soil, truth, weather
from kgml_jax.data.synthetic.states import STATES
from kgml_jax.data.synthetic.streams import generator

RATIO = (("IL", 22), ("IA", 41), ("IN", 27))
"""Sites of the states: the ratio of their county series in Zeng et al. (2025)."""

UNUSED = (
    "longwave_radiation",
    "irrigation",
    "cut",
    "grazing",
    "manure_carbon",
    "manure_nitrogen",
    "prescribed_gpp",
)
"""Forcing that these sites do not have."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class SyntheticConfig:
    """What is generated; the same values give the same world on every machine."""

    sites: int = 30
    """Number of sites, divided among the states in their ratio."""
    years: int = 8
    first_year: int = 2001
    seed: int = 0
    noise: bool = True
    """Observations have random errors, which are stated."""
    gaps: bool = True
    """30 to 60 % of the days of a site are missing."""
    partition: bool = True
    """Ra and Rh are observed, as in the simulated data on which KGML-ag was pretrained."""
    twist: truth.Twist | None = None
    """Heterotrophic respiration holds a process that the process model does not know."""
    spin_up_years: int = 8
    """Years simulated before the first, and dropped; in them the litter finds its balance."""
    spread: float = 1.0
    """Scales how far true parameters lie from their priors; 0 leaves the priors everywhere."""
    states: tuple[tuple[str, int], ...] = RATIO
    """States and their shares of the sites; keys of `states.STATES`."""
    stations: Path | None = None
    """Table of CLIGEN stations: each site has the climate of one of its state. None: that of the
    state."""

    def __post_init__(self) -> None:
        if self.sites < 1 or self.years < 1 or self.spin_up_years < 0:
            raise ValueError(
                f"{self.sites} sites, {self.years} years after {self.spin_up_years} of spin-up; "
                "expected at least 1, 1 and 0"
            )
        unknown = [state for state, _ in self.states if state not in STATES]
        if unknown:
            raise ValueError(f"state {unknown[0]!r}; expected one of {', '.join(STATES)}")

    def dates(self) -> np.ndarray:
        """Days that are simulated, datetime64[D], spin-up first."""
        first = self.first_year - self.spin_up_years
        end = self.first_year + self.years
        return np.arange(f"{first}-01-01", f"{end}-01-01", dtype="datetime64[D]")

    def names(self) -> tuple[str, ...]:
        """Names of the sites like "IL-01", state by state."""
        counts = apportion(self.sites, self.states).items()
        return tuple(f"{state}-{row:02d}" for state, count in counts for row in range(1, count + 1))


@dataclass(frozen=True)
class Drawn:
    """Sites as the process model takes them, before anything is simulated."""

    names: tuple[str, ...]
    dates: np.ndarray
    """Days that are simulated, datetime64[D], shape (time,)."""
    parameters: Arrays
    """True parameters, all fields of `Params`, each of shape (site,)."""
    attributes: Arrays
    """All fields of `Attributes`, each of shape (site,)."""
    forcing: Arrays
    """All fields of `Forcing`, each of shape (site, time)."""


def draw(config: SyntheticConfig, names: Sequence[str] | None = None) -> Drawn:
    """Draws sites: true parameters, soils, weather and management.

    What a site draws depends on the seed, its name and the simulated years alone, so that many
    sites can be drawn a few at a time.

    Args:
      config: what is drawn.
      names: of the sites, some of `config.names()`; None draws all.

    Raises:
      DataError: the table of stations cannot be used.
    """
    names = config.names() if names is None else tuple(names)
    dates = config.dates()
    states = {name[:2] for name in names}
    stations = None if config.stations is None else cligen.read(config.stations, states)
    drawn = [_site(config, name, dates, stations) for name in names]
    parameters, attributes, forcing = (
        {key: np.stack([site[part][key] for site in drawn]) for key in drawn[0][part]}
        for part in range(3)
    )
    return Drawn(names, dates, parameters, attributes, _complete(forcing, dates))


def apportion(total: int, states: tuple[tuple[str, int], ...] = RATIO) -> dict[str, int]:
    """Divides sites among the states in the ratio of their shares, by largest remainder."""
    whole = sum(share for _, share in states)
    exact = {state: total * share / whole for state, share in states}
    counts = {state: int(quota) for state, quota in exact.items()}
    by_remainder = sorted(exact, key=lambda state: counts[state] - exact[state])
    for state in by_remainder[: total - sum(counts.values())]:
        counts[state] += 1
    return counts


def _site(
    config: SyntheticConfig,
    name: str,
    dates: np.ndarray,
    stations: dict[str, tuple[climate.SiteClimate, ...]] | None,
) -> tuple[dict[str, float], dict[str, float], Arrays]:
    # True parameters, attributes and forcing of one site.
    state = name[:2]
    stream = lambda owner, purpose: generator(config.seed, owner, purpose)
    random = stream(name, "climate")
    if stations is None:
        site = climate.draw(random, state)
    else:
        site = stations[state][int(random.integers(len(stations[state])))]
    years = len(np.unique(dates.astype("datetime64[Y]")))
    anomalies = climate.anomalies(stream(state, "anomalies"), stream(name, "anomalies"), years)
    parameters = truth.parameters(stream(state, "truth"), stream(name, "truth"), config.spread)
    attributes = {
        "latitude": site.latitude,
        "elevation": site.elevation,
        "mean_annual_temperature": site.mean_annual_temperature,
        **soil.sample(stream(name, "soil")),
    }
    forcing = {
        **weather.generate(stream(name, "weather"), site, dates, anomalies),
        **management.plan(stream(name, "management"), state, dates),
    }
    return parameters, attributes, forcing


def _complete(forcing: Arrays, dates: np.ndarray) -> Arrays:
    shape = forcing["crop"].shape
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(float) + 1.0
    absent = {name: np.full(shape, NEUTRAL_FORCING[name]) for name in UNUSED}
    return {**forcing, **absent, "day_of_year": np.broadcast_to(day_of_year, shape)}
