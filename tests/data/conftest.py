import numpy as np
import pandas as pd
import pytest
import xarray as xr

from kgml_jax.data.schema import FORCING


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


@pytest.fixture
def tower():
    return tower_table


@pytest.fixture
def write_tower(tmp_path):
    """Writes a tower's table under a name as FLUXNET distributes it; -9999 where missing."""

    def write(table, site="US-Aa1", years=None, version="1-4", folder=tmp_path):
        years = years or f"{table['TIMESTAMP'].iloc[0][:4]}-{table['TIMESTAMP'].iloc[-1][:4]}"
        path = folder / f"FLX_{site}_FLUXNET2015_SUBSET_DD_{years}_{version}.csv"
        table.to_csv(path, index=False, na_rep="-9999")
        return path

    return write


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


@pytest.fixture
def schema():
    return schema_dataset


@pytest.fixture
def per_site():
    """Per-site canonical data sets, as a reader returns them."""

    def make(sites=("north", "south"), **days):
        dataset = schema_dataset(sites, **days)
        parts = []
        for name in sites:
            one = dataset.sel(site=name).drop_vars(["site", "group"])
            group = str(dataset["group"].sel(site=name).item())
            parts.append(one.assign_attrs(site=name, group=group, source="memory"))
        return parts

    return make
