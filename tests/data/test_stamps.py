"""Days are those that the stamps say, whatever the zone, and other series are named as such."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import refusals

from kgml_jax.data import stamps
from kgml_jax.data.read import read

refused = partial(refusals.refused, read)


def counted(schema, units, calendar=None, sites=("north",)):
    """Days as numbers since the start of 2001, as a file holds them."""
    dataset = schema(sites)
    numbers = np.arange(dataset.sizes["time"])
    attrs = {"units": units} | ({"calendar": calendar} if calendar else {})
    return dataset.assign_coords(time=("time", numbers, attrs))


def first_and_last(path):
    time = read(path).sites[0]["time"].to_numpy()
    return str(time[0])[:10], str(time[-1])[:10]


@pytest.mark.parametrize(
    "start", ["2001-01-01 00:00:00", "2001-1-1 0:0", "2001-01-01T12", "2001-01-01"]
)
def test_a_zone_is_taken_off_the_units_of_time_and_a_date_is_none(start):
    plain = f"days since {start}"
    assert stamps.without_zone(plain) == (plain, None)
    zones = ["Z", " UTC", " GMT"]
    zones += ["-6:00", "+6:00", " +09:30", "-06", " +1100"] if ":" in start else []
    for zone in zones:
        assert stamps.without_zone(plain + zone) == (plain, zone.strip())


@pytest.mark.parametrize("zone", ["-6:00", "+11:00"])
def test_a_zone_in_the_units_of_time_moves_no_day(schema, tmp_path, zone):
    path = tmp_path / "a.nc"
    counted(schema, f"days since 2001-01-01 00:00:00 {zone}").to_netcdf(path, engine="scipy")
    assert first_and_last(path) == ("2001-01-01", "2002-12-31")
    (note,) = [note for note in read(path).notes if note.variable == "time"]
    assert zone in note.message


@pytest.mark.parametrize("zone", ["-06:00", "+1000", " UTC"])
def test_a_zone_in_the_stamps_of_a_table_moves_no_day(schema, tmp_path, zone):
    path = tmp_path / "a.csv"
    table = schema().drop_vars(["latitude", "group"]).to_dataframe().reset_index()
    table["time"] = table["time"].dt.strftime("%Y-%m-%dT00:00:00") + zone
    units = {
        name: f"{name} [{schema()[name].attrs['units']}]"
        for name in schema().data_vars
        if "units" in schema()[name].attrs
    }
    table.rename(columns=units).to_csv(path, index=False)
    assert first_and_last(path) == ("2001-01-01", "2002-12-31")


@pytest.mark.parametrize("calendar", ["Gregorian", "Proleptic_GREGORIAN"])
def test_the_name_of_a_calendar_may_have_any_case(schema, tmp_path, calendar):
    path = tmp_path / "a.nc"
    counted(schema, "days since 2001-01-01", calendar).to_netcdf(path, engine="scipy")
    assert first_and_last(path) == ("2001-01-01", "2002-12-31")


@pytest.mark.parametrize("calendar", ["noleap", "365_day", "360_day", "Julian"])
def test_another_calendar_is_named(schema, tmp_path, calendar):
    path = tmp_path / "a.nc"
    counted(schema, "days since 2001-01-01", calendar).to_netcdf(path, engine="scipy")
    refused(path, "a.nc", "calendar", calendar, "leap days")


def test_a_stamp_of_24_hours_is_named_as_the_end_of_its_day(schema, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,wind_speed [m s-1]\n2001-01-01 24:00,1\n2001-01-02 24:00,1\n")
    refused(path, "a.csv", "end of their days", "24:00", "YYYY-MM-DD")


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_whole_years_from_2_january_to_1_january_are_said_to_be_stamped_at_their_ends(
    schema, tmp_path, suffix
):
    dataset = schema(("north",), first="2001-01-02", last="2003-01-01")
    path = tmp_path / f"a{suffix}"
    if suffix == ".nc":
        dataset.to_netcdf(path, engine="scipy")
    else:
        dataset = dataset.drop_vars(["latitude", "group"])
        units = {name: f"{name} [{array.attrs['units']}]" for name, array in dataset.items()}
        dataset.to_dataframe().reset_index().rename(columns=units).to_csv(path, index=False)
    reading = read(path)
    said = [note.message for note in reading.notes if note.variable == "time"]
    assert len(said) == 1
    assert "as if every day were stamped at its end" in said[0]
    # It is no proof: the days are those of the stamps.
    assert str(reading.sites[0]["time"].to_numpy()[0])[:10] == "2001-01-02"


def test_bounds_without_units_are_those_of_the_stamps(schema, tmp_path):
    dataset = counted(schema, "days since 2001-01-01")
    ends = dataset["time"].to_numpy() + 1
    dataset = dataset.assign_coords(time=("time", ends, dataset["time"].attrs))
    dataset["time_bnds"] = (("time", "bnds"), np.stack([ends - 1, ends], axis=1))
    path = tmp_path / "a.nc"
    dataset.to_netcdf(path, engine="scipy")
    assert first_and_last(path) == ("2001-01-01", "2002-12-31")


@pytest.mark.parametrize(("step", "word"), [("7D", "weekly"), ("MS", "monthly"), ("30min", "hour")])
def test_a_series_of_another_step_is_named(schema, tmp_path, step, word):
    dataset = schema(("north",)).isel(time=slice(0, 100))
    times = pd.date_range("2001-01-01", periods=100, freq=step)
    path = tmp_path / "a.nc"
    dataset.assign_coords(time=times.as_unit("ns")).to_netcdf(path, engine="scipy")
    refused(path, "a.nc", word, "one row a day")


def test_hours_of_a_table_whose_stamps_have_no_time_of_day_are_named(tmp_path):
    days = np.repeat(pd.date_range("2001-01-01", periods=20).strftime("%Y-%m-%d"), 48)
    path = tmp_path / "a.csv"
    pd.DataFrame({"time": days, "wind_speed [m s-1]": 1.0}).to_csv(path, index=False)
    refused(path, "a.csv", "half-hourly or hourly", "48 rows a day")


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ("days since 2250-01-01", "1800 to 2200"),
        ("days", "no dates"),
        ("days since somewhen", "damaged"),
        ("fortnights since 2001-01-01", "damaged"),
    ],
)
def test_days_that_nobody_can_have_measured_are_refused(schema, tmp_path, units, words):
    path = tmp_path / "a.nc"
    counted(schema, units).to_netcdf(path, engine="scipy")
    refused(path, "a.nc", words)


def test_a_missing_date_is_named_by_its_place(schema, tmp_path):
    dataset = counted(schema, "days since 2001-01-01")
    numbers = dataset["time"].to_numpy().astype(float)
    numbers[4] = np.nan
    dataset = dataset.assign_coords(time=("time", numbers, dataset["time"].attrs))
    dataset.to_netcdf(tmp_path / "a.nc", engine="scipy")
    refused(tmp_path / "a.nc", "a.nc", "time", "place 5 of 730")
