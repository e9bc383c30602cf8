"""What a model has learnt from, told by content: the same observations under another name."""

import hashlib
from collections.abc import Iterator

import numpy as np

from kgml_jax.errors import DataError, listed
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites

OPTION = "--score-learnt-days"


def learnt(data: DividedSites) -> tuple[str, ...]:
    """Returns the fingerprints of the site-years of which some day trains, validates or selects."""
    return tuple(sorted({mark for _, _, mark in _marks(data.sites, data.learning_days)}))


def known_again(
    marks: frozenset[str], data: DividedSites, named: frozenset[str]
) -> dict[str, list[int]]:
    """Returns the years with test days, by site, whose observations a model has learnt from.

    Args:
      marks: of `learnt`.
      data: sites with their split.
      named: sites whose days the split of the model tells apart by their dates.
    """
    found: dict[str, list[int]] = {}
    for site, year, mark in _marks(data.sites, data.test_days):
        if mark in marks and site not in named:
            found.setdefault(site, []).append(year)
    return found


def refuse(found: dict[str, list[int]]) -> None:
    """Refuses to score site-years that a model has learnt from.

    Raises:
      DataError: naming the sites and their first year.
    """
    if found:
        years = [f"{site} {listed(years, 3)}" for site, years in found.items()]
        raise DataError(
            "the model has learnt from these observations under another name of the site",
            site=listed(years),
            expected=f"sites it has not seen; {OPTION} scores them nevertheless, and says so in "
            "every output",
        )


def told(found: dict[str, list[int]]) -> str:
    """Returns what stands in every output where such site-years are scored."""
    years = "; ".join(f"{site} {listed(years, 3)}" for site, years in found.items())
    return f"Scored on observations that the model has learnt from, as asked ({OPTION}): {years}."


def _marks(sites: Sites, days: np.ndarray) -> Iterator[tuple[str, int, str]]:
    """Yields site, year and fingerprint of all observations of each year with one of `days`."""
    dates = np.asarray(sites.site.calendar.date).astype("datetime64[D]")
    years = dates.astype("datetime64[Y]").astype(int) + 1970
    for row, name in enumerate(sites.names):
        for year in np.unique(years[row, days[row]]):
            own = years[row] == year
            digest, observed = hashlib.sha256(str(year).encode()), False
            for flux in sorted(sites.site.targets):
                seen = own & np.asarray(sites.site.mask[flux])[row].astype(bool)
                values = np.asarray(sites.site.targets[flux])[row, seen].astype(np.float32)
                digest.update(f"{flux} {len(values)}".encode() + values.tobytes())
                observed |= bool(seen.any())
            if observed:
                yield name, int(year), digest.hexdigest()[:16]
