import numpy as np
import pytest

from kgml_jax.evaluation.metrics import METRICS, kge_2009, mse, nse, pearson_r2, r2, rmse

OBSERVED = np.array([1.0, 2.0, 3.0, 4.0])
PREDICTED = np.array([1.5, 2.5, 2.5, 5.5])
EVERY_DAY = np.ones(4, dtype=bool)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", 0.75),  # (0.25 + 0.25 + 0.25 + 2.25) / 4
        ("rmse", np.sqrt(0.75)),
        ("r2", 1 - 3.0 / 5.0),
        ("nse", 1 - 3.0 / 5.0),
        ("pearson_r2", 6.0**2 / (5.0 * 9.0)),
        ("bias", 0.5),
        ("n_observed", 4.0),
        ("n_not_finite", 0.0),
    ],
)
def test_four_days_by_hand(name, expected):
    value = METRICS[name].function(OBSERVED, PREDICTED, EVERY_DAY)
    assert value == pytest.approx(expected, rel=1e-14)


def test_efficiency_of_2009_takes_the_ratio_of_sd_and_not_of_coefficients_of_variation():
    correlation = 6 / np.sqrt(45)
    amplitude, level = np.sqrt(9 / 5), 3.0 / 2.5
    form_2009 = 1 - np.sqrt((correlation - 1) ** 2 + (amplitude - 1) ** 2 + (level - 1) ** 2)
    form_2012 = 1 - np.sqrt(
        (correlation - 1) ** 2 + (amplitude / level - 1) ** 2 + (level - 1) ** 2
    )
    assert kge_2009(OBSERVED, PREDICTED, EVERY_DAY) == pytest.approx(form_2009, rel=1e-13)
    assert abs(form_2009 - form_2012) > 0.05


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("hidden", [np.nan, np.inf, 1e9, -9999.0])
def test_what_lies_under_the_mask_has_no_effect(name, hidden):
    alone = METRICS[name].function(OBSERVED, PREDICTED, EVERY_DAY)
    observed = np.concatenate([OBSERVED, [hidden, 0.0, hidden]])
    predicted = np.concatenate([PREDICTED, [0.0, hidden, hidden]])
    mask = np.array([1, 1, 1, 1, 0, 0, 0])
    assert METRICS[name].function(observed, predicted, mask) == alone


def test_mean_squared_error_divides_by_the_observed_days_and_not_by_all():
    mask = np.array([True, True, False, False])
    assert mse(OBSERVED, PREDICTED, mask) == pytest.approx(0.25)


def test_root_mean_squared_error_is_not_the_mean_squared_error():
    assert rmse(OBSERVED, PREDICTED, EVERY_DAY) ** 2 == pytest.approx(0.75)
    assert METRICS["mse"].units("mm d-1") == "(mm d-1)^2"
    assert METRICS["rmse"].units("mm d-1") == "mm d-1"


def test_bias_lowers_r2_and_leaves_the_squared_correlation():
    shifted = OBSERVED + 3.0
    assert pearson_r2(OBSERVED, shifted, EVERY_DAY) == pytest.approx(1.0)
    assert r2(OBSERVED, shifted, EVERY_DAY) == pytest.approx(1 - 36 / 5)


def test_predicting_the_observed_mean_has_no_efficiency():
    assert nse(OBSERVED, np.full(4, 2.5), EVERY_DAY) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("name", ["mse", "rmse", "r2", "pearson_r2", "nse", "kge_2009", "bias"])
def test_one_day_or_a_failed_prediction_gives_no_number(name):
    function = METRICS[name].function
    assert np.isnan(function(OBSERVED, PREDICTED, np.array([True, False, False, False])))
    assert np.isnan(function(OBSERVED, np.array([1.0, np.inf, 2.0, 3.0]), EVERY_DAY))


def test_constant_observations_have_no_explained_variance():
    # 0.1 has no exact binary form, so the variance of its copies may round to more than zero.
    constant = np.full(7, 0.1)
    predicted = np.arange(7.0)
    for name in ("r2", "nse", "pearson_r2", "kge_2009"):
        assert np.isnan(METRICS[name].function(constant, predicted, np.ones(7)))


def test_single_precision_series_are_summed_in_double_precision():
    observed = np.full(100_000, 0.1, dtype=np.float32)
    predicted = observed + np.float32(1.0)
    expected = np.mean((predicted.astype(float) - observed.astype(float)) ** 2)
    assert mse(observed, predicted, np.ones(100_000)) == expected


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        mse(OBSERVED, PREDICTED[:3], EVERY_DAY)
