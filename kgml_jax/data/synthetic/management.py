"""What the farmers of one site do: rotation, planting, harvest and tillage."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

CORN, SOYBEAN = 0, 1
"""Rows of the crop table of `Forcing.crop`."""

PLANTING = {"IL": (123.0, 136.0), "IA": (124.0, 135.0), "IN": (127.0, 138.0)}
"""Mean day of the year on which corn and soybean are planted (from NASS crop progress)."""

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
    on = lambda day: (day_of_year == day[which]).astype(float)
    return {
        "crop": crop[which],
        "occupied": np.where(
            (day_of_year >= planting[which]) & (day_of_year <= harvest[which]), 1.0, 0.0
        ),
        "planting": on(planting),
        "harvest": on(harvest),
        "tillage": practice.autumn * on(harvest + DAYS_AFTER_HARVEST)
        + practice.spring * on(planting - DAYS_BEFORE_PLANTING),
    }


def rotation(random: np.random.Generator, years: int) -> np.ndarray:
    """Draws a rotation and where it starts; returns the crop of each year, int, shape (year,)."""
    cycle = _choice(random, ROTATIONS)
    start = int(random.integers(len(cycle)))
    return np.array([cycle[(start + year) % len(cycle)] for year in range(years)])


def _choice(random: np.random.Generator, options: tuple[tuple[Option, float], ...]) -> Option:
    return options[int(random.choice(len(options), p=[share for _, share in options]))][0]
