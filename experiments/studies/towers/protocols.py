"""Who learns from what, and is scored where: the last years of each tower, or whole towers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kgml_jax.data.splits import last_years
from kgml_jax.errors import DataError
from kgml_jax.sites import TEST, Sites
from kgml_jax.split import DividedSites
from studies.towers.data import Towers, assembled

Protocol = Literal["last-years", "leave-site-out"]

ONE_PLACE = 10.0
"""km within which towers count as one place: they share weather, often a farmer, even a field."""

EARTH_RADIUS = 6371.0
"""km."""


@dataclass(frozen=True)
class Fold:
    """One division of the towers into those learnt from and those scored.

    Attributes:
      learns: rows of the towers whose training and validation days may be looked at.
      scored: rows of the towers whose predictions count.
    """

    learns: tuple[int, ...]
    scored: tuple[int, ...]


@dataclass(frozen=True)
class Trial:
    """A protocol on towers.

    Attributes:
      towers: with the days that may be learnt from as training and validation.
      folds: every tower is scored in one of them.
      scored: days that are scored, bool (site, time): no fold learns from them that scores them.
    """

    towers: Towers
    folds: tuple[Fold, ...]
    scored: np.ndarray

    @property
    def calibrates(self) -> bool:
        """Whether a tower that is scored has days to learn from."""
        return any(set(fold.learns) & set(fold.scored) for fold in self.folds)

    @property
    def scored_data(self) -> DividedSites:
        """The towers with the scored days as those for testing, and no other."""
        return DividedSites.of_roles(self.towers.sites, np.where(self.scored, TEST, 0))


def make(protocol: Protocol, towers: Towers, folds: int) -> Trial:
    """Returns the trial of a protocol.

    Args:
      protocol: which.
      towers: divided by their last years.
      folds: most parts that the places are dealt to, for leave-site-out.

    Raises:
      DataError: all towers are of one place, so that none can be left out.
    """
    rows = tuple(range(len(towers.sites)))
    if protocol == "last-years":
        return Trial(towers, (Fold(rows, rows),), towers.data.test_days)
    place = places(towers.sites)
    count = min(folds, int(place.max()) + 1)
    if count < 2:
        names = ", ".join(towers.sites.names)
        raise DataError("all towers are of one place: none can be left out", site=names)
    part = dealt(place, towers.is_grass, count)
    found = []
    for fold in range(count):
        scored = tuple(np.flatnonzero(part == fold).tolist())
        found.append(Fold(tuple(np.flatnonzero(part != fold).tolist()), scored))
    # A tower teaches others with all of its years; the last of them stops the training.
    taught = replace(towers, data=last_years(towers.sites, test=0).divide(towers.sites))
    return Trial(taught, tuple(found), np.asarray(towers.sites.site.valid))


def dealt(place: np.ndarray, is_grass: np.ndarray, count: int) -> np.ndarray:
    """Deals places to parts in turn, first those with a crop, int (site,).

    The order is that of the towers, so it stays the same from run to run.

    Args:
      place: index of the place of each tower, (site,).
      is_grass: which towers are of grassland, bool (site,).
      count: of the parts.
    """
    of_place = {int(one): bool(is_grass[place == one].all()) for one in np.unique(place)}
    order = sorted(of_place, key=lambda one: (of_place[one], one))
    part = {one: turn % count for turn, one in enumerate(order)}
    return np.array([part[int(one)] for one in place])


def places(sites: Sites) -> np.ndarray:
    """Returns the index of the place of every tower, int (site,): those near each other share it.

    Towers without coordinates are places of their own.
    """
    return places_of(_where(sites))


def places_of(where: Sequence[tuple[float, float]]) -> np.ndarray:
    """Returns the index of the place of every point (latitude, longitude), degrees; NaN unknown."""
    place = np.arange(len(where))
    for row, point in enumerate(where):
        for other in range(row):
            if distance(*point, *where[other]) < ONE_PLACE:
                place[place == place[row]] = place[other]
    return np.unique(place, return_inverse=True)[1]


def _where(sites: Sites) -> list[tuple[float, float]]:
    known = [sites.place(row) for row in range(len(sites))]
    number = lambda at: np.nan if at is None else at
    return [(number(place.latitude), number(place.longitude)) for place in known]


def distance(latitude: float, longitude: float, other: float, further: float) -> float:
    """Returns the way between two points on the sphere (haversine), km; arguments in degrees."""
    north, east, south, west = np.radians([latitude, longitude, other, further])
    chord = np.sin((north - south) / 2) ** 2
    chord += np.cos(north) * np.cos(south) * np.sin((east - west) / 2) ** 2
    return float(2 * EARTH_RADIUS * np.arcsin(np.sqrt(chord)))


def make_with_others(protocol: Protocol, towers: Towers, others: Towers, folds: int) -> Trial:
    """Returns the trial of a protocol with further towers that teach and are not scored.

    Of the others, those of the place of a tower that is scored are left out: what they teach of it
    would be known.

    Args:
      protocol: which.
      towers: that are scored.
      others: that are learnt from.
      folds: most parts that the places are dealt to, for leave-site-out.
    """
    known = {*towers.sites.names}
    new = [row for row, name in enumerate(others.sites.names) if name not in known]
    place = places_of([*_where(towers.sites), *_where(others.take(new).sites)])
    count = len(towers.sites)
    far = [row for row, at in zip(new, place[count:], strict=True) if at not in place[:count]]
    together = assembled([*towers.fields, *others.take(far).fields])
    trial = make(protocol, together, folds) if protocol == "last-years" else None
    mine = np.arange(len(together.sites)) < count
    if trial is not None:
        fold = Fold(tuple(range(len(mine))), tuple(range(count)))
        return replace(trial, folds=(fold,), scored=trial.scored & mine[:, None])
    taught = replace(together, data=last_years(together.sites, test=0).divide(together.sites))
    part = dealt(place[:count], towers.is_grass, min(folds, len(set(place[:count].tolist()))))
    found = []
    for one in np.unique(part):
        scored = tuple(np.flatnonzero(part == one).tolist())
        found.append(Fold(tuple(row for row in range(len(mine)) if row not in scored), scored))
    seen = np.asarray(together.sites.site.valid) & mine[:, None]
    return Trial(taught, tuple(found), seen)
