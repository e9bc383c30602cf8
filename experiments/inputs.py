"""Where programs get their sites and split from: files at a path, or the embedded default."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np
import xarray as xr

from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.read import ReadOptions, read
from kgml_jax.data.schema import DataError, Note
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.data.synthetic.truth import Twist
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.sites import TEST, TRAIN, VALIDATION, VARIABLES, Sites

PATHS = ("data", "metadata", "synthetic_stations")


@dataclass(frozen=True)
class Data:
    """Which sites a program works on."""

    data: Path | None = None
    """FLUXNET file, zip or folder; NetCDF, Zarr or CSV with dims (site, time). None: synthetic."""
    metadata: Path | None = None
    """CSV of site metadata (site, lat, lon, elev, igbp); default: `sites.csv` beside the data."""
    qc_threshold: float = 0.75
    """Smallest share of a day (0-1) measured or well filled for it to be scored."""
    max_gap: int = 7
    """Longest gap in the forcing, in days, that is interpolated."""
    max_copy: int = 60
    """Longest gap in the forcing, in days, that is copied from the nearest year."""
    partition: Literal["NT", "DT"] = "NT"
    """FLUXNET's partitioning of Reco and GPP: night-time or daytime."""
    prescribe_gpp: bool = False
    """Give the tower's or simulated GPP to the model; legacy inputs switch it on."""
    synthetic_sites: int = 30
    """Number of synthetic sites, in the ratio IL:IA:IN = 22:41:27."""
    synthetic_years: int = 8
    """Years of each synthetic site."""
    synthetic_seed: int = 0
    """Seed of the synthetic world."""
    synthetic_stations: Path | None = None
    """Table of CLIGEN stations whose climates the synthetic sites take. None: state climates."""
    synthetic_twist: Twist | None = None
    """What respiration at the synthetic sites does that the process model does not know."""


@dataclass(frozen=True)
class SplitChoice:
    """How days are divided into training, validation and test."""

    split: Literal[
        "last-years", "blocked", "extreme-years", "leave-site-out", "leave-group-out"
    ] = "last-years"
    """How the days of each site, or the sites, are divided. extreme-years: the years with the
    hottest and driest growing seasons of each site, by vapour pressure deficit, are test."""
    test_years: int = 2
    """Years of each record that are only ever scored: the last, or the most extreme."""
    validation_years: int = 1
    """Last years of the others, which stop training and decide acceptance."""
    leave_out: tuple[str, ...] = ()
    """Names of the sites or groups left out by the last two kinds."""
    new_sites: int | None = None
    """Sites pretraining never sees (last-years). None: a third of the synthetic, none of yours."""


@dataclass(frozen=True)
class Loaded:
    """Sites ready for training, with what was done to them on the way in."""

    sites: Sites
    notes: tuple[Note, ...] = ()
    world: xr.Dataset | None = None
    """The synthetic data set with its truth, if the sites are synthetic."""


def load(config: Data, further: tuple[str, ...] = ()) -> Loaded:
    """Reads or generates the sites.

    Args:
      config: which.
      further: names of `sites.FURTHER` that become targets beside the fluxes where data hold them.

    Raises:
      DataError: the data cannot be used, or GPP is to be prescribed and a site has none.
    """
    targets = (*VARIABLES, *further)
    loaded = _synthetic(config, targets) if config.data is None else _read(config, targets)
    if config.prescribe_gpp:
        require_gpp(loaded.sites)
    return loaded


def require_gpp(sites: Sites) -> None:
    """Refuses sites of which one has no GPP to prescribe.

    Raises:
      DataError: naming them.
    """
    given = np.asarray(sites.site.forcing.prescribed_gpp).any(axis=1)
    if not given.all():
        absent = [sites.names[row] for row in np.flatnonzero(~given)]
        raise DataError("no GPP to prescribe", site=", ".join(absent), variable="prescribed_gpp")


