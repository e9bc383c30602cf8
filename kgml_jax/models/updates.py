"""Scheduled updates: pools moved on given dates by amounts that are weights, hence estimable.

A sample of the soil, or a restart from a measured state, says that pools on a date are not what the
simulation made of them. How far they move is `weights["process"]["POOL@DATE"]`, 0 at the start,
beside the offsets of the parameters: whatever estimates these can estimate it with them.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.process.state_update import Update
from kgml_jax.records import Field, Quantity, quantities
from kgml_jax.sites import Site

POOLS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in quantities(Update)},
    "soil_carbon": ("particulate", "mineral_associated", "microbial"),
}
"""What can be moved, and the fields of `Update` it is: each alone, or all organic matter of the
soil in proportion, which is what a measured stock of carbon speaks of."""

SEPARATOR = "@"

EPOCH = datetime.date(1970, 1, 1).toordinal()
"""Day 0 of `Calendar.date`."""


@dataclass(frozen=True)
class ScheduledUpdate:
    """A pool that is moved at the start of a day, the same date at every site.

    It is meant for whole records: a window that repeats days to warm up would repeat it with them,
    and one that begins later does not hold it.

    Attributes:
      pool: one of `POOLS`.
      date: ISO date, such as 2005-01-01. A record without it is not moved.

    Raises:
      ValueError: there is no such pool or date.
    """

    pool: str
    date: str

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise ValueError(f"no pool {self.pool!r} to update; there are {', '.join(POOLS)}")
        try:
            written = datetime.date.fromisoformat(self.date).isoformat()
        except ValueError as error:
            raise ValueError(f"update {self.name}: {error}; expected POOL@YYYY-MM-DD") from error
        if written != self.date:
            # Another spelling would be another amount for the same day.
            raise ValueError(f"update {self.name}: expected the date as {written}")

    @property
    def name(self) -> str:
        """Name of its amount among the weights."""
        return f"{self.pool}{SEPARATOR}{self.date}"

    @property
    def quantity(self) -> Quantity:
        """Unit and meaning of its amount, which has no bounds; its prior moves nothing."""
        first, *others = POOLS[self.pool]
        doc = quantities(Update)[first].doc
        doc = f"{doc}; {', '.join(others)} in proportion" if others else doc
        return Quantity("1", f"{doc}; at the start of {self.date}.", default=0.0)

    def days(self, site: Site) -> Field:
        """Returns on which days it acts, bool (time,)."""
        number = datetime.date.fromisoformat(self.date).toordinal() - EPOCH
        return (site.calendar.date == number) & site.valid


def parse(text: str) -> ScheduledUpdate:
    """Returns the update called `text`, such as `soil_carbon@2005-01-01`.

    Raises:
      ValueError: there is no such pool or date.
    """
    pool, _, date = text.partition(SEPARATOR)
    return ScheduledUpdate(pool, date)


def moves_of(updates: Sequence[ScheduledUpdate], weights: Weights, site: Site) -> Update | None:
    """Returns how the pools of one site move at the start of each day, leaves (time,).

    Args:
      updates: when and which; None is returned where there is none.
      weights: of a model, with the amount of each: the logarithm of the factor on the pool, or what
        else `Update` says of it.
      site: its calendar is read.
    """
    if not updates:
        return None
    amounts: Any = weights["process"]
    nothing = jnp.zeros(site.valid.shape, amounts[updates[0].name].dtype)
    moved = dict.fromkeys(quantities(Update), nothing)
    for one in updates:
        for field in POOLS[one.pool]:
            moved[field] = moved[field] + jnp.where(one.days(site), amounts[one.name], 0.0)
    return Update(**moved)
