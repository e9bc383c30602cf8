"""Which days of a site folds hold out together."""

import dataclasses

import numpy as np
import pytest
import toys

from kgml_jax.data.folds import LEAST_OBSERVED, deal
from kgml_jax.errors import DataError
from kgml_jax.sites import TEST
from kgml_jax.split import DividedSites


def grown(data, sowings, crops=()):
    """`data` of which every site is sown on some days, with the crop of each from there on."""
    site = data.sites.site
    dates = np.asarray(site.calendar.date)[0].astype("datetime64[D]")
    planting, crop = np.zeros(site.valid.shape), np.zeros(site.valid.shape, np.int32)
    for place, day in enumerate(np.array(sowings, "datetime64[D]")):
        planting[:, dates == day] = 1.0
        crop[:, dates >= day] = crops[place] if crops else 0
    forcing = site.forcing.replace(planting=planting, crop=crop)
    return dataclasses.replace(
        data, sites=dataclasses.replace(data.sites, site=site.replace(forcing=forcing))
    )


def held(data, fold):
    """First and last days that each fold holds out of the first site."""
    dates = np.asarray(data.sites.site.calendar.date)[0].astype("datetime64[D]")
    return [dates[fold[0] == one] for one in range(fold.max() + 1)]


@pytest.fixture(scope="module")
def data():
    return toys.divided(toys.sites(count=2, years=6))


def test_days_that_are_tested_are_never_held_out_and_all_others_once(data):
    fold = deal(data, 3)
    np.testing.assert_array_equal(fold >= 0, data.roles != TEST)
    assert set(np.unique(fold[0])) == {-1, 0, 1, 2}


def test_without_a_calendar_whole_years_are_held_out(data):
    years = np.asarray(data.sites.site.calendar.year)[0]
    for one in range(2001, 2006):
        assert len(np.unique(deal(data, 3)[0, years == one])) == 1


def test_a_crop_year_lasts_from_sowing_to_sowing(data):
    sowings = [f"{year}-10-01" for year in range(2001, 2006)]
    first, second, third = held(data, deal(grown(data, sowings), 3))
    # What stands in January was sown before: it is held out with the days until the next sowing.
    assert str(first[0]) == "2001-01-01"
    assert "2001-09-30" in first.astype(str)
    assert str(second[0]) == "2001-10-01"
    assert str(third[0]) == "2002-10-01"


def test_the_years_of_a_crop_are_spread_over_the_folds(data):
    sowings = [f"{year}-05-01" for year in range(2001, 2007)]
    fold = deal(grown(data, sowings, (0, 1, 0, 1, 0, 1)), 2)
    dates = np.asarray(data.sites.site.calendar.date)[0].astype("datetime64[D]")
    of = {
        year: int(fold[0][dates == np.datetime64(f"{year}-07-01")][0]) for year in range(2001, 2006)
    }
    # In turn by time alone, one fold would hold out all corn, the other all soybean.
    assert {of[2001], of[2003]} == {0, 1}
    assert {of[2002], of[2004]} == {0, 1}


def test_a_stretch_of_years_without_sowing_is_cut_at_new_year(data):
    fold = deal(grown(data, ["2002-04-01"]), 3)
    assert len({int(one) for one in fold[0] if one >= 0}) == 3


def test_seasons_of_few_observed_days_are_held_out_with_the_one_before(data):
    sowings = [f"{year}-{day}" for year in range(2001, 2006) for day in ("05-01", "07-01")]
    fold = deal(grown(data, sowings), 3)
    dates = np.asarray(data.sites.site.calendar.date)[0].astype("datetime64[D]")
    seen = np.any([np.asarray(mask)[0] for mask in data.sites.site.mask.values()], axis=0)
    short = (dates >= np.datetime64("2003-05-01")) & (dates < np.datetime64("2003-07-01"))
    assert seen[short].sum() < LEAST_OBSERVED
    before = fold[0][dates == np.datetime64("2003-04-30")]
    assert (fold[0][short] == before).all()


def test_a_single_crop_year_is_cut_into_blocks_of_30_days():
    one_year = DividedSites.undivided(toys.sites(count=1, years=1))
    first, *_ = held(one_year, deal(one_year, 3))
    np.testing.assert_array_equal(
        first[:31].astype(str)[[0, 29, 30]], ["2001-01-01", "2001-01-30", "2001-04-01"]
    )


def test_a_site_of_two_years_leaves_the_third_fold_empty():
    two = DividedSites.undivided(toys.sites(count=1, years=2))
    assert deal(two, 3).max() == 1


def test_one_fold_is_refused(data):
    with pytest.raises(DataError, match="too few folds"):
        deal(data, 1)
