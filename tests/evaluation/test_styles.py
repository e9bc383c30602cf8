import itertools

import numpy as np
import pytest

from kgml_jax.evaluation.styles import COLOURS, OBSERVED, STYLES, styles
from kgml_jax.models.kinds import KINDS
from kgml_jax.training.strategies import STRATEGIES

REFERENCES = ("climatology", "boosting-pooled", "boosting-per-site", "process-prior")

# Machado et al. (2009), full deuteranopia and protanopia, on linear RGB.
DEFICIENCIES = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def lab(colour, matrix):
    """CIE L*a*b* of a colour as an eye with the deficiency sees it."""
    srgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_strategy_model_and_reference_has_a_style():
    assert {*STRATEGIES, *KINDS, *REFERENCES} <= set(STYLES)


@pytest.mark.parametrize("names", [(*STRATEGIES, *REFERENCES), tuple(KINDS)], ids=len)
def test_names_that_stand_in_one_figure_differ_in_colour_or_line_and_marker(names):
    for one, other in itertools.combinations(styles(names).values(), 2):
        if one.colour == other.colour:
            assert one.line != other.line
            assert one.marker != other.marker


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_differ_for_colour_blind_readers(deficiency):
    seen = {style.colour for style in STYLES.values()} | set(COLOURS)
    matrix = DEFICIENCIES[deficiency]
    for one, other in itertools.combinations(sorted(seen), 2):
        apart = np.linalg.norm(lab(one, matrix) - lab(other, matrix))
        # A difference of 2.3 is just noticeable side by side; lines lie apart.
        assert apart > 10, (one, other, apart)


def test_black_is_left_to_the_observations():
    assert OBSERVED["color"] == "black"
    assert not {"#000000", "black"} & {style.colour for style in STYLES.values()}


def test_a_name_keeps_its_colour_whoever_stands_beside_it():
    alone, beside = styles(["ftbsc"]), styles(["mine", "site-only", "ftbsc", "yours"])
    assert alone["ftbsc"] == beside["ftbsc"]
    colours = [style.colour for style in beside.values()]
    assert len(set(colours)) == 4


def test_more_names_than_colours_still_have_a_style():
    assert len(styles([f"member {number}" for number in range(20)])) == 20
