import jax
import numpy as np
import toys

from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import DividedSites
from kgml_jax.training.windows import YEAR_DAYS, cut, make_fit_data, site_years

WARMUP = 40


def test_windows_score_every_observed_day_of_their_role_exactly_once():
    data = toys.divided()
    sites, roles = data.sites, data.roles
    for role in (TRAIN, VALIDATION, TEST):
        where = [window for rows in site_years(data, role) for window in rows]
        windows = cut(data, role, where, WARMUP)
        assert windows.valid.shape == (len(where), WARMUP + YEAR_DAYS)
        scored = sorted(
            (int(identity), int(date))
            for identity, dates, mask in zip(
                windows.identity, windows.calendar.date, windows.mask["NEE"], strict=True
            )
            for date in dates[mask]
        )
        mask = sites.site.mask["NEE"] & (roles == role)
        expected = sorted(
            (int(sites.site.identity[row]), int(sites.site.calendar.date[row, day]))
            for row, day in zip(*np.nonzero(mask), strict=True)
        )
        assert scored == expected


def test_days_of_two_roles_are_learnt_from_together_once():
    data = toys.divided()
    both = make_fit_data(data, [[0], [1]], WARMUP, learn_from=(TRAIN, VALIDATION))
    assert both.training_count.tolist() == [3, 3]
    learnt = data.sites.site.mask["NEE"] & data.learning_days
    np.testing.assert_array_equal(
        both.training.mask["NEE"].sum(axis=(1, 2)), learnt[:2].sum(axis=1)
    )
    apart = make_fit_data(data, [[0], [1]], WARMUP)
    jax.tree.map(np.testing.assert_array_equal, both.validation, apart.validation)


def test_a_year_of_two_roles_is_one_window():
    sites = toys.sites(count=1)
    roles = np.where(np.arange(sites.site.valid.shape[1]) % 2, TRAIN, VALIDATION)[None]
    data = DividedSites.of_roles(sites, roles)
    both = make_fit_data(data, [[0]], WARMUP, learn_from=(TRAIN, VALIDATION))
    assert both.training_count.tolist() == [4]
    assert both.training.mask["NEE"].sum() == sites.site.mask["NEE"].sum()


def test_a_leap_day_is_scored():
    sites = toys.sites(years=4)
    leap = cut(DividedSites.undivided(sites), TRAIN, [(0, 2004)], WARMUP)
    all_seen = sites.site.mask["NEE"][0, sites.site.calendar.year[0] == 2004].sum()
    assert leap.mask["NEE"].sum() == all_seen
    assert (leap.calendar.year == 2004).sum() == 366


def test_warm_up_days_are_the_days_before_and_are_never_scored():
    data = toys.divided()
    window = cut(data, TRAIN, [(1, 2002)], WARMUP)
    assert not window.mask["NEE"][:, :WARMUP].any()
    assert (np.diff(window.calendar.date[0]) == 1).all()
    first = cut(data, TRAIN, [(1, 2001)], WARMUP)
    season = first.forcing.day_of_year[0, :WARMUP]
    np.testing.assert_array_equal(season, np.arange(366 - WARMUP, 366))


def test_fits_of_unequal_length_pad_with_windows_nobody_sees():
    fits = make_fit_data(toys.divided(toys.sites(count=3)), [[0], [1, 2]], WARMUP)
    assert fits.training_count.tolist() == [2, 4]
    assert not fits.training.mask["NEE"][0, 2:].any()
    assert not fits.training.valid[0, 2:].any()
    assert fits.training.mask["NEE"][1].any(axis=1).all()


def test_a_single_site_has_the_same_windows_alone_and_among_others():
    data = toys.divided()
    together = make_fit_data(data, [[i] for i in range(4)], WARMUP)
    alone = make_fit_data(data.take([2]), [[0]], WARMUP)
    same = lambda a, b: np.testing.assert_array_equal(a[2], b[0])
    jax.tree.map(same, together, alone)
