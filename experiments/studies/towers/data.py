"""The towers as sites: records with management, monthly fluxes on days, and who is what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data.assemble import assemble
from kgml_jax.data.splits import last_years
from kgml_jax.evaluation.tables import Grid
from kgml_jax.sites import TRAIN, Sites
from kgml_jax.split import ROLES, DividedSites
from studies.measured_fields import readers
from studies.measured_fields.catalogue import MEAD, TOWERS
from studies.measured_fields.grasslands import GRASSLANDS, SELHAUSEN
from studies.measured_fields.readers import MeasuredField
from studies.measured_fields.simulated import LEAST_QUALITY
from studies.towers.monthly import on_last_days

CROP, GRASS, MONTHLY = "crop", "grassland", "crop, monthly"
"""Groups of the towers."""

STREAMS = ("NEE", "Reco", "ET")
"""What informs and what is scored."""


@dataclass(frozen=True)
class Towers:
    """The towers, in the order of their sites, with the role of each day."""

    fields: tuple[MeasuredField, ...]
    data: DividedSites

    @property
    def sites(self) -> Sites:
        """The records, without their split."""
        return self.data.sites

    @property
    def monthly(self) -> int:
        """Index of the group whose observations are means of months; -1 if there is none."""
        names = self.sites.group_names
        return names.index(MONTHLY) if MONTHLY in names else -1


def read(folder: Path, years: int, names: Sequence[str] = ()) -> Towers:
    """Reads the towers with their management; the last two years are held out.

    Args:
      folder: the real data.
      years: at the end of a record that are used, to bound what a simulation costs.
      names: of the sites to read; none reads all.

    Raises:
      DataError: a file is missing or damaged; the message names it.
      ValueError: there is no tower of a name.
    """
    histories = {history.site: (history, CROP) for history in (*TOWERS, SELHAUSEN)}
    histories |= {history.site: (history, GRASS) for history in GRASSLANDS}
    histories[MEAD.site] = (MEAD, MONTHLY)
    if unknown := sorted(set(names) - set(histories)):
        raise ValueError(f"no tower {', '.join(unknown)}; there are {', '.join(histories)}")
    fields = []
    for name, (history, kind) in histories.items():
        if not names or name in names:
            field = _mead(folder) if kind == MONTHLY else readers.tower(folder, history)
            fields.append(replace(field, dataset=_last(field, years).assign_attrs(group=kind)))
    sites = assemble([field.dataset for field in fields])
    return Towers(tuple(fields), last_years(sites).divide(sites))


def _mead(folder: Path) -> MeasuredField:
    field = readers.mead(folder, MEAD)
    dates = field.dataset["time"].to_numpy().astype("datetime64[D]")
    observed = on_last_days(readers.mead_fluxes(folder), dates, LEAST_QUALITY)
    return replace(field, dataset=field.dataset.assign(observed))


def _last(field: MeasuredField, years: int) -> xr.Dataset:
    of_day = field.dataset["time"].dt.year
    return field.dataset.isel(time=np.flatnonzero(of_day > of_day[-1].item() - years))


def with_model_errors(towers: Towers, share: float, persistence: float) -> Towers:
    """Returns the towers with uncertainties that hold what a model cannot get right.

    The stated errors of towers are random ones, far below what models miss. The error of the
    model has a standard deviation of `share` of that of the training days of the site, and lasts
    `persistence` days, which so count as one; an observation of a month counts as one anyway.

    Args:
      towers: the sites.
      share: 0.5 is the error of a model with an R2 of 0.75.
      persistence: d.
    """
    site = towers.sites.site
    daily = np.where(np.asarray(site.group) == towers.monthly, 1.0, persistence)[:, None]
    uncertainty = {}
    for name, stated in site.uncertainty.items():
        days = np.asarray(site.mask[name]) & (towers.data.roles == TRAIN)
        # Where nothing was observed in training, the stated errors alone weigh the validation.
        some = days | ~days.any(axis=1, keepdims=True)
        spread = np.std(np.asarray(site.targets[name]), axis=1, where=some, keepdims=True)
        spread = np.where(days.any(axis=1, keepdims=True), spread, 0.0)
        whole = np.sqrt(daily) * np.hypot(np.asarray(stated), share * spread)
        uncertainty[name] = whole.astype(np.asarray(stated).dtype)
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
