import dataclasses

import numpy as np
import pytest
import xarray as xr
from invented_field import DATES, ROTATION, on
from studies.measured_fields import readers, simulated
from studies.measured_fields.catalogue import MEAD
from studies.measured_fields.management import CORN, SOYBEAN
from studies.real_check import program, tables


def test_mead_rotates_corn_in_odd_and_soybean_in_even_years(data_folder):
    rotation = readers.table(
        data_folder,
        "site_ancillary/rotation_years_sinha2022/US-Ne3_corn_soybean_rotation_years.csv",
    )
    for row, name in tables.CROPS.items():
        years = {int(season.planted[:4]) for season in MEAD.seasons if season.row == row}
        assert years <= set(rotation.numbers(name).astype(int).tolist())


def test_without_data_the_program_says_which_file_is_missing(run_program, tmp_path):
    status, out, err = run_program(
        program, program.RealCheckConfig, "--data", tmp_path, "--out", tmp_path / "out"
    )
    assert (status, out) == (2, "")
    assert err.startswith("error: no such file")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def result_of(history, days, **outputs):
    names = ("GPP", "Ra", "Rh", "Reco", "NEE", "ET", "grain_yield", "plant_carbon")
    zero = dict.fromkeys((*names, "above_ground_carbon"), np.zeros(len(days)))
    daily = xr.Dataset(
        {name: ("time", np.asarray(values)) for name, values in (zero | outputs).items()},
        coords={"time": days.astype("datetime64[ns]")},
    )
    return simulated.Result(readers.MeasuredField(history, xr.Dataset(), ()), daily)


def monthly_fluxes(years, quality):
    months = np.arange(np.datetime64(f"{years[0]}-01"), np.datetime64(f"{years[-1] + 1}-01"))
    values = {name: np.full(len(months), -1.0) for name in (*tables.FLUXES, "ET_closed")}
    values["quality"] = np.repeat(quality, 12)
    columns = {name: ("month", column) for name, column in values.items()}
    return xr.Dataset(columns, coords={"month": months.astype("datetime64[ns]")})


def test_years_are_sums_over_days_and_poorly_measured_years_are_left_out():
    days = DATES[on("2001-01-01") :]
    harvest = np.where(days == np.datetime64("2001-09-30"), 9.0, 0.0)
    result = result_of(ROTATION, days, NEE=np.full(len(days), -2.0), grain_yield=harvest)
    years = tables.annual(result, monthly_fluxes((2001, 2002), (0.9, 0.3)))
    assert years["year"].values.tolist() == [2001]
    assert years["crop"].item() == CORN
    assert years["NEE_observed"].item() == -365
    assert years["NEE_simulated"].item() == -730
    assert years["yield_simulated"].item() == 9.0
    assert np.isnan(years["yield_observed"].item())
    grid = tables.annual_grid(years, "plot")
    assert grid.rows[0][:3] == ("plot", "2001", "corn")
    assert len({len(row) for row in (grid.columns, *grid.rows)}) == 1


def test_months_are_paired_by_date():
    days = DATES[on("2001-01-01") :]
    month = days.astype("datetime64[M]").astype(int) % 12
    result = result_of(ROTATION, days, GPP=month.astype(float))
    months = tables.monthly(result, monthly_fluxes((2000, 2002), (1, 1, 1)), np.array([2002]))
    np.testing.assert_allclose(months["GPP_simulated"], np.arange(12))
    np.testing.assert_array_equal(months["GPP_observed"], -1)


def test_roots_respire_their_share_of_plant_carbon():
    result = result_of(
        ROTATION,
        DATES[:3],
        Ra=np.array([0.0, 4.0, 4.0]),
        plant_carbon=np.array([0.0, 100.0, 100.0]),
        above_ground_carbon=np.array([0.0, 75.0, 100.0]),
    )
    np.testing.assert_allclose(tables.root_respiration(result), [0.0, 1.0, 0.0])


def test_yields_are_compared_without_their_trends():
    years = np.arange(2000.0, 2010.0)
    weather = np.resize([0.5, -0.5, 0.3], len(years))
    observed = 8 + 0.2 * (years - 2000) + weather
    pairs = np.stack([years, observed, 10 + 2 * weather], axis=1)
    row = tables.county_grid({CORN: pairs, SOYBEAN: pairs}).rows[0]
    assert row[:3] == ("Champaign county", "corn", "2000–2009")
    assert float(row[-1]) == pytest.approx(1.0, abs=5e-3)
    assert float(row[5]) == pytest.approx(10 - 8.9 + weather.mean(), abs=6e-3)


def test_daily_series_carry_units_and_nothing_outside_a_record():
    days = DATES[on("2001-04-25") : on("2001-05-20")]
    outputs = {name: np.ones(len(days)) for name in simulated.OUTPUTS}
    first = result_of(ROTATION, days, **outputs)
    other = dataclasses.replace(ROTATION, site="other")
    second = result_of(other, days[5:], **{name: np.ones(len(days) - 5) for name in outputs})
    series = program.daily_series([first, second])
    assert series["site"].values.tolist() == ["plot", "other"]
    assert series["GPP"].attrs["units"] == "g C m-2 d-1"
    assert series["grain_yield"].attrs["units"] == "Mg ha-1"
    np.testing.assert_array_equal(series["NEE"].sel(site="plot"), 1)
    np.testing.assert_array_equal(series["NEE"].sel(site="other"), [np.nan] * 5 + [1] * 20)


@pytest.mark.slow
def test_uncalibrated_corn_takes_up_more_carbon_than_soybean_at_mead(data_folder):
    two_years = dataclasses.replace(MEAD, period=("2002-01-01", "2003-12-31"))
    observed = readers.mead_fluxes(data_folder)
    result = simulated.simulate([readers.mead(data_folder, two_years)])[0]
    years = tables.annual(result, observed)
    assert years["year"].values.tolist() == [2002, 2003]
    assert years["crop"].values.tolist() == [SOYBEAN, CORN]
    np.testing.assert_allclose(years["NEE_observed"], [79, -331], atol=1)
    soybean, corn = years["NEE_simulated"].values
    assert corn < -200
    assert corn < soybean - 200
    for name, values in years.data_vars.items():
        assert np.isfinite(values).all(), name
    rows = tables.contrast_grid(years, "US-Ne3").rows
    assert [row[1] for row in rows] == ["observed", "simulated"]
    assert all(float(row[-1]) < 0 for row in rows)
