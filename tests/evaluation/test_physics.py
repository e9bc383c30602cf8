import numpy as np
import pytest

from kgml_jax.evaluation import physics
from kgml_jax.sites import TEST


def test_fluxes_that_close_leave_no_residual(sites, roles, predictions):
    result = physics.balance(predictions, sites, roles == TEST)
    np.testing.assert_allclose(result["balance_residual"], 0.0, atol=1e-14)
    assert result["balance_residual"].dims == ("strategy", "site")
    assert result["balance_residual"].attrs["units"] == "g C m-2 d-1"


def test_nee_shifted_by_two_leaves_a_residual_of_two(sites, roles, predictions):
    shifted = {**predictions["calibrated"], "NEE": predictions["calibrated"]["NEE"] - 2.0}
    result = physics.balance({"shifted": shifted}, sites, roles == TEST)
    np.testing.assert_allclose(result["balance_residual"], 2.0, rtol=1e-13)


def test_a_day_is_counted_once_when_two_fluxes_are_negative(sites, roles, predictions):
    test = roles == TEST
    fluxes = {name: np.abs(flux) for name, flux in predictions["calibrated"].items()}
    days = np.flatnonzero(test[0])
    fluxes["Ra"][0, days[:10]] = -1.0
    fluxes["Rh"][0, days[5:20]] = -1.0
    fluxes["Ra"][0, ~test[0]] = -1.0
    share = physics.balance({"arm": fluxes}, sites, test)["negative_share"].sel(strategy="arm")
    assert share.values.tolist() == pytest.approx([20 / len(days), 0.0, 0.0, 0.0])


def test_absent_fluxes_and_unselected_sites_have_no_physics(sites, roles, predictions):
    test = np.array(roles == TEST)
    test[1] = False
    nee_only = {"nee_only": {"NEE": predictions["calibrated"]["NEE"]}}
    result = physics.balance({**predictions, **nee_only}, sites, test)
    assert np.isnan(result.sel(strategy="nee_only").to_array()).all()
    assert np.isnan(result.sel(site="US-01").to_array()).all()
    assert np.isfinite(result.sel(site="US-00", strategy="calibrated").to_array()).all()


def test_a_failed_prediction_does_not_pass_for_clean_physics(sites, roles, predictions):
    failed = {name: np.array(flux) for name, flux in predictions["calibrated"].items()}
    failed["Ra"][0, -1] = np.inf
    failed["NEE"][0, -1] = np.inf
    result = physics.balance({"failed": failed}, sites, roles == TEST).sel(strategy="failed")
    assert np.isnan(result["balance_residual"][0])
    assert np.isnan(result["negative_share"][0])
    assert np.isfinite(result["balance_residual"][1])


def test_drift_is_the_change_from_pretraining(sites, roles, predictions):
    moved = {**predictions["pretrained"], "NEE": 2 * predictions["pretrained"]["NEE"] + 1.0}
    arms = {"pretrained": predictions["pretrained"], "moved": moved}
    result = physics.drift(arms, "pretrained", sites, roles == TEST).sel(strategy="moved")
    before = np.where(roles == TEST, predictions["pretrained"]["NEE"], np.nan)
    np.testing.assert_allclose(
        result["balance_residual_change"], np.nanmean(np.abs(before + 1.0), axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(result["negative_share_change"], 0.0)
    np.testing.assert_allclose(result["correlation"], 1.0, rtol=1e-12)
    assert result["correlation"].sizes["variable"] == 5


def test_drift_of_an_inverted_season_shows_in_the_correlation(sites, roles, predictions):
    inverted = {"NEE": -predictions["pretrained"]["NEE"]}
    arms = {"pretrained": predictions["pretrained"], "inverted": inverted}
    correlation = physics.drift(arms, "pretrained", sites, roles == TEST)["correlation"]
    np.testing.assert_allclose(correlation.sel(variable="NEE"), -1.0, rtol=1e-12)
    assert np.isnan(correlation.sel(variable="GPP")).all()


def test_drift_needs_the_pretrained_strategy(sites, roles, predictions):
    with pytest.raises(ValueError, match="no strategy 'start'"):
        physics.drift(predictions, "start", sites, roles == TEST)
