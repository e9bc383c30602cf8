import numpy as np
import pytest
import xarray as xr

from kgml_jax.evaluation.headline import headline, remarks

REFERENCE = "pretrained"


def results(variance, before, after, known=None):
    """One variable, as many days at every site; errors are in units of the training variance."""
    errors = np.stack([before, after])
    found = xr.Dataset(
        {
            "mse": (("strategy", "site", "variable"), errors[..., None]),
            "r2": (("strategy", "site", "variable"), (1 - errors / variance)[..., None]),
            "standardised_mse": (("strategy", "site"), errors),
            "pooled_mse": (("strategy",), errors.mean(axis=1)),
        },
        {
            "strategy": [REFERENCE, "ftbsc"],
            "site": [f"S{row}" for row in range(len(before))],
            "variable": ["NEE"],
        },
    )
    return found if known is None else found.assign(known=("site", np.asarray(known, float)))


VARIANCE = np.array([0.1, 0.1, 0.1, 0.1, 5.0, 6.0])


def test_the_headline_is_two_medians_and_a_mean_over_days():
    before = np.array([0.05, 0.06, 0.07, 0.08, 1.0, 2.0])
    found = headline(results(VARIANCE, before, before / 2)).sel(strategy=REFERENCE)
    assert found["median_error"].item() == pytest.approx(0.075)
    assert found["median_r2"].item() == pytest.approx(np.median(1 - before / VARIANCE))
    assert found["pooled_error"].item() == pytest.approx(before.mean())


def test_numbers_that_agree_need_no_word():
    before = np.array([0.05, 0.06, 0.07, 0.08, 1.0, 2.0])
    assert remarks(results(VARIANCE, before, 0.7 * before), REFERENCE) == ()


def test_gains_at_sites_with_little_variance_are_told_from_gains_over_all_days():
    before = np.array([0.08, 0.08, 0.08, 0.08, 2.0, 3.0])
    after = np.where(VARIANCE < 1, 0.5, 1.0) * before
    (said,) = remarks(results(VARIANCE, before, after), REFERENCE)
    assert said.startswith("ftbsc against pretrained: the median error falls by 50%, the median R2")
    assert "the error of all days together falls by 3%" in said
    assert "falls by 50% at the half of the sites whose fluxes vary least" in said


def test_an_error_that_rises_over_all_days_is_not_hidden_by_the_medians():
    before = np.array([0.08, 0.08, 0.08, 0.08, 2.0, 3.0])
    after = np.where(VARIANCE < 1, 0.5, 1.2) * before
    (said,) = remarks(results(VARIANCE, before, after), REFERENCE)
    assert "the error of all days together rises by 16%" in said
    assert "at the half that varies most" in said


def test_known_and_new_sites_are_named_where_they_differ_more():
    before = np.full(6, 0.5)
    known = np.array([1, 1, 1, 1, 0, 0])
    variance = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    after = np.where(known, 1.0, 0.4) * before
    (said,) = remarks(results(variance, before, after, known), REFERENCE)
    assert "the median error hardly moves" in said
    assert "hardly moves (+0.0%) at known sites, and falls by 60% at new ones" in said


def test_a_median_over_three_sites_is_said_to_be_one_site():
    before, after = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.1, 0.2])
    said = remarks(results(np.ones(3), before, after), REFERENCE)[0]
    assert said.startswith("A median over 3 sites is the value of one site")
    assert "pretrained: S1; ftbsc: S2" in said
    single = results(np.ones(1), before[:1], after[:1])
    assert remarks(single, REFERENCE)[0].startswith("Only S0 is scored")


def test_a_strategy_without_a_value_somewhere_is_said_to_be_unknown():
    before = np.array([0.08, 0.08, 0.08, 0.08, 2.0, 3.0])
    after = np.where(VARIANCE < 1, 0.5, np.nan) * before
    found = results(VARIANCE, before, after)
    assert np.isnan(headline(found)["pooled_error"].sel(strategy="ftbsc"))
    assert not any("nan" in said for said in remarks(found, REFERENCE))
