"""Which days of which site are for what: the split, and sites divided by it as one value."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kgml_jax.display import Shown, counted
from kgml_jax.errors import DataError, listed
from kgml_jax.sites import TEST, TRAIN, VALIDATION, Sites

Period = tuple[str, str, str]
"""First date, last date, role; ISO dates, both inclusive."""

ROLES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


@dataclass(frozen=True)
class Split:
    """Which days of which site are for what: a value that can be saved with a run."""

    kind: str
    periods: dict[str, tuple[Period, ...]]
    """By site, `(first date, last date, role)` with ISO dates, both inclusive."""
    options: dict[str, Any] = field(default_factory=dict)
    """The arguments that made the split."""

    def roles(self, sites: Sites) -> np.ndarray:
        """Returns the role of every day, int8 `(site, time)`; 0 on padding and outside the split.

        Raises:
          DataError: a site of `sites` is not in the split.
        """
        roles = np.zeros(np.shape(sites.site.valid), dtype=np.int8)
        dates = np.asarray(sites.site.calendar.date)
        for row, name in enumerate(sites.names):
            if name not in self.periods:
                raise DataError("the split does not know the site", site=name)
            for first, last, role in self.periods[name]:
                inside = (dates[row] >= _day(first)) & (dates[row] <= _day(last))
                roles[row, inside] = ROLES[role]
        return np.where(np.asarray(sites.site.valid), roles, np.int8(0))

    def assert_disjoint(self) -> None:
        """Refuses a split in which a day, or a calendar year with a test day, has two roles.

        Raises:
          DataError: naming the site and the days or years.
        """
        for site, periods in self.periods.items():
            _check_days(site, periods)
            _check_years(site, periods)

    def assert_covers(self, sites: Sites) -> None:
        """Refuses a split whose sites are not those of the data.

        Raises:
          DataError: a site is in the split but not in the data, or the other way round.
        """
        unknown = sorted(set(self.periods) - set(sites.names))
        if unknown:
            raise DataError(
                "the split names sites that are not in the data",
                site=listed(unknown),
                expected=f"one of {listed(sites.names, 12)}",
            )
        absent = [name for name in sites.names if name not in self.periods]
        if absent:
            raise DataError("the split does not know the site", site=listed(absent))

    def divide(self, sites: Sites) -> "DividedSites":
        """Returns the sites with the role of each of their days.

        Raises:
          DataError: a site of `sites` is not in the split.
        """
        return DividedSites(sites, self, self.roles(sites))

    def to_json(self) -> str:
        """Returns the split as JSON text."""
        return json.dumps(
            {"kind": self.kind, "options": self.options, "intervals": self.periods}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> "Split":
        """Returns the split that `to_json` wrote.

        Raises:
          DataError: the text is not a split, or has an unknown role.
        """
        try:
            content = json.loads(text)
            periods = {
                site: tuple((str(first), str(last), str(role)) for first, last, role in rows)
                for site, rows in content["intervals"].items()
            }
            kind, options = content["kind"], content["options"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not a split: {error!r}") from error
        roles = {role for rows in periods.values() for _, _, role in rows} - set(ROLES)
        if roles:
            raise DataError("unknown role", found=listed(sorted(roles)), expected=listed([*ROLES]))
        return cls(kind=kind, periods=periods, options=options)


@dataclass(frozen=True, repr=False)
class DividedSites(Shown):
    """Sites with the role of each of their days: what training, calibration and scoring take.

    Attributes:
      sites: leaves (site, time, ...).
      split: the dated periods that the roles follow from.
      roles: role of each day, int8 (site, time): `TRAIN`, `VALIDATION`, `TEST`, or 0 on a day that
        no one may look at.
    """

    sites: Sites
    split: Split
    roles: np.ndarray

    @classmethod
    def of_roles(cls, sites: Sites, roles: np.ndarray, kind: str = "given") -> "DividedSites":
        """Returns sites whose roles are given by day, with the periods that say the same."""
        roles = np.where(np.asarray(sites.site.valid), roles, 0).astype(np.int8)
        dates = np.asarray(sites.site.calendar.date)
        periods = {name: _runs(dates[row], roles[row]) for row, name in enumerate(sites.names)}
        return cls(sites, Split(kind, periods), roles)

    @classmethod
    def undivided(cls, sites: Sites) -> "DividedSites":
        """Returns sites of which every day trains: nothing is validated on, nothing held out."""
        return cls.of_roles(sites, np.full(np.shape(sites.site.valid), TRAIN), "undivided")

    def __len__(self) -> int:
        return len(self.sites)

    @cached_property
    def test_days(self) -> np.ndarray:
        """Days that no training or validation looks at, bool (site, time)."""
        return (self.roles == TEST) & np.asarray(self.sites.site.valid)

    @cached_property
    def learning_days(self) -> np.ndarray:
        """Days that training or validation looks at, bool (site, time)."""
        return (self.roles == TRAIN) | (self.roles == VALIDATION)

    def holding_out(self, days: np.ndarray) -> "DividedSites":
        """Returns the sites of which all days that may be learnt from train, but `days` validate.

        Args:
          days: bool (site, time); none, and nothing validates.
        """
        free = self.learning_days
        roles = np.where(free, np.where(days, VALIDATION, TRAIN), self.roles).astype(np.int8)
        return DividedSites(self.sites, self.split, roles)

    def take(self, rows: Sequence[int]) -> "DividedSites":
        """Returns the sites at `rows`, in that order; the split still knows all."""
        rows = [int(row) for row in rows]
        return DividedSites(self.sites.take(rows), self.split, self.roles[rows])

    def _title(self) -> str:
        return f"{counted(len(self), 'site')} divided by {self.split.kind.replace('_', ' ')}"

    def _facts(self) -> Mapping[str, object]:
        counted = {
            role: [int((own == number).sum()) for own in self.roles]
            for role, number in ROLES.items()
        }
        return {
            role: f"{sum(days) / 365.25:.1f} site-years at {np.count_nonzero(days)} sites"
            for role, days in counted.items()
        }


def _runs(dates: np.ndarray, roles: np.ndarray) -> tuple[Period, ...]:
    # Consecutive days of one role as one interval.
    names = {number: name for name, number in ROLES.items()}
    edges = np.flatnonzero(np.diff(roles) != 0) + 1
    bounds = [0, *edges.tolist(), len(roles)]
    iso = lambda place: str(np.datetime64(int(dates[place]), "D"))
    return tuple(
        (iso(start), iso(stop - 1), names[int(roles[start])])
        for start, stop in itertools.pairwise(bounds)
        if roles[start]
    )


def _day(date: str) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))


def _check_days(site: str, periods: Sequence[Period]) -> None:
    ordered = sorted(periods)
    for before, after in itertools.pairwise(ordered):
        if before[1] >= after[0]:
            raise DataError(
                "days with two roles", site=site, found=f"{after[0]}: {before[2]} and {after[2]}"
            )


def _check_years(site: str, periods: Sequence[Period]) -> None:
    years: dict[bool, set[int]] = {True: set(), False: set()}
    for first, last, role in periods:
        years[role == "test"] |= set(range(int(first[:4]), int(last[:4]) + 1))
    shared = sorted(years[True] & years[False])
    if shared:
        raise DataError("a test year is also used otherwise", site=site, found=listed(shared))
