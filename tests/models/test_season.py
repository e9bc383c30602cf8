"""What follows from the crop calendar is 0 on bare ground and counts from sowing."""

import jax
import numpy as np
import pytest
import toys

from kgml_jax.models import kinds, season
from kgml_jax.models.features import CALENDAR_INPUTS, INPUT_SETS, Scale, Scaling, features
from kgml_jax.process import crops

DAYS = jax.jit(season.days_since_sowing)
HEAT = jax.jit(season.heat_since_sowing)


@pytest.fixture
def fields():
    """Returns a site with ten days of a calendar, bare where nothing else is said."""

    def build(occupied, planting, crop=0, temperature=18.0):
        site = toys.sites(count=1).one("IA-00")
        site = jax.tree.map(lambda leaf: leaf[:10] if np.ndim(leaf) else leaf, site)
        days = np.zeros(10)
        told = {
            "occupied": days + np.isin(np.arange(10), occupied),
            "planting": days,
            "crop": np.broadcast_to(np.int32(crop), (10,)),
            "air_temperature_mean": days + temperature,
        }
        for day, pulse in planting.items():
            told["planting"] = np.where(np.arange(10) == day, pulse, told["planting"])
        return site.replace(forcing=site.forcing.replace(**told))

    return build


def test_days_count_from_the_day_of_sowing_and_end_with_the_harvest(fields):
    site = fields(occupied=range(2, 7), planting={2: 1.0})
    np.testing.assert_allclose(DAYS(site), [0, 0, 0, 1, 2, 3, 4, 0, 0, 0])


def test_a_crop_sown_the_day_after_a_harvest_counts_anew(fields):
    site = fields(occupied=range(8), planting={1: 1.0, 5: 1.0})
    np.testing.assert_allclose(DAYS(site), [0, 0, 1, 2, 3, 0, 1, 2, 0, 0])


def test_a_crop_that_stands_when_the_record_begins_counts_from_its_first_day(fields):
    site = fields(occupied=range(4), planting={})
    np.testing.assert_allclose(DAYS(site), [0, 1, 2, 3, 0, 0, 0, 0, 0, 0])


def test_heat_is_that_above_the_base_temperature_of_the_crop_that_stands(fields):
    # 18 degC is 10 above the base of corn; the bends of thermal time are rounded by some 0.2 degC.
    site = fields(occupied=range(2, 7), planting={2: 1.0})
    heat = np.asarray(HEAT(site))
    np.testing.assert_allclose(heat, [0, 0, 10, 20, 30, 40, 50, 0, 0, 0], rtol=0.02)
    wheat = fields(occupied=range(2, 7), planting={2: 1.0}, crop=2, temperature=10.0)
    assert float(HEAT(wheat)[6]) == pytest.approx(5 * 10, rel=0.02)


def test_progress_is_one_when_the_thermal_time_to_maturity_has_passed(fields):
    site = fields(occupied=range(10), planting={0: 1.0})
    corn = crops.TABLE[crops.NAMES.index("corn")]
    needed = sum(corn[f"{part}_time"] for part in ("emergence", "vegetative", "reproductive"))
    share = np.asarray(HEAT(site)) / needed
    np.testing.assert_allclose(season.season_progress(site), share, rtol=1e-6)


def test_a_date_of_sowing_spread_over_days_has_a_gradient(fields):
    site = fields(occupied=range(1, 9), planting={2: 0.5, 3: 0.5})

    def total(pulses):
        forcing = site.forcing.replace(planting=pulses)
        return DAYS(site.replace(forcing=forcing)).sum()

    slope = np.asarray(jax.jit(jax.grad(total))(jax.numpy.asarray(site.forcing.planting)))
    assert np.isfinite(slope).all()
    assert (slope[2:8] < 0).all()


def test_traits_are_those_of_the_row_that_stands_and_0_on_bare_ground(fields):
    site = fields(occupied=range(2, 7), planting={2: 1.0}, crop=[0] * 4 + [1] * 6)
    c4, fixation = (
        np.asarray(season.CROP_TRAITS[f"crop_{name}"](site)) for name in ("c4", "nitrogen_fixation")
    )
    np.testing.assert_array_equal(c4, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(fixation, [0, 0, 0, 0, 1, 1, 1, 0, 0, 0])


def test_an_unknown_crop_has_days_but_neither_heat_nor_traits(fields):
    site = fields(occupied=range(2, 7), planting={2: 1.0}, crop=-1)
    assert float(DAYS(site)[6]) == 4
    for name in ("heat_since_sowing", "season_progress"):
        assert not np.asarray(season.PROGRESS[name](site)).any()
    assert not any(np.asarray(trait(site)).any() for trait in season.CROP_TRAITS.values())


def test_another_row_of_the_crop_table_needs_no_other_inputs(fields, monkeypatch):
    inputs = jax.jit(lambda site: features(CALENDAR_INPUTS, site))
    before = inputs(fields(occupied=range(2, 7), planting={2: 1.0}))
    barley = {**crops.TABLE[crops.NAMES.index("spring barley")], "rooting_depth": 1.1}
    monkeypatch.setattr(crops, "TABLE", (*crops.TABLE, barley))
    site = fields(occupied=range(2, 7), planting={2: 1.0}, crop=len(crops.TABLE) - 1)
    after = jax.jit(lambda site: features(CALENDAR_INPUTS, site))(site)
    assert after.shape == before.shape
    assert float(after[3, CALENDAR_INPUTS.index("crop_rooting_depth")]) == pytest.approx(1.1)


def test_the_calendar_tells_no_crop_by_a_flag():
    assert INPUT_SETS["calendar"] == CALENDAR_INPUTS
    assert not {"corn", "soybean"} & set(CALENDAR_INPUTS)
    assert set(season.CROP_TRAITS) == {f"crop_{name}" for name in season.TRAITS}


def test_windows_of_a_model_that_counts_from_sowing_begin_a_year_before():
    build = lambda *names: kinds.build(
        "recurrent", Scaling(tuple(Scale(name, 0.0, 1.0) for name in names), (Scale("NEE", 0, 1),))
    )
    temperature = "air_temperature_mean"
    assert kinds.memory_days(build(temperature, "days_since_sowing")) == kinds.FROM_NEW_YEAR
    assert kinds.memory_days(build(temperature)) == kinds.FADED_MEMORY
