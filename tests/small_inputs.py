"""Small inputs of every form, without noise: what a file of each holds when it is whole."""

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data.schema import FORCING

QUICK_STATS = """Year,State,State ANSI,Ag District,County,County ANSI,Data Item,Value,CV (%)
2001,ILLINOIS,17,EAST,CHAMPAIGN,19.0,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE",170.0,2.2
2002,ILLINOIS,17,EAST,CHAMPAIGN,19.0,"SOYBEANS - YIELD, MEASURED IN BU / ACRE",50.0,
2001,ILLINOIS,17,EAST,PIATT,147.0,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE",150.0,
2002,ILLINOIS,17,EAST,PIATT,147.0,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE", (D),
2001,ILLINOIS,17,,OTHER COUNTIES,,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE",120.0,
2001,ILLINOIS,17,EAST,PIATT,147.0,"HAY - YIELD, MEASURED IN TONS / ACRE",3.1,
"""
"""Yields of counties as exported from Quick Stats."""

HARVESTS = pd.DataFrame(
    {
        "run": "ag1",
        "time": [2003.75, 2004.75],
        "dayofyr": [293, 210],
        "crpval": [3.9, 36.1],
        "agcacc": [700.0, 200.0],
        "cgrain": [420.5, 90.25],
    }
)
"""Of the run of `daycent_days`."""


def tower_table(first="2001-01-01", last="2002-12-31"):
    """A temperate tower in FLUXNET's daily columns and units, without noise."""
    days = pd.date_range(first, last, freq="D")
    day = days.day_of_year.to_numpy()
    season = np.cos(2 * np.pi * (day - 200) / 365)
    gpp = 6.0 * np.maximum(season, 0.0)
    reco = 2.0 + 1.5 * season
    return pd.DataFrame(
        {
            "TIMESTAMP": days.strftime("%Y%m%d"),
            "TA_F": 10.0 + 12.0 * season,
            "SW_IN_POT": 300.0 + 150.0 * season,
            "SW_IN_F": 150.0 + 80.0 * season,
            "VPD_F": 6.0 + 4.0 * season,
            "P_F": np.where(day % 5 == 0, 12.5, 0.0),
            "WS_F": 3.0 + 0.5 * season,
            "CO2_F_MDS": 380.0 - 5.0 * season,
            "NEE_VUT_REF": reco - gpp,
            "NEE_VUT_REF_QC": np.where(day % 10 == 3, 0.5, 0.9),
            "NEE_VUT_REF_RANDUNC": np.full(len(days), 0.4),
            "RECO_NT_VUT_REF": reco,
            "GPP_NT_VUT_REF": gpp,
            "RECO_DT_VUT_REF": reco + 0.3,
            "GPP_DT_VUT_REF": gpp + 0.2,
            "LE_F_MDS": 60.0 + 40.0 * season,
            "LE_F_MDS_QC": np.ones(len(days)),
        }
    )


def schema_dataset(sites=("north", "south"), first="2001-01-01", last="2002-12-31"):
    """A data set of the schema with dims (site, time), canonical units and leap days."""
    days = pd.date_range(first, last, freq="D")
    season = np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 200) / 365)
    shape = (len(sites), len(days))
    values = {
        "shortwave_radiation": 13.0 + 7.0 * season,
        "air_temperature_mean": 10.0 + 12.0 * season,
        "air_temperature_max": 15.0 + 13.0 * season,
        "air_temperature_min": 5.0 + 11.0 * season,
        "vapour_pressure_deficit": 0.6 + 0.4 * season,
        "precipitation": np.where(np.arange(len(days)) % 5 == 0, 12.5, 0.0),
        "wind_speed": 3.0 + 0.5 * season,
    }
    dataset = xr.Dataset(
        {
            name: (
                ("site", "time"),
                np.broadcast_to(row, shape).copy(),
                {"units": FORCING[name].units},
            )
            for name, row in values.items()
        },
        coords={"site": list(sites), "time": days.as_unit("ns")},
    )
    nee = np.broadcast_to(-2.0 * season, shape).copy()
    dataset["NEE"] = (("site", "time"), nee, {"units": "g C m-2 d-1"})
    dataset["latitude"] = ("site", np.linspace(50.0, 40.0, len(sites)), {"units": "degree_north"})
    dataset["group"] = ("site", [f"state {row % 2}" for row in range(len(sites))])
    return dataset


def daycent_days(years=(2003, 2004), run="ag1"):
    """Daily output as DayCent's files hold it, with a column that is not read."""
    days = pd.date_range(f"{years[0]}-01-01", f"{years[-1]}-12-31", freq="D")
    season = np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 200) / 365)
    return pd.DataFrame(
        {
            "run": run,
            "time": days.year + (days.month / 12).astype(float).round(2),
            "dayofyr": days.day_of_year,
            "tmax": 15.0 + 13.0 * season,
            "tmin": 5.0 + 11.0 * season,
            "ppt": np.where(days.day_of_year % 5 == 0, 1.25, 0.0),
            "N2Oflux": 20.0 + 10.0 * season,
            "CO2resp": 12000.0 + 8000.0 * season,
            "som3c": 5000.0,
            "year": days.year,
        }
    )


def station(name: str, state: str, warmer: float = 0.0) -> dict:
    """One station in CLIGEN's units: inches, degF, langleys."""
    season = -np.cos(2 * np.pi * (np.arange(12) + 0.5) / 12)
    monthly = {
        "mean_p_in": 0.3 + 0.1 * season,
        "sd_p_in": 0.4 + 0.1 * season,
        "skew_p": np.full(12, 2.5),
        "p_ww": 0.40 + 0.05 * season,
        "p_wd": 0.22 + 0.05 * season,
        "tmax_F": 60.0 + 27.0 * season + warmer,
        "tmin_F": 40.0 + 25.0 * season + warmer,
        "sd_tmax_F": 10.0 - 3.0 * season,
        "sd_tmin_F": 10.0 - 3.0 * season,
        "solrad_ly": 330.0 + 200.0 * season,
        "sd_solrad_ly": np.full(12, 30.0),
    }
    columns = {
        f"{name}_{month + 1:02d}": values[month]
        for name, values in monthly.items()
        for month in range(12)
    }
    return {
        "station": name,
        "state": state,
        "lat": 41.5,
        "lon": -93.0,
        "elev_ft": 1000.0,
    } | columns
