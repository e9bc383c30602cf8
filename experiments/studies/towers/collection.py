"""The project's real towers: FLUXNET2015, the European crop towers, and US-Ne3 by months."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from kgml_jax.data.management import forcing as management_forcing
from kgml_jax.data.management import reader as management_table
from kgml_jax.data.management.reader import Diary
from studies.measured_fields import readers
from studies.measured_fields.catalogue import MEAD
from studies.measured_fields.management import FieldHistory
from studies.measured_fields.readers import MeasuredField
from studies.measured_fields.simulated import LEAST_QUALITY
from studies.towers import european
from studies.towers.folder import (
    CROP,
    GRASS,
    KNOWN,
    OTHER,
    grouped,
    refuse_unknown,
    with_daytime,
)
from studies.towers.periods import EIGHT_DAYS, MONTH, on_last_days

EVENTS = "management/crop_tower_management_events_tidy.csv"

BY_TABLE = ("DE-Kli",)
"""Towers in the catalogue whose calendar there is assumed, and recorded in the table of events.

Of US-ARM and US-Ne3 the catalogue tells more years, from the same records.
"""

MONTHLY = "crop, monthly"
EIGHT_DAILY = "crop, 8-day"

PERIODS: dict[str, dict[str, str]] = {
    MONTHLY: dict.fromkeys(("NEE", "Reco", "GPP", "ET"), MONTH),
    EIGHT_DAILY: dict.fromkeys(("NEE", "Reco"), EIGHT_DAYS),
}
"""By group, the period that observations are means of where it is no day."""

FLUXNET_GRASSLANDS = ("AU-Rig", "CN-Cng", "DE-Gri", "IT-Tor", "NL-Hor", "US-Cop")


def is_here(folder: Path) -> bool:
    """Whether a folder is that of the project's real data."""
    return all((folder / name).exists() for name in ("fluxnet2015", readers.MEAD_FORCING))


def read_collection(
    folder: Path, management: Path | None = None, names: Sequence[str] = ()
) -> list[MeasuredField]:
    """Reads the towers of the project's real data.

    Args:
      folder: of the data.
      management: table of events in place of the folder's own; it then tells of every tower that it
        names.
      names: of the towers; none reads all.

    Raises:
      DataError: a file is missing or damaged.
      ValueError: there is no tower of a name.
    """
    diary = management_table.load(management or _own_table(folder))
    named = tuple(diary.rows) if management is not None else BY_TABLE
    towers = _readers(folder, diary, named)
    refuse_unknown(names, list(towers))
    return [make() for name, make in towers.items() if not names or name in names]


def _own_table(folder: Path) -> Path | None:
    return folder / EVENTS if (folder / EVENTS).is_file() else None


def _readers(
    folder: Path, diary: Diary, named: Sequence[str]
) -> dict[str, Callable[[], MeasuredField]]:
    found: dict[str, Callable[[], MeasuredField]] = {}
    for name, history in KNOWN.items():
        told = diary if name in named and name in diary.rows else None
        found[name] = partial(_fluxnet, folder, history, told)
    if (folder / european.DAILY).is_file():
        for name in european.SITES:
            if name in diary.rows:
                found[name] = partial(_european, folder, diary, name)
    found[MEAD.site] = partial(_mead, folder)
    return found


def _fluxnet(folder: Path, history: FieldHistory, diary: Diary | None) -> MeasuredField:
    field = with_daytime(
        readers.tower(folder, history), readers.tower(folder, history, OTHER).dataset
    )
    kind = GRASS if history.site in FLUXNET_GRASSLANDS else CROP
    if diary is not None:
        fields = [name for names in management_forcing.GROUPS.values() for name in names]
        bare = field.dataset.drop_vars([name for name in (*fields, "cut") if name in field.dataset])
        dataset, more, _ = management_forcing.attach(bare, diary, float(bare["latitude"]))
        words = f"calendar: {diary.file}; soil: assumed"
        history = replace(history, seasons=(), remark=words)
        field = MeasuredField(history, grouped(dataset), (*field.notes, *more))
    return replace(field, dataset=field.dataset.assign_attrs(group=kind))


def _european(folder: Path, diary: Diary, name: str) -> MeasuredField:
    (field,) = european.read(folder, diary, (name,))
    return replace(field, dataset=field.dataset.assign_attrs(group=EIGHT_DAILY))


def _mead(folder: Path) -> MeasuredField:
    field = readers.mead(folder, MEAD)
    fluxes = readers.mead_fluxes(folder)
    dates = field.dataset["time"].to_numpy().astype("datetime64[D]")
    months = fluxes["month"].to_numpy().astype("datetime64[D]")
    quality, years = fluxes["quality"].to_numpy(), months.astype("datetime64[Y]")
    # Months of years that were seldom measured are no observations.
    good = np.array([quality[years == year].mean() >= LEAST_QUALITY for year in years])
    observed = {
        name: ("time", on_last_days(fluxes[name].to_numpy()[good], months[good], dates, MONTH))
        for name in PERIODS[MONTHLY]
    }
    return replace(field, dataset=field.dataset.assign(observed).assign_attrs(group=MONTHLY))
