"""One way in for every supported form of data."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pandas as pd
import xarray as xr

from kgml_jax.data import attributes, days, quality, time_steps
from kgml_jax.data.formats import fluxnet, generic, kgml_sav
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, Piece, Reading, is_observed
from kgml_jax.data.schema import ReadOptions as ReadOptions
from kgml_jax.errors import DataError, kept, listed, raise_together

SUFFIXES = (*generic.SUFFIXES, *kgml_sav.SUFFIXES)
"""Endings of the files that are no FLUXNET files."""

LIKE_DATA = (".csv", ".nc", ".nc4", ".zip", ".gz", ".tar", ".tgz", ".xlsx", ".xls", ".parquet")
"""Endings of files that somebody may expect to be read."""


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
      DataError: one or more sites cannot be used; the message holds all of them. With
        `options.skip_bad_sites` they are left out, each with a note, unless no site is left.
    """
    reading = collect(path, metadata, options)
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


def inputs(path: Path, metadata: Path | None = None) -> list[Path]:
    """Returns the files that `read` reads: of data, and the table of metadata if there is one."""
    table = metadata or attributes.beside(path)
    return [*_files(path)[0], *([] if table is None else [table])]


def _files(path: Path) -> tuple[list[Path], list[Note]]:
    if not path.exists():
        raise DataError("no such file or folder", found=str(path), expected="a path to data")
    if path.is_file() or path.suffix == ".zarr":
        if fluxnet.site_of(path.name) != path.name and not fluxnet.is_daily(path.name):
            time_steps.refuse_by_name(path)
            expected = f"a name with _DD_, like {fluxnet.EXAMPLE}"
            raise DataError("is not a daily FLUXNET file", file=path, expected=expected)
        if not (fluxnet.is_daily(path.name) or path.name.endswith(SUFFIXES)):
            raise _unknown_kind(path)
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
    unread = [
        file
        for file in inside
        if file not in [*towers, *others] and file.suffix.lower() in LIKE_DATA
        if file.name != attributes.FILE_NAME
    ]
    if towers:
        left = [*others, *unread]
        message = "not FLUXNET daily files, left out"
    else:
        left, message = unread, "of an unknown kind, left out"
    if left:
        text = f"{message}: {listed([file.name for file in left])}"
        return towers or others, [Note("", "", "warning", len(left), text)]
    return towers or others, []


def _unknown_kind(path: Path) -> DataError:
    packed = path.suffix in (".zip", ".gz", ".tar", ".tgz", ".7z")
    tables = (".xlsx", ".xls", ".parquet", ".feather")
    recipe = None
    if packed:
        recipe = f"    unpack it and give the folder: unzip {path.name} -d data"
    elif path.suffix in tables:
        opener = "read_excel" if path.suffix.startswith(".xls") else f"read_{path.suffix[1:]}"
        recipe = f'    pandas.{opener}("{path.name}").to_csv("sites.csv", index=False)'
    expected = f"a FLUXNET daily csv or zip, or {', '.join(SUFFIXES)}"
    problem = "cannot be read: unknown kind of file"
    return DataError(problem, file=path, expected=expected, recipe=recipe)


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
    return (
        kgml_sav.load(file)
        if file.name.endswith(kgml_sav.SUFFIXES)
        else generic.load(file, options)
    )


def _site(
    pieces: list[Piece], table: pd.DataFrame, options: ReadOptions
) -> tuple[xr.Dataset, list[Note]]:
    notes = [note for piece in pieces for note in piece.notes]
    dataset = days.join([piece.dataset for piece in pieces])
    if not options.fluxes:
        dataset = dataset.drop_vars([name for name in map(str, dataset) if is_observed(name)])
    errors: list[DataError] = []
    with kept(errors):
        dataset, more = attributes.attach(dataset, table)
        notes += more
    with kept(errors):
        dataset, more = quality.finish(dataset, options)
        notes += more
    raise_together(errors)
    return dataset, notes
