"""Data of another form than days by site are refused with what makes days by site of them."""

import zipfile
from functools import partial

import pandas as pd
import pytest
import refusals
import xarray as xr

from kgml_jax.data.read import collect, read
from kgml_jax.errors import DataError

refused = partial(refusals.refused, read)


def follow(recipe, folder, monkeypatch):
    """Runs the lines of Python of a recipe where the file lies."""
    monkeypatch.chdir(folder)
    lines = "\n".join(line.strip() for line in recipe.splitlines())
    exec(lines, {"xarray": xr, "pandas": pd})


def recipe_of(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value.recipe


def hourly(daily):
    return daily.drop_vars(["latitude", "group"]).isel(time=slice(0, 30)).resample(time="h").ffill()


def table_of(dataset, **options):
    frame = dataset.to_dataframe().reset_index()
    units = {
        name: f"{name} [{dataset[name].attrs['units']}]"
        for name in dataset.data_vars
        if name in frame
    }
    return frame.rename(columns=units, **options)


@pytest.mark.parametrize(
    ("mark", "step"), [("HH", "half-hourly"), ("WW", "weekly"), ("MM", "monthly"), ("YY", "yearly")]
)
def test_a_flux_file_of_another_step_says_which_and_where_the_daily_one_is(tmp_path, mark, step):
    path = tmp_path / f"FLX_US-Aa1_FLUXNET2015_SUBSET_{mark}_2001-2002_1-4.csv"
    path.write_text("TIMESTAMP,TA_F\n2001,1\n2002,1\n")
    refused(path, f"a {step} one", "unzip -j", "_DD_")
    refused(tmp_path, f"a {step} one", "unzip -j")


def test_a_half_hourly_table_of_another_name_is_known_by_its_columns(tmp_path):
    path = tmp_path / "tower.csv"
    path.write_text("TIMESTAMP_START,TIMESTAMP_END,TA_F\n200101010000,200101010030,1\n")
    refused(path, "half-hourly or hourly", "TIMESTAMP_START", "_DD_")


def test_an_ameriflux_base_file_is_told_by_its_comment_lines(tmp_path):
    for name in ("AMF_US-CRT_BASE_2-5.csv", "AMF_US-CRT_BASE_HH_2-5.csv"):
        path = tmp_path / name
        path.write_text("# Site: US-CRT\n# Version: 2-5\nTIMESTAMP_START,TA\n201101010000,1\n")
        refused(path, "comment lines", "BASE", "AmeriFlux FLUXNET")


def in_parts(table, *parts):
    """Columns of a year, a month, a day (of the year) or an hour in place of dates."""
    time = pd.DatetimeIndex(table["time"])
    values = {"YEAR": time.year, "month": time.month, "day": time.day, "hour": time.hour}
    values["doy"] = time.day_of_year
    return table.drop(columns="time").assign(**{part: values[part] for part in parts})


@pytest.mark.parametrize("parts", [("YEAR", "doy"), ("YEAR", "month", "day")])
def test_dates_in_parts_become_dates_by_the_recipe(schema, tmp_path, monkeypatch, parts):
    path = tmp_path / "parts.csv"
    daily = schema().drop_vars(["latitude", "group"])
    in_parts(table_of(daily), *parts).to_csv(path, index=False)
    refused(path, "dates in parts", "column time")
    follow(recipe_of(path), tmp_path, monkeypatch)
    assert [site.sizes["time"] for site in read(tmp_path / "daily.csv").sites] == [730, 730]


def test_hours_in_parts_become_days_by_the_recipe(schema, tmp_path, monkeypatch):
    path = tmp_path / "parts.csv"
    in_parts(table_of(hourly(schema())), "YEAR", "doy", "hour").to_csv(path, index=False)
    refused(path, "hourly values")
    follow(recipe_of(path), tmp_path, monkeypatch)
    assert [site.sizes["time"] for site in read(tmp_path / "daily.csv").sites] == [30, 30]


def test_months_in_parts_are_refused_without_a_way(schema, tmp_path):
    path = tmp_path / "parts.csv"
    daily = schema().drop_vars(["latitude", "group"])
    in_parts(table_of(daily), "YEAR", "month").to_csv(path, index=False)
    refused(path, "monthly values", "cannot be made")


@pytest.mark.parametrize(
    ("stamps", "step"),
    [
        (["200101", "200102", "200103", "200104"], "monthly"),
        (["2001", "2002", "2003", "2004"], "yearly"),
        (["2001-01-01", "2001-02-01", "2001-03-01", "2001-04-01"], "monthly"),
        (["200101010000", "200101010030", "200101010100"], "hourly"),
        (
            ["2001-01-01T00:00", "2001-01-01T01:00", "2001-01-01T02:00", "2001-01-01T03:00"],
            "hourly",
        ),
    ],
)
def test_a_daily_table_with_dates_of_another_step_is_told(tower, write_tower, stamps, step):
    table = tower().iloc[: len(stamps)].assign(TIMESTAMP=stamps)
    refused(write_tower(table, years="2001-2001"), f"{step} values", "one row a day")


def test_an_hourly_file_becomes_daily_by_its_recipe(schema, tmp_path, monkeypatch):
    daily = schema()
    path = tmp_path / "hours.nc"
    hourly(daily).to_netcdf(path)
    follow(recipe_of(path), tmp_path, monkeypatch)
    (one, other) = read(tmp_path / "daily.nc").sites
    assert one.sizes["time"] == 30
    # A mean of equal hours in double precision.
    expected = daily["air_temperature_mean"].isel(site=0)[:29]
    assert abs(one["air_temperature_mean"][:29].to_numpy() - expected.to_numpy()).max() < 1e-12
    assert other.attrs["site"] == "south"


def test_an_hourly_table_becomes_daily_by_its_recipe(schema, tmp_path, monkeypatch):
    path = tmp_path / "hours.csv"
    table_of(hourly(schema())).to_csv(path, index=False)
    follow(recipe_of(path), tmp_path, monkeypatch)
    assert [site.sizes["time"] for site in read(tmp_path / "daily.csv").sites] == [30, 30]


def test_a_monthly_file_is_refused_without_a_way(schema, tmp_path):
    path = tmp_path / "months.nc"
    schema().resample(time="MS").mean(keep_attrs=True).to_netcdf(path)
    refused(path, "monthly values", "cannot be made", "2001-01-01")


@pytest.mark.parametrize("names", [{"site": "station"}, {"site": "plot", "time": "date"}])
def test_other_names_of_dimensions_are_renamed_by_the_recipe(schema, tmp_path, monkeypatch, names):
    path = tmp_path / "stations.nc"
    schema().rename(names).to_netcdf(path)
    refused(path, "dimensions", names["site"], "(site, time)")
    follow(recipe_of(path), tmp_path, monkeypatch)
    assert [site.attrs["site"] for site in read(tmp_path / "sites.nc").sites] == ["north", "south"]


def test_the_cells_of_a_grid_become_sites_by_the_recipe(schema, tmp_path, monkeypatch):
    dataset = schema().drop_vars(["latitude", "group"])
    cells = dataset.rename(site="lat").assign_coords(lat=[40.0, 50.0])
    path = tmp_path / "grid.nc"
    cells.expand_dims(lon=[1.0, 2.0]).to_netcdf(path)
    follow(recipe_of(path), tmp_path, monkeypatch)
    assert len(read(tmp_path / "sites.nc").sites) == 4


def test_a_spreadsheet_is_refused_with_the_way_to_a_table(tmp_path):
    path = tmp_path / "data.xlsx"
    path.write_bytes(b"PK")
    refused(path, "unknown kind", 'pandas.read_excel("data.xlsx").to_csv')


def test_an_archive_of_another_kind_is_to_be_unpacked(tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(b"PK")
    refused(path, "unknown kind", "unzip data.zip -d data")


def test_an_icos_archive_is_read_like_a_fluxnet_one(tower, tmp_path):
    path = tmp_path / "ICOSETC_BE-Aa1_ARCHIVE_L2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ICOSETC_BE-Aa1_FLUXNET_DD_L2.csv", tower().to_csv(index=False))
        archive.writestr("ICOSETC_BE-Aa1_FLUXNET_HH_L2.csv", "TIMESTAMP_START,TA_F\n")
    (site,) = read(path).sites
    assert site.attrs["site"] == "BE-Aa1"
    assert site.sizes["time"] == 730


def test_an_icos_archive_without_a_daily_file_says_what_it_holds(tmp_path):
    path = tmp_path / "ICOSETC_BE-Aa1_ARCHIVE_L2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ICOSETC_BE-Aa1_METEO_L2.csv", "TIMESTAMP_START,TA\n")
    refused(path, "holds no daily file", "ICOSETC_BE-Aa1_METEO_L2.csv", "_DD_")


def test_data_that_are_not_read_are_named(tower, write_tower, tmp_path):
    write_tower(tower())
    (tmp_path / "weather.csv").write_text("")
    (tmp_path / "notes.txt").write_text("nothing to read")
    (note,) = [note for note in collect(tmp_path).notes if not note.site]
    assert "weather.csv, notes.txt" in note.message
