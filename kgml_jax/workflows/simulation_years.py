"""Years of simulated sites: sums, yields, and what the budgets leave unexplained, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kgml_jax.evaluation.tables import Grid, number
from kgml_jax.process.budgets import BUDGETS, Budget
from kgml_jax.workflows.simulation_outputs import CROPS

SUMS = {
    "grain_yield": "yield",
    "gross_primary_productivity": "GPP",
    "ecosystem_respiration": "Reco",
    "net_ecosystem_exchange": "NEE",
    "evapotranspiration": "ET",
    "nitrous_oxide": "N2O",
    "nitrate_leaching": "NO3 leached",
}
"""Outputs that the table sums over the year, and the names of its columns."""

TITLE = (
    "Years: yield in Mg ha-1 at market moisture; GPP, Reco, NEE in g C m-2; N2O, NO3 in g N m-2; "
    "ET in mm; residuals in g C m-2, g N m-2, mm"
)

LONGEST = 40
"""Rows of a table of single years; of more years, their means by crop are shown."""

_TERMS = (name for budget in BUDGETS.values() for name in budget.terms)
NEEDED = tuple(dict.fromkeys((*SUMS, *_TERMS, "crop")))
"""Outputs that the table is made of."""


def residual(budget: Budget, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns what the stocks of one site changed beyond their income less outgo.

    Args:
      budget: of what.
      values: daily outputs by name, each of shape (time,).

    Returns:
      Of each day, float64, shape (time,); 0 on the first, before which the stocks are not known.
    """
    total = lambda names: np.stack([values[name] for name in names]).astype(np.float64).sum(axis=0)
    change = np.diff(total(budget.stocks))
    return np.concatenate([[0.0], change - (total(budget.income) - total(budget.outgo))[1:]])


@dataclass(frozen=True)
class Year:
    """A calendar year of a site."""

    site: str
    year: int
    days: int
    crop: str
    """Of the harvests; empty without one."""
    sums: tuple[float, ...]
    """Of `SUMS`."""
    residuals: tuple[float, ...]
    """Sums over the year, of `BUDGETS`."""


def of_site(site: str, dates: np.ndarray, values: Mapping[str, np.ndarray]) -> list[Year]:
    """Returns the years of one site.

    Args:
      site: its name.
      dates: datetime64[D], shape (time,).
      values: `NEEDED`, each of shape (time,).
    """
    daily = np.stack([values[name].astype(np.float64) for name in SUMS])
    residuals = np.stack([residual(budget, values) for budget in BUDGETS.values()])
    harvested = np.where(values["grain_yield"] > 0, values["crop"], -1)
    calendar = dates.astype("datetime64[Y]").astype(int) + 1970
    years = []
    for year in np.unique(calendar):
        own = calendar == year
        sums, left = (table[:, own].sum(axis=1) for table in (daily, residuals))
        grown = [CROPS[row].replace("_", " ") for row in np.unique(harvested[own]) if row >= 0]
        described = (site, int(year), int(own.sum()), ", ".join(grown))
        years.append(Year(*described, tuple(sums), tuple(left)))
    return years


def grid(years: Sequence[Year]) -> Grid:
    """Tabulates the years, or where there are many their means by crop, for the terminal."""
    columns = (*SUMS.values(), *(f"{name} residual" for name in BUDGETS))
    if len(years) <= LONGEST:
        rows = tuple(
            (one.site, str(one.year), one.crop, *map(_shown, (*one.sums, *one.residuals)))
            for one in years
        )
        return Grid(TITLE, ("site", "year", "crop", *columns), rows, text_columns=3)
    rows = []
    for crop in sorted({one.crop for one in years}):
        own = [one for one in years if one.crop == crop]
        means = np.mean([one.sums for one in own], axis=0)
        largest = np.abs([one.residuals for one in own]).max(axis=0)
        rows.append((crop or "none", str(len(own)), *map(_shown, (*means, *largest))))
    title = f"{TITLE}. Means over the years of a crop, and the largest residuals"
    return Grid(title, ("crop", "years", *columns), tuple(rows), text_columns=1)


def _shown(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else number(value)