def require_crops(sites: Sites) -> None:
    """Refuses sites at which nothing ever grows, as far as is known: there GPP would be 0.

    Raises:
      DataError: naming them.
    """
    forcing = sites.site.forcing
    grown = (np.asarray(forcing.crop) >= 0) & (np.asarray(forcing.occupied) > 0)
    if not grown.any(axis=1).all():
        absent = [sites.names[row] for row in np.flatnonzero(~grown.any(axis=1))]
        expected = "crop and occupied (with planting and harvest), which the process model needs"
        raise DataError(
            "no crop calendar", site=", ".join(absent), variable="crop", expected=expected
        )


def _synthetic(config: Data, targets: tuple[str, ...]) -> Loaded:
    world = generate(
        SyntheticConfig(
            sites=config.synthetic_sites,
            years=config.synthetic_years,
            seed=config.synthetic_seed,
            stations=config.synthetic_stations,
            twist=config.synthetic_twist,
        ),
        simulate_sites,
    )
    if config.prescribe_gpp:
        # The simulated GPP, as KGML-ag's synthetic pretraining data give it.
        world["prescribed_gpp"] = world["GPP_truth"]
    return Loaded(sites=assemble(per_site(world), targets), world=world)


def _read(config: Data, targets: tuple[str, ...]) -> Loaded:
    options = ReadOptions(
        qc_threshold=config.qc_threshold,
        max_gap=config.max_gap,
        max_copy=config.max_copy,
        partition=config.partition,
        prescribe_gpp=config.prescribe_gpp,
    )
    reading = read(config.data or "", config.metadata, options)
    return Loaded(sites=assemble(reading, targets), notes=reading.notes)


def data_from_json(described: dict[str, Any]) -> Data:
    """Returns the choice of data that a run's `data.json` holds."""
    names = [name for name in PATHS if described.get(name) is not None]
    return Data(**{**described, **{name: Path(described[name]) for name in names}})


def make_split(choice: SplitChoice, sites: Sites) -> splits.Split:
    """Divides the days of `sites` as chosen.

    Raises:
      ValueError: names to leave out are given to a split that leaves nothing out.
      DataError: a name to leave out does not exist.
    """
    if choice.leave_out and not choice.split.startswith("leave"):
        raise ValueError(f"--leave-out has no meaning with --split {choice.split}")
    validation = choice.validation_years
    match choice.split:
        case "last-years":
            split = splits.last_years(sites, choice.test_years, validation)
        case "blocked":
            split = splits.blocked(sites)
        case "extreme-years":
            split = splits.extreme_years(sites, choice.test_years, validation)
        case "leave-site-out":
            split = splits.leave_sites_out(sites, choice.leave_out, validation=validation)
        case "leave-group-out":
            split = splits.leave_groups_out(sites, choice.leave_out, validation)
        case other:
            assert_never(other)
    split.assert_disjoint()
    split.assert_covers(sites)
    return split


def hide_new_sites(split: splits.Split, sites: Sites, count: int) -> splits.Split:
    """Returns the split with `count` whole sites held out, chosen by the CRC-32 of their names.

    Raises:
      ValueError: no site would be left to train on.
    """
    if not 0 <= count < len(sites):
        raise ValueError(f"--new-sites {count} of {len(sites)} sites; expected fewer")
    hidden = np.argsort(np.asarray(sites.site.identity), kind="stable")[:count]
    return splits.hide_sites(split, sites, [sites.names[row] for row in hidden])


def divide_unseen(before: splits.Split, choice: SplitChoice, sites: Sites) -> splits.Split:
    """Keeps the split of sites a pretraining saw and divides the others anew.

    Args:
      before: split of the pretraining, which holds all of `sites`.
      choice: how sites it did not see are divided.
      sites: sites to calibrate.
    """
    roles = before.roles(sites)
    seen = ((roles == TRAIN) | (roles == VALIDATION)).any(axis=1)
    if seen.all():
        return before
    fresh = make_split(choice, sites.take([int(row) for row in np.flatnonzero(~seen)]))
    split = replace(before, intervals=before.intervals | fresh.intervals)
    split.assert_disjoint()
    return split


def test_days(split: splits.Split, sites: Sites) -> np.ndarray:
    """Returns the days no training or validation looked at, bool (site, time)."""
    return (split.roles(sites) == TEST) & np.asarray(sites.site.valid)
