import numpy as np
import pytest

from kgml_jax.data.units import FACTORS, conversion, convert
from kgml_jax.errors import DataError
from kgml_jax.records import CANONICAL_UNITS


@pytest.mark.parametrize(
    ("value", "found", "expected", "converted"),
    [
        (100.0, "W m-2", "MJ m-2 d-1", 8.64),
        (100.0, "W/m2", "MJ m-2 d-1", 8.64),
        (100.0, "W m**-2", "MJ m-2 d-1", 8.64),
        (8.64e6, "J m-2", "MJ m-2 d-1", 8.64),
        (12.0, "hPa", "kPa", 1.2),
        (1200.0, "Pa", "kPa", 1.2),
        (283.15, "K", "degC", 10.0),
        (50.0, "degF", "degC", 10.0),
        (10.0, "°C", "degC", 10.0),
        (10.0, "degree_Celsius", "degC", 10.0),
        (1.0, "umol CO2 m-2 s-1", "g C m-2 d-1", 12.011e-6 * 86400),
        (1.0, "µmol m⁻² s⁻¹", "g C m-2 d-1", 12.011e-6 * 86400),
        (3.0, "gC m-2 d-1", "g C m-2 d-1", 3.0),
        (3.0, "g C m-2 day-1", "g C m-2 d-1", 3.0),
        (3.0, "gC/m2/day", "g C m-2 d-1", 3.0),
        (3.0, "g m-2 d-1", "g C m-2 d-1", 3.0),
        (180.0, "kg N/ha/day", "g N m-2 d-1", 18.0),
        (1e-4, "kg m-2 s-1", "mm d-1", 8.64),
        (0.005, "m/d", "mm d-1", 5.0),
        (5.0, "mm/day", "mm d-1", 5.0),
        (345.6, "km d-1", "m s-1", 4.0),
        (390.0, "ppm", "umol mol-1", 390.0),
        (30.0, "%", "m3 m-3", 0.3),
        (165.7, "g kg-1", "1", 0.1657),
        (1385.0, "kg m-3", "Mg m-3", 1.385),
        (283.15, "Kelvin", "degC", 10.0),
        (283.15, "degK", "degC", 10.0),
        (10.0, "deg_C", "degC", 10.0),
        (10.0, "DegC", "degC", 10.0),
        (10.0, "degrees C", "degC", 10.0),
        (10.0, "CELSIUS", "degC", 10.0),
        (50.0, "degrees_F", "degC", 10.0),
        (0.8, "dimensionless", "1", 0.8),
        (0.8, "Unitless", "1", 0.8),
        (0.8, "-", "1", 0.8),
        (80.0, "Percent", "1", 0.8),
        (80.0, "per cent", "1", 0.8),
        (0.3, "fraction", "m3 m-3", 0.3),
        (100.0, "watts m-2", "MJ m-2 d-1", 8.64),
        (100.0, "W.m-2", "MJ m-2 d-1", 8.64),
        (100.0, "m-2 W", "MJ m-2 d-1", 8.64),
        (100.0, "W m^{-2}", "MJ m-2 d-1", 8.64),
        (8.64, "megajoules per m2 per day", "MJ m-2 d-1", 8.64),
        (1.0, "micromol m-2 s-1", "g C m-2 d-1", 12.011e-6 * 86400),
        (1.0, "umolCO2/m2/s", "g C m-2 d-1", 12.011e-6 * 86400),
        (1.0, "umol(CO2) m-2 s-1", "g C m-2 d-1", 12.011e-6 * 86400),
        (3.0, "g CO2-C m-2 d-1", "g C m-2 d-1", 3.0),
        (3.0, "gC/(m2 d)", "g C m-2 d-1", 3.0),
        (30.0, "kg N2O-N/ha/day", "g N m-2 d-1", 3.0),
        (5.0, "kg H2O m-2 d-1", "mm d-1", 5.0),
        (5.0, "millimetres per day", "mm d-1", 5.0),
        (390.0, "umolCO2 mol-1", "umol mol-1", 390.0),
        (12.0, "millibars", "kPa", 1.2),
        (45.0, "degreesN", "degree_north", 45.0),
        (45.0, "decimal degrees", "degree_east", 45.0),
        (1.5, "g/cm3", "Mg m-3", 1.5),
    ],
)
def test_known_units_convert_to_the_canonical_ones(value, found, expected, converted):
    np.testing.assert_allclose(convert(np.array([value]), found, expected), [converted], rtol=1e-12)


@pytest.mark.parametrize("expected", sorted(CANONICAL_UNITS))
def test_canonical_units_convert_to_themselves(expected):
    assert conversion(expected, expected) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("g CO2 m-2 d-1", "g C m-2 d-1"),
        ("g N m-2 d-1", "g C m-2 d-1"),
        ("g C m-2 yr-1", "g C m-2 d-1"),
        ("m s-2", "m s-1"),
        ("M", "m"),
        ("degrees_south", "degree_north"),
        ("MPa", "kPa"),
    ],
)
def test_another_substance_power_or_prefix_is_another_unit(found, expected):
    assert conversion(found, expected) is None


@pytest.mark.parametrize("found", ["furlong", "W m-2 K-1", "mol m-2", "kPa"])
def test_unknown_units_are_refused_naming_file_variable_site_found_and_expected(found):
    with pytest.raises(DataError) as caught:
        convert(np.ones(2), found, "MJ m-2 d-1", file="a.nc", site="north", variable="radiation")
    for word in ("a.nc", "north", "radiation", found, "MJ m-2 d-1", "W m-2"):
        assert word in str(caught.value)


@pytest.mark.parametrize("found", [None, "", "  "])
def test_missing_units_are_refused(found):
    with pytest.raises(DataError, match=r"no units.*kPa"):
        convert(np.ones(2), found, "kPa")


def test_an_offset_does_not_apply_to_a_standard_deviation():
    assert convert(np.array([2.0]), "K", "degC", is_spread=True)[0] == 2.0


def test_every_table_of_factors_belongs_to_canonical_units():
    assert set(FACTORS) <= CANONICAL_UNITS
