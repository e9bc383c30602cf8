"""The short form of the campaign of `fuzz.py`, and the longer one among the slow tests."""

import pytest
from fuzzing import campaign
from fuzzing.sources import SOURCES


def faults(source, cases):
    counts = campaign.run(source, cases, seed=0)
    assert counts.cases >= cases / 2  # hypothesis stops where it has nothing new to draw
    return counts.faults


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_damaged_input_is_read_right_or_refused_or_told_of(source):
    assert faults(source, 8) == []


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_hundred_and_forty_damages_of_an_input_are_read_right_or_refused_or_told_of(source):
    assert faults(source, 140) == []
