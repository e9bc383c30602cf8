"""docs/management.md lists the vocabulary as it is in the code; what fails is the line it lacks."""

from pathlib import Path

import pytest
from management_tables import Field

from kgml_jax.data import crop_names
from kgml_jax.data.management import badm, forcing, icasa, operations, seasons, vocabulary

TEXT = (Path(__file__).parents[2] / "docs" / "management.md").read_text()


def _others(spoken, name):
    return ", ".join(
        sorted(word for word, meaning in spoken.items() if meaning == name and word != name)
    )


def crop_lines():
    for name, kind in crop_names.CROPS.items():
        others = _others(crop_names.SPOKEN, name)
        yield f"| {name} | {kind.habit} | {kind.days} | {kind.nearest} | {others} |"


def decided_lines():
    for name, (winter, spring) in crop_names.UNDECIDED.items():
        yield f"| {name} | {winter} or {spring} | {_others(crop_names.SPOKEN, name)} |"


def event_lines():
    for name, meaning in vocabulary.KINDS.items():
        yield f"| {name} | {meaning} | {_others(vocabulary.SAID, name)} |"


def form_lines():
    for name, form in vocabulary.FORMS.items():
        yield f"| {name} | {form.ammonium:g} |"


def organic_lines():
    for name, kind in vocabulary.ORGANICS.items():
        yield f"| {name} | {kind.ammonium:g} | {kind.carbon:g} |"


def number_lines():
    yield f"{vocabulary.GRAZED:g} of the shoot"
    yield f"{vocabulary.GRAZED_A_DAY:g} a day"
    yield f"{vocabulary.PADDOCK} days"
    yield f"within {operations.ONE_OPERATION} days"
    yield f"within {seasons.RESOWN} days"
    yield f"{seasons.AFTER_HARVEST} days after"
    yield f"more than {seasons.YOUNG} days after its sowing"
    yield f"a share of {seasons.TURNED:g} or more"
    yield f"wider than {forcing.WIDE} days"
    yield f"wider than {forcing.UNUSABLE} days"
    yield f"more than {forcing.LATE} days"
    yield f"{vocabulary.STRAW:.0%} of the residue"
    yield f"{vocabulary.WHOLE:.0%}"
    yield f"{vocabulary.PLOUGHING_DEPTH:g} m"
    yield f"a share of {vocabulary.USUAL_TILLAGE:g} where"


def test_the_example_of_the_documentation_is_read(tmp_path):
    example = TEXT.split("```")[1].lstrip()
    (tmp_path / "management.csv").write_text(example)
    found = Field(tmp_path / "management.csv", "2001-01-01", "2001-12-31", "US-Aa1", 41.0)
    assert found.spans() == [("corn", "2001-05-01", "2001-10-20")]
    assert not [note for note in found.notes if note.kind in ("warning", "left out")]
    assert set(found.days("fertiliser_nitrate")) == {"2001-05-02"}


LINES = [
    *crop_lines(),
    *decided_lines(),
    *event_lines(),
    *form_lines(),
    *organic_lines(),
    *number_lines(),
]


@pytest.mark.parametrize("line", LINES)
def test_the_documentation_says_what_the_code_does(line):
    assert line in TEXT


def test_refused_crops_and_unused_events_are_named():
    for name in (*crop_names.REFUSED, *vocabulary.UNUSED):
        assert name in TEXT, name


def test_variables_of_other_vocabularies_are_named():
    for name in (*badm.VARIABLES, *(column.upper() for column in icasa.COLUMNS)):
        assert name in TEXT, name
