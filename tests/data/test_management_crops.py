"""Crops go by name: canonical ones, what others call them, and what is decided by the sowing."""

import numpy as np
import pytest

from kgml_jax.data import crop_names
from kgml_jax.errors import DataError

AUTUMN, SPRING = np.datetime64("2001-10-05"), np.datetime64("2001-03-25")


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Corn", "corn"),
        ("maize", "corn"),
        ("MAZ", "corn"),
        ("silage_maize", "silage corn"),
        ("SBN", "soybean"),
        ("winter-wheat", "winter wheat"),
        ("oilseed rape", "rapeseed"),
        ("potatoe", "potato"),
        ("perennial ryegrass", "temperate grass"),
        ("lucerne", "alfalfa"),
        ("white_mustard", "cover crop"),
        ("Field bean", "faba bean"),
    ],
)
def test_other_names_of_a_crop_are_known(written, canonical):
    assert crop_names.resolve(written, SPRING, 45.0).name == canonical


@pytest.mark.parametrize(
    ("written", "sown", "latitude", "canonical"),
    [
        ("wheat", AUTUMN, 45.0, "winter wheat"),
        ("wheat", SPRING, 45.0, "spring wheat"),
        ("durum_wheat", AUTUMN, 45.0, "winter wheat"),
        ("WHB", SPRING, 45.0, "spring wheat"),
        ("barley", SPRING, 45.0, "spring barley"),
        ("barley", np.datetime64("2001-05-10"), -33.0, "winter barley"),
        ("barley", np.datetime64("2001-09-10"), -33.0, "spring barley"),
        ("barley", None, 45.0, "winter barley"),
    ],
)
def test_the_month_of_sowing_decides_between_winter_and_spring(written, sown, latitude, canonical):
    named = crop_names.resolve(written, sown, latitude)
    assert named.name == canonical
    assert "sowing" in named.remark


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("red_clover+perennial_ryegrass", "temperate grass"),
        ("oilseed_radish+mustard", "cover crop"),
        ("winter_wheat+winter_rapeseed", "winter wheat"),
    ],
)
def test_a_mixture_is_what_its_members_have_in_common_or_the_first_of_them(written, canonical):
    named = crop_names.resolve(written, AUTUMN, 45.0)
    assert named.name == canonical
    assert ("mixture" in named.remark) == (written == "winter_wheat+winter_rapeseed")


def test_what_the_table_calls_a_cover_crop_is_one_whatever_its_name():
    assert crop_names.resolve("soft_wheat", AUTUMN, 45.0, cover=True).name == "cover crop"


@pytest.mark.parametrize(
    ("written", "why"), [("rice", "flooded"), ("VIN", "woody"), ("olives", "woody")]
)
def test_rice_and_woody_crops_are_refused_in_words(written, why):
    with pytest.raises(DataError, match=why):
        crop_names.resolve(written, SPRING, 45.0)


def test_an_unknown_name_is_an_error_with_the_near_one():
    with pytest.raises(DataError, match="did you mean sunflower"):
        crop_names.resolve("sunflwer", SPRING, 45.0)


def test_every_row_of_the_crop_table_is_known_by_its_name():
    for place, name in enumerate(crop_names.NAMES):
        assert crop_names.resolve(name, AUTUMN, 45.0).name == name
        assert crop_names.row(name) == (place, "")


def test_a_crop_without_a_row_is_that_of_a_near_one_or_bare_ground():
    wheat = crop_names.NAMES.index("winter wheat")
    assert crop_names.row("triticale") == (wheat, "simulated as winter wheat")
    row, remark = crop_names.row("sorghum")
    assert row == -1
    assert "no row of the crop table" in remark


def test_every_name_leads_to_a_crop_and_every_crop_to_what_is_known():
    assert set(crop_names.SPOKEN.values()) <= {
        *crop_names.CROPS,
        *crop_names.UNDECIDED,
        *crop_names.REFUSED,
    }
    near = {kind.nearest for kind in crop_names.CROPS.values()} - {""}
    assert near <= set(crop_names.CROPS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("planted with Jagalene (winter wheat), 90 lbs per acre", "winter wheat"),
        ("Corn, Pioneer P1197AMT 32,000 Seeds/acre", "corn"),
        ("harvest completed", ""),
    ],
)
def test_a_crop_is_found_in_words(text, found):
    assert crop_names.in_words(text) == found
