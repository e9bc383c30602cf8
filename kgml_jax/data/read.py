"""One way in for every supported form of data."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data import attributes, days, folders, names, packed, quality, site_table
from kgml_jax.data.formats import bif, fluxdatakit, fluxnet, generic, kgml_sav
from kgml_jax.data.management import forcing as management_forcing
from kgml_jax.data.management import reader as management_table
from kgml_jax.data.management.reader import Diary
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, Piece, Reading, Season, is_observed
from kgml_jax.data.schema import ReadOptions as ReadOptions
from kgml_jax.errors import DataError, kept, raise_together

_NORTH = 41.0
"""Degrees; of a site whose own latitude is refused, and which is looked at further."""


def read(
    path: str | Path,
    metadata: str | Path | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    management: str | Path | None = None,
) -> Reading:
    """Reads every site under a path.

    Args:
      path: a FLUXNET daily csv or zip, a netCDF, Zarr or CSV file in the schema, a `.sav` file of
        KGML-ag, or a folder of them; towers' files are looked for one folder deeper too.
      metadata: a table of site metadata; None looks for `sites.csv` beside the data.
      options: thresholds, gap limits and choices.
      management: a table of events; None looks for `management.csv` beside the data.

    Returns:
      The sites in order of their names, and the notes on what was done to them.

    Raises:
      DataError: one or more sites cannot be used; the message holds all of them. With
        `options.skip_bad_sites` they are left out, each with a note, unless no site is left.
    """
    reading = collect(path, metadata, options, management)
    if options.skip_bad_sites and reading.sites:
        left_out = [
            Note(error.site or error.file or "", "", "left out", 1, str(error))
            for error in reading.errors
        ]
        return replace(reading, notes=(*reading.notes, *left_out), errors=())
    if reading.errors:
        raise _refusal(reading)
    return reading


def _refusal(reading: Reading) -> DataError:
    errors, others = reading.errors, len(reading.sites)
    if len(errors) == 1 and not others:
        return errors[0]
    way_out = f"--skip-bad-sites goes on with the other {others} sites" if others else ""
    if len(errors) == 1:
        (error,) = errors
        place = {"file": error.file, "site": error.site, "variable": error.variable}
        recipe = "\n".join(filter(None, (error.recipe, way_out)))
        return DataError(error.problem, recipe=recipe, **place)
    lines = "\n".join(f"  {error.line}" for error in errors)
    recipes = [error.recipe for error in errors if error.recipe][:1]
    recipe = "\n".join([*recipes, *([way_out] if way_out else [])])
    return DataError(f"{len(errors)} inputs cannot be used:\n{lines}", recipe=recipe or None)


def collect(
    path: str | Path,
    metadata: str | Path | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    management: str | Path | None = None,
) -> Reading:
    """Reads like `read`, but keeps what fails in `Reading.errors` and goes on with the others.

    Raises:
      DataError: there is nothing to read at `path`, or a table beside it cannot be used.
    """
    path = Path(path)
    found = folders.find(path)
    file = None if metadata is None else Path(metadata)
    table, notes = site_table.load(file, path)
    diary = management_table.load(_events(path, management))
    notes = [*found.notes, *notes]
    pieces, errors = _load(found.data, options)
    known = {*pieces, *(error.site for error in errors if error.site)}
    notes += site_table.unmatched(table, known, file.name if file else site_table.FILE_NAME)
    diary, more = management_table.for_sites(diary, sorted(known))
    notes += more
    places = bif.load(found.places)
    table, more = site_table.complete(table, places, sorted(pieces))
    notes += [*more, *(note for note in places.notes if note.site in ("", *pieces))]
    notes += management_table.untold(places.managed, diary, sorted(pieces))
    sites, seasons = [], []
    for name in sorted(pieces):
        try:
            dataset, more, grown = _site(name, pieces[name], table, diary, options)
        except DataError as error:
            errors.append(error)
            continue
        sites.append(dataset)
        notes += more
        seasons += grown
    return Reading(tuple(sites), tuple(notes), tuple(errors), tuple(seasons))


def inputs(path: Path, metadata: Path | None = None, management: Path | None = None) -> list[Path]:
    """Returns the files that `read` reads: data, and tables of metadata and of events."""
    found = folders.find(path)
    tables = (metadata or site_table.beside(path), _events(path, management))
    return list(dict.fromkeys([*found.data, *found.places, *filter(None, tables)]))


def _events(path: Path, management: str | Path | None) -> Path | None:
    return management_table.beside(path) if management is None else Path(management)


def _load(
    files: list[Path], options: ReadOptions
) -> tuple[dict[str, list[Piece]], list[DataError]]:
    pieces: dict[str, list[Piece]] = defaultdict(list)
    errors: list[DataError] = []
    for file in files:
        try:
            loaded = _pieces(file, options)
        except DataError as error:
            errors.append(error)
            continue
        for piece in loaded:
            pieces[piece.site].append(piece)
    # A site one of whose files is damaged is not read from the rest: its record would be shorter.
    for site in {error.site for error in errors if error.site}:
        pieces.pop(site, None)
    return pieces, errors


def _pieces(file: Path, options: ReadOptions) -> list[Piece]:
    site = fluxnet.site_of(file.name) if folders.is_tower(file.name) else None
    with _told(file.name, site):
        if not file.is_dir():
            packed.require_regular(file)
        pieces = _reader(file)(file, options)
        for piece in pieces:
            names.check(piece.site, file.name)
    return pieces


def _reader(file: Path) -> Callable[[Path, ReadOptions], list[Piece]]:
    if fluxdatakit.DAILY_NAME.match(file.name):
        return fluxdatakit.load
    if fluxnet.is_daily(file.name):
        return fluxnet.load
    if file.name.lower().endswith(kgml_sav.SUFFIXES):
        return lambda path, options: kgml_sav.load(path)
    return generic.load


@contextmanager
def _told(file: str | None, site: str | None) -> Iterator[None]:
    """Turns what goes wrong in a reader, or in what it calls, into the error of one input."""
    try:
        # Damaged numbers overflow; what comes of them is judged by what it is.
        with np.errstate(all="ignore"):
            yield
    except DataError as error:
        if (error.site or site) == error.site and (error.file or file) == error.file:
            raise
        problem, variable = error.problem, error.variable
        place = {"file": error.file or file, "site": error.site or site, "variable": variable}
        raise DataError(problem, recipe=error.recipe, **place) from error
    except Exception as error:
        # Damage shows in as many ways as there are libraries behind the readers; the file is at
        # fault or the reader, and neither may take the other sites with it.
        problem = f"cannot be read: {type(error).__name__}: {error}"
        raise DataError(problem, file=file, site=site) from error


def _site(
    name: str, pieces: list[Piece], table: pd.DataFrame, diary: Diary, options: ReadOptions
) -> tuple[xr.Dataset, list[Note], list[Season]]:
    with _told(None, name):
        return _finished(pieces, table, diary, options)


def _finished(
    pieces: list[Piece], table: pd.DataFrame, diary: Diary, options: ReadOptions
) -> tuple[xr.Dataset, list[Note], list[Season]]:
    notes = [note for piece in pieces for note in piece.notes]
    dataset = days.join([piece.dataset for piece in pieces])
    if not options.fluxes:
        dataset = dataset.drop_vars([name for name in map(str, dataset) if is_observed(name)])
    errors: list[DataError] = []
    with kept(errors):
        dataset, more = attributes.attach(dataset, table)
        notes += more
    seasons: list[Season] = []
    with kept(errors):
        latitude = float(dataset["latitude"]) if "latitude" in dataset else _NORTH
        dataset, more, seasons = management_forcing.attach(dataset, diary, latitude)
        notes += more
    if seasons:
        # The table's crops are rows of the crop table, whatever codes the data have.
        options = replace(options, crop_codes="table")
    with kept(errors):
        dataset, more = quality.finish(dataset, options)
        notes += more
    raise_together(errors)
    return dataset, notes, seasons
