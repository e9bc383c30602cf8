"""The `Site` record: everything the models and the training know of one site, as named arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.display import Shown, counted
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import Field, Quantity, record, var

VARIABLES: dict[str, Quantity] = {
    "GPP": Quantity("g C m-2 d-1", "Gross primary productivity, >= 0."),
    "Ra": Quantity("g C m-2 d-1", "Autotrophic respiration, >= 0."),
    "Rh": Quantity("g C m-2 d-1", "Heterotrophic respiration, >= 0."),
    "Reco": Quantity("g C m-2 d-1", "Ecosystem respiration Ra + Rh, >= 0."),
    "NEE": Quantity("g C m-2 d-1", "Net ecosystem exchange Ra + Rh - GPP, positive upwards."),
    "ET": Quantity("mm d-1", "Evapotranspiration."),
}
"""Daily quantities a model can predict and a site can observe, with units and sign."""

FURTHER: dict[str, Quantity] = {
    "yield": Quantity(
        "g C m-2 yr-1", "Carbon of the grain harvested in the year; has a value on one day of it."
    ),
    "N2O": Quantity("g N m-2 d-1", "Nitrous oxide emitted by the soil."),
    "nitrate": Quantity("g N m-2", "Nitrate nitrogen of the soil, 0-120 cm."),
    "ammonium": Quantity("g N m-2", "Ammonium nitrogen of the soil, 0-120 cm."),
    "soil_water_content": Quantity("m3 m-3", "Water content of the soil, mean of 0-30 cm."),
    "soil_carbon_stock": Quantity("g C m-2", "Organic carbon of the soil, 0-30 cm, no residue."),
    "soil_respiration": Quantity("g C m-2 d-1", "Rh and the respiration of roots: a chamber's."),
    "harvested_carbon": Quantity("g C m-2 d-1", "Carbon that a harvest, cut or grazing takes."),
    "leaf_area_index": Quantity("1", "Green leaf area, of one side, over that of the ground."),
    "green_cover": Quantity("1", "Share of the ground that green leaves cover, seen from above."),
}
"""What some models predict and some data hold beside `VARIABLES`."""

PREDICTABLE = VARIABLES | FURTHER
"""All that can be a target."""

TRAIN, VALIDATION, TEST = 1, 2, 3
"""Roles of a day in a split; 0 is a day no one may look at (padding, or outside the split)."""


@record
class Calendar:
    """Dates of the days of a site, shape `(time,)`, int32; leap days are kept."""

    date: Field = var(units="d", doc="Days since 1970-01-01.")
    year: Field = var(units="year", doc="Calendar year.")
    day_of_year: Field = var(units="d", doc="Day of the year, 1 January = 1.")
    year_index: Field = var(units="1", doc="Years since the first year of the site's record.")


def leap(year: Field) -> Field:
    """Returns whether calendar years have 366 days, bool, of the shape of `year`."""
    return (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))


@record
class Site:
    """One site: drivers, attributes, observations with masks and uncertainties, and calendar.

    Observations are dicts keyed by a name of `VARIABLES`, each of shape `(time,)`. Where
    `mask[name]` is False the value is 0 and must not be looked at.
    """

    forcing: Forcing
    attributes: Attributes
    targets: dict[str, Field]
    mask: dict[str, Field]
    uncertainty: dict[str, Field]
    calendar: Calendar
    valid: Field  # bool (time,): False on days that only pad the record to a common length.
    identity: Field  # uint32 (): CRC-32 of the site's name; seeds what is random at the site.
    group: Field  # int32 (): index into `Sites.group_names`.
    errors: Any = None  # `inversion.lasting.LastingErrors`; None where days err independently.


HALF_A_YEAR = 182
"""Days by which seasons south of the equator are late."""


def day_of_season(site: Site) -> Field:
    """Returns the day of the year that has the same season north of the equator, (..., time).

    Args:
      site: one, or windows of it with a leading axis.
    """
    day = site.calendar.day_of_year
    south = jnp.expand_dims(site.attributes.latitude < 0, -1)
    southern = day + jnp.where(day > HALF_A_YEAR, -HALF_A_YEAR, 366 - HALF_A_YEAR)
    return jnp.where(south, southern, day)


@dataclass(frozen=True)
class Place:
    """Where a site lies and what grows there, as far as it was given: no default stands for it.

    Attributes:
      latitude: degrees north; None where it was not given.
      longitude: degrees east; None where it was not given.
      vegetation: class of IGBP, such as CRO; empty where it was not given.
    """

    latitude: float | None = None
    longitude: float | None = None
    vegetation: str = ""


@dataclass(frozen=True, repr=False)
class Sites(Shown):
    """Many sites with their names: `site` has a leading site axis on every leaf.

    Attributes:
      names: of the sites, unique.
      group_names: of all groups (states, countries), in the order of `Site.group`.
      groups: group of every site.
      site: leaves (site, time, ...).
      places: of every site, as far as they were given; empty if nothing was.
      origin: the `data.choices.DataChoice` they were read with; None if made otherwise.
      notes: `data.schema.Note`s, what was done to the data on the way in.
      truth: the synthetic world with its true parameters (xarray.Dataset); None of measured sites.
    """

    names: tuple[str, ...]
    group_names: tuple[str, ...]
    groups: tuple[str, ...]
    site: Site
    places: tuple[Place, ...] = ()
    origin: Any = None
    notes: tuple[Any, ...] = ()
    truth: Any = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Sequence[int]) -> "Sites":
        """Returns the sites at `indices`, in that order."""
        rows = np.asarray(indices, dtype=int)
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            groups=tuple(self.groups[i] for i in rows),
            site=jax.tree.map(lambda leaf: leaf[rows], self.site),
            places=tuple(self.places[i] for i in rows) if self.places else (),
        )

    def place(self, row: int) -> Place:
        """Returns what was given of where a site lies."""
        return self.places[row] if self.places else Place()

    def one(self, name: str) -> Site:
        """Returns the site called `name`, without a site axis.

        Raises:
          KeyError: no site has that name; the message lists those there are.
        """
        if name not in self.names:
            raise KeyError(f"no site {name!r}; there are {', '.join(self.names)}")
        row = self.names.index(name)
        return jax.tree.map(lambda leaf: leaf[row], self.site)

    def _title(self) -> str:
        return counted(len(self), "site")

    def _facts(self) -> Mapping[str, object]:
        valid = np.asarray(self.site.valid)
        if not valid.any():
            return {"days": 0}
        dates = np.asarray(self.site.calendar.date)[valid].astype("datetime64[D]")
        shown = ", ".join(self.names[:6]) + (", ..." if len(self) > 6 else "")
        share = {name: np.asarray(mask)[valid].mean() for name, mask in self.site.mask.items()}
        return {
            "sites": shown,
            "groups": ", ".join(dict.fromkeys(self.groups)),
            "days": f"{dates.min()} to {dates.max()}, {valid.sum() / 365.25:.0f} site-years",
            "observed": ", ".join(f"{name} {seen:.0%}" for name, seen in share.items() if seen),
            "notes": f"{len(self.notes)} on what was done to the data (`.notes`)",
        }
