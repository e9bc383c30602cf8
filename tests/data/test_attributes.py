import numpy as np
import pandas as pd
import pytest
import xarray as xr

from kgml_jax.data import attributes
from kgml_jax.data.schema import ATTRIBUTES
from kgml_jax.errors import DataError
from kgml_jax.process import pedotransfer

HYDRAULIC = {
    "field_capacity": "field_capacity",
    "wilting_point": "wilting_point",
    "saturated_conductivity": "conductivity",
}


def attach(own=None, **row):
    """What the door makes of a site with attributes of its `own` and a `row` of the table."""
    dataset = xr.Dataset({name: ((), value) for name, value in (own or {}).items()})
    table = pd.DataFrame({"site": ["X"], **{name: [value] for name, value in row.items()}})
    return attributes.attach(dataset.assign_attrs(site="X"), table.set_index("site"))


def kinds(notes, kind):
    return [note for note in notes if note.kind == kind]


@pytest.mark.parametrize("given_by", ["table", "data set"])
def test_hydraulic_properties_are_estimated_from_texture_and_said_to_be(given_by):
    texture = {"sand": 0.1, "clay": 0.35, "soil_organic_carbon": 20.0}
    dataset, notes = attach(**texture) if given_by == "table" else attach(texture)
    expected = pedotransfer.from_carbon(0.1, 0.35, 20.0)
    for name, source in HYDRAULIC.items():
        np.testing.assert_allclose(dataset[name], getattr(expected, source), rtol=1e-12)
        assert dataset[name].attrs["units"] == ATTRIBUTES[name].units
    (note,) = kinds(notes, "estimated")
    assert note.count == 3
    assert "Saxton and Rawls" in note.message
    assert all(name in note.message for name in HYDRAULIC)
    assert not any(name in note.message for name in HYDRAULIC for note in kinds(notes, "defaulted"))


@pytest.mark.parametrize("given_by", ["table", "data set"])
def test_measured_hydraulic_properties_win_over_texture(given_by):
    known = {"sand": 0.1, "clay": 0.35, "field_capacity": 0.31, "saturated_conductivity": 3.0}
    dataset, notes = attach(**known) if given_by == "table" else attach(known)
    assert dataset["field_capacity"] == 0.31
    assert dataset["saturated_conductivity"] == 3.0
    carbon = ATTRIBUTES["soil_organic_carbon"].default
    expected = pedotransfer.from_carbon(0.1, 0.35, carbon).wilting_point
    np.testing.assert_allclose(dataset["wilting_point"], expected, rtol=1e-12)
    (note,) = kinds(notes, "estimated")
    assert note.count == 1
    assert "wilting_point" in note.message


@pytest.mark.parametrize("known", [{}, {"sand": 0.3}, {"clay": 0.2}, {"sand": np.nan, "clay": 0.2}])
def test_without_texture_the_defaults_stay(known):
    dataset, notes = attach(**known)
    for name in HYDRAULIC:
        assert dataset[name] == ATTRIBUTES[name].default
    assert not kinds(notes, "estimated")
    (note,) = [note for note in kinds(notes, "defaulted") if note.variable == "soil"]
    assert all(name in note.message for name in HYDRAULIC)


def test_own_attributes_win_over_the_table_and_both_over_texture():
    dataset, _ = attach({"field_capacity": 0.33}, field_capacity=0.22, wilting_point=0.12, sand=0.4)
    assert dataset["field_capacity"] == 0.33
    assert dataset["wilting_point"] == 0.12
    assert dataset["sand"] == 0.4


@pytest.mark.parametrize(("sand", "clay"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 0.6)])
@pytest.mark.parametrize("carbon", [0.5, 500.0])
def test_estimates_of_extreme_soils_stay_within_the_bounds(sand, clay, carbon):
    dataset, _ = attach(sand=sand, clay=clay, soil_organic_carbon=carbon)
    for name in HYDRAULIC:
        low, high = ATTRIBUTES[name].bounds
        assert low <= dataset[name] <= high
    assert dataset["wilting_point"] < dataset["field_capacity"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sand": 35.0}, "sand.*0 to 1"),
        ({"latitude": 141.0}, "latitude.*-90 to 90"),
        ({"sand": 0.7, "clay": 0.5}, "together at most 1"),
    ],
)
def test_impossible_attributes_are_refused(row, message):
    with pytest.raises(DataError, match=message):
        attach(**row)
