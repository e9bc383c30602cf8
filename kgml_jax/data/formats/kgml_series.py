"""One series of KGML-ag in its own names, units and signs, brought to the schema.

Names and units are those of Liu et al. (2022, 2024); what they do not state is noted as assumed.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data.crop_codes import KGML_AG
from kgml_jax.data.schema import Note, Piece, expected_units
from kgml_jax.data.units import convert
from kgml_jax.errors import DataError, listed
from kgml_jax.process.humidity import saturation_pressure

DAYS = 365
"""Days of every year of the series, 1 January to 30 or 31 December."""

SOIL = {
    "bulk_density": (("TBKDS",), "Mg m-3"),
    "sand": (("TSAND", "TCSAND"), "g kg-1"),
    "silt": (("TSILT", "TCSILT"), "g kg-1"),
    "field_capacity": (("TFC",), "m3 m-3"),
    "wilting_point": (("TWP",), "m3 m-3"),
    "saturated_conductivity": (("TKSat",), "mm h-1"),
    "soil_organic_carbon": (("TSOC",), "g C kg-1"),
    "ph": (("TPH",), "1"),
    "cation_exchange_capacity": (("TCEC",), "cmol+ kg-1"),
}
"""Columns of each attribute and their units."""

_WEATHER = {
    "shortwave_radiation": ("RADN", "MJ m-2 d-1"),
    "wind_speed": ("WIND", "km d-1"),
    "precipitation": ("PRECN", "mm d-1"),
}
_USED = frozenset(
    {"TMAX_AIR", "TDIF_AIR", "TMIN_AIR", "HMAX_AIR", "HDIF_AIR", "HMIN_AIR", "Year", "GPP"}
    | {"Crop_Type", "PLANTT", "FERTZR_N"}
    | {column for column, _ in _WEATHER.values()}
    | {column for columns, _ in SOIL.values() for column in columns}
)
_ROUNDING = 1e-4  # what is left of 0 after a standard score in float32
_IMBALANCE = 0.1  # g C m-2 d-1


@dataclass(frozen=True)
class Series:
    """One site of a dictionary: whole years of 365 days in KGML-ag's names, units and signs."""

    site: str
    years: tuple[int, ...]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    attrs: dict[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


@dataclass
class _Work:
    """A series while it is converted; notes gather."""

    series: Series
    file: str
    notes: list[Note]

    def note(self, variable: str, kind: str, message: str, count: int | None = None) -> None:
        days = DAYS * len(self.series.years) if count is None else count
        if days:
            self.notes.append(Note(self.series.site, variable, kind, int(days), message))

    def column(self, name: str) -> np.ndarray:
        if name not in self.series.inputs:
            found = listed(sorted(self.series.inputs), 20)
            raise DataError("an input is missing", variable=name, found=found, **self.place)
        return self.series.inputs[name]

    @property
    def place(self) -> dict[str, str]:
        return {"file": self.file, "site": self.series.site}


def piece(series: Series, file: str) -> Piece:
    """Converts a series to canonical names, units, signs and days.

    The day that a leap year lacks is a row of missing values: no target, and weather that the
    reader's rules fill; its crop is that of the day before.

    Raises:
      DataError: an input is missing, an attribute changes with time, or carbon does not balance.
    """
    work = _Work(series, file, [])
    for message in series.assumed:
        work.note("", "warning", message)
    variables = _weather(work) | _management(work) | _targets(work)
    dataset = xr.Dataset(
        {
            name: ("time", values, {"units": expected_units(name)})
            for name, values in variables.items()
        },
        coords={"time": ("time", days_of(series.years))},
        attrs={"site": series.site, "source": file, **series.attrs},
    )
    soil = {
        name: ((), value, {"units": expected_units(name)}) for name, value in _soil(work).items()
    }
    dataset = _whole(dataset, work).assign(soil)
    unused = [name for name in series.inputs if name not in _USED]
    if unused:
        work.note(listed(unused, 9), "warning", "is not in the schema and is left out", len(unused))
    return Piece(series.site, dataset, tuple(work.notes))


def days_of(years: tuple[int, ...]) -> pd.DatetimeIndex:
    """Returns the first 365 days of each year, `(365 years,)`."""
    firsts = np.array([f"{year}-01-01" for year in years], dtype="datetime64[D]")
    days = firsts[:, None] + np.arange(DAYS)
    return pd.DatetimeIndex(days.reshape(-1), name="time").as_unit("ns")


def _whole(dataset: xr.Dataset, work: _Work) -> xr.Dataset:
    days = pd.DatetimeIndex(dataset["time"].to_numpy())
    every = pd.date_range(days[0], days[-1], freq="D", name="time").as_unit("ns")
    absent = len(every) - len(days)
    if absent:
        message = "assumed to be the day a leap year lacks: no target, weather is filled"
        work.note("time", "masked", message, absent)
    whole = dataset.reindex(time=every)
    if "crop" not in whole:
        return whole
    return whole.assign(crop=dataset["crop"].reindex(time=every, method="ffill"))


def _weather(work: _Work) -> dict[str, np.ndarray]:
    weather = {}
    for name, (column, units) in _WEATHER.items():
        canonical = expected_units(name) or units
        weather[name] = _without_rounding(convert(work.column(column), units, canonical))
        if units != canonical:
            work.note(name, "converted", f"{column}: {units} converted to {canonical}")
    highest, lowest, differences = _temperatures(work)
    weather["air_temperature_max"], weather["air_temperature_min"] = highest, lowest
    weather["air_temperature_mean"] = 0.5 * (highest + lowest)
    work.note("air_temperature_mean", "estimated", "the mean of the maximum and the minimum")
    humid = work.column("HMAX_AIR")
    dry = _lower(work, humid, "HDIF_AIR", "HMIN_AIR", differences)
    weather["vapour_pressure_deficit"] = _deficit(work, highest, lowest, 0.5 * (humid + dry))
    return weather


def _temperatures(work: _Work) -> tuple[np.ndarray, np.ndarray, bool]:
    highest = work.column("TMAX_AIR")
    named = "TDIF_AIR" not in work.series.inputs
    # A minimum that stays above 0 through frost is the difference that other files hold.
    differences = bool(named and highest.min() < 0 <= work.column("TMIN_AIR").min() + _ROUNDING)
    if differences:
        message = "never negative while the maximum is: taken as the daily range, as HMIN_AIR"
        work.note("TMIN_AIR", "warning", message)
    lowest = _lower(work, highest, "TDIF_AIR", "TMIN_AIR", differences)
    return highest, lowest, differences


def _lower(
    work: _Work, highest: np.ndarray, range_name: str, low_name: str, differences: bool
) -> np.ndarray:
    if range_name in work.series.inputs:
        return highest - work.column(range_name)
    return highest - work.column(low_name) if differences else work.column(low_name)


def _deficit(
    work: _Work, highest: np.ndarray, lowest: np.ndarray, vapour: np.ndarray
) -> np.ndarray:
    """Mean saturation at the extremes (FAO-56, eq. 12) less the vapour pressure, never negative."""
    saturated = 0.5 * (saturation_pressure(highest) + saturation_pressure(lowest))
    name = "vapour_pressure_deficit"
    message = (
        "mean of saturation at the maximum and the minimum temperature less the mean of the "
        "extremes of the vapour pressure (HMAX_AIR, assumed to be kPa of vapour)"
    )
    work.note(name, "estimated", message)
    below = vapour > saturated
    work.note(name, "converted", "more vapour than saturation: 0", int(below.sum()))
    return np.where(below, 0.0, saturated - vapour)


def _management(work: _Work) -> dict[str, np.ndarray]:
    inputs, management = work.series.inputs, {}
    column = next((name for name in ("Crop_Type", "PLANTT") if name in inputs), None)
    if column is not None:
        codes = np.rint(inputs[column]).astype(int)
        rows = np.full(codes.shape, -1.0)
        for code, row in KGML_AG.items():
            rows[codes == code] = row
        management["crop"] = rows
        work.note("crop", "converted", f"{column}: 1 is corn (0), 5 is soybean (1)")
        message = f"{column} is neither 1 nor 5: the crop is not known"
        work.note("crop", "warning", message, int((rows < 0).sum()))
    message = "not in the file: no planting and no harvest"
    work.note("occupied, planting, harvest", "defaulted", message)
    if "GPP" in inputs:
        management["prescribed_gpp"] = _without_rounding(inputs["GPP"])
    if "FERTZR_N" in inputs:
        given = _without_rounding(inputs["FERTZR_N"])
        management["fertiliser_ammonium"] = np.maximum(given, 0.0)
        message = "FERTZR_N: assumed to be g N m-2 d-1 and ammonium"
        work.note("fertiliser_ammonium", "warning", message)
    return management


def _targets(work: _Work) -> dict[str, np.ndarray]:
    theirs = {name.lower(): values for name, values in work.series.outputs.items()}
    targets = {}
    for name, sign in (("Ra", -1.0), ("Rh", -1.0), ("NEE", 1.0), ("Reco", 1.0)):
        if name.lower() in theirs:
            targets[name] = sign * theirs.pop(name.lower())
            if sign < 0:
                work.note(name, "converted", "the sign is turned: respiration is positive")
    if "grainc" in theirs:
        targets["yield"] = theirs.pop("grainc")
        message = "GrainC on the 364th day of the year, assumed to be g C m-2 yr-1"
        work.note("yield", "warning", message, len(work.series.years))
    if "n2o_flux" in theirs:
        targets["N2O"] = _nitrous_oxide(work, theirs.pop("n2o_flux"))
    if theirs:
        message = "another quantity than those of the schema: left out"
        work.note(listed(list(theirs), 9), "warning", message, len(theirs))
    if "Reco" in targets and "NEE" in targets:
        _mask_zeros(work, targets)
    return _with_gpp(work, targets)


def _nitrous_oxide(work: _Work, flux: np.ndarray) -> np.ndarray:
    downwards = float(np.mean(flux)) < 0
    message = "N2O_FLUX: assumed to be g N m-2 d-1"
    if downwards:
        message += ", positive into the soil: the sign is turned"
    work.note("N2O", "warning", message)
    return -flux if downwards else flux


def _mask_zeros(work: _Work, targets: dict[str, np.ndarray]) -> None:
    # The towers' files replace a missing day by 0 in both fluxes and keep no mask.
    near = [np.abs(targets[name]) < _ROUNDING for name in ("Reco", "NEE")]
    missing = near[0] & near[1]
    for name in ("Reco", "NEE"):
        targets[name] = np.where(missing, np.nan, targets[name])
    message = "Reco and NEE are both 0: not measured"
    work.note("Reco, NEE", "masked", message, int(missing.sum()))


def _with_gpp(work: _Work, targets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "GPP" not in work.series.inputs or "NEE" not in targets:
        return targets
    gpp = np.where(np.isfinite(targets["NEE"]), work.series.inputs["GPP"], np.nan)
    tower = "Reco" in targets
    if not tower and not {"Ra", "Rh"} <= set(targets):
        return targets
    reco = targets["Reco"] if tower else targets["Ra"] + targets["Rh"]
    days = int(np.isfinite(gpp).sum())
    residual = float(np.sqrt(np.nansum((reco - gpp - targets["NEE"]) ** 2) / max(days, 1)))
    found = f"Reco - GPP - NEE of {residual:.3g} g C m-2 d-1"
    if residual <= _IMBALANCE:
        message = "is Reco - NEE: as an input it holds the targets"
        work.note("prescribed_gpp", "warning", message, days)
        return targets | {"GPP": gpp}
    if tower:
        message = f"GPP is another product, no target: {found}"
        work.note("GPP", "warning", message, days)
        return targets
    expected = "GPP + Ra + Rh + NEE = 0 with Ra and Rh negative"
    problem = "carbon does not balance"
    raise DataError(problem, variable="NEE", found=found, expected=expected, **work.place)


def _soil(work: _Work) -> dict[str, float]:
    soil = {}
    for name, (columns, units) in SOIL.items():
        column = next((one for one in columns if one in work.series.inputs), None)
        if column is None:
            continue
        values = work.column(column)
        value, spread = float(values.mean()), float(np.ptp(values))
        if spread > 1e-3 * (1 + abs(value)):
            found = f"{values.min():.4g} to {values.max():.4g}"
            raise DataError("changes with time", variable=column, found=found, **work.place)
        soil[name] = float(convert(np.asarray(value), units, expected_units(name) or "1"))
    silt = soil.pop("silt", None)
    if silt is not None and "sand" in soil:
        soil["clay"] = max(1.0 - soil["sand"] - silt, 0.0)
        work.note("clay", "estimated", "what sand and silt leave", 1)
    return soil


def _without_rounding(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < _ROUNDING, 0.0, values)
