"""The synthetic world as a data set in the project's schema, with the truth beside it."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from kgml_jax.data.schema import NEUTRAL_FORCING, expected_units
from kgml_jax.data.synthetic import climate, management, observation, soil, truth, weather
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import VARIABLES

RATIO = {"IL": 22, "IA": 41, "IN": 27}
"""Sites of the states: the ratio of their county series in Zeng et al. (2025)."""

GRAIN, GRAIN_UNITS = "grain_carbon", "g C m-2 d-1"
PARAMETERS = quantities(Params)

Arrays = dict[str, np.ndarray]
Simulate = Callable[[Arrays, Arrays, Arrays], Arrays]
"""`(parameters, attributes, forcing) -> daily fluxes`: dicts of arrays by name, of shapes (site,),
(site,), (site, time) and (site, time). Returns at least GPP, Ra, Rh, ET and `grain_carbon`."""


@dataclass(frozen=True)
class SyntheticConfig:
    """What is generated; the same values give the same world on every machine."""

    sites: int = 30
    """Number of sites, in the ratio IL:IA:IN = 22:41:27."""
    years: int = 8
    first_year: int = 2001
    seed: int = 0
    noise: bool = True
    """Observations have random errors, which are stated."""
    gaps: bool = True
    """30 to 60 % of the days of a site are missing."""
    partition: bool = True
    """Ra and Rh are observed, as in the simulated data on which KGML-ag was pretrained."""
    twist: bool = False
    """Heterotrophic respiration follows temperature in a way the process model does not know."""
    spin_up_years: int = 8
    """Years simulated before the first, and dropped; in them the litter finds its balance."""

    def __post_init__(self) -> None:
        if self.sites < 1 or self.years < 1 or self.spin_up_years < 0:
            raise ValueError(
                f"{self.sites} sites, {self.years} years after {self.spin_up_years} of spin-up; "
                "expected at least 1, 1 and 0"
            )

    def dates(self) -> np.ndarray:
        """Days that are simulated, datetime64[D], spin-up first."""
        first = self.first_year - self.spin_up_years
        end = self.first_year + self.years
        return np.arange(f"{first}-01-01", f"{end}-01-01", dtype="datetime64[D]")


def generate(config: SyntheticConfig, simulate: Simulate) -> xr.Dataset:
    """Generates sites, simulates them with their true parameters, and observes them.

    What a site draws depends on the seed, its name and the simulated years alone.

    Args:
      config: what is generated.
      simulate: the process model over many sites.

    Returns:
      A data set in the schema, dims (site, time): forcing, attributes, group, observed targets with
      their uncertainties; and beside it `<target>_truth`, `grain_carbon_truth` (carbon exported
      with grain; a year's sum is its yield) and `true_<parameter>`. float32, int32 and str only.
    """
    names, dates = site_names(config.sites), config.dates()
    drawn = [_site(config.seed, name, dates) for name in names]
    parameters, attributes, forcing = (
        {key: np.stack([site[part][key] for site in drawn]) for key in drawn[0][part]}
        for part in range(3)
    )
    simulated = simulate(parameters, attributes, _complete(forcing, dates))
    kept = dates >= np.datetime64(f"{config.first_year}-01-01")
    cut = lambda arrays: {name: values[:, kept] for name, values in arrays.items()}
    forcing, simulated = cut(forcing), cut(simulated)
    fluxes = _truth(config, names, simulated, forcing)
    known, series = expected_units, ("site", "time")
    return xr.Dataset(
        {
            "group": ("site", [name[:2] for name in names]),
            **_described(("site",), attributes, known),
            **_described(series, forcing, known),
            **_described(series, _observations(config, names, fluxes), known),
            **_described(series, fluxes, lambda name: known(name) or GRAIN_UNITS, "{}_truth"),
            **_described(("site",), parameters, lambda name: PARAMETERS[name].units, "true_{}"),
        },
        coords={"site": list(names), "time": dates[kept].astype("datetime64[ns]")},
        attrs={"title": "Synthetic Midwest", "config": json.dumps(dataclasses.asdict(config))},
    )


def per_site(world: xr.Dataset) -> list[xr.Dataset]:
    """Separates a data set with dims (site, time) into one per site, as `assemble` takes them."""
    parts = []
    for name in world["site"].to_numpy().astype(str):
        one = world.sel(site=name)
        group = str(one["group"].item())
        one = one.drop_vars(["site", "group"]).assign_attrs(site=str(name), group=group)
        parts.append(one)
    return parts


def apportion(total: int) -> dict[str, int]:
    """Divides sites among the states in the ratio `RATIO`, by largest remainder."""
    exact = {state: total * share / sum(RATIO.values()) for state, share in RATIO.items()}
    counts = {state: int(quota) for state, quota in exact.items()}
    by_remainder = sorted(exact, key=lambda state: counts[state] - exact[state])
    for state in by_remainder[: total - sum(counts.values())]:
        counts[state] += 1
    return counts


def site_names(total: int) -> tuple[str, ...]:
    """Returns names like "IL-01", state by state."""
    counts = apportion(total).items()
    return tuple(f"{state}-{row:02d}" for state, count in counts for row in range(1, count + 1))


def _site(
    seed: int, name: str, dates: np.ndarray
) -> tuple[dict[str, float], dict[str, float], Arrays]:
    # True parameters, attributes and forcing of one site.
    state = name[:2]
    site = climate.draw(generator(seed, name, "climate"), state)
    years = len(np.unique(dates.astype("datetime64[Y]")))
    anomalies = climate.anomalies(
        generator(seed, state, "anomalies"), generator(seed, name, "anomalies"), years
    )
    parameters = truth.parameters(generator(seed, state, "truth"), generator(seed, name, "truth"))
    attributes = {
        "latitude": site.latitude,
        "elevation": site.elevation,
        "mean_annual_temperature": site.mean_annual_temperature,
        **soil.sample(generator(seed, name, "soil")),
    }
    forcing = {
        **weather.generate(generator(seed, name, "weather"), site, dates, anomalies),
        **management.plan(generator(seed, name, "management"), state, dates),
    }
    return parameters, attributes, forcing


def _complete(forcing: Arrays, dates: np.ndarray) -> Arrays:
    shape = forcing["crop"].shape
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(float) + 1.0
    absent = {
        name: np.full(shape, value)
        for name, value in NEUTRAL_FORCING.items()
        if name not in forcing
    }
    return {**forcing, **absent, "day_of_year": np.broadcast_to(day_of_year, shape)}


def _truth(
    config: SyntheticConfig, names: tuple[str, ...], simulated: Arrays, forcing: Arrays
) -> Arrays:
    heterotrophic = simulated["Rh"].astype(np.float64)
    if config.twist:
        heterotrophic = np.stack(
            [
                truth.shifted_respiration(values, air, _shift(config.seed, name))
                for name, values, air in zip(
                    names, heterotrophic, forcing["air_temperature_mean"], strict=True
                )
            ]
        )
    fluxes = {name: simulated[name].astype(np.float64) for name in ("GPP", "Ra", "ET", GRAIN)}
    respired = fluxes["Ra"] + heterotrophic
    return {**fluxes, "Rh": heterotrophic, "Reco": respired, "NEE": respired - fluxes["GPP"]}


def _shift(seed: int, name: str) -> float:
    return generator(seed, name[:2], "twist").normal(0.0, truth.TEMPERATURE_SHIFT_SD)


def _observations(config: SyntheticConfig, names: tuple[str, ...], fluxes: Arrays) -> Arrays:
    hidden = () if config.partition else ("Ra", "Rh")
    wanted = [name for name in VARIABLES if name not in hidden]
    rows = [
        observation.observe(
            generator(config.seed, site, "observation"),
            {name: fluxes[name][row] for name in wanted},
            config.noise,
            config.gaps,
        )
        for row, site in enumerate(names)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _described(
    dims: tuple[str, ...], arrays: Arrays, units: Callable[[str], str | None], name: str = "{}"
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    # Variables of a data set; `name` is a pattern for theirs.
    described = {}
    for key, values in arrays.items():
        whole = np.issubdtype(values.dtype, np.integer)
        stored = values.astype(np.int32 if whole else np.float32)
        described[name.format(key)] = (dims, stored, {"units": units(key) or "1"})
    return described
