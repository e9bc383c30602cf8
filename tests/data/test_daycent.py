import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_inputs import HARVESTS, daycent_days

from kgml_jax.data.assemble import assemble
from kgml_jax.data.formats import daycent
from kgml_jax.errors import DataError

LATITUDE = 40.04


@pytest.fixture
def write(tmp_path):
    def write(table, name="run_daily.csv"):
        path = tmp_path / name
        table.to_csv(path, index=False)
        return path

    return write


def test_columns_become_our_quantities_in_our_units(write):
    dataset = daycent.read(write(daycent_days()), LATITUDE).sites[0]
    table = daycent_days()
    expected = {
        "air_temperature_max": table["tmax"],
        "air_temperature_mean": 0.5 * (table["tmax"] + table["tmin"]),
        "precipitation": 10.0 * table["ppt"],
        "Rh": table["CO2resp"] / 1e4,
        "N2O": table["N2Oflux"] / 1e4,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(dataset[name], values, rtol=1e-12)
    assert dataset["Rh"].attrs["units"] == "g C m-2 d-1"
    assert dataset["N2O"].attrs["units"] == "g N m-2 d-1"
    assert str(dataset["time"].to_numpy()[-1])[:10] == "2004-12-31"
    assert dataset.attrs["site"] == "ag1"


def test_what_the_file_lacks_is_estimated_and_noted(write):
    reading = daycent.read(write(daycent_days()), LATITUDE)
    dataset = reading.sites[0]
    noted = [note for note in reading.notes if note.kind == "estimated"]
    assert "radiation, humidity, wind" in [note.variable for note in noted]
    # FAO-56: a summer day with a range of 12 degC at 40 degrees has some 20 to 25 MJ m-2.
    july = float(dataset["shortwave_radiation"].sel(time="2003-07-15"))
    assert 19.0 < july < 26.0
    assert (dataset["vapour_pressure_deficit"] >= 0).all()
    assert set(np.unique(dataset["wind_speed"])) == {2.0}


def test_harvests_give_yield_on_the_last_day_harvest_and_crop(write):
    path, harvests = write(daycent_days()), write(HARVESTS, "harvest.csv")
    dataset = daycent.read(path, LATITUDE, harvests=harvests).sites[0]
    grain = dataset["yield"]
    assert np.flatnonzero(np.isfinite(grain)).tolist() == [364, 730]
    assert grain.to_numpy()[[364, 730]].tolist() == [420.5, 90.25]
    assert np.flatnonzero(dataset["harvest"]).tolist() == [292, 365 + 209]
    # Corn is row 0; oat has no row.
    assert dataset["crop"].to_numpy()[[0, 364, 365, 730]].tolist() == [0.0, 0.0, -1.0, -1.0]


def test_the_reading_becomes_a_site_with_masks(write):
    path, harvests = write(daycent_days()), write(HARVESTS, "harvest.csv")
    reading = daycent.read(path, LATITUDE, harvests=harvests)
    site = assemble(reading, ("Rh", "N2O", "yield")).site
    assert site.mask["Rh"].all()
    assert site.mask["yield"].sum() == 2


def test_every_run_is_a_site_of_its_own(write):
    both = pd.concat([daycent_days(), daycent_days(run="soy")])
    both.loc[both["run"] == "soy", "CO2resp"] *= 2
    reading = daycent.read(write(both), LATITUDE)
    assert [dataset.attrs["site"] for dataset in reading.sites] == ["ag1", "soy"]
    first, second = (dataset["Rh"].to_numpy() for dataset in reading.sites)
    np.testing.assert_allclose(second, 2 * first)


def test_years_before_the_first_are_left_out_and_noted(write):
    table = daycent_days((2002, 2004))
    broken = table.drop(index=table.index[100])
    with pytest.raises(DataError, match=r"run_daily\.csv, site ag1.*not whole.*2002.*first_year"):
        daycent.read(write(broken), LATITUDE)
    reading = daycent.read(write(broken), LATITUDE, first_year=2003)
    assert str(reading.sites[0]["time"].to_numpy()[0])[:4] == "2003"
    assert (reading.notes[0].kind, reading.notes[0].count) == ("masked", 364)


def test_a_parquet_table_of_more_rows_than_its_size_can_hold_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    path = tmp_path / "run_daily.parquet"
    daycent_days().to_parquet(path)
    monkeypatch.setenv("KGML_JAX_LARGEST_INPUT", "1e-6")
    with pytest.raises(DataError, match=r"run_daily\.parquet.*claims to hold more values"):
        daycent.read(path, LATITUDE)


def test_parquet_holds_the_same(write, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    path = tmp_path / "run_daily.parquet"
    daycent_days().to_parquet(path)
    found = daycent.read(path, LATITUDE).sites[0]
    expected = daycent.read(write(daycent_days()), LATITUDE).sites[0]
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=str(name))


def test_a_damaged_page_of_parquet_is_refused_where_it_has_a_checksum(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "run_daily.parquet"
    plain = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    parquet.write_table(pyarrow.Table.from_pandas(daycent_days()), path, **plain)
    data = bytearray(path.read_bytes())
    data[data.index(daycent_days()["tmax"].to_numpy()[200].tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"run_daily\.parquet: is damaged"):
        daycent.read(path, LATITUDE)


@pytest.mark.parametrize("cut", ["run_daily.csv", "harvest.csv"])
def test_a_table_whose_last_line_has_no_end_is_refused(write, tmp_path, cut):
    path, harvests = write(daycent_days()), write(HARVESTS, "harvest.csv")
    (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:-2])
    with pytest.raises(DataError, match=rf"{cut}: the file is cut off.*an unfinished line"):
        daycent.read(path, LATITUDE, harvests=harvests)


def test_a_number_beyond_all_numbers_is_a_day_out_of_bounds(write):
    table = daycent_days()
    table.loc[100, "ppt"] = table.loc[200, "tmin"] = 1.7e308
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = daycent.read(write(table), LATITUDE)
    filled = {note.variable: note.count for note in reading.notes if note.kind == "filled"}
    assert filled["precipitation"] == filled["air_temperature_min"] == 1
    # What is estimated from it is filled with its neighbours, too.
    whole = daycent.read(write(daycent_days()), LATITUDE).sites[0]
    for name in ("air_temperature_mean", "shortwave_radiation", "vapour_pressure_deficit"):
        assert filled[name] == 1
        np.testing.assert_allclose(reading.sites[0][name], whole[name], rtol=0.02, atol=0.01)


def renamed(table):
    return table.rename(columns={"CO2resp": "resp", "ppt": "rain"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"run_daily\.csv, variable ppt, CO2resp: is not daily DayCent.*expected run"),
        (lambda t: t.assign(tmax="hot"), "variable tmax: is not a number"),
        (lambda t: t.assign(dayofyr=np.nan), "variable dayofyr: no value"),
        (lambda t: t.iloc[::-1], "not whole, or days out of order"),
        (lambda t: t.assign(CO2resp=-t["CO2resp"]), "Rh"),
    ],
)
def test_another_layout_is_refused_in_one_sentence(write, change, message):
    with pytest.raises(DataError, match=message):
        daycent.read(write(change(daycent_days())), LATITUDE)


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        daycent.read(tmp_path / "none_daily.csv", LATITUDE)
    with pytest.raises(DataError, match=r"text\.txt: is not daily DayCent output"):
        daycent.read(write(daycent_days(), "text.txt"), LATITUDE)
    damaged = tmp_path / "run_daily.parquet"
    damaged.write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match=r"run_daily\.parquet"):
        daycent.read(damaged, LATITUDE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(crpval=99.0), r"harvest\.csv, variable crpval: unknown crop.*3 corn"),
        (lambda t: t.drop(columns="cgrain"), r"variable cgrain: is not the harvests of DayCent"),
        (lambda t: t.assign(dayofyr=366), r"dayofyr: no day.*366.*a day of the year 2003"),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(cgrain=1.0)]),
            r"harvest\.csv: the same harvest twice \(found ag1 on day 293 of 2003\.75\)",
        ),
    ],
)
def test_harvests_of_another_layout_are_refused(write, change, message):
    path, harvests = write(daycent_days()), write(change(HARVESTS), "harvest.csv")
    with pytest.raises(DataError, match=message):
        daycent.read(path, LATITUDE, harvests=harvests)


