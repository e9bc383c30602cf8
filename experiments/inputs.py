"""Where programs get their sites and split from: files at a path, or the embedded default."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.read import ReadOptions, read
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.models.process import simulate_sites
from kgml_jax.sites import TEST, Sites


@dataclass(frozen=True)
class Data:
    """Which sites a program works on."""

    data: Path | None = None
    """FLUXNET file, zip or folder; NetCDF, Zarr or CSV with dims (site, time). None: synthetic."""
    metadata: Path | None = None
    """CSV of site metadata (site, lat, lon, elev, igbp); default: `sites.csv` beside the data."""
    qc_threshold: float = 0.75
    """Smallest share of a day (0-1) measured or well filled for it to be scored."""
    synthetic_sites: int = 30
    """Number of synthetic sites, in the ratio IL:IA:IN = 22:41:27."""
    synthetic_years: int = 8
    """Years of each synthetic site."""
    synthetic_seed: int = 0
    """Seed of the synthetic world."""


@dataclass(frozen=True)
class SplitChoice:
    """How days are divided into training, validation and test."""

    kind: str = "last-years"
    """last-years, blocked, leave-site-out or leave-group-out."""
    test_years: int = 2
    """Years at the end of each record that are only ever scored."""
    validation_years: int = 1
    """Years before those that stop training and decide acceptance."""
    leave_out: tuple[str, ...] = ()
    """Names of the sites or groups left out by the last two kinds."""


def load(config: Data) -> tuple[Sites, xr.Dataset | None]:
    """Reads or generates the sites; the second value is the synthetic truth, if there is one."""
    if config.data is None:
        world = generate(
            SyntheticConfig(
                sites=config.synthetic_sites,
                years=config.synthetic_years,
                seed=config.synthetic_seed,
            ),
            simulate_sites,
        )
        return assemble(per_site(world)), world
    options = ReadOptions(qc_threshold=config.qc_threshold)
    return assemble(read(config.data, config.metadata, options)), None


def make_split(choice: SplitChoice, sites: Sites) -> splits.Split:
    """Divides the days of `sites` as chosen.

    Raises:
      ValueError: the kind is unknown, or a name to leave out does not exist.
    """
    match choice.kind:
        case "last-years":
            split = splits.last_years(sites, choice.test_years, choice.validation_years)
        case "blocked":
            split = splits.blocked(sites)
        case "leave-site-out":
            split = splits.leave_sites_out(sites, choice.leave_out)
        case "leave-group-out":
            split = splits.leave_groups_out(sites, choice.leave_out)
        case other:
            raise ValueError(
                f"split kind {other!r} is unknown; there are last-years, blocked, leave-site-out, "
                "leave-group-out"
            )
    split.assert_disjoint()
    split.assert_covers(sites)
    return split


def test_days(split: splits.Split, sites: Sites) -> np.ndarray:
    """Returns the days no training or validation looked at, bool (site, time)."""
    return (split.roles(sites) == TEST) & np.asarray(sites.site.valid)
