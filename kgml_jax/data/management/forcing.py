"""Events on the days of a record: the management fields of the forcing."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import xarray as xr

from kgml_jax.data import crop_names
from kgml_jax.data.management import vocabulary
from kgml_jax.data.management.amounts import (
    ORGANIC,
    fertilise,
    graze,
    irrigate,
    spread_manure,
    till,
)
from kgml_jax.data.management.events import Event
from kgml_jax.data.management.reader import Diary
from kgml_jax.data.management.record import Record
from kgml_jax.data.management.seasons import seasons
from kgml_jax.data.schema import FORCING, NEUTRAL_FORCING, Note, Season
from kgml_jax.errors import DataError, listed

GROUPS = {
    "planting and harvest": ("crop", "occupied", "planting", "harvest", "residue_removal"),
    "tillage": ("tillage",),
    "fertilisation": ("fertiliser_ammonium", "fertiliser_nitrate"),
    "irrigation": ("irrigation",),
    "manure": ("manure_carbon", "manure_nitrogen"),
    "cuts and grazing": ("cut", "grazing"),
}
"""Fields of the forcing that come together from one source: the data, or the table of events."""

WIDE = 14
"""Days beyond which a window is told as a warning: its middle day is then hardly a date."""

UNUSABLE = 92
"""Days of a window beyond which the event is left out; water is spread over any window."""

LATE = 150
"""Days of a record before the first sowing or harvest of a table beyond which that is told."""

_IN_A_WINDOW = ("irrigation", "graze")
"""Events that go on for all of their window; others happen on one day of it."""


def attach(
    dataset: xr.Dataset, diary: Diary, latitude: float
) -> tuple[xr.Dataset, list[Note], list[Season]]:
    """Gives a site the management that a table of events tells of it.

    Args:
      dataset: dimension `time`, one day each; attrs `site` and `source`.
      diary: the table; a site that it does not name is left as it is.
      latitude: degrees north.

    Returns:
      The data set with the fields of every group of `GROUPS` of which the table has an event, what
      is to be said, and the seasons that touch the record.

    Raises:
      DataError: rows of the site cannot be understood, a crop is not known or not simulated, or the
        data give the same fields themselves.
    """
    site = str(dataset.attrs["site"])
    if site not in diary.rows:
        return dataset, [], []
    days = np.sort(dataset["time"].to_numpy().astype("datetime64[D]"))
    record = Record(site, diary.file, days)
    events, without = diary.events(site)
    usable = _usable(record, events, without)
    try:
        found, told = seasons(usable, site, (days[0], days[-1]), latitude)
    except DataError as error:
        place = {"file": diary.file, "site": site, "variable": error.variable}
        raise DataError(error.problem, **place) from error
    if found or any(event.kind in ("planting", "harvest") for event in usable):
        _lay_seasons(record, found)
        _tell_seasons(record, usable, found, latitude)
    till(record, [event for event in usable if event.kind == "tillage"])
    fertilise(record, [event for event in usable if event.kind == "fertilisation"])
    spread_manure(record, [event for event in usable if _is_organic(event)])
    graze(record, [event for event in usable if event.kind == "graze"], found)
    irrigate(record, [event for event in usable if event.kind == "irrigation"])
    _require_unsaid(dataset, record)
    order = np.searchsorted(days, dataset["time"].to_numpy().astype("datetime64[D]"))
    added = {
        name: ("time", values[order], {"units": FORCING[name].units})
        for name, values in record.fields.items()
    }
    return dataset.assign(added), [*record.notes, *told], found


def _usable(record: Record, events: Sequence[Event], without: Sequence[str]) -> list[Event]:
    """Returns the events that can be laid on days, and tells how many there are of each kind."""
    inside = Counter(event.kind for event in events if record.has(event.day))
    counts = ", ".join(f"{kind} {inside[kind]}" for kind in vocabulary.KINDS if inside[kind])
    message = f"events in the record: {counts or 'none'}; of {record.file}"
    record.tell("converted", sum(inside[kind] for kind in vocabulary.KINDS) or 1, message)
    outside = sum(not record.has(event.day) for event in events)
    record.tell("converted", outside, f"events before or after the record, of {record.file}")
    listed_rows = listed(without)
    record.tell("warning", 1 if without else 0, f"events without a date, left out: {listed_rows}")
    idle = {kind: inside[kind] for kind in vocabulary.UNUSED if inside[kind]}
    told = ", ".join(f"{kind} {count}" for kind, count in idle.items())
    record.tell("left out", sum(idle.values()), f"events that nothing depends on: {told}")
    usable = []
    for event in events:
        if event.kind in (*_IN_A_WINDOW, *vocabulary.UNUSED):
            usable.append(event)
            continue
        if event.width > UNUSABLE:
            if record.has(event.first) or record.has(event.last):
                message = f"{event.kind} in a window of {event.width} days, left out: {event.place}"
                record.tell("warning", 1, message)
            continue
        if event.width > WIDE and record.has(event.day):
            message = f"{event.kind} in a window of {event.width} days counts on its middle day, "
            record.tell("warning", 1, f"{message}{event.day}: {event.place}")
        usable.append(event)
    return usable


def _lay_seasons(record: Record, found: Sequence[Season]) -> None:
    record.zeros("occupied", "planting", "harvest", "residue_removal")
    days = record.days
    first = found[0].row if found else crop_names.UNKNOWN
    crop = np.full(len(days), float(first))
    for one in found:
        crop[days >= one.first] = one.row
        record.fields["occupied"][(days >= one.first) & (days <= one.last)] = 1.0
        if one.sown:
            record.add("planting", one.first, 1.0)
        if one.reaped and not crop_names.Named(one.name).is_perennial:
            record.add("harvest", one.last, 1.0)
            record.add("residue_removal", one.last, one.removal)
        for day, share in one.cuts:
            record.zeros("cut")
            record.add("cut", day, share)
    record.fields["crop"] = crop


def _is_organic(event: Event) -> bool:
    with_matter = event.kind == "fertilisation" and ORGANIC & set(event.amounts)
    return event.kind == "organic fertilisation" or bool(with_matter)


def _tell_seasons(
    record: Record, events: Sequence[Event], found: Sequence[Season], latitude: float
) -> None:
    names = Counter(one.name or "a crop without a name" for one in found)
    told = ", ".join(f"{name} {count}" for name, count in names.items())
    record.tell("converted", len(found) or 1, f"seasons: {told or 'none'}")
    for remark in dict.fromkeys(crop_names.row(one.name)[1] for one in found):
        if not remark:
            continue
        which = [one for one in found if crop_names.row(one.name)[1] == remark]
        label = ", ".join(dict.fromkeys(one.name or "a crop without a name" for one in which))
        kind = "converted" if remark.startswith("simulated as") else "warning"
        record.tell(kind, len(which) if kind == "converted" else 1, f"{label}: {remark}")
    _tell_names(record, events, latitude)
    _tell_silence(record, events, found)


def _tell_names(record: Record, events: Sequence[Event], latitude: float) -> None:
    said: dict[str, int] = {}
    for event in events:
        if event.kind != "planting" or not record.has(event.day):
            continue
        named = crop_names.resolve(event.crop, event.day, latitude, event.cover)
        if named.name and crop_names.plain(event.crop) != named.name:
            how = f" ({named.remark})" if named.remark else ""
            told = f"{event.crop} is {named.name}{how}"
            said[told] = said.get(told, 0) + 1
    record.tell("converted", sum(said.values()), f"crops by name: {', '.join(said)}")


def _tell_silence(record: Record, events: Sequence[Event], found: Sequence[Season]) -> None:
    """Tells years of the record in which nothing grows because the table says nothing of them."""
    years = record.days.astype("datetime64[Y]")
    grown = {year for one in found for year in np.arange(*_years(one))}
    bare = [str(year) for year in np.unique(years) if year not in grown]
    told = [event.day for event in events if event.kind in ("planting", "harvest", "termination")]
    before = int((min(told) - record.days[0]).astype(int)) if told else 0
    if before > LATE and record.has(min(told)) and not (found and found[0].first == record.days[0]):
        message = f"the table begins on {min(told)}: for {before} days before, the field counts as "
        record.tell("warning", 1, f"{message}bare; give the crop that stood there")
    if not bare:
        return
    message = f"no crop stands in {listed(bare, 12)}: the field counts as bare then"
    if told:
        message += f"; sowing and harvest are told from {min(told)} to {max(told)}"
    record.tell("warning", 1, message)


def _years(season: Season) -> tuple[np.datetime64, np.datetime64]:
    return season.first.astype("datetime64[Y]"), season.last.astype("datetime64[Y]") + 1


def _require_unsaid(dataset: xr.Dataset, record: Record) -> None:
    """Refuses a site whose data give what the table gives as well.

    Which of the two is right nobody can know, and half of each would be a calendar of neither.
    """
    for group, names in GROUPS.items():
        if not any(name in record.fields for name in names):
            continue
        said = [name for name in names if name in dataset and _says(dataset[name].to_numpy(), name)]
        if said:
            raise DataError(
                f"{record.file} and {dataset.attrs['source']} both tell of {group}",
                site=record.site,
                variable=", ".join(said),
                expected=f"one of them: take the columns out of the data, or the rows of {group} "
                f"of {record.site} out of {record.file}",
            )


def _says(values: np.ndarray, name: str) -> bool:
    known = np.isfinite(values.astype(np.float64))
    return bool((values[known] != NEUTRAL_FORCING[name]).any())
