"""What instruments see of a day of the process model."""

from types import SimpleNamespace

import numpy as np
import pytest

from kgml_jax.models import observables
from kgml_jax.sites import FURTHER


def day(**fields):
    whole = dict.fromkeys(observables.NAMES.values(), 1.0)
    return SimpleNamespace(**whole, **fields)


@pytest.mark.parametrize(("area", "cover"), [(0.0, 0.0), (2.0, 1 - np.exp(-1.0)), (20.0, 1.0)])
def test_green_cover_follows_beers_law(area, cover):
    found = observables.observed(("green_cover",), day(leaf_area_index=area))
    assert found["green_cover"] == pytest.approx(cover, abs=1e-4)


@pytest.mark.parametrize(("above", "expected"), [(0.0, 5.0), (75.0, 2.75), (100.0, 2.0)])
def test_a_chamber_sees_the_soil_and_the_roots_in_proportion_to_their_carbon(above, expected):
    one = day(above_ground_carbon=above, plant_carbon=100.0)
    one.heterotrophic_respiration, one.autotrophic_respiration = 2.0, 3.0
    assert observables.soil_respiration(one) == pytest.approx(expected)


def test_a_chamber_on_bare_ground_sees_the_soil_alone():
    one = day(above_ground_carbon=0.0, plant_carbon=0.0)
    one.heterotrophic_respiration, one.autotrophic_respiration = 2.0, 0.0
    assert observables.soil_respiration(one) == pytest.approx(2.0)


def test_every_further_observable_has_units():
    assert set(observables.FURTHER_NAMES) == set(FURTHER)
