import gzip

import numpy as np
import pytest
from small_inputs import QUICK_STATS

from kgml_jax.data.assemble import assemble
from kgml_jax.data.counties import nearest_county
from kgml_jax.data.formats.county_yields import COLUMNS, load, load_all
from kgml_jax.data.grain import GRAINS, MOST_BUSHELS, grain_carbon
from kgml_jax.data.yield_targets import crops_by_year, with_yields
from kgml_jax.errors import DataError
from kgml_jax.process import crops

NAMED = """Year,State,County,Data Item,Value
2003,ILLINOIS,CHAMPAIGN,"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE",164.1
2003,ILLINOIS,CHAMPAIGN,"WHEAT, WINTER - YIELD, MEASURED IN BU / ACRE",66.0
2003,ILLINOIS,CHAMPAIGN,"WHEAT - YIELD, MEASURED IN BU / ACRE",66.0
"""
MESONET = """commodity_desc,class_desc,util_practice_desc,unit_desc,state_alpha,county_ansi,\
year,num_value
SOYBEANS,ALL CLASSES,ALL UTILIZATION PRACTICES,BU / ACRE,IA,109,2007,52.5
CORN,ALL CLASSES,GRAIN,BU / ACRE,IA,109,2007,178.6
CORN,ALL CLASSES,SILAGE,TONS / ACRE,IA,109,2007,20.0
CORN,ALL CLASSES,GRAIN,BU / ACRE,IA,998,2007,160.0
"""
YOU = """year,state_fips,county_fips,yield_bu_ac
2002,17,19,49.0
2016,1,47,0.0
2015,1,47,29.7
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="corn.csv"):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def rows(yields):
    keys = ["county", "state", "crop", "year", "source_value"]
    return [tuple(row) for row in yields.table[keys].itertuples(index=False)]


def counts(yields):
    return {note.kind + " " + note.variable: note.count for note in yields.notes}


def test_grain_has_the_carbon_and_moisture_of_the_crop_table():
    for grain in GRAINS.values():
        traits = crops.TABLE[grain.row]
        assert (grain.carbon, grain.moisture) == (traits["grain_carbon"], traits["market_moisture"])


@pytest.mark.parametrize("crop", GRAINS)
def test_grain_carbon_gives_back_the_bushels_through_the_process_model(crop):
    traits = crops.lookup(np.asarray(GRAINS[crop].row))
    tonnes = crops.market_yield(traits, grain_carbon(crop, np.asarray(100.0)))
    # A bushel of 56 or 60 pounds an acre is 0.062768 or 0.067251 Mg ha-1.
    expected = 6.2768 if crop == "corn" else 6.7251
    assert float(tonnes) == pytest.approx(expected, rel=1e-4)


def test_quick_stats_keeps_single_counties_and_marks_what_is_withheld(write):
    yields = load(write(QUICK_STATS))
    expected = [
        ("17019", "IL", "corn", 2001, 170.0),
        ("17019", "IL", "soybean", 2002, 50.0),
        ("17147", "IL", "corn", 2001, 150.0),
    ]
    assert rows(yields)[:3] == expected
    assert yields.table["yield"].isna().tolist() == [False, False, False, True]
    assert counts(yields) == {"warning yield": 1, "warning county": 1, "masked yield": 1}
    assert list(yields.table.columns) == list(COLUMNS)


def test_a_county_given_by_name_is_found_and_wheat_is_not_counted_twice(write):
    found = rows(load(write(NAMED)))
    assert [row[:4] for row in found] == [
        ("17019", "IL", "corn", 2003),
        ("17019", "IL", "winter wheat", 2003),
    ]


def test_mesonet_leaves_out_silage_and_combined_counties(write):
    yields = load(write(MESONET, "iem.csv.gz"))
    assert rows(yields) == [
        ("19109", "IA", "soybean", 2007, 52.5),
        ("19109", "IA", "corn", 2007, 178.6),
    ]
    assert counts(yields) == {"warning yield": 1, "warning county": 1}


def test_a_table_without_a_crop_takes_it_from_its_name_and_zeros_are_missing(write):
    yields = load(write(YOU, "soybean_yield.csv"))
    assert set(yields.table["crop"]) == {"soybean"}
    assert yields.table["yield"].isna().tolist() == [False, True, False]
    assert counts(yields) == {"masked yield": 1}
    assert rows(load(write(YOU, "a.csv"), crop="corn"))[0][2] == "corn"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("year,state,acres,yield\n1866,Iowa,1,2\n", "a.csv", r"a\.csv: is no table of county yi.*"),
        (YOU, "a.csv", r"variable crop: the crop is not known.*expected corn, soybean"),
        (QUICK_STATS.replace("ILLINOIS", "ILINOIS"), "a.csv", r"State: is no state.*ILINOIS"),
        (QUICK_STATS.replace("170.0", "1700"), "a.csv", r"is no yield.*1700.*0 to 400 BU / ACRE"),
        (QUICK_STATS.replace("170.0", "many"), "a.csv", r"Value: is not a number.*many.*row 2"),
        (NAMED.replace("CHAMPAIGN", "PIATT"), "a.csv", r"County: has a name without a code.*PIATT"),
        (
            MESONET + MESONET.splitlines()[2] + "\n",
            "a.csv",
            r"more than one.*corn of 19109 in 2007",
        ),
        (YOU.replace(",1,47", ",3,47"), "soybean.csv", r"state_fips: is no state"),
        (YOU.replace(",1,47", ",,47"), "soybean.csv", r"state_fips: is no state"),
        (YOU.replace("2002", "202"), "soybean.csv", r"variable year: is no year"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(write, text, name, message):
    with pytest.raises(DataError, match=message):
        load(write(text, name))


ITEM = '"CORN, GRAIN - YIELD, MEASURED IN BU / ACRE"'
INTERFACE = f"""source_desc,agg_level_desc,domain_desc,reference_period_desc,state_alpha,\
county_ansi,year,short_desc,Value
SURVEY,COUNTY,TOTAL,YEAR,IL,019,2011,{ITEM},164.1
SURVEY,COUNTY,TOTAL,YEAR,IL,019,2012,{ITEM},(S)
CENSUS,COUNTY,TOTAL,YEAR,IL,019,2012,{ITEM},100.0
SURVEY,COUNTY,TOTAL,YEAR,IL,147,2012,{ITEM},(D)
CENSUS,COUNTY,TOTAL,YEAR,IL,019,2011,{ITEM},160.0
SURVEY,STATE,TOTAL,YEAR - AUG FORECAST,IL,,2011,{ITEM},"1,157.0"
"""


@pytest.mark.parametrize("change", [str, lambda text: text.replace("Value", "value")])
def test_the_interface_of_quick_stats_is_read_and_the_survey_counts_before_the_census(
    write, change
):
    yields = load(write(change(INTERFACE)))
    table = yields.table.set_index(["county", "year"])["source_value"]
    assert table[("17019", 2011)] == 164.1
    # The survey had too few reports: what the census counted stands in.
    assert table[("17019", 2012)] == 100.0
    assert np.isnan(table[("17147", 2012)])
    assert len(table) == 3
    said = {note.message.split(":")[0]: note.count for note in yields.notes}
    assert said["reported by survey and census"] == 2
    assert said["not of a county"] == 1


@pytest.mark.parametrize("symbol", ["(D)", " (S)", "(Z)", "(NA)", "(X)"])
def test_every_symbol_of_nass_in_place_of_a_number_is_missing(write, symbol):
    yields = load(write(QUICK_STATS.replace("150.0", symbol)))
    assert yields.table["yield"].isna().sum() == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (QUICK_STATS.replace('"HAY - YIELD, MEASURED IN TONS / ACRE"', ""), ": an empty cell"),
        (MESONET.replace("CORN,ALL CLASSES,SILAGE", ",ALL CLASSES,SILAGE"), ": an empty cell, ALL"),
    ],
)
def test_a_row_without_a_crop_is_left_out_and_said_to_have_an_empty_cell(write, text, named):
    (note,) = [note for note in load(write(text)).notes if note.message.startswith("no crop of")]
    assert note.count == 1
    assert named in note.message


def test_a_table_whose_last_line_has_no_end_is_read_and_warned_of(write):
    whole, cut = load(write(QUICK_STATS)), load(write(QUICK_STATS[:-1], "cut.csv"))
    np.testing.assert_array_equal(cut.table["source_value"], whole.table["source_value"])
    assert "warning last row" not in counts(whole)
    (note,) = [note for note in cut.notes if note.variable == "last row"]
    assert "the last line of cut.csv has no end" in note.message


def test_thousands_may_be_separated_by_commas_and_decimals_may_not(write):
    with pytest.raises(DataError, match=r"is no yield.*0 to 400"):
        load(write(QUICK_STATS.replace("170.0", '"1,700"')))
    with pytest.raises(DataError, match=r"is not a number.*170,5"):
        load(write(QUICK_STATS.replace("170.0", '"170,5"')))


def test_of_two_files_the_first_counts_unless_it_has_no_value(write):
    first = write(QUICK_STATS, "first_corn.csv")
    text = YOU.replace("17,19,49.0", "17,147,90.0") + "2001,17,19,171.5\n"
    second = write(text, "second_corn.csv")
    both = load_all([first, second])
    annual = both.annual(county="17019")
    assert annual[("corn", 2001)] == pytest.approx(grain_carbon("corn", np.asarray(170.0)))
    # What the first file withholds, the second holds.
    filled = both.annual(county="17147")[("corn", 2002)]
    assert filled == pytest.approx(grain_carbon("corn", np.asarray(90.0)))
    assert "differ by up to 1.5" in both.notes[-1].message
    assert both.notes[-1].count == 1


def test_the_mean_of_a_state_gives_every_county_the_same_weight(write):
    annual = load(write(QUICK_STATS)).annual(state="IL")
    assert annual[("corn", 2001)] == pytest.approx(grain_carbon("corn", np.asarray(160.0)))


def test_the_data_set_has_a_place_for_every_county_crop_and_year(write):
    found = load(write(QUICK_STATS)).dataset()
    assert dict(found.sizes) == {"county": 2, "crop": 2, "year": 2}
    assert found["yield"].attrs["units"] == "g C m-2 yr-1"
    cell = found["yield"].sel(county="17019", crop="soybean", year=2002).item()
    assert cell == pytest.approx(grain_carbon("soybean", np.asarray(50.0)))


def test_a_place_without_yields_is_an_error(write):
    yields = load(write(QUICK_STATS))
    with pytest.raises(DataError, match="no yield of 19001"):
        yields.annual(county="19001")
    with pytest.raises(DataError, match="no place, or two"):
        yields.annual(county="17019", state="IL")


@pytest.fixture
def rotation(per_site):
    """Corn in 2001, soybean in 2002, harvested in October."""
    dataset = per_site(sites=("field",), first="2001-01-01", last="2002-12-31")[0]
    time = dataset["time"].dt
    dataset["crop"] = ("time", np.where(time.year == 2001, 0.0, 1.0))
    dataset["harvest"] = ("time", ((time.month == 10) & (time.day == 5)).to_numpy() * 1.0)
    return dataset


def test_the_yield_stands_on_the_last_day_of_the_year_and_is_masked_elsewhere(write, rotation):
    yields = load(write(QUICK_STATS))
    added, notes = with_yields(rotation, yields, county="17019")
    site = assemble([added], ("NEE", "yield")).site
    days = np.flatnonzero(site.mask["yield"][0])
    assert days.tolist() == [364, 729]
    expected = [grain_carbon("corn", np.asarray(170.0)), grain_carbon("soybean", np.asarray(50.0))]
    np.testing.assert_allclose(site.targets["yield"][0, days], expected, rtol=1e-6)
    assert [note.count for note in notes] == [2]


def test_a_year_without_a_yield_is_masked_and_named(write, rotation):
    added, notes = with_yields(rotation.assign_attrs(county="17147"), load(write(QUICK_STATS)))
    assert np.isfinite(added["yield"].to_numpy()).sum() == 1
    assert "2002" in notes[-1].message


def test_two_harvests_of_a_year_are_summed_and_an_unknown_crop_masks_the_year(write, rotation):
    yields = load_all([write(QUICK_STATS, "a.csv"), write(NAMED.replace("2003", "2001"), "b.csv")])
    known = {2001: (0,), 2002: (1,)}
    both, _ = with_yields(rotation, yields, county="17019", crops={2001: (0, 2), 2002: (-1, 1)})
    wheat = grain_carbon("winter wheat", np.asarray(66.0))
    expected = grain_carbon("corn", np.asarray(170.0)) + wheat
    assert both["yield"].to_numpy()[364] == pytest.approx(float(expected))
    assert np.isnan(both["yield"].to_numpy()[729])
    assert crops_by_year(rotation) == known


def test_a_year_cut_off_by_the_record_has_no_yield(write, rotation):
    part = rotation.isel(time=slice(200, None))
    added, _ = with_yields(part, load(write(QUICK_STATS)), county="17019")
    assert np.flatnonzero(np.isfinite(added["yield"])).tolist() == [529]


def test_without_harvests_the_crop_on_the_field_most_days_counts(rotation):
    grown = rotation.drop_vars("harvest")
    assert crops_by_year(grown) == {2001: (0,), 2002: (1,)}
    occupied = ((grown["time"].dt.month > 4) & (grown["time"].dt.month < 9)).to_numpy() * 1.0
    crop = np.where(occupied > 0, grown["crop"].to_numpy(), -1.0)
    assert crops_by_year(grown.assign(crop=("time", crop), occupied=("time", occupied))) == {
        2001: (0,),
        2002: (1,),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign({"yield": d["NEE"]}), "site field, variable yield: is there already"),
        (lambda d: d.drop_vars("crop").assign_attrs(state="IL"), "variable crop: no crop"),
        (lambda d: d, "variable county: no place"),
    ],
)
def test_a_site_that_cannot_have_county_yields_is_refused(write, rotation, change, message):
    with pytest.raises(DataError, match=message):
        with_yields(change(rotation), load(write(QUICK_STATS)))


def test_the_nearest_county_lies_within_reach():
    centroids = {"17019": (40.14, -88.2), "17147": (40.01, -88.6), "02020": (61.2, -149.1)}
    assert nearest_county(40.05, -88.25, centroids) == "17019"
    with pytest.raises(DataError, match="no county near"):
        nearest_county(0.0, 0.0, centroids)


REAL = {
    "nass_IA_MN_county_yields_iem.csv.gz": (5638, 0),
    "nass_champaign_county_yields.csv": (252, 0),
    "nass_county_corn_yield_2012_2021.csv.gz": (14957, 0),
    "nass_county_soybean_yield_you2017.csv.gz": (20954, 1834),
    "nass_iowa_county_corn_yield_1926_2023.csv.gz": (9644, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_whole(data_folder, name):
    path = data_folder / "yields" / name
    if not path.exists():
        pytest.skip(f"no file {path}")
    table = load(path).table
    assert (len(table), int(table["yield"].isna().sum())) == REAL[name]
    # Grain carbon of a county: a failed crop (0.7 bushels of soybean) to the best irrigated corn.
    known = table["yield"].dropna()
    assert known.between(2.0, 800.0).all()
    assert (table["county"].str.len() == 5).all()


def test_real_files_of_one_county_agree_where_they_meet(data_folder):
    paths = [data_folder / "yields" / name for name in REAL]
    absent = [path.name for path in paths if not path.exists()]
    if absent:
        pytest.skip(f"no file {', '.join(absent)}")
    both = load_all(paths)
    assert both.table["source_value"].max() < MOST_BUSHELS
    # NASS revised some of the corn of 2012-2021 after the older export was made.
    assert both.notes[-1].count < 0.02 * len(both.table)
    assert "2.3 BU / ACRE" in both.notes[-1].message
