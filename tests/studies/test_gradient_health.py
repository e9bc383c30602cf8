import numpy as np
import pytest
import xarray as xr
from studies.process_model import gradient_health, sensitivity

DAYS = np.array([1.0, 3.0, 1.0, 3.0])
"""Values of an output in every year: mean 2, standard deviation 1."""


@pytest.mark.slow
@pytest.mark.parametrize("situation", sensitivity.SITUATIONS, ids=lambda made: made.__name__)
def test_slopes_are_zero_exactly_where_they_must_be_and_nowhere_else(situation):
    made = situation(2)
    slope = sensitivity.slopes(made)["slope"]
    assert np.all(np.isfinite(slope))
    dead = (slope == 0.0).all(("field", "year", "day"))
    expected = dead["parameter"].isin(made.idle) | dead["output"].isin(made.still)
    wrong = (dead != expected).stack(pair=("parameter", "output"))
    assert wrong["pair"].values[wrong.values].tolist() == []


@pytest.mark.slow
def test_slopes_agree_with_finite_differences():
    made = sensitivity.rotations(2)
    data = sensitivity.slopes(made)
    difference = sensitivity.disagreement(data, sensitivity.differences(made))
    assert difference.max() < gradient_health.AGREE, difference.idxmax("parameter")


@pytest.mark.slow
def test_gradients_stay_healthy_for_eighteen_years():
    assert list(gradient_health.found_faults(gradient_health.examine(18, 0.05))) == []


def toy(first, second=0.0):
    """Slopes of two parameters in two years of four days; the first of two outputs flows."""
    slope = np.zeros((2, 2, 1, 2, 4))
    slope[0], slope[1] = first, second
    dims = ("output", "field", "year", "day")
    return xr.Dataset(
        {
            "value": (dims, np.broadcast_to(DAYS, slope.shape[1:])),
            "slope": (("parameter", *dims), slope),
        },
        coords={"parameter": ["rate", "initial_rate"], "output": ["GPP", "SOM"]},
    )


def test_slopes_are_measured_by_the_spread_of_fluxes_and_by_the_mean_of_stocks():
    found = sensitivity.normalised(toy(3.0))
    np.testing.assert_allclose(found.sel(parameter="rate"), [3.0, 1.5])
    np.testing.assert_allclose(found.sel(parameter="initial_rate"), 0.0)


def test_zero_slopes_count_on_days_on_which_the_output_flows():
    data = toy([0.0, 1.0, 0.0, 1e-17])
    data["value"] = xr.where(data["day"] == 0, 0.0, data["value"])
    share = sensitivity.zero_share(data).sel(output="GPP")
    np.testing.assert_allclose(share, [2 / 3, 1.0])


def test_disagreement_is_relative_to_the_largest_slope():
    data = toy(np.array([[1.0], [4.0]]), 1e-30)
    finite = data["slope"].mean("day") + xr.DataArray([0.2, 1e-9], dims="parameter")
    found = sensitivity.disagreement(data, finite).sel(output="GPP")
    np.testing.assert_allclose(found, [0.05, 1e-4], rtol=1e-6)  # the second slope is lost


def test_growth_compares_the_last_rotation_with_the_first():
    years = np.array([1.0, -1.0, 5.0, 2.0, 4.0])[:, None]
    data = toy(0.0).isel(year=[0] * 5)
    data["slope"] = data["slope"] + xr.DataArray(years, dims=("year", "day")).isel(day=[0] * 4)
    np.testing.assert_allclose(sensitivity.late_over_early(data), 3.0)
    nine = np.array([0.0, 9.0, 9.0, 1.0, 2.0, 3.0, -4.0, 4.0, 4.0])[:, None]
    longer = data.isel(year=[0] * 9)
    longer["slope"] = 0.0 * longer["slope"] + xr.DataArray(nine, dims=("year", "day"))[:, [0] * 4]
    np.testing.assert_allclose(sensitivity.growth(longer), 2.0)
    assert np.all(np.isnan(sensitivity.growth(data)))
    still = sensitivity.late_over_early(toy(0.0))
    assert np.all(np.isnan(still))


