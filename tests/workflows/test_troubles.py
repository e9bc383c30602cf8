"""A site that is too short, absurd or not finite is named, and costs the others nothing."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import toys

from kgml_jax.evaluation.shares import error_shares
from kgml_jax.models.features import fit_scaling
from kgml_jax.sites import TRAIN
from kgml_jax.split import DividedSites
from kgml_jax.training.health import cause_in_prediction, first_days
from kgml_jax.workflows import calibration, evaluation
from kgml_jax.workflows.calibration import CalibrateSettings
from kgml_jax.workflows.estimated import BEFORE, Estimated
from kgml_jax.workflows.pretraining import PretrainSettings, pretrain

INPUTS = ("air_temperature_mean", "shortwave_radiation", "occupied", "soil_organic_carbon")
SETTINGS = CalibrateSettings(steps=4, validate_every=2)


@pytest.fixture(scope="module")
def data():
    return toys.divided(toys.sites(count=3, years=4))


def pretrained(data):
    how = PretrainSettings(steps=4, batch=4, validate_every=2, warmup_days=20)
    return pretrain(toys.ToyModel(), data, settings=how)


@pytest.fixture(scope="module")
def base(data):
    return pretrained(data)


def spoilt(data, row, value):
    """One observed training day of a site has a value that no site has."""
    site = data.sites.site
    day = np.flatnonzero(site.mask["NEE"][row] & (data.roles[row] == TRAIN))[40]
    values = np.array(site.targets["NEE"])
    values[row, day] = value
    date = np.datetime64(int(site.calendar.date[row, day]), "D")
    sites = replace(data.sites, site=site.replace(targets={**site.targets, "NEE": values}))
    return DividedSites(sites, data.split, data.roles), date


def shortened(data, row, days=20):
    """The record of a site ends after some days, all for training."""
    roles = data.roles.copy()
    roles[row] = 0
    roles[row, :days] = TRAIN
    valid = np.array(data.sites.site.valid)
    valid[row, days:] = False
    site = data.sites.site.replace(valid=valid)
    return DividedSites.of_roles(replace(data.sites, site=site), roles)


def test_pretraining_names_the_site_and_day_that_is_not_finite(data, base):
    bad, date = spoilt(data, 1, np.nan)
    found = pretrained(bad)
    text = found.training.troubles["IL-01"]
    assert text.startswith(f"observed NEE of {date} is nan (training days); left out from step ")
    assert found.training.sites == 2
    summary = evaluation.training_summary(found, bad)
    assert summary["sites_left_out"] == {"IL-01": text}
    assert not base.training.troubles
    assert not base.training.restarted_at


def test_calibration_names_the_site_and_day_that_is_not_finite(data, base):
    bad, date = spoilt(data, 1, np.inf)
    found = calibration.calibrate(base, bad, "bias", settings=SETTINGS)
    assert found.fits.healthy.tolist() == [True, False, True]
    assert list(found.fits.troubles) == ["IL-01"]
    text = found.fits.troubles["IL-01"]
    assert text.startswith(f"observed NEE of {date} is inf (training days); stopped after step ")
    assert text.endswith("is kept")


@pytest.mark.parametrize("strategy", ["bias", "site-only", "group-only"])
def test_a_site_of_a_few_days_is_set_aside_and_the_others_calibrated_as_without_it(
    data, base, strategy
):
    whole = calibration.calibrate(base, data.take([0, 2]), strategy, settings=SETTINGS)
    found = calibration.calibrate(base, shortened(data, 1), strategy, settings=SETTINGS)
    assert found.units == whole.units
    jax.tree.map(np.testing.assert_array_equal, found.phi, whole.phi)
    assert found.fits.troubles["IL-01"].startswith("a record of 20 days, none to validate on")
    others = [0, 2]
    np.testing.assert_array_equal(found.fits.validation_error[others], whole.fits.validation_error)
    assert np.isnan(found.fits.validation_error[1])
    assert not found.fits.accepted[1]
    assert found.fits.steps[1] == 0


def test_where_every_site_is_too_short_that_is_said(data, base):
    short = shortened(data.take([0]), 0)
    with pytest.raises(ValueError, match="no site has days both to train and to validate on"):
        calibration.calibrate(base, short, "bias", settings=SETTINGS)


def test_the_first_day_that_a_model_cannot_predict_is_named(data):
    site = jax.tree.map(lambda leaf: np.asarray(leaf)[1], data.sites.site)
    fluxes = {name: np.zeros(site.valid.shape) for name in ("NEE", "Reco")}
    assert cause_in_prediction(site, first_days(fluxes, site)) is None
    fluxes["NEE"][50:] = np.nan
    fluxes["Reco"][40] = np.inf
    date = np.datetime64(int(site.calendar.date[40]), "D")
    text = f"predicted Reco of {date} is not finite, what it is made from is"
    assert cause_in_prediction(site, first_days(fluxes, site)) == text


def test_the_site_that_drives_the_loss_is_named(data):
    scaling = fit_scaling(INPUTS, data)
    site = data.sites.site
    near = {name: np.asarray(values) + 0.1 for name, values in site.targets.items()}
    shares = error_shares(near, data, scaling)
    # All err alike: each has the part of the error that it has of the days, which differs by 2 %
    # between targets and their variances.
    expected = [share.of_days for share in shares]
    assert [share.of_error for share in shares] == pytest.approx(expected, rel=0.03)
    assert not any(share.drives for share in shares)
    bad, _ = spoilt(data, 2, 1e6)
    first = error_shares(near, bad, scaling)[0]
    assert first.site == "IA-02"
    assert first.drives
    assert first.of_error == pytest.approx(1.0, abs=1e-6)  # 1e6 among errors of 0.1, squared


@pytest.mark.parametrize("day", [50, None])
def test_an_estimate_names_the_site_whose_search_was_not_finite(data, day):
    names, valid = data.sites.names, np.asarray(data.sites.site.valid)
    fluxes = {"NEE": np.zeros(valid.shape), "GPP": np.zeros(valid.shape)}
    if day is not None:
        fluxes["GPP"][1, day:] = np.nan
    found = SimpleNamespace(healthy=np.array([True, False, True]), sites=names)
    estimated = SimpleNamespace(found=found, data=data, fluxes={BEFORE: fluxes})
    said = Estimated.troubles.func(estimated)
    assert list(said) == [names[1]]
    date = np.datetime64(int(data.sites.site.calendar.date[1, 50]), "D")
    cause = f"{date}" if day is not None else "the cost of the prior or its derivatives"
    assert cause in said[names[1]]
    assert ("GPP" in said[names[1]]) == (day is not None)
    assert said[names[1]].endswith("; it keeps the prior")
