"""Prints where the process model lands at its priors, against the regime it is built to reproduce.

Usage: `python experiments/regime.py`
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kgml_jax.data.synthetic import SyntheticConfig, draw
from kgml_jax.models.simulation import simulate_sites

TOLERANCE = 0.25
"""Largest relative distance from the reference."""

REFERENCE: dict[str, tuple[str, float, float | None]] = {
    "GPP": ("g C m-2 yr-1", 1140.0, 1055.0),
    "Ra": ("g C m-2 yr-1", 477.0, 496.0),
    "Rh": ("g C m-2 yr-1", 376.0, 356.0),
    "GPP, daily sd": ("g C m-2 d-1", 5.97, 5.758),
    "Ra, daily sd": ("g C m-2 d-1", 2.41, 2.583),
    "Rh, daily sd": ("g C m-2 d-1", 1.02, 0.857),
    "NEE, daily sd": ("g C m-2 d-1", 3.67, 2.994),
    "ET": ("mm yr-1", 541.0, None),
    "yield of corn": ("Mg ha-1", 10.7, None),
    "yield of soybean": ("Mg ha-1", 3.06, None),
}
"""Units; the value to reproduce, of a prototype of this model at 30 sites of IL, IA and IN over 18
years; and that of the ecosys simulations behind KGML-ag at 100 counties of these states."""

CROPS = {"corn": 0, "soybean": 1}

SUMS = {
    "GPP": "g C m-2 yr-1",
    "Ra": "g C m-2 yr-1",
    "Rh": "g C m-2 yr-1",
    "NEE": "g C m-2 yr-1",
    "maintenance_respiration": "g C m-2 yr-1",
    "growth_respiration": "g C m-2 yr-1",
    "nitrogen_respiration": "g C m-2 yr-1",
    "grain_carbon_harvested": "g C m-2 yr-1",
    "residue_carbon": "g C m-2 yr-1",
    "litter_carbon": "g C m-2 yr-1",
    "grain_yield": "Mg ha-1",
    "ET": "mm yr-1",
    "transpiration": "mm yr-1",
    "soil_evaporation": "mm yr-1",
    "runoff": "mm yr-1",
    "drainage": "mm yr-1",
    "nitrogen_fertiliser": "g N m-2 yr-1",
    "nitrogen_deposition": "g N m-2 yr-1",
    "nitrogen_fixation": "g N m-2 yr-1",
    "nitrogen_uptake": "g N m-2 yr-1",
    "harvested_nitrogen": "g N m-2 yr-1",
    "net_mineralisation": "g N m-2 yr-1",
    "nitrification": "g N m-2 yr-1",
    "nitrous_oxide": "g N m-2 yr-1",
    "dinitrogen": "g N m-2 yr-1",
    "ammonia_volatilisation": "g N m-2 yr-1",
    "nitrate_leaching": "g N m-2 yr-1",
}
"""Daily fluxes whose annual sums are printed, and the units of these."""

ALWAYS = ("GPP", "Ra", "Rh", "NEE", "ET")
"""What the simulation returns unasked."""

STOCKS = ("leaf_area_index", "soil_organic_carbon", "soil_water_content")


@dataclass(frozen=True)
class RegimeConfig:
    """Which sites are simulated; the defaults are those of the reference."""

    sites: int = 30
    """Number of sites, a third of them in each of IL, IA and IN."""
    years: int = 18
    """Years of each site that are counted."""
    spin_up_years: int = 8
    """Years before those."""
    seed: int = 0
    """Seed of weather, soils and management."""
    stations: Path | None = None
    """Table of CLIGEN stations; None: state climates."""
    debug: bool = False
    """Show the traceback of an error."""


@dataclass(frozen=True)
class Regime:
    """Daily values of the counted years by name, each of shape (site, time)."""

    daily: dict[str, np.ndarray]
    crop: np.ndarray
    """Crop of each year of each site, int, shape (site, year)."""
    year: np.ndarray
    """Index of each day's year, shape (time,)."""
    month: np.ndarray
    """Index of each day's month, shape (time,)."""

    def annual(self, name: str) -> np.ndarray:
        """Sums of the years, shape (site, year)."""
        return np.stack([np.bincount(self.year, row) for row in self.daily[name]])

    def of(self, crop: int, annual: np.ndarray) -> float:
        """Mean over the years of a crop."""
        return float(annual[self.crop == crop].mean())


