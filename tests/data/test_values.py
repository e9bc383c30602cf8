"""What may be a value, and what of it counts."""

import numpy as np
import pytest

from kgml_jax.data.quality import finish
from kgml_jax.data.schema import TARGET_BOUNDS, ReadOptions
from kgml_jax.errors import DataError
from kgml_jax.sites import PREDICTABLE

OPTIONS = ReadOptions()


@pytest.fixture
def site(per_site):
    return per_site(("north",))[0]


def graded(site, quality):
    site["NEE_qc"] = ("time", np.resize(quality, site.sizes["time"]).astype(float), {"units": "1"})
    return site


def counted(site, **options):
    done, notes = finish(site, ReadOptions(**options))
    return done["NEE"].notnull().to_numpy(), notes


def said(notes, variable):
    return {(note.kind, note.count): note.message for note in notes if note.variable == variable}


def test_everything_that_can_be_a_target_has_bounds():
    assert set(TARGET_BOUNDS) == set(PREDICTABLE)


@pytest.mark.parametrize("flags", [(0, 1, 2, 3), (1, 2, 6), (0, 0, 0, 2)])
def test_flags_are_no_shares_of_the_day(site, flags):
    with pytest.raises(DataError, match=r"NEE_qc.*flags.*\n.*--quality-scale flags"):
        finish(graded(site, flags), OPTIONS)


def test_flags_count_up_to_the_worst_that_is_allowed(site):
    days, notes = counted(graded(site, (0, 1, 2, 3)), quality_scale="flags")
    np.testing.assert_array_equal(days, np.resize((True, True, False, False), len(days)))
    assert "flags up to 1" in said(notes, "NEE_qc")["converted", len(days)]
    days, _ = counted(graded(site, (0, 1, 2, 3)), quality_scale="flags", worst_flag=2)
    np.testing.assert_array_equal(days, np.resize((True, True, True, False), len(days)))


def test_per_cent_is_named_and_converted_when_it_is_asked_for(site):
    graded(site, (100.0, 80.0, 40.0, 62.5))
    with pytest.raises(DataError, match=r"NEE_qc.*per cent.*\n.*--quality-scale percent"):
        finish(site.copy(), OPTIONS)
    days, _ = counted(site, quality_scale="percent")
    np.testing.assert_array_equal(days, np.resize((True, True, False, False), len(days)))


@pytest.mark.parametrize(
    ("scale", "quality"),
    [
        ("percent", (1.0, 0.9, 0.5)),
        ("percent", (0, 1, 2, 3)),
        ("flags", (1.0, 0.9)),
        ("flags", (0, 100)),
        ("share", (0.01, 0.009, 0.0)),  # shares whose units were said to be per cent
        ("share", (1.0, 50.5, 120.0)),
    ],
)
def test_quality_on_another_scale_than_the_options_say_is_refused(site, scale, quality):
    with pytest.raises(DataError, match="NEE_qc"):
        finish(graded(site, quality), ReadOptions(quality_scale=scale))


def test_an_unknown_scale_is_refused():
    with pytest.raises(DataError, match=r"quality_scale.*share, percent, flags"):
        ReadOptions(quality_scale="stars")  # pyright: ignore[reportArgumentType]


def test_one_quality_above_one_leaves_out_one_day(site):
    graded(site, (0.9,))["NEE_qc"][5] = 1.7
    days, notes = counted(site)
    assert not days[5]
    assert days.sum() == len(days) - 1
    assert ("warning", 1) in said(notes, "NEE_qc")


def test_zeros_and_ones_that_are_mostly_zero_may_be_flags(site):
    _, notes = counted(graded(site, (0, 0, 0, 1)))
    assert any("--worst-flag 0" in message for message in said(notes, "NEE_qc").values())
    _, notes = counted(graded(site, (1, 1, 1, 0)))
    assert not said(notes, "NEE_qc")


def test_quality_without_any_value_is_no_quality(site):
    days, notes = counted(graded(site, (np.nan,)))
    assert days.all()
    assert "every value counts" in said(notes, "NEE")["warning", len(days)]


def test_a_negative_uncertainty_is_named_and_not_used(site):
    spread = np.full(site.sizes["time"], 0.4)
    spread[[3, 4, 5]] = -0.4, -0.1, 1e20
    site["NEE_uncertainty"] = ("time", spread, {"units": "g C m-2 d-1"})
    done, notes = finish(site, OPTIONS)
    np.testing.assert_array_equal(np.flatnonzero(done["NEE_uncertainty"].isnull()), [3, 4, 5])
    messages = said(notes, "NEE_uncertainty")
    assert "negative" in messages["warning", 2]
    assert "large" in messages["warning", 1]


@pytest.mark.parametrize("code", [-9999.9, -99999.0, 9.969209968386869e36, 1e20, -999.0, np.inf])
@pytest.mark.parametrize("name", ["NEE", "air_temperature_mean", "precipitation", "NEE_qc"])
def test_codes_that_no_list_names_are_missing_and_never_numbers(per_site, code, name):
    site, clean = (graded(one, (0.9,)) for one in per_site(("north", "south")))
    clean.attrs["site"] = "north"
    site[name][100:107] = code
    clean[name][100:107] = np.nan
    done, notes = finish(site, OPTIONS)
    expected, _ = finish(clean, OPTIONS)
    np.testing.assert_array_equal(done[name], expected[name])
    assert ("warning", 7) in said(notes, name)


def test_a_code_in_other_units_is_still_one_number(site):
    site["shortwave_radiation"][50:54] = -9999.9 * 0.0864  # W m-2
    done, notes = finish(site, OPTIONS)
    assert float(done["shortwave_radiation"].min()) > 0.0
    assert ("warning", 4) in said(notes, "shortwave_radiation")


def test_an_isolated_impossible_flux_is_left_out_and_counted(site):
    site["NEE"][9] = 1e15
    done, notes = finish(site, OPTIONS)
    assert np.isnan(done["NEE"][9])
    assert "not counted" in said(notes, "NEE")["warning", 1]


def test_many_impossible_fluxes_are_wrong_units(site):
    site["NEE"] = site["NEE"] * 1e3
    with pytest.raises(DataError, match=r"NEE.*are the units right.*-60 to 60 g C m-2 d-1"):
        finish(site, OPTIONS)


def test_a_storm_out_of_range_is_never_filled_as_dry(site):
    site["precipitation"][[9, 20]] = 900.0
    with pytest.raises(DataError, match=r"precipitation.*more rain.*900"):
        finish(site, OPTIONS)


def test_a_wrong_amount_on_a_few_days_of_management_is_no_missing_value(site):
    fertiliser = np.zeros(site.sizes["time"])
    fertiliser[[120, 500]] = 150.0  # kg ha-1
    site["fertiliser_ammonium"] = ("time", fertiliser, {"units": "g N m-2 d-1"})
    with pytest.raises(DataError, match=r"fertiliser_ammonium.*2 of 730 days.*150"):
        finish(site, OPTIONS)
