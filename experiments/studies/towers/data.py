"""The towers as sites: records with management, their roles, and what their observations mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data.assemble import assemble
from kgml_jax.data.schema import Note
from kgml_jax.data.splits import last_years
from kgml_jax.evaluation.tables import Grid
from kgml_jax.models.protocol import Model
from kgml_jax.sites import TRAIN, Sites
from kgml_jax.split import ROLES, DividedSites
from studies.measured_fields.readers import MeasuredField
from studies.towers.collection import EIGHT_DAILY, MONTHLY, PERIODS, is_here, read_collection
from studies.towers.folder import CROP, GRASS, read_folder
from studies.towers.periods import DAY, MONTH, PeriodModel

GROUPS = (CROP, EIGHT_DAILY, MONTHLY, GRASS)
"""Groups of the towers, crops first."""

STREAMS = ("NEE", "Reco", "ET")
"""What informs process parameters, and is scored of models that they are estimated for."""

MONTHLY_ERROR = 0.5
"""Standard deviation of what a model misses of a month, over that of the training months: 0.5 is an
R2 of 0.75."""


@dataclass(frozen=True)
class Towers:
    """The towers, in the order of their sites, with the role of each day."""

    fields: tuple[MeasuredField, ...]
    data: DividedSites

    @property
    def sites(self) -> Sites:
        """The records, without their split."""
        return self.data.sites

    def period(self, row: int, name: str) -> str:
        """Returns which period the observations of a flux are means of at a site."""
        return PERIODS.get(self.sites.groups[row], {}).get(name, DAY)

    def observed_as(self, model: Model) -> PeriodModel:
        """Returns a model whose predictions are means of the periods of the observations."""
        groups = self.sites.group_names
        told = [(groups.index(group), of) for group, of in PERIODS.items() if group in groups]
        return PeriodModel(model, tuple((index, tuple(of.items())) for index, of in told))

    @property
    def is_grass(self) -> np.ndarray:
        """Which towers are of grassland, bool (site,)."""
        return np.array([group == GRASS for group in self.sites.groups])

    @property
    def lengths(self) -> np.ndarray:
        """Days of each record, (site,)."""
        return np.asarray(self.sites.site.valid).sum(axis=1)

    def recent(self, years: int) -> "Towers":
        """Returns the towers with the last years of their records, divided as they are."""
        fields = [replace(field, dataset=_last(field, years)) for field in self.fields]
        sites = assemble([field.dataset for field in fields])
        return Towers(tuple(fields), self.data.split.divide(sites))

    def take(self, rows: Sequence[int]) -> "Towers":
        """Returns the towers at `rows`, in that order."""
        return Towers(tuple(self.fields[row] for row in rows), self.data.take(rows))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was done to the data on the way in."""
        return tuple(note for field in self.fields for note in field.notes)


def read(
    folder: Path,
    years: int | None = None,
    names: Sequence[str] = (),
    management: Path | None = None,
    skip_bad_sites: bool = False,
) -> Towers:
    """Reads towers with their management; the last two years are held out.

    Args:
      folder: the project's real data, or any folder or file that `kgml_jax.read_sites` takes.
      years: at the end of a record that are used; None uses all.
      names: of the sites to read; none reads all.
      management: table of events; see `folder.read_folder`, `collection.read_collection`.
      skip_bad_sites: go on without sites of a folder that cannot be used.

    Raises:
      DataError: a file is missing or damaged, or what grows is not known; the message names it.
      ValueError: there is no tower of a name.
    """
    if is_here(folder):
        fields = read_collection(folder, management, names)
    else:
        fields = read_folder(folder, management, names, skip_bad_sites)
    return assembled([replace(field, dataset=_last(field, years)) for field in fields])


def assembled(fields: Sequence[MeasuredField]) -> Towers:
    """Returns towers of which the last two years are held out."""
    sites = assemble([field.dataset for field in fields])
    return Towers(tuple(fields), last_years(sites).divide(sites))


def _last(field: MeasuredField, years: int | None) -> xr.Dataset:
    of_day = field.dataset["time"].dt.year
    kept = of_day > of_day[-1].item() - (years or of_day.size)
    return field.dataset.isel(time=np.flatnonzero(kept))


def with_model_errors(towers: Towers, share: float, persistence: float) -> Towers:
    """Returns the towers with uncertainties that hold what a model cannot get right.

    The stated errors of towers are random ones, far below what models miss. The error of the
    model has a standard deviation of `share` of that of the training days of the site, and lasts
    `persistence` days, which so count as one; a mean of eight days or a month counts as one anyway.

    Args:
      towers: the sites.
      share: 0.5 is the error of a model with an R2 of 0.75.
      persistence: d.
    """
    site = towers.sites.site
    uncertainty = {}
    for name, stated in site.uncertainty.items():
        days = np.asarray(site.mask[name]) & (towers.data.roles == TRAIN)
        # Where nothing was observed in training, the stated errors alone weigh the validation.
        some = days | ~days.any(axis=1, keepdims=True)
        spread = np.std(np.asarray(site.targets[name]), axis=1, where=some, keepdims=True)
        spread = np.where(days.any(axis=1, keepdims=True), spread, 0.0)
        of_day = [towers.period(row, name) == DAY for row in range(len(towers.sites))]
        daily = np.where(of_day, persistence, 1.0)[:, None]
        whole = np.sqrt(daily) * np.hypot(np.asarray(stated), share * spread)
        uncertainty[name] = whole.astype(np.asarray(stated).dtype)
    sites = replace(towers.sites, site=site.replace(uncertainty=uncertainty))  # type: ignore[attr-defined]
    return replace(towers, data=replace(towers.data, sites=sites))


def with_errors_of_months(towers: Towers) -> Towers:
    """Returns the towers with what a model cannot get right in the uncertainties of months.

    How long errors last is estimated from the residuals of days and of eight days; months are too
    few for that, and what is stated of them is far below what models miss.
    """
    weighed = with_model_errors(towers, MONTHLY_ERROR, 1.0).sites.site.uncertainty
    site, rows = towers.sites.site, range(len(towers.sites))
    uncertainty = {}
    for name, stated in site.uncertainty.items():
        of_month = np.array([towers.period(row, name) == MONTH for row in rows])[:, None]
        uncertainty[name] = np.where(of_month, weighed[name], stated)
    sites = replace(towers.sites, site=site.replace(uncertainty=uncertainty))  # type: ignore[attr-defined]
    return replace(towers, data=replace(towers.data, sites=sites))


def split_grid(towers: Towers) -> Grid:
    """Tabulates which years of every site serve for what."""
    year, roles = np.asarray(towers.sites.site.calendar.year), towers.data.roles
    rows = []
    for row, (field, group) in enumerate(zip(towers.fields, towers.sites.groups, strict=True)):
        spans = [_span(year[row][roles[row] == role]) for role in ROLES.values()]
        rows.append((field.history.site, group, *spans, field.history.remark))
    columns = ("site", "kind", *ROLES, "sources and assumptions of management and soil")
    return Grid("Towers and their years", columns, tuple(rows), text_columns=len(columns))


def _span(years: np.ndarray) -> str:
    if not years.size:
        return "-"
    first, last = years.min(), years.max()
    return str(first) if first == last else f"{first}-{last}"
