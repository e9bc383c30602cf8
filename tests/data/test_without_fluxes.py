"""Fields with weather and no fluxes are let in where nothing is learnt, and places as given."""

import numpy as np
import pytest

from kgml_jax.data.assemble import assemble
from kgml_jax.data.read import read
from kgml_jax.data.schema import ReadOptions
from kgml_jax.errors import DataError
from kgml_jax.sites import Place

WEATHER = ReadOptions(fluxes=False)
FLUXES = ("NEE_VUT", "RECO", "GPP", "LE_")


def weather_only(table):
    return table[[name for name in table if not name.startswith(FLUXES)]]


def test_a_tower_file_without_fluxes_is_read_where_none_are_needed(tower, write_tower):
    path = write_tower(weather_only(tower()))
    with pytest.raises(DataError, match="NEE_VUT_REF"):
        read(path)
    sites = assemble(read(path, options=WEATHER))
    assert not sites.site.targets
    assert np.isfinite(sites.site.forcing.air_temperature_mean).all()


def test_weather_is_the_same_to_the_bit_with_and_without_fluxes(tower, write_tower):
    path = write_tower(tower())
    with_fluxes, without = assemble(read(path)), assemble(read(path, options=WEATHER))
    assert with_fluxes.site.targets
    assert not without.site.targets
    for name, values in vars(with_fluxes.site.forcing).items():
        np.testing.assert_array_equal(values, getattr(without.site.forcing, name))


def test_fluxes_that_are_not_read_cannot_block(schema, tmp_path):
    dataset = schema()
    dataset["NEE"].attrs["units"] = "furlong"
    dataset.to_netcdf(tmp_path / "data.nc")
    with pytest.raises(DataError, match="furlong"):
        read(tmp_path / "data.nc")
    assert "NEE" not in read(tmp_path / "data.nc", options=WEATHER).sites[0]


def test_weather_is_checked_as_strictly_without_fluxes(tower, write_tower):
    table = weather_only(tower())
    for broken in (table.drop(columns="P_F"), table.assign(TA_F=-9999), table.drop(index=9)):
        with pytest.raises(DataError):
            read(write_tower(broken), options=WEATHER)


def test_gpp_to_prescribe_is_read_without_the_other_fluxes(tower, write_tower):
    table = tower().drop(columns=["NEE_VUT_REF", "RECO_NT_VUT_REF"])
    options = ReadOptions(fluxes=False, prescribe_gpp=True)
    (site,) = read(write_tower(table), options=options).sites
    np.testing.assert_allclose(site["prescribed_gpp"], table["GPP_NT_VUT_REF"])
    assert "GPP" not in site


def test_a_place_is_what_was_given_and_no_default(tower, write_tower, tmp_path):
    path = write_tower(tower())
    assert assemble(read(path)).places == (Place(),)
    (tmp_path / "sites.csv").write_text("site,lat,lon,igbp\nUS-Aa1,41.5,-96.4,CRO\n")
    assert assemble(read(path)).places == (Place(41.5, -96.4, "CRO"),)


def test_a_file_says_where_its_sites_lie(schema, tmp_path):
    dataset = schema()
    dataset["longitude"] = ("site", [-90.0, 10.0], {"units": "degrees_east"})
    dataset.attrs["latitude"] = "somewhere in the Corn Belt"
    dataset.to_netcdf(tmp_path / "data.nc")
    sites = assemble(read(tmp_path / "data.nc"))
    assert sites.places == (Place(50.0, -90.0), Place(40.0, 10.0))
    assert sites.take([1]).places == (Place(40.0, 10.0),)


def test_an_impossible_longitude_is_refused(tower, write_tower, tmp_path):
    path = write_tower(tower())
    (tmp_path / "sites.csv").write_text("site,lat,lon\nUS-Aa1,41.5,-196.4\n")
    with pytest.raises(DataError, match=r"US-Aa1.*longitude.*-196.4.*degree_east"):
        read(path)
