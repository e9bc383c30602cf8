"""Priors that towers share: refit together, and judged where the refit saw nothing."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from inversion_toys import NAMES, known_sites, problem
from studies.towers import shared_priors

from kgml_jax.data.splits import last_years
from kgml_jax.sites import TEST

TOY = problem()
SETS = {"two": NAMES[:2], "all": NAMES}


@pytest.fixture(scope="module")
def fitted():
    """Four sites with the same truth, and one with the opposite."""

    def make(truth):
        sites = known_sites(TOY, np.asarray(truth), noise=0.05)
        data = last_years(sites).divide(sites)
        weights = TOY.model.init(jax.random.key(0))
        return weights, data, shared_priors.misfit(TOY, weights, data)

    common = np.array([0.4, -0.3, 0.2])
    return make([common, common, common, common, -common])


def test_the_misfit_of_a_linear_model_is_its_quadratic(fitted):
    weights, data, found = fitted
    offsets = np.random.default_rng(0).normal(size=(len(data), 3)).astype(np.float32)
    expected = found.cost + np.einsum("sp,sp->s", found.gradient, offsets)
    expected += 0.5 * np.einsum("sp,spq,sq->s", offsets, found.curvature, offsets)
    np.testing.assert_allclose(
        shared_priors.costs(TOY, weights, data, offsets), expected, rtol=1e-3
    )


def test_days_of_the_last_years_have_no_part_in_a_refit(fitted):
    weights, data, found = fitted
    targets = {name: np.asarray(values).copy() for name, values in data.sites.site.targets.items()}
    for values in targets.values():
        values[data.roles == TEST] += 50.0
    sites = replace(data.sites, site=data.sites.site.replace(targets=targets))
    moved = replace(data, sites=sites)
    again = shared_priors.misfit(TOY, weights, moved)
    np.testing.assert_array_equal(again.cost, found.cost)


def test_sites_that_agree_move_the_prior_and_others_stay(fitted):
    _, _, found = fitted
    four = np.arange(5) < 4
    offsets, sd = shared_priors.refit(TOY, found, four, NAMES[:2])
    assert offsets[2] == sd[2] == 0
    # Half of the way: a damping of 1 doubles the curvature along each parameter.
    assert np.sign(offsets[:2]).tolist() == [1, -1]
    assert np.all(sd[:2] < TOY.prior_sd[0])


def test_a_refit_helps_a_site_like_the_others_and_harms_one_that_is_not(fitted):
    weights, data, found = fitted
    for _, ratios in shared_priors.at_left_out(TOY, weights, data, found, SETS):
        assert np.all(ratios[:4] < 0.9)
        assert ratios[4] > 1.3


def test_what_the_sites_ask_for_is_told_in_units_and_in_spreads_of_the_prior(fitted):
    _, _, found = fitted
    grid = shared_priors.shift_grid(TOY, found, SETS)
    assert [row[0] for row in grid.rows] == ["two"] * 2 + ["all"] * 3
    assert {row[1] for row in grid.rows} == set(NAMES)
