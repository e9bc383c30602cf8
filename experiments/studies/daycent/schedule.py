"""What was done on the field of the DayCent demonstration run, as facts: crops, tillage, nitrogen.

From `schedules/ag.sch`, `common_100s/cult.100` and `run_specific/ag_soyface.100`, `ag_soils.in` of
the inputs of Black et al. (2017, Global Change Biology, doi:10.1111/gcb.13378; archived as Dryad
doi:10.5061/dryad.bn7j3). A block of years repeats a rotation.
"""

from typing import NamedTuple

import numpy as np

from studies.measured_fields.management import CORN, SOYBEAN, WHEAT, Dressing, FieldHistory, Season

UNKNOWN = -1
"""Row of crops that the crop table lacks: oat and pasture."""

FIRST_YEAR = 1889
"""First year with the weather of its own; before, years of the record after it are repeated."""

AMMONIUM_SHARE = 0.75
"""Of the nitrogen given; the rest is nitrate (fert.100)."""

MIXED = {"C": 0.29, "F": 0.41, "G": 0.49, "J": 0.91, "K": 1.0}
"""Share of the plough layer that a cultivation mixes: its effect on decay (cult.100, `CLTEFF(2)`)
above none, as a share of that of the mouldboard plough, `(CLTEFF - 1) / 7`."""

SITE_ATTRIBUTES = {
    "latitude": 40.04,
    "elevation": 220.0,
    "sand": 0.05,
    "clay": 0.39,
    "bulk_density": 1.21,
    "ph": 6.2,
}
"""ag_soyface.100; density and pH of 0-20 cm from ag_soils.in; elevation of Champaign."""


class Turn(NamedTuple):
    """One year of a rotation; days of the year."""

    row: int
    name: str
    sown: int
    """Day on which the crop is planted, or on which pasture starts to grow."""
    cut: int
    """Day of harvest; of pasture, that of its death."""
    tilled: tuple[tuple[int, str], ...]
    """Days, with letters of `MIXED`."""
    nitrogen: tuple[tuple[int, float], ...] = ()
    """Days, with g N m-2."""


class Block(NamedTuple):
    """Years with one rotation, which starts anew in the first of them."""

    first: int
    last: int
    turns: tuple[Turn, ...]


_BEFORE_CORN = ((96, "K"), (100, "G"))
_OLD_CORN = Turn(CORN, "corn", 136, 289, (*_BEFORE_CORN, (136, "C"), (300, "K")))
_OLD_OAT = Turn(UNKNOWN, "oat", 100, 210, ((95, "K"), (96, "G"), (100, "C"), (302, "K")))
_PASTURE = Turn(UNKNOWN, "pasture", 75, 289, ())
_BEFORE_BEAN = ((115, "K"), (116, "G"), (147, "C"))


def _corn(sown: int, first: float, second: tuple[int, float], cultivator: str) -> Turn:
    spring = _BEFORE_CORN if cultivator == "K" else ((96, "F"),)
    tilled = (*spring, (sown, "C"), (300, cultivator))
    return Turn(CORN, "corn", sown, 293, tilled, ((95, first), second))


def _bean(tilled: tuple[tuple[int, str], ...]) -> Turn:
    return Turn(SOYBEAN, "soybean", 147, 283, tilled)


_OAT = Turn(UNKNOWN, "oat", 120, 289, ((115, "K"), (116, "G"), (120, "C"), (302, "K")))

BLOCKS = (
    Block(1889, 1934, (_OLD_CORN, _OLD_CORN, _OLD_OAT, _PASTURE, _PASTURE)),
    Block(
        1935, 1949, (_corn(129, 1.24, (109, 2.8), "K"), _OAT, _bean((*_BEFORE_BEAN, (302, "K"))))
    ),
    Block(1950, 1959, (_corn(129, 2.8, (125, 2.8), "K"), _bean((*_BEFORE_BEAN, (302, "K"))))),
    Block(1960, 1969, (_corn(129, 5.0, (125, 5.0), "K"), _bean((*_BEFORE_BEAN, (301, "K"))))),
    Block(1970, 1979, (_corn(129, 7.85, (125, 7.85), "J"), _bean(((115, "F"), (147, "C"))))),
    Block(1980, 1998, (_corn(128, 7.85, (125, 7.85), "J"), _bean(((116, "F"), (147, "C"))))),
    Block(1999, 1999, (_bean(((116, "F"), (147, "C"))),)),
)
_LAST_DRESSINGS = ((1999, 289, 7.85), (1999, 301, 3.79))
_LAST_TILLAGE = ((1999, 300, "J"), (1999, 301, "F"), (1999, 302, "C"), (2000, 300, "J"))


def history(site: str = "Champaign-DayCent") -> FieldHistory:
    """Returns the history of the field from 1889 to 2000; the last crop is wheat sown in 1999."""
    turns = [
        (year, block.turns[(year - block.first) % len(block.turns)])
        for block in BLOCKS
        for year in range(block.first, block.last + 1)
    ]
    seasons = [
        Season(turn.row, turn.name, day(year, turn.sown), day(year, turn.cut))
        for year, turn in turns
    ]
    wheat = Season(WHEAT, "winter wheat", day(1999, 302), day(2000, 200))
    given = [(year, when, amount) for year, turn in turns for when, amount in turn.nitrogen]
    tilled = [(year, when, letter) for year, turn in turns for when, letter in turn.tilled]
    return FieldHistory(
        site=site,
        attributes=SITE_ATTRIBUTES,
        seasons=(*seasons, wheat),
        dressings=tuple(
            Dressing(day(year, when), AMMONIUM_SHARE * amount, (1 - AMMONIUM_SHARE) * amount)
            for year, when, amount in (*given, *_LAST_DRESSINGS)
        ),
        tillage=tuple(
            (day(year, when), MIXED[letter]) for year, when, letter in (*tilled, *_LAST_TILLAGE)
        ),
        remark="schedule of the run; left out: grazing, straw taken from oat, old cultivars",
    )


def day(year: int, day_of_year: int) -> str:
    """Returns the ISO date of a day of a year, 1 January = 1."""
    return str(np.datetime64(f"{year}-01-01") + np.timedelta64(day_of_year - 1, "D"))
