import numpy as np
import pytest

from kgml_jax.evaluation import resampling

STATES = ["IA", "IA", "IA", "IL", "IL"]
NAMES = ["IA", "IL"]


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    return random.normal(5, 1, (4, 5, 2)), random.integers(1, 9, (4, 5, 2)).astype(float)


def test_the_sample_as_it_is_gives_the_weighted_mean(table):
    values, days = table
    found = resampling.state_means(values, days, resampling.kept(STATES, 4), NAMES)
    assert found.shape == (4, 1, 2, 2)
    expected = np.average(values[:, :3], weights=days[:, :3], axis=1)
    np.testing.assert_allclose(found[:, 0, 0], expected)


def test_as_many_sites_of_a_state_are_drawn_as_there_are():
    sample = resampling.drawn(STATES, 4, nested=True, draws=50)
    assert (sample.times[..., :3].sum(axis=-1) == 3).all()
    assert (sample.times[..., 3:].sum(axis=-1) == 2).all()


@pytest.mark.parametrize("nested", [True, False])
def test_seeds_that_look_at_the_same_sites_draw_them_together(nested):
    times = resampling.drawn(STATES, 4, nested, draws=50).times
    assert (times[0] == times[1]).all() != nested


def test_a_resample_is_the_mean_of_what_was_drawn(table):
    values, days = table
    sample = resampling.drawn(STATES, 4, nested=True, draws=20)
    found = resampling.state_means(values, days, sample, NAMES)
    place, draw = 2, 7
    seed = sample.seeds[place, draw]
    weights = sample.times[place, draw, 3:, None] * days[seed, 3:]
    expected = np.average(values[seed, 3:], weights=weights, axis=0)
    np.testing.assert_allclose(found[place, draw, 1], expected)


def test_what_was_not_observed_is_not_looked_at(table):
    values, days = table
    values[:, 0], days[:, 0] = np.nan, 0.0
    days[1, 3:] = 0.0
    found = resampling.state_means(values, days, resampling.kept(STATES, 4), NAMES)[:, 0]
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[1, 1]).all()


def test_a_model_that_failed_is_not_hidden(table):
    values, days = table
    values[0, 1] = np.nan
    found = resampling.state_means(values, days, resampling.kept(STATES, 4), NAMES)[:, 0]
    assert np.isnan(found[0, 0]).all()
    assert np.isfinite(found[1:]).all()
