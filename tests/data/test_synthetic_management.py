import numpy as np
import pytest

from kgml_jax.data.schema import FORCING
from kgml_jax.data.synthetic import management
from kgml_jax.data.synthetic.states import STATES
from kgml_jax.data.synthetic.streams import generator

YEARS = 18
DATES = np.arange("2001-01-01", f"{2001 + YEARS}-01-01", dtype="datetime64[D]")
YEAR = DATES.astype("datetime64[Y]").astype(int) - 31


def plans(count: int = 200) -> list[dict]:
    return [
        management.plan(generator(0, f"IA-{row}", "management"), "IA", DATES)
        for row in range(count)
    ]


def test_crops_are_planted_and_harvested_once_a_year_and_occupy_the_field_between():
    for plan in plans(20):
        for pulse in ("planting", "harvest"):
            np.testing.assert_array_equal(np.bincount(YEAR, plan[pulse]), 1.0)
        planted = np.flatnonzero(plan["planting"])
        harvested = np.flatnonzero(plan["harvest"])
        assert (harvested - planted > 100).all()
        expected = np.zeros(len(DATES))
        for first, last in zip(planted, harvested, strict=True):
            expected[first : last + 1] = 1.0
        np.testing.assert_array_equal(plan["occupied"], expected)
        assert (plan["tillage"] * plan["occupied"] == 0).all()


def test_rotations_practices_and_dates_have_their_declared_shares():
    drawn = plans()
    annual = np.array([[plan["crop"][year == YEAR][0] for year in range(YEARS)] for plan in drawn])
    share = annual.mean(axis=1)
    # 200 draws: standard error at most 3.5 %.
    assert np.mean(share == 0.5) == pytest.approx(0.7, abs=0.09)
    assert np.mean(share == 0.0) == pytest.approx(0.2, abs=0.08)
    assert np.mean(annual[share == 0.5][:, 0]) == pytest.approx(0.5, abs=0.11)
    untilled = [plan["tillage"].sum() == 0 for plan in drawn]
    assert np.mean(untilled) == pytest.approx(0.25, abs=0.09)
    day = 1 + (DATES - DATES.astype("datetime64[Y]")).astype(int)
    corn = np.concatenate([day[(plan["planting"] == 1) & (plan["crop"] == 0)] for plan in drawn])
    assert corn.mean() == pytest.approx(124, abs=1.0)
    assert corn.std() == pytest.approx(8.0, abs=0.6)


def applied(plan: dict) -> np.ndarray:
    return plan["fertiliser_ammonium"] + plan["fertiliser_nitrate"]


def test_corn_is_given_nitrogen_and_soybean_none():
    for plan in plans(30):
        annual = np.bincount(YEAR, applied(plan))
        corn = np.array([plan["crop"][year == YEAR][0] == management.CORN for year in range(YEARS)])
        assert (annual[corn] > management.NITROGEN_LIMITS[0] - 1e-9).all()
        assert (annual[~corn] == 0).all()


def test_nitrogen_has_the_declared_mean_and_spread():
    rates = np.stack(
        [management.fertiliser(generator(0, f"{row}", "n"), "IA", YEARS) for row in range(400)]
    )
    # Between 400 sites of sd 1.6: 0.08; the limits are 4 standard deviations away.
    assert rates.mean() == pytest.approx(management.NITROGEN["IA"], abs=0.25)
    assert rates.std() == pytest.approx(2.0, abs=0.12)
    assert rates.mean(axis=1).std() == pytest.approx(1.6, abs=0.2)
    shares = {"IL": 22, "IA": 41, "IN": 27}
    mean = sum(management.NITROGEN[state] * share for state, share in shares.items()) / 90
    assert mean == pytest.approx(17.5, abs=0.5)


def test_nitrogen_comes_before_planting_and_as_a_side_dress_in_two_forms():
    for plan in plans(20):
        total = applied(plan)
        corn = plan["crop"] == management.CORN
        ammonium = plan["fertiliser_ammonium"].sum() / total.sum()
        assert ammonium == pytest.approx(0.85, rel=1e-12)
        planted = np.flatnonzero((plan["planting"] == 1) & corn)
        before, after = total[planted - 10], total[planted + 38]
        np.testing.assert_allclose(before / (before + after), 0.6, rtol=1e-12)
        assert before.sum() + after.sum() == pytest.approx(total.sum(), rel=1e-12)
        assert (total > 0).sum() == 2 * len(planted)


def test_few_farms_bale_a_part_of_their_corn_stover_at_harvest():
    drawn = plans(400)
    removed = [plan["residue_removal"] for plan in drawn]
    some = np.array([row.any() for row in removed])
    # 400 draws of 5 %: standard error 1.1 %.
    assert some.mean() == pytest.approx(0.05, abs=0.035)
    for plan, row in zip(drawn, removed, strict=True):
        assert set(np.unique(row)) <= {0.0, 0.4}
        days = row > 0
        assert (plan["harvest"][days] == 1).all()
        assert (plan["crop"][days] == management.CORN).all()


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_management_within_the_bounds_of_the_forcing(state):
    plan = management.plan(generator(0, state, "management"), state, DATES)
    for name, values in plan.items():
        bounds = FORCING[name].bounds
        if bounds is not None:
            assert ((values >= bounds[0]) & (values <= bounds[1])).all(), name
    assert plan["harvest"].sum() == plan["planting"].sum() == YEARS
