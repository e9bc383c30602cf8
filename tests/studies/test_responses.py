import dataclasses

import numpy as np
import pytest
from studies.process_model import fields, responses
from studies.process_model.response_scenarios import (
    CROPS,
    OUTPUTS,
    SCENARIOS,
    TODAY,
    WFPS,
    Experiment,
    times,
    warmer,
)


@pytest.fixture
def field():
    return fields.forcing(fields.rotation(2))


def changed(before, after):
    return {
        name
        for name, values in vars(before).items()
        if not np.array_equal(values, getattr(after, name))
    }


def experiment(**means):
    """Every output is 100 in every scenario, but for the given `crop_output` of scenarios."""
    table = {name: {crop: dict.fromkeys(OUTPUTS, 100.0) for crop in CROPS} for name in SCENARIOS}
    for place, values in means.items():
        crop, output = place.split("_", 1)
        for scenario, value in values.items():
            table[scenario][crop][output] = value
    return Experiment(table, 2.6, np.exp(-(((WFPS - 0.6) / 0.2) ** 2)), table)


def test_a_field_has_both_crops_with_their_events(field):
    years = lambda values: values.reshape(2, 365)
    assert np.array_equal(years(field.crop)[:, 0], [fields.CORN, fields.SOYBEAN])
    for event in ("planting", "harvest"):
        assert np.array_equal(years(getattr(field, event)).sum(axis=1), [1.0, 1.0])
    applied = years(field.fertiliser_ammonium + field.fertiliser_nitrate).sum(axis=1)
    np.testing.assert_allclose(applied, [fields.FERTILISER, 0.0])
    fallow = fields.forcing(np.full(2, fields.FALLOW))
    assert not np.any(fallow.occupied + fallow.planting + fallow.harvest + fallow.tillage)
    assert changed(field, fallow) >= {"crop", "occupied"}
    assert "precipitation" not in changed(field, fallow)


def test_the_weather_is_like_that_of_champaign():
    # 1950-2009: 10.9 degC, 998 mm; between years 164 mm, in summer 314 mm.
    drawn = [fields.forcing(fields.rotation(18), seed) for seed in range(4)]
    rain = np.stack([field.precipitation.reshape(18, 365) for field in drawn])
    assert abs(np.mean([field.air_temperature_mean for field in drawn]) - 10.9) < 0.5
    assert abs(rain.sum(axis=2).mean() - 998.0) < 60.0
    assert 120.0 < rain.sum(axis=2).std() < 240.0
    assert abs(rain[:, :, 151:243].sum(axis=2).mean() - 314.0) < 40.0


@pytest.mark.parametrize(
    ("scenario", "fields_changed"),
    [
        (TODAY, set()),
        ("+2 degC", {f"air_temperature_{kind}" for kind in ("mean", "max", "min")}),
        ("JJA rain x0.5", {"precipitation"}),
        ("CO2 550", {"co2"}),
        ("N x0", {"fertiliser_ammonium", "fertiliser_nitrate"}),
        ("no tillage", {"tillage"}),
    ],
)
def test_a_scenario_changes_one_thing(field, scenario, fields_changed):
    assert changed(field, SCENARIOS[scenario](field)) == fields_changed


def test_rain_is_taken_in_summer_only(field):
    dry = times(summer_only=True, precipitation=0.0)(field).precipitation.reshape(2, 365)
    usual = field.precipitation.reshape(2, 365)
    assert np.all(dry[:, 151:243] == 0.0)
    np.testing.assert_array_equal(dry[:, :151], usual[:, :151])
    np.testing.assert_array_equal(dry[:, 243:], usual[:, 243:])


def test_warm_air_of_the_same_relative_humidity_is_drier(field):
    field = dataclasses.replace(field, air_temperature_mean=0.0 * field.occupied + 20.0)
    warm = warmer(2.0, same_humidity=True)(field)
    np.testing.assert_allclose(warm.air_temperature_mean, 22.0)
    # Saturation pressure at 20 and 22 degC: 2.338 and 2.644 kPa (FAO-56 Table 2.3).
    ratio = warm.vapour_pressure_deficit.sum() / field.vapour_pressure_deficit.sum()
    np.testing.assert_allclose(ratio, 2.644 / 2.338, rtol=1e-3)


CHANGE = responses.change("N x0", "corn", "yield", -50, -30, "trials")


@pytest.mark.parametrize(
    ("yields", "deficit", "verdict"),
    [
        (60.0, "", responses.OK),
        (90.0, "", responses.FAILS),
        (90.0, "too little", responses.KNOWN),
        (60.0, "too little", responses.CURED),
        (float("nan"), "", responses.FAILS),
    ],
)
def test_verdicts(yields, deficit, verdict):
    found = experiment(corn_yield={"N x0": yields})
    assert dataclasses.replace(CHANGE, deficit=deficit).verdict(found) == verdict


def test_changes_are_against_today_or_another_scenario():
    found = experiment(corn_yield={"JJA rain x0.5": 80.0, "JJA rain x0": 60.0})
    both = responses.change("JJA rain x0", "corn", "yield", -99, 0, "", against="JJA rain x0.5")
    assert both.measure(found) == pytest.approx(-25.0)
    assert both.scenario == "JJA rain x0 of JJA rain x0.5"


def test_of_a_rotation_both_crops_count():
    found = experiment(corn_Rh={"no tillage": 120.0}, soybean_Rh={"no tillage": 90.0})
    assert responses.change("no tillage", "rotation", "Rh", 0, 9, "").measure(
        found
    ) == pytest.approx(5.0)


def test_a_plateau_is_concave_and_a_surplus_convex():
    found = experiment(
        corn_yield={"N x0": 60.0, "N x1.5": 102.0}, corn_N2O={"N x0": 50.0, "N x1.5": 200.0}
    )
    assert responses.bend("corn", "yield", 0, 0, "").measure(found) == pytest.approx(10.0)
    assert responses.bend("corn", "N2O", 0, 0, "").measure(found) == pytest.approx(400.0)
    assert np.isnan(responses.bend("corn", "Rh", 0, 0, "").measure(found))


def test_requirements_are_written_as_signs_or_brackets():
    assert CHANGE.required == "-50 to -30"
    assert dataclasses.replace(CHANGE, low=0, high=responses.ANY).required == "> 0"
    assert dataclasses.replace(CHANGE, low=-responses.ANY, high=0).required == "< 0"


def test_every_scenario_is_asked_about():
    asked = " ".join(check.scenario for check in responses.CHECKS)
    assert [name for name in SCENARIOS if name not in asked] == []


def test_the_program_prints_levels_and_verdicts(tmp_path, capsys):
    out = tmp_path / "responses.md"
    assert responses.report(experiment(), responses.ResponsesConfig(out=out), seconds=1.0) == 1
    printed = capsys.readouterr().out
    assert "FAILS" in printed
    assert f"of {len(responses.CHECKS)} responses are as required" in printed
    assert out.read_text().count("| N x0 | corn |") == 2


def test_less_than_a_rotation_is_refused(run_program):
    status, _, error = run_program(responses, responses.ResponsesConfig, "--years", 1)
    assert status == 2
    assert "expected at least 2 years" in error
