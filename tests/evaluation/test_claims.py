import numpy as np
import pytest
import xarray as xr
from studies.ftbsc import claims as claims_claims

from kgml_jax.evaluation import claims

NOISE = np.array([-0.01, 0.0, 0.01])
"""Three seeds that hardly differ."""
WIDE = np.array([-0.9, 0.0, 0.9])
"""Three seeds that differ too much to decide anything."""


def errors(levels, noise=NOISE):
    values = np.array([[level * np.exp(noise[seed]) for level in levels] for seed in range(3)])
    # Seeds of different states are unlike, or paired differences would have no spread at all.
    values *= 1 + 1e-3 * np.arange(3)[:, None] * np.arange(len(levels))
    return xr.DataArray(values, dims=("seed", "state"), coords={"state": ["IA", "IL", "IN"]})


def table(diagonal, elsewhere, noise=NOISE):
    train = ["IA", "IL", "IN", claims.POOLED]
    values = np.full((3, 4, 3), elsewhere, float)
    values[:, range(3), range(3)] = diagonal
    values[:, 3] *= np.exp(noise)[:, None]
    coordinates = {"train": train, "state": train[:3]}
    return xr.DataArray(values, dims=("seed", "train", "state"), coords=coordinates)


def test_the_interval_is_students():
    interval = claims.t_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    # t(0.975, 2 degrees of freedom) = 4.3027, over sqrt(3)
    assert interval.high - 2.0 == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


def test_one_seed_decides_nothing():
    interval = claims.t_interval([1.0])
    assert claims.Requirement("any", interval, above=0.0).verdict == claims.OPEN


def test_a_requirement_holds_fails_or_stays_open():
    inside = claims.Interval(0.5, 0.4, 0.6, 3)
    verdicts = [claims.Requirement("", inside, above=above).verdict for above in (0.3, 0.5, 0.7)]
    assert verdicts == [claims.HOLDS, claims.OPEN, claims.FAILS]


@pytest.mark.parametrize(
    ("calibrated", "independent", "pooled", "noise", "verdict"),
    [
        (1.0, 1.5, 2.0, NOISE, claims.REPRODUCED),
        (1.0, 2.0, 1.5, NOISE, claims.NOT_REPRODUCED),
        (1.0, 1.5, 2.0, WIDE, claims.UNDECIDED),
    ],
)
def test_t1_asks_for_the_order_in_every_state(calibrated, independent, pooled, noise, verdict):
    claim = claims_claims.orderings(
        errors([calibrated] * 3), errors([independent] * 3, noise), errors([pooled] * 3, -noise)
    )
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("calibrated", "noise", "verdict"),
    [
        ((0.9, 0.6, 0.5), NOISE, claims.REPRODUCED),
        ((0.4, 0.6, 0.5), NOISE, claims.NOT_REPRODUCED),
        ((0.9, 0.6, 0.5), WIDE, claims.UNDECIDED),
    ],
)
def test_t2_asks_for_the_least_gain_where_data_are_most(calibrated, noise, verdict):
    ours = errors(calibrated)
    ours[:, 0] *= np.exp(noise)
    claim = claims_claims.least_gain(ours, errors([1.0] * 3), {"IA": 41, "IL": 22, "IN": 27})
    assert claim.verdict == verdict


def test_t2_needs_one_state_with_most_data():
    with pytest.raises(ValueError, match="no single state"):
        claims_claims.least_gain(errors([1] * 3), errors([1] * 3), {"IA": 3, "IL": 3, "IN": 3})


@pytest.mark.parametrize(
    ("diagonal", "noise", "verdict"),
    [
        (0.5, NOISE, claims.REPRODUCED),
        (2.0, NOISE, claims.NOT_REPRODUCED),
        (0.5, 5 * WIDE, claims.UNDECIDED),
    ],
)
def test_t3_asks_for_the_diagonal_to_be_the_lowest(diagonal, noise, verdict):
    assert claims_claims.own_is_best(table(diagonal, 1.0, noise)).verdict == verdict


@pytest.mark.parametrize(
    ("factor", "independent", "noise", "verdict"),
    [
        (1.02, 2.0, NOISE, claims.REPRODUCED),
        (1.20, 2.0, NOISE, claims.NOT_REPRODUCED),
        (1.02, 0.8, NOISE, claims.NOT_REPRODUCED),
        (1.02, 2.0, WIDE, claims.UNDECIDED),
    ],
)
def test_t4_asks_for_little_change_below_independent(factor, independent, noise, verdict):
    variants = {"batch 16": factor * np.exp(noise)}
    claim = claims_claims.insensitive(np.ones(3), variants, np.full(3, independent))
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("residual", "error", "noise", "verdict"),
    [
        (0.02, 1.0, NOISE, claims.REPRODUCED),
        (0.50, 1.0, NOISE, claims.NOT_REPRODUCED),
        (0.02, 1.2, NOISE, claims.NOT_REPRODUCED),
        (0.02, 1.0, WIDE, claims.UNDECIDED),
    ],
)
def test_t5_asks_for_balance_at_no_cost(residual, error, noise, verdict):
    claim = claims_claims.knowledge_pays(
        residual * np.exp(NOISE), np.full(3, 1.0), error * np.exp(noise), np.ones(3)
    )
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("correlation", "verdict"),
    [
        ([0.95, 0.96, 0.97], claims.REPRODUCED),
        ([0.45, 0.46, 0.47], claims.NOT_REPRODUCED),
        ([0.50, 0.90, 1.00], claims.UNDECIDED),
    ],
)
def test_drift_is_judged_by_the_published_bounds(correlation, verdict):
    still = ([0.01] * 3, [0.02] * 3), ([0.1] * 3, [0.1] * 3)
    claim = claims_claims.stays_physical(*still, {("weather", 0.8): correlation})
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("residual", "negative"), [([0.3, 0.31, 0.32], [0.1] * 3), ([0.02] * 3, [0.3, 0.31, 0.32])]
)
def test_drift_is_seen_in_the_balance_and_in_the_signs(residual, negative):
    claim = claims_claims.stays_physical(([0.01] * 3, residual), ([0.1] * 3, negative), {})
    assert claim.verdict == claims.NOT_REPRODUCED


def test_the_interval_of_resamples_is_that_of_their_means_over_seeds():
    samples = np.random.default_rng(0).normal(size=(4, 500))
    interval = claims.interval_of(samples)
    assert (interval.low, interval.high) == pytest.approx(
        np.quantile(samples.mean(axis=0), [0.025, 0.975])
    )


@pytest.mark.parametrize(
    ("over_sites", "verdict"),
    [((0.1, 0.3), claims.HOLDS), ((-0.1, 0.3), claims.OPEN), ((-0.3, -0.1), claims.OPEN)],
)
def test_a_requirement_holds_only_over_seeds_and_over_sites(over_sites, verdict):
    requirement = lambda low, high: claims.Requirement(
        "gain", claims.Interval(0.2, low, high, 3), above=0.0
    )
    claim = claims.Claim("T", "", (requirement(0.1, 0.3),))
    again = claims.Claim("T", "", (requirement(*over_sites),))
    assert claims.with_sites(claim, again).requirements[0].verdict == verdict


def test_a_quantity_without_sites_keeps_its_one_interval():
    one = claims.Requirement("gain", claims.Interval(0.2, 0.1, 0.3, 3), above=0.0)
    joined = claims.with_sites(claims.Claim("T", "", (one,)), claims.Claim("T", "", ()))
    assert joined.requirements == (one,)
