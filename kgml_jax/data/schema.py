"""The vocabulary of the data door: variables, options, notes, and the one error class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from kgml_jax.errors import DataError, listed
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import Quantity, quantities
from kgml_jax.sites import PREDICTABLE, VARIABLES

REQUIRED_FORCING = (
    "shortwave_radiation",
    "air_temperature_mean",
    "air_temperature_max",
    "air_temperature_min",
    "vapour_pressure_deficit",
    "precipitation",
    "wind_speed",
)
"""Forcing that every site must bring; without it there is nothing to simulate."""

NEUTRAL_FORCING: dict[str, float] = {
    "longwave_radiation": 0.0,
    "irrigation": 0.0,
    "crop": -1.0,
    "occupied": 0.0,
    "planting": 0.0,
    "harvest": 0.0,
    "cut": 0.0,
    "grazing": 0.0,
    "tillage": 0.0,
    "residue_removal": 0.0,
    "fertiliser_ammonium": 0.0,
    "fertiliser_nitrate": 0.0,
    "manure_carbon": 0.0,
    "manure_nitrogen": 0.0,
    "prescribed_gpp": 0.0,
}
"""Optional forcing and what a day without it means; `co2` follows the global mean instead."""

FORCING: dict[str, Quantity] = {
    name: quantity for name, quantity in quantities(Forcing).items() if name != "day_of_year"
}

ATTRIBUTES: dict[str, Quantity] = quantities(Attributes)

SITE_QUANTITIES: dict[str, Quantity] = ATTRIBUTES | {
    "longitude": Quantity("degree_east", "Longitude.", bounds=(-180.0, 360.0))
}
"""What may be given of a site: what drives models, and where it lies."""

TARGET_BOUNDS: dict[str, tuple[float, float]] = {
    "GPP": (-30.0, 80.0),
    "Ra": (-20.0, 60.0),
    "Rh": (-20.0, 60.0),
    "Reco": (-30.0, 80.0),
    "NEE": (-60.0, 60.0),
    "ET": (-5.0, 25.0),
    "yield": (0.0, 2500.0),
    "N2O": (-0.2, 5.0),
    "nitrate": (0.0, 500.0),
    "ammonium": (0.0, 500.0),
    "soil_water_content": (0.0, 1.0),
    "soil_carbon_stock": (0.0, 100_000.0),
    "soil_respiration": (-2.0, 60.0),
    "harvested_carbon": (0.0, 2500.0),
    "leaf_area_index": (0.0, 14.0),
    "green_cover": (0.0, 1.0),
}
"""What targets can be, in their units: about twice what towers measure on their largest days.

Partitioned fluxes scatter below 0. Evaporation is bounded by the energy of a day: 25 mm take 61 MJ
m-2, more than radiation and advection bring (FAO-56, table 2: reference evaporation up to 10 mm).
Corn of 25 Mg ha-1 holds some 1000 g C m-2 of grain. After fertiliser soils emit a few tenths of a
g N m-2 d-1 of N2O at most. Peat holds some 60 kg C m-2 in 30 cm. Leaf
area above 10 is of forests."""

POTENTIAL_RADIATION = "potential_shortwave_radiation"
"""Radiation at the top of the atmosphere; used to estimate temperature ranges, never stored."""

NET_RADIATION = "net_radiation"
"""Measured net radiation, MJ m-2 d-1: told as the thermal radiation of the sky that it means."""

VEGETATION_INDEX = "vegetation_index"
"""Index of greenness (NDVI, EVI, GCC, ...), 1; told as the green cover that it means."""

QualityScale = Literal["share", "percent", "flags"]
"""What quality columns hold: the share of a day, per cent of it, or classes."""

CropCodes = Literal["table", "cdl", "kgml-ag"]
"""Whose codes name the crops: rows of the crop table, USDA's Cropland Data Layer, or KGML-ag."""

EnergyBalance = Literal["measured", "closed"]
"""Whether latent heat is as measured, or what closes the energy balance of the tower."""

KINDS = ("converted", "filled", "estimated", "defaulted", "masked", "warning", "left out")


@dataclass(frozen=True)
class Note:
    """One thing done to the data on the way in, with the number of days it touched."""

    site: str
    variable: str
    kind: str
    count: int
    message: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of a note; one of {KINDS}")


