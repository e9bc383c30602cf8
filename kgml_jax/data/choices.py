"""Which sites and which split: what every command and workflow is told of its data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np

from kgml_jax.data import splits
from kgml_jax.data.schema import CropCodes, EnergyBalance, QualityScale
from kgml_jax.data.synthetic.truth import Twist
from kgml_jax.errors import DataError
from kgml_jax.sites import TRAIN, VALIDATION, Sites
from kgml_jax.split import Split

PATHS = ("data", "metadata", "management", "synthetic_stations")

READ_ANEW = ("quality_scale", "worst_flag", "crop_codes")
"""How files are written, which other files than those of a run may do otherwise."""


@dataclass(frozen=True)
class DataChoice:
    """Which sites a program works on."""

    data: Path | None = None
    """FLUXNET file, zip or folder; NetCDF, Zarr or CSV with dims (site, time). None: synthetic."""
    metadata: Path | None = None
    """CSV of site metadata (site, lat, lon, elev, igbp); default: `sites.csv` beside the data."""
    management: Path | None = None
    """Table of events (site, date, event, crop, amount, unit, method), or ICASA, BADM, PEcAn;
    default: `management.csv` beside the data."""
    qc_threshold: float = 0.75
    """Smallest share of a day (0-1) measured or well filled for it to be scored."""
    quality_scale: QualityScale = "share"
    """What quality columns hold: the share of the day (0-1), per cent of it, or flags, of which the
    smallest is the best."""
    worst_flag: int = 1
    """Largest flag that counts, where quality columns hold flags."""
    crop_codes: CropCodes = "table"
    """Whose codes name the crops: rows of the crop table, those of the Cropland Data Layer (1 corn,
    5 soybean, 24 winter wheat), or of KGML-ag (1 corn, 5 soybean)."""
    max_gap: int = 7
    """Longest gap in the forcing, in days, that is interpolated."""
    max_copy: int = 60
    """Longest gap in the forcing, in days, that is copied from the nearest year."""
    partition: Literal["NT", "DT"] = "NT"
    """FLUXNET's partitioning of Reco and GPP: night-time or daytime."""
    energy_balance: EnergyBalance = "measured"
    """FLUXNET's ET as measured, or with the tower's energy balance closed at its Bowen ratio."""
    prescribe_gpp: bool = False
    """Give the tower's or simulated GPP to the model; legacy inputs switch it on."""
    skip_bad_sites: bool = False
    """Leave out sites that `check` blocks, and years at the ends of a record whose weather lacks
    a variable, and list them; otherwise one of them stops the run."""
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
class OtherData:
    """Which files a program works on that goes on with a run."""

    data: Path | None = None
    """Other sites than those of the run."""
    metadata: Path | None = None
    """CSV of site metadata (site, lat, lon, elev, igbp) for `--data`."""
    management: Path | None = None
    """Table of events (site, date, event, crop, amount, unit, method) for `--data`."""
    skip_bad_sites: bool = False
    """Leave out sites that `check` blocks, and years at the ends of a record whose weather lacks
    a variable, and list them; otherwise one of them stops the run."""
    quality_scale: QualityScale | None = None
    """What quality columns of `--data` hold: shares of the day, per cent or flags. None: as those
    of the run."""
    worst_flag: int | None = None
    """Largest flag that counts, where quality columns hold flags. None: as of the run."""
    crop_codes: CropCodes | None = None
    """Whose codes name the crops of `--data`. None: as of the run."""

    def after(self, origin: DataChoice | None) -> DataChoice:
        """Returns the choice of data of a run with these files in place of its own.

        Args:
          origin: of the run; None if it is not known.

        Raises:
          ValueError: metadata or events without data, or neither data nor an origin.
        """
        for name in ("metadata", "management"):
            if self.data is None and getattr(self, name) is not None:
                raise ValueError(f"--{name} has no meaning without --data")
        if self.data is None and origin is None:
            raise ValueError("the run does not say which data it learnt from; use --data")
        choice, skip = origin or DataChoice(), self.skip_bad_sites
        told = {name: getattr(self, name) for name in READ_ANEW}
        told = {name: value for name, value in told.items() if value is not None}
        if self.data is None:
            return replace(choice, skip_bad_sites=skip or choice.skip_bad_sites, **told)
        files = {"data": self.data, "metadata": self.metadata, "management": self.management}
        return replace(choice, **files, skip_bad_sites=skip, **told)


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


def data_from_json(described: dict[str, Any]) -> DataChoice:
    """Returns the choice of data that a run's `data.json` holds."""
    names = [name for name in PATHS if described.get(name) is not None]
    return DataChoice(**{**described, **{name: Path(described[name]) for name in names}})


def make_split(choice: SplitChoice, sites: Sites) -> Split:
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


def hide_new_sites(split: Split, sites: Sites, count: int) -> Split:
    """Returns the split with `count` whole sites held out, chosen by the CRC-32 of their names.

    Raises:
      ValueError: no site would be left to train on.
    """
    if not 0 <= count < len(sites):
        raise ValueError(f"--new-sites {count} of {len(sites)} sites; expected fewer")
    hidden = np.argsort(np.asarray(sites.site.identity), kind="stable")[:count]
    return splits.hide_sites(split, sites, [sites.names[row] for row in hidden])


def divide_unseen(before: Split, choice: SplitChoice, sites: Sites) -> Split:
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
    split = replace(before, periods=before.periods | fresh.periods)
    split.assert_disjoint()
    return split
