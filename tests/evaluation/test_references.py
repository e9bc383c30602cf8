import dataclasses
import sys

import numpy as np
import pytest

from kgml_jax.data.schema import REQUIRED_FORCING
from kgml_jax.evaluation import references
from kgml_jax.evaluation.metrics import r2
from kgml_jax.sites import TEST, TRAIN

REFERENCES = {
    "climatology": references.day_of_year_climatology,
    "pooled": lambda sites, days: references.boosting_pooled(sites, days, iterations=20),
    "per_site": lambda sites, days: references.boosting_per_site(sites, days, iterations=20),
}


@pytest.fixture(params=REFERENCES)
def reference(request):
    return REFERENCES[request.param]


def with_targets(sites, targets):
    return dataclasses.replace(sites, site=sites.site.replace(targets=targets))


def test_observations_outside_training_change_nothing(reference, sites, roles):
    training = roles == TRAIN
    spoilt = {name: np.where(training, target, 1e6) for name, target in sites.site.targets.items()}
    honest, other = reference(sites, training), reference(with_targets(sites, spoilt), training)
    for name in sites.site.targets:
        np.testing.assert_array_equal(honest[name], other[name])


def test_masked_training_days_change_nothing(reference, sites, roles):
    mask, targets = sites.site.mask, sites.site.targets
    spoilt = {name: np.where(mask[name], target, np.nan) for name, target in targets.items()}
    honest = reference(sites, roles == TRAIN)
    other = reference(with_targets(sites, spoilt), roles == TRAIN)
    np.testing.assert_array_equal(honest["NEE"], other["NEE"])


def test_a_seasonal_flux_is_predicted_in_another_year(reference, sites, roles):
    predicted = reference(sites, roles == TRAIN)
    days = sites.site.mask["GPP"] & (roles == TEST)
    assert predicted["GPP"].shape == roles.shape
    assert r2(sites.site.targets["GPP"], predicted["GPP"], days) > 0.8


def test_a_site_without_training_days_is_predicted_only_by_the_pooled_trees(sites, roles):
    training = np.array(roles == TRAIN)
    training[2] = False
    for name in ("climatology", "per_site"):
        assert np.isnan(REFERENCES[name](sites, training)["NEE"][2]).all()
    assert np.isfinite(REFERENCES["pooled"](sites, training)["NEE"]).all()


def test_climatology_by_hand_on_both_sides_of_new_year(sites):
    day_of_year = np.asarray(sites.site.calendar.day_of_year)
    training = (day_of_year == 1) | (day_of_year == 366)  # 2004 is a leap year
    ones = {name: np.ones_like(days) for name, days in sites.site.mask.items()}
    targets = {"NEE": np.where(day_of_year == 366, 10.0, 1.0)}
    site = sites.site.replace(targets=targets, mask=ones)
    predicted = references.day_of_year_climatology(
        dataclasses.replace(sites, site=site), training, half_window=1
    )["NEE"][0]
    # Three 1 January of 1 and one 31 December of 10; elsewhere the mean of all four days.
    expected = 13.0 / 4
    np.testing.assert_allclose(predicted[[0, 1, 364, 365]], [expected, 1.0, 10.0, expected])
    assert predicted[180] == pytest.approx(expected)


def test_features_of_a_day_do_not_see_later_days(sites):
    features = references.daily_features(sites)
    later = np.asarray(sites.site.forcing.precipitation) + 0.0
    later[:, 500:] = 99.0
    forcing = sites.site.forcing.replace(precipitation=later)
    changed = references.daily_features(
        dataclasses.replace(sites, site=sites.site.replace(forcing=forcing))
    )
    np.testing.assert_array_equal(features[:, :500], changed[:, :500])
    assert (features[:, 500] != changed[:, 500]).any()


def test_running_means_by_hand(sites):
    rain = np.zeros(sites.site.valid.shape)
    rain[0, :8] = np.arange(1.0, 9.0)
    site = sites.site.replace(forcing=sites.site.forcing.replace(precipitation=rain))
    features = references.daily_features(dataclasses.replace(sites, site=site))[0]
    column = len(REQUIRED_FORCING) + 3 * REQUIRED_FORCING.index("precipitation")
    # A week is 1, then 1.5, up to the mean of 1..7; from the eighth day on it slides.
    np.testing.assert_allclose(features[[0, 1, 6, 7], column], [1.0, 1.5, 4.0, 5.0])


def test_trees_are_the_same_with_the_same_seed(sites, roles):
    first = REFERENCES["pooled"](sites, roles == TRAIN)
    again = REFERENCES["pooled"](sites, roles == TRAIN)
    np.testing.assert_array_equal(first["NEE"], again["NEE"])


def test_absent_scikit_learn_names_the_extra(sites, roles, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[bench\]"):
        references.boosting_pooled(sites, roles == TRAIN)
