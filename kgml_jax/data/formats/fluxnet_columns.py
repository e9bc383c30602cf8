"""Which columns of a FLUXNET daily file hold what, in which order of preference."""

import numpy as np

from kgml_jax.data import bounds
from kgml_jax.data.schema import (
    NET_RADIATION,
    POTENTIAL_RADIATION,
    Note,
    ReadOptions,
    expected_units,
)
from kgml_jax.data.units import convert

FORCING_COLUMNS = {
    "air_temperature_mean": (("TA_F", "TA_F_MDS", "TA"), "degC"),
    "air_temperature_max": (("TMAX_F", "TA_F_MAX"), "degC"),
    "air_temperature_min": (("TMIN_F", "TA_F_MIN"), "degC"),
    "shortwave_radiation": (("SW_IN_F", "SW_IN_F_MDS", "SW_IN"), "W m-2"),
    POTENTIAL_RADIATION: (("SW_IN_POT",), "W m-2"),
    "longwave_radiation": (("LW_IN_F", "LW_IN_F_MDS", "LW_IN"), "W m-2"),
    NET_RADIATION: (("NETRAD",), "W m-2"),
    "vapour_pressure_deficit": (("VPD_F", "VPD_F_MDS", "VPD"), "hPa"),
    "precipitation": (("P_F", "P"), "mm d-1"),
    "wind_speed": (("WS_F", "WS"), "m s-1"),
}
"""Columns that hold a forcing, in order of preference, and FLUXNET's units of daily values; the
first that has values is used."""

NET_QUALITY, LEAST_NET_QUALITY = "NETRAD_QC", 0.9
"""Share of the day that net radiation, which is not filled, was measured; least that counts."""

TOWER_CO2 = ("CO2_F_MDS", "CO2")
"""Not used: daily means hold the night, when the air below the sensor is rich in it, and sensors
differ from the global mean by up to 40 umol mol-1."""

CORRECTED = "LE_CORR"
"""Latent heat that closes the energy balance at the Bowen ratio (Pastorello et al. 2020)."""

NEEDED = (
    "air_temperature_mean",
    "shortwave_radiation",
    "vapour_pressure_deficit",
    "precipitation",
    "wind_speed",
)
"""Forcing that a file must hold; extremes of temperature can be estimated."""

NET_EXCHANGE = ("NEE_VUT_REF", "NEE_CUT_REF")
# A file has the extremes under one name or the other; that needs no word.
_EXTREMES = ("air_temperature_max", "air_temperature_min")


def latent_heat(temperature: np.ndarray) -> np.ndarray:
    """Latent heat of vaporisation at an air temperature in degC (Stull 1988), J kg-1."""
    return 2.501e6 - 2361.0 * temperature


def chosen(
    site: str, variable: str, columns: dict[str, np.ndarray], choices: tuple[str, ...]
) -> tuple[str | None, list[Note]]:
    """Returns the first column that has values, else the first there is, and a word if need be."""
    present = [choice for choice in choices if choice in columns]
    with_values = [choice for choice in present if np.isfinite(columns[choice]).any()]
    column = next(iter([*with_values, *present]), None)
    if column is None or column == choices[0] or variable in _EXTREMES:
        return column, []
    why = "holds no value" if choices[0] in present else "is not there"
    return column, [Note(site, variable, "warning", 1, f"{choices[0]} {why}: {column} is used")]


def possible(column: str) -> tuple[float, float]:
    """Returns the bounds of a column in FLUXNET's units: what is outside can be a code."""
    if column.endswith("_QC"):
        return 0.0, 100.0
    if column in ("SW_IN_POT", "NETRAD"):
        return (0.0, 700.0) if column == "SW_IN_POT" else (-300.0, 700.0)
    for variable, (choices, units) in FORCING_COLUMNS.items():
        if column in choices:
            low, high = bounds.code_limits(variable)
            scale = float(convert(np.ones(()), units, expected_units(variable) or units))
            return low / scale, high / scale
    starts = {"LE": "ET", "RECO": "Reco", "GPP": "GPP", "NEE": "NEE"}
    flux = next(flux for start, flux in starts.items() if column.startswith(start))
    factor = float(latent_heat(np.zeros(()))) / 86_400.0 if flux == "ET" else 1.0
    low, high = bounds.physical(f"{flux}_uncertainty" if column.endswith("_RANDUNC") else flux)
    return low * factor, high * factor


def wanted(options: ReadOptions) -> list[str]:
    """Returns the columns that are read where a file has them."""
    forcing = [column for columns, _ in FORCING_COLUMNS.values() for column in columns]
    forcing.append(NET_QUALITY)
    if not options.fluxes:
        return [*forcing, *(partition(options)["GPP"] if options.prescribe_gpp else ())]
    net = [name + suffix for name in NET_EXCHANGE for suffix in ("", "_QC", "_RANDUNC")]
    parts = [column for pair in partition(options).values() for column in pair]
    return [*forcing, *net, *parts, "LE_F_MDS", "LE_F_MDS_QC", "LE_RANDUNC", CORRECTED]


def partition(options: ReadOptions) -> dict[str, tuple[str, str]]:
    """Returns the columns of Reco and GPP by the partitioning that is asked for."""
    method = options.partition
    return {
        flux: (f"{column}_{method}_VUT_REF", f"{column}_{method}_CUT_REF")
        for flux, column in (("Reco", "RECO"), ("GPP", "GPP"))
    }
