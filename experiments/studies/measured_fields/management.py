"""Management of one field as facts, and from facts to the management fields of the forcing."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kgml_jax.process import crops

CORN, SOYBEAN, WHEAT = (crops.NAMES.index(name) for name in ("corn", "soybean", "winter wheat"))
"""Rows of the crop table of `Forcing.crop`."""


@dataclass(frozen=True)
class Season:
    """One crop from planting to harvest."""

    row: int
    """Row of the crop table that simulates it."""
    name: str
    planted: str
    """ISO date, like all dates here."""
    harvested: str
    grain: float | None = None
    """Measured yield at market moisture, Mg ha-1; None if not known."""
    removal: float = 0.0
    """Share of the above-ground residue taken off the field at harvest."""
    left_out: str = ""
    """Why the season is simulated but not scored; empty if it is scored."""


class Dressing(NamedTuple):
    """Mineral fertiliser of one day, g N m-2; urea and anhydrous ammonia count as ammonium."""

    day: str
    ammonium: float
    nitrate: float


@dataclass(frozen=True)
class FieldHistory:
    """One field: what it is like, what was done on it, and when the simulation runs."""

    site: str
    attributes: dict[str, float]
    """Fields of `Attributes`; how the soil holds water follows from texture if it is not here."""
    seasons: tuple[Season, ...]
    """In the order of planting."""
    remark: str
    """Where the facts come from, and what is assumed."""
    dressings: tuple[Dressing, ...] = ()
    tillage: tuple[tuple[str, float], ...] = ()
    """Day and share of the plough layer that is mixed."""
    irrigation: tuple[tuple[str, float], ...] = ()
    """Day and mm."""
    cuts: tuple[tuple[str, float], ...] = ()
    """Day and share of the shoot above the stubble that is mown."""
    period: tuple[str, str] | None = None
    """First and last day; None is the whole record."""


def management(history: FieldHistory, dates: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the management fields of `Forcing`.

    A field carries the crop of its last planting until the next one; it is occupied from the day
    of planting to that of harvest. What happened outside `dates` is left out: a crop sown before
    the first day stands from that day on, and the spin-up must have sown it.

    Args:
      history: the facts.
      dates: datetime64[D], every day once and in order, shape (time,).

    Returns:
      Arrays of shape (time,) in the units of `Forcing`.

    Raises:
      ValueError: a crop is planted before the one before it is harvested, or harvested unplanted.
    """
    _check(history)
    names = ("planting", "harvest", "cut", "tillage", "residue_removal", "irrigation")
    names += ("fertiliser_ammonium", "fertiliser_nitrate", "occupied")
    fields = {name: np.zeros(len(dates)) for name in names}
    fields["crop"] = np.full(len(dates), history.seasons[0].row)
    for season in history.seasons:
        planted, harvested = np.datetime64(season.planted), np.datetime64(season.harvested)
        fields["crop"][dates >= planted] = season.row
        fields["occupied"][(dates >= planted) & (dates <= harvested)] = 1.0
        fields["planting"][dates == planted] = 1.0
        fields["harvest"][dates == harvested] = 1.0
        fields["residue_removal"][dates == harvested] = season.removal
    for day, share in history.tillage:
        fields["tillage"][dates == np.datetime64(day)] += share
    for day, share in history.cuts:
        fields["cut"][dates == np.datetime64(day)] = share
    for day, depth in history.irrigation:
        fields["irrigation"][dates == np.datetime64(day)] += depth
    for dressing in history.dressings:
        on = dates == np.datetime64(dressing.day)
        fields["fertiliser_ammonium"][on] += dressing.ammonium
        fields["fertiliser_nitrate"][on] += dressing.nitrate
    return fields


def _check(history: FieldHistory) -> None:
    before = ""
    for season in history.seasons:
        if not before < season.planted < season.harvested:
            problem = f"{season.name} planted {season.planted}, harvested {season.harvested}"
            raise ValueError(f"{history.site}: {problem}; the crop before it until {before or '-'}")
        before = season.harvested


def crop_years(history: FieldHistory, dates: np.ndarray) -> list[tuple[Season, np.ndarray]]:
    """Divides a record into crop-years, from one planting to the day before the next.

    Returns:
      The seasons that have a day in the record, each with its days, bool (time,). Days before the
      first planting belong to none.
    """
    starts = [np.datetime64(season.planted) for season in history.seasons]
    ends = [*starts[1:], dates[-1] + np.timedelta64(1, "D")]
    years = [
        (season, (dates >= start) & (dates < end))
        for season, start, end in zip(history.seasons, starts, ends, strict=True)
    ]
    return [(season, days) for season, days in years if days.any()]
