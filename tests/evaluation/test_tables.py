import io

import numpy as np
import pytest
import rich.console

from kgml_jax.evaluation import scores, statistics, tables
from kgml_jax.sites import TEST


@pytest.fixture
def result(sites, roles, predictions):
    return scores.score(predictions, sites, roles == TEST)


def printed(grid, width=80):
    console = rich.console.Console(file=io.StringIO(), width=width)
    console.print(tables.terminal(grid))
    return console.file.getvalue()


def test_markdown_holds_the_medians_and_their_direction(result):
    medians = scores.summary(result)
    lines = tables.markdown(tables.score_grid(medians, ["rmse", "r2"])).splitlines()
    assert lines[0] == "Over sites: median. GPP, Reco, NEE in g C m-2 d-1"
    assert lines[2].startswith("| variable | strategy | rmse, lower is better | r2, higher is")
    value = medians["rmse"].sel(variable="GPP", strategy="pretrained").item()
    assert lines[4].startswith(f"| GPP | pretrained | {value:#.3g} |")
    assert len(lines) == 4 + 3 * 2


def test_a_terminal_of_80_columns_shows_every_column(result):
    text = printed(tables.score_grid(scores.summary(result)))
    assert "failed" in text
    assert "calibrated" in text
    comparisons = statistics.compare(result["rmse"].sel(variable="NEE"), "pretrained")
    text = printed(tables.comparison_grid(comparisons))
    assert "worse" in text
    assert max(map(len, text.splitlines())) <= 80


def test_comparison_says_who_is_compared_with_whom(result):
    comparisons = statistics.compare(result["rmse"].sel(variable="GPP"), "pretrained")
    text = tables.markdown(tables.comparison_grid(comparisons))
    assert "rmse of GPP: calibrated against pretrained" in text
    counts = comparisons[0]
    assert f"| {counts.wins}/{counts.ties}/{counts.losses} |" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (0.01234, "0.0123"), (123.4, "123"), (np.nan, "-"), (np.inf, "-")],
)
def test_numbers_have_three_digits_and_a_dash_stands_for_none(value, text):
    assert tables.number(value) == text
