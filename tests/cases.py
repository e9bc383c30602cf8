"""Tries a folder of cases on the product: what it says of each, beside what is expected.

A case is a folder with inputs and a text `expect.txt` that says what is right:

    python tests/cases.py FOLDER [NAME ...]

The exit status is 1 if the outcome of a case whose name is known here is not right. Of other cases
both are printed, for a person to judge.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import kgml_jax
from kgml_jax.data.check import check
from kgml_jax.data.formats import county_yields
from kgml_jax.data.read import collect
from kgml_jax.data.schema import Note, Reading
from kgml_jax.errors import DataError

EXPECTED = "expect.txt"
TOWER_MEAN = -0.2667
"""g C m-2 d-1; NEE of the tower that most cases are made of, over the days that count."""

ROUNDING = 0.5e-4
"""Half of the last digit of the means in `expect.txt`."""


NOTHING = Reading(())


@dataclass(frozen=True)
class Outcome:
    """What the product makes of a case.

    Attributes:
      folder: a copy of the inputs.
      reading: of `collect`, if the case is one of site data and they lie where data may lie.
      yields: of a table of county yields.
      errors: all that was refused, each as a user sees it.
    """

    folder: Path
    reading: Reading = NOTHING
    yields: pd.DataFrame | None = None
    errors: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The sites that can be used."""
        return [str(site.attrs["site"]) for site in self.reading.sites]

    @property
    def site(self) -> xr.Dataset:
        """The only site."""
        assert len(self.reading.sites) == 1, f"sites {self.names}; {self.errors}"
        return self.reading.sites[0]

    @property
    def warned(self) -> list[str]:
        """What a user is warned of, in any site or in general."""
        of_sites = [text for finding in check(self.reading) for text in finding.warnings]
        general = [note for note in self.reading.notes if not note.site]
        return of_sites + [note.message for note in general]

    def counted(self, target: str) -> np.ndarray:
        """Values of a target on the days on which it counts."""
        values = self.site[target].to_numpy()
        return values[np.isfinite(values)]

    def says(self, *words: str) -> bool:
        """Whether one error holds all words, in any case."""
        return any(_holds(text, words) for text in self.errors)

    def warns(self, *words: str) -> bool:
        """Whether one warning holds all words, in any case."""
        return any(_holds(text, words) for text in self.warned)


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return all(word.casefold() in text.casefold() for word in words)


def tried(case: Path, folder: Path) -> Outcome:
    """Returns the outcome of a case on a copy of its inputs, without `expect.txt`, in a folder."""
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns(EXPECTED))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        if case.name.startswith("nass"):
            (table,) = folder.glob("*.csv")
            return Outcome(folder, yields=county_yields.load(table).table)
        reading = collect(folder)
    except DataError as error:
        return Outcome(folder, errors=(str(error),))
    return Outcome(folder, reading, errors=tuple(map(str, reading.errors)))


def _tower(outcome: Outcome) -> None:
    values = outcome.counted("NEE")
    assert len(values) == 1048, f"NEE counts on {len(values)} days"
    assert abs(values.mean() - TOWER_MEAN) < ROUNDING, values.mean()


def _place(outcome: Outcome, **expected: float) -> None:
    for name, value in expected.items():
        found = float(outcome.site[name])
        assert abs(found - value) < 0.01, f"{name} {found}"


def base_comment_lines(outcome: Outcome) -> None:
    assert outcome.says("half-hourly", "AmeriFlux", "comment lines", "TIMESTAMP_START", "daily")
    assert not outcome.says("cut off")


def code_9999_9_in_fluxnet(outcome: Outcome) -> None:
    if outcome.says("NEE", "-9999.9"):
        return
    values = outcome.counted("NEE")
    assert len(values) == 953, len(values)
    assert abs(values.mean() - -0.2969) < ROUNDING, values.mean()
    assert values.min() > -16.0, values.min()


def crop_cdl_codes(outcome: Outcome) -> None:
    assert outcome.says("crop", "5"), outcome.errors


def duplicate_column(outcome: Outcome) -> None:
    assert outcome.says("NEE", "more than once"), outcome.errors


def fluxdatakit_daily(outcome: Outcome) -> None:
    if outcome.says("FluxDataKit"):
        return
    # Carbon in umol CO2 m-2 s-1, of which one is 1.0378 g C m-2 d-1 (12.011 g mol-1).
    assert len(outcome.counted("NEE")) == 1048
    assert abs(outcome.counted("NEE").mean() - TOWER_MEAN * 1.0378) < 2 * ROUNDING
    assert outcome.warns("FluxDataKit", "umol")


def fluxnet_bundle(outcome: Outcome) -> None:
    _tower(outcome)
    assert outcome.site.sizes["time"] == 1096
    assert outcome.warns("ERAI", "left out")


def folder_other_endings(outcome: Outcome) -> None:
    read_or_named = {"US-CRT", *outcome.names}
    read_or_named |= {name for name in ("US-AAA", "BE-Lon") if outcome.warns(name)}
    assert read_or_named == {"US-CRT", "US-AAA", "BE-Lon"}


def ids_leading_zero(outcome: Outcome) -> None:
    assert outcome.names == ["01001"]
    _place(outcome, latitude=32.5, elevation=100, sand=0.6, clay=0.1)


def le_qc_all_missing(outcome: Outcome) -> None:
    assert outcome.warns("ET_qc has no value at all"), outcome.warned
    assert "ET" not in outcome.site or len(outcome.counted("ET")) == 1096


def meta_other_case(outcome: Outcome) -> None:
    if not outcome.warns("sites.csv", "did you mean US-CRT"):
        _place(outcome, latitude=41.6285, elevation=180)