def simulate(config: RegimeConfig) -> Regime:
    """Simulates the sites with the priors of all parameters."""
    world = SyntheticConfig(
        sites=config.sites,
        years=config.years,
        seed=config.seed,
        spin_up_years=config.spin_up_years,
        spread=0.0,
        states=(("IL", 1), ("IA", 1), ("IN", 1)),
        stations=config.stations,
    )
    sites = draw(world)
    outputs = (*(name for name in SUMS if name not in ALWAYS), *STOCKS)
    simulated = simulate_sites(sites.parameters, sites.attributes, sites.forcing, outputs=outputs)
    kept = sites.dates >= np.datetime64(f"{world.first_year}-01-01")
    dates = sites.dates[kept]
    year = dates.astype("datetime64[Y]").astype(int)
    _, first = np.unique(year, return_index=True)
    daily = {name: values[:, kept].astype(np.float64) for name, values in simulated.items()}
    return Regime(
        daily=daily,
        crop=sites.forcing["crop"][:, kept][:, first],
        year=year - year[0],
        month=dates.astype("datetime64[M]").astype(int) % 12,
    )


def values(regime: Regime) -> dict[str, float]:
    """Returns what the model has for each key of `REFERENCE`."""
    found = {}
    for name in REFERENCE:
        quantity, _, kind = name.partition(", ")
        crop = name.removeprefix("yield of ")
        if crop in CROPS:
            found[name] = regime.of(CROPS[crop], regime.annual("grain_yield"))
        elif kind == "daily sd":
            found[name] = float(regime.daily[quantity].std())
        else:
            found[name] = float(regime.annual(quantity).mean())
    return found


def main(config: RegimeConfig) -> int:
    """Simulates and prints; returns 1 if anything lies outside the tolerance."""
    regime = simulate(config)
    found = values(regime)
    console = Console()
    console = Console(width=max(console.width, 110))
    for table in (_comparison(found), _by_crop(regime), _by_month(regime)):
        console.print(table)
    drift = regime.daily["soil_organic_carbon"][:, [0, -1]] @ (-1.0, 1.0) / config.years
    low, mean, high = drift.min(), drift.mean(), drift.max()
    console.print(f"soil carbon, 0-30 cm: {mean:+.1f} ({low:+.1f} to {high:+.1f}) g C m-2 yr-1")
    net = regime.annual("NEE").mean()
    console.print(f"NEE {net:.0f} g C m-2 yr-1 (prototype -287, ecosys -191)")
    return 0 if all(within(name, value) for name, value in found.items()) else 1


def within(name: str, value: float) -> bool:
    """Whether a value lies within the tolerance of its reference."""
    return abs(value / REFERENCE[name][1] - 1.0) <= TOLERANCE


def _comparison(found: dict[str, float]) -> Table:
    table = Table(title="Means and daily standard deviations over all sites and years")
    for name in ("quantity", "units", "model", "reference", "ratio", "", "ecosys"):
        table.add_column(name, justify="left" if name in ("quantity", "units") else "right")
    for name, value in found.items():
        units, reference, ecosys = REFERENCE[name]
        verdict = "ok" if within(name, value) else "[red]outside[/]"
        ratio = f"{value / reference:.2f}"
        table.add_row(
            name, units, f"{value:.4g}", f"{reference:g}", ratio, verdict, f"{ecosys or '-'}"
        )
    return table


def _by_crop(regime: Regime) -> Table:
    table = Table(title="Years by crop")
    for name in ("quantity", "units", *CROPS):
        table.add_column(name, justify="right" if name in CROPS else "left")
    add = lambda name, units, annual: table.add_row(
        name, units, *(f"{regime.of(crop, annual):.4g}" for crop in CROPS.values())
    )
    for name, units in SUMS.items():
        add(name, units, regime.annual(name))
    add("Ra / GPP", "1", regime.annual("Ra") / regime.annual("GPP"))
    highest = lambda name, share: np.stack(
        [
            np.quantile(regime.daily[name][:, regime.year == year], share, axis=1)
            for year in range(regime.crop.shape[1])
        ],
        axis=1,
    )
    add("largest leaf area", "1", highest("leaf_area_index", 1.0))
    add("GPP, 99.5 % of days", "g C m-2 d-1", highest("GPP", 0.995))
    add("soil water, 5 % of days", "m3 m-3", highest("soil_water_content", 0.05))
    return table


def _by_month(regime: Regime) -> Table:
    table = Table(title="Monthly means, g C m-2 d-1 (ET: mm d-1)")
    table.add_column("", no_wrap=True)
    for month in range(1, 13):
        table.add_column(str(month), justify="right")
    crop = regime.crop[:, regime.year]
    for name in ("Rh", "Ra", "GPP", "ET"):
        for label, row in CROPS.items():
            means = (
                regime.daily[name][(crop == row) & (regime.month == month)].mean()
                for month in range(12)
            )
            table.add_row(f"{name}, {label}", *(f"{mean:.2f}" for mean in means))
    return table
