"""What a person should know of a site's data before a run: coverage, signs, ranges, and blocks."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from kgml_jax.data import signs
from kgml_jax.data.schema import FORCING, Note, Reading, iso
from kgml_jax.errors import DataError
from kgml_jax.sites import VARIABLES

SEASON_DAYS = 90
"""Length of the growing season in which a sign is judged: the days of year of highest GPP."""

LEAST_SEASON = 30
"""Observed days within the season below which no sign is judged."""

NEGATIVE_GPP = -1.0
"""g C m-2 d-1; night-time partitioning scatters around 0 in winter, rarely below this."""

NEGATIVE_SHARE = 0.01
LEAST_COVERAGE = 0.1


@dataclass(frozen=True)
class Finding:
    """What the check found at one site (or in one file that names no site)."""

    site: str
    source: str
    group: str = ""
    first: str = ""
    last: str = ""
    years: int = 0
    coverage: tuple[tuple[str, float], ...] = ()
    """Target and share of the record's days on which it counts."""
    season_nee: float | None = None
    """Mean NEE of the growing season, g C m-2 d-1; negative is uptake."""
    closure: float | None = None
    """Root mean square of NEE - (Reco - GPP), g C m-2 d-1."""
    notes: tuple[Note, ...] = ()
    warnings: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    """Why no run can use the site; empty if one can."""


def check(reading: Reading) -> tuple[Finding, ...]:
    """Looks at every site of a reading, and at what could not be read.

    Args:
      reading: of `read.collect`, which keeps the errors of single sites.

    Returns:
      One finding a site and one an error, sites first, each in order of name.
    """
    sites = [_site(dataset, reading.notes) for dataset in reading.sites]
    return (*sites, *(_error(error) for error in reading.errors))


def blocks(findings: tuple[Finding, ...]) -> bool:
    """Whether anything found keeps a run from using all the data."""
    return any(finding.blocks for finding in findings)


def _error(error: DataError) -> Finding:
    return Finding(site=error.site or "?", source=error.file or "?", blocks=(str(error),))


def _site(dataset: xr.Dataset, notes: tuple[Note, ...]) -> Finding:
    days = iso(dataset["time"])
    own = tuple(note for note in notes if note.site == dataset.attrs["site"])
    targets = {name: dataset[name].to_numpy() for name in VARIABLES if name in dataset}
    coverage = tuple((name, float(np.isfinite(flux).mean())) for name, flux in targets.items())
    season_nee = _season_nee(dataset, targets)
    closure = signs.closure(dataset)
    warnings = [
        *_coverage_warnings(coverage),
        *_sign_warnings(targets, season_nee),
        *_closure_warnings(closure),
        *_forcing_warnings(dataset),
        *(
            f"{note.variable}: {note.message}" + (f" ({note.count} days)" if note.count > 1 else "")
            for note in own
            if note.kind == "warning"
        ),
    ]
    return Finding(
        site=dataset.attrs["site"],
        source=dataset.attrs["source"],
        group=dataset.attrs.get("group", ""),
        first=days[0],
        last=days[-1],
        years=len({day[:4] for day in days}),
        coverage=coverage,
        season_nee=season_nee,
        closure=closure,
        notes=own,
        warnings=tuple(warnings),
    )


def _season_nee(dataset: xr.Dataset, targets: dict[str, np.ndarray]) -> float | None:
    if "NEE" not in targets:
        return None
    guide = targets.get("GPP", dataset["air_temperature_mean"].to_numpy())
    day_of_year = dataset["time"].dt.dayofyear.to_numpy()
    known = np.isfinite(guide)
    total = np.bincount(day_of_year, np.where(known, guide, 0.0), minlength=367)
    count = np.bincount(day_of_year, known, minlength=367)
    climate = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
    season = np.argsort(-climate, kind="stable")[:SEASON_DAYS]
    values = targets["NEE"][np.isin(day_of_year, season)]
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) >= LEAST_SEASON else None


def _coverage_warnings(coverage: tuple[tuple[str, float], ...]) -> list[str]:
    if not coverage:
        return [
            "nothing is observed: the site can be predicted and simulated, not trained on or scored"
        ]
    return [
        f"{name} counts on only {share:.0%} of the days"
        for name, share in coverage
        if share < LEAST_COVERAGE
    ]


def _sign_warnings(targets: dict[str, np.ndarray], season_nee: float | None) -> list[str]:
    warnings = []
    if season_nee is not None and season_nee >= 0:
        warnings.append(
            f"NEE is {season_nee:+.2f} g C m-2 d-1 in the growing season: a net source, or the "
            "sign is that of uptake (NEE is positive upwards)"
        )
    for name in ("GPP", "Reco"):
        if name not in targets:
            continue
        values = targets[name][np.isfinite(targets[name])]
        share = float(np.mean(values < NEGATIVE_GPP))
        if share > NEGATIVE_SHARE:
            warnings.append(f"{name} is below {NEGATIVE_GPP:g} g C m-2 d-1 on {share:.0%} of days")
    return warnings


def _closure_warnings(closure: float | None) -> list[str]:
    if closure is None or closure <= signs.CLOSURE_LIMIT:
        return []
    return [f"NEE and Reco - GPP differ by {closure:.2f} g C m-2 d-1 (root mean square)"]


def _forcing_warnings(dataset: xr.Dataset) -> list[str]:
    warnings = []
    for name in [name for name in FORCING if name in dataset and FORCING[name].bounds]:
        values = dataset[name].to_numpy()
        expected = name == "co2" or FORCING[name].units == "1" or float(values[0]) == 0
        if not expected and float(np.ptp(values)) == 0:
            warnings.append(f"{name} is {values[0]:g} on every day")
    return warnings
