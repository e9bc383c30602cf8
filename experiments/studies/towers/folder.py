"""Towers of any folder of data with a table of events: sites that nobody named in code."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data.read import ReadOptions, read
from kgml_jax.data.schema import Note
from kgml_jax.errors import DataError, listed
from kgml_jax.process import crops
from studies.measured_fields import readers
from studies.measured_fields.catalogue import TOWERS
from studies.measured_fields.grasslands import GRASSLANDS, SELHAUSEN, grassland
from studies.measured_fields.management import FieldHistory
from studies.measured_fields.readers import MeasuredField

CROP, GRASS = "crop", "grassland"
"""Groups of towers."""

KNOWN = {history.site: history for history in (*TOWERS, SELHAUSEN, *GRASSLANDS)}
"""Calendars that the catalogue has, for towers that no table of events names."""

DAYTIME = "_daytime"
"""Ending of GPP and Reco of the daytime partition, which are only scored."""

OTHER = ReadOptions(partition="DT")
"""Reads the partition that is only scored."""

_WORDS = {
    CROP: ("crop", "crops", "cropland", "cro"),
    GRASS: ("grassland", "grasslands", "grass", "pasture", "meadow", "gra"),
}
"""What a `group` or class of vegetation in the data may say."""

_SWARD = crops.NAMES.index("temperate grass")
_MOSTLY = 0.5
"""Share of the days with a stand on which grass must stand for a tower to be one of grassland."""


def read_folder(
    path: Path,
    management: Path | None = None,
    names: Sequence[str] = (),
    skip_bad_sites: bool = False,
) -> list[MeasuredField]:
    """Reads the towers of a folder with their management.

    A tower's management is what the table of events, or the data, tell of it; else the catalogue's;
    else, where the data call it a grassland (a `group`, or IGBP's GRA), permanent grass. One of
    which nothing is known is left out, and that is said.

    Args:
      path: any form of data that `kgml_jax.read_sites` takes.
      management: table of events; None takes `management.csv` beside the data.
      names: of the sites to take; none takes all.
      skip_bad_sites: leave out sites that cannot be used, with a note, in place of stopping.

    Returns:
      Towers whose data sets have the attribute `group`, `CROP` or `GRASS`.

    Raises:
      DataError: there are no data at the path or no such table, a site cannot be used, or of no
        tower is known what grows there.
      ValueError: there is no tower of a name.
    """
    options = ReadOptions(skip_bad_sites=skip_bad_sites)
    reading = read(path, None, options, management)
    sites = {str(dataset.attrs["site"]): dataset for dataset in reading.sites}
    daytime = read(path, None, replace(options, partition=OTHER.partition), management).sites
    others = {str(dataset.attrs["site"]): dataset for dataset in daytime}
    refuse_unknown(names, sites)
    fields, bare = [], []
    for name, dataset in sites.items():
        if names and name not in names:
            continue
        own = [note for note in reading.notes if note.site == name]
        if (found := _managed(dataset, own)) is None:
            bare.append(name)
        else:
            fields.append(with_daytime(found, others[name]))
    if not fields:
        raise DataError(
            "it is not known what grows at any tower",
            site=listed(bare, 12),
            expected="a table of events of these sites (--management, or management.csv beside the "
            "data; see docs/management.md), or igbp GRA in sites.csv for permanent grass",
        )
    return [_with_word_of(fields[0], bare), *fields[1:]] if bare else fields


def refuse_unknown(names: Sequence[str], known: Sequence[str] | dict[str, xr.Dataset]) -> None:
    """Refuses names of towers that there are not.

    Raises:
      ValueError: naming them and those there are.
    """
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"no tower {', '.join(unknown)}; there are {', '.join(known)}")


def _managed(dataset: xr.Dataset, notes: list[Note]) -> MeasuredField | None:
    name = str(dataset.attrs["site"])
    if has_stand(dataset):
        remark = "management of the table of events; soil and place as the data tell"
        history = FieldHistory(name, {}, (), remark)
        return MeasuredField(history, grouped(dataset), tuple(notes))
    if name in KNOWN:
        known = readers.field(KNOWN[name], dataset, notes)
        return replace(known, dataset=grouped(known.dataset))
    if _said(dataset) != GRASS:
        return None
    years = dataset["time"].dt.year.to_numpy()
    history = grassland(name, (int(years[0]), int(years[-1])), remark="nothing known, so no cut")
    dates = dataset["time"].to_numpy().astype("datetime64[D]")
    sown = {key: ("time", value) for key, value in readers.management(history, dates).items()}
    standing = dataset.assign({key: sown[key] for key in ("crop", "occupied", "planting")})
    return MeasuredField(history, standing.assign_attrs(group=GRASS), tuple(notes))


def _with_word_of(field: MeasuredField, bare: Sequence[str]) -> MeasuredField:
    message = f"towers left out, of which it is not known what grows there: {listed(bare, 12)}"
    return replace(
        field, notes=(*field.notes, Note("", "management", "left out", len(bare), message))
    )


def with_daytime(field: MeasuredField, other: xr.Dataset) -> MeasuredField:
    """Returns a tower that also holds GPP and Reco of the daytime partition, where they differ."""
    added = {}
    for name in [name for name in ("GPP", "Reco") if name in other and name in field.dataset]:
        values = other[name].sel(time=field.dataset["time"])
        if not np.array_equal(values, field.dataset[name], equal_nan=True):
            added[f"{name}{DAYTIME}"] = ("time", values.to_numpy())
    return replace(field, dataset=field.dataset.assign(added))


def has_stand(dataset: xr.Dataset) -> bool:
    """Whether anything ever stands at a site, as far as is known."""
    return "occupied" in dataset and bool((dataset["occupied"] > 0).any())


def grouped(dataset: xr.Dataset) -> xr.Dataset:
    """Returns the data set with its group: as the data call it, else by what mostly stands."""
    if said := _said(dataset):
        return dataset.assign_attrs(group=said)
    stands = dataset["occupied"].to_numpy() > 0
    grass = dataset["crop"].to_numpy()[stands] == _SWARD
    return dataset.assign_attrs(group=GRASS if np.mean(grass) > _MOSTLY else CROP)


def _said(dataset: xr.Dataset) -> str:
    for told in (dataset.attrs.get("group"), dataset.attrs.get("vegetation")):
        word = str(told or "").strip().lower()
        for group, words in _WORDS.items():
            if word in words:
                return group
    return ""
