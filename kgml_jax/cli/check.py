"""The command `check`: what is there, what was changed on the way in, and what blocks a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kgml_jax.cli.notes import places
from kgml_jax.data.check import Finding, blocks, check
from kgml_jax.data.read import collect
from kgml_jax.data.schema import DEFAULT_OPTIONS, Note, ReadOptions, Season
from kgml_jax.display import counted
from kgml_jax.errors import listed
from kgml_jax.sites import VARIABLES


@dataclass(frozen=True)
class CheckConfig:
    """Checks data before a run; the exit status is 0 if nothing blocks, else 2."""

    path: tyro.conf.Positional[Path]
    """FLUXNET daily csv or zip, netCDF, Zarr or CSV in the schema, or a folder of them."""
    metadata: Path | None = None
    """Table of site metadata; by default `sites.csv` beside the data."""
    management: Path | None = None
    """Table of events; by default `management.csv` beside the data."""
    options: Annotated[ReadOptions, tyro.conf.arg(name="")] = DEFAULT_OPTIONS
    """How the data are read."""
    notes: bool = False
    """List every note of every site."""
    debug: bool = False
    """Show the traceback of an error."""


def main(config: CheckConfig) -> int:
    """Reads, checks and prints; returns the exit status."""
    reading = collect(config.path, config.metadata, config.options, config.management)
    findings = check(reading)
    console = Console()
    width = console.width if console.is_terminal else 110
    console = Console(width=width)
    readable = [finding for finding in findings if not finding.blocks]
    if readable:
        console.print(_summary(readable))
        if reading.seasons:
            console.print(_seasons(reading.seasons))
        _print_notes(console, reading.notes, config.notes)
    _print_warnings(console, readable)
    _print_general(console, reading.notes)
    for message in places(reading.notes):
        console.print(f"warning: {escape(message)}", highlight=False)
    blocked = [finding for finding in findings if finding.blocks]
    messages = [" ".join(finding.blocks) for finding in blocked]
    if unobserved := config.options.fluxes and bool(readable) and not _observed(readable):
        messages.append(
            "no flux is observed at any site: nothing can be trained on or scored; fields to "
            "predict or simulate are checked with --no-fluxes"
        )
    for message in messages:
        error = Console(stderr=True, width=width, soft_wrap=True)
        error.print(f"error: {escape(message)}", highlight=False)
    blocking = f"{counted(len(blocked), 'input')} cannot" if messages else "nothing blocks a run"
    console.print(f"{counted(len(readable), 'site')} can be used; {blocking}")
    return 2 if blocks(findings) or unobserved else 0


def _observed(findings: Sequence[Finding]) -> bool:
    return any(share > 0 for finding in findings for _, share in finding.coverage)


def _summary(findings: Sequence[Finding]) -> Table:
    present = [name for name in VARIABLES if any(name in dict(one.coverage) for one in findings)]
    table = Table(
        title="Sites; share of days on which a target counts; NEE and closure in g C m-2 d-1"
    )
    table.add_column("site")
    table.add_column("group")
    table.add_column("days", no_wrap=True)
    table.add_column("years", justify="right")
    for name in present:
        table.add_column(name, justify="right")
    table.add_column("NEE in season", justify="right")
    table.add_column("closure", justify="right")
    table.add_column("warned", justify="right")
    for one in findings:
        shares = dict(one.coverage)
        table.add_row(
            escape(one.site),
            escape(one.group),
            f"{one.first} – {one.last}",
            str(one.years),
            *(f"{shares[name]:.0%}" if name in shares else "-" for name in present),
            "-" if one.season_nee is None else f"{one.season_nee:+.2f}",
            "-" if one.closure is None else f"{one.closure:.2f}",
            str(len(one.warnings) or ""),
        )
    return table


def _seasons(seasons: Sequence[Season]) -> Table:
    table = Table(title="Crops that stand, by the table of events", title_justify="left")
    for name in ("site", "crop", "sown", "harvested"):
        table.add_column(name, no_wrap=True)
    table.add_column("residue taken", justify="right")
    table.add_column("remark")
    for one in seasons:
        table.add_row(
            escape(one.site),
            one.name or "?",
            str(one.first) if one.sown else f"before {one.first}",
            str(one.last) if one.reaped else f"after {one.last}",
            f"{one.removal:.0%}" if one.removal else "",
            escape(one.remark),
        )
    return table


def _print_notes(console: Console, notes: Sequence[Note], every: bool) -> None:
    notes = [note for note in notes if note.site and note.kind != "warning"]
    if every:
        rows = [(note.site, note.kind, note.variable, note.count, note.message) for note in notes]
    else:
        rows = _merged(notes)
    table = Table(title="What was done to the data on the way in", title_justify="left")
    for name in ("sites", "what", "variable"):
        table.add_column(name)
    table.add_column("values", justify="right")
    table.add_column("how")
    for site, kind, variable, count, message in rows:
        table.add_row(escape(site), kind, escape(variable), str(count), escape(message))
    console.print(table)


def _merged(notes: Sequence[Note]) -> list[tuple[str, str, str, int, str]]:
    total: Counter[tuple[str, str, str]] = Counter()
    sites: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        key = (note.kind, note.variable, note.message)
        total[key] += note.count
        sites.setdefault(key, []).append(note.site)
    every = len({note.site for note in notes})
    rows = []
    for (kind, variable, message), count in total.items():
        names = sites[kind, variable, message]
        label = f"all {every}" if len(names) == every > 1 else listed(names, 3)
        rows.append((label, kind, variable, count, message))
    return sorted(rows, key=lambda row: row[1])


def _print_warnings(console: Console, findings: Sequence[Finding]) -> None:
    for one in findings:
        for warning in one.warnings:
            console.print(escape(f"warning: {one.site}: {warning}"), highlight=False)


def _print_general(console: Console, notes: Sequence[Note]) -> None:
    for note in notes:
        if not note.site:
            console.print(f"warning: {escape(note.message)}", highlight=False)
