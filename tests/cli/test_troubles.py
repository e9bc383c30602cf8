"""What commands say of sites and descents that went wrong."""

import pytest

from kgml_jax.cli import troubles

SHARE = {"site": "IL-01", "of_error": 0.4, "of_days": 0.3, "drives_the_loss": False}


@pytest.fixture
def told(capsys):
    """Returns what a pretraining prints, with the words of a line that was broken together."""

    def tell(**summary):
        troubles.tell_pretraining({"training_error": [SHARE]} | summary)
        out, err = capsys.readouterr()
        return " ".join(out.split()), " ".join(err.split())

    return tell


def test_a_sound_training_says_which_site_errs_most(told):
    expected = (
        "The largest part of the training error is that of IL-01: 40% of the training error, on "
        "30% of its days."
    )
    assert told() == (expected, "")
    assert told(training_error=[]) == ("", "")


def test_a_site_that_drives_the_loss_is_warned_of(told):
    driving = SHARE | {"of_error": 0.98, "drives_the_loss": True}
    out, err = told(training_error=[driving])
    assert out == ""
    assert "warning: IL-01 drives the loss: 98% of the training error, on 30% of its days" in err


def test_sites_left_out_restarts_and_their_end_are_warned_of(told):
    _, err = told(
        sites_left_out={"IA-01": "the loss is not finite from 2001-03-02 on (NEE); left out"},
        restarted_at_steps=[40, 60],
        finite=False,
    )
    assert "warning: IA-01: the loss is not finite from 2001-03-02 on (NEE); left out" in err
    assert "after step 40, 60: training went on from its best weights" in err
    assert "not finite again, which ended training; the best weights are kept" in err


def test_of_many_troubled_sites_the_rest_is_named(capsys):
    troubles.tell({f"S{row}": "no rain" for row in range(8)}, of="ftbsc")
    err = " ".join(capsys.readouterr().err.split())
    assert "warning: S4 (ftbsc): no rain" in err
    assert "S5 (ftbsc)" not in err
    assert "and 3 more sites (ftbsc), told in summary.json: S5, S6, S7" in err
