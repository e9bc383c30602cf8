"""The short form of the campaign of `faults.py`."""

import faults
import pytest


@pytest.mark.slow
def test_programs_that_are_killed_and_resumed_end_as_those_that_were_not(tmp_path):
    # Not the two that take minutes to compile; `python tests/faults.py` kills these too.
    quick = ("pretrain", "calibrate", "simulate")
    found = faults.run(faults.Campaign(6, quick, kills_a_run=2, folder=tmp_path))
    assert found.kills >= 6
    assert not found.wrong
    assert not found.differences
