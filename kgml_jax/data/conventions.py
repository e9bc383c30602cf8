"""How quantities, flags and days stand in files that others read: the CF conventions."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from kgml_jax.records import Quantity

CONVENTIONS = "CF-1.8"
BOUNDS = "time_bnds"
IN_FULL = "units_in_full"
"""Attribute of the units where those of netCDF cannot say them: of what element a gram is."""

DAYS = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int32"}
"""Encoding of dates."""

_RESPIRED = "surface_upward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_"
_GPP = "gross_primary_productivity_of_biomass_expressed_as_carbon"
_N2O = (
    "surface_upward_mass_flux_of_nitrous_oxide_expressed_as_nitrogen_out_of_vegetation_and_litter_"
    "and_soil"
)

STANDARD_NAMES = {
    "GPP": _GPP,
    "gross_primary_productivity": _GPP,
    "Ra": f"{_RESPIRED}plant_respiration",
    "autotrophic_respiration": f"{_RESPIRED}plant_respiration",
    "maintenance_respiration": f"{_RESPIRED}plant_respiration_for_biomass_maintenance",
    "growth_respiration": f"{_RESPIRED}plant_respiration_for_biomass_growth",
    "Rh": f"{_RESPIRED}heterotrophic_respiration",
    "heterotrophic_respiration": f"{_RESPIRED}heterotrophic_respiration",
    "N2O": _N2O,
    "nitrous_oxide": _N2O,
    "leaf_area_index": "leaf_area_index",
    "precipitation": "lwe_precipitation_rate",
    "snow": "lwe_thickness_of_surface_snow_amount",
    "ground_heat": "downward_heat_flux_at_ground_level_in_soil",
    "soil_water_content": "volume_fraction_of_condensed_water_in_soil",
    "layer_water_content": "volume_fraction_of_condensed_water_in_soil",
    "soil_temperature": "soil_temperature",
    "layer_temperature": "soil_temperature",
    "shortwave_radiation": "surface_downwelling_shortwave_flux_in_air",
    "air_temperature_mean": "air_temperature",
    "air_temperature_max": "air_temperature",
    "air_temperature_min": "air_temperature",
    "vapour_pressure_deficit": "water_vapor_saturation_deficit_in_air",
    "wind_speed": "wind_speed",
    "co2": "mole_fraction_of_carbon_dioxide_in_air",
    "latitude": "latitude",
    "longitude": "longitude",
    "elevation": "surface_altitude",
}
"""Names of the CF standard name table (version 92), where one says the same. None has the sign of
net ecosystem exchange, holds all of ecosystem respiration, or evapotranspiration as a depth."""

_UP = "positive upwards, to the atmosphere"
_OUT = "positive out of the soil"

SIGNS = {
    **dict.fromkeys(("NEE", "net_ecosystem_exchange"), f"{_UP}; negative where the field gains"),
    **dict.fromkeys(("GPP", "gross_primary_productivity"), "positive into the plants"),
    **dict.fromkeys(("Ra", "autotrophic_respiration"), _UP),
    **dict.fromkeys(("maintenance_respiration", "growth_respiration"), _UP),
    **dict.fromkeys(("nitrogen_respiration",), _UP),
    **dict.fromkeys(("Rh", "heterotrophic_respiration"), _UP),
    **dict.fromkeys(("Reco", "ecosystem_respiration"), _UP),
    **dict.fromkeys(("ET", "evapotranspiration", "transpiration", "soil_evaporation"), _UP),
    **dict.fromkeys(("interception_evaporation", "snow_sublimation"), _UP),
    **dict.fromkeys(("N2O", "nitrous_oxide", "dinitrogen", "ammonia_volatilisation"), _UP),
    **dict.fromkeys(("nitrate_leaching", "drainage", "runoff", "deep_heat"), _OUT),
    **dict.fromkeys(("ground_heat", "shortwave_radiation", "precipitation"), "positive downwards"),
}
"""Which way a flux goes where it is positive."""

_EXTREMES = {"air_temperature_max": "maximum", "air_temperature_min": "minimum"}


def udunits(units: str) -> str:
    """Returns canonical units as udunits reads them: `g C` is no unit, and `N` is a newton."""
    spelled = re.sub(r"\b([kmM]?g) ?[CN](?=$| |-|\))", r"\1", units)
    return re.sub(r"^degree_(?=north$|east$)", "degrees_", spelled)


def units(canonical: str) -> dict[str, str]:
    """Returns the attributes that state units."""
    plain = udunits(canonical)
    return {"units": plain} | ({IN_FULL: canonical} if plain != canonical else {})


def stated_units(attributes: Mapping[str, Any]) -> Any:
    """Returns the units of a variable of a file: in full, unless they contradict its `units`."""
    found, full = attributes.get("units"), attributes.get(IN_FULL)
    return full if full is not None and udunits(str(full)) == found else found


def cell_method(name: str, canonical: str) -> str:
    """Returns over what of a day a daily value stands."""
    if name in _EXTREMES:
        return _EXTREMES[name]
    if canonical == "Mg ha-1":
        return "sum"
    return "mean" if canonical.endswith(" d-1") else "point"


def described(name: str, quantity: Quantity, daily: bool = False) -> dict[str, str]:
    """Returns the attributes of a quantity.

    Args:
      name: of the variable, by which its standard name and sign are known.
      quantity: its units and meaning.
      daily: there is a value each day.
    """
    attributes = {"long_name": quantity.doc.removesuffix("."), **units(quantity.units)}
    if name in STANDARD_NAMES:
        attributes["standard_name"] = STANDARD_NAMES[name]
    if name in SIGNS:
        attributes["sign_convention"] = SIGNS[name]
    if daily:
        attributes["cell_methods"] = f"time: {cell_method(name, quantity.units)}"
    return attributes


def flags(text: str, meanings: Mapping[str, int] | Sequence[str], masks: bool = False) -> dict:
    """Returns the attributes of a variable of codes.

    Args:
      text: what they say.
      meanings: codes by their meaning, or meanings of 0, 1, ...
      masks: the codes are bits, and several may be set.
    """
    codes = list(meanings.values()) if isinstance(meanings, Mapping) else range(len(meanings))
    return {
        "long_name": text,
        "flag_masks" if masks else "flag_values": np.array(codes, np.int8),
        "flag_meanings": " ".join(meanings),
    }


def days(dates: np.ndarray) -> dict[str, Any]:
    """Returns the variables `time` and its bounds, of which a time stands for the day it starts.

    Args:
      dates: datetime64[D], shape (time,).
    """
    return periods(dates, dates + np.timedelta64(1, "D"))


def periods(start: np.ndarray, end: np.ndarray) -> dict[str, Any]:
    """Returns the variables `time`, which stands for what starts then, and its bounds.

    Args:
      start: datetime64, shape (time,).
      end: likewise, the first moment after.
    """
    start, end = (one.astype("datetime64[D]").astype("datetime64[ns]") for one in (start, end))
    about = {"standard_name": "time", "long_name": "time", "axis": "T", "bounds": BOUNDS}
    return {
        "time": xr.Variable("time", start, about, dict(DAYS)),
        BOUNDS: xr.Variable(("time", "bnds"), np.stack([start, end], axis=1), None, dict(DAYS)),
    }


def completed(dataset: xr.Dataset) -> xr.Dataset:
    """Returns a data set as a file has it: with all that every variable must state.

    Values stay as they are. Units become those of udunits and are kept in full beside; whole
    numbers are stored in 32 bits and truth values as flags; coordinates have no missing value. An
    axis of days gets its bounds.
    """
    result = dataset.copy()
    if "time" in result.coords and _of_days(result["time"]):
        result = result.assign(days(result["time"].values))
    bounds = {one.attrs.get("bounds") for one in result.variables.values()}
    for name, variable in result.variables.items():
        if name not in bounds:
            _complete(name, variable, name in result.coords)
    result.attrs = {"Conventions": CONVENTIONS, **result.attrs}
    return result


def _complete(name: Hashable, variable: xr.Variable, coordinate: bool) -> None:
    kind, about = variable.dtype.kind, variable.attrs
    about.setdefault("long_name", str(name).replace("_", " "))
    if kind == "b" and "flag_values" not in about:
        about |= {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "no yes"}
    if "variable_units" in str(about.get("units")):
        # They differ along a dimension, of which a coordinate says them.
        about[IN_FULL] = about.pop("units")
    elif "units" in about:
        about |= units(str(about["units"])) if IN_FULL not in about else {}
    elif kind in "fiu" and not {"flag_values", "flag_masks", IN_FULL} & set(about):
        about["units"] = "1"
    variable.encoding |= _encoding(variable, coordinate)


def _encoding(variable: xr.Variable, coordinate: bool) -> dict[str, Any]:
    kind, values = variable.dtype.kind, variable.values
    if kind == "M":
        return dict(DAYS) if _whole(values) else {}
    if kind == "f" and "flag_values" in variable.attrs:
        return {"dtype": "int8", "_FillValue": np.int8(-1)}
    if kind == "f" and coordinate:
        return {"_FillValue": None}
    wide = kind == "i" and variable.dtype.itemsize == 8
    return {"dtype": "int32"} if wide and np.abs(values).max(initial=0) < 2**31 else {}


def _whole(dates: np.ndarray) -> bool:
    return bool((dates.astype("datetime64[D]") == dates).all())


def _of_days(time: xr.DataArray) -> bool:
    values = time.values
    if time.dims != ("time",) or values.dtype.kind != "M" or "bounds" in time.attrs:
        return False
    steps = np.diff(values.astype("datetime64[D]")).astype(int)
    return _whole(values) and bool((steps == 1).all())
