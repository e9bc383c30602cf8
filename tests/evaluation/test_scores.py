import dataclasses

import numpy as np
import pytest
import xarray as xr

from kgml_jax.evaluation import scores
from kgml_jax.evaluation.metrics import METRICS
from kgml_jax.sites import TEST


def test_every_cell_is_the_metric_of_its_own_days(sites, roles, predictions):
    result = scores.score(predictions, sites, roles == TEST)
    assert result["rmse"].dims == ("strategy", "site", "variable")
    # Asked for by its name, so that no file holds the same numbers twice.
    assert "nse" not in result
    result = scores.score(predictions, sites, roles == TEST, tuple(METRICS))
    for name, metric in METRICS.items():
        cell = result[name].sel(strategy="calibrated", site="US-02", variable="NEE")
        expected = metric.function(
            sites.site.targets["NEE"][2],
            predictions["calibrated"]["NEE"][2],
            sites.site.mask["NEE"][2] & (roles[2] == TEST),
        )
        assert cell.item() == expected


def test_scores_say_units_direction_and_group(sites, roles, predictions):
    result = scores.score(predictions, sites, roles == TEST, ["rmse", "bias"])
    assert result["rmse"].attrs["units"] == "g C m-2 d-1"
    assert result["rmse"].attrs["better"] == "lower"
    assert result["bias"].attrs["better"] == "zero"
    assert result["group"].sel(site="US-00").item() == "Illinois"
    assert set(result.data_vars) == {"rmse", "bias", "n_observed", "n_not_finite"}


def test_variables_of_different_units_keep_their_own(sites, roles, predictions):
    site = sites.site.replace(
        targets={**sites.site.targets, "ET": np.ones_like(sites.site.targets["NEE"])},
        mask={**sites.site.mask, "ET": sites.site.mask["NEE"]},
    )
    both = dataclasses.replace(sites, site=site)
    arm = {**predictions["calibrated"], "ET": np.full(roles.shape, 2.0)}
    result = scores.score({"calibrated": arm}, both, roles == TEST)
    assert result["mse"].attrs["units"] == "(variable_units)^2"
    assert result["variable_units"].sel(variable="ET").item() == "mm d-1"


def test_padding_days_are_never_scored(sites, roles, predictions):
    valid = np.array(sites.site.valid)
    valid[:, -100:] = False
    padded = dataclasses.replace(sites, site=sites.site.replace(valid=valid))
    shorter = (roles == TEST) & valid
    xr.testing.assert_identical(
        scores.score(predictions, padded, roles == TEST), scores.score(predictions, sites, shorter)
    )


def test_a_variable_nobody_observes_is_not_scored(sites, roles, predictions):
    result = scores.score(predictions, sites, roles == TEST)
    assert list(result["variable"].values) == ["GPP", "Reco", "NEE"]


def test_a_strategy_without_a_variable_has_no_score_for_it(sites, roles, predictions):
    arms = {**predictions, "gpp_only": {"GPP": predictions["calibrated"]["GPP"]}}
    result = scores.score(arms, sites, roles == TEST).sel(strategy="gpp_only")
    assert np.isnan(result["mse"].sel(variable="NEE")).all()
    assert np.isfinite(result["mse"].sel(variable="GPP")).all()


def test_groups_pool_the_days_of_their_sites(sites, roles, predictions):
    result = scores.by_group(predictions, sites, roles == TEST)
    rows = [1, 2]
    expected = METRICS["mse"].function(
        sites.site.targets["GPP"][rows],
        predictions["pretrained"]["GPP"][rows],
        sites.site.mask["GPP"][rows] & (roles[rows] == TEST),
    )
    cell = result["mse"].sel(strategy="pretrained", group="Iowa", variable="GPP")
    assert cell.item() == pytest.approx(expected, rel=1e-12)


def test_one_hopeless_site_moves_no_median_but_is_counted_when_it_fails(sites, roles, predictions):
    hopeless = {name: np.array(flux) for name, flux in predictions["calibrated"].items()}
    hopeless["NEE"][3] = 1e6
    failed = {**hopeless, "NEE": np.array(hopeless["NEE"])}
    failed["NEE"][3] = np.nan
    result = scores.score({"hopeless": hopeless, "failed": failed}, sites, roles == TEST)
    medians = scores.summary(result).sel(variable="NEE")
    assert medians["r2"].sel(strategy="hopeless") > 0.8
    assert result["r2"].sel(strategy="hopeless", variable="NEE").mean() < -1e6
    assert medians["n_failed"].values.tolist() == [0.0, 1.0]
    assert medians["n_sites"].values.tolist() == [4.0, 4.0]
    assert medians["rmse"].attrs["cell_methods"] == "site: median"