def test_the_norm_at_a_horizon_is_over_parameters():
    data = toy(np.array([[3.0], [6.0]]), np.array([[4.0], [8.0]]))
    norm = sensitivity.by_horizon(data)
    assert norm["horizon"].values.tolist() == [1, 2]
    np.testing.assert_allclose(norm.sel(output="GPP"), [5.0, 10.0])


def test_the_cap_is_about_carbon_and_parameters_of_the_dynamics():
    data = toy([0.1, 0.6, 0.1, 0.1], 9.0)
    cap = sensitivity.carbon_cap(data)
    np.testing.assert_allclose(cap.sel(parameter="rate"), 0.2)
    assert np.isnan(cap.sel(parameter="initial_rate"))


def test_two_parameters_that_act_alike_are_one_direction():
    pattern = np.array([1.0, -1.0, 1.0, 0.0])
    alike = sensitivity.directions(toy(pattern, 2.0 * pattern), 0.05)
    apart = sensitivity.directions(toy(pattern, pattern[::-1]), 0.05)
    assert alike.sel(output="GPP") == 1
    assert apart.sel(output="GPP") == 2


def healthy():
    names = {"parameter": ["rate", "initial_rate"], "output": ["GPP", "SOC"]}
    pair = lambda value: (tuple(names), np.full((2, 2), value))
    return xr.Dataset(
        {
            "normalised": pair(0.5),
            "zero_share": pair(0.1),
            "disagreement": pair(1e-8),
            "late_over_early": pair(30.0),
            "growth": pair(1.5),
            "carbon_cap": ("parameter", [0.1, np.nan]),
            "directions": ("output", [2, 1]),
            "norm": (("output", "horizon"), [[1.0, 2.0], [3.0, 4.0]]),
        },
        coords={**names, "horizon": [1, 18]},
    )


def test_a_healthy_model_has_no_faults():
    assert list(gradient_health.found_faults(healthy())) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("disagreement", 1e-3, "slope by rate disagrees with finite differences: GPP"),
        ("normalised", np.nan, "slope by rate is not finite: GPP"),
        ("normalised", 0.0, "slope by rate is dead: GPP"),
        ("growth", 6.0, "slope by rate grows without bound: GPP"),
    ],
)
def test_every_fault_is_named(name, value, words):
    health = healthy()
    health[name].loc["rate", "GPP"] = value
    assert list(gradient_health.found_faults(health)) == [words]


def test_stocks_may_grow_for_decades_but_not_beyond_the_cap():
    health = healthy()
    health["growth"].loc[:, "SOC"] = 20.0
    assert list(gradient_health.found_faults(health)) == []
    health["carbon_cap"].loc["rate"] = 0.4
    assert list(gradient_health.found_faults(health)) == ["rate moves organic carbon by 0.40"]


def test_tables_show_every_parameter_and_what_an_output_tells():
    health = healthy()
    health["normalised"].loc["initial_rate", "GPP"] = 0.04
    sheets = list(gradient_health.tabulated(health, 0.05))
    assert [len(sheet.rows) for sheet in sheets] == [2] * 7
    for sheet in sheets:
        assert {len(row) for row in sheet.rows} == {len(sheet.header)}
    assert sheets[0].rows[0] == ("rate", "50", "50")
    assert sheets[5].rows[0] == ("GPP", "1", "2", "rate 50%")


def test_the_program_writes_tables_numbers_and_a_map(tmp_path, capsys):
    config = gradient_health.HealthConfig(years=2, out=tmp_path)
    assert gradient_health.report(healthy(), config, seconds=1.0) == 0
    assert "4 slopes over 2 years; 0 faults" in capsys.readouterr().out
    written = xr.load_dataset(tmp_path / "gradient_health.nc")
    assert written.attrs["threshold"] == 0.05
    assert "| rate | 50 | 50 |" in (tmp_path / "gradient_health.md").read_text()
    assert (tmp_path / "gradient_health.png").stat().st_size > 10_000


def test_less_than_a_rotation_is_refused(run_program):
    status, _, error = run_program(gradient_health, gradient_health.HealthConfig, "--years", 1)
    assert status == 2
    assert "expected at least 2 years" in error
