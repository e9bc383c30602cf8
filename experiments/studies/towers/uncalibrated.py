"""The process model with its priors at all towers: errors by tower, and respiration in the cold."""

import numpy as np

from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.models.observables import NAMES
from kgml_jax.models.simulation import priors, simulate_batches
from kgml_jax.sites import TEST
from studies.towers.data import STREAMS, Towers
from studies.towers.inputs import taken
from studies.towers.models import PROCESS
from studies.towers.periods import DAY, so_far

LEAF_AREA = "leaf_area_index"
BARE = 0.1
"""Leaf area index below which respiration is taken to be that of the soil."""

COLD = ((-60.0, 0.0), (0.0, 5.0), (5.0, 10.0), (10.0, 15.0))
"""Classes of mean air temperature, degC."""

LEAST_DAYS = 10
"""Days of a class at a tower from which its means are shown."""


def simulate(towers: Towers) -> dict[str, np.ndarray]:
    """Returns fluxes and leaf area at all towers, means as observed, (site, time)."""
    found = simulate_days(towers)
    for row in range(len(towers.sites)):
        calendar = taken(towers.sites.site.calendar, row)
        for name in NAMES:
            if (period := towers.period(row, name)) != DAY:
                found[name][row] = so_far(found[name][row], calendar, period)
    return found


def simulate_days(towers: Towers) -> dict[str, np.ndarray]:
    """Returns daily fluxes and leaf area at all towers, (site, time)."""
    site, count = towers.sites.site, len(towers.sites)
    outputs = NAMES | {LEAF_AREA: LEAF_AREA}
    days = np.asarray(site.valid).sum(axis=1)
    arrays = priors(count), vars(site.attributes), vars(site.forcing)
    batches = simulate_batches(*arrays, tuple(outputs.values()), count, PROCESS, days)
    [(_, daily)] = batches
    return {name: np.array(daily[field]) for name, field in outputs.items()}


def error_grid(towers: Towers, simulated: dict[str, np.ndarray]) -> Grid:
    """Tabulates root mean square errors by tower: the last two years, and those before."""
    rows, held_out = [], towers.data.roles == TEST
    for name in [name for name in STREAMS if name in towers.sites.site.targets]:
        seen = np.asarray(towers.sites.site.mask[name])
        squares = (simulated[name] - np.asarray(towers.sites.site.targets[name])) ** 2
        for words, days in (("earlier years", ~held_out), ("last two years", held_out)):
            errors = [_root(one[day]) for one, day in zip(squares, seen & days, strict=True)]
            rows.append((name, words, *map(number, errors)))
    title = "Process model, not calibrated: root mean square error, g C m-2 d-1, mm d-1"
    return Grid(title, ("flux", "days", *towers.sites.names), tuple(rows), 2)


def respiration_grid(towers: Towers, simulated: dict[str, np.ndarray]) -> Grid:
    """Tabulates observed and simulated Reco of fields without leaves by air temperature."""
    site = towers.sites.site
    air, observed = np.asarray(site.forcing.air_temperature_mean), np.asarray(site.targets["Reco"])
    bare = np.asarray(site.mask["Reco"]) & (simulated[LEAF_AREA] < BARE)
    rows = []
    for low, high in COLD:
        days = bare & (air >= low) & (air < high)
        cells = [
            _pair(one[day], other[day])
            for one, other, day in zip(observed, simulated["Reco"], days, strict=True)
        ]
        rows.append((f"{low:g} to {high:g}" if low > -60 else "below 0", *cells))
    title = f"Reco on all days with a simulated leaf area below {BARE}: observed, simulated"
    return Grid(title, ("air, degC", *towers.sites.names), tuple(rows), 1)


def _root(squares: np.ndarray) -> float:
    return float(np.sqrt(squares.mean())) if squares.size else np.nan


def _pair(observed: np.ndarray, simulated: np.ndarray) -> str:
    if observed.size < LEAST_DAYS:
        return "-"
    return f"{observed.mean():.2f}, {simulated.mean():.2f}"