def test_summary_of_a_variable_without_observation_is_not_a_number(sites, roles, predictions):
    mask = {**sites.site.mask, "NEE": np.zeros(roles.shape, dtype=bool)}
    blind = dataclasses.replace(sites, site=sites.site.replace(mask=mask))
    medians = scores.summary(scores.score(predictions, blind, roles == TEST), quantile=0.9)
    assert np.isnan(medians["mse"].sel(variable="NEE")).all()
    assert (medians["n_sites"].sel(variable="NEE") == 0).all()
    assert medians["mse"].attrs["cell_methods"] == "site: quantile 0.9"


def test_standardised_error_averages_the_observed_variables_in_units_of_their_spread(
    sites, roles, predictions
):
    mask = {name: np.array(days) for name, days in sites.site.mask.items()}
    mask["Reco"][1] = False
    partly = dataclasses.replace(sites, site=sites.site.replace(mask=mask))
    result = scores.score(predictions, partly, roles == TEST)
    errors = scores.standardised_mse(result, {"GPP": 4.0, "Reco": 2.0, "NEE": 3.0})
    at = result["mse"].sel(strategy="pretrained")
    all_three = at.sel(site="US-00", variable=["GPP", "Reco", "NEE"]).values / [16, 4, 9]
    without_reco = at.sel(site="US-01", variable=["GPP", "NEE"]).values / [16, 9]
    assert errors.dims == ("strategy", "site")
    assert errors.sel(strategy="pretrained", site="US-00").item() == pytest.approx(all_three.mean())
    assert errors.sel(strategy="pretrained", site="US-01").item() == pytest.approx(
        without_reco.mean()
    )


def test_standardised_error_hides_no_failed_variable(sites, roles, predictions):
    broken = {name: np.array(flux) for name, flux in predictions["calibrated"].items()}
    broken["GPP"][0] = np.nan
    result = scores.score({**predictions, "broken": broken}, sites, roles == TEST)
    errors = scores.standardised_mse(result, {"GPP": 4.0, "Reco": 2.0, "NEE": 3.0})
    assert np.isnan(errors.sel(strategy="broken", site="US-00"))
    assert np.isfinite(errors.sel(strategy="broken", site="US-01"))


def test_the_pooled_error_is_that_of_all_days_together(sites, roles, predictions):
    mask = {name: np.array(days) for name, days in sites.site.mask.items()}
    mask["Reco"][1] = False
    partly = dataclasses.replace(sites, site=sites.site.replace(mask=mask))
    result = scores.score(predictions, partly, roles == TEST)
    scale = {"GPP": 4.0, "Reco": 2.0, "NEE": 3.0}
    pooled = scores.pooled_mse(result, scale).sel(strategy="pretrained").item()
    errors = []
    for name, sd in scale.items():
        days = mask[name] & (roles == TEST)
        off = predictions["pretrained"][name][days] - np.asarray(sites.site.targets[name])[days]
        errors.append(np.mean(off**2) / sd**2)
    assert pooled == pytest.approx(np.mean(errors), rel=1e-12)
    broken = {name: np.array(flux) for name, flux in predictions["calibrated"].items()}
    broken["GPP"][0] = np.nan
    result = scores.score({**predictions, "broken": broken}, partly, roles == TEST)
    pooled = scores.pooled_mse(result, scale)
    assert np.isnan(pooled.sel(strategy="broken"))
    assert np.isfinite(pooled.sel(strategy="calibrated"))


def test_standardised_error_needs_every_scale(sites, roles, predictions):
    result = scores.score(predictions, sites, roles == TEST)
    with pytest.raises(ValueError, match="positive scale for Reco, NEE"):
        scores.standardised_mse(result, {"GPP": 4.0, "NEE": 0.0})


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
def test_scores_survive_a_file(sites, roles, predictions, tmp_path, engine):
    nameless = dataclasses.replace(sites, groups=("", "", "Iowa", "Iowa"), group_names=("", "Iowa"))
    written = scores.score(predictions, nameless, roles == TEST)
    written["standardised_mse"] = scores.standardised_mse(
        written, {"GPP": 4.0, "Reco": 2.0, "NEE": 3.0}
    )
    written.to_netcdf(tmp_path / "scores.nc", engine=engine)
    read = xr.load_dataset(tmp_path / "scores.nc", engine=engine)
    for name, values in written.data_vars.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].attrs == values.attrs
    for name in written.coords:
        assert read[name].values.astype(str).tolist() == written[name].values.tolist()


def test_wrong_inputs_are_named(sites, roles, predictions):
    days = roles == TEST
    with pytest.raises(ValueError, match="no metric rsme; there are mse, rmse"):
        scores.score(predictions, sites, days, ["rsme"])
    with pytest.raises(ValueError, match="selection has shape"):
        scores.score(predictions, sites, days[:, :-1])
    with pytest.raises(ValueError, match="short: NEE has shape"):
        scores.score({"short": {"NEE": np.zeros((4, 7))}}, sites, days)
    with pytest.raises(ValueError, match="no predicted variable is observed"):
        scores.score({"arm": {"ET": np.zeros(days.shape)}}, sites, days)
