import numpy as np
import pytest
import xarray as xr

from kgml_jax.evaluation import statistics
from kgml_jax.evaluation.statistics import compare, holm, mean_of_groups

RNG = np.random.default_rng(3)


def metric_values(better="lower", **arms):
    n_sites = len(next(iter(arms.values())))
    return xr.DataArray(
        np.stack([np.asarray(values, dtype=float) for values in arms.values()]),
        {
            "strategy": list(arms),
            "site": [f"s{row}" for row in range(n_sites)],
            "group": ("site", ["a" if row % 2 else "b" for row in range(n_sites)]),
        },
        ("strategy", "site"),
        "rmse",
        {"units": "1", "better": better},
    )


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, made monotone.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])


def test_holm_keeps_to_one_and_counts_only_the_tests_made():
    np.testing.assert_allclose(holm([0.6, np.nan, 0.7]), [1.0, np.nan, 1.0])
    np.testing.assert_allclose(holm([0.01, np.nan]), [0.01, np.nan])


def test_wins_ties_and_losses_by_hand():
    values = metric_values(old=[1.0, 1.0, 1.0, 1.0, 1.0], new=[0.5, 0.9, 1.04, 1.3, 0.98])
    (result,) = compare(values, "old", tolerance=0.05)
    assert (result.wins, result.ties, result.losses) == (2, 2, 1)
    assert result.worse_share == pytest.approx(0.2)
    assert result.median_improvement == pytest.approx(0.02)
    assert (result.candidate, result.reference, result.metric) == ("new", "old", "rmse")


def test_five_gains_without_loss_have_the_exact_p_value():
    values = metric_values(old=[1, 2, 3, 4, 5], new=[0.9, 1.8, 2.7, 3.6, 4.5])
    (result,) = compare(values, "old")
    assert result.p_value == pytest.approx(2 / 2**5)
    assert result.effect_size == 1.0


def test_effect_size_by_hand():
    # Ranks of |d| are 1, 2, 3, 4; favour 1 + 3 + 4 = 8, against 2: (8 - 2) / 10.
    assert statistics.rank_biserial(np.array([0.1, -0.2, 0.3, 0.4])) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("better", "old", "new"),
    [("higher", 0.5, 0.7), ("lower", 0.7, 0.5), ("zero", -0.7, 0.5), ("zero", 0.7, -0.5)],
)
def test_an_improvement_is_positive_whatever_the_direction(better, old, new):
    assert statistics.improvement([new], [old], better)[0] == pytest.approx(0.2)


def test_unchanged_strategies_do_not_differ():
    values = metric_values(old=[1, 2, 3, 4], new=[1, 2, 3, 4])
    (result,) = compare(values, "old")
    assert (result.p_value, result.effect_size, result.ties) == (1.0, 0.0, 4)
    assert result.interval == (0.0, 0.0)


def test_a_site_where_the_candidate_fails_is_worse():
    values = metric_values(old=[1, 1, 1, np.nan], new=[0.5, 0.5, np.nan, 0.5])
    (result,) = compare(values, "old")
    assert (result.n_sites, result.failed) == (2, 1)
    assert result.worse_share == pytest.approx(1 / 3)


def test_no_common_site_gives_no_number():
    values = metric_values(old=[np.nan, 1], new=[1, np.nan])
    (result,) = compare(values, "old")
    assert np.isnan([result.median_improvement, result.p_value, *result.interval]).all()


def test_comparisons_made_together_are_corrected_together():
    old = RNG.normal(size=30)
    values = metric_values(old=old, a=old - RNG.normal(0.3, 1, 30), b=old - RNG.normal(0.5, 1, 30))
    results = compare(values, "old")
    expected = holm([result.p_value for result in results])
    np.testing.assert_allclose([result.p_value_holm for result in results], expected)
    assert max(expected) > min(result.p_value for result in results)


def test_interval_is_wider_when_sites_of_a_group_move_together():
    groups = np.repeat(np.arange(8), 10)
    shared = RNG.normal(size=8)[groups] + 0.05 * RNG.normal(size=80)
    (_, clustered), (_, independent) = (
        mean_of_groups(shared, by) for by in (groups, np.arange(80))
    )
    assert np.ptp(clustered) > 1.5 * np.ptp(independent)


def test_interval_of_three_groups_by_hand():
    # Means 1, 2 and 3; their deviation is 1, t of 2 degrees of freedom 4.303.
    mean, (low, high) = mean_of_groups(np.array([0.5, 1.5, 2.0, 3.0]), np.array([0, 0, 1, 2]))
    assert mean == pytest.approx(2.0)
    assert (low, high) == pytest.approx((2.0 - 4.303 / 3**0.5, 2.0 + 4.303 / 3**0.5), abs=1e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_intervals_hold_the_truth_as_often_as_they_say(count):
    groups = np.repeat(np.arange(count), 6)
    held = 0
    for _ in range(600):
        gains = 0.3 + RNG.normal(size=count)[groups] + RNG.normal(size=6 * count)
        _, (low, high) = mean_of_groups(gains, groups)
        held += low <= 0.3 <= high
    # Four standard errors of a share of 0.95 among 600.
    assert held / 600 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 600) ** 0.5)


def test_sites_of_one_group_are_the_draws_themselves():
    gains = RNG.normal(size=20)
    mean, (low, high) = mean_of_groups(gains, np.zeros(20))
    assert mean == pytest.approx(gains.mean())
    assert low < mean < high


def test_unknown_strategies_are_named():
    with pytest.raises(ValueError, match="no strategy best; there are old, new"):
        compare(metric_values(old=[1, 2], new=[1, 2]), "old", ["best"])