def test_two_crops_of_one_day_are_two_harvests(write):
    both = pd.concat([HARVESTS, HARVESTS.iloc[:1].assign(crpval=60.0, cgrain=100.0)])
    path, harvests = write(daycent_days()), write(both, "harvest.csv")
    grain = daycent.read(path, LATITUDE, harvests=harvests).sites[0]["yield"]
    assert float(grain[364]) == 520.5


def test_a_run_whose_name_has_spaces_around_it_has_its_harvests(write):
    path = write(daycent_days(run=" ag1"))
    harvests = write(HARVESTS.assign(run="ag1  "), "harvest.csv")
    reading = daycent.read(path, LATITUDE, harvests=harvests)
    assert reading.sites[0].attrs["site"] == "ag1"
    assert int(np.isfinite(reading.sites[0]["yield"]).sum()) == 2
    assert not [note for note in reading.notes if note.variable == "harvest"]


def test_harvests_of_a_run_that_is_not_there_are_named(write):
    others = pd.concat([HARVESTS, HARVESTS.assign(run="soy")])
    path, harvests = write(daycent_days()), write(others, "harvest.csv")
    reading = daycent.read(path, LATITUDE, harvests=harvests)
    (note,) = [note for note in reading.notes if note.variable == "harvest"]
    assert (note.kind, note.count) == ("warning", 1)
    assert note.message == "harvests of runs that are not in the daily table: soy"


