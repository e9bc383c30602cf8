"""One way in for every supported form of data."""

from collections import defaultdict
from pathlib import Path

import pandas as pd
import xarray as xr

from kgml_jax.data import attributes, days, quality
from kgml_jax.data.formats import fluxnet, generic, kgml_sav
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, Piece, Reading
from kgml_jax.data.schema import ReadOptions as ReadOptions
from kgml_jax.errors import DataError, listed

SUFFIXES = (*generic.SUFFIXES, *kgml_sav.SUFFIXES)
"""Endings of the files that are no FLUXNET files."""


def read(
    path: str | Path,
    metadata: str | Path | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
) -> Reading:
    """Reads every site under a path.

    Args:
      path: a FLUXNET daily csv or zip, a netCDF, Zarr or CSV file in the schema, a `.sav` file of
        KGML-ag, or a folder of them (sub-folders are not searched).
      metadata: a table of site metadata; None looks for `sites.csv` beside the data.
      options: thresholds, gap limits and choices.

    Returns:
      The sites in order of their names, and the notes on what was done to them.

    Raises:
      DataError: one or more sites cannot be used; the message holds all of them.
    """
    reading = collect(path, metadata, options)
    if len(reading.errors) == 1:
        raise reading.errors[0]
    if reading.errors:
        messages = "\n".join(f"  {error}" for error in reading.errors)
        raise DataError(f"{len(reading.errors)} inputs cannot be used:\n{messages}")
    return reading


def collect(
    path: str | Path,
    metadata: str | Path | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
) -> Reading:
    """Reads like `read`, but keeps what fails in `Reading.errors` and goes on with the others.

    Raises:
      DataError: there is nothing to read at `path`, or the metadata table cannot be used.
    """
    path = Path(path)
    files, notes = _files(path)
    table = attributes.load(None if metadata is None else Path(metadata), path)
    pieces, errors = _load(files, options)
    sites = []
    for name in sorted(pieces):
        try:
            dataset, more = _site(pieces[name], table, options)
        except DataError as error:
            errors.append(error)
            continue
        sites.append(dataset)
        notes += more
    return Reading(tuple(sites), tuple(notes), tuple(errors))


def _files(path: Path) -> tuple[list[Path], list[Note]]:
    if not path.exists():
        raise DataError("no such file or folder", found=str(path), expected="a path to data")
    if path.is_file() or path.suffix == ".zarr":
        if fluxnet.site_of(path.name) != path.name and not fluxnet.is_daily(path.name):
            expected = "a name with _DD_, like FLX_US-Ne3_FLUXNET2015_SUBSET_DD_2001-2013_1-4.csv"
            raise DataError("is not a daily FLUXNET file", file=path, expected=expected)
        if not (fluxnet.is_daily(path.name) or path.name.endswith(SUFFIXES)):
            expected = f"a FLUXNET daily csv or zip, or {', '.join(SUFFIXES)}"
            raise DataError("cannot be read: unknown kind of file", file=path, expected=expected)
        return [path], []
    inside = sorted(path.iterdir())
    towers = [file for file in inside if fluxnet.is_daily(file.name)]
    others = [
        file
        for file in inside
        if file.name.endswith(SUFFIXES) and file not in towers and file.name != attributes.FILE_NAME
    ]
    if not towers and not others:
        raise DataError(
            "the folder holds no file of daily data",
            found=f"{path}: {listed([file.name for file in inside]) or 'nothing'}",
            expected="FLX_*_DD_*.csv or .zip, *.nc, *.zarr, *.csv or *.sav "
            "(sub-folders are not searched)",
        )
    if not towers:
        return others, []
    if not others:
        return towers, []
    names = listed([file.name for file in others])
    message = f"not FLUXNET daily files, left out: {names}"
    return towers, [Note("", "", "warning", len(others), message)]


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
    if fluxnet.is_daily(file.name):
        return fluxnet.load(file, options)
    return kgml_sav.load(file) if file.name.endswith(kgml_sav.SUFFIXES) else generic.load(file)


def _site(
    pieces: list[Piece], table: pd.DataFrame, options: ReadOptions
) -> tuple[xr.Dataset, list[Note]]:
    notes = [note for piece in pieces for note in piece.notes]
    dataset = days.join([piece.dataset for piece in pieces])
    dataset, more = attributes.attach(dataset, table)
    notes += more
    dataset, more = quality.finish(dataset, options)
    return dataset, notes + more
