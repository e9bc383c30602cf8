import zlib

import numpy as np
import pytest
import xarray as xr

from kgml_jax.data.assemble import LEAST_UNCERTAINTY, assemble
from kgml_jax.data.estimates import flux_uncertainty, global_co2
from kgml_jax.errors import DataError


@pytest.fixture
def unequal(per_site):
    """A record of one leap year and a shorter one that begins earlier and measures ET, not NEE."""
    north = per_site(("north",), first="2004-01-01", last="2004-12-31")[0]
    south = per_site(("south",), first="2003-11-01", last="2004-02-29")[0]
    south["ET"] = (-south["NEE"] + 3.0).assign_attrs(units="mm d-1")
    return north, south.drop_vars("NEE")


def test_records_are_left_aligned_and_padded_at_the_end(unequal):
    sites = assemble(unequal)
    assert sites.names == ("north", "south")
    assert sites.site.valid.sum(axis=1).tolist() == [366, 121]
    assert sites.site.valid[1, :121].all()
    assert not any(mask[~sites.site.valid].any() for mask in sites.site.mask.values())


def test_padding_repeats_the_last_day_and_the_calendar_goes_on(unequal):
    site = assemble(unequal).site
    np.testing.assert_array_equal(site.forcing.wind_speed[1, 121:], site.forcing.wind_speed[1, 120])
    assert np.all(np.diff(site.calendar.date[1]) == 1)
    assert site.calendar.day_of_year[1, 121] == 61
    assert site.calendar.year_index[1, [0, 61]].tolist() == [0, 1]


def test_leap_days_are_kept(unequal):
    calendar = assemble(unequal).site.calendar
    assert calendar.day_of_year[0, -1] == 366
    assert calendar.year[0].tolist() == [2004] * 366


def test_padding_does_not_plant_harvest_or_till(unequal):
    north, south = unequal
    for name in ("planting", "harvest", "tillage"):
        pulse = np.zeros(south.sizes["time"])
        pulse[-1] = 1.0
        south[name] = ("time", pulse, {"units": "1"})
    forcing = assemble((north, south)).site.forcing
    for pulse in (forcing.planting, forcing.harvest, forcing.tillage):
        assert pulse[1].sum() == 1.0


def test_where_a_target_does_not_count_it_is_zero_and_masked(unequal):
    unequal[0]["NEE"][5:9] = np.nan
    site = assemble(unequal).site
    assert not site.mask["NEE"][0, 5:9].any()
    np.testing.assert_array_equal(site.targets["NEE"][~site.mask["NEE"]], 0.0)
    np.testing.assert_array_equal(site.uncertainty["NEE"][~site.mask["NEE"]], 1.0)


def test_a_target_that_one_site_lacks_is_masked_there(unequal):
    site = assemble(unequal).site
    assert set(site.targets) == {"NEE", "ET"}
    assert not site.mask["NEE"][1].any()
    assert site.mask["NEE"][0].all()
    assert site.mask["ET"][1, :121].all()


def test_uncertainty_is_the_stated_one_else_grows_with_the_flux(unequal):
    north = unequal[0]
    stated = np.full(366, 0.7)
    stated[0], stated[1] = np.nan, 0.001
    north["NEE_uncertainty"] = ("time", stated, {"units": "g C m-2 d-1"})
    spread = assemble(unequal).site.uncertainty["NEE"][0]
    np.testing.assert_allclose(spread[0], flux_uncertainty(north["NEE"][0].item()), rtol=1e-6)
    np.testing.assert_allclose(spread[1:3], [LEAST_UNCERTAINTY, 0.7], rtol=1e-6)


def test_missing_optional_forcing_is_neutral(unequal):
    forcing = assemble(unequal).site.forcing
    assert (forcing.crop == -1).all()
    for name in ("irrigation", "occupied", "planting", "harvest", "tillage", "prescribed_gpp"):
        assert not getattr(forcing, name).any()
    np.testing.assert_allclose(forcing.co2[0], global_co2(np.array(2004)), rtol=1e-6)


def test_arrays_are_float32_except_what_counts(unequal):
    site = assemble(unequal).site
    assert site.forcing.crop.dtype == np.int32
    assert site.forcing.day_of_year.dtype == site.targets["ET"].dtype == np.float32
    assert site.mask["ET"].dtype == site.valid.dtype == bool
    assert site.identity.dtype == np.uint32
    assert site.calendar.date.dtype == site.group.dtype == np.int32


def test_identity_is_the_checksum_of_the_name_whatever_the_order(unequal):
    forward, backward = assemble(unequal), assemble(unequal[::-1])
    assert forward.site.identity[0] == zlib.crc32(b"north")
    assert backward.site.identity[1] == forward.site.identity[0]


def test_groups_are_numbered_in_order_of_name(per_site):
    sites = assemble(per_site(("a", "b", "c")))
    assert sites.group_names == ("state 0", "state 1")
    assert sites.site.group.tolist() == [0, 1, 0]


def test_missing_attributes_take_the_declared_defaults(per_site):
    sites = assemble(per_site(("a",)))
    np.testing.assert_allclose(sites.site.attributes.sand, [0.166])
    np.testing.assert_allclose(sites.site.attributes.latitude, [50.0])


def test_a_gap_in_the_forcing_is_refused(unequal):
    unequal[0]["wind_speed"][3] = np.nan
    with pytest.raises(DataError, match=r"north.*wind_speed.*2004-01-04"):
        assemble(unequal)


def test_missing_required_forcing_is_refused(unequal):
    with pytest.raises(DataError, match=r"north.*wind_speed.*missing"):
        assemble((unequal[0].drop_vars("wind_speed"), unequal[1]))


def test_one_name_for_two_sites_is_refused(unequal):
    with pytest.raises(DataError, match="two data sets of one site"):
        assemble((unequal[0], unequal[0]))


def test_nothing_to_assemble_is_refused():
    with pytest.raises(DataError, match="no site"):
        assemble([])


def test_one_site_taken_out_has_its_own_arrays(unequal):
    site = assemble(unequal).one("south")
    assert isinstance(site.targets["ET"], np.ndarray)
    assert site.valid.shape == (366,)
    assert isinstance(unequal[0], xr.Dataset)
