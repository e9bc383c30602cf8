"""Where the sites of a run come from, and whether it is still what it was."""

import json

import pytest

from kgml_jax.data.choices import DataChoice, OtherData
from kgml_jax.errors import DataError
from kgml_jax.runs import provenance
from kgml_jax.workflows.sites import require_unchanged

TABLE = "site,time,NEE [g C m-2 d-1]\nA,2001-01-01,1.25\n"


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "fields.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def run(data, tmp_path):
    """A run that says what it has read."""
    known = {"data": {"files": provenance.of_files([data])}}
    (tmp_path / provenance.FILE).write_text(json.dumps(known))
    return tmp_path


def test_a_plausible_number_in_place_of_another_shows_by_the_checksum(data, run):
    require_unchanged(run, OtherData(), DataChoice(data))
    data.write_text(TABLE.replace("1.25", "1.26"))
    words = r"fields.csv: is not as it was when the run read it \(found 1 file changed since"
    with pytest.raises(DataError, match=words):
        require_unchanged(run, OtherData(), DataChoice(data))


def test_other_data_are_not_compared(data, run):
    data.write_text(TABLE.replace("1.25", "1.26"))
    require_unchanged(run, OtherData(data), DataChoice(data))


def test_a_run_that_tells_nothing_is_taken_as_it_is(data, tmp_path):
    require_unchanged(tmp_path / "older", OtherData(), DataChoice(data))
