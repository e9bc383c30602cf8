"""The towers as FLUXNET distributes them, against facts found without this package."""

import numpy as np
import pandas as pd
import pytest

from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.check import blocks, check
from kgml_jax.data.read import read
from kgml_jax.data.schema import FORCING, ReadOptions
from kgml_jax.split import ROLES

CROPS = ("DE-Kli", "DE-Seh", "IT-BCi", "US-ARM", "US-CRT")


@pytest.fixture(scope="module")
def readings():
    return {}


@pytest.fixture
def reading(data_folder, readings):
    if "NT" not in readings:
        readings["NT"] = read(data_folder / "fluxnet2015")
    return readings["NT"]


@pytest.fixture
def sites(reading):
    return assemble(reading)


def test_every_tower_is_read_with_its_whole_record(reading):
    days = {one.attrs["site"]: one.sizes["time"] for one in reading.sites}
    assert len(days) == 11
    assert days["US-CRT"] == 1096
    assert days["DE-Gri"] == 4018
    assert {one.attrs["site"]: one.attrs["group"] for one in reading.sites}["US-CRT"] == "CRO"


def test_forcing_has_no_gap_and_stays_within_physical_bounds(reading):
    for one in reading.sites:
        for name in [name for name in FORCING if name in one]:
            values = one[name].to_numpy()
            low, high = FORCING[name].bounds or (-np.inf, np.inf)
            assert np.isfinite(values).all(), (one.attrs["site"], name)
            assert low <= values.min(), (one.attrs["site"], name)
            assert values.max() <= high, (one.attrs["site"], name)


def test_the_carbon_balance_closes_at_crop_sites(reading):
    findings = {finding.site: finding for finding in check(reading)}
    for name in CROPS:
        # 0 to 0.2 over the whole record; days of good quality alone may be slightly above.
        assert findings[name].closure < 0.25


def test_partitioning_by_daytime_data_closes_less_well(data_folder):
    reading = read(data_folder / "fluxnet2015", options=ReadOptions(partition="DT"))
    closure = {finding.site: finding.closure for finding in check(reading)}
    assert all(0.6 < closure[name] < 2.8 for name in CROPS)


def test_every_tower_takes_up_carbon_in_its_season_and_none_blocks(reading):
    findings = check(reading)
    assert all(finding.season_nee < 0 for finding in findings)
    assert not blocks(findings)


@pytest.mark.parametrize("name", ["US-CRT", "IT-BCi", "AU-Rig"])
def test_values_are_those_of_an_independent_copy(data_folder, reading, name):
    copy = pd.read_csv(data_folder / "flux_daily" / f"{name}_daily.csv.gz")
    one = next(one for one in reading.sites if one.attrs["site"] == name)
    counted = copy["nee_qc"].to_numpy() >= 0.75
    pairs = {
        "NEE": np.where(counted, copy["nee_gC_m2_d"], np.nan),
        "GPP": np.where(counted, copy["gpp_nt_gC_m2_d"], np.nan),
        "ET": np.where(copy["le_qc"] >= 0.75, copy["et_mm_d"], np.nan),
        "shortwave_radiation": copy["sw_in_W_m2"] * 0.0864,
        "vapour_pressure_deficit": copy["vpd_hPa"] * 0.1,
        "precipitation": copy["precip_mm"],
    }
    for variable, expected in pairs.items():
        # The copy is rounded to four decimals.
        np.testing.assert_allclose(one[variable], expected, atol=6e-5)


def test_arrays_of_all_towers_share_one_rectangle(sites):
    assert len(sites) == 11
    assert sites.site.valid.shape == (11, 4018)
    assert set(sites.group_names) == {"CRO", "GRA"}
    for leaf in (*sites.site.targets.values(), sites.site.forcing.air_temperature_min):
        assert np.isfinite(leaf).all()


def test_every_tower_has_days_to_train_on_to_validate_and_to_test(sites):
    split = splits.last_years(sites)
    split.assert_covers(sites)
    roles = split.roles(sites)
    observed = sites.site.mask["NEE"]
    for role in ROLES.values():
        assert np.all(((roles == role) & observed).any(axis=1))
