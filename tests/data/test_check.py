import numpy as np
import pytest

from kgml_jax.data.check import blocks, check
from kgml_jax.data.quality import finish
from kgml_jax.data.read import collect
from kgml_jax.data.schema import Reading, ReadOptions
from kgml_jax.errors import DataError

TEMPERATURES = ("air_temperature_mean", "air_temperature_max", "air_temperature_min")


@pytest.fixture
def checked(per_site):
    def run(change, sites=("north",)):
        one = per_site(sites)[0]
        change(one)
        dataset, notes = finish(one, ReadOptions())
        return check(Reading((dataset,), tuple(notes)))[0]

    return run


def test_coverage_is_the_share_of_days_on_which_a_target_counts(checked):
    def lose_half(one):
        one["NEE"][:365] = np.nan

    assert dict(checked(lose_half).coverage) == {"NEE": 0.5}


def test_uptake_in_the_growing_season_raises_no_warning(checked):
    finding = checked(lambda one: None)
    assert finding.season_nee is not None
    assert finding.season_nee < 0
    assert not finding.warnings


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_net_source_warns_and_does_not_block(checked, sign):
    def emit(one):
        one["NEE"] = one["NEE"] * sign + 3.0

    finding = checked(emit)
    assert any("net source" in warning for warning in finding.warnings)
    assert not finding.blocks


def test_the_growing_season_of_the_southern_hemisphere_is_found_by_its_gpp(checked):
    def move_south(one):
        for name in ("shortwave_radiation", "NEE", *TEMPERATURES):
            one[name].values = np.roll(one[name].values, 182)
        one["latitude"] = one["latitude"] * 0 - 35.0
        one["GPP"] = np.maximum(-one["NEE"], 0.0)

    finding = checked(move_south)
    assert finding.season_nee is not None
    assert finding.season_nee < 0


def test_negative_gpp_warns(checked):
    def scatter(one):
        one["GPP"] = abs(one["NEE"])
        one["GPP"][::20] = -2.0

    assert any("GPP is below -1" in warning for warning in checked(scatter).warnings)


def test_a_carbon_balance_that_does_not_close_warns(checked):
    def add(one):
        one["GPP"] = abs(one["NEE"]) + 2.0
        one["Reco"] = one["GPP"] + one["NEE"] + 1.5

    finding = checked(add)
    assert finding.closure == pytest.approx(1.5)
    assert any("differ by 1.50" in warning for warning in finding.warnings)


def test_a_site_without_observations_warns(checked):
    finding = checked(lambda one: one["NEE"].values.fill(np.nan))
    assert any("nothing is observed" in warning for warning in finding.warnings)


def test_a_sensor_that_never_moves_warns(checked):
    finding = checked(lambda one: one["wind_speed"].values.fill(2.5))
    assert "wind_speed is 2.5 on every day" in finding.warnings


def test_what_cannot_be_read_blocks_and_the_rest_is_checked(tower, write_tower, tmp_path):
    write_tower(tower(), site="US-Aa1")
    write_tower(tower().drop(columns="P_F"), site="US-Bb1")
    findings = check(collect(tmp_path))
    assert [bool(finding.blocks) for finding in findings] == [False, True]
    assert findings[1].site == "US-Bb1"
    assert "P_F" in findings[1].blocks[0]
    assert blocks(findings)
    assert not blocks(findings[:1])


def test_an_error_without_a_site_still_blocks():
    findings = check(Reading((), (), (DataError("is damaged", file="a.nc"),)))
    assert findings[0].source == "a.nc"
    assert blocks(findings)