def mixed_targets(outcome: Outcome) -> None:
    data = kgml_jax.divide(kgml_jax.read_sites(outcome.folder))
    masks = data.sites.site.mask
    scored = {name: (mask & data.test_days).any(axis=1) for name, mask in masks.items()}
    assert scored["GPP"].sum() == 1
    assert scored["NEE"].sum() == 2
    assert not data.test_days[data.sites.names.index("CC")].any()
    model = kgml_jax.make_model("recurrent", data, hidden=2)
    predicted = kgml_jax.predict(kgml_jax.pretrain(model, data, steps=2), data)
    for name, target in masks.items():
        assert np.isfinite(predicted[name].to_numpy()[np.asarray(target)]).all(), name


def nass_api_columns(outcome: Outcome) -> None:
    if not outcome.says("layout") and not outcome.says("Quick Stats"):
        _yield(outcome, 2011, 391.7)


def nass_symbol_S(outcome: Outcome) -> None:  # noqa: N802
    _yield(outcome, 2011, 391.7)
    _yield(outcome, 2012, np.nan)


def _yield(outcome: Outcome, year: int, expected: float) -> None:
    assert outcome.yields is not None, outcome.errors
    table = outcome.yields
    found = table.loc[(table["county"] == "17019") & (table["year"] == year), "yield"].to_numpy()
    np.testing.assert_allclose(found[:1] if len(found) else [np.nan], [expected], atol=0.05)


def nc_latitude_coordinate(outcome: Outcome) -> None:
    _place(outcome, latitude=-36.65, elevation=999)


def nc_noleap(outcome: Outcome) -> None:
    assert outcome.says("calendar", "noleap"), outcome.errors


def nc_time_offset(outcome: Outcome) -> None:
    days = outcome.site["time"].to_numpy().astype("datetime64[D]").astype(str)
    assert (days[0], days[-1]) == ("2011-01-01", "2013-12-31")


def precip_times_8(outcome: Outcome) -> None:
    assert outcome.warns("precipitation", "mm"), outcome.warned
    yearly = float(outcome.site["precipitation"].sum()) / 3.0
    assert abs(yearly - 6487) < 10, yearly


def qc_flags_0_to_3(outcome: Outcome) -> None:
    if not outcome.says("NEE_qc") and not outcome.warns("NEE_qc"):
        _tower(outcome)
    if outcome.reading.sites:
        assert "NEE" not in outcome.site or len(outcome.counted("NEE")) != 143


def site_cells_empty(outcome: Outcome) -> None:
    assert outcome.says("a.csv", "site", "row 3"), outcome.errors


def south_without_latitude(outcome: Outcome) -> None:
    _place(outcome, latitude=-36.65, elevation=152)


def units_cf_spellings(outcome: Outcome) -> None:
    mean = float(outcome.site["air_temperature_mean"].mean())
    assert abs(mean - 10.848) < 5e-4, mean


def vut_all_missing(outcome: Outcome) -> None:
    _tower(outcome)
    assert outcome.warns("NEE_CUT_REF")


def zarr_missing_chunk(outcome: Outcome) -> None:
    assert outcome.says("a.zarr", "chunk"), outcome.errors


KNOWN: dict[str, Callable[[Outcome], None]] = {
    right.__name__: right
    for right in (
        *(base_comment_lines, code_9999_9_in_fluxnet, crop_cdl_codes, duplicate_column),
        *(fluxdatakit_daily, fluxnet_bundle, folder_other_endings, ids_leading_zero),
        *(le_qc_all_missing, meta_other_case, mixed_targets, nass_api_columns, nass_symbol_S),
        *(nc_latitude_coordinate, nc_noleap, nc_time_offset, precip_times_8, qc_flags_0_to_3),
        *(site_cells_empty, south_without_latitude, units_cf_spellings, vut_all_missing),
        zarr_missing_chunk,
    )
}
"""By name of the case, what raises AssertionError where the outcome is not right."""


def cases(folder: Path) -> list[Path]:
    """Returns the cases of a folder."""
    return sorted(path.parent for path in folder.glob(f"*/{EXPECTED}"))


def said(outcome: Outcome) -> list[str]:
    """Returns the outcome in lines: sites, errors, and what was warned of or done."""
    lines = [f"error: {error}" for error in outcome.errors]
    for site in outcome.reading.sites:
        days = site["time"].to_numpy().astype("datetime64[D]")
        lines.append(f"site {site.attrs['site']}: {days[0]} to {days[-1]}")
    lines += [f"warning: {text}" for text in outcome.warned]
    lines += [_line(note) for note in outcome.reading.notes if note.kind == "defaulted"]
    return lines if outcome.yields is None else [*lines, outcome.yields.to_string()]


def _line(note: Note) -> str:
    return f"{note.kind}: {note.site} {note.variable}: {note.message}"


def main(folder: Path, names: list[str]) -> int:
    """Prints every case; returns how many known ones are not right."""
    wrong = 0
    for case in [case for case in cases(folder) if not names or case.name in names]:
        with tempfile.TemporaryDirectory() as place:
            outcome = tried(case, Path(place) / case.name)
            print(f"=== {case.name}\nexpected: {(case / EXPECTED).read_text().strip()}")
            print("\n".join(said(outcome)))
            if case.name in KNOWN:
                try:
                    KNOWN[case.name](outcome)
                    print("RIGHT")
                except (AssertionError, KeyError, DataError) as error:
                    wrong += 1
                    print(f"WRONG: {error}")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]), sys.argv[2:]) else 0)
