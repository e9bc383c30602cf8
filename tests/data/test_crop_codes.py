"""Crops as files name them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kgml_jax.data import crop_codes
from kgml_jax.data.assemble import assemble
from kgml_jax.data.choices import DataChoice, OtherData
from kgml_jax.data.quality import finish
from kgml_jax.data.read import read
from kgml_jax.data.schema import ReadOptions
from kgml_jax.errors import DataError


@pytest.fixture
def site(per_site):
    return per_site(("north",))[0]


def grown(site, *codes):
    days = site.sizes["time"]
    site["crop"] = ("time", np.resize(np.asarray(codes, float), days), {"units": "1"})
    return site


def rows(site, **options):
    return finish(site, ReadOptions(**options))[0]["crop"].to_numpy()


@pytest.mark.parametrize("code", [len(crop_codes.NAMES), -2, 0.5, 36])
def test_a_code_that_is_no_row_of_the_table_is_refused(site, code):
    with pytest.raises(DataError, match=rf"north, variable crop.*no row.*found {code}"):
        finish(grown(site, 0, code), ReadOptions())


def test_assembling_refuses_what_no_reader_saw(per_site):
    one = grown(per_site(("north",))[0], len(crop_codes.NAMES))
    with pytest.raises(DataError, match=r"north.*crop.*no row"):
        assemble([one])


def test_codes_of_the_cropland_data_layer_are_a_choice(site):
    codes = (1, 5, 24, 21, 31, 34, 41, 43, 47)
    done, notes = finish(grown(site, *codes), ReadOptions(crop_codes="cdl"))
    names = [crop_codes.NAMES[row] for row in done["crop"].to_numpy()[:8].astype(int)]
    assert names[:4] == ["corn", "soybean", "winter wheat", "spring barley"]
    assert names[4:] == ["rapeseed", "rapeseed", "sugar beet", "potato"]
    assert done["crop"][8] == -1
    assert any("codes 47" in note.message for note in notes if note.kind == "warning")


def test_other_files_than_those_of_a_run_may_have_other_codes():
    origin = DataChoice(data=Path("a"), crop_codes="cdl", quality_scale="flags", worst_flag=2)
    assert OtherData(Path("b")).after(origin) == replace(origin, data=Path("b"))
    other = OtherData(Path("b"), crop_codes="table").after(origin)
    assert (other.crop_codes, other.quality_scale) == ("table", "flags")


def test_numbers_that_other_vocabularies_know_are_no_rows_in_a_file(site, tmp_path):
    site.attrs = {}
    grown(site, 1, 5).to_netcdf(tmp_path / "a.nc")
    # 5 is soybean in both vocabularies, and the row of spring barley: only its name means that.
    with pytest.raises(DataError, match=r"(?s)a.nc.*--crop-codes cdl.*--crop-codes kgml-ag"):
        read(tmp_path / "a.nc")
    site = site.assign(crop=("time", named(site, "spring barley", "Silage_Maize").astype(str)))
    site.to_netcdf(tmp_path / "b.nc")
    found = read(tmp_path / "b.nc").sites[0]["crop"].to_numpy()[:2].astype(int)
    assert [crop_codes.NAMES[row] for row in found] == ["spring barley", "silage corn"]


def test_codes_of_kgml_ag_are_a_choice(site):
    np.testing.assert_array_equal(rows(grown(site, 1, 5), crop_codes="kgml-ag")[:2], [0, 1])


def test_an_occupied_field_of_an_unknown_crop_is_said_to_be_bare(site):
    grown(site, -1, 0)
    site["occupied"] = ("time", np.ones(site.sizes["time"]), {"units": "1"})
    _, notes = finish(site, ReadOptions())
    counts = [note.count for note in notes if "bare ground" in note.message]
    assert counts == [site.sizes["time"] // 2]


def named(site, *names):
    return np.resize(np.asarray(names, dtype=object), site.sizes["time"])


def test_crops_may_be_given_by_name(site, tmp_path):
    names = named(site, "Corn", "soybeans", "winter_wheat", "")
    table = pd.DataFrame({"time": site["time"].to_numpy()})
    forcing = [name for name in map(str, site.data_vars) if site[name].dims == ("time",)]
    for name in forcing:
        table[f"{name} [{site[name].attrs['units']}]"] = site[name].to_numpy()
    table.assign(crop=names).to_csv(tmp_path / "a.csv", index=False)
    site["crop"] = ("time", names.astype(str))
    site.attrs = {}
    site.to_netcdf(tmp_path / "b.nc")
    for name in ("a.csv", "b.nc"):
        done = read(tmp_path / name).sites[0]
        np.testing.assert_array_equal(done["crop"][:4], [0, 1, 2, -1])
    with pytest.raises(DataError, match=r"crop.*holds names"):
        read(tmp_path / "a.csv", options=ReadOptions(crop_codes="cdl"))


def test_names_are_those_of_the_table_of_events_and_what_stands_for_them_is_told(site, tmp_path):
    site["crop"] = ("time", named(site, "MAZ", "rye", "sorghum", "unknown").astype(str))
    site.attrs = {}
    site.to_netcdf(tmp_path / "a.nc")
    reading = read(tmp_path / "a.nc")
    np.testing.assert_array_equal(reading.sites[0]["crop"][:4], [0, 2, -1, -1])
    told = {note.message: (note.kind, note.site) for note in reading.notes}
    assert told["rye: simulated as winter wheat"] == ("converted", "a")
    assert told["sorghum: no row of the crop table: bare ground"] == ("warning", "a")


def test_a_name_that_the_season_would_decide_is_refused(site, tmp_path):
    site["crop"] = ("time", named(site, "corn", "wheat").astype(str))
    site.attrs = {}
    site.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match=r"b.nc.*crop.*'wheat'.*winter wheat or spring wheat"):
        read(tmp_path / "b.nc")


def test_an_unknown_name_is_refused(site, tmp_path):
    site["crop"] = ("time", named(site, "corn", "okra").astype(str))
    site.attrs = {}
    site.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match=r"b.nc.*crop.*'okra'.*corn, soybean, winter wheat"):
        read(tmp_path / "b.nc")


@pytest.mark.parametrize(("name", "why"), [("Rice", "flooded"), ("olive", "woody")])
def test_rice_and_woody_crops_are_refused_in_words(site, tmp_path, name, why):
    site["crop"] = ("time", named(site, "corn", name).astype(str))
    site.attrs = {}
    site.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match=rf"b.nc.*{name.lower()}.*{why}"):
        read(tmp_path / "b.nc")