@pytest.mark.parametrize(("years", "first_year"), [((2004, 2004), None), ((2003, 2004), 2004)])
def test_harvests_of_years_that_are_not_read_are_counted(write, years, first_year):
    path, harvests = write(daycent_days(years)), write(HARVESTS, "harvest.csv")
    reading = daycent.read(path, LATITUDE, harvests=harvests, first_year=first_year)
    (note,) = [note for note in reading.notes if note.variable == "harvest"]
    assert (note.site, note.kind, note.count) == ("ag1", "left out", 1)
    assert "harvest.csv of years whose days are not read" in note.message
    assert np.flatnonzero(np.isfinite(reading.sites[0]["yield"])).tolist() == [365]


def test_the_tables_of_a_folder_are_found_by_name(write, tmp_path):
    with pytest.raises(DataError, match=r"no single table of daily.*nothing"):
        daycent.find(tmp_path)
    daily, harvests = write(daycent_days()), write(HARVESTS, "ag_harvest.csv")
    assert daycent.find(tmp_path) == (daily, harvests)
    write(daycent_days(), "other_daily.csv")
    with pytest.raises(DataError, match=r"other_daily\.csv, run_daily\.csv"):
        daycent.find(tmp_path)


@pytest.fixture
def demonstration(data_folder):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    folder = data_folder / "daycent_demo"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    return daycent.find(folder)


def test_the_real_run_is_refused_whole_and_read_from_1889(demonstration):
    daily, harvests = demonstration
    with pytest.raises(DataError, match="1868, 1871, 1872, 1876, 1880 and 3 more"):
        daycent.read(daily, LATITUDE, harvests=harvests)
    dataset = daycent.read(daily, LATITUDE, harvests=harvests, first_year=1889).sites[0]
    assert dataset.sizes["time"] == 112 * 365 + 27  # leap years; 1900 is none
    assert int(np.isfinite(dataset["yield"]).sum()) == int(dataset["harvest"].sum()) == 94
    annual = dataset["Rh"].groupby("time.year").sum()
    assert 100.0 < float(annual.sel(year=slice(1890, 1899)).mean()) < 170.0
    assert 330.0 < float(annual.sel(year=slice(1990, 1999)).mean()) < 400.0


def test_what_the_real_system_loses_is_what_it_respires(demonstration):
    """With nothing alive, DayCent's system carbon falls by `CO2resp` in our units, or a bit more.

    Days of much decay lose some hundredths more than they respire: the tables say not where to.
    """
    factor = next(column.factor for column in daycent.MAPPING if column.ours == "Rh")
    table = pd.read_parquet(demonstration[0]).query("year >= 1889")
    bare = (table["livec"] == 0).to_numpy()
    still = bare[1:] & bare[:-1]
    lost = -np.diff(table["sysc"].to_numpy())[still]
    respired = factor * table["CO2resp"].to_numpy()[1:][still]
    assert still.sum() > 10_000
    assert np.median(np.abs(lost - respired)) < 0.01
    assert 0.9 < respired.sum() / lost.sum() < 1.0


def test_the_page_states_the_mapping():
    page = (Path(__file__).parents[2] / "docs" / "daycent.md").read_text()
    for column in daycent.MAPPING:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{column.name}`"))
        units, ours, factor = (cell.strip() for cell in row.split("|")[2:5])
        assert units == column.units
        assert f"`{column.ours}`" in ours
        assert float(factor) == column.factor
