"""What the farmers of one site do: rotation, planting, harvest, tillage, fertiliser, residue."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

CORN, SOYBEAN = 0, 1
"""Rows of the crop table of `Forcing.crop`."""

PLANTING = {
    "IL": (123.0, 136.0),
    "IA": (124.0, 135.0),
    "IN": (127.0, 138.0),
    "NE": (125.0, 137.0),
    "MN": (128.0, 139.0),
    "OH": (129.0, 138.0),
    "MO": (118.0, 142.0),
    "WI": (130.0, 140.0),
    "SD": (130.0, 143.0),
    "KS": (117.0, 145.0),
    "MI": (131.0, 139.0),
    "ND": (132.0, 142.0),
}
"""Mean day of the year on which corn and soybean are planted: of IL, IA, IN and MN from NASS crop
progress, of the others set between these by latitude and rotation, to about 5 days."""

HARVEST = (285.0, 277.0)
"""Mean day of the year on which corn and soybean are harvested."""

PLANTING_SD = (4.0, 7.0)
"""Days, between sites and between the years of a site; together 8."""

HARVEST_SD = 6.0

ROTATIONS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((CORN, SOYBEAN), 0.7),
    ((CORN,), 0.2),
    ((CORN, CORN, SOYBEAN), 0.1),
)
"""Crop sequences and their share of the sites; each starts at a random place."""


@dataclass(frozen=True)
class Tillage:
    """Share of the plough layer mixed in autumn, after harvest, and in spring, before planting."""

    autumn: float
    spring: float


PRACTICES = ((Tillage(0.9, 0.3), 0.40), (Tillage(0.0, 0.4), 0.35), (Tillage(0.0, 0.0), 0.25))
"""Conventional, reduced and no tillage, and their share of the sites."""

DAYS_AFTER_HARVEST, DAYS_BEFORE_PLANTING = 10, 3

NITROGEN = {
    "IL": 18.0,
    "IA": 15.9,
    "IN": 18.5,
    "NE": 17.5,
    "MN": 16.2,
    "OH": 17.2,
    "MO": 19.9,
    "WI": 11.8,
    "SD": 14.0,
    "KS": 17.5,
    "MI": 15.1,
    "ND": 14.5,
}
"""Mean fertiliser of corn, g N m-2: 17.5 on average over IL, IA and IN, states in proportion to the
middles of the ranges of Basso et al. (2019, table 2), which has neither NE nor KS."""

NITROGEN_SD = (1.6, 1.2)
"""g N m-2, between sites and between the years of a site; together 2."""

NITROGEN_LIMITS = (8.0, 26.0)

AMMONIUM_SHARE = 0.85
"""Of the nitrogen; anhydrous ammonia and urea count as ammonium, the rest is nitrate."""

APPLICATIONS = ((-10, 0.6), (38, 0.4))
"""Days after planting and share of a year's nitrogen: ammonia is injected some ten days ahead of
the seed, which it would harm; the side-dress waits for about six leaves, before which corn takes up
little (4 pounds an acre in five weeks: Nafziger 2016, Illinois). The shares are a choice."""

STOVER = ((0.0, 0.95), (0.4, 0.05))
"""Share of the residue of corn that is baled, and share of the sites. Of the operations of 2010,
6.3 % removed stover (Obrycki and Karlen 2018), 40 % of it from 4 % of the corn of Iowa (Schmer et
al. 2017)."""


def plan(random: np.random.Generator, state: str, dates: np.ndarray) -> dict[str, np.ndarray]:
    """Draws the management of one site.

    The crop of a day is the crop of its calendar year, also before planting and after harvest.

    Args:
      random: the site's stream.
      state: key of `PLANTING`.
      dates: datetime64[D], whole years, shape (time,).

    Returns:
      The management fields of `Forcing`, each of shape (time,).
    """
    year = dates.astype("datetime64[Y]")
    day_of_year = (dates - year).astype(int) + 1
    which = (year - year[0]).astype(int)
    years = int(which[-1]) + 1
    crop = rotation(random, years)
    practice = _choice(random, PRACTICES)
    early = random.normal(0.0, PLANTING_SD[0]) + random.normal(0.0, PLANTING_SD[1], years)
    planting = np.rint(np.asarray(PLANTING[state])[crop] + np.clip(early, -25, 35)).astype(int)
    late = np.clip(random.normal(0.0, HARVEST_SD, years), -15, 25)
    harvest = np.rint(np.asarray(HARVEST)[crop] + late).astype(int)
    removal = _choice(random, STOVER) * (crop == CORN)
    on = lambda day: (day_of_year == day[which]).astype(float)
    nitrogen = (fertiliser(random, state, years) * (crop == CORN))[which]
    nitrogen = nitrogen * sum(share * on(planting + days) for days, share in APPLICATIONS)
    return {
        "crop": crop[which],
        "occupied": np.where(
            (day_of_year >= planting[which]) & (day_of_year <= harvest[which]), 1.0, 0.0
        ),
        "planting": on(planting),
        "harvest": on(harvest),
        "tillage": practice.autumn * on(harvest + DAYS_AFTER_HARVEST)
        + practice.spring * on(planting - DAYS_BEFORE_PLANTING),
        "residue_removal": removal[which] * on(harvest),
        "fertiliser_ammonium": AMMONIUM_SHARE * nitrogen,
        "fertiliser_nitrate": (1.0 - AMMONIUM_SHARE) * nitrogen,
    }


def fertiliser(random: np.random.Generator, state: str, years: int) -> np.ndarray:
    """Draws the nitrogen that a site gives to corn in each year, g N m-2, shape (year,)."""
    between, within = NITROGEN_SD
    rate = NITROGEN[state] + random.normal(0.0, between) + random.normal(0.0, within, years)
    return np.clip(rate, *NITROGEN_LIMITS)


def rotation(random: np.random.Generator, years: int) -> np.ndarray:
    """Draws a rotation and where it starts; returns the crop of each year, int, shape (year,)."""
    cycle = _choice(random, ROTATIONS)
    start = int(random.integers(len(cycle)))
    return np.array([cycle[(start + year) % len(cycle)] for year in range(years)])


def _choice(random: np.random.Generator, options: tuple[tuple[Option, float], ...]) -> Option:
    return options[int(random.choice(len(options), p=[share for _, share in options]))][0]
