import re
import types

import numpy as np
import pytest
from studies.process_model import constants, describe

from kgml_jax.process.ecosystem import Fluxes, Params
from kgml_jax.records import quantities

DOCS = describe.DescribeConfig.docs
EMPTY = "before\n\n<!-- generated: crops -->\n<!-- end -->\n\nafter\n"


def rows(table):
    return [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in table.splitlines()[2:]]


def test_tables_of_the_docs_are_current():
    assert describe.stale(DOCS.read_text()) == []


def test_the_docs_have_a_place_for_every_table():
    assert describe.absent(DOCS.read_text()) == []


def test_every_constant_states_its_unit_and_meaning():
    assert [f"{one.module}.{one.name}" for one in describe.undescribed()] == []


def test_every_parameter_stands_in_exactly_one_table():
    site, initial = rows(describe.site_parameters()), rows(describe.initial_conditions())
    assert len(site) == 40
    names = [cells[1].strip("`") for cells in site + initial]
    assert names == list(quantities(Params))
    assert sum("★" in cells[0] for cells in site) == 18
    assert site[6][1:6] == [
        "`maintenance_respiration_rate`",
        "0.0135",
        "0.006 to 0.018",
        "g C gN-1 h-1",
        "log",
    ]


@pytest.mark.parametrize("name", describe.known())
def test_a_table_has_as_many_cells_in_every_row_as_in_its_header(name):
    lines = describe.TABLES[name]().splitlines()
    counts = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert len(counts) == 1
    assert len(lines) > 3


def test_nested_records_are_named_by_their_path():
    names = [cells[0] for cells in rows(describe.TABLES["state"]())]
    assert "`plant.leaf`" in names
    assert "`soil_temperature`" in names
    assert len(rows(describe.TABLES["fluxes"]())) == len(quantities(Fluxes))


def test_a_bar_in_a_cell_does_not_end_it():
    assert describe.markdown(("a", "b"), [("|NEE|", "1")]).splitlines()[2] == "| \\|NEE\\| | 1 |"


def test_filling_twice_changes_nothing_more():
    once = describe.filled(EMPTY)
    assert describe.crop_table() in once
    assert once.startswith("before\n\n<!-- generated: crops -->\n")
    assert once.endswith("<!-- end -->\n\nafter\n")
    assert describe.filled(once) == once
    assert describe.stale(EMPTY) == ["crops"]
    assert describe.stale(once) == []
    assert describe.stale(once.replace("corn", "maize")) == ["crops"]


def test_an_unknown_marker_and_one_without_end_are_refused():
    with pytest.raises(ValueError, match="no table crop; known are"):
        describe.filled(EMPTY.replace("crops", "crop"))
    with pytest.raises(ValueError, match="no `<!-- end -->`"):
        describe.filled("<!-- generated: state -->\n" + EMPTY)
    with pytest.raises(ValueError, match="no `<!-- end -->`"):
        describe.filled(EMPTY + "<!-- generated: state -->\n")


def test_the_program_tells_old_tables_and_writes_them(run_program, tmp_path):
    docs = tmp_path / "docs.md"
    docs.write_text(EMPTY)
    arguments = (describe, describe.DescribeConfig, "--docs", docs)
    status, out, _ = run_program(*arguments)
    assert status == 1
    assert "no place for the table state" in out
    assert "old in crops" in out
    assert docs.read_text() == EMPTY
    assert run_program(*arguments, "--write")[0] == 0
    assert docs.read_text() == describe.filled(EMPTY)
    assert run_program(*arguments)[0] == 0


SOURCE = """
RATE = 0.5  # d-1; of the pool
LONG = (
    1.0,
    2.0,
)  # mm, in two layers (FAO-56)
# MJ m-2 d-1; above the air,
# at noon
ABOVE: float = 3.0

# Of the pool.
MEANT = 0.2  # d-1

FRACTION = 0.7  # share of the whole
MASK = [0.0, 1.0]
SILENT = 9
KINDS = ("a", "b")
lower = 1.0  # d-1; not a constant
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(SOURCE)
    made = types.ModuleType("package.example")
    exec(SOURCE, made.__dict__)
    made.__file__ = str(path)
    return made


def test_constants_are_read_with_the_comment_beside_or_above_them(module):
    found = {one.name: (one.units, one.doc) for one in constants.of_module(module)}
    assert found == {
        "RATE": ("d-1", "of the pool"),
        "LONG": ("mm", "in two layers (FAO-56)"),
        "ABOVE": ("MJ m-2 d-1", "above the air, at noon"),
        "MEANT": ("d-1", "Of the pool."),
        "FRACTION": ("", "share of the whole"),
        "SILENT": ("", ""),
    }


@pytest.mark.parametrize("text", ["1", "d-1", "J mol-1 K-1", "m3 m-3", "kPa0.5", "g C m-2 d-1"])
def test_units_are_recognised(text):
    assert constants.is_unit(text)


@pytest.mark.parametrize("text", ["", "share", "d-1 at 25 degC", "furlong d-1", "soil layers"])
def test_other_words_are_no_units(text):
    assert not constants.is_unit(text)


def test_numbers_are_written_without_noise():
    assert constants.written(0.1 + 0.2) == "0.3"
    assert constants.written(np.array([0.05, 4.903e-9])) == "0.05, 4.903e-09"
    assert constants.written(np.eye(2)) == "1, 0; 0, 1"
