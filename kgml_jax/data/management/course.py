"""The crops of a site while its table is walked through, and what is to be said of them."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from kgml_jax.data import crop_names
from kgml_jax.data.crop_names import Named
from kgml_jax.data.management.operations import Operation
from kgml_jax.data.schema import Note, Season

_DAY = np.timedelta64(1, "D")


def called(crop: Named) -> str:
    """Returns the name of a crop, in words where it has none."""
    return crop.name or "a crop without a name"


@dataclass
class Standing:
    """A crop that is on the field."""

    crop: Named
    first: np.datetime64
    sown: bool = True
    again: np.datetime64 | None = None
    """Day on which it was sown again."""
    cuts: list[tuple[np.datetime64, float]] = field(default_factory=list)
    """Days on which it is mown, and shares of the shoot above the stubble."""


@dataclass
class Course:
    """The seasons of a site while they are found, and what is to be said of them."""

    site: str
    first_day: np.datetime64
    last_day: np.datetime64
    latitude: float
    seasons: list[Season] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    standing: Standing | None = None
    under: list[Named] = field(default_factory=list)
    """Crops left out because another stood: their harvests are of no season."""
    unused: Counter[str] = field(default_factory=Counter)

    def tell(self, message: str, day: np.datetime64, kind: str = "warning") -> None:
        """Notes what was done, where it touches the record."""
        if self.holds(day):
            self.notes.append(Note(self.site, "management", kind, 1, message))

    def holds(self, day: np.datetime64) -> bool:
        """Whether a day lies in the record."""
        return bool(self.first_day <= day <= self.last_day)

    def open(self, sowing: Operation) -> None:
        """Begins a season on the day of a planting, or the next if the field was cleared on it."""
        day = sowing.day
        if self.seasons and self.seasons[-1].last >= day:
            day = self.seasons[-1].last + _DAY
        self.standing = Standing(sowing.crop, day)

    def mow(self, day: np.datetime64, share: float) -> None:
        """Cuts a perennial crop; nothing else is mown and goes on."""
        if self.standing is not None and self.standing.crop.is_perennial:
            self.standing.cuts.append((day, share))
        else:
            self.leave("cut", day)

    def leave(self, kind: str, day: np.datetime64) -> None:
        """Counts an event in the record that nothing depends on."""
        self.unused[kind] += int(self.holds(day))

    def close(
        self, day: np.datetime64, removal: float = 0.0, remark: str = "", reaped: bool = True
    ) -> None:
        """Ends the season of the crop that stands."""
        assert self.standing is not None
        crop, first, sown = self.standing.crop, self.standing.first, self.standing.sown
        cuts = tuple(self.standing.cuts)
        row, substitute = crop_names.row(crop.name)
        said = "; ".join(filter(None, (crop.remark, substitute, remark)))
        self.standing = None
        if sown and day <= first:
            message = (
                f"{called(crop)} sown on {first} and ended by {day}, on no later day, is left out"
            )
            self.tell(message, first)
            return
        season = Season(self.site, crop.name, row, first, day, sown, reaped, removal, cuts, said)
        self.seasons.append(season)