@dataclass(frozen=True)
class ReadOptions:
    """Choices of the reader; each is recorded in the notes where it has an effect."""

    qc_threshold: float = 0.75
    """A target counts where at least this share of the day was measured or filled well."""
    quality_scale: QualityScale = "share"
    """What quality columns hold: the share of the day (0-1), per cent of it, or flags, of which the
    smallest is the best."""
    worst_flag: int = 1
    """Largest flag that counts, where quality columns hold flags."""
    crop_codes: CropCodes = "table"
    """Whose codes name the crops: rows of the crop table, those of the Cropland Data Layer (1 corn,
    5 soybean, 24 winter wheat), or of KGML-ag (1 corn, 5 soybean)."""
    max_gap: int = 7
    """Longest gap in the forcing, in days, that the short rule of each variable fills."""
    max_copy: int = 60
    """Longest gap, in days, filled with the same days of the nearest year."""
    partition: Literal["NT", "DT"] = "NT"
    """Partitioning of FLUXNET's Reco and GPP: NT (night-time) or DT (daytime)."""
    energy_balance: EnergyBalance = "measured"
    """FLUXNET's ET as measured, or with the tower's energy balance closed at its Bowen ratio."""
    prescribe_gpp: bool = False
    """Give the tower's GPP to the model as an input. It contains the observed NEE: legacy only."""
    skip_bad_sites: bool = False
    """Leave out sites that cannot be used, and years at the ends of a record whose forcing has gaps
    that cannot be filled."""
    fluxes: bool = True
    """Fluxes are needed. Without, only weather, management and place are read, as to predict."""

    def __post_init__(self) -> None:
        if self.partition not in ("NT", "DT"):
            raise DataError("unknown partitioning", found=self.partition, expected="NT or DT")
        if not 0 <= self.qc_threshold <= 1:
            raise DataError("qc_threshold", found=self.qc_threshold, expected="0 to 1")
        kinds = {
            "quality_scale": QualityScale,
            "crop_codes": CropCodes,
            "energy_balance": EnergyBalance,
        }
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                expected = ", ".join(get_args(kind))
                raise DataError(name, found=getattr(self, name), expected=expected)


DEFAULT_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class Piece:
    """What one file says of one site, in canonical names and units, not yet checked or filled."""

    site: str
    dataset: xr.Dataset
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Season:
    """One crop from sowing to harvest, as a table of events gives it.

    Attributes:
      site: where it grew.
      name: canonical name of the crop; empty where none was given.
      row: of the crop table, -1 where it has none.
      first: day of sowing; of a crop that stood before the record, the record's first day.
      last: day of harvest or termination; of one that still stands, the record's last day.
      sown: whether it was sown on the first day.
      reaped: whether it was harvested or ended on the last day.
      removal: share of the residue above ground that was taken.
      cuts: days on which a perennial crop is mown, and shares of the shoot above its stubble.
      remark: how it is known, where the table does not say so.
    """

    site: str
    name: str
    row: int
    first: np.datetime64
    last: np.datetime64
    sown: bool = True
    reaped: bool = True
    removal: float = 0.0
    cuts: tuple[tuple[np.datetime64, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Reading:
    """Checked sites, the notes on what was done to them, and what could not be read.

    Each dataset has the dimension `time` only, no NaN in the forcing, NaN in targets where they
    do not count, and the attributes `site`, `group` and `source`.
    """

    sites: tuple[xr.Dataset, ...]
    notes: tuple[Note, ...] = ()
    errors: tuple[DataError, ...] = ()
    seasons: tuple[Season, ...] = ()
    """Of a table of events, in the order of sites and days."""


_TOLD_OTHERWISE = {NET_RADIATION: "MJ m-2 d-1", VEGETATION_INDEX: "1"}


def expected_units(name: str) -> str | None:
    """Returns the canonical units of a variable of the schema; None if it is not in the schema."""
    if name.endswith("_qc") and name[:-3] in VARIABLES:
        return "1"
    quantity = {**FORCING, **SITE_QUANTITIES, **PREDICTABLE}.get(name.removesuffix("_uncertainty"))
    if name in _TOLD_OTHERWISE:
        return _TOLD_OTHERWISE[name]
    return None if quantity is None else quantity.units


def is_observed(name: str) -> bool:
    """Whether a variable is a target, its quality or its uncertainty: nothing that drives."""
    name = name.removesuffix("_qc").removesuffix("_uncertainty")
    return name in PREDICTABLE or name == VEGETATION_INDEX


def iso(days: Any) -> list[str]:
    """Returns days as ISO dates; takes any array-like of dates."""
    return [str(day)[:10] for day in np.asarray(days, dtype="datetime64[D]")]


def require_forcing(file: Path, names: Sequence[str]) -> None:
    """Refuses a file without a variable that every site must bring.

    Raises:
      DataError: naming what is missing and what is there.
    """
    missing = [name for name in REQUIRED_FORCING if name not in names]
    if missing:
        raise DataError(
            "required forcing is missing",
            file=file,
            variable=", ".join(missing),
            found=listed(names, 12) or "nothing",
            expected="the names in docs/data.md",
        )
