"""What a model has seen in training, and what lies outside of it."""

from dataclasses import replace

import numpy as np
import pytest
import toys

from kgml_jax.models import envelope
from kgml_jax.models.envelope import DAY_FLAGS, SITE_FLAGS
from kgml_jax.models.features import DEFAULT_INPUTS, fit_scaling
from kgml_jax.sites import TRAIN, Place, Sites
from kgml_jax.split import DividedSites

LAST = 3 * 365 + 200  # a summer day of the last year, which is a test year


@pytest.fixture(scope="module")
def data():
    table = toys.sites(count=3)
    places = (Place(41.0, -90.0, "CRO"), Place(42.0, -91.0, "GRA"), Place(43.0, -92.0))
    return toys.divided(replace(table, places=places))


@pytest.fixture(scope="module")
def seen(data):
    return envelope.of_training(DEFAULT_INPUTS, data)


def changed(sites: Sites, part: str, **values) -> Sites:
    record = getattr(sites.site, part).replace(**values)
    return replace(sites, site=sites.site.replace(**{part: record}))


def with_day(sites: Sites, name: str, row: int, day: int, value: float) -> Sites:
    series = np.array(getattr(sites.site.forcing, name))
    series[row, day] = value
    return changed(sites, "forcing", **{name: series})


def test_no_training_day_lies_outside(data, seen):
    found = envelope.outside(seen, data.sites)
    assert not found.days[data.roles == TRAIN].any()
    assert not found.sites.any()


def test_the_ranges_are_those_of_the_training_days(data, seen):
    span = next(one for one in seen.inputs if one.name == "air_temperature_mean")
    known = np.asarray(data.sites.site.forcing.air_temperature_mean)[data.roles == TRAIN]
    assert (span.low, span.high) == (known.min(), known.max())


@pytest.mark.parametrize("value", [60.0, -60.0])
def test_a_day_hotter_or_colder_than_any_is_flagged_by_itself(data, seen, value):
    sites = with_day(data.sites, "air_temperature_mean", 1, LAST, value)
    before, after = envelope.outside(seen, data.sites), envelope.outside(seen, sites)
    assert after.days[1, LAST] & DAY_FLAGS["weather"]
    after.days[1, LAST] = before.days[1, LAST]
    np.testing.assert_array_equal(after.days, before.days)
    assert after.shares["air_temperature_mean"][1] >= 1 / sites.site.valid.shape[1]
    assert not after.sites.any()


def test_management_beyond_the_training_is_told_from_weather(data, seen):
    sites = with_day(data.sites, "irrigation", 0, LAST, 30.0)
    assert envelope.outside(seen, sites).days[0, LAST] & DAY_FLAGS["management"]


def test_a_soil_that_no_training_site_has_flags_the_site_and_all_its_days(data, seen):
    sites = changed(data.sites, "attributes", sand=np.array([0.166, 0.9, 0.166], np.float32))
    found = envelope.outside(seen, sites)
    assert (found.days[1] & DAY_FLAGS["place"]).all()
    assert found.sites.tolist() == [0, SITE_FLAGS["place"], 0]
    assert found.shares["sand"].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("crop", [-1, 1, 5])
def test_a_crop_that_is_unknown_or_never_grew_is_flagged_while_it_stands(data, seen, crop):
    codes = np.array(data.sites.site.forcing.crop)
    codes[2] = crop
    sites = changed(data.sites, "forcing", crop=codes)
    found = envelope.outside(seen, sites)
    stands = np.asarray(sites.site.forcing.occupied)[2] > 0
    np.testing.assert_array_equal(found.days[2] & DAY_FLAGS["crop"] > 0, stands)
    assert found.sites[2] & SITE_FLAGS["crop"]


def test_a_field_without_a_calendar_is_flagged_where_training_had_one(data, seen):
    occupied = np.array(data.sites.site.forcing.occupied)
    occupied[0] = 0.0
    sites = changed(data.sites, "forcing", occupied=occupied)
    assert envelope.outside(seen, sites).sites.tolist() == [SITE_FLAGS["no_calendar"], 0, 0]


def test_only_a_known_vegetation_class_can_be_a_new_one(data, seen):
    assert seen.vegetation == ("CRO", "GRA")
    sites = replace(data.sites, places=(Place(vegetation="ENF"), Place(), Place(vegetation="CRO")))
    assert envelope.outside(seen, sites).sites.tolist() == [SITE_FLAGS["vegetation"], 0, 0]


def test_days_that_only_pad_a_record_are_never_flagged(data, seen):
    valid = np.array(data.sites.site.valid)
    valid[:, LAST:] = False
    hot = with_day(data.sites, "air_temperature_mean", 1, LAST, 60.0)
    found = envelope.outside(seen, replace(hot, site=hot.site.replace(valid=valid)))
    assert not found.days[:, LAST:].any()


def test_what_only_test_days_saw_lies_outside(data):
    roles = np.where(np.arange(data.roles.shape[1]) < 200, data.roles, 3)
    winter = envelope.of_training(DEFAULT_INPUTS, DividedSites.of_roles(data.sites, roles))
    found = envelope.outside(winter, data.sites)
    # Trained until 19 July, the model has seen no autumn: its season lies outside.
    assert (found.days[0, 250:300] & DAY_FLAGS["weather"]).all()


def test_without_kept_ranges_four_deviations_stand_for_them(data):
    scaling = fit_scaling(DEFAULT_INPUTS, data)
    stand_in = envelope.of_scaling(scaling)
    assert not stand_in.measured
    scale = next(one for one in scaling.inputs if one.name == "wind_speed")
    for deviations, beyond in ((3.9, False), (4.1, True)):
        value = scale.mean + deviations * scale.sd
        sites = with_day(data.sites, "wind_speed", 0, LAST, value)
        found = envelope.outside(stand_in, sites)
        assert bool(found.days[0, LAST] & DAY_FLAGS["weather"]) is beyond
        assert not found.sites.any()
