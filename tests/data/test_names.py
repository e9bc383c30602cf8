"""Names of sites and groups are text: as written, never empty, never a path."""

from functools import partial

import pytest
import refusals

from kgml_jax.data import names
from kgml_jax.data.read import collect, read
from kgml_jax.runs.files import LONGEST_NAME, file_name

refused = partial(refusals.refused, read)

HEADER = """site,time,group,shortwave_radiation [W m-2],air_temperature_mean [degC],\
air_temperature_max [degC],air_temperature_min [degC],vapour_pressure_deficit [hPa],\
precipitation [mm d-1],wind_speed [m s-1],NEE [g C m-2 d-1]
"""
HOSTILE = [
    "x/../../../y",
    "..",
    ".",
    "/etc/passwd",
    "C:\\temp\\x",
    "a\0b",
    "line\nend",
    "~root",
    "$(rm -r x)",
    "[/red]",
    "Gr\u00fcnland 7/8",
    "n" * 400,
    "\ud800",
    "",
]


@pytest.fixture
def table(tmp_path):
    """Writes twelve days of every site, as the names stand in the table."""

    def write(*sites, group="corn", metadata=None):
        rows = [
            f"{site},2001-01-{day:02d},{group},100,{day},{day + 4},{day - 4},3,0,2,-1"
            for site in sites
            for day in range(1, 13)
        ]
        (tmp_path / "plots.csv").write_text(HEADER + "\n".join(rows) + "\n")
        if metadata is not None:
            (tmp_path / "sites.csv").write_text(metadata)
        return tmp_path

    return write


@pytest.mark.parametrize("name", ["01001", "NA", "nan", "1e5", "TRUE", "2001-01-01", "007.5"])
def test_a_name_is_the_text_that_stands_in_both_tables(table, name):
    reading = read(table(name, group=name, metadata=f"site,lat,elev\n{name},32.5,100\n"))
    (site,) = reading.sites
    assert site.attrs["site"] == name
    assert site.attrs["group"] == name
    assert site["latitude"] == 32.5


def test_a_whole_number_of_a_spreadsheet_and_a_padded_name_are_put_right_and_noted(table):
    reading = read(table("1001.0", "B  ", metadata="site,lat\n1001,32.5\nB,33\n"))
    assert [site.attrs["site"] for site in reading.sites] == ["1001", "B"]
    assert [float(site["latitude"]) for site in reading.sites] == [32.5, 33.0]
    said = [note.message for note in reading.notes if note.variable == "site"]
    assert any("'1001.0' is '1001'" in message for message in said)
    assert any("'B  ' is 'B'" in message for message in said)


@pytest.mark.parametrize("cell", ["", "  ", '""'])
def test_an_empty_name_is_an_error_with_its_row(table, cell):
    refused(table("A", cell), "plots.csv", "variable site", "row 14", "empty")


def test_an_empty_group_is_an_error_with_its_row(table):
    refused(table("A", group=""), "plots.csv", "variable group", "row 2", "empty")


def test_a_site_in_two_groups_is_an_error(table):
    folder = table("A")
    path = folder / "plots.csv"
    path.write_text(path.read_text().replace("corn", "soybean", 3))
    refused(folder, "plots.csv", "site A", "more than one group", "soybean, corn")


@pytest.mark.parametrize("name", ["a\tb", "a\x1b[31mb", "n" * (names.LONGEST + 1)])
def test_a_name_that_cannot_be_printed_is_refused(table, name):
    refused(table(name), "plots.csv", "is no name")


@pytest.mark.parametrize("cell", ["#REF!", "#N/A", "#DIV/0!", "-9999", "-6999.0"])
def test_an_error_of_a_spreadsheet_or_a_code_in_place_of_a_name_is_refused(table, cell):
    refused(table("A", cell), "plots.csv", "variable site: a name is missing", repr(cell))
    refused(table("A", group=cell), "plots.csv", "variable group: a name is missing", repr(cell))


def test_a_bad_name_in_one_file_spares_the_others(table):
    folder = table("A")
    text = (folder / "plots.csv").read_text()
    (folder / "worse.csv").write_text(text.replace("A,", "\x07,"))
    reading = collect(folder)
    assert [site.attrs["site"] for site in reading.sites] == ["A"]
    assert [error.file for error in reading.errors] == ["worse.csv"]


def test_a_name_is_suggested_if_letters_or_case_are_off_and_not_otherwise():
    sites = ["US-CRT", "01001", "DE-Kli"]
    assert names.meant("us_crt", sites) == "US-CRT"
    assert names.meant("1001", sites) == "01001"
    assert names.meant("US-CTR", sites) == "US-CRT"
    assert names.meant("FR-Aur", sites) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_within_its_folder(tmp_path, name):
    path = tmp_path / f"{file_name(name)}.png"
    path.write_text("drawn")
    assert path.resolve().parent == tmp_path.resolve()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert len(path.name) <= LONGEST_NAME + 4


def test_names_that_differ_have_files_that_differ():
    longer = ["n" * 400, "n" * 399 + "m", "%2E", ".", "~", "%7E", "a b", "a%20b", "US-CRT"]
    assert len({file_name(name) for name in (*HOSTILE, *longer)}) == len({*HOSTILE, *longer})
    assert file_name("US-CRT") == "US-CRT"
